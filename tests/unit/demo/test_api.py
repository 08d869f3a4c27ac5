import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from responder.demo.api import Api, Ask, Reply
from responder.demo.clock import SteppedClock
from responder.demo.objects import Objects
from responder.demo.resources import ATLAS, RESOURCES
from tests.unit.demo.cases import config, pod
from tests.unit.demo.conftest import NIGHT

APPLICATIONS = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications"


def call(api: Api, method: str, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
    data = b"" if body is None else json.dumps(body).encode()
    reply = api.handle(method, path, {}, headers, data)
    return reply.status, json.loads(reply.body)


def only_reads(ask: Ask) -> bool:
    return ask.verb in {"get", "list", "watch"} and ask.subresource != "log"


class TestAccess:
    def test_a_policy_refuses_in_the_servers_words(self, objects: Objects) -> None:
        objects.create("Application", {"metadata": {"name": "demo", "namespace": "argocd"}, "spec": {}})
        api = Api(objects, tokens={"secret": "responder"}, allow=only_reads)
        auth = {"Authorization": "Bearer secret"}
        assert call(api, "GET", f"{APPLICATIONS}/demo", **auth)[0] == 200
        status, body = call(api, "PATCH", f"{APPLICATIONS}/demo", {}, **auth)
        assert (status, body["reason"]) == (403, "Forbidden")
        assert body["message"] == (
            'applications.argoproj.io "demo" is forbidden: User "responder" cannot patch resource "applications" '
            'in API group "argoproj.io" in the namespace "argocd"'
        )

    def test_subresources_are_asked_for_by_name(self, objects: Objects) -> None:
        objects.put_raw("Pod", "ADDED", pod("p"))
        status, body = call(Api(objects, allow=only_reads), "GET", "/api/v1/namespaces/shop/pods/p/log")
        assert status == 403
        assert 'cannot get resource "pods/log"' in body["message"]

    def test_reviews_answer_by_the_same_policy(self, objects: Objects) -> None:
        api = Api(objects, allow=only_reads)
        path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
        answers = [
            call(api, "POST", path, {"spec": {"user": "eve", "resourceAttributes": {"verb": verb}}})
            for verb in ("get", "patch")
        ]
        assert [(status, body["status"]["allowed"]) for status, body in answers] == [(201, True), (201, False)]

    def test_a_review_is_about_the_user_it_names(self, objects: Objects) -> None:
        asked: list[str] = []

        def note(ask: Ask) -> bool:
            asked.append(ask.user)
            return True

        api = Api(objects, tokens={"secret": "responder"}, allow=note)
        auth = {"Authorization": "Bearer secret"}
        base = "/apis/authorization.k8s.io/v1"
        call(api, "POST", f"{base}/selfsubjectaccessreviews", {"spec": {"resourceAttributes": {}}}, **auth)
        call(api, "POST", f"{base}/subjectaccessreviews", {"spec": {"user": "eve"}}, **auth)
        assert asked == ["responder", "eve"]


def test_a_kind_that_is_not_declared_has_no_path(clock: SteppedClock) -> None:
    kinds = [resource.kind for resource in RESOURCES if resource.kind not in ATLAS]
    api = Api(Objects(clock, kinds=kinds))
    assert api.handle("GET", "/apis/db.atlasgo.io/v1alpha1/atlasmigrations", {}, {}, b"").status == 404
    assert api.handle("GET", "/apis/db.atlasgo.io/v1alpha1", {}, {}, b"").status == 404
    declared = Api(Objects(clock))
    assert declared.handle("GET", "/apis/db.atlasgo.io/v1alpha1/atlasmigrations", {}, {}, b"").status == 200


def test_a_page_of_a_forgotten_list_is_expired(objects: Objects) -> None:
    for name in "abc":
        objects.create("ConfigMap", config(name))
    api = Api(objects)
    token = json.loads(api.handle("GET", "/api/v1/configmaps", {"limit": "1"}, {}, b"").body)["metadata"]["continue"]
    objects.create("ConfigMap", config("d"))
    objects.compact()
    reply = api.handle("GET", "/api/v1/configmaps", {"continue": token}, {}, b"")
    assert (reply.status, json.loads(reply.body)["reason"]) == (410, "Expired")


def test_a_slash_at_the_end_is_forgiven(objects: Objects) -> None:
    assert Api(objects).handle("GET", "/version/", {}, {}, b"").status == 200


def test_a_table_is_given_as_objects_when_those_are_accepted_too(objects: Objects) -> None:
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io, application/json"}
    reply = Api(objects).handle("GET", "/api/v1/configmaps", {}, accept, b"")
    assert json.loads(reply.body)["kind"] == "ConfigMapList"
    only = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    assert Api(objects).handle("GET", "/api/v1/configmaps", {}, only, b"").status == 406


ROOTS = ["/api", "/api/v1", "/apis", "/apis/argoproj.io/v1alpha1", "/apis/batch/v1", "/apis/authorization.k8s.io/v1"]
WORDS = st.sampled_from(
    ["namespaces", "shop", "pods", "p", "log", "status", "jobs", "applications", "demo", "configmaps", "..", ""]
)
PATHS = st.tuples(st.sampled_from(ROOTS), st.lists(WORDS, max_size=5)).map(
    lambda parts: "/".join([parts[0], *parts[1]])
)
ITEMS = [f"{APPLICATIONS}/demo", "/api/v1/namespaces/shop/pods/p", "/api/v1/namespaces/shop/pods/p/log"]
NAMES = ["limit", "continue", "labelSelector", "fieldSelector", "watch", "resourceVersion", "timeoutSeconds"]
NAMES += ["tailLines", "limitBytes", "sinceTime", "sinceSeconds", "follow", "container", "gracePeriodSeconds"]
QUERIES = st.dictionaries(
    st.sampled_from(NAMES), st.sampled_from(["", "1", "-1", "true", "a=b", "x in (", "%", "e30="]), max_size=3
)
FIELDS = st.sampled_from(
    [
        *("metadata", "name", "namespace", "labels", "finalizers", "ownerReferences", "uid", "generateName"),
        *("spec", "status", "operation", "sync", "op", "path", "value"),
        *("preconditions", "resourceAttributes", "template", "containers"),
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "demo", "p", "/metadata", "test", "remove"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.binary(max_size=20) | VALUES.map(lambda value: json.dumps(value).encode())
TYPES = st.sampled_from(["", "json", "json-patch+json", "merge-patch+json", "strategic-merge-patch+json"])


@settings(max_examples=400)
@given(
    st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "BREW"]),
    PATHS | st.sampled_from(ITEMS),
    QUERIES,
    TYPES,
    BODIES,
)
def test_whatever_is_asked_is_answered(method: str, path: str, query: dict[str, str], kind: str, body: bytes) -> None:
    objects = Objects(SteppedClock(NIGHT))
    objects.create("Application", {"metadata": {"name": "demo", "namespace": "argocd"}, "spec": {}})
    objects.put_raw("Pod", "ADDED", pod("p"))
    reply: Reply = Api(objects).handle(method, path, query, {"Content-Type": f"application/{kind}"}, body)
    assert reply.status in {200, 201, 204, 400, 404, 405, 406, 409, 410, 415, 422}
    listed = Api(objects).handle("GET", "/apis/argoproj.io/v1alpha1/applications", {"labelSelector": "a!=b"}, {}, b"")
    assert listed.status == 200


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 100_000])
def test_deep_nesting_is_refused(objects: Objects, deep: bytes) -> None:
    assert Api(objects).handle("POST", APPLICATIONS, {}, {}, deep).status == 400
