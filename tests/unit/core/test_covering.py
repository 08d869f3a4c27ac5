from fnmatch import fnmatchcase

from hypothesis import given, settings
from hypothesis import strategies as st

from responder.core.covering import apart, within

globs = st.text(alphabet="ab*?", max_size=6)
texts = st.lists(st.text(alphabet="abc", max_size=7), min_size=20, max_size=40)


@settings(max_examples=60)
@given(globs, globs, texts)
def test_what_is_called_within_matches_nothing_else(inner: str, outer: str, words: list[str]) -> None:
    if within(inner, outer):
        assert [w for w in words if fnmatchcase(w, inner) and not fnmatchcase(w, outer)] == []


@settings(max_examples=60)
@given(globs, globs, texts)
def test_what_is_called_apart_never_meets(one: str, other: str, words: list[str]) -> None:
    if apart(one, other):
        assert [w for w in words if fnmatchcase(w, one) and fnmatchcase(w, other)] == []


def test_globs_are_compared_as_sets_of_texts() -> None:
    assert within("shop-*-eu", "shop-*")
    assert within("a?c", "a*c")
    assert within("a**", "a*")
    assert not within("a*", "a?")
    assert not within("*", "?*")
    assert apart("shop-*", "bank-*")
    assert apart("*-test", "*-live")
    assert not apart("shop-*", "*-test")
    assert not apart("[a-c]*", "b*")
