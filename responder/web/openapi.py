"""/openapi.json, made from the table of routes and from the types that the handlers read and write."""

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from responder.web.problems import CONTENT_TYPE, Problem
from responder.web.routes import JSON, Route

_REF = "#/components/schemas/{name}"
_ALWAYS = (401, 503)
_CHANGING = (403,)

Document = dict[str, Any]


def document(routes: Sequence[Route], version: str) -> Document:
    (problem, *_), components = msgspec.json.schema_components([Problem, *_types(routes)], ref_template=_REF)
    paths: dict[str, Document] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, problem)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Argo CD hook responder",
            "version": version,
            "description": "Failed Argo CD hooks: cause, what was left behind, may it run again, what was decided.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }


def _types(routes: Iterable[Route]) -> list[type]:
    given = (kind for route in routes for kind in (route.answer, route.body) if kind is not None)
    return list(dict.fromkeys(given))


def _operation(route: Route, problem: Document) -> Document:
    operation: Document = {
        "summary": route.summary,
        "operationId": _identifier(route),
        "parameters": [*_in_path(route.path), *_in_query(route.query)],
        "responses": {str(route.status): _good(route), **_bad(route, problem)},
    }
    if route.body is not None:
        operation["requestBody"] = {"content": {JSON: {"schema": _reference(route.body)}}}
    if not route.identity:
        operation["security"] = []
    return operation


def _identifier(route: Route) -> str:
    return "-".join([route.method.lower(), *re.findall(r"[a-z0-9]+", route.path)])


def _in_path(path: str) -> list[Document]:
    names = re.findall(r"{(\w+)}", path)
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _in_query(kind: type[msgspec.Struct] | None) -> list[Document]:
    if kind is None:
        return []
    (reference,), components = msgspec.json.schema_components([kind], ref_template=_REF)
    schema = components[reference["$ref"].rpartition("/")[2]]
    return [
        {"name": name, "in": "query", "required": False, "schema": _inline(said, components)}
        for name, said in schema["properties"].items()
    ]


def _inline(schema: Any, components: Document) -> Any:
    """Enumerations of a query stand where they are used."""
    if isinstance(schema, list):
        return [_inline(item, components) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return components[schema["$ref"].rpartition("/")[2]]
    return {key: _inline(value, components) for key, value in schema.items()}


def _good(route: Route) -> Document:
    said: Document = {"description": HTTPStatus(route.status).phrase}
    if route.answer is not None:
        said["content"] = {JSON: {"schema": _reference(route.answer)}}
    if route.media != JSON:
        said.setdefault("content", {})[route.media] = {"schema": {"type": "string"}}
    return said


def _bad(route: Route, problem: Document) -> Document:
    always = _ALWAYS if route.identity else (503,)
    changing = _CHANGING if route.identity and route.method != "GET" else ()
    return {
        str(status): {"description": HTTPStatus(status).phrase, "content": {CONTENT_TYPE: {"schema": problem}}}
        for status in sorted({*always, *changing, *route.problems})
    }


def _reference(kind: type) -> Document:
    (reference,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return reference
