"""What the shipped admission policy lets our ServiceAccount do to an Application, asked of the real API server."""

import asyncio
import itertools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from responder.cluster.actuator import Actuator
from responder.cluster.errors import refused
from responder.cluster.reviews import Permissions
from responder.core.actions import (
    ActionKind,
    ActionRecord,
    Annotate,
    DeleteHook,
    Outcome,
    OutcomeResult,
    Resync,
    StopRetries,
)
from responder.core.appwire import decode_application
from responder.core.argocd import AppKey
from responder.wallclock import WallClock
from tests.cluster.kubernetes import Json, Kubernetes, path, read_manifests

pytestmark = [pytest.mark.real_cluster, pytest.mark.timeout(120)]

DEPLOY = Path(__file__).parents[2] / "deploy/kustomize"
SHIPPED = ("base/namespace.yaml", "base/serviceaccount.yaml", "base/reader.yaml")
ACTUATOR = ("components/actuator/actuator.yaml", "components/actuator/admission.yaml")
US = "system:serviceaccount:hook-responder:hook-responder"
REVISION = "4f1d2c8a9b7e6f5d4c3b2a1908f7e6d5c4b3a291"
ANOTHER = "1" * 40
STARTED, FINISHED = "2026-11-21T03:00:00Z", "2026-11-21T03:00:30Z"
BEGAN, ENDED = datetime(2026, 11, 21, 3, tzinfo=UTC), datetime(2026, 11, 21, 3, 0, 30, tzinfo=UTC)
APPLICATION, JOB = "argoproj.io/v1alpha1", "batch/v1"


class OurAccount:
    """The actuator's transport, as our ServiceAccount."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._session = kubernetes.session

    async def get(self, where: str) -> bytes:
        return await self._call("GET", where, b"", "application/json")

    async def create(self, where: str, body: bytes) -> bytes:
        return await self._call("POST", where, body, "application/json")

    async def merge_patch(self, where: str, body: bytes) -> bytes:
        return await self._call("PATCH", f"{where}?fieldValidation=Strict", body, "application/merge-patch+json")

    async def delete(self, where: str, body: bytes) -> bytes:
        return await self._call("DELETE", where, body, "application/json")

    async def _call(self, method: str, where: str, body: bytes, kind: str) -> bytes:
        headers = {"Impersonate-User": US, "Content-Type": kind}
        async with self._session.request(method, where, data=body or None, headers=headers) as response:
            answer = await response.read()
            if response.status >= 300:
                raise refused(response.status, response.reason or "", response.headers, answer)
        return answer


@pytest.fixture
async def policed(kubernetes: Kubernetes, namespace: str) -> str:
    """The namespace, with what is shipped in force: a policy takes a moment until it is."""
    for manifest in read_manifests(*(DEPLOY / name for name in SHIPPED + ACTUATOR)):
        await kubernetes.apply(manifest, "hook-responder")
    where = path(APPLICATION, "Application", namespace, "probe")
    await kubernetes.apply(application(namespace, "probe"))
    attempts = (str(number) for number in itertools.count())  # what was let through once would be no change
    async with asyncio.timeout(30):
        while (await told(kubernetes, where, {"metadata": {"labels": {"a": next(attempts)}}})).status != 422:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.1)
    return namespace


def application(namespace: str, name: str = "orders", **status: Any) -> Json:
    state = {
        "operation": {"sync": {"revision": REVISION}},
        "phase": "Failed",
        "message": "one or more synchronization tasks completed unsuccessfully",
        "startedAt": STARTED,
        "finishedAt": FINISHED,
        "syncResult": {"revision": REVISION, "source": SOURCE},
        **status,
    }
    return {
        "apiVersion": APPLICATION,
        "kind": "Application",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"team": "shop"},
            "annotations": {
                "hook-responder.io/mode": "live",
                "hook-responder.io/incident": "old",
                "other": "1",
                "argocd.argoproj.io/skip-reconcile": "true",  # the Argo CD of this cluster leaves it as it is written
            },
        },
        "spec": {
            "project": "default",
            "source": SOURCE,
            "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
            "syncPolicy": {"automated": {}, "syncOptions": ["CreateNamespace=true"]},
        },
        "status": {"health": {"status": "Healthy"}, "sync": {"status": "OutOfSync"}, "operationState": state},
    }


SOURCE = {"repoURL": "https://git.example.com/orders", "path": "deploy", "targetRevision": "main"}


class Answer(msgspec.Struct, frozen=True):
    status: int
    message: str = ""


async def told(kubernetes: Kubernetes, where: str, change: Json, method: str = "PATCH") -> Answer:
    """As our ServiceAccount."""
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    headers = {"Impersonate-User": US, "Content-Type": kind}
    async with kubernetes.session.request(method, where, json=change, headers=headers) as response:
        return Answer(response.status, (await response.json()).get("message", ""))


SYNC = {"revision": REVISION, "syncOptions": ["CreateNamespace=true"], "syncStrategy": {"hook": {}}}


def operation(**changed: Any) -> Json:
    sync = {key: value for key, value in {**SYNC, **changed}.items() if value is not None}
    return {"operation": {"initiatedBy": {"username": "argocd-hook-responder"}, "sync": sync}}


def state(**changed: Any) -> Json:
    return {"status": {"operationState": changed}}


ALLOWED: dict[str, Json] = {
    "the same revision again": operation(),
    "its own marks": {
        "metadata": {"annotations": {"hook-responder.io/incident": "i-1", "hook-responder.io/category": "x"}}
    },
    "its own marks taken away": {"metadata": {"annotations": {"hook-responder.io/incident": None}}},
    "nothing": {},
}
OF_THE_SPEC = "may not change the spec"
OF_THE_META = "may not change labels, finalizers or owners"
OF_THE_MARKS = "its own marks only"
OF_THE_STATUS = "the operation state only"
OF_THE_STATE = "the phase only, to Terminating"
OF_THE_SYNC = "only ask for the revisions that were synced last"
REFUSED: dict[str, tuple[Json, str]] = {
    "another revision in the spec": ({"spec": {"source": {"targetRevision": "evil"}}}, OF_THE_SPEC),
    "another repository": ({"spec": {"source": {"repoURL": "https://evil.example.com/x"}}}, OF_THE_SPEC),
    "another project": ({"spec": {"project": "admin"}}, OF_THE_SPEC),
    "automated sync": ({"spec": {"syncPolicy": None}}, OF_THE_SPEC),
    "a label": ({"metadata": {"labels": {"team": "evil"}}}, OF_THE_META),
    "no label": ({"metadata": {"labels": None}}, OF_THE_META),
    "a finalizer": ({"metadata": {"finalizers": ["resources-finalizer.argocd.argoproj.io"]}}, OF_THE_META),
    "an owner": (
        {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b"}]}},
        OF_THE_META,
    ),
    "an annotation of another": ({"metadata": {"annotations": {"other": "2"}}}, OF_THE_MARKS),
    "an annotation of another gone": ({"metadata": {"annotations": {"other": None}}}, OF_THE_MARKS),
    "a refresh": ({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}}, OF_THE_MARKS),
    "what people tell it": ({"metadata": {"annotations": {"hook-responder.io/mode": None}}}, OF_THE_MARKS),
    "the health": ({"status": {"health": {"status": "Degraded"}}}, OF_THE_STATUS),
    "the history": ({"status": {"history": []}}, OF_THE_STATUS),
    "no status": ({"status": None}, OF_THE_STATUS),
    "no operation state": ({"status": {"operationState": None}}, OF_THE_STATE),
    "an end that was none": (state(phase="Succeeded"), OF_THE_STATE),
    "an ended operation stopped": (state(phase="Terminating"), OF_THE_STATE),
    "another message": (state(message="all is well"), OF_THE_STATE),
    "another revision": (operation(revision=ANOTHER), OF_THE_SYNC),
    "the branch": (operation(revision="main"), OF_THE_SYNC),
    "no revision": (operation(revision=None), OF_THE_SYNC),
    "a source of its own": (operation(source={**SOURCE, "path": "evil"}), OF_THE_SYNC),
    "manifests of its own": (operation(manifests=["kind: Secret"]), OF_THE_SYNC),
    "some resources": (operation(resources=[{"kind": "Job", "name": "a"}]), OF_THE_SYNC),
    "no hooks": (operation(syncStrategy={"apply": {"force": True}}), OF_THE_SYNC),
    "other options": (operation(syncOptions=["Replace=true"]), OF_THE_SYNC),
    "no strategy": (operation(syncStrategy=None), OF_THE_SYNC),
    "no options": (operation(syncOptions=None), OF_THE_SYNC),
    "pruning that nobody asked for": (operation(prune=True), OF_THE_SYNC),
    "an operation without a sync": ({"operation": {"initiatedBy": {"username": "x"}}}, OF_THE_SYNC),
}  # fmt: skip


@pytest.mark.parametrize("what", ALLOWED)
async def test_it_may(kubernetes: Kubernetes, policed: str, what: str) -> None:
    await kubernetes.apply(application(policed))

    answer = await told(kubernetes, path(APPLICATION, "Application", policed, "orders"), ALLOWED[what])

    assert answer == Answer(200), answer


async def test_it_may_not(kubernetes: Kubernetes, policed: str) -> None:
    await kubernetes.apply(application(policed))
    where = path(APPLICATION, "Application", policed, "orders")
    before = await kubernetes.get(where)

    wrong = []
    for what, (change, why) in REFUSED.items():
        answer = await told(kubernetes, where, change)
        if answer.status != 422 or why not in answer.message:
            wrong.append((what, answer))

    assert wrong == []
    assert await kubernetes.get(where) == before


async def test_an_operation_that_runs_may_be_ended_and_nothing_else_of_it_changed(
    kubernetes: Kubernetes, policed: str
) -> None:
    where = path(APPLICATION, "Application", policed, "orders")
    await kubernetes.apply(application(policed, phase="Running"))

    changed = await told(kubernetes, where, state(phase="Terminating", message="x"))
    added = await told(kubernetes, where, state(phase="Terminating", retryCount=3))
    failed = await told(kubernetes, where, state(phase="Failed"))
    ended = await told(kubernetes, where, state(phase="Terminating"))

    assert [changed.status, added.status, failed.status, ended.status] == [422, 422, 422, 200]


async def test_an_operation_that_it_asked_for_may_be_touched_and_withdrawn(
    kubernetes: Kubernetes, policed: str
) -> None:
    where = path(APPLICATION, "Application", policed, "orders")
    await kubernetes.apply(application(policed))
    asked = await told(kubernetes, where, operation())

    touched = await told(kubernetes, where, {"operation": {"info": [{"name": "touched", "value": "1"}]}})
    another = await told(kubernetes, where, operation(revision=ANOTHER))
    withdrawn = await told(kubernetes, where, {"operation": None})

    assert [asked.status, touched.status, another.status, withdrawn.status] == [200, 200, 422, 200]


async def test_of_several_sources_all_revisions_are_those_that_were_synced(
    kubernetes: Kubernetes, policed: str
) -> None:
    synced = {"revision": "", "revisions": ["1.8.2", REVISION], "source": SOURCE}
    await kubernetes.apply(application(policed, syncResult=synced))
    where = path(APPLICATION, "Application", policed, "orders")

    another = await told(kubernetes, where, operation(revision=None, revisions=["1.8.2", ANOTHER]))
    half = await told(kubernetes, where, operation(revision=None, revisions=["1.8.2"]))
    same = await told(kubernetes, where, operation(revision=None, revisions=["1.8.2", REVISION]))

    assert [another.status, half.status, same.status] == [422, 422, 200]


async def test_it_neither_makes_nor_deletes_applications(kubernetes: Kubernetes, policed: str) -> None:
    """No right of it says so; a wider role would meet the policy."""
    where = path(APPLICATION, "Application", policed, "orders")
    await kubernetes.apply(application(policed))

    made = await told(kubernetes, path(APPLICATION, "Application", policed), application(policed, "new"), "POST")
    deleted = await told(kubernetes, where, {}, "DELETE")

    assert (made.status, deleted.status) == (403, 403)


async def test_people_and_argo_cd_are_not_concerned(kubernetes: Kubernetes, policed: str) -> None:
    await kubernetes.apply(application(policed))

    changed = await kubernetes.patch(
        path(APPLICATION, "Application", policed, "orders"), {"spec": {"source": {"targetRevision": "next"}}}
    )

    assert changed["spec"]["source"]["targetRevision"] == "next"


# Jobs.


def job(name: str, *, hook: bool, ended: bool) -> Json:
    container = {"name": "migrate", "image": "registry.example.com/orders:5", "command": ["true"]}
    return {
        "apiVersion": JOB,
        "kind": "Job",
        "metadata": {"name": name, "annotations": {"argocd.argoproj.io/hook": "PreSync"} if hook else {}},
        "spec": {
            "suspend": True,
            "activeDeadlineSeconds": 1 if ended else 600,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    }


async def finished_job(kubernetes: Kubernetes, namespace: str, name: str, *, hook: bool) -> Json:
    """Ended by its deadline: a controller does that, with or without a node."""
    await kubernetes.apply(job(name, hook=hook, ended=True), namespace)
    where = path(JOB, "Job", namespace, name)
    await kubernetes.patch(where, {"spec": {"suspend": False}})
    return await kubernetes.until(where, failed, within=60)


def failed(item: Json) -> bool:
    return any(c["type"] == "Failed" and c["status"] == "True" for c in item.get("status", {}).get("conditions", ()))


async def test_only_a_hook_that_has_ended_may_be_deleted(kubernetes: Kubernetes, policed: str) -> None:
    await kubernetes.apply(job("running", hook=True, ended=False), policed)
    await finished_job(kubernetes, policed, "ended", hook=True)
    await finished_job(kubernetes, policed, "no-hook", hook=False)

    answers = {name: await told(kubernetes, path(JOB, "Job", policed, name), {}, "DELETE") for name in
               ("running", "no-hook", "ended")}  # fmt: skip

    assert {name: answer.status for name, answer in answers.items()} == {"running": 422, "no-hook": 422, "ended": 200}
    assert "only a Job that has ended" in answers["running"].message
    assert "may delete hooks only" in answers["no-hook"].message


# The actuator itself.


@pytest.fixture
async def actuator(kubernetes: Kubernetes, policed: str) -> Actuator:
    """Its kill switch is this namespace's own, and released."""
    switch = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "switch"}, "data": {"engaged": "false"}}
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "switch"}}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "switch"}
    subject = {"kind": "ServiceAccount", "name": "hook-responder", "namespace": "hook-responder"}
    for item in (
        switch,
        {**rbac, "kind": "Role", "rules": [rule]},
        {**rbac, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]},
    ):
        await kubernetes.apply(item, policed)
    ours, clock = OurAccount(kubernetes), WallClock()
    return Actuator(
        argocd=ours, clusters={"in-cluster": ours}, permissions=Permissions(ours, clock, (policed,)),
        killswitch=(policed, "switch"), clock=clock, operations=lambda _: (), runs=lambda _: (),
        window_open=lambda *_: True,
    )  # fmt: skip


def record(kind: ActionKind, app: AppKey, uid: str) -> ActionRecord:
    return ActionRecord(
        id="action-1", decision_id="decision-1", incident_id="incident-1", kind=kind, app=app, app_uid=uid,
        operation=BEGAN, revisions=(REVISION,), begun_at=BEGAN, by="rule again", outcome=Outcome(OutcomeResult.PENDING),
    )  # fmt: skip


async def test_every_act_of_the_actuator_passes(kubernetes: Kubernetes, policed: str, actuator: Actuator) -> None:
    where, key = path(APPLICATION, "Application", policed, "orders"), AppKey(policed, "orders")
    made = await kubernetes.apply(application(policed))
    uid = made["metadata"]["uid"]
    app = decode_application(msgspec.json.encode(made), lambda text: text)
    ended = await finished_job(kubernetes, policed, "ended", hook=True)

    resync = await actuator.perform(
        Resync(
            record(ActionKind.RESYNC, key, uid), key, uid, BEGAN, ENDED, app.sources, (REVISION,), app.sync_options,
            prune=False,
        )
    )  # fmt: skip
    marks = {"hook-responder.io/incident": "incident-1", "hook-responder.io/category": "lock-timeout"}
    annotate = await actuator.perform(Annotate(record(ActionKind.ANNOTATE, key, uid), key, uid, marks))
    await kubernetes.patch(where, {"operation": None, **state(phase="Running")})
    stop = await actuator.perform(StopRetries(record(ActionKind.STOP_RETRIES, key, uid), key, uid, BEGAN, ENDED))
    delete = await actuator.perform(
        DeleteHook(record(ActionKind.DELETE_HOOK, key, uid), "in-cluster", policed, "ended", ended["metadata"]["uid"])
    )

    outcomes = [resync.result, annotate.result, stop.result, delete.result]
    begun, taken, done = OutcomeResult.BEGUN, OutcomeResult.TAKEN, OutcomeResult.SUCCEEDED
    assert outcomes == [begun, done, taken, done], (resync, annotate, stop, delete)


async def test_without_the_policy_s_leave_it_is_told_so(
    kubernetes: Kubernetes, policed: str, actuator: Actuator
) -> None:
    """A resync of revisions that were not synced last: what a fault of ours would be."""
    key = AppKey(policed, "orders")
    made = await kubernetes.apply(application(policed))
    uid, app = made["metadata"]["uid"], decode_application(msgspec.json.encode(made), lambda text: text)

    outcome = await actuator.perform(
        Resync(record(ActionKind.RESYNC, key, uid), key, uid, BEGAN, ENDED, app.sources, (ANOTHER,), (), prune=False)
    )

    assert outcome.result is OutcomeResult.REFUSED
    assert OF_THE_SYNC in outcome.detail
