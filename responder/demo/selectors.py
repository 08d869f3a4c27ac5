"""Label and field selectors."""

import re
from collections.abc import Callable

from responder.demo.resources import Json, Resource
from responder.demo.status import bad_request

Selector = Callable[[Json], bool]
_Requirement = Callable[[dict[str, str]], bool]

_SET = re.compile(r"^(?P<key>[^\s!=(),]+)\s+(?P<op>in|notin)\s*\((?P<values>[^()]*)\)$")
_COMPARED = re.compile(r"^(?P<key>[^\s!=(),]+)\s*(?P<op>==|=|!=)\s*(?P<value>[^\s!=(),]*)$")
_EXISTS = re.compile(r"^(?P<no>!?)\s*(?P<key>[^\s!=(),]+)$")
_COMMA_OUTSIDE = re.compile(r",(?![^(]*\))")


def by_labels(text: str) -> Selector:
    if not text.strip():
        return lambda _: True
    requirements = [_requirement(part.strip()) for part in _COMMA_OUTSIDE.split(text)]

    def selected(item: Json) -> bool:
        labels = item["metadata"].get("labels") or {}
        return all(holds(labels) for holds in requirements)

    return selected


def _requirement(text: str) -> _Requirement:
    if found := _SET.match(text):
        key, values = found["key"], {value.strip() for value in found["values"].split(",")}
        if found["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if found := _COMPARED.match(text):
        key, value = found["key"], found["value"]
        if found["op"] == "!=":
            return lambda labels: labels.get(key) != value
        return lambda labels: labels.get(key) == value
    if found := _EXISTS.match(text):
        key, wanted = found["key"], not found["no"]
        return lambda labels: (key in labels) is wanted
    raise bad_request(f"unable to parse requirement: {text!r}")


def by_fields(resource: Resource, text: str) -> Selector:
    if not text.strip():
        return lambda _: True
    parts = [_compared(resource, part.strip(), text) for part in text.split(",")]
    return lambda item: all((_field(item, field) == value) is equal for field, value, equal in parts)


def _compared(resource: Resource, part: str, whole: str) -> tuple[str, str, bool]:
    found = _COMPARED.match(part)
    if found is None:
        raise bad_request(f"invalid field selector: {part!r}; can't understand {part!r}")
    if found["key"] not in {"metadata.name", "metadata.namespace"} | resource.fields:
        why = f"field label not supported: {found['key']}"
        if not resource.fields and not resource.custom:
            why = f'"{found["key"]}" is not a known field selector: only "metadata.name", "metadata.namespace"'
        raise bad_request(
            f'Unable to find "{resource.gvr}" that match label selector "", field selector "{whole}": {why}'
        )
    return found["key"], found["value"], found["op"] != "!="


def _field(item: Json, path: str) -> str:
    value: object = item
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return "" if value is None else str(value)
