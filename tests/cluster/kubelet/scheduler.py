"""Binds Pods to the one node, or says in the scheduler's words why it cannot."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from tests.cluster.kubelet.api import STRATEGIC, ApiError, Json
from tests.cluster.kubelet.events import now
from tests.cluster.kubelet.host import Host
from tests.cluster.kubelet.quantity import read_quantity

logger = logging.getLogger(__name__)

_AGAIN_SECONDS: Final = 1.0
_EVENT_AFTER: Final = 300.0  # seconds until a Pod that still does not fit is told of again
_NO_HELP: Final = "no new claims to deallocate, preemption: 0/1 nodes are available: 1 "


def why_not(pod: Json, node: Json) -> str:
    """Empty when the Pod fits, as far as this looks."""
    spec, meta = pod["spec"], node["metadata"]
    if node["spec"].get("unschedulable"):
        return "1 node(s) were unschedulable"
    for taint in node["spec"].get("taints", ()):
        if taint["effect"] != "PreferNoSchedule" and not _tolerated(taint, spec.get("tolerations", ())):
            return f"1 node(s) had untolerated taint(s) {{{taint['key']}: {taint.get('value', '')}}}"
    if not _selected(spec, meta.get("labels", {}), meta["name"]):
        return "1 node(s) didn't match Pod's node affinity/selector"
    offered = node["status"].get("allocatable", {})
    short = [name for name in ("cpu", "memory") if _asked(spec, name) > read_quantity(offered.get(name, "0"))]
    return ", ".join(f"1 Insufficient {name}" for name in short)


def _asked(spec: Json, resource: str) -> Decimal:
    def ask(containers: Iterable[Json]) -> list[Decimal]:
        return [read_quantity(one.get("resources", {}).get("requests", {}).get(resource, "0")) for one in containers]

    return max([sum(ask(spec["containers"]), Decimal()), *ask(spec.get("initContainers", ()))])


def _tolerated(taint: Json, tolerations: Iterable[Json]) -> bool:
    return any(
        each.get("effect") in (None, "", taint["effect"])
        and each.get("key") in (None, "", taint["key"])
        and (each.get("operator") == "Exists" or each.get("value", "") == taint.get("value", ""))
        for each in tolerations
    )


def _selected(spec: Json, labels: dict[str, str], name: str) -> bool:
    if any(labels.get(key) != value for key, value in spec.get("nodeSelector", {}).items()):
        return False
    affinity = spec.get("affinity", {}).get("nodeAffinity", {}).get("requiredDuringSchedulingIgnoredDuringExecution")
    if affinity is None:
        return True
    return any(
        all(_meets(labels, rule) for rule in term.get("matchExpressions", ()))
        and all(_meets({"metadata.name": name}, rule) for rule in term.get("matchFields", ()))
        for term in affinity["nodeSelectorTerms"]
    )


def _meets(labels: dict[str, str], rule: Json) -> bool:
    value, wanted = labels.get(rule["key"]), rule.get("values", ())
    match rule["operator"]:
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt":
            return value is not None and int(value) > int(wanted[0])
        case _:
            return value is not None and int(value) < int(wanted[0])


class Scheduler:
    def __init__(self, host: Host) -> None:
        self._host = host
        self._waiting: dict[str, Json] = {}  # Pods by uid
        self._told: dict[str, tuple[str, float]] = {}  # uid -> message, when
        self._work = asyncio.Event()

    async def watch(self) -> None:
        async for kind, pod in self._host.api.watch("/api/v1/pods", fieldSelector="spec.nodeName="):
            uid = pod["metadata"]["uid"]
            if kind == "DELETED" or not _is_ours(pod):
                self._waiting.pop(uid, None)
                self._told.pop(uid, None)
            else:
                self._waiting[uid] = pod
                self._work.set()

    async def run(self) -> None:
        """What does not fit is looked at again each second: the node may have changed."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._work.wait(), _AGAIN_SECONDS if self._waiting else None)
            self._work.clear()
            try:
                node = await self._host.api.call("GET", f"/api/v1/nodes/{self._host.node}")
                for pod in list(self._waiting.values()):
                    await self._place(pod, node)
            except ApiError as error:
                logger.info("scheduling: %s", error)

    async def _place(self, pod: Json, node: Json) -> None:
        if reason := why_not(pod, node):
            await self._tell_unschedulable(pod, reason)
            return
        metadata = pod["metadata"]
        target = {"apiVersion": "v1", "kind": "Node", "name": self._host.node}
        body: Json = {"metadata": {"name": metadata["name"], "uid": metadata["uid"]}, "target": target}
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        self._waiting.pop(metadata["uid"], None)
        try:
            await self._host.api.call("POST", f"{path}/binding", body)
        except ApiError as error:
            if error.status not in (404, 409):
                self._waiting[metadata["uid"]] = pod
            return
        message = f"Successfully assigned {metadata['namespace']}/{metadata['name']} to {self._host.node}"
        self._host.events.tell_as_scheduler(_about(pod), "Normal", "Scheduled", "Binding", message)

    async def _tell_unschedulable(self, pod: Json, reason: str) -> None:
        help_ = (
            "No preemption victims found for incoming pod"
            if "Insufficient" in reason
            else "Preemption is not helpful for scheduling"
        )
        message = f"0/1 nodes are available: {reason}. {_NO_HELP}{help_}."
        uid, time = pod["metadata"]["uid"], asyncio.get_running_loop().time()
        before, when = self._told.get(uid, ("", 0.0))
        if before == message and time - when < _EVENT_AFTER:
            return
        self._told[uid] = (message, time)
        condition: Json = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        condition |= {"lastTransitionTime": now(), "lastProbeTime": None}
        change: Json = {"metadata": {"uid": uid}, "status": {"conditions": [condition]}}
        path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
        self._host.events.tell_as_scheduler(_about(pod), "Warning", "FailedScheduling", "Scheduling", message)
        try:
            await self._host.api.call("PATCH", path, change, STRATEGIC)
        except ApiError as error:
            logger.info("condition of %s: %s", uid, error)


def _is_ours(pod: Json) -> bool:
    spec = pod["spec"]
    mine = spec.get("schedulerName", "default-scheduler") == "default-scheduler"
    return mine and not spec.get("schedulingGates") and not pod["metadata"].get("deletionTimestamp")


def _about(pod: Json) -> Json:
    metadata = pod["metadata"]
    about: Json = {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")}
    return {"kind": "Pod", "apiVersion": "v1"} | about
