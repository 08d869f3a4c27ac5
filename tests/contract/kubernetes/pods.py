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

    async def running(self, name: str, output: str) -> None:
        """It printed this and waits to be told to print more."""
        ...

    async def finish(self, name: str, output: str) -> None:
        """A running one prints this as well and ends."""
        ...


class PodsInMemory:
    def __init__(self, cluster: Cluster, objects: Objects) -> None:
        self.cluster = cluster
        self._objects = objects

    async def finished(self, name: str, output: str) -> None:
        await self.running(name, output)
        await self.finish(name, "")

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

    async def running(self, name: str, output: str) -> None:
        await self.cluster.create("pods", name, spec=spec("main"))
        self._state(name, "Running", {"running": {}})
        self._print(name, output)

    async def finish(self, name: str, output: str) -> None:
        self._print(name, output)
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
    """Needs a node that can start ``busybox``. A running one looks for a file of a ConfigMap of its name."""

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
        await self._start(name, "true", "", image="bad/none:1")
        await self._until(name, _waits_for("ImagePullBackOff"))

    async def running(self, name: str, output: str) -> None:
        await self.cluster.create("configmaps", name, data={})
        wait = 'printf %s "$OUTPUT"; until [ -e /more/end ]; do sleep 0.2; done; cat /more/end'
        mount = [{"name": "more", "mountPath": "/more"}]
        volumes = [{"name": "more", "configMap": {"name": name}}]
        await self._start(name, wait, output, volumeMounts=mount, volumes=volumes)
        await self._until(name, lambda status: "running" in status["state"])

    async def finish(self, name: str, output: str) -> None:
        await self.cluster.patch("configmaps", name, {"data": {"end": output}})

    async def _start(self, name: str, command: str, output: str, **fields: Any) -> None:
        env = [{"name": "OUTPUT", "value": output}, *fields.pop("env", ())]
        container = {"name": "main", "image": fields.pop("image", "busybox"), "command": ["/bin/sh", "-c", command]}
        container |= {"env": env, "volumeMounts": fields.pop("volumeMounts", [])}
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
