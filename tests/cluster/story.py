"""A story: a namespace, Applications in it, the responder that watches them, and what must be true in the end."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.cluster import figures
from tests.cluster.application import Application, Manifests
from tests.cluster.git import Repository
from tests.cluster.installation import Installation
from tests.cluster.kubelet.control import order
from tests.cluster.kubelet.environment import PATH
from tests.cluster.kubernetes import Json, Kubernetes, path
from tests.cluster.lines import Comparison, compare, count_written
from tests.cluster.recording import VARIABLE as RECORDED
from tests.cluster.recording import Recording
from tests.cluster.running import Running
from tests.cluster.stopwatch import Stopwatch
from tests.service.process import Service


class Story:
    def __init__(self, running: Running, kubernetes: Kubernetes, namespace: str, folder: Path) -> None:
        self.running = running
        self.kubernetes = kubernetes
        self.namespace = namespace
        self.installation = Installation(running, kubernetes, namespace, folder)
        self._stack = AsyncExitStack()
        self._responder: Service | None = None
        self._before: frozenset[str] = frozenset()
        self.loses_lines = ""  # why this story may, when it may: the responder is killed, a log cannot be read...

    @property
    def responder(self) -> Service:
        assert self._responder is not None, "first: await story.respond()"
        return self._responder

    async def respond(self, *, record: Path | None = None, **installed: Any) -> Service:
        """Installs the responder (see ``Installation.install``) and waits until it watches. ``record``: a folder, into
        which all that happens from now on is written."""
        self._before = frozenset(count_written(self.kept))
        if record or (record := self._recorded_to()):
            recording = Recording(self.kubernetes, self.namespace, record, self.installation.url)
            await self._stack.enter_async_context(recording.listening())
            await self._stack.enter_async_context(self._meanwhile(recording.run()))
            installed["webhooks_to"] = recording.url
        service = await self.installation.install(**installed)
        self._responder = await self._stack.enter_async_context(service)
        await self._responder.until_ready()
        self.stopwatch = Stopwatch(self.kubernetes, self.namespace, self.responder)
        self._stack.callback(self.stopwatch.record)
        await self._stack.enter_async_context(self._meanwhile(self.stopwatch.run()))
        return self._responder

    def _recorded_to(self) -> Path | None:
        """Where the run as a whole is recorded."""
        folder = os.environ.get(RECORDED)
        return Path(folder, self.namespace) if folder else None

    @asynccontextmanager
    async def _meanwhile(self, endless: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        loop = asyncio.get_running_loop()
        running = loop.create_task(endless)  # no group: a fixture's teardown is another task than its set-up
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running], timeout=5)

    async def application(
        self, manifests: Manifests, *, name: str = "shop", labels: dict[str, str] | None = None, **spec: object
    ) -> Application:
        """With these manifests in its repository. Its ``spec`` is laid over one that syncs by hand only."""
        repository = Repository(self.running.git_root, self.running.git_url, f"{self.namespace}-{name}")
        await repository.create()
        application = Application(self.kubernetes, repository, self.namespace, name)
        await application.push(manifests, "the beginning")
        await application.create(labels=labels, **spec)
        return application

    async def image(self, **programs: str) -> str:
        """The name of an image that brings these programs along, on its PATH; each is a shell script."""
        folder = self.installation.folder / "image"
        folder.mkdir(exist_ok=True)
        for name, script in programs.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
            (folder / name).chmod(0o755)
        name = f"registry.example.com/{self.namespace}:1.4.2"
        brought = json.dumps({"env": {"PATH": f"{folder}:{PATH}"}})
        await order(self.running.kubelet_control, f"image {name} {brought}")
        return name

    async def incident(self, good: Callable[[Json], object] = bool, *, within: float = 60) -> Json:
        """The one incident there is, as soon as it is ``good``."""

        def one(found: list[Json]) -> bool:
            assert len(found) < 2, f"more than one incident: {found}"
            return bool(found) and bool(good(found[0]))

        [incident] = await self.responder.until_incidents(one, within=within)
        return incident

    async def log(self, container: Json) -> list[str]:
        """Of a run of a container as an incident shows it: the lines that were kept."""
        kept = await self.responder.get(f"{container['log']['href']}?format=json")
        return [line["text"] for line in kept["lines"]]

    async def post(self, where: str, said: Json) -> Json:
        """What a person with the token of these tests says to the responder."""
        async with self.responder.http.post(f"{self.responder.url}{where}", json=said) as answer:
            assert answer.ok, await answer.text()
            found: Json = await answer.json()
            return found

    async def until_jobs(self, number: int) -> list[Json]:
        """Those that are there, as soon as they are so many."""
        where = path("batch/v1", "Job", self.namespace)
        found = await self.kubernetes.until(where, lambda answer: len(answer["items"]) == number)
        return list(found["items"])

    async def until_written(self, lines: int, *, within: float = 60) -> None:
        """So many, by all Pods of this story together."""
        async with asyncio.timeout(within):
            while sum(count_written(self.kept).values()) < lines:  # noqa: ASYNC110 - it is another process that writes
                await asyncio.sleep(0.05)

    async def until_recorded(self, lines: int, *, within: float = 60) -> None:
        """So many are on disk: they outlive the responder."""
        async with asyncio.timeout(within):
            while self._compared().lines_recorded < lines:  # noqa: ASYNC110 - it is another process that writes
                await asyncio.sleep(0.05)

    async def compare_lines(self, *, within: float = 30) -> Comparison:
        """What the Pods here wrote, and what was recorded of it, as soon as these are equal or at the end."""
        found = self._compared()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while (found := self._compared()).differing:  # noqa: ASYNC110 - another process cannot set our events
                    await asyncio.sleep(0.1)
        return found

    def _compared(self) -> Comparison:
        return compare(self.kept, self.installation.folder / "responder.db", self._before)

    @property
    def kept(self) -> Path:
        return self.running.folder / "kubelet/logs" / self.namespace

    async def check_lines(self) -> None:
        """Every line that a Pod wrote while the responder watched is kept, or counted as dropped."""
        if self._responder is None or self.loses_lines:
            return
        found = await self.compare_lines()
        figures.record("lines written by Pods", found.lines_written, "lines")
        figures.record("lines recorded", found.lines_recorded, "lines")
        assert not found.differing, f"lines written, and what was recorded: {found.differing}"

    async def counted(self, metric: str, **labels: str) -> float:
        """The sum over all series of this metric that have these labels."""
        async with self.responder.http.get(f"{self.responder.url}/metrics") as answer:
            families = list(text_string_to_metric_families(await answer.text()))
        samples = (sample for family in families for sample in family.samples if sample.name == metric)
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    async def until_counted(
        self, metric: str, number: float, *, or_more: bool = False, within: float = 60, **labels: str
    ) -> None:
        """Exactly so many, or at least."""
        found = 0.0
        try:
            async with asyncio.timeout(within):
                while (found := await self.counted(metric, **labels)) != number and not (or_more and found > number):  # noqa: ASYNC110 - another process counts
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"{metric} {labels} is {found}, not {number}, after {within:.0f} s") from None

    async def close(self) -> None:
        await self._stack.aclose()
        await self.installation.uninstall()


def diagnosed(category: str) -> Callable[[Json], bool]:
    return lambda incident: bool(incident["diagnosis"] and incident["diagnosis"]["category"] == category)
