"""What the CRD of Argo CD's Application lets in, as far as we write to it: unknown fields, types, required fields."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec

from responder.demo.resources import Json
from responder.demo.status import ApiFault, bad_request, invalid

# A dict is an object of known fields ("!" marks the required ones), a list an array, a type a scalar, None anything.
_ANY = None
_SYNC = {
    "revision": str,
    "revisions": [str],
    "prune": bool,
    "dryRun": bool,
    "syncStrategy": {"apply": {"force": bool}, "hook": {"force": bool}},
    "resources": [{"group": str, "kind!": str, "name!": str, "namespace": str, "exclude": bool}],
    "source": _ANY,
    "sources": [_ANY],
    "manifests": [str],
    "syncOptions": [str],
    "autoHealAttemptsCount": int,
}
_OPERATION = {
    "sync": _SYNC,
    "initiatedBy": {"username": str, "automated": bool},
    "info": [{"name!": str, "value!": str}],
    "retry": {
        "limit": int,
        "refresh": bool,
        "backoff": {"duration": str, "factor": int, "maxDuration": str},
    },
}
_RESULT = {
    **{f"{name}!": str for name in ("group", "version", "kind", "namespace", "name")},
    **dict.fromkeys(("status", "message", "hookType", "hookPhase", "syncPhase"), str),
    "images": [str],
}
_OPERATION_STATE = {
    "operation!": _OPERATION,
    "phase!": str,
    "startedAt!": str,
    "finishedAt": str,
    "message": str,
    "retryCount": int,
    "syncResult": {
        "revision!": str,
        "revisions": [str],
        "resources": [_RESULT],
        "source": _ANY,
        "sources": [_ANY],
        "managedNamespaceMetadata": _ANY,
    },
}
_META = {
    **dict.fromkeys(("name", "namespace", "generateName", "uid", "resourceVersion", "selfLink"), str),
    **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), str),
    **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), int),
    **dict.fromkeys(("labels", "annotations", "managedFields", "ownerReferences"), _ANY),
    "finalizers": [str],
}
_STATUS = {
    **dict.fromkeys(("resources", "sync", "health", "history", "conditions", "summary", "sourceTypes"), _ANY),
    **dict.fromkeys(("reconciledAt", "observedAt", "sourceType", "resourceHealthSource", "controllerNamespace"), str),
    "sourceHydrator": _ANY,
    "operationState": _OPERATION_STATE,
}
_APPLICATION = {
    "apiVersion": str,
    "kind": str,
    "metadata": _META,
    "spec!": _ANY,
    "status": _STATUS,
    "operation": _OPERATION,
}
_SCHEMAS: dict[str, Any] = {"Application": _APPLICATION}
_NAMES = {str: "string", int: "integer", bool: "boolean"}


def pruned(kind: str, item: Json) -> tuple[Json, list[str]]:
    """The object without the fields that its schema does not know, and their paths."""
    unknown: list[str] = []
    schema = _SCHEMAS.get(kind)
    return (_prune(item, schema, "", unknown) if schema else item), unknown


def _prune(value: Any, schema: Any, path: str, unknown: list[str]) -> Any:
    if isinstance(schema, list) and isinstance(value, list):
        return [_prune(one, schema[0], f"{path}[{i}]", unknown) for i, one in enumerate(value)]
    if not isinstance(schema, dict) or not isinstance(value, dict):
        return value
    kept = {}
    for name, field in value.items():
        inner = f"{path}.{name}" if path else name
        if name not in schema and f"{name}!" not in schema:
            unknown.append(inner)
        elif field is not None:  # a null is dropped, as the real one does
            kept[name] = _prune(field, schema.get(name, schema.get(f"{name}!")), inner, unknown)
    return kept


def refuse_unknown(kind: str, item: Json, unknown: list[str], *, patch: bool) -> ApiFault:
    """The answer to ``fieldValidation=Strict``."""
    why = "strict decoding error: " + ", ".join(f'unknown field "{path}"' for path in unknown)
    if patch:
        shown = json.dumps(msgspec.json.encode(item).decode())
        return invalid("", "", [f"patch: Invalid value: {shown}: {why}"])
    version = str(item.get("apiVersion", "")).rpartition("/")[2]
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {why}')


def violations(kind: str, item: Json) -> list[str]:
    schema = _SCHEMAS.get(kind)
    found = _violations(item, schema) if schema else ()
    return [why.format(path.removeprefix(".")) for path, why in found]


# The path, made from the inside out as it is seldom asked for, and what is wrong, with a place for the path.
_Violations = Iterable[tuple[str, str]]


def _violations(value: Any, schema: Any) -> _Violations:
    if schema is _ANY or type(value) is schema:
        return ()
    if isinstance(schema, dict) and isinstance(value, dict):
        return _object_violations(value, schema)
    if isinstance(schema, list) and isinstance(value, list):
        return [(f"[{i}]{path}", why) for i, one in enumerate(value) for path, why in _violations(one, schema[0])]
    return [("", _mistyped(value, schema))]


def _object_violations(value: Json, schema: dict[str, Any]) -> _Violations:
    found: list[tuple[str, str]] = []
    for field, inner in schema.items():
        name = field.removesuffix("!")
        if name in value:
            found += [(f".{name}{path}", why) for path, why in _violations(value[name], inner)]
        elif name != field:
            found.append((f".{name}", "{0}: Required value"))
    return found


def _mistyped(value: Any, schema: Any) -> str:
    names = {**_NAMES, dict: "object", list: "array", float: "number", type(None): "null"}
    wanted, given = names[schema if isinstance(schema, type) else type(schema)], names[type(value)]
    return f'{{0}}: Invalid value: "{given}": {{0}} in body must be of type {wanted}: "{given}"'
