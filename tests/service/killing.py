"""``kill -9`` at random moments: what was acknowledged stays, what was begun is not begun twice.

Two stories. In one the responder acts: four Applications lose their databases once and are resynced, one half-applies
and its retries are stopped, on a model of Argo CD, while the process is killed again and again. In the other it cannot
see its cluster and takes webhooks: each that it acknowledged must be there after the kill.
"""

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import msgspec

from responder.cluster.bodies import USERNAME
from responder.demo import printed
from responder.demo.api import Api
from responder.demo.apiserver import ApiServer
from responder.demo.jobs import Start
from responder.demo.kubelet import Run, Script
from responder.demo.settings import prepare
from responder.demo.shelf import Change
from responder.demo.world import World, deployment, hook_job
from responder.wallclock import WallClock
from tests.service.cluster import Writes
from tests.service.process import HEADERS, Json, Service, write_config

RULES = """
version: 1
defaults: {mode: live, budget: 1, cooldown: 1s}
rules:
  - name: half applied
    when: {state_left: [partial, dirty]}
    do: [stop-retries: {}, block: {environments: ["*"]}]
  - name: the database was away
    when: {retry: safe}
    do: [resync: {delay: 0s}]
"""
AWAY = ("cart", "payments", "shipping", "stock")  # their databases are away once
HALF = "billing"
_FLYWAY = {"command": ["flyway", "migrate"]}
_MIGRATE = {"command": ["migrate", "-path", "/migrations", "up"]}
_SYNTAX = 'error: migration failed: syntax error at or near "ADDD" (column 21) in line 3'
_DIRTY = "error: Dirty database version 42. Fix and force version."
_NO_RETRY: Json = {"automated": {"prune": True}, "retry": {"limit": 0}}
_RETRIES: Json = {"automated": {"prune": True}, "retry": {"limit": 3, "backoff": {"duration": "4s", "factor": 1}}}
_STAGGER = 0.7  # seconds between two deployments
_LIVES = (0.05, 1.8)  # seconds between two kills, at random


class Acted(msgspec.Struct):
    """What came of a story with acts."""

    kills: int
    operations: Counter[str]  # begun by us, by Application
    stops: int  # retries stopped, as the API server took them
    incidents: dict[str, list[str]]  # Application -> states of its incidents
    unknown: int  # acts whose end no process saw: escalated, never repeated


def _play(start: Start) -> Run:
    if start.namespace == HALF:
        return _prints(_SYNTAX if start.number == 1 else _DIRTY, 1)
    host = f"{start.namespace}-db"
    if start.number == 1:
        return _prints(printed.flyway_refused(host, start.namespace, "app"), 1)
    return _prints(printed.flyway_done(host, start.namespace, 8, "locale"), 0)


def _prints(text: str, exit_code: int) -> Run:
    return Run({"migrate": Script(lines=tuple((0.0, line) for line in text.split("\n")), exit_code=exit_code)})


async def act(folder: Path, chance: random.Random, *, kills: int) -> Acted:
    """Plays the story once; the process is killed ``kills`` times while it lasts, and a last time after it."""
    world = World(WallClock(), _play)
    prepare(world.objects, (*AWAY, HALF))
    ours: set[tuple[str, str]] = set()

    def note(change: Change) -> None:
        state = (change.object.get("status") or {}).get("operationState") or {}
        by = (state.get("operation") or {}).get("initiatedBy") or {}
        if change.kind == "Application" and by.get("username") == USERNAME:
            ours.add((change.object["metadata"]["name"], state["startedAt"]))

    world.objects.subscribe(note)
    async with ApiServer(Api(world.objects)) as server, asyncio.TaskGroup() as group:
        writes = Writes(server)
        running = [group.create_task(world.agenda.run())]
        async with Service(write_config(folder, server.url, RULES)) as service:
            running.append(group.create_task(_deploy(world)))
            for _ in range(kills):
                await asyncio.sleep(chance.uniform(*_LIVES))
                await service.kill()
                await service.start()
            await service.until_incidents(_settled, within=240)
            await service.kill()
            await service.start()
            found = await service.until_incidents(_settled)
        for task in running:
            task.cancel()
    return Acted(
        kills=kills + 1,
        operations=Counter(name for name, _ in ours),
        stops=sum(b"Terminating" in body for _, body in writes.accepted),
        incidents=_states(found),
        unknown=len(list(_unknown(found))),
    )


async def _deploy(world: World) -> None:
    for name in (HALF, *AWAY):
        policy, container = (_RETRIES, _MIGRATE) if name == HALF else (_NO_RETRY, _FLYWAY)
        manifests = [hook_job("db-migrate", container=container), deployment(name, "registry.example.com/app:1")]
        world.deploy(name, manifests, policy=policy)
        await asyncio.sleep(_STAGGER)


def _states(incidents: list[Json]) -> dict[str, list[str]]:
    states: dict[str, list[str]] = {}
    for incident in incidents:
        states.setdefault(incident["application"]["name"], []).append(incident["state"])
    return states


def _unknown(incidents: list[Json]) -> Iterator[str]:
    for incident in incidents:
        if any((d["outcome"] or {}).get("result") == "unknown" for d in incident["decisions"]):
            yield incident["application"]["name"]


def _settled(incidents: list[Json]) -> bool:
    """Each that can be healed is, or waits for a person; the other's operation has ended."""
    if {i["application"]["name"] for i in incidents} != {HALF, *AWAY}:
        return False
    waiting = set(_unknown(incidents))
    healed = all(
        i["state"] == "resolved" or name in waiting for i in incidents if (name := i["application"]["name"]) != HALF
    )
    [half] = [i for i in incidents if i["application"]["name"] == HALF]
    return healed and half["operations"][-1]["operation_phase"] == "Failed"


# Intake


async def take(folder: Path, chance: random.Random) -> tuple[int, int]:
    """Webhooks while no cluster can be seen, until ``kill -9``: acknowledged ones, and those of them that are lost."""
    config = write_config(folder, "http://127.0.0.1:9", RULES)  # the discard port: nobody answers
    acknowledged: set[str] = set()
    async with Service(config) as service, asyncio.TaskGroup() as group:
        posting = [group.create_task(_post(service.url, number, acknowledged)) for number in range(8)]
        await asyncio.sleep(chance.uniform(0.0, 0.3))
        await service.kill()
        await asyncio.wait(posting)
        kept = _kept(folder / "responder.db")
    return len(acknowledged), len(acknowledged - kept)


async def _post(url: str, client: int, acknowledged: set[str]) -> None:
    """One after another, each for an Application of its own, until nobody answers."""
    async with aiohttp.ClientSession(headers=HEADERS) as http:
        with suppress(aiohttp.ClientError):
            for number in range(100_000):
                name = f"app-{client}-{number}"
                body = {"metadata": {"namespace": "argocd", "name": name}, "status": {}}
                async with http.post(f"{url}/v1/argocd/webhook", json=body) as answer:
                    if answer.status == 202:
                        acknowledged.add(name)


def _kept(path: Path) -> set[str]:
    store = sqlite3.connect(path)
    try:
        return {name for (name,) in store.execute("SELECT name FROM wakeups")}
    finally:
        store.close()
