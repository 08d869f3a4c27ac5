"""One Argo CD Application with a Git repository of its own, and what people do to it."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from tests.cluster.git import Repository
from tests.cluster.kubernetes import Json, Kubernetes, path
from tests.cluster.manifests import written

API = "argoproj.io/v1alpha1"
Manifests = Mapping[str, Sequence[Json] | None]  # by file name; None removes the file
_TAKEN_UP, _TRIES = 10.0, 6  # seconds until an operation has begun, else it is touched
QUICK_RETRY: Json = {"limit": 3, "backoff": {"duration": "2s", "factor": 1, "maxDuration": "2s"}}


class Application:
    def __init__(self, kubernetes: Kubernetes, repository: Repository, namespace: str, name: str) -> None:
        self.namespace = namespace
        self.name = name
        self._kubernetes = kubernetes
        self._repository = repository
        self._where = path(API, "Application", namespace, name)

    async def push(self, manifests: Manifests, message: str = "a change") -> str:
        """The new revision; Argo CD sees it at its next refresh."""
        files = {file: None if items is None else written(*items) for file, items in manifests.items()}
        return await self._repository.commit(files, message)

    async def create(self, *, labels: Mapping[str, str] | None = None, **spec: object) -> None:
        """``spec`` is laid over a spec that syncs by hand only."""
        await self._kubernetes.apply(
            {
                "apiVersion": API,
                "kind": "Application",
                "metadata": {"name": self.name, "labels": dict(labels or {})},
                "spec": {
                    "project": "default",
                    "source": {"repoURL": self._repository.url, "targetRevision": "main", "path": "."},
                    "destination": {"server": "https://kubernetes.default.svc", "namespace": self.namespace},
                    **spec,
                },
            },
            self.namespace,
        )

    async def get(self) -> Json | None:
        return await self._kubernetes.get(self._where)

    async def patch(self, change: Json) -> None:
        await self._kubernetes.patch(self._where, change)

    async def refresh(self) -> None:
        """As ``argocd app get --hard-refresh``: what was pushed is seen now."""
        await self.patch({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "hard"}}})

    async def until_compared(self, revision: str) -> None:
        """Argo CD knows of this one, whatever it does."""
        await self._kubernetes.until(
            self._where, lambda app: app.get("status", {}).get("sync", {}).get("revision") == revision, within=60
        )

    async def sync(
        self, *, by: str = "alice", revision: str = "main", retry: Json | None = None, **sync: object
    ) -> str:
        """As ``argocd app sync`` by a person, or with an empty ``by`` as Argo CD itself where auto-sync is on; when its
        operation has begun: its ``startedAt``."""
        before = (await self.operation_state()).get("startedAt")
        await _over(before)
        initiator: Json = {"username": by} if by else {"automated": True}
        operation: Json = {"initiatedBy": initiator, "sync": {"revision": revision, **sync}}
        if retry:
            operation["retry"] = retry
        await self.patch({"operation": operation})
        for _ in range(_TRIES):
            with contextlib.suppress(AssertionError):
                return await self._begun(before)
            if "operation" in (
                await self.get() or {}
            ):  # overlooked, as Argo CD sometimes does: touched, it takes it up
                await self.patch({"operation": {"info": [{"name": "touched", "value": str(time.time())}]}})
        return await self._begun(before)

    async def _begun(self, before: str | None) -> str:
        state = await self.until(lambda state: state.get("startedAt") not in (None, before), within=_TAKEN_UP)
        started: str = state["startedAt"]
        return started

    async def mend(self, manifests: Manifests) -> None:
        """Pushed and synced to a good end. It is retried: a controller under load may judge the new hook by the Job
        that it has just deleted, and fail the operation while the new one still runs."""
        await self.push(manifests, "mended")
        await self.ended("Succeeded", started=await self.sync(retry=QUICK_RETRY))

    async def terminate(self) -> None:
        await self.patch({"status": {"operationState": {"phase": "Terminating"}}})

    async def delete(self) -> None:
        await self._kubernetes.delete(self._where)

    async def operation_state(self) -> Json:
        """Empty while there was no operation."""
        found = await self.get() or {}
        state: Json = found.get("status", {}).get("operationState", {})
        return state

    async def until(self, true: Callable[[Json], object], *, within: float = 60) -> Json:
        """The operation state as it was when this was first true of it."""
        found = await self._kubernetes.until(
            self._where, lambda app: true(app.get("status", {}).get("operationState", {})), within=within
        )
        state: Json = found.get("status", {}).get("operationState", {})
        return state

    async def ended(self, operation_phase: str, *, started: str = "", within: float = 90) -> Json:
        """``started``: of that operation, not of one before it."""
        return await self.until(
            lambda state: state.get("phase") == operation_phase and (not started or state["startedAt"] == started),
            within=within,
        )


async def _over(second: str | None) -> None:
    """Operations are told apart by the second in which they began."""
    if second is not None:
        passed = datetime.fromisoformat(second).timestamp() + 1
        await asyncio.sleep(max(0.0, passed - time.time()))
