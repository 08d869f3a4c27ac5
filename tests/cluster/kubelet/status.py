"""A Pod's status of the states of its containers: the rules of the kubelet's getPhase and generate.go."""

from collections.abc import Sequence
from typing import Final

import msgspec

from tests.cluster.kubelet.api import Json
from tests.cluster.kubelet.host import ADDRESS

STATUS_UNKNOWN: Final = {
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
    "exitCode": 137,
    "startedAt": None,
    "finishedAt": None,
}


class Situation(msgspec.Struct, frozen=True):
    """``inits`` and ``mains`` are container statuses in the order of the Pod. ``over``: nothing runs or will run."""

    pod: Json
    inits: Sequence[Json]
    mains: Sequence[Json]
    sandbox: bool  # volumes and address are there
    over: bool
    failed_reason: str = ""  # of a Pod that was ended from outside
    failed_message: str = ""


def is_sidecar(container: Json) -> bool:
    return container.get("restartPolicy") == "Always"


def pod_phase(now: Situation) -> str:
    policy = now.pod["spec"].get("restartPolicy", "Always")
    plain = [
        status
        for spec, status in zip(now.pod["spec"].get("initContainers", ()), now.inits, strict=True)
        if not is_sidecar(spec)
    ]
    if now.over:
        good = not now.failed_reason and all(_code(status) == 0 for status in [*plain, *now.mains])
        return "Succeeded" if good else "Failed"
    if any(_code(status) not in (0, None) for status in plain) and policy == "Never":
        return "Pending" if not _has_run(now.mains) else "Running"
    if any("terminated" not in status["state"] for status in plain) and not _has_run(now.mains):
        return "Pending"
    if any("waiting" in status["state"] and not status["lastState"] for status in now.mains):
        return "Pending"
    return "Running"


def _code(status: Json) -> int | None:
    ended = status["state"].get("terminated") or status["lastState"].get("terminated")
    return None if ended is None else int(ended["exitCode"])


def _has_run(statuses: Sequence[Json]) -> bool:
    return any("waiting" not in status["state"] or status["lastState"] for status in statuses)


def conditions(now: Situation, phase: str) -> list[Json]:
    """Without times: who writes them knows since when each holds."""
    ready = _ready(now, phase)
    return [
        {"type": "PodReadyToStartContainers", "status": _truth(now.sandbox and not now.over)},
        {"type": "Initialized"} | _initialized(now, phase),
        {"type": "Ready"} | ready,
        {"type": "ContainersReady"} | ready,
        {"type": "PodScheduled", "status": "True"},
    ]


def _truth(value: bool) -> str:
    return "True" if value else "False"


def _ready(now: Situation, phase: str) -> Json:
    if phase in ("Succeeded", "Failed"):
        return {"status": "False", "reason": "PodCompleted" if phase == "Succeeded" else "PodFailed"}
    sidecars = [
        status
        for spec, status in zip(now.pod["spec"].get("initContainers", ()), now.inits, strict=True)
        if is_sidecar(spec)
    ]
    unready = [status["name"] for status in [*sidecars, *now.mains] if not status["ready"]]
    if not unready:
        return {"status": "True"}
    message = f"containers with unready status: [{' '.join(unready)}]"
    return {"status": "False", "reason": "ContainersNotReady", "message": message}


def _initialized(now: Situation, phase: str) -> Json:
    if phase == "Succeeded":
        return {"status": "True", "reason": "PodCompleted"}
    if _has_run(now.mains):
        return {"status": "True"}
    open_ones = [
        status["name"]
        for spec, status in zip(now.pod["spec"].get("initContainers", ()), now.inits, strict=True)
        if not (status["started"] if is_sidecar(spec) else status["ready"])
    ]
    if not open_ones:
        return {"status": "True"}
    message = f"containers with incomplete status: [{' '.join(open_ones)}]"
    return {"status": "False", "reason": "ContainersNotInitialized", "message": message}


def closed(now: Situation) -> Situation:
    """How the kubelet tells of containers that never ran in a Pod that has ended: as lost, once it was initialized."""
    if not now.over or (now.inits and _initialized(now, "")["status"] != "True"):
        return now
    mains = [
        status if "terminated" in status["state"] else status | {"state": {"terminated": STATUS_UNKNOWN}}
        for status in now.mains
    ]
    return msgspec.structs.replace(now, mains=mains)


def render(now: Situation, started_at: str, address: str) -> Json:
    now = closed(now)
    phase = pod_phase(now)
    status: Json = {
        "phase": phase,
        "hostIP": ADDRESS,
        "hostIPs": [{"ip": ADDRESS}],
        "startTime": started_at,
        "observedGeneration": now.pod["metadata"].get("generation", 0),
        "conditions": conditions(now, phase),
        "initContainerStatuses": list(now.inits),
        "containerStatuses": list(now.mains),
        "qosClass": now.pod.get("status", {}).get("qosClass", "BestEffort"),
    }
    if now.sandbox:
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    if now.over and now.failed_reason:
        status |= {"reason": now.failed_reason, "message": now.failed_message}
    return status
