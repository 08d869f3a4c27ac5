"""The Node object: registered, kept alive, and told as lost as the node lifecycle controller would."""

import asyncio
import logging
import platform
from collections.abc import Iterable
from typing import Final

from tests.cluster.kubelet.api import MERGE, STRATEGIC, Api, ApiError, Json
from tests.cluster.kubelet.events import now, now_precise
from tests.cluster.kubelet.host import ADDRESS

logger = logging.getLogger(__name__)

_VERSION: Final = "v1.36.3"
_LEASE_SECONDS: Final = 40
_RENEW_SECONDS: Final = 10.0
_SIZE: Final = {"cpu": "64", "memory": "128Gi", "pods": "1000", "ephemeral-storage": "500Gi"}
_MACHINE: Final = {"x86_64": "amd64", "aarch64": "arm64"}
_STOPPED: Final = "Kubelet stopped posting node status."
_TAINTS: Final = [
    {"key": "node.kubernetes.io/unreachable", "effect": effect, "timeAdded": None}
    for effect in ("NoSchedule", "NoExecute")
]


class Node:
    """``api`` is the kubelet's own; ``outside`` works on while the node is lost."""

    def __init__(self, api: Api, outside: Api, name: str, port: int) -> None:
        self._api = api
        self._outside = outside
        self.name = name
        self._port = port

    @property
    def lost(self) -> bool:
        return not self._api.reachable.is_set()

    async def register(self) -> None:
        labels = {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": _MACHINE.get(platform.machine(), platform.machine()),
        }
        node: Json = {"metadata": {"name": self.name, "labels": labels}, "spec": {}}
        try:
            await self._api.call("POST", "/api/v1/nodes", node)
        except ApiError as error:
            if error.status != 409:
                raise
        await self._tell_ready()

    async def _tell_ready(self) -> None:
        healthy = [
            _condition(
                "MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"
            ),
            _condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
            _condition("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
            _condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        ]
        status: Json = {
            "addresses": [{"type": "InternalIP", "address": ADDRESS}, {"type": "Hostname", "address": self.name}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": self._port}},
            "capacity": _SIZE,
            "allocatable": _SIZE,
            "conditions": healthy,
            "nodeInfo": _info(),
        }
        await self._api.call("PATCH", f"/api/v1/nodes/{self.name}/status", {"status": status}, STRATEGIC)
        # admission gives each new node a taint, which the node lifecycle controller would take away now
        await self._api.call("PATCH", f"/api/v1/nodes/{self.name}", {"spec": {"taints": None}}, MERGE)

    async def keep_alive(self) -> None:
        while True:
            try:
                await self._renew()
            except ApiError as error:
                logger.info("lease: %s", error)
            await asyncio.sleep(_RENEW_SECONDS)

    async def _renew(self) -> None:
        folder = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        spec: Json = {"holderIdentity": self.name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": now_precise()}
        try:
            await self._api.call("PATCH", f"{folder}/{self.name}", {"spec": spec}, MERGE)
        except ApiError as error:
            if error.status != 404:
                raise
            await self._api.call("POST", folder, {"metadata": {"name": self.name}, "spec": spec})

    async def lose(self, pods: Iterable[Json]) -> None:
        """The kubelet falls silent; its Pods are told as not ready. None is deleted: that comes 5 minutes later."""
        self._api.reachable.clear()
        unknown = [
            _condition(kind, "Unknown", "NodeStatusUnknown", _STOPPED)
            for kind in ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
        ]
        path = f"/api/v1/nodes/{self.name}"
        await self._outside.call("PATCH", f"{path}/status", {"status": {"conditions": unknown}}, STRATEGIC)
        await self._outside.call("PATCH", path, {"spec": {"taints": _TAINTS}}, MERGE)
        for pod in pods:
            await self._mark(pod)

    async def _mark(self, pod: Json) -> None:
        metadata = pod["metadata"]
        condition = {"type": "Ready", "status": "False", "lastTransitionTime": now(), "reason": None, "message": None}
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        change: Json = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [condition]}}
        try:
            await self._outside.call("PATCH", path, change, STRATEGIC)
        except ApiError as error:
            logger.info("lost Pod %s: %s", metadata["name"], error)

    async def come_back(self) -> None:
        self._api.reachable.set()
        await self._tell_ready()


def _condition(kind: str, status: str, reason: str, message: str) -> Json:
    times = {"lastHeartbeatTime": now(), "lastTransitionTime": now()}
    return {"type": kind, "status": status, "reason": reason, "message": message} | times


def _info() -> Json:
    return {
        "kubeletVersion": _VERSION,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": _MACHINE.get(platform.machine(), platform.machine()),
        "containerRuntimeVersion": "process://1",
        "kernelVersion": platform.release(),
        "osImage": "a host without containers",
        "machineID": "",
        "systemUUID": "",
        "bootID": "",
    }
