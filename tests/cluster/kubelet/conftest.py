"""Pods for the tests of the kubelet, on the cluster that runs."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.cluster.kubelet.control import order
from tests.cluster.kubernetes import Json, Kubernetes, RefusedError, path
from tests.cluster.running import Running


class Pods:
    """Those of one namespace."""

    def __init__(self, kubernetes: Kubernetes, namespace: str, running: Running) -> None:
        self.kubernetes = kubernetes
        self.namespace = namespace
        self._running = running

    def at(self, name: str, kind: str = "Pod") -> str:
        return path("batch/v1" if kind == "Job" else "v1", kind, self.namespace, name)

    async def run(self, name: str, command: str, *, fault: str = "", main: Json | None = None, **spec: Any) -> str:
        """A Pod of one container that runs ``command`` in a shell; ``main`` is laid over that container."""
        container = {"name": "main", "image": "app:1", "command": ["sh", "-c", command]} | (main or {})
        whole = {"restartPolicy": "Never", "containers": [container]} | spec
        metadata = {"name": name, "annotations": {"kubelet.test/fault": fault} if fault else {}}
        await self.create("v1", "Pod", {"metadata": metadata, "spec": whole})
        return name

    async def job(self, name: str, command: str, *, backoff_limit: int = 0, **spec: Any) -> None:
        container = {"name": "main", "image": "app:1", "command": ["sh", "-c", command]}
        template = {"restartPolicy": "Never", "containers": [container]} | spec
        body = {"backoffLimit": backoff_limit, "template": {"spec": template}}
        await self.create("batch/v1", "Job", {"metadata": {"name": name}, "spec": body})

    async def create(self, version: str, kind: str, item: Json) -> None:
        whole = {"apiVersion": version, "kind": kind} | item
        await self.kubernetes.call("POST", path(version, kind, self.namespace), whole)

    async def until(self, name: str, true: Callable[[Json], object], *, kind: str = "Pod") -> Json:
        """Its status, as soon as it is so."""
        where = self.at(name, kind)
        return dict((await self.kubernetes.until(where, lambda found: true(found.get("status", {}))))["status"])

    async def until_phase(self, name: str, pod_phase: str) -> Json:
        return await self.until(name, lambda status: status.get("phase") == pod_phase)

    async def until_waits(self, name: str, reason: str) -> Json:
        """The waiting state of its main container."""

        def so(status: Json) -> bool:
            return any(
                one["state"].get("waiting", {}).get("reason") == reason for one in status.get("containerStatuses", ())
            )

        return dict((await self.until(name, so))["containerStatuses"][0]["state"]["waiting"])

    async def of_job(self, name: str) -> list[Json]:
        where = path("v1", "Pod", self.namespace) + f"?labelSelector=batch.kubernetes.io/job-name={name}"
        return list((await self.kubernetes.call("GET", where))["items"])

    async def log(self, name: str, **query: str) -> tuple[int, str]:
        """Answer's status and text."""
        async with self.kubernetes.session.get(f"{self.at(name)}/log", params=query) as response:
            return response.status, (await response.read()).decode()

    async def events(self, name: str) -> list[tuple[str, str, str]]:
        """type, reason and message of those that tell of the Pod."""
        where = path("v1", "Event", self.namespace) + f"?fieldSelector=involvedObject.name={name}"
        found = (await self.kubernetes.call("GET", where))["items"]
        return [(event["type"], event["reason"], event["message"]) for event in found]

    async def event(self, name: str, reason: str) -> Json:
        """The first of that reason, as soon as there is one."""
        where = path("v1", "Event", self.namespace) + f"?fieldSelector=involvedObject.name={name},reason={reason}"
        return dict((await self.kubernetes.until(where, lambda found: found["items"]))["items"][0])

    async def delete(self, name: str, **options: int) -> None:
        await self.kubernetes.call("DELETE", self.at(name), options)

    async def gone(self, name: str) -> bool:
        try:
            await self.kubernetes.call("GET", self.at(name))
        except RefusedError as error:
            return error.status == 404
        return False

    async def order(self, line: str) -> None:
        await order(self._running.kubelet_control, line)


@pytest.fixture
def pods(kubernetes: Kubernetes, namespace: str, running: Running) -> Pods:
    return Pods(kubernetes, namespace, running)
