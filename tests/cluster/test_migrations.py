"""Real migrations in real hooks, on real databases: what is told of each is what the database shows afterwards."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cluster.application import Application
from tests.cluster.database import Database, databases
from tests.cluster.installation import rule
from tests.cluster.kubernetes import Json
from tests.cluster.manifests import config_map, hook, secret
from tests.cluster.projects import Project, alembic, django, golang_migrate
from tests.cluster.running import Running
from tests.cluster.shown import hooks, phases, read_to_their_end, resolved
from tests.cluster.story import Story
from tests.cluster.toolbox import find_python

pytestmark = [pytest.mark.real_cluster, pytest.mark.timeout(240)]

SEED = "CREATE TABLE orders (id integer PRIMARY KEY, total numeric(9, 2))"
GOOD = "ALTER TABLE orders ADD COLUMN currency varchar(3)"
MISSPELT = "ALTER TABLE orders ADD COLUM currency varchar(3)"
NO_SUCH_TABLE = "ALTER TABLE ordrs ADD COLUMN country varchar(2)"
LOCKED = "BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"
COLUMNS = (
    "SELECT column_name FROM information_schema.columns WHERE table_name = 'orders' AND table_schema = {} ORDER BY 1"
)
SCHEMA = {"postgres": "'public'", "mariadb": "database()"}
UNTOUCHED, MIGRATED = ["id", "total"], ["currency", "id", "total"]
BUSY = {  # how many sessions sleep, the one that asks left out
    "postgres": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ~ 'sleep[(]1'",
    "mariadb": "SELECT count(*) FROM information_schema.processlist"
    " WHERE db = database() AND id <> connection_id() AND info LIKE '%sleep(1__)%'",
}
AUTOMATED: Json = {"automated": {}, "retry": {"limit": 0}}
AGAIN = rule("it passes", {"category": "lock-timeout", "retry": "safe"}, {"resync": {"delay": "4s"}})
DOWN = (
    "connection-refused",
    "none",
    "unknown",
    None,
)  # a database on loopback is the Pod's own: who knows what ends it
WRONG_PASSWORD = ("auth-failed", "none", "futile", None)
ALEMBIC, DJANGO = "9c1f4e7a2b30", "shop.0001_add_currency"
Told = tuple[str, str, str, str | None]  # category, what is left, whether to retry, migration


class Fault(NamedTuple):
    told: Told
    columns: list[str] = UNTOUCHED  # of the table, when it has failed
    statements: tuple[str, ...] = (GOOD,)
    held: str = ""  # what another session has done and not ended
    runner: str = ""  # what another runner's migration is busy with
    password: str | None = None
    down: bool = False


class Tool(NamedTuple):
    """``project`` of the programs and the statements."""

    dialect: str
    project: Callable[..., Project]
    faults: Mapping[str, Fault]


def transactional(project: Callable[..., Project], migration: str) -> Tool:
    return Tool(
        "postgres",
        project,
        {
            "locked": Fault(("lock-timeout", "none", "safe", migration), held=LOCKED),
            "misspelt": Fault(("syntax-error", "none", "futile", migration), statements=(GOOD, MISSPELT)),
            "password": Fault(WRONG_PASSWORD, password="yesterdays"),
            "down": Fault(DOWN, down=True),
        },
    )


TOOLS = {
    "alembic": transactional(alembic, ALEMBIC),
    "django": transactional(django, DJANGO),
    "golang-migrate": Tool(
        "postgres",
        golang_migrate,
        {
            "locked": Fault(("migration-lock-held", "none", "safe", None), runner="SELECT pg_sleep(120)"),
            "misspelt": Fault(("syntax-error", "dirty", "unsafe", None), statements=(GOOD, MISSPELT)),
            "password": Fault(WRONG_PASSWORD, password="yesterdays"),
            "down": Fault(DOWN, down=True),
        },
    ),
    "golang-migrate-mariadb": Tool(
        "mariadb",
        golang_migrate,
        {
            "locked": Fault(("migration-lock-held", "none", "unknown", None), runner="SELECT sleep(120)"),
            "halfway": Fault(("missing-object", "dirty", "unsafe", None), MIGRATED, (GOOD, NO_SUCH_TABLE)),
            "password": Fault(WRONG_PASSWORD, password="yesterdays"),
            "down": Fault(DOWN, down=True),
        },
    ),
}


@pytest.mark.parametrize("tool", list(TOOLS.values()), ids=list(TOOLS))
async def test_what_is_told_of_a_failed_migration_is_what_its_database_shows(
    story: Story, running: Running, tool: Tool
) -> None:
    await story.respond(rules=AGAIN, actions={"mode": "live"})
    shops = {}
    async with databases(running, tool.dialect, *tool.faults) as found:
        async with AsyncExitStack() as stack:
            for name, fault in tool.faults.items():
                await found[name].ask(SEED)
                await stack.enter_async_context(broken(fault, found[name], story, running))
                shops[name] = await deployed(story, tool, name, fault, found[name])
            locked = await failed(story, "locked")
        incidents = {"locked": locked, **{name: await failed(story, name) for name in tool.faults if name != "locked"}}
        print(*(f"{name}: {incident['diagnosis']}" for name, incident in incidents.items()), sep="\n")

        assert {name: summary(incident) for name, incident in incidents.items()} == {
            name: fault.told for name, fault in tool.faults.items()
        }
        for name in tool.faults.keys() - {"locked"}:
            assert (name, await columns(found[name])) == (name, tool.faults[name].columns)
        await found["down"].door.open()
        await shops["down"].sync()
        if tool.faults["locked"].held and summary(locked)[2] == "safe":  # a runner's lock lives on in its server
            await recovered(story, found["locked"])
        if dirty := [name for name, fault in tool.faults.items() if fault.told[1] == "dirty"]:
            await told_to_be_dirty(story, shops[dirty[0]], dirty[0])
        await one(story, "down", resolved)
        assert await columns(found["down"]) == MIGRATED


async def recovered(story: Story, database: Database) -> None:
    """By the rule, when the lock was released."""

    def by_us(found: Json) -> bool:
        tried = [one for one in found["decisions"] if one["action"] == "resync" and one["outcome"]]
        return resolved(found) and [one["outcome"]["result"] for one in tried] == ["succeeded"]

    await one(story, "locked", by_us)
    assert await columns(database) == MIGRATED


async def told_to_be_dirty(story: Story, shop: Application, name: str) -> None:
    """The next run is refused for what the first has left; the cause is still the first's."""
    before = await one(story, name)
    await shop.sync()
    incident = await one(story, name, lambda found: len(jobs(found)) == 2 and jobs(found)[-1]["diagnosis"])
    then = jobs(incident)[-1]["diagnosis"]
    assert (then["category"], then["migration"], then["retry"]) == ("dirty-state", "42", "unsafe")
    assert summary(incident)[:3] == summary(before)[:3]


def jobs(incident: Json) -> list[Json]:
    return [one for one in hooks(incident) if one["kind"] == "Job"]


@asynccontextmanager
async def broken(fault: Fault, database: Database, story: Story, running: Running) -> AsyncIterator[None]:
    if fault.down:
        await database.door.shut()
    async with AsyncExitStack() as stack:
        if fault.held:
            await stack.enter_async_context(database.session(fault.held))
        if fault.runner:
            folder = story.installation.folder / "runner"
            await stack.enter_async_context(another_runner(fault.runner, folder, database, running))
        yield


@asynccontextmanager
async def another_runner(statement: str, folder: Path, database: Database, running: Running) -> AsyncIterator[None]:
    """It is in the midst of this, and holds the tool's own lock."""
    golang_migrate(running.binaries / "migrate", statement).write(folder)
    command = [str(running.binaries / "migrate"), "-path", str(folder), "-database", database.url(), "up"]
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    busy = BUSY[database.dialect]
    try:
        async with asyncio.timeout(60):
            while await database.ask(busy) != ["1"]:  # noqa: ASYNC110 - it is another process that sleeps
                await asyncio.sleep(0.1)
        yield
    finally:
        process.kill()
        await process.wait()


async def deployed(story: Story, tool: Tool, name: str, fault: Fault, database: Database) -> Application:
    """Argo CD syncs it on its own, once. The Secret is there before the Job, as a hook of an earlier wave."""
    program = story.running.binaries / "migrate" if tool.project is golang_migrate else find_python()
    project = tool.project(program, *fault.statements)
    folder = story.installation.folder / name
    project.write(folder)
    url = database.url(fault.password) if fault.password else database.url()
    waves = {"argocd.argoproj.io/hook": "PreSync", "argocd.argoproj.io/sync-wave": "-1"}
    from_secret = {"name": "DATABASE_URL", "valueFrom": {"secretKeyRef": {"name": f"{name}-db", "key": "url"}}}
    env: list[Json] = [from_secret, {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"}]
    if name == "locked":
        env.append({"name": "PGOPTIONS", "value": "-c lock_timeout=1s"})
    job = hook(
        f"cd /app && exec {project.command}",
        name=f"{name}-migrate",
        env=env,
        pod={"volumes": [{"name": "app", "hostPath": {"path": str(folder)}}]},
        container={"volumeMounts": [{"name": "app", "mountPath": "/app"}]},
    )
    manifests = {
        "secret.yaml": [secret(f"{name}-db", annotations=waves, url=url)],
        "migration.yaml": [job],
        "settings.yaml": [config_map(f"{name}-settings")],  # hooks alone are nothing to sync
    }
    return await story.application(manifests, name=name, syncPolicy=AUTOMATED)


async def columns(database: Database) -> list[str]:
    return await database.ask(COLUMNS.format(SCHEMA[database.dialect]))


async def failed(story: Story, name: str) -> Json:
    """Its incident, as soon as its first operation has ended and what its logs say is known."""
    return await one(
        story, name, lambda found: found["diagnosis"] and phases(found)[0] == "Failed" and read_to_their_end(found)
    )


async def one(story: Story, name: str, good: Callable[[Json], object] = bool) -> Json:
    def has_it(found: list[Json]) -> Json | None:
        [*mine] = [incident for incident in found if incident["application"]["name"] == name]
        return mine[0] if mine and good(mine[0]) else None

    found = await story.responder.until_incidents(has_it, within=90)
    incident = has_it(found)
    assert incident is not None
    return incident


def summary(incident: Json) -> Told:
    cause = incident["diagnosis"]
    return cause["category"], cause["state_left"], cause["retry"], cause["migration"]
