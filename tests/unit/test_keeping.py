"""Backup, restore, migrate and purge, as they are typed."""

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from responder.cli import main
from responder.ports import AppendLog, PutHookRun, PutIncident
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import ORDERS, StandingClock, chunk, hook_run, incident, operation


@pytest.fixture
def config(tmp_path: Path) -> str:
    file = tmp_path / "responder.yaml"
    file.write_text(f"store: {{url: 'sqlite://{tmp_path}/responder.db'}}\n")
    return str(file)


async def opened(path: Path) -> SqliteStore:
    return await SqliteStore.open(path, clock=StandingClock())


@pytest.fixture
async def store(tmp_path: Path) -> SqliteStore:
    store = await opened(tmp_path / "responder.db")
    started = operation(0)
    await store.commit(
        PutIncident(incident("i1", operations=(started.started_at,))),
        PutHookRun(ORDERS, hook_run("job-1", log_key="pod-job-1/m/0")),
        AppendLog(chunk("pod-job-1/m/0", 1, 2, 3)),
    )
    return store


async def test_a_backup_is_taken_while_the_service_runs_and_put_back_when_it_does_not(
    store: SqliteStore, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy.db"
    assert await asyncio.to_thread(main, ["backup", str(copy), "--config", config]) == 0
    assert capsys.readouterr().out == f"{copy}: a copy of {tmp_path}/responder.db, {copy.stat().st_size} bytes\n"
    assert await asyncio.to_thread(main, ["restore", str(copy), "--config", config]) == 4
    assert "the store is in use by another responder" in capsys.readouterr().err
    await store.commit(PutIncident(incident("i2", uid="uid-later")))
    await store.close()
    assert await asyncio.to_thread(main, ["restore", str(copy), "--config", config]) == 0
    assert "it acts again when a person has released it" in capsys.readouterr().out
    async with await opened(tmp_path / "responder.db") as restored:
        assert await restored.incident("i1") is not None
        assert await restored.incident("i2") is None
        assert (await restored.settings())["restored"] == "true"


async def test_purge_removes_one_incident_with_its_log_and_says_so_in_the_audit(
    store: SqliteStore, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(main, ["purge", "i1", "--config", config]) == 4  # while the service runs
    capsys.readouterr()
    await store.close()
    assert await asyncio.to_thread(main, ["purge", "i1", "--config", config]) == 0
    assert capsys.readouterr().out == "incident i1 of argocd/orders is gone, with its logs and deliveries\n"
    async with await opened(tmp_path / "responder.db") as left:
        assert await left.incident("i1") is None
        assert [entry.who for entry in await left.audit()] == ["responder purge"]
    assert await asyncio.to_thread(main, ["purge", "i1", "--config", config]) == 2
    assert capsys.readouterr().err == "there is no incident i1\n"


async def test_migrate_says_that_the_store_has_this_version_s_schema(
    store: SqliteStore, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await store.close()
    assert await asyncio.to_thread(main, ["migrate", "--config", config]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/responder.db has the schema of this version\n"


async def test_a_program_is_told_each_of_them_in_one_object(
    store: SqliteStore, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def told(*command: str) -> object:
        assert await asyncio.to_thread(main, [*command, "--json", "--config", config]) == 0
        return json.loads(capsys.readouterr().out)

    copy, held = tmp_path / "copy.db", str(tmp_path / "responder.db")
    await store.close()
    backup = await told("backup", str(copy))
    assert backup == {"store": held, "file": str(copy), "bytes": copy.stat().st_size}
    assert await told("purge", "i1") == {"store": held, "incident": "i1", "application": "argocd/orders"}
    assert await told("restore", str(copy)) == {"store": held, "file": str(copy), "released": False}
    assert await told("migrate") == {"store": held}


@pytest.mark.parametrize("command", [["migrate"], ["purge", "i1"], ["backup", "/nowhere/copy.db"]])
def test_a_mistyped_path_makes_no_store(
    command: list[str], config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--config", config]) == 4
    assert "there is no store" in capsys.readouterr().err
    assert not (tmp_path / "responder.db").exists()


def test_a_file_of_another_program_is_left_alone(
    config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with sqlite3.connect(tmp_path / "responder.db") as other:
        other.execute("CREATE TABLE theirs (id)")
    other.close()
    assert main(["migrate", "--config", config]) == 4
    assert "it belongs to another program" in capsys.readouterr().err


async def test_a_backup_that_cannot_be_written_is_told(
    store: SqliteStore, config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    await store.close()
    assert await asyncio.to_thread(main, ["backup", str(tmp_path / "gone" / "copy.db"), "--config", config]) == 4
    assert "gone/copy.db" in capsys.readouterr().err
