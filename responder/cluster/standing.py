"""What runs of an operation's hooks, asked of the API server itself: a watch may be a moment behind (I5)."""

from collections.abc import Iterable
from typing import Protocol

import msgspec

from responder.core.actions import Terminate
from responder.core.hooks import PodRun
from responder.core.hookwire import JobWire, PodWire
from responder.core.sightings import see_job, see_pod
from responder.core.stopping import running_in
from responder.core.wire import Wire


class Reads(Protocol):
    async def get(self, path: str) -> bytes: ...


class _Jobs(Wire):
    items: list[JobWire] | None = None


class _Pods(Wire):
    items: list[PodWire] | None = None


async def migrating(cluster: Reads, act: Terminate) -> str:
    """What must not be ended: a hook that was not judged, or a container that may be a migration and runs; empty when
    there is nothing. Jobs first: a Pod that comes between the two questions is missed by its Job's count."""
    for namespace in act.namespaces:
        jobs = msgspec.json.decode(await cluster.get(f"/apis/batch/v1/namespaces/{namespace}/jobs"), type=_Jobs)
        pods = msgspec.json.decode(await cluster.get(f"/api/v1/namespaces/{namespace}/pods"), type=_Pods)
        if found := _migrating(jobs.items or (), pods.items or (), act):
            return found
    return ""


def _migrating(jobs: Iterable[JobWire], pods: Iterable[PodWire], act: Terminate) -> str:
    made: dict[str, list[PodRun]] = {}
    for pod in (see_pod(wire, act.sidecars, str) for wire in pods):
        made.setdefault(pod.job_uid, []).append(pod.pod)
    ours = (act.app.name, f"{act.app.namespace}_{act.app.name}")
    for run in (see_job(wire, act.cluster, str).run for wire in jobs):
        if run is None or run.tracked not in ours or run.created_at < act.started_at:
            continue
        if run.uid not in act.run_uids:
            return f"hook {run.name}, which was not judged,"
        if found := running_in(msgspec.structs.replace(run, pods=tuple(made.get(run.uid, ())))):
            return found
    return ""
