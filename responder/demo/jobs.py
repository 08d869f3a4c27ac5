"""A Job controller in small: Pods, counting them, conditions, deadline and TTL, with the waits that were measured."""

from collections.abc import Callable
from typing import Any

import msgspec

from responder.demo.admission import stamp
from responder.demo.agenda import Agenda
from responder.demo.events import tell
from responder.demo.kubelet import Kubelet, Run
from responder.demo.objects import Objects
from responder.demo.resources import Json
from responder.demo.shelf import Change

_SYNC_SECONDS = 0.01
_COUNT_SECONDS = 0.9  # a Pod's end is counted in batches of a second
_FINISH_SECONDS = 0.03
_POD_BACKOFF_SECONDS = 10.0
_REFUSED_SECONDS = (1.0, 2.0, 4.0, 8.0)
_COMPONENT = "job-controller"

_FAILED = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
_LATE = ("DeadlineExceeded", "Job was active longer than specified deadline")
_COMPLETE = ("CompletionsReached", "Reached expected number of succeeded pods")


class Start(msgspec.Struct, frozen=True):
    """A Pod of a Job is about to be made; whoever plays it decides what it does."""

    namespace: str
    job: str
    image: str
    number: int  # from 1: Pods that Jobs of this name made so far
    spec: Json  # of the Pod


Plays = Callable[[Start], Run]


class JobController:
    def __init__(self, objects: Objects, agenda: Agenda, plays: Plays) -> None:
        self._objects = objects
        self._agenda = agenda
        self._plays = plays
        self._started: dict[tuple[str, str], int] = {}
        self.kubelet = Kubelet(objects, agenda)
        objects.subscribe(self._changed)

    def _changed(self, change: Change) -> None:
        item = change.object
        if change.kind == "Job" and change.type == "ADDED":
            self._agenda.after(_SYNC_SECONDS, lambda: self._begin(item))
        elif change.kind == "Pod" and change.type == "MODIFIED" and change.old is not None:
            ended = item["status"]["phase"] in ("Failed", "Succeeded")
            if ended and change.old["status"]["phase"] != item["status"]["phase"]:
                self._agenda.after(_COUNT_SECONDS, lambda: self._count(item))

    def _begin(self, job: Json) -> None:
        if self._alive(job) is None or job["spec"].get("suspend"):
            return
        self._status(job, {"startTime": stamp(self._objects.clock.now()), "ready": 0})
        deadline = job["spec"].get("activeDeadlineSeconds")
        if deadline is not None:
            self._agenda.after(deadline, lambda: self._expire(job))
        self._make_pod(job)

    def _make_pod(self, job: Json, refused: int = 0) -> None:
        alive = self._alive(job)
        if alive is None or _condition(alive, "FailureTarget"):
            return
        meta, template = job["metadata"], job["spec"]["template"]
        counted = self._started.get((meta["namespace"], meta["name"]), 0) + 1
        image = template["spec"]["containers"][0].get("image", "")
        run = self._plays(Start(meta["namespace"], meta["name"], image, counted, template["spec"]))
        if run.refused:
            wait = _REFUSED_SECONDS[min(refused, len(_REFUSED_SECONDS) - 1)]
            tell(self._objects, job, "Warning", "FailedCreate", f"Error creating: {run.refused}", _COMPONENT)
            self._agenda.after(wait, lambda: self._make_pod(job, refused + 1))
            return
        self._started[meta["namespace"], meta["name"]] = counted
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
        pod = self._objects.create(
            "Pod",
            {
                "metadata": {
                    "generateName": f"{meta['name']}-",
                    "namespace": meta["namespace"],
                    "labels": template["metadata"]["labels"],
                    "ownerReferences": [{**owner, "blockOwnerDeletion": True}],
                },
                "spec": template["spec"],
            },
        )
        self._status(job, {"active": 1})
        tell(self._objects, job, "Normal", "SuccessfulCreate", f"Created pod: {pod['metadata']['name']}", _COMPONENT)
        self.kubelet.admit(pod, run)

    def _count(self, pod: Json) -> None:
        owner = next((r for r in pod["metadata"].get("ownerReferences") or ()), None)
        job = self._objects.find("Job", pod["metadata"]["namespace"], owner["name"]) if owner else None
        if job is None or owner is None or job["metadata"]["uid"] != owner["uid"]:
            return
        if "deletionTimestamp" in job["metadata"] or _condition(job, "FailureTarget", "SuccessCriteriaMet"):
            return
        if pod["status"]["phase"] == "Succeeded":
            self._finish(job, "SuccessCriteriaMet", "Complete", _COMPLETE, {"active": 0, "succeeded": 1})
            return
        failed = (job.get("status") or {}).get("failed", 0) + 1
        if failed > job["spec"]["backoffLimit"]:
            self._finish(job, "FailureTarget", "Failed", _FAILED, {"active": 0, "failed": failed})
            return
        self._status(job, {"active": 0, "failed": failed})
        self._agenda.after(_POD_BACKOFF_SECONDS * 2 ** (failed - 1), lambda: self._make_pod(job))

    def _finish(
        self, job: Json, target: str, condition: str, why: tuple[str, str], status: Json, wait: float = _FINISH_SECONDS
    ) -> None:
        self._condition(job, target, why, {"active": 0})
        self._agenda.after(wait, lambda: self._conclude(job, condition, why, status))

    def _conclude(self, job: Json, condition: str, why: tuple[str, str], status: Json) -> None:
        if self._alive(job) is None:
            return
        self._condition(job, condition, why, status)
        if condition == "Failed":
            tell(self._objects, job, "Warning", why[0], why[1], _COMPONENT)
        else:
            tell(self._objects, job, "Normal", "Completed", "Job completed", _COMPONENT)
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        if ttl is not None:
            self._agenda.after(ttl + _FINISH_SECONDS, lambda: self._delete(job))

    def _expire(self, job: Json) -> None:
        alive = self._alive(job)
        if alive is None or _condition(alive, "FailureTarget", "SuccessCriteriaMet"):
            return
        for pod in self._pods(job):
            meta = pod["metadata"]
            self._objects.delete("Pod", meta["namespace"], meta["name"])
        self._finish(job, "FailureTarget", "Failed", _LATE, {"active": 0, "failed": 1}, wait=1.0)

    def _delete(self, job: Json) -> None:
        if self._alive(job) is not None:
            meta = job["metadata"]
            self._objects.delete("Job", meta["namespace"], meta["name"], propagation="Foreground")

    def _pods(self, job: Json) -> list[Json]:
        mine = f"batch.kubernetes.io/controller-uid={job['metadata']['uid']}"
        return self._objects.list("Pod", job["metadata"]["namespace"], labels=mine)

    def _alive(self, job: Json) -> Json | None:
        meta = job["metadata"]
        found = self._objects.find("Job", meta["namespace"], meta["name"])
        same = found is not None and found["metadata"]["uid"] == meta["uid"]
        return found if same else None

    def _status(self, job: Json, change: dict[str, Any]) -> None:
        if self._alive(job) is not None:
            meta = job["metadata"]
            self._objects.update(
                "Job",
                meta["namespace"],
                meta["name"],
                lambda old: {**old, "status": {**(old.get("status") or {}), **change}},
                subresource="status",
            )

    def _condition(self, job: Json, name: str, why: tuple[str, str], change: Json) -> None:
        alive = self._alive(job)
        if alive is None:
            return
        now = stamp(self._objects.clock.now())
        held = (alive.get("status") or {}).get("conditions") or []
        new = {"type": name, "status": "True", "reason": why[0], "message": why[1], "lastTransitionTime": now}
        self._status(job, {**change, "conditions": [*held, new]})


def _condition(job: Json, *names: str) -> Json | None:
    held = (job.get("status") or {}).get("conditions") or ()
    return next((c for c in held if c["type"] in names), None)
