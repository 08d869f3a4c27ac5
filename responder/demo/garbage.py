"""The garbage collector's part: what becomes of the objects that a deleted one owns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from responder.demo.resources import Json
from responder.demo.shelf import key_of

if TYPE_CHECKING:
    from responder.demo.objects import Objects

FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


def dependents(objects: Objects, owner: Json) -> list[Json]:
    uid, namespace = owner["metadata"]["uid"], owner["metadata"].get("namespace", "")
    return [
        item
        for resource in objects.resources
        for item in objects.list(resource.kind, namespace)
        if any(reference["uid"] == uid for reference in item["metadata"].get("ownerReferences") or ())
    ]


def made(objects: Objects, item: Json) -> None:
    """One that names only owners that are not there is garbage from the start. Of other kinds we know nothing."""
    namespace, references = key_of(item)[0], item["metadata"].get("ownerReferences") or ()
    if references and all(_is_absent(objects, namespace, reference) for reference in references):
        objects.delete(item["kind"], *key_of(item), propagation="Background")


def _is_absent(objects: Objects, namespace: str, reference: Json) -> bool:
    if not any(resource.kind == reference.get("kind") for resource in objects.resources):
        return False
    owner = objects.find(reference["kind"], namespace, reference.get("name", ""))
    return owner is None or owner["metadata"]["uid"] != reference["uid"]


def marked_gone(objects: Objects, item: Json) -> None:
    """It waits for its dependents: sees to them, and lets it go when none is left."""
    finalizers = item["metadata"].get("finalizers") or ()
    held_by = next((one for one in finalizers if one in FINALIZERS.values()), None)
    if held_by is None or "deletionTimestamp" not in item["metadata"]:
        return
    for dependent in dependents(objects, item):
        if held_by == "orphan":
            _orphan(objects, dependent, item["metadata"]["uid"])
        elif "deletionTimestamp" not in dependent["metadata"]:
            objects.delete(dependent["kind"], *key_of(dependent), propagation="Background")
    still_there = objects.find(item["kind"], *key_of(item)) is not None
    if still_there and not dependents(objects, item):
        objects.update(item["kind"], *key_of(item), lambda old: _without(old, "finalizers", held_by))


def gone(objects: Objects, item: Json) -> None:
    """It is no more: so are its dependents, and an owner that waited for it may go."""
    for dependent in dependents(objects, item):
        if objects.find(dependent["kind"], *key_of(dependent)) is not None:
            objects.delete(dependent["kind"], *key_of(dependent), propagation="Background")
    for reference in item["metadata"].get("ownerReferences") or ():
        declared = any(resource.kind == reference.get("kind") for resource in objects.resources)
        owner = declared and objects.find(reference["kind"], key_of(item)[0], reference.get("name", ""))
        if owner and owner["metadata"]["uid"] == reference["uid"]:
            marked_gone(objects, owner)


def _orphan(objects: Objects, dependent: Json, owner_uid: str) -> None:
    reference = next(one for one in dependent["metadata"]["ownerReferences"] if one["uid"] == owner_uid)
    objects.update(dependent["kind"], *key_of(dependent), lambda old: _without(old, "ownerReferences", reference))


def _without(item: Json, field: str, entry: object) -> Json:
    left = [one for one in item["metadata"].get(field) or () if one != entry]
    meta = {key: value for key, value in item["metadata"].items() if key != field}
    return {**item, "metadata": {**meta, field: left} if left else meta}
