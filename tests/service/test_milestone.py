"""The first milestone: a real recording through the real ``responder serve``, killed and started again."""

import re
import sqlite3
from importlib.resources import files
from pathlib import Path

import zstandard

from tests.replay.recorded import RECORDINGS, containers
from tests.service.cluster import RecordedCluster, reading_only, recent
from tests.service.process import Json, Service, write_config

_SECRETS = ("Pl4nted-in-a-url", "Pl4nted-in-a-log", "Pl4nted-in-a-message")
_CAUSE = 'error: migration failed: syntax error at or near \\"ADDD\\"'


def _plant(text: str) -> str:
    """Secrets where migrations and Argo CD put them."""
    url = f"connecting to postgres://migrator:{_SECRETS[0]}@db.internal:5432/shop with DB_PASSWORD={_SECRETS[1]} "
    text = text.replace(_CAUSE, url + _CAUSE)
    return text.replace(
        '"one or more synchronization tasks', f'"password={_SECRETS[2]} one or more synchronization tasks'
    )


def _ended(found: list[Json]) -> bool:
    return bool(found) and found[0]["operations"][0]["operation_phase"] == "Failed" and _whole(found)


def _whole(found: list[Json]) -> bool:
    logs = [container["log"] for _, container in containers(found)]
    return len(logs) == 4 and all(log is not None and log["complete"] for log in logs)


async def test_a_recording_gives_one_incident_that_outlives_kill_9_and_keeps_no_secret(tmp_path: Path) -> None:
    recording = recent(RECORDINGS / "s05b-retry-dirty-version", tmp_path / "recording", _plant)
    assert all(secret in "".join(p.read_text() for p in recording.rglob("*.jsonl")) for secret in _SECRETS)
    rules = (files("responder.demo") / "rules.yaml").read_text(encoding="utf-8")

    async with RecordedCluster(recording, allow=reading_only) as cluster:
        config = write_config(tmp_path, cluster.server.url, rules)
        async with Service(config) as service:
            await service.until_ready()
            await cluster.play()
            told = await service.until_incidents(_ended)
            await service.kill()
            await service.start()
            again = await service.until_incidents(_ended)
            logs = await _logs(service, again)
            pages = [await _page(service, "/"), await _page(service, f"/incidents/{again[0]['id']}")]

    [incident] = again
    assert [i["id"] for i in told] == [incident["id"]]
    assert incident["diagnosis"]["category"] == "syntax-error"
    assert (incident["diagnosis"]["retry"], incident["diagnosis"]["state_left"]) == ("unsafe", "dirty")
    assert [a["number"] for a in incident["operations"][0]["attempts"]] == [1, 2, 3, 4]
    assert 'syntax error at or near "ADDD"' in logs[0]
    assert all("Dirty database version 42" in log for log in logs[1:])
    everything = "".join([str(told), str(again), *logs, *pages, service.said.read_text(), *_on_disk(tmp_path)])
    assert [secret for secret in _SECRETS if secret in everything] == []
    assert cluster.writes.accepted == []  # we may only read there


async def _logs(service: Service, incidents: list[Json]) -> list[str]:
    return [await _page(service, container["log"]["href"]) for _, container in containers(incidents)]


async def _page(service: Service, path: str) -> str:
    async with service.http.get(f"{service.url}{path}") as answer:
        assert answer.status == 200
        return await answer.text()


def _on_disk(folder: Path) -> list[str]:
    """Every byte of the store's files, and every value in them, unpacked."""
    found = [path.read_bytes().decode("latin-1") for path in folder.glob("responder.db*")]
    with sqlite3.connect(folder / "responder.db") as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in store.execute(f"SELECT * FROM {table}"):  # noqa: S608 - names of the file itself
                found += [_unpacked(value) for value in row]
    store.close()
    assert any(re.search("Dirty database version", text) for text in found), "the logs are kept there"
    return found


def _unpacked(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value)
    for start in (0, 1):  # a body may have a byte before it that says how it is kept
        try:
            return zstandard.ZstdDecompressor().decompress(value[start:], max_output_size=1 << 26).decode("latin-1")
        except zstandard.ZstdError:
            continue
    return value.decode("latin-1")
