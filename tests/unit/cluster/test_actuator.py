"""Every act against the in-memory API server: what is compared, what is written, and what becomes of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from responder.cluster.actuator import Actuator
from responder.cluster.errors import NotFound, Unavailable
from responder.cluster.reviews import Permissions
from responder.core.actions import (
    Act,
    ActionKind,
    ActionRecord,
    Annotate,
    DeleteHook,
    Outcome,
    OutcomeResult,
    Resync,
    StopRetries,
    Switch,
    Terminate,
)
from responder.core.appwire import decode_application
from responder.core.argocd import OperationPhase, OperationRecord
from responder.core.hooks import ContainerKind, HookRun
from responder.demo.api import Api, Ask
from responder.demo.clock import SteppedClock
from responder.demo.objects import Objects
from responder.demo.resources import Json
from tests.unit.cluster.direct import SOURCE, Wire
from tests.unit.core.night import KEY, REVISION, at, container, job, operation, pod, running, waiting

APP = f"/apis/argoproj.io/v1alpha1/namespaces/{KEY.namespace}/applications/{KEY.name}"
JOB = "/apis/batch/v1/namespaces/shop/jobs/db-migrate"


class Stage:
    """One failed Application, one finished Job, a released kill switch."""

    def __init__(self) -> None:
        self.clock = SteppedClock(at(10))
        self.objects = Objects(self.clock)
        self.api = Api(self.objects)
        self.wire = Wire(self.api)
        self.operations: list[OperationRecord] = []
        self.runs: list[HookRun] = []
        self.window: bool | None = True
        self.manual_only = False
        self.actuator = Actuator(
            argocd=self.wire,
            clusters={"in-cluster": self.wire},
            permissions=Permissions(self.wire, self.clock, ("argocd",)),
            killswitch=("hook-responder", "responder-killswitch"),
            clock=self.clock,
            operations=lambda _: self.operations,
            runs=lambda _: self.runs,
            window_open=lambda _, automated: not automated if self.manual_only else self.window,
        )
        self.engage("false")
        self.objects.create("Application", application())

    def engage(self, word: str | None) -> None:
        switch = {"metadata": {"name": "responder-killswitch"}, "data": {} if word is None else {"engaged": word}}
        if self.objects.find("ConfigMap", "hook-responder", "responder-killswitch") is not None:
            self.objects.delete("ConfigMap", "hook-responder", "responder-killswitch")
        self.objects.create("ConfigMap", switch, "hook-responder")

    def later(self, seconds: float) -> None:
        self.clock.move_to(self.clock.now() + timedelta(seconds=seconds))

    @property
    def app(self) -> Json:
        return self.objects.get("Application", KEY.namespace, KEY.name)

    @property
    def uid(self) -> str:
        return str(self.app["metadata"]["uid"])

    def change(self, patch: Json) -> None:
        self.objects.patch("Application", KEY.namespace, KEY.name, patch)

    @property
    def sources(self) -> str:
        return decode_application(msgspec.json.encode(self.app), str).sources


def application() -> Json:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": KEY.name, "namespace": KEY.namespace},
        "spec": {"project": "shop", "source": SOURCE, "destination": {"server": "https://kubernetes.default.svc"}},
        "status": {
            "operationState": {
                "phase": "Failed",
                "startedAt": "2026-11-21T03:00:00Z",
                "finishedAt": "2026-11-21T03:00:05Z",
                "operation": {"initiatedBy": {"automated": True}, "sync": {"revision": REVISION}},
                "syncResult": {"revision": REVISION, "source": SOURCE},
            }
        },
    }


@pytest.fixture
def stage() -> Stage:
    return Stage()


def action(stage: Stage, kind: ActionKind, **more: Any) -> ActionRecord:
    words = {"by": "rule again", "begun_at": at(10), "outcome": Outcome(OutcomeResult.BEGUN, at=at(10)), **more}
    return ActionRecord(
        id="act-0",
        decision_id="act",
        incident_id="incident-1",
        kind=kind,
        app=KEY,
        app_uid=stage.uid,
        operation=at(0),
        revisions=(REVISION,),
        **words,
    )


def resync(stage: Stage, **more: Any) -> Resync:
    words = {
        "action": action(stage, ActionKind.RESYNC),
        "app_uid": stage.uid,
        "started_at": at(0),
        "finished_at": at(5),
        "sources": stage.sources,
        "revisions": (REVISION,),
        "sync_options": ("CreateNamespace=true",),
        "prune": True,
        **more,
    }
    return Resync(app=KEY, **words)


def waits(stage: Stage) -> None:
    stage.change({"operation": {"sync": {}}, "status": {"operationState": {"phase": "Running"}}})


def runs(stage: Stage) -> None:
    stage.change({"operation": {"sync": {}}, "status": {"operationState": {"phase": "Running", "finishedAt": None}}})


def stop(stage: Stage) -> StopRetries:
    return StopRetries(action(stage, ActionKind.STOP_RETRIES), KEY, stage.uid, at(0), at(5))


def terminate(stage: Stage, *uids: str, by: str = "rule again") -> Terminate:
    return Terminate(
        action(stage, ActionKind.TERMINATE, by=by),
        KEY,
        stage.uid,
        at(0),
        uids,
        "in-cluster",
        ("shop",),
        ("istio-proxy",),
    )


def delete_hook(stage: Stage, uid: str, cluster: str = "in-cluster") -> DeleteHook:
    return DeleteHook(action(stage, ActionKind.DELETE_HOOK), cluster, "shop", "db-migrate", uid)


def finished_job(stage: Stage, *conditions: str) -> str:
    status = {"conditions": [{"type": c, "status": "True"} for c in conditions]}
    made = stage.objects.create("Job", {"metadata": {"name": "db-migrate"}, "status": status}, "shop")
    stage.objects.patch("Job", "shop", "db-migrate", {"status": status}, subresource="status")
    return str(made["metadata"]["uid"])


# What is written.


async def test_a_resync_is_one_patch_that_says_all_of_it(stage: Stage) -> None:
    before = stage.app
    outcome = await stage.actuator.perform(resync(stage))

    assert (outcome.result, outcome.detail) == (OutcomeResult.BEGUN, "asked for")
    assert stage.wire.written == [
        (
            "PATCH",
            APP,
            {
                "metadata": {
                    "uid": before["metadata"]["uid"],
                    "resourceVersion": before["metadata"]["resourceVersion"],
                },
                "operation": {
                    "initiatedBy": {"username": "argocd-hook-responder", "automated": True},
                    "info": [
                        {"name": "hook-responder.io/action", "value": "act-0"},
                        {"name": "Reason", "value": "rule again, incident incident-1"},
                    ],
                    "retry": {"limit": 0},
                    "sync": {
                        "revision": REVISION,
                        "prune": True,
                        "syncOptions": ["CreateNamespace=true"],
                        "syncStrategy": {"hook": {}},
                    },
                },
            },
        )
    ]
    assert stage.app["status"] == before["status"]  # never cleared


async def test_options_that_the_spec_lacks_are_not_asked_for(stage: Stage) -> None:
    await stage.actuator.perform(resync(stage, sync_options=(), prune=False))

    assert stage.app["operation"]["sync"] == {"revision": REVISION, "syncStrategy": {"hook": {}}}


async def test_revisions_of_several_sources_are_a_list_also_of_one(stage: Stage) -> None:
    stage.change({"spec": {"source": None, "sources": [SOURCE]}})
    await stage.actuator.perform(resync(stage))

    assert stage.app["operation"]["sync"]["revisions"] == [REVISION]
    assert "revision" not in stage.app["operation"]["sync"]


async def test_stopping_sets_the_phase_and_nothing_else(stage: Stage) -> None:
    waits(stage)
    meta = stage.app["metadata"]
    outcome = await stage.actuator.perform(stop(stage))

    assert outcome.result is OutcomeResult.TAKEN
    assert stage.wire.written == [
        (
            "PATCH",
            APP,
            {
                "metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]},
                "status": {"operationState": {"phase": "Terminating"}},
            },
        )
    ]


async def test_a_hook_is_deleted_by_its_uid(stage: Stage) -> None:
    uid = finished_job(stage, "FailureTarget", "Failed")
    outcome = await stage.actuator.perform(delete_hook(stage, uid))

    assert outcome.result is OutcomeResult.SUCCEEDED
    assert stage.wire.written == [
        (
            "DELETE",
            JOB,
            {
                "apiVersion": "v1",
                "kind": "DeleteOptions",
                "propagationPolicy": "Background",
                "preconditions": {"uid": uid},
            },
        )
    ]
    assert outcome.detail == "deleted"
    assert stage.objects.find("Job", "shop", "db-migrate") is None


@pytest.mark.parametrize(
    ("finalizer", "until"),
    [
        ("argocd.argoproj.io/hook-finalizer", "until the next sync"),
        ("example.com/keep", "until that is taken off"),
    ],
)
async def test_a_deleted_hook_that_is_still_held_is_told_so(stage: Stage, finalizer: str, until: str) -> None:
    uid = finished_job(stage, "FailureTarget", "Failed")
    stage.objects.patch("Job", "shop", "db-migrate", {"metadata": {"finalizers": [finalizer]}})

    outcome = await stage.actuator.perform(delete_hook(stage, uid))

    assert outcome.result is OutcomeResult.SUCCEEDED
    assert outcome.detail == f"deleted; its finalizer {finalizer} holds it {until}"


async def test_an_annotation_is_a_courtesy_with_the_same_care(stage: Stage) -> None:
    note = Annotate(action(stage, ActionKind.ANNOTATE), KEY, stage.uid, {"hook-responder.io/incident": "incident-1"})

    assert (await stage.actuator.perform(note)).result is OutcomeResult.SUCCEEDED
    assert stage.app["metadata"]["annotations"] == {"hook-responder.io/incident": "incident-1"}
    assert stage.wire.written[0][2]["metadata"]["uid"] == stage.uid


# What changed between judging and writing.


def once(change: Callable[[], None]) -> Callable[[], None]:
    left = [change]
    return lambda: left.pop()() if left else None


MOVED: dict[str, tuple[Json, str]] = {
    "another operation": (
        {"status": {"operationState": {"startedAt": "2026-11-21T03:00:07Z"}}},
        "another operation has begun since",
    ),
    "no operation state": ({"status": {"operationState": None}}, "another operation has begun since"),
    "it runs": (
        {"status": {"operationState": {"phase": "Running", "finishedAt": None}}},
        "the operation has not failed",
    ),
    "it waits": ({"status": {"operationState": {"phase": "Running"}}}, "the operation has not failed"),
    "it terminates": ({"status": {"operationState": {"phase": "Terminating"}}}, "the operation has not failed"),
    "it succeeded": ({"status": {"operationState": {"phase": "Succeeded"}}}, "the operation has not failed"),
    "it ended later": (
        {"status": {"operationState": {"finishedAt": "2026-11-21T03:00:08Z"}}},
        "it ended at another time than was judged",
    ),
    "somebody asked for a sync": ({"operation": {"sync": {"revision": "x"}}}, "an operation is requested or runs"),
    "the sources changed": ({"spec": {"source": {"targetRevision": "other"}}}, "the sources have changed"),
    "the sources are gone": ({"spec": {"source": None}}, "the sources have changed"),
}


@pytest.mark.parametrize("what", MOVED)
async def test_a_resync_of_what_moved_on_writes_nothing(stage: Stage, what: str) -> None:
    judged, (change, why) = resync(stage), MOVED[what]
    stage.change(change)
    outcome = await stage.actuator.perform(judged)

    assert (outcome.result, outcome.detail) == (OutcomeResult.CONFLICT, why)
    assert stage.wire.written == []


@pytest.mark.parametrize("what", MOVED)
async def test_what_moves_on_at_the_last_moment_is_read_again(stage: Stage, what: str) -> None:
    """Between our read and our write: 409, then the comparison says no."""
    judged, (change, why) = resync(stage), MOVED[what]
    stage.wire.before_write = once(lambda: stage.change(change))
    outcome = await stage.actuator.perform(judged)

    assert (outcome.result, outcome.detail) == (OutcomeResult.CONFLICT, why)
    assert stage.wire.written == []


async def test_a_409_of_the_notifications_controller_is_read_compared_and_written_again(stage: Stage) -> None:
    stage.wire.before_write = once(lambda: stage.change({"metadata": {"annotations": {"notified": "1"}}}))
    outcome = await stage.actuator.perform(resync(stage))

    assert outcome.result is OutcomeResult.BEGUN
    assert len(stage.wire.written) == 1
    assert stage.wire.written[0][2]["metadata"]["resourceVersion"] != "1"


async def test_an_object_that_never_stands_still_is_given_up(stage: Stage) -> None:
    count = iter(range(100))
    stage.wire.before_write = lambda: stage.change({"metadata": {"annotations": {"n": str(next(count))}}})
    outcome = await stage.actuator.perform(resync(stage))

    assert outcome.result is OutcomeResult.CONFLICT
    assert outcome.detail == "the object changed 5 times while it was compared"
    assert "operation" not in stage.app


async def test_a_person_syncs_as_one_where_a_window_lets_people_only(stage: Stage) -> None:
    stage.manual_only = True

    assert (await stage.actuator.perform(resync(stage))).result is OutcomeResult.CONFLICT
    assert (await stage.actuator.perform(resync(stage, manual=True))).result is OutcomeResult.BEGUN
    ((_, _, body),) = stage.wire.written
    assert body["operation"]["initiatedBy"] == {"username": "argocd-hook-responder"}


@pytest.mark.parametrize("window", [False, None])
async def test_a_window_has_to_be_known_to_be_open(stage: Stage, window: bool | None) -> None:
    stage.window = window

    assert (await stage.actuator.perform(resync(stage))).detail == "no sync window is known to be open"
    assert stage.wire.written == []


async def test_revisions_that_are_not_known_are_not_asked_for(stage: Stage) -> None:
    assert (
        await stage.actuator.perform(resync(stage, revisions=()))
    ).detail == "the revisions that failed are not known"


async def test_an_application_that_is_gone_or_another_is_left_alone(stage: Stage) -> None:
    judged = resync(stage)
    stage.objects.delete("Application", KEY.namespace, KEY.name)
    assert (await stage.actuator.perform(judged)).detail == "the Application is gone"
    stage.objects.create("Application", application())
    assert (await stage.actuator.perform(judged)).detail == "another Application has this name now"
    assert stage.wire.written == []


STOPS: dict[str, Json] = {
    "it began the next attempt": {"finishedAt": None},
    "it ended": {"phase": "Failed"},
    "another attempt ended": {"finishedAt": "2026-11-21T03:00:25Z"},
    "another operation": {"startedAt": "2026-11-21T03:00:07Z"},
}


@pytest.mark.parametrize("what", STOPS)
async def test_only_the_wait_that_was_judged_is_stopped(stage: Stage, what: str) -> None:
    waits(stage)
    judged = stop(stage)
    stage.wire.before_write = once(lambda: stage.change({"status": {"operationState": STOPS[what]}}))
    outcome = await stage.actuator.perform(judged)

    assert outcome.result is OutcomeResult.CONFLICT
    assert stage.wire.written == []


TERMINATED: dict[str, tuple[list[HookRun], bool]] = {
    "nothing runs": ([job(1, uid="j", pods=(pod(waiting("ImagePullBackOff")),), active=1)], True),
    "a sidecar runs": ([job(1, uid="j", pods=(pod(container(), running("p", kind=ContainerKind.SIDECAR)),))], True),
    "of before": ([job(-60, uid="old", pods=(pod(running()),))], True),
    "a migration runs": ([job(1, uid="j", pods=(pod(running()),), active=1)], False),
    "a hook that was not judged": ([job(1, uid="j"), job(2, uid="new")], False),
    "a Pod that was not seen": ([job(1, uid="j", active=1)], False),
}


@pytest.mark.parametrize("what", TERMINATED)
async def test_no_running_migration_is_ended_without_a_person(stage: Stage, what: str) -> None:
    runs(stage)
    stage.runs, free = TERMINATED[what]
    outcome = await stage.actuator.perform(terminate(stage, "j"))

    assert outcome.result is (OutcomeResult.TAKEN if free else OutcomeResult.CONFLICT)
    assert outcome.detail == ("terminated" if free else "a migration container runs (I5)")


@pytest.mark.parametrize("what", TERMINATED)
async def test_a_person_may_end_it_all_the_same(stage: Stage, what: str) -> None:
    runs(stage)
    stage.runs, _ = TERMINATED[what]

    seen = msgspec.structs.replace(terminate(stage, "j", by="ana"), ends_running=True)
    assert (await stage.actuator.perform(seen)).result is OutcomeResult.TAKEN


@pytest.mark.parametrize("what", [what for what, (_, free) in TERMINATED.items() if not free])
async def test_a_person_who_saw_nothing_run_ends_nothing_that_runs_by_now(stage: Stage, what: str) -> None:
    runs(stage)
    stage.runs, _ = TERMINATED[what]
    outcome = await stage.actuator.perform(terminate(stage, "j", by="ana"))

    assert (outcome.result, outcome.detail) == (OutcomeResult.CONFLICT, "a migration container runs (I5)")


@pytest.mark.parametrize("said", ["off", "shadow"])
@pytest.mark.parametrize("what", ["resync", "delete-hook"])
async def test_whom_an_application_keeps_out_by_now_does_nothing_to_it(stage: Stage, what: str, said: str) -> None:
    act = resync(stage) if what == "resync" else delete_hook(stage, finished_job(stage, "Failed"))
    stage.change({"metadata": {"annotations": {"hook-responder.io/mode": said}}})
    outcome = await stage.actuator.perform(act)

    assert (outcome.result, outcome.detail) == (
        OutcomeResult.CONFLICT, f"the Application says hook-responder.io/mode: {said}",
    )  # fmt: skip
    assert stage.wire.written == []


# What the watch has not told yet.

OF_SHOP = {"annotations": {"argocd.argoproj.io/hook": "PreSync"}, "labels": {"app.kubernetes.io/instance": "orders"}}


def hook_there(stage: Stage, name: str, *, state: Json | None = None, **meta: Any) -> str:
    """A hook Job of the Application on the API server, with a Pod whose container is in this state."""
    made = stage.objects.create("Job", {"metadata": {"name": name, **OF_SHOP, **meta}}, "shop")
    uid = str(made["metadata"]["uid"])
    stage.objects.patch("Job", "shop", name, {"status": {"active": int(state is not None)}}, subresource="status")
    if state is not None:
        labels = {"batch.kubernetes.io/controller-uid": uid}
        spec = {"containers": [{"name": "migrate", "image": "shop:1"}, {"name": "istio-proxy", "image": "proxy:1"}]}
        stage.objects.create("Pod", {"metadata": {"name": f"{name}-1", "labels": labels}, "spec": spec}, "shop")
        status = {"containerStatuses": [{"name": "migrate", "restartCount": 0, "state": state}]}
        stage.objects.patch("Pod", "shop", f"{name}-1", {"status": status}, subresource="status")
    return uid


RUNS: Json = {"running": {"startedAt": "2026-11-21T03:00:09Z"}}
WAITS: Json = {"waiting": {"reason": "ImagePullBackOff"}}
ENDED: Json = {"terminated": {"exitCode": 0, "reason": "Completed"}}


@pytest.mark.parametrize(("state", "why"), [
    (RUNS, "container migrate of db-migrate-1 runs (I5)"), (WAITS, ""), (ENDED, ""),
])  # fmt: skip
async def test_before_it_terminates_a_rule_asks_what_runs(stage: Stage, state: Json, why: str) -> None:
    runs(stage)
    uid = hook_there(stage, "db-migrate", state=state)
    stage.runs = [job(1, uid=uid, pods=(pod(waiting("ImagePullBackOff")),), active=1)]
    outcome = await stage.actuator.perform(terminate(stage, uid))

    assert (outcome.result, outcome.detail) == (
        (OutcomeResult.CONFLICT, why) if why else (OutcomeResult.TAKEN, "terminated")
    )


async def test_a_hook_that_nobody_judged_is_not_ended_by_a_rule(stage: Stage) -> None:
    runs(stage)
    hook_there(stage, "backfill")
    outcome = await stage.actuator.perform(terminate(stage))

    assert outcome.detail == "hook backfill, which was not judged, runs (I5)"
    seen = msgspec.structs.replace(terminate(stage, by="ana"), ends_running=True)
    assert (await stage.actuator.perform(seen)).result is OutcomeResult.TAKEN


@pytest.mark.parametrize(
    "meta", [{"labels": {"app.kubernetes.io/instance": "reports"}}, {"annotations": {}}],
    ids=["of another Application", "no hook"],
)  # fmt: skip
async def test_what_is_no_hook_of_this_application_may_run(stage: Stage, meta: Json) -> None:
    hook_there(stage, "other", state=RUNS, **meta)
    runs(stage)

    assert (await stage.actuator.perform(terminate(stage))).result is OutcomeResult.TAKEN


async def test_what_is_left_of_an_earlier_operation_may_run(stage: Stage) -> None:
    hook_there(stage, "old", state=RUNS)
    runs(stage)
    stage.change({"status": {"operationState": {"startedAt": "2026-11-21T03:01:00Z"}}})
    later = msgspec.structs.replace(terminate(stage), started_at=at(60))

    assert (await stage.actuator.perform(later)).result is OutcomeResult.TAKEN


async def test_where_nobody_can_ask_what_runs_a_rule_terminates_nothing(stage: Stage) -> None:
    runs(stage)
    elsewhere = msgspec.structs.replace(terminate(stage), cluster="eu")
    outcome = await stage.actuator.perform(elsewhere)

    assert (outcome.result, outcome.detail) == (
        OutcomeResult.CONFLICT, "cluster eu cannot be asked what runs there (I5)",
    )  # fmt: skip
    assert stage.wire.written == []


async def test_what_ended_meanwhile_is_not_terminated(stage: Stage) -> None:
    outcome = await stage.actuator.perform(terminate(stage))

    assert (outcome.result, outcome.detail) == (OutcomeResult.CONFLICT, "the operation does not run")


async def test_another_job_of_the_name_is_not_deleted(stage: Stage) -> None:
    finished_job(stage, "Failed")
    outcome = await stage.actuator.perform(delete_hook(stage, "another uid"))

    assert (outcome.result, outcome.detail) == (OutcomeResult.CONFLICT, "another Job has this name now")


async def test_a_job_that_was_replaced_at_the_last_moment_is_not_deleted(stage: Stage) -> None:
    uid = finished_job(stage, "Failed")

    def replace_it() -> None:
        stage.objects.delete("Job", "shop", "db-migrate", propagation="Background")
        finished_job(stage, "Failed")

    stage.wire.before_write = once(replace_it)
    outcome = await stage.actuator.perform(delete_hook(stage, uid))

    assert (outcome.result, outcome.detail) == (OutcomeResult.CONFLICT, "another Job has this name now")
    assert stage.objects.find("Job", "shop", "db-migrate") is not None


async def test_a_job_that_runs_is_not_deleted(stage: Stage) -> None:
    uid = finished_job(stage, "FailureTarget")

    assert (await stage.actuator.perform(delete_hook(stage, uid))).detail == "the Job has not finished"


async def test_a_job_that_is_gone_already_is_what_was_wanted(stage: Stage) -> None:
    assert (await stage.actuator.perform(delete_hook(stage, "uid"))).result is OutcomeResult.SUCCEEDED


async def test_a_cluster_that_is_not_configured_is_not_guessed(stage: Stage) -> None:
    outcome = await stage.actuator.perform(delete_hook(stage, "uid", cluster="west"))

    assert outcome.detail == "cluster west is not configured"


# The kill switch.


@pytest.mark.parametrize("word", ["true", "", "no", "False!", None])
async def test_anything_but_a_clear_false_is_engaged(stage: Stage, word: str | None) -> None:
    stage.engage(word)

    assert await stage.actuator.killswitch() is Switch.ENGAGED
    assert (await stage.actuator.perform(resync(stage))).detail == "the kill switch is engaged"
    assert stage.wire.written == []


async def test_a_switch_that_is_absent_or_unreadable_holds_too(stage: Stage) -> None:
    stage.objects.delete("ConfigMap", "hook-responder", "responder-killswitch")
    assert await stage.actuator.killswitch() is Switch.ABSENT
    assert (await stage.actuator.perform(resync(stage))).result is OutcomeResult.REFUSED
    stage.wire.before_read = unreachable("configmaps")
    assert await stage.actuator.killswitch() is Switch.UNREADABLE
    assert (await stage.actuator.perform(resync(stage))).result is OutcomeResult.REFUSED
    assert stage.wire.written == []


def unreachable(what: str) -> Callable[[str], None]:
    def refuse(path: str) -> None:
        if what in path:
            raise Unavailable(503, "ServiceUnavailable", "the server is not ready")

    return refuse


async def test_a_switch_that_is_engaged_while_we_compare_holds_every_act(stage: Stage) -> None:
    """It is read after the Application, right before the write."""
    stage.wire.before_read = lambda path: stage.engage("true") if "applications" in path else None

    assert (await stage.actuator.perform(resync(stage))).detail == "the kill switch is engaged"
    assert stage.wire.written == []


# Answers that do not come.


async def test_an_answer_that_was_lost_is_looked_for_and_never_repeated(stage: Stage) -> None:
    stage.wire.after_write = lost
    outcome = await stage.actuator.perform(resync(stage))

    assert outcome.result is OutcomeResult.BEGUN
    assert len(stage.wire.written) == 1
    stage.wire.after_write = lambda: None
    followed = await stage.actuator.follow(action(stage, ActionKind.RESYNC))
    assert followed.outcome.result is OutcomeResult.BEGUN
    assert len(stage.wire.written) == 1


def lost() -> None:
    raise Unavailable(0, "Timeout", "no whole answer within the deadline")


async def test_a_write_that_never_left_was_not_done(stage: Stage) -> None:
    def never_left() -> None:
        raise Unavailable(0, "Connection", "ClientConnectorError", sent=False)

    stage.wire.before_write = never_left

    assert (await stage.actuator.perform(resync(stage))).result is OutcomeResult.CONFLICT


@pytest.mark.parametrize("what", ["applications", "jobs"])
async def test_what_cannot_be_read_was_not_written(stage: Stage, what: str) -> None:
    uid, judged = finished_job(stage, "Failed"), resync(stage)
    stage.wire.before_read = unreachable(what)
    act: Act = judged if what == "applications" else delete_hook(stage, uid)

    assert (await stage.actuator.perform(act)).result is OutcomeResult.CONFLICT
    assert stage.wire.written == []


async def test_what_the_server_refuses_is_told_with_its_reason(stage: Stage) -> None:
    judged = resync(stage)
    stage.api.allow = lambda ask: ask.verb != "patch"
    outcome = await stage.actuator.perform(judged)

    assert outcome.result is OutcomeResult.REFUSED
    assert outcome.detail.startswith("403 Forbidden: ")


# What becomes of it.


async def begun(stage: Stage) -> ActionRecord:
    await stage.actuator.perform(resync(stage))
    return action(stage, ActionKind.RESYNC)


async def test_it_is_followed_to_its_good_end(stage: Stage) -> None:
    act = await begun(stage)
    operation_state = {
        "phase": "Running",
        "startedAt": "2026-11-21T03:00:11Z",
        "finishedAt": None,
        "operation": stage.app["operation"],
    }
    stage.change({"status": {"operationState": operation_state}})
    taken = await stage.actuator.follow(act)
    assert (taken.outcome.result, taken.new_operation) == (OutcomeResult.TAKEN, at(11))
    assert await stage.actuator.follow(taken) == taken
    ended = {"phase": "Succeeded", "finishedAt": "2026-11-21T03:00:20Z", "message": "all tasks run"}
    stage.change({"operation": None, "status": {"operationState": ended}})

    done = await stage.actuator.follow(taken)
    assert (done.outcome.result, done.outcome.detail) == (OutcomeResult.SUCCEEDED, "all tasks run")


@pytest.mark.parametrize(
    ("phase", "result"),
    [
        (OperationPhase.FAILED, OutcomeResult.FAILED),
        (OperationPhase.ERROR, OutcomeResult.FAILED),
        (OperationPhase.SUCCEEDED, OutcomeResult.SUCCEEDED),
        (OperationPhase.TERMINATING, OutcomeResult.TAKEN),
    ],
)
async def test_an_end_that_a_newer_operation_covered_is_found_in_what_was_seen(
    stage: Stage, phase: OperationPhase, result: OutcomeResult
) -> None:
    ours = operation(phase, started=11, finished=20)
    stage.operations = [msgspec.structs.replace(ours, request=msgspec.structs.replace(ours.request, action_id="act-0"))]
    stage.later(60)

    followed = await stage.actuator.follow(action(stage, ActionKind.RESYNC))
    assert (followed.outcome.result, followed.new_operation) == (result, at(11))


async def test_an_operation_that_is_overlooked_is_touched_once_and_then_withdrawn(stage: Stage) -> None:
    act = await begun(stage)
    stage.later(5)
    assert await stage.actuator.follow(act) == act
    stage.later(1)
    touched = await stage.actuator.follow(act)
    assert touched.touched is True
    assert [i["name"] for i in stage.app["operation"]["info"]] == [
        "hook-responder.io/action",
        "hook-responder.io/touched",
    ]
    assert stage.app["operation"]["sync"]["revision"] == REVISION
    stage.later(54)
    assert await stage.actuator.follow(touched) == touched
    stage.later(1)
    withdrawn = await stage.actuator.follow(touched)

    assert withdrawn.outcome.result is OutcomeResult.NOT_TAKEN
    assert "operation" not in stage.app
    assert [body["metadata"]["uid"] for _, _, body in stage.wire.written] == [stage.uid] * 3


async def test_what_was_taken_up_at_the_last_moment_is_not_withdrawn(stage: Stage) -> None:
    act = await begun(stage)
    stage.later(61)
    state = {
        "phase": "Running",
        "startedAt": "2026-11-21T03:01:11Z",
        "finishedAt": None,
        "operation": stage.app["operation"],
    }
    stage.wire.before_write = lambda: stage.change({"status": {"operationState": state}})
    followed = await stage.actuator.follow(act)

    assert followed == act  # 409: looked at again
    assert (await stage.actuator.follow(act)).outcome.result is OutcomeResult.TAKEN
    assert "operation" in stage.app


async def test_nothing_is_touched_or_withdrawn_while_the_switch_is_engaged(stage: Stage) -> None:
    act = await begun(stage)
    stage.engage("true")
    stage.later(120)

    assert await stage.actuator.follow(act) == act
    assert len(stage.wire.written) == 1


async def test_a_resync_that_is_not_to_be_found_is_unknown(stage: Stage) -> None:
    """We stopped between writing it down and asking for it, or somebody took it away."""
    act = action(stage, ActionKind.RESYNC)
    stage.later(4)
    assert await stage.actuator.follow(act) == act
    stage.later(2)

    followed = await stage.actuator.follow(act)
    assert followed.outcome.result is OutcomeResult.UNKNOWN
    assert stage.wire.written == []


async def test_an_application_that_cannot_be_read_is_asked_again(stage: Stage) -> None:
    act = await begun(stage)
    stage.wire.before_read = unreachable("applications")

    assert await stage.actuator.follow(act) == act


async def test_an_application_that_is_gone_leaves_it_unknown(stage: Stage) -> None:
    act = await begun(stage)
    stage.objects.delete("Application", KEY.namespace, KEY.name)

    assert (await stage.actuator.follow(act)).outcome.result is OutcomeResult.UNKNOWN


@pytest.mark.parametrize("kind", [ActionKind.STOP_RETRIES, ActionKind.TERMINATE])
async def test_a_stop_is_followed_to_its_end(stage: Stage, kind: ActionKind) -> None:
    act = action(stage, kind)
    stage.change({"operation": {"sync": {}}, "status": {"operationState": {"phase": "Terminating"}}})
    assert await stage.actuator.follow(act) == act
    ended = {"phase": "Failed", "message": "Operation terminated (retried 1 times)."}
    stage.change({"operation": None, "status": {"operationState": ended}})

    done = await stage.actuator.follow(act)
    assert done.outcome.result is OutcomeResult.SUCCEEDED
    assert done.outcome.detail == "stopped by us: Operation terminated (retried 1 times)."


async def test_a_stop_that_was_never_written_is_unknown(stage: Stage) -> None:
    waits(stage)
    act = action(stage, ActionKind.STOP_RETRIES)
    stage.later(6)

    assert (await stage.actuator.follow(act)).outcome.result is OutcomeResult.UNKNOWN
    assert stage.wire.written == []


async def test_a_deletion_whose_answer_never_came_is_unknown(stage: Stage) -> None:
    followed = await stage.actuator.follow(action(stage, ActionKind.DELETE_HOOK))

    assert followed.outcome.result is OutcomeResult.UNKNOWN


# Rights.


async def test_rights_are_asked_for_and_kept_a_minute(stage: Stage) -> None:
    asked: list[Ask] = []

    def only_patches(ask: Ask) -> bool:
        asked.append(ask)
        return ask.resource == "applications"

    stage.api.allow = only_patches
    assert await stage.actuator.permissions() == {"resync", "stop-retries", "terminate", "annotate"}
    count = len(asked)
    assert await stage.actuator.permissions() == {"resync", "stop-retries", "terminate", "annotate"}
    assert len(asked) == count
    assert {(a.verb, a.group, a.resource, a.namespace) for a in asked if a.resource == "jobs"} == {
        ("delete", "batch", "jobs", "")
    }
    stage.later(61)
    stage.api.allow = lambda _: False
    assert await stage.actuator.permissions() == frozenset()


@pytest.mark.parametrize(
    ("applications", "hooks", "bound", "allowed"),
    [
        (("argocd", "shop"), ("shop",), {("applications", "argocd"), ("applications", "shop"), ("jobs", "shop")}, True),
        (("argocd", "shop"), ("shop",), {("applications", "argocd"), ("jobs", "shop")}, False),
        (("argocd", "*"), (), {("applications", ""), ("jobs", "")}, True),
        (("argocd", "*"), (), {("applications", "argocd"), ("jobs", "")}, False),
    ],
)
async def test_roles_count_where_we_watch(
    stage: Stage, applications: tuple[str, ...], hooks: tuple[str, ...], bound: set[tuple[str, str]], allowed: bool
) -> None:
    stage.api.allow = lambda ask: (ask.resource, ask.namespace) in bound
    permissions = Permissions(stage.wire, stage.clock, applications, hooks)

    assert ("resync" in await permissions.allowed()) is allowed
    assert "delete-hook" in await permissions.allowed()


async def test_not_to_be_told_is_not_to_be_allowed_and_is_asked_again(stage: Stage) -> None:
    class Silent:
        silent = True

        async def create(self, path: str, body: bytes) -> bytes:
            if self.silent:
                raise NotFound(404, "NotFound", "no reviews here")
            return await stage.wire.create(path, body)

    silent = Silent()
    permissions = Permissions(silent, stage.clock, ("argocd",))

    assert await permissions.allowed() == frozenset()
    silent.silent = False
    assert "resync" in await permissions.allowed()
