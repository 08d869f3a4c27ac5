"""What the kubelet keeps: the output of each run of a container, and which of it a reader gets."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from responder.demo.request import truth
from responder.demo.resources import Json
from responder.demo.status import ApiFault, bad_request, invalid

_STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$")


def nanoseconds(stamp: str) -> int:
    """RFC 3339 with up to nine digits, as nanoseconds since 1970. Raises ``ValueError``."""
    found = _STAMP.match(stamp)
    if found is None:
        raise ValueError(f"not an RFC 3339 time: {stamp!r}")
    whole = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
    return int(whole.astimezone(UTC).timestamp()) * 10**9 + int((found[2] or "").ljust(9, "0"))


class Line(msgspec.Struct, frozen=True):
    stamp: str
    data: bytes  # with its newline, if it has one


class RunLog:
    """The output of one run of one container."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.ended = False
        self._wakers: set[Callable[[], None]] = set()

    def append(self, stamp: str, data: bytes) -> None:
        self.lines.append(Line(stamp, data))
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    def subscribe(self, waker: Callable[[], None]) -> Callable[[], None]:
        self._wakers.add(waker)
        return lambda: self._wakers.discard(waker)

    def _wake(self) -> None:
        for waker in tuple(self._wakers):
            waker()


RunKey = tuple[str, str, str, int]  # namespace, pod, container, restart


class PodLogs:
    def __init__(self) -> None:
        self._runs: dict[RunKey, RunLog] = {}

    def run(self, key: RunKey) -> RunLog:
        return self._runs.setdefault(key, RunLog())

    def lines(self, key: RunKey) -> int:
        return len(self._runs[key].lines) if key in self._runs else 0

    def pod_changed(self, pod: Json) -> None:
        """Ends the runs that the Pod's status says are over."""
        over = {(container, restart) for container, restart, ended in runs_of(pod) if ended}
        for key, run in list(self._of(pod)):
            if key[2:] in over and not run.ended:
                run.end()

    def pod_gone(self, pod: Json) -> None:
        """Connected followers still get all that was written."""
        for key, run in list(self._of(pod)):
            run.end()
            del self._runs[key]

    def _of(self, pod: Json) -> Iterator[tuple[RunKey, RunLog]]:
        place = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        return ((key, run) for key, run in self._runs.items() if key[:2] == place)


def runs_of(pod: Json) -> Iterator[tuple[str, int, bool]]:
    """Container, restart, and whether it is over: of each run that the Pod's status says has begun."""
    for status in _statuses(pod):
        name, current, state = status["name"], status.get("restartCount", 0), status.get("state", {})
        over = "terminated" in state or _waits_after_a_run(status)
        if over or "running" in state:
            yield name, current, over
        yield from ((name, earlier, True) for earlier in range(current))


def _statuses(pod: Json) -> list[Json]:
    status = pod.get("status") or {}
    kinds = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
    return [one for kind in kinds for one in status.get(kind) or ()]


def _waits_after_a_run(status: Json) -> bool:
    return "waiting" in status.get("state", {}) and "terminated" in status.get("lastState", {})


class LogOptions(msgspec.Struct, frozen=True):
    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    since: int | None = None  # nanoseconds since 1970

    @classmethod
    def parse(cls, pod: str, query: Any, now: datetime) -> "LogOptions":
        """From the query of ``GET .../log``. Raises ``ApiFault`` with the real one's words."""

        def refuse(cause: str) -> ApiFault:
            return invalid("PodLogOptions", pod, [cause])

        def number(name: str, least: int) -> int | None:
            if name not in query:
                return None
            try:
                value = int(query[name])
            except ValueError as error:
                raise bad_request(f"unable to parse {name}: {query[name]!r}") from error
            if value < least:
                bound = "than or equal to 0" if least == 0 else "than 0"
                raise refuse(f"{name}: Invalid value: {value}: must be greater {bound}")
            return value

        tail, limit = number("tailLines", 0), number("limitBytes", 1)
        seconds = number("sinceSeconds", 1)
        if "stream" in query:
            raise refuse("stream: Forbidden: may not be specified")
        since = None if seconds is None else int((now.timestamp() - seconds) * 10**9)
        if "sinceTime" in query:
            if seconds is not None:
                raise refuse("at most one of `sinceTime` or `sinceSeconds` may be specified")
            try:
                since = nanoseconds(query["sinceTime"]) // 10**9 * 10**9  # it travels in whole seconds
            except ValueError as error:
                raise bad_request(str(error)) from error
        return cls(
            container=query.get("container", ""),
            follow=truth(query.get("follow")),
            previous=truth(query.get("previous")),
            timestamps=truth(query.get("timestamps")),
            tail_lines=tail,
            limit_bytes=limit,
            since=since,
        )


def chosen_run(pod: Json, options: LogOptions) -> tuple[str, int] | None:
    """Which container, and which run of it; None for a Pod that is on no node. Raises ``ApiFault``."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    container = _chosen_container(name, spec, options.container)
    if not spec.get("nodeName"):
        return None
    status: Json = next((one for one in _statuses(pod) if one["name"] == container), {})
    state, last = status.get("state") or {}, status.get("lastState") or {}
    restart = status.get("restartCount", 0)
    if options.previous:
        if "terminated" not in last:
            raise bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
        return container, restart if "waiting" in state else restart - 1
    if "running" in state or "terminated" in state or "terminated" in last:
        return container, restart
    reason = state.get("waiting", {}).get("reason", "ContainerCreating")
    why = {
        "ErrImagePull": "image can't be pulled",
        "ImagePullBackOff": "trying and failing to pull image",
    }.get(reason, reason)
    raise bad_request(f'container "{container}" in pod "{name}" is waiting to start: {why}')


def _chosen_container(pod: str, spec: Json, asked: str) -> str:
    mains = [one["name"] for one in spec.get("containers") or ()]
    inits = [one["name"] for one in spec.get("initContainers") or ()]
    others = [one["name"] for one in spec.get("ephemeralContainers") or ()]
    if asked:
        if asked not in {*mains, *inits, *others}:
            raise bad_request(f"container {asked} is not valid for pod {pod}")
        return asked
    if len(mains) == 1:
        return str(mains[0])
    choice = f"choose one of: [{' '.join([*inits, *mains, *others])}]"
    raise bad_request(f"a container name must be specified for pod {pod}, {choice}")


class LogReader:
    """What one reader still has to get. ``take`` gives what is there, ``ended`` says that nothing more will come."""

    def __init__(self, run: RunLog, options: LogOptions) -> None:
        self._run = run
        self._options = options
        self._left = options.limit_bytes
        self._position = 0
        if options.tail_lines is not None:
            self._position = max(0, len(run.lines) - options.tail_lines)

    @property
    def ended(self) -> bool:
        drained = self._position == len(self._run.lines)
        return self._left == 0 or (drained and (self._run.ended or not self._options.follow))

    def take(self, most: int = 1 << 18) -> bytes:
        """At most about ``most`` bytes."""
        taken = bytearray()
        while self._position < len(self._run.lines) and len(taken) < most and self._left != 0:
            line = self._run.lines[self._position]
            self._position += 1
            if self._options.since is not None and nanoseconds(line.stamp) < self._options.since:
                continue
            text = line.stamp.encode() + b" " + line.data if self._options.timestamps else line.data
            if self._left is not None:
                text = text[: self._left]
                self._left -= len(text)
            taken += text
        return bytes(taken)

    def subscribe(self, waker: Callable[[], None]) -> Callable[[], None]:
        return self._run.subscribe(waker)
