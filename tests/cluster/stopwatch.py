"""From a hook's failure in the API server until its incident has the log and the cause: measured in every story.

All is seen by watches of the tests' own: Jobs and Applications at the API server, incidents at the responder. A Job is
decided upon when Argo CD names it in its operation, which between waves comes up to two seconds after it made the Job:
a quick hook has failed by then. So the whole is told in its two parts as well, what Argo CD took and what we took.
"""

import asyncio
import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator

import aiohttp

from tests.cluster import figures
from tests.cluster.application import API
from tests.cluster.kubernetes import Json, Kubernetes, path
from tests.contract.kubernetes.cluster import hang_up
from tests.service.process import Service

_ENDLESS = aiohttp.ClientTimeout(total=None)
_PAUSE = 0.2  # seconds before a connection that broke is made again
_FAILURES = {"FailureTarget", "Failed"}


class Stopwatch:
    def __init__(self, kubernetes: Kubernetes, namespace: str, responder: Service) -> None:
        self._kubernetes = kubernetes
        self._namespace = namespace
        self._responder = responder
        self._pid = responder.pid
        self._failed: dict[str, float] = {}  # Job uid -> when it was seen
        self._told: dict[str, float] = {}
        self._made: dict[str, tuple[str, int]] = {}  # Job uid -> its name, and the version in which it was first seen
        self._named: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)  # Job's name -> version, when seen
        self.failed: dict[str, float] = {}  # the same, by the Job's name
        self.name = "hook failed to incident with log and cause"

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._again(lambda: self._watch(path("batch/v1", "Job", self._namespace), self._see_job)))
            group.create_task(
                self._again(lambda: self._watch(path(API, "Application", self._namespace), self._see_app))
            )
            group.create_task(self._again(self._watch_incidents))

    def record(self) -> None:
        """Not of a story in which the responder was down for a while."""
        if self._responder.pid != self._pid:
            return
        for uid, told in self._told.items():
            if uid in self._failed:
                failed = self._failed[uid]
                known = max(failed, self._named_at(uid))
                figures.record(self.name, max(0.0, told - failed))
                figures.record(f"{self.name}: Argo CD's part", known - failed)
                figures.record(f"{self.name}: our part", max(0.0, told - known))

    def _named_at(self, uid: str) -> float:
        """When Argo CD was first seen to name this very Job; 0 when that was not seen."""
        name, made = self._made[uid]
        return next((at for version, at in self._named[name] if version > made), 0.0)

    async def _again(self, watch: Callable[[], Awaitable[None]]) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):  # down: that is the story
                await watch()
            await asyncio.sleep(_PAUSE)

    async def _watch(self, where: str, see: Callable[[Json, float], None]) -> None:
        async with self._kubernetes.session.get(where, params={"watch": "true"}, timeout=_ENDLESS) as response:
            try:
                async for line in response.content:
                    see(json.loads(line)["object"], time.monotonic())
            finally:
                hang_up(response)

    def _see_job(self, job: Json, now: float) -> None:
        uid, name = job["metadata"]["uid"], job["metadata"]["name"]
        self._made.setdefault(uid, (name, int(job["metadata"]["resourceVersion"])))
        if any(one["type"] in _FAILURES for one in job.get("status", {}).get("conditions", ())):
            self._failed.setdefault(uid, now)
            self.failed.setdefault(name, now)

    def _see_app(self, app: Json, now: float) -> None:
        synced = app.get("status", {}).get("operationState", {}).get("syncResult", {})
        for result in synced.get("resources") or ():
            if result["kind"] == "Job":
                self._named[result["name"]].append((int(app["metadata"]["resourceVersion"]), now))

    async def _watch_incidents(self) -> None:
        responder = self._responder
        async with responder.http.get(f"{responder.url}/v1/events", timeout=_ENDLESS) as response:
            try:
                async for line in response.content:
                    if line.startswith(b"data:") and (changed := json.loads(line[5:]).get("incident")):
                        incident = await responder.get(f"/v1/incidents/{changed}")
                        for uid in _told(incident):
                            self._told.setdefault(uid, time.monotonic())
            finally:
                hang_up(response)


def _told(incident: Json) -> Iterator[str]:
    """Jobs that have a cause and whose logs were read to their end."""
    for operation in incident.get("operations", ()):
        for attempt in operation["attempts"]:
            for hook in attempt["hooks"]:
                runs = [one for pod in hook["pods"] for one in pod["containers"]]
                if hook["diagnosis"] and runs and all(one["log"] and one["log"]["complete"] for one in runs):
                    yield hook["uid"]
