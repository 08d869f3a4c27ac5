"""Merge patch (RFC 7396), JSON patch (RFC 6902) and strategic merge. The old object is never changed, only shared."""

from collections.abc import Callable
from typing import Any

import msgspec

from responder.demo.resources import Json, Resource
from responder.demo.status import bad_request, unprocessable, unsupported_media_type

MERGE = "application/merge-patch+json"
JSON = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"

# How lists of core types merge, by the name of their field; any other list is replaced.
_MERGE_KEYS = {
    **dict.fromkeys(("containers", "initContainers", "ephemeralContainers", "volumes", "env", "secrets"), "name"),
    **dict.fromkeys(("imagePullSecrets",), "name"),
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "ownerReferences": "uid",
    "conditions": "type",
}
_CUSTOM_TAKES = (
    "the body of the request was in an unknown format - accepted media types include: "
    f"{JSON}, {MERGE}, application/apply-patch+yaml"
)
_SET_LISTS = frozenset({"finalizers"})


def same(left: Any, right: Any) -> bool:
    """Equal as JSON: Python alone takes ``true`` for ``1``."""
    return left == right and _canonical(left) == _canonical(right)


def copied(value: Any) -> Any:
    """A deep copy of what is JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def refuse_type(resource: Resource, content_type: str) -> None:
    """Raises 415 for what the resource does not take."""
    if content_type not in ({MERGE, JSON} if resource.custom else {MERGE, JSON, STRATEGIC}):
        raise unsupported_media_type(_CUSTOM_TAKES if resource.custom else "415: Unsupported Media Type")


def patcher(content_type: str, patch: object) -> Callable[[Json], Json]:
    """The patch as a function from the old object to the new."""
    if content_type == JSON:
        return lambda old: json_patch(old, patch)
    if not isinstance(patch, dict):
        raise bad_request("error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}")
    return lambda old: (merge_patch if content_type == MERGE else strategic_patch)(old, patch)


def merge_patch(old: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    new = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            new.pop(key, None)
        else:
            new[key] = merge_patch(new.get(key), value)
    return new


def strategic_patch(old: Any, patch: Any, field: str = "") -> Any:
    if isinstance(patch, list):
        return _merged_list(old if isinstance(old, list) else [], patch, field)
    if not isinstance(patch, dict):
        return patch
    fields = {key: value for key, value in patch.items() if not key.startswith("$")}
    if patch.get("$patch") == "delete":
        return None
    new = dict(old) if isinstance(old, dict) and patch.get("$patch") != "replace" else {}
    for key, value in fields.items():
        merged = None if value is None else strategic_patch(new.get(key), value, key)
        if merged is None:
            new.pop(key, None)
        else:
            new[key] = merged
    for key, gone in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.partition("/")[2]
            new[name] = [one for one in new.get(name, ()) if one not in gone]
    return new


def _merged_list(old: list[Any], patch: list[Any], field: str) -> list[Any]:
    if field in _SET_LISTS:
        return [*old, *(one for one in patch if one not in old)]
    key = _MERGE_KEYS.get(field)
    if key is None or {"$patch": "replace"} in patch:
        return [one for one in patch if one != {"$patch": "replace"}]
    merged = list(old)
    for item in patch:
        at = next((i for i, one in enumerate(merged) if one.get(key) == item.get(key)), None)
        new = strategic_patch(merged[at] if at is not None else {}, item)
        if at is None:
            merged.extend([] if new is None else [new])
        else:
            merged[at : at + 1] = [] if new is None else [new]
    return merged


def json_patch(old: Any, operations: Any) -> Any:
    """add, remove, replace, test."""
    if not isinstance(operations, list):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        )
    new = old
    for operation in operations:
        try:
            new = _operated(new, operation)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise unprocessable() from error
    return new


def _operated(document: Any, operation: Json) -> Any:
    steps = [_unescaped(step) for step in operation["path"].split("/")[1:]]
    match operation["op"]:
        case "test":
            if not same(_at(document, steps), operation.get("value")):
                raise ValueError(f"test failed at {operation['path']}")
            return document
        case "add" | "replace":
            return _changed(document, steps, operation["op"], operation["value"])
        case "remove":
            return _changed(document, steps, "remove", None)
        case other:
            raise ValueError(f"unsupported operation {other}")


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


def _at(document: Any, steps: list[str]) -> Any:
    for step in steps:
        document = document[_index(document, step)] if isinstance(document, list) else document.get(step)
    return document


def _index(items: list[Any], step: str) -> int:
    index = int(step)
    if not 0 <= index < len(items):
        raise IndexError(step)
    return index


def _changed(document: Any, steps: list[str], op: str, value: Any) -> Any:
    if not steps:
        return value
    step, *rest = steps
    if isinstance(document, list):
        return _changed_list(document, step, rest, op, value)
    new = dict(document)
    if rest:
        new[step] = _changed(document[step], rest, op, value)
    elif op == "remove":
        del new[step]
    elif op == "replace" and step not in document:
        raise KeyError(step)
    else:
        new[step] = value
    return new


def _changed_list(items: list[Any], step: str, rest: list[str], op: str, value: Any) -> list[Any]:
    new = list(items)
    if op == "add" and not rest:
        new.insert(len(items) if step == "-" else _index([*items, None], step), value)
        return new
    at = _index(items, step)
    if rest:
        new[at] = _changed(items[at], rest, op, value)
    elif op == "remove":
        del new[at]
    else:
        new[at] = value
    return new
