"""A node in small: plays what a Pod's containers would have done, at the clock's pace."""

from collections.abc import Callable, Mapping

import msgspec

from responder.demo.admission import stamp
from responder.demo.agenda import Agenda
from responder.demo.events import tell
from responder.demo.objects import Objects
from responder.demo.resources import Json
from responder.demo.shelf import Change

NODE = "node-1"
_START_SECONDS = 0.03
_STOP_SECONDS = 0.03


class Script(msgspec.Struct, frozen=True):
    """What one container does. ``lines``: (seconds after the line before, text)."""

    lines: tuple[tuple[float, str], ...] = ()
    ends_after: float = 0.05  # seconds after its last line; None is for ever
    forever: bool = False
    exit_code: int = 0
    reason: str = ""  # of its end, where it is neither Completed nor Error: OOMKilled
    waiting: tuple[str, str] | None = None  # it never starts: reason and message, as the kubelet words them


class Run(msgspec.Struct, frozen=True):
    """What one Pod does, by container; a container without a script ends well at once."""

    scripts: Mapping[str, Script] = msgspec.field(default_factory=dict)
    refused: str = ""  # no Pod is made: what admission said
    unschedulable: str = ""


class Stopped(msgspec.Struct, frozen=True):
    """A container that ran when its Pod was deleted: it got SIGTERM."""

    namespace: str
    pod: str
    job_uid: str
    container: str
    at: str


class Kubelet:
    def __init__(self, objects: Objects, agenda: Agenda) -> None:
        self._objects = objects
        self._agenda = agenda
        self._runs: dict[str, Run] = {}  # by Pod uid
        self.stopped: list[Stopped] = []
        self.printed: dict[tuple[str, str, int], int] = {}  # lines, by (Pod uid, container, restart)
        objects.subscribe(self._changed)

    def admit(self, pod: Json, run: Run) -> None:
        self._runs[pod["metadata"]["uid"]] = run
        self._agenda.after(0.005, lambda: self._schedule(pod, run))

    # Starting

    def _schedule(self, pod: Json, run: Run) -> None:
        now = stamp(self._objects.clock.now())
        condition = {"type": "PodScheduled", "status": "True", "lastTransitionTime": now}
        if run.unschedulable:
            said = {"status": "False", "reason": "Unschedulable", "message": run.unschedulable}
            self._status(pod, lambda status: {**status, "conditions": [{**condition, **said}]})
            tell(self._objects, pod, "Warning", "FailedScheduling", run.unschedulable, "default-scheduler")
            return
        place = pod["metadata"]
        bound = self._alive(pod)
        if bound is None:
            return
        self._objects.update(
            "Pod", place["namespace"], place["name"], lambda old: {**old, "spec": {**old["spec"], "nodeName": NODE}}
        )
        where = f"Successfully assigned {place['namespace']}/{place['name']} to {NODE}"
        tell(self._objects, pod, "Normal", "Scheduled", where, "default-scheduler")
        creating = [_waiting(c, "ContainerCreating", "") for c in pod["spec"]["containers"]]
        inits = [_waiting(c, "PodInitializing", "") for c in pod["spec"].get("initContainers") or ()]
        held = {"containerStatuses": creating, **({"initContainerStatuses": inits} if inits else {})}
        self._status(pod, lambda status: {**status, "conditions": [condition], "startTime": now, **held})
        self._agenda.after(_START_SECONDS, lambda: self._start_next(pod, run))

    def _start_next(self, pod: Json, run: Run) -> None:
        """Init containers one after another, then the others all together."""
        alive = self._alive(pod)
        if alive is None:
            return
        status = alive["status"]
        for container in alive["spec"].get("initContainers") or ():
            state = _state(status, container["name"])
            if "terminated" not in state:
                if "running" not in state:
                    self._start(alive, container, run)
                return
        for container in alive["spec"]["containers"]:
            self._start(alive, container, run)

    def _start(self, pod: Json, container: Json, run: Run) -> None:
        name, script = container["name"], run.scripts.get(container["name"], Script())
        if script.waiting is not None:
            reason, message = script.waiting
            self._set(pod, name, {"waiting": {"reason": reason, "message": message}})
            tell(self._objects, pod, "Warning", "Failed", f"Error: {message}", "kubelet")
            return
        now = stamp(self._objects.clock.now())
        self._set(pod, name, {"running": {"startedAt": now}})
        self._status(pod, lambda status: {**status, "phase": "Running"})
        tell(self._objects, pod, "Normal", "Started", "Container started", "kubelet")
        at = 0.0
        for pause, text in script.lines:
            at += pause
            self._agenda.after(at, self._saying(pod, name, text))
        if not script.forever:
            self._agenda.after(at + script.ends_after, lambda: self._end(pod, name, script, run))

    def _saying(self, pod: Json, container: str, text: str) -> Callable[[], None]:
        def say() -> None:
            if self._runs_now(pod, container):
                meta = pod["metadata"]
                at = f"{self._objects.clock.now():%Y-%m-%dT%H:%M:%S.%f}000Z"
                self._objects.append_log(meta["namespace"], meta["name"], container, 0, at, text + "\n")
                key = (meta["uid"], container, 0)
                self.printed[key] = self.printed.get(key, 0) + 1

        return say

    # Ending

    def _end(self, pod: Json, container: str, script: Script, run: Run) -> None:
        if not self._runs_now(pod, container):
            return
        reason = script.reason or ("Error" if script.exit_code else "Completed")
        self._terminate(pod, container, script.exit_code, reason)
        alive = self._alive(pod)
        if alive is None:
            return
        names = [c["name"] for c in alive["spec"]["containers"]]
        if container not in names and script.exit_code == 0:
            self._start_next(pod, run)
        elif script.exit_code and container not in names:
            self._status(pod, lambda status: {**status, "phase": "Failed"})
        else:
            self._close(alive, names)

    def _terminate(self, pod: Json, container: str, exit_code: int, reason: str) -> None:
        alive = self._alive(pod)
        if alive is None:
            return
        now = stamp(self._objects.clock.now())
        begun = _state(alive["status"], container).get("running", {})
        started = {"startedAt": begun["startedAt"]} if begun else {}
        ended = {"exitCode": exit_code, "reason": reason, **started, **({"finishedAt": now} if begun else {})}
        self._set(pod, container, {"terminated": ended})

    def _close(self, pod: Json, names: list[str]) -> None:
        ends = [_state(pod["status"], name).get("terminated") for name in names]
        if all(ends):
            failed = any(end["exitCode"] for end in ends if end)
            self._status(pod, lambda status: {**status, "phase": "Failed" if failed else "Succeeded"})

    def _changed(self, change: Change) -> None:
        if change.kind != "Pod":
            return
        pod = change.object
        if change.type == "DELETED":
            self._runs.pop(pod["metadata"]["uid"], None)
        elif "deletionTimestamp" in pod["metadata"] and "deletionTimestamp" not in (change.old or pod)["metadata"]:
            self._agenda.after(_STOP_SECONDS, lambda: self._stop(pod))

    def _stop(self, pod: Json) -> None:
        """SIGTERM for what runs, then the Pod goes."""
        alive = self._alive(pod)
        if alive is None:
            return
        meta = alive["metadata"]
        for container in [*(alive["spec"].get("initContainers") or ()), *alive["spec"]["containers"]]:
            name = container["name"]
            state = _state(alive["status"], name)
            if "running" in state:
                owner = next((r["uid"] for r in meta.get("ownerReferences") or ()), "")
                at = stamp(self._objects.clock.now())
                self.stopped.append(Stopped(meta["namespace"], meta["name"], owner, name, at))
                self._terminate(pod, name, 143, "Error")
            elif "waiting" in state:
                self._terminate(pod, name, 137, "ContainerStatusUnknown")
        self._status(pod, lambda status: {**status, "phase": "Failed"})
        self._agenda.after(_STOP_SECONDS, lambda: self._remove(pod))

    def _remove(self, pod: Json) -> None:
        if self._alive(pod) is not None:
            self._objects.delete("Pod", pod["metadata"]["namespace"], pod["metadata"]["name"], grace=0)

    # The Pod as it is now

    def _alive(self, pod: Json) -> Json | None:
        meta = pod["metadata"]
        found = self._objects.find("Pod", meta["namespace"], meta["name"])
        return found if found is not None and found["metadata"]["uid"] == meta["uid"] else None

    def _runs_now(self, pod: Json, container: str) -> bool:
        alive = self._alive(pod)
        return alive is not None and "running" in _state(alive["status"], container)

    def _status(self, pod: Json, change: Callable[[Json], Json]) -> None:
        if self._alive(pod) is not None:
            meta = pod["metadata"]
            self._objects.update(
                "Pod",
                meta["namespace"],
                meta["name"],
                lambda old: {**old, "status": change(old["status"])},
                subresource="status",
            )

    def _set(self, pod: Json, container: str, state: Json) -> None:
        def change(status: Json) -> Json:
            kinds = [kind for kind in ("containerStatuses", "initContainerStatuses") if kind in status]
            return status | {
                kind: [{**s, "state": state} if s["name"] == container else s for s in status[kind]] for kind in kinds
            }

        self._status(pod, change)


def _waiting(container: Json, reason: str, message: str) -> Json:
    state = {"waiting": {"reason": reason, **({"message": message} if message else {})}}
    return {"name": container["name"], "image": container.get("image", ""), "restartCount": 0, "state": state}


def _state(status: Json, container: str) -> Json:
    kinds = ("containerStatuses", "initContainerStatuses")
    found = (s for kind in kinds for s in status.get(kind) or () if s["name"] == container)
    return next((s["state"] for s in found), {})
