"""From a hook's failure in the API server until its incident has the log and the cause: measured in every story.

Both are seen by watches of the tests' own: Jobs at the API server, incidents at the responder.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable, Iterator

import aiohttp

from tests.cluster import figures
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
        self.failed: dict[str, float] = {}  # the same, by the Job's name
        self.name = "hook failed to incident with log and cause"

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._again(self._watch_jobs))
            group.create_task(self._again(self._watch_incidents))

    def record(self) -> None:
        """Not of a story in which the responder was down for a while."""
        if self._responder.pid != self._pid:
            return
        for uid, told in self._told.items():
            if uid in self._failed:
                figures.record(self.name, max(0.0, told - self._failed[uid]))

    async def _again(self, watch: Callable[[], Awaitable[None]]) -> None:
        while True:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):  # down: that is the story
                await watch()
            await asyncio.sleep(_PAUSE)

    async def _watch_jobs(self) -> None:
        where = path("batch/v1", "Job", self._namespace)
        async with self._kubernetes.session.get(where, params={"watch": "true"}, timeout=_ENDLESS) as response:
            try:
                async for line in response.content:
                    job = json.loads(line)["object"]
                    if any(one["type"] in _FAILURES for one in job.get("status", {}).get("conditions", ())):
                        self._failed.setdefault(job["metadata"]["uid"], time.monotonic())
                        self.failed.setdefault(job["metadata"]["name"], time.monotonic())
            finally:
                hang_up(response)

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
