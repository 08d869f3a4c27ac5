"""What the server makes of an object that is given to it: names, versions, times, what may not be changed."""

import re
import uuid
from datetime import datetime, timedelta
from typing import Any

import msgspec

from responder.demo import schema
from responder.demo.patches import same
from responder.demo.resources import Generation, Json, Resource
from responder.demo.status import ApiFault, bad_request, conflict, invalid

_SYSTEM = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_FIRST_STATUS: dict[str, Json] = {
    "Pod": {"phase": "Pending", "qosClass": "BestEffort"},
    "Namespace": {"phase": "Active"},
    "Job": {},
}
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',"
    "  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_UID_SPACE = uuid.UUID("5f0c1a52-6a0e-4f0e-9d5e-0e4a9f5d7c11")


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def pruned(kind: str, item: Json) -> Json:
    return schema.pruned(kind, item)[0]


def created(resource: Resource, item: Json, namespace: str, now: datetime, serial: int) -> Json:
    """``serial`` gives the uid and a generated name: the same run gives the same ones."""
    meta = dict(_meta(resource, item))
    if resource.namespaced:
        meta["namespace"] = meta.get("namespace") or namespace or "default"
        if namespace and meta["namespace"] != namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    name = meta.get("name") or (f"{meta['generateName']}{_suffix(serial)}" if meta.get("generateName") else "")
    if not name:
        cause = "metadata.name: Required value: name or generateName is required"
        raise invalid(resource.qualified_kind, "", [cause])
    for field in ("resourceVersion", "managedFields", *_SYSTEM):
        meta.pop(field, None)
    meta |= {"name": name, "uid": str(uuid.uuid5(_UID_SPACE, str(serial))), "creationTimestamp": stamp(now)}
    if resource.generation is not Generation.NONE:
        meta["generation"] = 1
    new = {"apiVersion": resource.api_version, "kind": resource.kind, **item, "metadata": meta}
    new |= {"apiVersion": resource.api_version, "kind": resource.kind}
    if resource.status:
        new.pop("status", None)
    if resource.kind in _FIRST_STATUS:
        new["status"] = dict(_FIRST_STATUS[resource.kind])
    if resource.kind == "Job":
        new = _job_with_defaults(new)
    _refuse_violations(resource, new)
    return new


def _suffix(serial: int) -> str:
    number, letters = serial * 7_368_787 + 5_000_011, ""
    for _ in range(5):
        number, digit = divmod(number, len(_SUFFIX_LETTERS))
        letters += _SUFFIX_LETTERS[digit]
    return letters


def _job_with_defaults(job: Json) -> Json:
    """A Job gets the labels by which its Pods are found, unless it chose its own selector."""
    spec, meta = job.get("spec") or {}, job["metadata"]
    template = spec.get("template") or {}
    inner = template.get("metadata") or {}
    names = {"controller-uid": meta["uid"], "job-name": meta["name"]}
    labels = {**names, **{f"batch.kubernetes.io/{key}": value for key, value in names.items()}}
    template = {**template, "metadata": {**inner, "labels": {**(inner.get("labels") or {}), **labels}}}
    selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": meta["uid"]}}
    defaults = {"backoffLimit": 6, "completions": 1, "parallelism": 1, "suspend": False}
    return {
        **job,
        "metadata": {**meta, "labels": meta.get("labels") or template["metadata"]["labels"]},
        "spec": {**defaults, **spec, "selector": selector, "template": template},
    }


def updated(resource: Resource, old: Json, new: Json, subresource: str) -> Json:
    """Raises 409 for an outdated version, 422 for what may not be changed or does not fit the schema."""
    meta, before = _meta(resource, new), old["metadata"]
    name = before["name"]
    if meta.get("name") != name:
        raise bad_request(f"the name of the object ({meta.get('name')}) does not match the name on the URL ({name})")
    if meta.get("namespace", before.get("namespace")) != before.get("namespace"):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if meta.get("resourceVersion", before["resourceVersion"]) != before["resourceVersion"]:
        raise conflict(resource, name)
    if meta.get("uid", before["uid"]) != before["uid"]:
        cause = f'metadata.uid: Invalid value: "{meta["uid"]}": field is immutable'
        raise invalid(resource.qualified_kind, name, [cause])
    system = {key: before[key] for key in _SYSTEM if key in before}
    kept = {key: value for key, value in meta.items() if key not in _SYSTEM and key != "managedFields"}
    if subresource == "status":
        new = {**old, **({"status": new["status"]} if "status" in new else {})}
    else:
        named = {key: before[key] for key in ("name", "namespace", "resourceVersion") if key in before}
        new = {**new, "apiVersion": old["apiVersion"], "kind": old["kind"], "metadata": {**kept, **named, **system}}
        if resource.status:
            new = _with_status_of(old, new)
    _refuse_violations(resource, new)
    _refuse_new_template(resource, old, new)
    if _generation_rises(resource, old, new):
        new = {**new, "metadata": {**new["metadata"], "generation": before.get("generation", 0) + 1}}
    return new


def replaced(resource: Resource, old: Json, new: Json) -> Json:
    """What PUT asks for beyond ``updated``: 409 when the uid is another, a version where the kind demands one."""
    meta, name = _meta(resource, new), old["metadata"]["name"]
    if meta.get("uid") and meta["uid"] != old["metadata"]["uid"]:
        why = f"UID in precondition: {meta['uid']}, UID in object meta: {old['metadata']['uid']}"
        raise conflict(resource, name, f"Precondition failed: {why}")
    if not meta.get("resourceVersion") and (resource.custom or resource.kind == "Lease"):
        cause = "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update"
        raise invalid(resource.qualified_kind, name, [cause])
    return {**new, "metadata": {key: value for key, value in meta.items() if value != ""}}


def _with_status_of(old: Json, new: Json) -> Json:
    others = {key: value for key, value in new.items() if key != "status"}
    return {**others, "status": old["status"]} if "status" in old else others


def _meta(resource: Resource, item: Any) -> Json:
    """The metadata, if they are of a shape that we can work with."""
    meta = item.get("metadata") if isinstance(item, dict) else None
    try:
        msgspec.convert(meta, _Meta)
    except msgspec.ValidationError as error:
        raise _malformed(resource, str(error)) from error
    spec = item.get("spec")
    if not isinstance(spec, dict | None) or not isinstance(item.get("status"), dict | None):
        raise _malformed(resource, "spec and status must be objects")
    assert isinstance(meta, dict)  # noqa: S101 - convert has seen to it
    return meta


def _malformed(resource: Resource, why: str) -> ApiFault:
    if resource.custom:
        return invalid(resource.qualified_kind, "", [f"metadata: Invalid value: {why}"])
    return bad_request(f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {why}')


class _OwnerReference(msgspec.Struct):
    uid: str
    kind: str = ""
    name: str = ""


class _Meta(msgspec.Struct, rename="camel"):
    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    finalizers: list[str] | None = None
    owner_references: list[_OwnerReference] | None = None


def _refuse_violations(resource: Resource, new: Json) -> None:
    if causes := [*schema.violations(resource.kind, new), *_wrong_keys(resource, new)]:
        raise invalid(resource.qualified_kind, new["metadata"]["name"], causes)


def _wrong_keys(resource: Resource, new: Json) -> list[str]:
    """They become names of files."""
    data = new.get("data") if resource.kind in {"ConfigMap", "Secret"} else None
    keys = [key for key in data if not _KEY.fullmatch(key)] if isinstance(data, dict) else []
    return [f'data[{key}]: Invalid value: "{key}": {_KEY_RULE}' for key in keys]


def _refuse_new_template(resource: Resource, old: Json, new: Json) -> None:
    template, before = (new.get("spec") or {}).get("template"), old.get("spec") or {}
    if resource.kind == "Job" and not same(template, before.get("template")):
        # Of one that is suspended the real one looks at the Pod's spec alone (and allows a little; we do not).
        inner = template.get("spec") if isinstance(template, dict) else template
        where, value = ("spec.template.spec", inner) if before.get("suspend") else ("spec.template", template)
        cause = f"{where}: Invalid value: {msgspec.json.encode(value).decode()}: field is immutable"
        raise invalid(resource.qualified_kind, new["metadata"]["name"], [cause])


def _generation_rises(resource: Resource, old: Json, new: Json) -> bool:
    if resource.generation is Generation.SPEC:
        return not same(old.get("spec"), new.get("spec"))
    bodies = ({key: value for key, value in item.items() if key != "metadata"} for item in (old, new))
    return resource.generation is Generation.BODY and not same(*bodies)


def marked(old: Json, finalizers: list[str], now: datetime, grace: int | None) -> Json:
    """The object as one that is being deleted. ``grace`` None: what its spec says."""
    meta = dict(old["metadata"])
    if grace is None:
        grace = (old.get("spec") or {}).get("terminationGracePeriodSeconds", 30)
    if "deletionTimestamp" not in meta:
        meta |= {"deletionTimestamp": stamp(now + timedelta(seconds=grace)), "deletionGracePeriodSeconds": grace}
        if "generation" in meta:
            meta["generation"] += 1
    meta.pop("finalizers", None)
    return {**old, "metadata": {**meta, "finalizers": finalizers} if finalizers else meta}


def may_go(item: Json) -> bool:
    return "deletionTimestamp" in item["metadata"] and not item["metadata"].get("finalizers")
