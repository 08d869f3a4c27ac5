"""Globs as Argo CD reads them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.globs import glob_matches


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("*", "", True),
        ("shop-*", "shop-prod", True),
        ("shop-*", "myshop-prod", False),
        ("https://*", "https://a/b", True),
        ("shop-?", "shop-1", True),
        ("shop-?", "shop-", False),
        ("{dev,test}-*", "test-shop", True),
        ("{dev,test}-*", "prod-shop", False),
        ("shop-[ab]", "shop-b", True),
        ("shop-[!ab]", "shop-b", False),
        ("a.b", "axb", False),
        (r"\*", "*", True),
        (r"\*", "x", False),
        ("{open", "{open", True),
    ],
)
def test_globs(pattern: str, text: str, matches: bool) -> None:
    assert glob_matches(pattern, text) is matches


@given(st.text(max_size=20), st.text(max_size=20))
def test_no_pattern_raises(pattern: str, text: str) -> None:
    assert glob_matches(pattern, text) in (True, False)
