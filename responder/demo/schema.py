"""What the CRD of Argo CD's Application lets in, as far as we write to it: unknown fields, types, required fields."""

import json
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
    return _violations(item, schema, "") if schema else []


def _violations(value: Any, schema: Any, path: str) -> list[str]:
    if schema is _ANY:
        return []
    if isinstance(schema, dict):
        if not isinstance(value, dict):
            return [_mistyped(path, value, "object")]
        return _object_violations(value, schema, path)
    if isinstance(schema, list):
        if not isinstance(value, list):
            return [_mistyped(path, value, "array")]
        return [why for i, one in enumerate(value) for why in _violations(one, schema[0], f"{path}[{i}]")]
    return [] if type(value) is schema else [_mistyped(path, value, _NAMES[schema])]


def _object_violations(value: Json, schema: dict[str, Any], path: str) -> list[str]:
    found = []
    for field, inner in schema.items():
        name = field.removesuffix("!")
        below = f"{path}.{name}" if path else name
        if name in value:
            found += _violations(value[name], inner, below)
        elif field.endswith("!"):
            found.append(f"{below}: Required value")
    return found


def _mistyped(path: str, value: Any, wanted: str) -> str:
    names = {**_NAMES, dict: "object", list: "array", float: "number", type(None): "null"}
    given = names[type(value)]
    return f'{path}: Invalid value: "{given}": {path} in body must be of type {wanted}: "{given}"'
