import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.demo.patches import json_patch, merge_patch, same, strategic_patch
from responder.demo.status import ApiFault

# The table of RFC 7396, appendix A.
MERGES = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("old", "patch", "new"), MERGES)
def test_merge_patch_does_as_its_rfc_says(old: Any, patch: Any, new: Any) -> None:
    assert merge_patch(old, patch) == new


@pytest.mark.parametrize(
    ("operation", "new"),
    [
        ({"op": "add", "path": "/list/0", "value": 0}, {"list": [0, 1, 2], "a": {"b": 1}}),
        ({"op": "add", "path": "/list/2", "value": 3}, {"list": [1, 2, 3], "a": {"b": 1}}),
        ({"op": "add", "path": "/list/-", "value": 3}, {"list": [1, 2, 3], "a": {"b": 1}}),
        ({"op": "add", "path": "/a/b", "value": 2}, {"list": [1, 2], "a": {"b": 2}}),
        ({"op": "add", "path": "/a/c~0d", "value": 2}, {"list": [1, 2], "a": {"b": 1, "c~d": 2}}),
        ({"op": "remove", "path": "/list/0"}, {"list": [2], "a": {"b": 1}}),
        ({"op": "replace", "path": "/a", "value": 2}, {"list": [1, 2], "a": 2}),
        ({"op": "test", "path": "/list/1", "value": 2}, {"list": [1, 2], "a": {"b": 1}}),
        ({"op": "test", "path": "/none", "value": None}, {"list": [1, 2], "a": {"b": 1}}),
    ],
)
def test_json_patch_operations(operation: dict[str, Any], new: Any) -> None:
    assert json_patch({"list": [1, 2], "a": {"b": 1}}, [operation]) == new


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/a/b", "value": True},
        {"op": "test", "path": "/a/b", "value": 2},
        {"op": "remove", "path": "/none"},
        {"op": "remove", "path": "/list/2"},
        {"op": "replace", "path": "/none", "value": 1},
        {"op": "replace", "path": "/list/-1", "value": 1},
        {"op": "add", "path": "/list/3", "value": 1},
        {"op": "add", "path": "/none/deeper", "value": 1},
        {"op": "add", "path": "/a"},
        {"op": "explode", "path": "/a"},
        {"path": "/a"},
        "nonsense",
    ],
)
def test_json_patch_refuses_what_cannot_be_done(operation: object) -> None:
    with pytest.raises(ApiFault) as refused:
        json_patch({"list": [1, 2], "a": {"b": 1}}, [operation])
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("patch", "new"),
    [
        ({"env": [{"name": "b", "value": "2"}]}, [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]),
        ({"env": [{"name": "a", "value": "2"}]}, [{"name": "a", "value": "2"}]),
        ({"env": [{"name": "a", "$patch": "delete"}]}, []),
        ({"env": [{"$patch": "replace"}, {"name": "b"}]}, [{"name": "b"}]),
    ],
)
def test_strategic_patch_merges_lists_by_their_key(patch: Any, new: Any) -> None:
    assert strategic_patch({"env": [{"name": "a", "value": "1"}]}, patch) == {"env": new}


def test_strategic_patch_treats_finalizers_as_a_set() -> None:
    old = {"finalizers": ["a", "b"]}
    assert strategic_patch(old, {"finalizers": ["c", "a"]}) == {"finalizers": ["a", "b", "c"]}
    assert strategic_patch(old, {"$deleteFromPrimitiveList/finalizers": ["a"]}) == {"finalizers": ["b"]}


def test_strategic_patch_replaces_what_has_no_key() -> None:
    assert strategic_patch({"command": ["a", "b"]}, {"command": ["c"]}) == {"command": ["c"]}


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc~/"), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150)
@given(JSONS, JSONS)
def test_a_merge_patch_done_twice_is_done_once_and_spares_the_old(old: Any, patch: Any) -> None:
    before = repr(old)
    once = merge_patch(old, patch)
    assert same(merge_patch(once, patch), once)
    assert repr(old) == before


OPERATIONS = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["add", "remove", "replace", "test"]),
        "path": st.lists(st.sampled_from(["a", "b", "0", "1", "-", "~1"]), max_size=3).map(
            lambda steps: "".join(f"/{step}" for step in steps)
        ),
    },
    optional={"value": JSONS},
)


@settings(max_examples=200)
@given(JSONS, st.lists(OPERATIONS | JSONS, max_size=3))
def test_any_json_patch_is_done_or_refused_and_spares_the_old(old: Any, operations: list[Any]) -> None:
    before = repr(old)
    with contextlib.suppress(ApiFault):
        json_patch(old, operations)
    assert repr(old) == before
