"""EVERY ACT ON THE CLUSTER. Each reads anew, compares with what was judged, and writes by compare-and-swap.

The kill switch is read here, right before each write. A 409 means read and compare anew, never send again; a write
whose answer was lost is looked for by its action id, and never repeated.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol, assert_never

import msgspec

from responder.cluster import bodies
from responder.cluster.errors import UNREADABLE, ApiError, Conflict, NotFound, TooManyRequests, Unavailable
from responder.cluster.reviews import Permissions
from responder.cluster.standing import migrating
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
from responder.core.appwire import NotAnApplicationError, decode_application
from responder.core.argocd import AppKey, Application, OperationPhase, OperationRecord
from responder.core.hooks import HookRun
from responder.core.permitting import KEPT_OUT, MODE_ANNOTATION
from responder.core.stopping import running_in
from responder.ports import Clock

_TRIES = 5
_TOUCH_AFTER = timedelta(seconds=5)
_WITHDRAW_AFTER = timedelta(seconds=60)
_FAILED = (OperationPhase.FAILED, OperationPhase.ERROR)


class Writes(Protocol):
    """What is needed of ``client.Kubernetes``; the property tests bring their own transport."""

    async def get(self, path: str) -> bytes: ...

    async def merge_patch(self, path: str, body: bytes) -> bytes: ...

    async def delete(self, path: str, body: bytes) -> bytes: ...


class Changed(Exception):  # noqa: N818 - not an error: the world moved on since it was judged
    """What was judged is not what is there now."""


class Unread(Changed):
    """It cannot be read just now: nothing was written, and nothing is known."""


class Held(Exception):  # noqa: N818 - nor is this one: a person holds the kill switch
    """The kill switch is engaged, absent or unreadable."""


class Actuator:
    def __init__(
        self,
        *,
        argocd: Writes,
        clusters: Mapping[str, Writes],
        permissions: Permissions,
        killswitch: tuple[str, str],
        clock: Clock,
        operations: Callable[[AppKey], Sequence[OperationRecord]],
        runs: Callable[[AppKey], Sequence[HookRun]],
        window_open: Callable[[Application, bool], bool | None],
    ) -> None:
        """``killswitch``: namespace and name of its ConfigMap. ``operations``, ``runs``: as the watches saw them.

        ``window_open``: to automation, or to people?
        """
        self._argocd = argocd
        self._clusters = clusters
        self._permissions = permissions
        self._killswitch = killswitch
        self._clock = clock
        self._operations = operations
        self._runs = runs
        self._window_open = window_open

    async def permissions(self) -> frozenset[str]:
        return await self._permissions.allowed()

    async def killswitch(self) -> Switch:
        """Anything but a clear ``engaged: "false"`` is engaged (I4)."""
        namespace, name = self._killswitch
        try:
            raw = await self._argocd.get(f"/api/v1/namespaces/{namespace}/configmaps/{name}")
            data = msgspec.json.decode(raw, type=bodies.ConfigMap).data or {}
        except NotFound:
            return Switch.ABSENT
        except (ApiError, *UNREADABLE):
            return Switch.UNREADABLE
        return Switch.RELEASED if data.get("engaged", "").strip().lower() == "false" else Switch.ENGAGED

    async def perform(self, act: Act) -> Outcome:
        try:
            return await self._swap(act)
        except Held as held:
            return self._outcome(OutcomeResult.REFUSED, str(held))
        except Changed as moved:
            return self._outcome(OutcomeResult.CONFLICT, str(moved))
        except Unavailable as error:
            if not error.sent:
                return self._outcome(OutcomeResult.CONFLICT, f"the write never left: {error}")
            return self._outcome(OutcomeResult.BEGUN, f"no answer to the write: {error}")
        except TooManyRequests as error:
            return self._outcome(OutcomeResult.CONFLICT, str(error))
        except ApiError as error:
            return self._outcome(OutcomeResult.REFUSED, f"{error.status} {error.reason}: {error.message}")

    async def _swap(self, act: Act) -> Outcome:
        """Read, compare, write; a 409 starts again with the reading."""
        for _ in range(_TRIES):
            try:
                return await self._once(act)
            except Conflict:
                continue
        return self._outcome(OutcomeResult.CONFLICT, f"the object changed {_TRIES} times while it was compared")

    async def _once(self, act: Act) -> Outcome:
        match act:
            case Resync():
                return await self._resync(act)
            case StopRetries():
                return await self._stop_retries(act)
            case Terminate():
                return await self._terminate(act)
            case DeleteHook():
                return await self._delete_hook(act)
            case Annotate():
                return await self._annotate(act)
            case _:
                assert_never(act)

    async def _resync(self, act: Resync) -> Outcome:
        app = await self._judged(act)
        if act.action.id in (app.requested_action_id, app.operation and app.operation.request.action_id):
            return self._outcome(OutcomeResult.BEGUN, "it was asked for already")  # by another of us, the same moment
        _same_operation(app, act.started_at)
        state = app.operation
        _must(state is not None and state.operation_phase in _FAILED, "the operation has not failed")
        _must(state is not None and state.finished_at == act.finished_at, "it ended at another time than was judged")
        _must(not app.requested, "an operation is requested or runs")
        _must(bool(app.sources) and app.sources == act.sources, "the sources have changed")
        _must(bool(act.revisions), "the revisions that failed are not known")
        _must(not app.deleting, "the Application is being deleted")
        _must(self._window_open(app, not act.manual) is True, "no sync window is known to be open")
        await self._patch(app, {"operation": bodies.operation(act, multi_source=app.multi_source)})
        return self._outcome(OutcomeResult.BEGUN, "asked for")

    async def _stop_retries(self, act: StopRetries) -> Outcome:
        app = await self._judged(act)
        _same_operation(app, act.started_at)
        _must(app.operation is not None and app.operation.waiting, "the operation does not wait for a retry")
        _must(app.operation is not None and app.operation.finished_at == act.finished_at, "another attempt has ended")
        await self._patch(app, bodies.TERMINATING)
        return self._outcome(OutcomeResult.TAKEN, "stopped in the wait")

    async def _terminate(self, act: Terminate) -> Outcome:
        app = await self._judged(act)
        _same_operation(app, act.started_at)
        state = app.operation
        runs = state is not None and state.operation_phase is OperationPhase.RUNNING and state.finished_at is None
        _must(runs, "the operation does not run")
        if not act.ends_running:
            _must(not self._migrating(act), "a migration container runs (I5)")
            await self._see_that_nothing_migrates(act)
        await self._patch(app, bodies.TERMINATING)
        return self._outcome(OutcomeResult.TAKEN, "terminated")

    def _migrating(self, act: Terminate) -> bool:
        """Does a container run that may be a migration, or is a hook there that was not judged?"""
        runs = [r for r in self._runs(act.app) if r.created_at >= act.started_at and r.gone_at is None]
        if any(r.uid not in act.run_uids for r in runs):
            return True
        return any(running_in(r) for r in runs)

    async def _see_that_nothing_migrates(self, act: Terminate) -> None:
        """The watches may be behind: a hook that began this moment is there already."""
        cluster = self._clusters.get(act.cluster)
        if cluster is None:
            raise Changed(f"cluster {act.cluster or 'of its destination'} cannot be asked what runs there (I5)")
        try:
            found = await migrating(cluster, act)
        except (Unavailable, TooManyRequests, *UNREADABLE) as error:
            raise Changed(f"what runs cannot be read (I5): {error}") from error
        _must(not found, f"{found} runs (I5)")

    async def _delete_hook(self, act: DeleteHook) -> Outcome:
        cluster = self._clusters.get(act.cluster)
        if cluster is None:
            raise Changed(f"cluster {act.cluster} is not configured")
        await self._judged(act)
        path = f"/apis/batch/v1/namespaces/{act.namespace}/jobs/{act.name}"
        try:
            job = await self._job(cluster, path)
            _must(job.metadata.uid == act.uid, "another Job has this name now")
            ended = [c for c in job.status.conditions or () if c.type in ("Failed", "Complete") and c.status == "True"]
            _must(bool(ended), "the Job has not finished")
            await self._released()
            held = bodies.finalizers_of(await cluster.delete(path, msgspec.json.encode(bodies.deletion(act.uid))))
        except NotFound:
            return self._outcome(OutcomeResult.SUCCEEDED, "it was gone already")
        return self._outcome(OutcomeResult.SUCCEEDED, bodies.deleted(held))

    async def _job(self, cluster: Writes, path: str) -> bodies.Job:
        try:
            return msgspec.json.decode(await cluster.get(path), type=bodies.Job)
        except (Unavailable, TooManyRequests, *UNREADABLE) as error:
            raise Changed(f"the Job cannot be read: {error}") from error

    async def _annotate(self, act: Annotate) -> Outcome:
        app = await self._judged(act)
        await self._patch(app, {"metadata": {"annotations": act.annotations}})
        return self._outcome(OutcomeResult.SUCCEEDED, "annotated")

    # After the write.

    async def follow(self, action: ActionRecord) -> ActionRecord:
        """Where an act that was begun or taken stands now: nudged once, withdrawn, or at its end."""
        try:
            app = await self._read(action.app, action.app_uid)
        except (ApiError, Unread):
            return action  # asked again at the next step
        except Changed as moved:
            return _ended(action, self._outcome(OutcomeResult.UNKNOWN, str(moved)))
        match action.kind:
            case ActionKind.RESYNC:
                return await self._follow_resync(action, app)
            case ActionKind.STOP_RETRIES | ActionKind.TERMINATE:
                return self._follow_stop(action, app)
            case _:
                return _ended(action, self._outcome(OutcomeResult.UNKNOWN, "we stopped before its answer came"))

    async def _follow_resync(self, action: ActionRecord, app: Application) -> ActionRecord:
        if app.operation is not None and app.operation.request.action_id == action.id:
            return self._taken(action, app.operation.started_at, app.operation.operation_phase, app.operation.message)
        for record in self._operations(action.app):
            if record.request.action_id == action.id:
                return self._taken(action, record.started_at, record.operation_phase, record.message)
        if app.requested_action_id == action.id:
            return await self._waiting(action, app)
        if self._clock.now() - max(action.begun_at, action.outcome.at or action.begun_at) < _TOUCH_AFTER:
            return action  # the watch, or the write itself, may be a moment behind
        return _ended(action, self._outcome(OutcomeResult.UNKNOWN, "it is not to be found: not repeated, look at it"))

    def _taken(self, action: ActionRecord, started: datetime, phase: OperationPhase, message: str) -> ActionRecord:
        result = OutcomeResult.TAKEN
        if phase.terminal:
            result = OutcomeResult.SUCCEEDED if phase is OperationPhase.SUCCEEDED else OutcomeResult.FAILED
        if result is action.outcome.result and action.new_operation == started:
            return action
        outcome = self._outcome(result, message)
        return msgspec.structs.replace(action, outcome=outcome, new_operation=started)

    async def _waiting(self, action: ActionRecord, app: Application) -> ActionRecord:
        """Argo CD sometimes overlooks an operation: one more patch wakes it; after a minute it is taken back."""
        age = self._clock.now() - action.begun_at
        if age <= _TOUCH_AFTER:
            return action
        try:
            if age > _WITHDRAW_AFTER:
                await self._patch(app, {"operation": None})
                return _ended(action, self._outcome(OutcomeResult.NOT_TAKEN, "withdrawn: Argo CD did not take it up"))
            if not action.touched:
                await self._patch(app, bodies.touch(action))
                return msgspec.structs.replace(action, touched=True)
        except (ApiError, Held):
            return action  # looked at again at the next step
        return action

    def _follow_stop(self, action: ActionRecord, app: Application) -> ActionRecord:
        state = app.operation
        if state is None or state.started_at != action.operation:
            return _ended(action, self._outcome(OutcomeResult.UNKNOWN, "another operation has begun"))
        if state.operation_phase.terminal:
            return _ended(action, self._outcome(OutcomeResult.SUCCEEDED, f"stopped by us: {state.message}"))
        if state.operation_phase is OperationPhase.TERMINATING:
            return action
        if self._clock.now() - action.begun_at < _TOUCH_AFTER:
            return action
        return _ended(action, self._outcome(OutcomeResult.UNKNOWN, "the operation goes on: not repeated"))

    # The API server.

    async def _judged(self, act: Act) -> Application:
        """As it is now; somebody may have told us to keep out since."""
        app = await self._read(act.action.app, act.action.app_uid)
        said = app.annotation(MODE_ANNOTATION)
        _must(said not in KEPT_OUT, f"the Application says {MODE_ANNOTATION}: {said}")
        return app

    async def _read(self, key: AppKey, uid: str) -> Application:
        try:
            app = decode_application(await self._argocd.get(_path(key)), lambda text: text)
        except NotFound as error:
            raise Changed("the Application is gone") from error
        except (Unavailable, TooManyRequests, NotAnApplicationError) as error:
            raise Unread(f"the Application cannot be read: {error}") from error
        _must(app.uid == uid, "another Application has this name now")
        return app

    async def _patch(self, app: Application, change: dict[str, Any]) -> None:
        metadata = {**change.get("metadata", {}), "uid": app.uid, "resourceVersion": app.resource_version}
        body = msgspec.json.encode({**change, "metadata": metadata})
        await self._released()
        await self._argocd.merge_patch(_path(app.key), body)

    async def _released(self) -> None:
        """Asked right before each write, the reading and comparing done (I4)."""
        switch = await self.killswitch()
        if switch is not Switch.RELEASED:
            raise Held(f"the kill switch is {switch.value}")

    def _outcome(self, result: OutcomeResult, detail: str) -> Outcome:
        return Outcome(result, detail, self._clock.now())


def _path(key: AppKey) -> str:
    return f"/apis/argoproj.io/v1alpha1/namespaces/{key.namespace}/applications/{key.name}"


def _must(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Changed(otherwise)


def _same_operation(app: Application, started_at: datetime) -> None:
    _must(app.operation is not None and app.operation.started_at == started_at, "another operation has begun since")


def _ended(action: ActionRecord, outcome: Outcome) -> ActionRecord:
    return msgspec.structs.replace(action, outcome=outcome)
