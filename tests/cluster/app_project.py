"""An AppProject of one story, with everything permitted, whose sync windows can be closed."""

from typing import Self

from tests.cluster.application import API
from tests.cluster.argocd import EVERYTHING, NAMESPACE
from tests.cluster.kubernetes import Kubernetes, path


class AppProject:
    def __init__(self, kubernetes: Kubernetes, name: str) -> None:
        self.name = name
        self._kubernetes = kubernetes
        self._where = path(API, "AppProject", NAMESPACE, name)

    async def __aenter__(self) -> Self:
        meta = {"name": self.name, "namespace": NAMESPACE}
        await self._kubernetes.apply({"apiVersion": API, "kind": "AppProject", "metadata": meta, "spec": EVERYTHING})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._kubernetes.delete(self._where)

    async def freeze(self, application: str) -> None:
        window = {"kind": "deny", "schedule": "* * * * *", "duration": "24h", "applications": [application]}
        await self._kubernetes.patch(self._where, {"spec": {"syncWindows": [window]}})

    async def thaw(self) -> None:
        await self._kubernetes.patch(self._where, {"spec": {"syncWindows": None}})
