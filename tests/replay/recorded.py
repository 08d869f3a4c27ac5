"""The recordings, what must come out of each, and what came out, in the same few words."""

import tempfile
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yaml

from responder.demo.recording import Happening, Order, read_recording
from responder.demo.replay import Replay
from responder.demo.settings import TOKEN

Json = dict[str, Any]
RECORDINGS = Path(__file__).parent.parent / "recordings"
_NEVER_SEEN = "f" * 40


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    category: str
    retry: str
    state_left: str
    tool: str = ""  # empty: not asked for
    migration: str = ""


class Operation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    by: str
    phase: str
    attempts: list[list[str]]
    action: str | None = None
    gaps: list[str] = []


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Without a ``state``: no incident at all."""

    why: str
    gate: dict[str, str]
    state: str = ""
    cause: Cause | None = None
    opened: str = ""
    resolved: str | None = None
    operations: list[Operation] = []
    decisions: list[str] = []


class _File(msgspec.Struct, forbid_unknown_fields=True):
    unproven: Cause
    recordings: dict[str, Expected]


def read_expected() -> dict[str, Expected]:
    text = (Path(__file__).parent / "expected.yaml").read_bytes()
    return msgspec.convert(yaml.load(text, Loader=yaml.CSafeLoader), _File).recordings


EXPECTED = read_expected()


class Played(msgspec.Struct):
    """What people and neighbours were told after a recording had been played to its end."""

    incidents: list[Json]
    gate: dict[str, str]  # first seven characters of a revision -> result
    logs: dict[str, list[str]]  # pod/container#restart -> lines as they are kept


_played: dict[tuple[str, bool], Played] = {}


async def play(name: str, *, webhooks: bool = True) -> Played:
    """Once for all who only read what came of it."""
    if (name, webhooks) not in _played:
        _played[name, webhooks] = await _play(name, webhooks)
    return _played[name, webhooks]


async def _play(name: str, webhooks: bool) -> Played:
    happenings = read_recording(RECORDINGS / name)
    replay = Replay(happenings, webhooks=webhooks)
    with tempfile.TemporaryDirectory(prefix="responder-test-") as place:
        async with replay.running(Path(place)) as responder:
            await replay.play()
            incidents = await replay.incidents()
            async with aiohttp.ClientSession(responder.url, headers={"Authorization": f"Bearer {TOKEN}"}) as http:
                return Played(incidents, await _gate(http, happenings), await _logs(http, incidents))


async def _gate(http: aiohttp.ClientSession, happenings: list[Happening]) -> dict[str, str]:
    apps = [h.object for h in happenings if h.kind == "Application"]
    found = {}
    for revision in [*dict.fromkeys(filter(None, map(_revision, apps))), _NEVER_SEEN]:
        meta = apps[0]["metadata"]
        asked = {"namespace": meta["namespace"], "application": meta["name"], "revision": revision}
        async with http.get("/v1/gate", params=asked) as answer:
            found["other" if revision == _NEVER_SEEN else revision[:7]] = (await answer.json())["result"]
    return found


def _revision(app: Json) -> str:
    state = app.get("status", {}).get("operationState") or {}
    return str((state.get("syncResult") or {}).get("revision", ""))


async def _logs(http: aiohttp.ClientSession, incidents: list[Json]) -> dict[str, list[str]]:
    logs = {}
    for pod, container in containers(incidents):
        if container["log"] is None:
            continue
        async with http.get(container["log"]["href"], params={"format": "json"}) as answer:
            lines = (await answer.json())["lines"]
        logs[f"{pod['name']}/{container['name']}#{container['restart']}"] = [line["text"] for line in lines]
    return logs


def containers(incidents: list[Json]) -> list[tuple[Json, Json]]:
    return [
        (pod, container)
        for incident in incidents
        for operation in incident["operations"]
        for attempt in operation["attempts"]
        for hook in attempt["hooks"]
        for pod in hook["pods"]
        for container in pod["containers"]
    ]


def followed(name: str) -> dict[str, list[str]]:
    """What each container printed, as who watched the real cluster got it."""
    lines: dict[str, list[str]] = {}
    for happening in read_recording(RECORDINGS / name):
        if happening.order is Order.LINE:
            key = f"{happening.pod}/{happening.container}#{happening.restart}"
            lines.setdefault(key, []).append(happening.text.decode().rstrip("\n"))
    return lines


# In the words of expected.yaml.


def told(incident: Json, expected: Expected) -> Expected:
    """``expected`` tells which of the free texts are asked for."""
    cause = incident["diagnosis"]
    asked = expected.cause
    return Expected(
        why=expected.why,
        gate=expected.gate,
        state=incident["state"],
        opened=expected.opened if expected.opened in incident["opened_for"] else incident["opened_for"],
        resolved=incident["resolved_by"],
        cause=Cause(
            category=cause["category"],
            retry=cause["retry"],
            state_left=cause["state_left"],
            tool=cause["tool"] if asked and asked.tool else "",
            migration=cause["migration"] if asked and asked.migration else "",
        ),
        operations=[_operation(operation) for operation in incident["operations"]],
        decisions=[_decision(decision) for decision in incident["decisions"]],
    )


def _operation(operation: Json) -> Operation:
    return Operation(
        by=operation["initiated_by"],
        phase=operation["operation_phase"],
        attempts=[[_hook(hook) for hook in attempt["hooks"]] for attempt in operation["attempts"]],
        action=operation["action"],
        gaps=[gap["reason"] for gap in operation["gaps"]],
    )


def _hook(hook: Json) -> str:
    ran = "; ".join(_container(c) for pod in hook["pods"] for c in pod["containers"])
    words = [
        hook["name"],
        hook["sync_phase"] if hook["sync_phase"] != "PreSync" else "",
        hook["hook_phase"],
        "stale" if hook["stale"] else "",
        f"({ran})",
        hook["diagnosis"]["category"] if hook["diagnosis"] else "",
    ]
    return " ".join(filter(None, words))


def _container(container: Json) -> str:
    name = f"{container['name']}#{container['restart']}" if container["restart"] else container["name"]
    if container["log"] is None and container["exit_code"] is None:
        return f"{name} never ran"
    count = container["log"]["lines"]
    return f"{name} {count} {'line' if count == 1 else 'lines'}, exit {container['exit_code']}"


def _decision(decision: Json) -> str:
    verdict = decision["verdict"]
    against = ", ".join(guard["guard"] for guard in verdict["guards"] if not guard["passed"])
    said = f"{decision['rule']}: {decision['action']} {verdict['result']}"
    return f"{said} by {against}" if against else said


def expected_gate(expected: Expected) -> dict[str, str]:
    return {"other": "pending"} | expected.gate


_RANDOM = frozenset({"id", "links", "href", "updated_at", "evidence_version"})


def lasting(report: Any) -> Any:
    """A report without what is new in every run: ids and the stamps of our own work."""
    if isinstance(report, Mapping):
        return {key: lasting(value) for key, value in report.items() if key not in _RANDOM}
    if isinstance(report, list):
        return [lasting(value) for value in report]
    return report


def when(text: str) -> datetime:
    return datetime.fromisoformat(text)
