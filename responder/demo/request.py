"""One request to the API, taken apart: which objects it is about, which of them, and how it wants to see them."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from responder.demo.resources import Json, Resource
from responder.demo.selectors import Selector, by_fields, by_labels
from responder.demo.shelf import key_of
from responder.demo.status import ApiFault, bad_request

Query = Mapping[str, str]


class Target(msgspec.Struct, frozen=True):
    resource: Resource
    namespace: str = ""
    name: str = ""
    subresource: str = ""


class Routes:
    def __init__(self, resources: Iterable[Resource]) -> None:
        self._resources = {(one.group, one.version, one.plural): one for one in resources}

    def target(self, path: str) -> Target | None:
        """None: there is no such resource."""
        match path.split("/")[1:]:
            case ["api", "v1" as version, *rest]:
                group = ""
            case ["apis", group, version, *rest]:
                pass
            case _:
                return None
        namespace = ""
        if len(rest) > 2 and rest[0] == "namespaces" and (group, version, rest[2]) in self._resources:
            namespace, rest = rest[1], rest[2:]
        resource = self._resources.get((group, version, rest[0])) if rest else None
        if resource is None or len(rest) > 3 or (namespace and not resource.namespaced):
            return None
        _, name, subresource = (*rest, "", "")[:3]
        nowhere = bool(name) and resource.namespaced and not namespace
        return None if nowhere else Target(resource, namespace, name, subresource)


class Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    query: Query
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise bad_request(f"the object provided is unrecognized: json parse error: {error}") from error

    def object(self) -> Json:
        value = self.json()
        if not isinstance(value, dict):
            raise bad_request("the object provided is unrecognized: it is not an object")
        return value

    def number(self, name: str) -> int:
        """0 when it is not there."""
        return whole(self.query.get(name) or "0", name)

    def selection(self, target: Target) -> Selector:
        labels = by_labels(self.query.get("labelSelector", ""))
        fields = by_fields(target.resource, self.query.get("fieldSelector", ""))

        def chosen(item: Json) -> bool:
            namespace, name = key_of(item)
            here = target.namespace in ("", namespace) and target.name in ("", name)
            return here and labels(item) and fields(item)

        return chosen

    def metadata_only(self) -> bool:
        """By the first way in ``Accept`` that we can show an object."""
        for wanted in self.headers.get("accept", "").split(","):
            parameters = {part.strip() for part in wanted.split(";")[1:]}
            if parameters & {"as=PartialObjectMetadata", "as=PartialObjectMetadataList"}:
                return True
            if not any(parameter.startswith("as=") for parameter in parameters):
                return False
        raise ApiFault(406, "NotAcceptable", "only the following media types are accepted: application/json")


def whole(value: object, name: str) -> int:
    try:
        number = int(str(value))
    except ValueError as error:
        raise bad_request(f"unable to parse {name}: {value!r}") from error
    if number < 0:
        raise bad_request(f"{name} must not be negative")
    return number


def truth(text: str | None) -> bool:
    """As the server reads a bool of a query: there, and neither ``false`` nor ``0``."""
    return text is not None and text.lower() not in {"false", "0"}
