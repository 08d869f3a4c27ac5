"""A model of Argo CD's application controller (v3.5), as far as hooks, retries and our own acts go.

Level-triggered as the real one: whatever changes, the Application is looked at again and taken one pass further.
The waits are those of the recordings; where the two disagree the recordings are right.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from responder.core.argocd import AppKey
from responder.core.duration import parse_duration
from responder.core.hooknaming import TRACKING_ID, app_key
from responder.demo.admission import stamp
from responder.demo.agenda import Agenda
from responder.demo.comparing import automatic, compared, in_progress, window_closed
from responder.demo.events import tell
from responder.demo.objects import Objects
from responder.demo.repository import Repository
from responder.demo.resources import Json
from responder.demo.shelf import Change, key_of
from responder.demo.syncing import Live, Passed, Syncer, Target

_LOOK_SECONDS = 0.03
_HOOK_SECONDS = 0.1
_COMMIT_SECONDS = 0.2
_COMPONENT = "argocd-application-controller"
_BLOCKED = "Sync operation blocked by sync window"


class ModelController:
    def __init__(self, objects: Objects, agenda: Agenda, repository: Repository, *, namespace: str = "argocd") -> None:
        """``namespace``: Argo CD's own."""
        self._objects = objects
        self._agenda = agenda
        self._repository = repository
        self._namespace = namespace
        self._live: dict[str, Live] = {}  # by Application uid
        self._writing: set[AppKey] = set()  # a pass was made, its status is not written yet
        self._overlook: set[AppKey] = set()
        self._overlooked: dict[AppKey, Json] = {}
        objects.subscribe(self._changed)
        repository.on_commit(self._committed)

    # What tests and scripts do to it

    def overlook(self, app: AppKey) -> None:
        """The next ``.operation`` sits untouched until it is touched again, as happens in 4 of 680."""
        self._overlook.add(app)

    def drift(self, app: AppKey, kind: str, name: str) -> None:
        """Somebody changed a live object by hand."""
        uid = self._objects.get("Application", *_place(app))["metadata"]["uid"]
        self._live.setdefault(uid, {})[kind, name] = {"changed": "by hand"}
        self._soon(app, _LOOK_SECONDS)

    # What wakes it

    def _changed(self, change: Change) -> None:
        if change.kind == "Application" and change.type != "DELETED":
            self._soon(AppKey(*key_of(change.object)), _LOOK_SECONDS)
        elif change.kind == "Job":
            tracked = (change.object["metadata"].get("annotations") or {}).get(TRACKING_ID, "").partition(":")[0]
            if (key := app_key(tracked, self._namespace)) is not None:
                self._soon(key, _HOOK_SECONDS)

    def _committed(self, url: str) -> None:
        for app in self._objects.list("Application"):
            if app["spec"]["source"]["repoURL"] == url:
                self._soon(AppKey(*key_of(app)), _COMMIT_SECONDS)

    def _soon(self, app: AppKey, seconds: float) -> None:
        self._agenda.after(seconds, lambda: self.look(app))

    def look(self, key: AppKey) -> None:
        """One step further, if there is one to make."""
        app = self._objects.find("Application", *_place(key))
        if app is None or key in self._writing:
            return
        state = (app.get("status") or {}).get("operationState")
        if app.get("operation") is None:
            self._compare(app)
        elif state is None or not in_progress(state):
            if not self._overlooks(key, app["operation"]):
                self._begin(app)
        elif state["phase"] == "Terminating":
            self._terminate(app, state)
        elif "finishedAt" in state:
            self._retry(key, app, state)
        else:
            self._pass(key, app, state)

    def _overlooks(self, key: AppKey, operation: Json) -> bool:
        if key in self._overlook:
            self._overlook.discard(key)
            self._overlooked[key] = operation
        if self._overlooked.get(key) == operation:
            return True
        self._overlooked.pop(key, None)
        return False

    def _compare(self, app: Json) -> None:
        """Sync status, and what auto-sync makes of it: its operation clears the state of the one before."""
        live = self._live.setdefault(app["metadata"]["uid"], {})
        after = compared(self._objects, self._repository, app, live)
        operation = automatic(after)
        if operation is not None:
            status = {name: value for name, value in after["status"].items() if name != "operationState"}
            after = {**after, "status": status, "operation": operation}
        self._write(app, lambda _: after)
        if operation is not None:
            what = f"Initiated automated sync to '{operation['sync']['revision']}'"
            tell(self._objects, app, "Normal", "OperationStarted", what, _COMPONENT)

    # One operation

    def _begin(self, app: Json) -> None:
        operation = {"retry": {}, **app["operation"]}
        initiated = {k: v for k, v in (operation.get("initiatedBy") or {}).items() if v}
        operation = {**operation, **({"initiatedBy": initiated} if initiated else {})}
        state = {"operation": operation, "phase": "Running", "startedAt": self._now()}
        self._state(app, lambda _: state)

    def _pass(self, key: AppKey, app: Json, state: Json) -> None:
        if window_closed(self._objects, app) and "syncResult" not in state:
            self._state(app, lambda old: {**old, "message": _BLOCKED})
            return
        revision = self._revision(app, state)
        if not revision:
            self._end(app, "Error", "ComparisonError: failed to generate manifest: revision not found", ())
            return
        passed = self._syncer(app, state, revision).run(_results(state))
        if passed.delay == 0:
            self._passed(app, revision, passed)
            return
        self._writing.add(key)
        self._agenda.after(passed.delay, lambda: self._later(key, app, revision, passed))

    def _later(self, key: AppKey, app: Json, revision: str, passed: Passed) -> None:
        self._writing.discard(key)
        now = self._objects.find("Application", *_place(key))
        if now is None or now["metadata"]["uid"] != app["metadata"]["uid"]:
            return
        state = (now.get("status") or {}).get("operationState") or {}
        if state.get("startedAt") == app["status"]["operationState"]["startedAt"]:
            self._passed(now, revision, passed)
        self.look(key)

    def _passed(self, app: Json, revision: str, passed: Passed) -> None:
        result = self._sync_result(app, revision, passed.results)
        if passed.ended == "Failed":
            self._failed(app, result, passed.message)
        elif passed.ended:
            self._end(app, passed.ended, passed.message, passed.results)
        else:
            self._state(app, lambda old: {**old, "syncResult": result, "message": _said(old, passed.message)})

    def _failed(self, app: Json, result: Json, message: str) -> None:
        state = app["status"]["operationState"]
        retry, done = state["operation"].get("retry") or {}, state.get("retryCount", 0)
        limit = retry.get("limit", 0)
        if state["phase"] == "Terminating" or (0 <= limit <= done):
            self._end(app, "Failed", message, result.get("resources", ()))
            return
        shown = self._objects.clock.now() + timedelta(seconds=_wait(retry, done))
        at = shown.strftime("%I:%M%p").lstrip("0")
        waiting = {
            "syncResult": result,
            "finishedAt": self._now(),
            "retryCount": done + 1,
            "message": f"{message}. Retrying attempt #{done + 1} at {at}.",
        }
        self._state(app, lambda old: {**old, **waiting})

    def _retry(self, key: AppKey, app: Json, state: Json) -> None:
        """``duration * factor ** retryCount`` after the attempt's end: later by a factor than the message says."""
        done = state["retryCount"]
        ended = datetime.strptime(state["finishedAt"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        due = ended + timedelta(seconds=_wait(state["operation"]["retry"], done))
        left = (due - self._objects.clock.now()).total_seconds()
        if left > 0:
            self._soon(key, left)
            return
        latest = " with latest revisions" if state["operation"]["retry"].get("refresh") else ""
        kept = {name: value for name, value in state.items() if name not in ("syncResult", "finishedAt")}
        self._state(app, lambda _: {**kept, "message": f"Retrying operation{latest}. Attempt #{done}"})

    def _terminate(self, app: Json, state: Json) -> None:
        syncer = self._syncer(app, state, self._revision(app, state))
        self._end(app, "Failed", "Operation terminated", syncer.stop(_results(state)))

    def _end(self, app: Json, operation_phase: str, message: str, results: Any) -> None:
        state = app["status"]["operationState"]
        done = state.get("retryCount", 0)
        retried = f" (retried {done} times)." if done and operation_phase != "Succeeded" else ""
        revision, now = self._revision(app, state), self._now()
        ended = {
            **state,
            "phase": operation_phase,
            "message": message + retried,
            "finishedAt": now,
            "syncResult": self._sync_result(app, revision, results),
        }
        status = {**app["status"], "operationState": ended, "reconciledAt": now}
        request = state["operation"].get("sync") or {}
        partial = bool(request.get("resources"))
        if operation_phase == "Succeeded" and not partial and not request.get("dryRun"):
            status["history"] = [*(status.get("history") or ()), self._deployed(app, state, revision)]

        def close(old: Json) -> Json:
            return {**{name: value for name, value in old.items() if name != "operation"}, "status": status}

        self._write(app, close)
        good = operation_phase == "Succeeded"
        what = f"{'Partial sync' if partial else 'Sync'} operation to {revision} "
        text = what + ("succeeded" if good else f"failed: {message}{retried}")
        tell(self._objects, app, "Normal" if good else "Warning", "OperationCompleted", text, _COMPONENT)

    # Parts of the status

    def _deployed(self, app: Json, state: Json, revision: str) -> Json:
        held = app["status"].get("history") or ()
        return {
            "id": held[-1]["id"] + 1 if held else 0,
            "revision": revision,
            "deployStartedAt": state["startedAt"],
            "deployedAt": self._now(),
            "source": app["spec"]["source"],
        }

    def _sync_result(self, app: Json, revision: str, results: Any) -> Json:
        rows = [dict(row) for row in results]
        return {"revision": revision, "source": app["spec"]["source"], **({"resources": rows} if rows else {})}

    def _revision(self, app: Json, state: Json) -> str:
        """Resolved once for an operation, anew at a retry that refreshes."""
        source, request = app["spec"]["source"], state["operation"].get("sync") or {}
        asked = request.get("revision") or source.get("targetRevision", "")
        if state.get("retryCount") and (state["operation"].get("retry") or {}).get("refresh"):
            asked = source.get("targetRevision", "")
        return self._repository.resolve(source["repoURL"], asked)

    def _syncer(self, app: Json, state: Json, revision: str) -> Syncer:
        meta, request = app["metadata"], state["operation"].get("sync") or {}
        own = meta["namespace"] == self._namespace
        begun = datetime.strptime(state["startedAt"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        strategy = request.get("syncStrategy") or {}
        target = Target(
            instance=meta["name"] if own else f"{meta['namespace']}_{meta['name']}",
            namespace=app["spec"]["destination"]["namespace"],
            revision=revision,
            started_at=int(begun.timestamp()),
            manifests=self._repository.manifests(app["spec"]["source"]["repoURL"], revision),
            selected=tuple((r["kind"], r["name"]) for r in request.get("resources") or ()),
            hookless="apply" in strategy and "hook" not in strategy,
        )
        return Syncer(self._objects, self._live.setdefault(meta["uid"], {}), target)

    # Writing

    def _now(self) -> str:
        return stamp(self._objects.clock.now())

    def _state(self, app: Json, change: Callable[[Json], Json]) -> None:
        def changed(old: Json) -> Json:
            status = old.get("status") or {}
            return {**old, "status": {**status, "operationState": change(status.get("operationState") or {})}}

        self._write(app, changed)

    def _write(self, app: Json, change: Callable[[Json], Json]) -> None:
        self._objects.update("Application", *key_of(app), change)


def _place(app: AppKey) -> tuple[str, str]:
    return app.namespace, app.name


def _results(state: Json) -> list[Json]:
    return (state.get("syncResult") or {}).get("resources") or []


def _said(old: Json, message: str) -> str:
    """An operation that was terminated while a pass was made stays so."""
    return "operation is terminating" if old.get("phase") == "Terminating" else message


def _wait(retry: Json, done: int) -> float:
    backoff = retry.get("backoff") or {}
    first = parse_duration(backoff.get("duration", "5s")).total_seconds()
    longest = parse_duration(backoff.get("maxDuration", "3m")).total_seconds()
    return min(float(first * backoff.get("factor", 2) ** done), longest)
