"""Lives the life of one Pod on this node, and tells the API server of it."""

import asyncio
import contextlib
import logging
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from tests.cluster.kubelet.api import STRATEGIC, ApiError, Json
from tests.cluster.kubelet.container import Container
from tests.cluster.kubelet.events import now
from tests.cluster.kubelet.faults import Faults, faults_of
from tests.cluster.kubelet.host import Host
from tests.cluster.kubelet.mounts import MountError
from tests.cluster.kubelet.pod import Pod
from tests.cluster.kubelet.status import Situation, is_sidecar, render

logger = logging.getLogger(__name__)

_MOUNT_SECONDS: Final = 0.5  # until the next try, doubled up to 2 minutes
_MOUNT_LONGEST: Final = 120.0
_DEADLINE: Final = "Pod was active on the node longer than the specified deadline"
_LOST: Final = "The kubelet was started again: the processes of this Pod ended with the one before"
_EVICTED: Final = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 60Mi. "


class End(msgspec.Struct, frozen=True):
    """Why a Pod is ended from outside; ``reason`` empty when it is deleted."""

    reason: str = ""
    message: str = ""
    grace: float | None = None  # seconds, when not the Pod's own


class Worker:
    """``found`` is the Pod as it was first seen; ``update`` brings newer versions."""

    def __init__(self, host: Host, found: Json, address: str) -> None:
        self._host = host
        self._folder = host.state / found["metadata"]["uid"]
        self._folder.mkdir(parents=True, exist_ok=True)
        self._dirty = asyncio.Event()
        self.pod = Pod(host, found, self._folder, address, self._dirty.set)
        self._ordered: Faults = {}
        self._mended = False  # what the annotation says counts no more
        self._end: End | None = None
        self._end_due = asyncio.Event()
        self._gone = asyncio.Event()  # no object any more
        self._sandbox = False
        self._over = False
        self._started_at = found.get("status", {}).get("startTime") or now()
        self._since: dict[str, tuple[str, str]] = {}  # condition -> status, since when
        spec = found["spec"]
        first = "PodInitializing" if spec.get("initContainers") else "ContainerCreating"
        self.inits = [
            Container(self.pod, one, "initContainers", "PodInitializing") for one in spec.get("initContainers", ())
        ]
        self.mains = [Container(self.pod, one, "containers", first) for one in spec["containers"]]
        self.update(found)

    def update(self, found: Json) -> None:
        self.pod.found = found
        try:
            self.pod.faults = ({} if self._mended else faults_of(found)) | self._ordered
        except ValueError as error:
            self.pod.tell("Warning", "Fault", str(error))
        if found["metadata"].get("deletionTimestamp"):
            self._end_with(End(grace=float(found["metadata"].get("deletionGracePeriodSeconds") or 0)))
        elif "evict" in self.pod.faults and any(one.running for one in self.mains):
            self.evict(self.pod.faults["evict"])

    def add_faults(self, faults: Faults) -> None:
        self._ordered = self._ordered | faults
        self.update(self.pod.found)

    def clear_faults(self) -> None:
        self._ordered, self._mended = {}, True
        self.pod.faults = {}

    def vanished(self) -> None:
        """Its object is no more: deleted at the end of its life, or by force."""
        self._gone.set()
        if self._end is not None:  # by force, while its grace still ran
            for one in [*self.inits, *self.mains]:
                one.kill()
        self._end_with(End(grace=1))

    def evict(self, message: str) -> None:
        self._end_with(End("Evicted", message or _EVICTED, grace=1))

    def _end_with(self, end: End) -> None:
        if self._end is None:
            self._end = end
            self._end_due.set()

    def container(self, name: str) -> Container | None:
        return next((one for one in [*self.inits, *self.mains] if one.name == name), None)

    async def run(self) -> None:
        try:
            if self.pod.found.get("status", {}).get("phase") not in ("Succeeded", "Failed"):
                await self._be()
            await self._await_removal()
        finally:
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    async def _be(self) -> None:
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(self._keep_writing())
            ender = group.create_task(self._ended_from_outside())
            deadline = group.create_task(self._watch_deadline())
            self._dirty.set()
            if self.pod.found.get("status", {}).get("startTime"):
                self._end = End("NodeLost", _LOST)
            else:
                await self._live()
            deadline.cancel()
            if self._end_due.is_set():
                await ender
            ender.cancel()
            self._over = True
            self._dirty.set()
            await writer

    async def _await_removal(self) -> None:
        removed = False
        while not self._gone.is_set():
            if not removed and self.pod.found["metadata"].get("deletionTimestamp"):
                removed = await self._remove()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._gone.wait(), 1)

    async def _remove(self) -> bool:
        """The last word of a deletion is the kubelet's. False when it is to be said again."""
        body: Json = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.pod.uid}}
        try:
            await self._host.api.call("DELETE", self._path, body)
        except ApiError as error:
            return error.status in (404, 409)
        return True

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.pod.namespace}/pods/{self.pod.name}"

    # --- life

    async def _live(self) -> None:
        if not await self._set_up():
            return
        async with self._sidecars() as sidecars:
            if not await self._initialize(sidecars):
                return
            for one in self.mains:
                if "PodInitializing" in one.state.get("waiting", {}).get("reason", ""):
                    one.state = {"waiting": {"reason": "ContainerCreating"}}
            async with asyncio.TaskGroup() as group:
                for one in self.mains:
                    group.create_task(one.run(self._again))

    async def _set_up(self) -> bool:
        """Mounts what it can and tells of the rest, until all is there. False when the Pod is to end."""
        seconds = _MOUNT_SECONDS
        while not self._end_due.is_set():
            for volume in self.pod.volumes.missing:
                try:
                    await self.pod.volumes.set_up(volume)
                except MountError as error:
                    self.pod.tell("Warning", "FailedMount", str(error))
            if not self.pod.volumes.missing:
                self._sandbox = True
                self._dirty.set()
                return True
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._end_due.wait(), seconds)
            seconds = min(seconds * 2, _MOUNT_LONGEST)
        return False

    @asynccontextmanager
    async def _sidecars(self) -> AsyncIterator[asyncio.TaskGroup]:
        """They are started within, and ended in reverse order when all else is done."""
        async with asyncio.TaskGroup() as group:
            yield group
            for one in reversed(self._native_sidecars):
                await one.stop(self._grace)

    @property
    def _native_sidecars(self) -> Sequence[Container]:
        return [one for one in self.inits if is_sidecar(one.spec)]

    async def _initialize(self, sidecars: asyncio.TaskGroup) -> bool:
        for one in self.inits:
            if self._end_due.is_set():
                return False
            if is_sidecar(one.spec):
                sidecars.create_task(one.run(lambda _: True))
                if not await one.started():
                    return False
                continue
            await one.run(self._again_init)
            if one.exit_code != 0:
                return False
        return not self._end_due.is_set()

    def _again(self, code: int) -> bool:
        policy = self.pod.found["spec"].get("restartPolicy", "Always")
        return bool(policy == "Always" or (policy == "OnFailure" and code != 0))

    def _again_init(self, code: int) -> bool:
        return bool(code != 0 and self.pod.found["spec"].get("restartPolicy", "Always") != "Never")

    # --- ends from outside

    @property
    def _grace(self) -> float:
        if self._end is not None and self._end.grace is not None:
            return max(self._end.grace, 1)
        return float(self.pod.found["spec"].get("terminationGracePeriodSeconds", 30))

    async def _ended_from_outside(self) -> None:
        await self._end_due.wait()
        assert self._end is not None
        if self._end.reason:
            self.pod.tell("Warning" if self._end.reason == "Evicted" else "Normal", self._end.reason, self._end.message)
        async with asyncio.TaskGroup() as group:
            for one in [*self.inits, *self.mains]:
                if not is_sidecar(one.spec):
                    group.create_task(one.stop(self._grace))
        for one in reversed(self._native_sidecars):
            await one.stop(self._grace)

    async def _watch_deadline(self) -> None:
        """Follows the field, which may be shortened while the Pod runs."""
        while True:
            seconds = self.pod.found["spec"].get("activeDeadlineSeconds")
            began = datetime.fromisoformat(self._started_at)
            if seconds is not None and (datetime.now(UTC) - began).total_seconds() >= seconds:
                self._end_with(End("DeadlineExceeded", _DEADLINE))
                return
            await asyncio.sleep(0.2)

    # --- status

    async def _keep_writing(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            last = self._over
            if not await self._write(self._status()):
                await asyncio.sleep(0.5)
                self._dirty.set()
            elif last:
                return
            if "evict" in self.pod.faults:
                self.update(self.pod.found)

    def _status(self) -> Json:
        end = self._end or End()
        situation = Situation(
            pod=self.pod.found,
            inits=[one.status() for one in self.inits],
            mains=[one.status() for one in self.mains],
            sandbox=self._sandbox,
            over=self._over,
            failed_reason=end.reason,
            failed_message=end.message,
        )
        status = render(situation, self._started_at, self.pod.address)
        if self._over and end.reason == "Evicted":
            told = {"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}
            status["conditions"].append(told | {"message": end.message})
        for condition in status["conditions"]:
            condition["lastTransitionTime"] = self._held_since(condition)
            condition["observedGeneration"] = status["observedGeneration"]
        return status

    def _held_since(self, condition: Json) -> str:
        kind, value = condition["type"], condition["status"]
        for known in self.pod.found.get("status", {}).get("conditions", ()):
            self._since.setdefault(known["type"], (known["status"], known["lastTransitionTime"]))
        if kind not in self._since or self._since[kind][0] != value:
            self._since[kind] = (value, now())
        return self._since[kind][1]

    async def _write(self, status: Json) -> bool:
        """False when it is to be tried again."""
        change: dict[str, Any] = {"metadata": {"uid": self.pod.uid}, "status": _cleared(status)}
        try:
            await self._host.api.call("PATCH", f"{self._path}/status", change, STRATEGIC)
        except ApiError as error:
            if error.status in (404, 409) and ("uid" in str(error) or error.status == 404):
                return True  # the Pod is another, or none
            logger.warning("status of %s: %s", self.pod, error)
            return self._gone.is_set()
        return True


def _cleared(status: Json) -> Json:
    """A condition that holds no more keeps no reason and no message of before."""
    conditions = [{"reason": None, "message": None} | condition for condition in status["conditions"]]
    return status | {"conditions": conditions}


def forget_all(state: Path) -> None:
    """What a kubelet before this one left."""
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True)
