"""Pods that print and end: on a real cluster a shell does it, in memory we play the kubelet."""

import asyncio
from typing import Any, Protocol

from responder.demo.objects import Objects
from tests.contract.kubernetes.cluster import PATIENCE, Cluster, Json

NODE = "node-1"
STAMP = "2026-11-21T13:45:29.230582129Z"


def spec(*containers: str, **fields: Any) -> Json:
    return {"containers": [{"name": name, "image": "busybox"} for name in containers], **fields}


class Pods(Protocol):
    """Makes Pods with one container, ``main``."""

    async def finished(self, name: str, output: str) -> None:
        """It printed this and ended with 0."""
        ...

    async def crashed(self, name: str, output: str) -> None:
        """It printed this, failed, and waits to be started again."""
        ...

    async def without_secret(self, name: str) -> None: ...

    async def without_image(self, name: str) -> None: ...

    async def running(self, name: str, output: str, last: str = "") -> None:
        """It printed this. With ``last`` it will print that too and end, a moment later or when told to ``finish``."""
        ...

    async def finish(self, name: str) -> None: ...


class PodsInMemory:
    def __init__(self, cluster: Cluster, objects: Objects) -> None:
        self.cluster = cluster
        self._objects = objects
        self._last: dict[str, str] = {}

    async def finished(self, name: str, output: str) -> None:
        await self.running(name, output)
        await self.finish(name)

    async def crashed(self, name: str, output: str) -> None:
        await self.running(name, output)
        waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
        self._state(name, "Running", waiting, last={"terminated": {"exitCode": 1}})

    async def without_secret(self, name: str) -> None:
        await self.cluster.create("pods", name, spec=spec("main"))
        self._state(name, "Pending", {"waiting": {"reason": "CreateContainerConfigError"}})

    async def without_image(self, name: str) -> None:
        await self.cluster.create("pods", name, spec=spec("main"))
        self._state(name, "Pending", {"waiting": {"reason": "ImagePullBackOff"}})

    async def running(self, name: str, output: str, last: str = "") -> None:
        self._last[name] = last
        await self.cluster.create("pods", name, spec=spec("main"))
        self._state(name, "Running", {"running": {}})
        self._print(name, output)

    async def finish(self, name: str) -> None:
        self._print(name, self._last[name])
        self._state(name, "Succeeded", {"terminated": {"exitCode": 0}})

    def _print(self, name: str, output: str) -> None:
        self._objects.append_log(self.cluster.namespace, name, "main", 0, STAMP, output)

    def _state(self, name: str, pod_phase: str, state: Json, last: Json | None = None) -> None:
        pod = self._objects.get("Pod", self.cluster.namespace, name)
        status = {"name": "main", "restartCount": 0, "state": state, "lastState": last or {}}
        bound = {**pod["spec"], "nodeName": NODE}
        new = {**pod, "spec": bound, "status": {"phase": pod_phase, "containerStatuses": [status]}}
        self._objects.put_raw("Pod", "MODIFIED", new)


class PodsOnNodes:
    """Needs a node that can start ``busybox`` and finds no image ``does-not-exist``."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    async def finished(self, name: str, output: str) -> None:
        await self._start(name, 'printf %s "$OUTPUT"', output)
        await self._until(name, lambda status: "terminated" in status["state"])

    async def crashed(self, name: str, output: str) -> None:
        await self._start(name, 'printf %s "$OUTPUT"; exit 1', output, restartPolicy="Always")
        await self._until(name, lambda status: status["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff")

    async def without_secret(self, name: str) -> None:
        reference = {"secretKeyRef": {"name": "missing", "key": "key"}}
        await self._start(name, "true", "", env=[{"name": "SECRET", "valueFrom": reference}])
        await self._until(name, _waits_for("CreateContainerConfigError"))

    async def without_image(self, name: str) -> None:
        await self._start(name, "true", "", image="does-not-exist/none:1")
        await self._until(name, _waits_for("ImagePullBackOff"))

    async def running(self, name: str, output: str, last: str = "") -> None:
        wait = 'printf %s "$OUTPUT"; ' + ('sleep 3; printf %s "$LAST"' if last else "sleep 300")
        await self._start(name, wait, output, env=[{"name": "LAST", "value": last}])
        await self._until(name, lambda status: "running" in status["state"])

    async def finish(self, name: str) -> None:
        """Nobody can tell it anything: it does so by itself."""

    async def _start(self, name: str, command: str, output: str, **fields: Any) -> None:
        env = [{"name": "OUTPUT", "value": output}, *fields.pop("env", ())]
        container = {"name": "main", "image": fields.pop("image", "busybox"), "command": ["/bin/sh", "-c", command]}
        container |= {"env": env}
        whole = {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], **fields}
        await self.cluster.create("pods", name, spec=whole)

    async def _until(self, name: str, reached: Any) -> None:
        async with asyncio.timeout(3 * PATIENCE):
            while True:
                statuses = (await self.cluster.get("pods", name)).body["status"].get("containerStatuses")
                if statuses and reached(statuses[0]):
                    return
                await asyncio.sleep(0.1)


def _waits_for(reason: str) -> Any:
    return lambda status: status["state"].get("waiting", {}).get("reason") == reason
