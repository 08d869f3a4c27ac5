"""A list in pages, each a part of the same snapshot."""

import base64
import binascii

import msgspec

from responder.demo.objects import Objects
from responder.demo.request import Request, Target
from responder.demo.resources import Json
from responder.demo.shelf import Key, key_of
from responder.demo.status import bad_request

_PARTIAL = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}


def page(objects: Objects, request: Request, target: Target) -> Json:
    """``limit`` objects, and a token for the rest. Raises 410 when the token's snapshot is forgotten."""
    resource = target.resource
    token = request.query.get("continue", "")
    version, after = _read(token) if token else (objects.resource_version, None)
    chosen = request.selection(target)
    found = objects.list(resource.kind, target.namespace, version=version)
    left = [item for item in found if (after is None or key_of(item) > after) and chosen(item)]
    limit = request.number("limit") or len(left)
    shown = left[:limit]
    meta: Json = {"resourceVersion": str(version)}
    if len(left) > limit:
        meta |= {"continue": _token(version, key_of(shown[-1])), "remainingItemCount": len(left) - limit}
    if request.metadata_only():
        head = {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1"}
        return {**head, "metadata": meta, "items": [metadata_of(item) for item in shown]}
    items = shown if resource.custom else [_untyped(item) for item in shown]
    return {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": meta, "items": items}


def metadata_of(item: Json) -> Json:
    return {**_PARTIAL, "metadata": item["metadata"]}


def _untyped(item: Json) -> Json:
    """Items of a list of built-in kinds do not say what they are."""
    return {key: value for key, value in item.items() if key not in ("kind", "apiVersion")}


class _Token(msgspec.Struct):
    version: int
    after: Key


def _token(version: int, after: Key) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(_Token(version, after))).decode()


def _read(token: str) -> tuple[int, Key]:
    try:
        read = msgspec.json.decode(base64.urlsafe_b64decode(token), type=_Token)
    except (binascii.Error, msgspec.DecodeError, ValueError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    return read.version, read.after
