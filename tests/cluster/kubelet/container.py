"""One container of a Pod: from waiting for its image to its last exit, with every restart between."""

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from tests.cluster.kubelet.api import Json
from tests.cluster.kubelet.environment import ConfigError, Variables, command_of
from tests.cluster.kubelet.events import now
from tests.cluster.kubelet.images import Image, PullError, full_name, image_id
from tests.cluster.kubelet.logs import Log
from tests.cluster.kubelet.pod import Pod
from tests.cluster.kubelet.process import Process, StartError

logger = logging.getLogger(__name__)

_NOBODY: Final = 65534
_MESSAGE_BYTES: Final = 4096
_FALLBACK_LINES, _FALLBACK_BYTES = 80, 2048
_LONGEST: Final = 30  # times the first wait: 5 minutes with the kubelet's 10 seconds


class Container:
    """``state`` and ``last_state`` are those of its ContainerStatus."""

    def __init__(self, pod: Pod, spec: Json, field: str, first_reason: str) -> None:
        self.pod = pod
        self.spec = spec
        self.name: str = spec["name"]
        self.state: Json = {"waiting": {"reason": first_reason}}
        self.last_state: Json = {}
        self.restarts = 0
        self.container_id = ""
        self.log: Log | None = None
        self.previous_log: Log | None = None
        self.stopping = asyncio.Event()
        self._field = f"spec.{field}{{{self.name}}}"
        self._process: Process | None = None
        self._launched = asyncio.Event()  # the run under way has a process, or failed to get one
        self._launched.set()
        self._ended = asyncio.Event()
        self._ended.set()
        self._started = asyncio.Event()
        self._out_of_memory = False
        self._written = b""

    @property
    def running(self) -> bool:
        return "running" in self.state

    @property
    def exit_code(self) -> int | None:
        """Of its last run; None when none has ended."""
        ended = self.state.get("terminated") or self.last_state.get("terminated")
        return None if ended is None else int(ended["exitCode"])

    async def started(self) -> bool:
        """Waits until it ran once, or is not to run any more."""
        waits = [self._started.wait(), self.stopping.wait()]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(wait) for wait in waits]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
        return self._started.is_set()

    async def run(self, again: Callable[[int], bool]) -> None:
        """Until it has ended and is not to be started again."""
        waits = _doubling(self.pod.host.back_off)
        wait = 0.0  # the first restart comes at once
        while (image := await self._pull()) and (variables := await self._configure(image)):
            code = await self._once(image, variables)
            if self.stopping.is_set() or not again(code):
                return
            if not await self._back_off(wait):
                return
            wait = next(waits)
        self._give_up_waiting()

    async def _pull(self) -> Image | None:
        """None when it shall not start any more."""
        name, policy = self.spec["image"], self.spec.get("imagePullPolicy", "IfNotPresent")
        images = self.pod.host.images
        for seconds in _doubling(self.pod.host.back_off):
            if self.stopping.is_set():
                return None
            present = name in images.present and policy != "Always"
            try:
                image = images.find(name)
            except PullError as error:
                self._tell_pull_failed(name, error)
                if await self._stopped_within(seconds / 5):
                    return None
                self._tell_pulling_later(name, error)
            else:
                self._tell_pulled(name, present=present)
                return image
            if await self._stopped_within(seconds * 4 / 5):
                return None
        return None

    def _tell_pull_failed(self, name: str, error: PullError) -> None:
        if error.reason == "ErrImagePull":
            self._tell("Normal", "Pulling", f'Pulling image "{name}"')
            self._tell("Warning", "Failed", f'Failed to pull image "{name}": {error}')
        else:
            self._tell("Warning", "InspectFailed", str(error))
        self._tell("Warning", "Failed", f"Error: {error.reason}")
        self._wait_with(error.reason, str(error))

    def _tell_pulling_later(self, name: str, error: PullError) -> None:
        if error.reason == "ErrImagePull":
            self._tell("Normal", "BackOff", f'Back-off pulling image "{name}"')
            self._tell("Warning", "Failed", "Error: ImagePullBackOff")
            self._wait_with("ImagePullBackOff", f'Back-off pulling image "{name}": ErrImagePull: {error}')

    def _tell_pulled(self, name: str, *, present: bool) -> None:
        if present:
            there = f'Container image "{name}" already present on machine and can be accessed by the pod'
            self._tell("Normal", "Pulled", there)
            return
        self._tell("Normal", "Pulling", f'Pulling image "{name}"')
        pulled = f'Successfully pulled image "{name}" in 1ms (1ms including waiting). Image size: 1 bytes.'
        self._tell("Normal", "Pulled", pulled)

    async def _configure(self, image: Image) -> dict[str, str] | None:
        builder = Variables(self.pod.host, self.pod.found, self.spec, self.pod.address)
        while not self.stopping.is_set():
            try:
                variables = await builder.build(image)
                _user_of(self.pod.found, self.spec, image)
            except ConfigError as error:
                self._tell("Warning", "Failed", f"Error: {error}")
                self._wait_with("CreateContainerConfigError", str(error))
                if await self._stopped_within(self.pod.host.back_off):
                    return None
            else:
                return variables
        return None

    async def _once(self, image: Image, variables: dict[str, str]) -> int:
        """One run; its exit code."""
        folder = self.pod.folder / self.name
        (base := folder / "root").mkdir(parents=True, exist_ok=True)
        message = folder / f"{self.restarts}.message"
        message.touch()
        message.chmod(0o666)
        rotate_at = self.pod.faults.get("log-rotate")
        kept = self.pod.host.kept / self.pod.namespace / self.pod.uid / self.name / str(self.restarts)
        log = Log(folder / f"{self.restarts}.log", int(rotate_at) if rotate_at else None, kept)
        self._out_of_memory, self._written = False, b""
        process = Process(self._specification(image, variables, base, message), log, self._on_output)
        container_id = f"containerd://{uuid.uuid4().hex}{uuid.uuid4().hex}"
        self._launched.clear()
        self._ended.clear()
        self._tell("Normal", "Created", "Container created")
        try:
            await process.start()
        except StartError as error:
            self._tell_not_started(str(error), container_id, log)
            self._launched.set()
            return 128
        self._process, started_at = process, now()
        self._begin(container_id, log, {"running": {"startedAt": started_at}})
        self._started.set()
        self._launched.set()
        self._tell("Normal", "Started", "Container started")
        code = await process.wait()
        self._process = None
        self._end(code, started_at, message)
        return code

    def _begin(self, container_id: str, log: Log, state: Json) -> None:
        if "waiting" not in self.state:
            self.last_state = self.state
        self.container_id, self.state = container_id, state
        self.previous_log, self.log = self.log, log
        self.pod.changed()

    def _end(self, code: int, started_at: str, message: Path) -> None:
        ended: Json = {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}
        if self._out_of_memory and code == 137:
            ended["reason"] = "OOMKilled"
        ended |= {"startedAt": started_at, "finishedAt": now(), "containerID": self.container_id}
        if text := self._last_words(message, code):
            ended["message"] = text
        self.state = {"terminated": ended}
        self._ended.set()
        self.pod.changed()

    def _tell_not_started(self, trouble: str, container_id: str, log: Log) -> None:
        what = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create "
        what += f"failed: unable to start container process: error during container init: {trouble}"
        ended = {"exitCode": 128, "reason": "StartError", "message": what, "startedAt": "1970-01-01T00:00:00Z"}
        ended |= {"finishedAt": now(), "containerID": container_id}
        self._begin(container_id, log, {"terminated": ended})
        self._ended.set()
        self._tell("Warning", "Failed", f"Error: {what}")

    def _last_words(self, message: Path, code: int) -> str:
        text = message.read_bytes()[:_MESSAGE_BYTES].decode(errors="replace")
        wants_log = self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError"
        if not text and code != 0 and wants_log and self.log is not None:
            return self.log.last(_FALLBACK_LINES, _FALLBACK_BYTES)
        return text

    def _specification(self, image: Image, variables: dict[str, str], base: Path, message: Path) -> dict[str, Any]:
        mounts = [
            {"source": mount.source, "target": mount.target, "read_only": mount.read_only}
            for mount in self.pod.volumes.mounts_of(self.spec, variables)
        ]
        target = self.spec.get("terminationMessagePath", "/dev/termination-log")
        mounts.append({"source": str(message), "target": target, "read_only": False})
        uid, gid, groups = _user_of(self.pod.found, self.spec, image)
        return {
            "base": str(base),
            "mounts": mounts,
            "hostname": self.pod.name[:63],
            "workdir": self.spec.get("workingDir") or image.working_dir,
            "read_only_root": self.spec.get("securityContext", {}).get("readOnlyRootFilesystem", False),
            "uid": uid,
            "gid": gid,
            "groups": groups,
            "command": command_of(self.spec, image, variables) or ["<no command, and the image has none>"],
            "env": variables,
        }

    def _on_output(self, data: bytes) -> None:
        """The fault ``oom``: killed once it has written what the fault names."""
        wanted = self.pod.faults.get("oom")
        if wanted is None or self._out_of_memory:
            return
        self._written = (self._written + data)[-(1 << 20) :]
        if (wanted or "\n").encode() in self._written and self._process is not None:
            self._out_of_memory = True
            self._process.kill()

    async def _back_off(self, seconds: float) -> bool:
        """False when it shall not start again."""
        if await self._stopped_within(min(1.0, self.pod.host.back_off / 5)):
            return False
        if seconds > 0:
            before, self.last_state = self.last_state, self.state
            message = f"back-off {seconds:g}s restarting failed container={self.name} pod={self.pod}"
            self._tell("Warning", "BackOff", f"Back-off restarting failed container {self.name} in pod {self.pod}")
            self._wait_with("CrashLoopBackOff", message)
            if await self._stopped_within(seconds):
                self.state, self.last_state = self.last_state, before
                return False
        self.restarts += 1
        return True

    def _give_up_waiting(self) -> None:
        self.stopping.set()
        self.pod.changed()

    async def stop(self, grace: float) -> None:
        """SIGTERM, and SIGKILL when ``grace`` seconds are over; returns when it has ended."""
        if self.stopping.is_set():  # somebody else sees to it
            await self._ended.wait()
            return
        self.stopping.set()
        await self._launched.wait()
        if self._process is None:
            return
        self._tell("Normal", "Killing", f"Stopping container {self.name}")
        self._process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ended.wait(), grace)
        self.kill()
        await self._ended.wait()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    async def _stopped_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.stopping.wait(), seconds)
        return self.stopping.is_set()

    def _wait_with(self, reason: str, message: str) -> None:
        if "terminated" in self.state:
            self.last_state = self.state
        self.state = {"waiting": {"reason": reason, "message": message}}
        self.pod.changed()

    def _tell(self, kind: str, reason: str, message: str) -> None:
        self.pod.tell(kind, reason, message, self._field)

    def status(self) -> Json:
        ended_well = self.state.get("terminated", {}).get("exitCode") == 0
        return {
            "name": self.name,
            "image": full_name(self.spec["image"]) if self.container_id else self.spec["image"],
            "imageID": image_id(self.spec["image"]) if self.container_id else "",
            "containerID": self.container_id,
            "state": self.state,
            "lastState": self.last_state,
            "restartCount": self.restarts,
            "started": self.running,
            "ready": self.running or (ended_well and self._field.startswith("spec.initContainers")),
        }


def _doubling(first: float) -> Iterator[float]:
    seconds = first
    while True:
        yield seconds
        seconds = min(seconds * 2, first * _LONGEST)


def _user_of(pod: Json, container: Json, image: Image) -> tuple[int, int, list[int]]:
    """uid, gid and further groups."""
    whole = pod["spec"].get("securityContext", {})
    context = whole | container.get("securityContext", {})
    user = context.get("runAsUser", image.user)
    if context.get("runAsNonRoot") and user == 0:
        if context.get("runAsUser") == 0:
            raise ConfigError("container's runAsUser breaks non-root policy")
        user = _NOBODY  # an image for such a Pod brings its user along
    groups = [*whole.get("supplementalGroups", ()), *([whole["fsGroup"]] if "fsGroup" in whole else [])]
    return user, context.get("runAsGroup", 0), groups
