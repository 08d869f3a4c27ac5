"""The resources our Kubernetes API server knows, and what makes them differ."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import msgspec

Json = dict[str, Any]


class Generation(StrEnum):
    """What raises ``metadata.generation``."""

    NONE = "none"
    SPEC = "spec"
    BODY = "body"  # all but metadata: a custom resource without a status subresource


class Resource(msgspec.Struct, frozen=True):
    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    generation: Generation = Generation.NONE
    status: bool = False  # has a status subresource
    custom: bool = False
    fields: frozenset[str] = frozenset()  # selectable besides metadata.name and metadata.namespace

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def gvr(self) -> str:
        return f"{self.group}/{self.version}, Resource={self.plural}"


_POD_FIELDS = frozenset(
    {"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase"}
)
_EVENT_FIELDS = frozenset(
    {f"involvedObject.{name}" for name in ("apiVersion", "fieldPath", "kind", "name", "namespace", "uid")}
    | {"reason", "type", "reportingComponent"}
)
_SPEC, _BODY = Generation.SPEC, Generation.BODY

RESOURCES = (
    Resource("", "v1", "namespaces", "Namespace", namespaced=False, status=True, fields=frozenset({"status.phase"})),
    Resource("", "v1", "pods", "Pod", generation=_SPEC, status=True, fields=_POD_FIELDS),
    Resource("", "v1", "events", "Event", fields=_EVENT_FIELDS),
    Resource("", "v1", "secrets", "Secret", fields=frozenset({"type"})),
    Resource("", "v1", "configmaps", "ConfigMap"),
    Resource("", "v1", "serviceaccounts", "ServiceAccount"),
    Resource("batch", "v1", "jobs", "Job", generation=_SPEC, status=True, fields=frozenset({"status.successful"})),
    Resource("coordination.k8s.io", "v1", "leases", "Lease"),
    Resource(
        "admissionregistration.k8s.io",
        "v1",
        "validatingadmissionpolicies",
        "ValidatingAdmissionPolicy",
        namespaced=False,
        generation=_SPEC,
        status=True,
    ),
    Resource("argoproj.io", "v1alpha1", "applications", "Application", generation=_BODY, custom=True),
    Resource("argoproj.io", "v1alpha1", "appprojects", "AppProject", generation=_BODY, custom=True),
    Resource(
        "db.atlasgo.io", "v1alpha1", "atlasmigrations", "AtlasMigration", generation=_SPEC, status=True, custom=True
    ),
    Resource("db.atlasgo.io", "v1alpha1", "atlasschemas", "AtlasSchema", generation=_SPEC, status=True, custom=True),
)
ATLAS = frozenset({"AtlasMigration", "AtlasSchema"})
REVIEWS = ("selfsubjectaccessreviews", "subjectaccessreviews")

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_REVIEW_GROUP = ("authorization.k8s.io", "v1")


def _described(resource: Resource) -> list[Json]:
    row = {"name": resource.plural, "singularName": resource.kind.lower(), "namespaced": resource.namespaced}
    rows = [{**row, "kind": resource.kind, "verbs": _VERBS}]
    if resource.status:
        rows.append({**rows[0], "name": f"{resource.plural}/status", "verbs": ["get", "patch", "update"]})
    if resource.kind == "Pod":
        rows.append({**rows[0], "name": "pods/log", "verbs": ["get"]})
    return rows


def _group(group: str, version: str) -> Json:
    served = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [served], "preferredVersion": served}


def discovery(resources: Iterable[Resource]) -> dict[str, Json]:
    """The documents of a server with these resources, by path."""
    known = tuple(resources)
    groups = sorted({(r.group, r.version) for r in known if r.group} | {_REVIEW_GROUP})
    documents: dict[str, Json] = {
        "/version": {"major": "1", "minor": "36", "gitVersion": "v1.36.3", "platform": "linux/amd64"},
        "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*one) for one in groups]},
    }
    for group, version in [("", "v1"), *groups]:
        rows = [row for r in known if (r.group, r.version) == (group, version) for row in _described(r)]
        if (group, version) == _REVIEW_GROUP:
            rows = [{"name": name, "namespaced": False, "verbs": ["create"]} for name in REVIEWS]
        name = f"{group}/{version}" if group else version
        path = f"/apis/{name}" if group else f"/api/{name}"
        documents[path] = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": rows}
        if group:
            documents[f"/apis/{group}"] = {"kind": "APIGroup", "apiVersion": "v1", **_group(group, version)}
    return documents
