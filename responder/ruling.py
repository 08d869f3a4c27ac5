"""``responder rules replay`` and ``explain``: rules over what happened, from the store, a service or recordings."""

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from responder.casing import problems_of_error, read_rules
from responder.client import AskError, Server, like_a_responder, server_of
from responder.config import ConfigError, Settings, load_settings
from responder.configured import policy_of
from responder.core.deciding import Case
from responder.core.duration import parse_duration
from responder.core.explaining import explain, told_lines
from responder.core.past import Past, moments
from responder.core.reenactment import ASSUMED
from responder.core.replaying import How, Replay, Row, RuleCount, replay, world_of
from responder.core.rules import Rulebook
from responder.core.signaturefile import SignatureError
from responder.core.situation import Policy
from responder.core.strictyaml import FileError
from responder.core.toldpast import past_of
from responder.core.trial import World, situation_of
from responder.exits import BAD_INPUT, COULD_NOT_ASK, GOOD
from responder.history import History
from responder.ports import StoreError
from responder.shipped import signatures
from responder.store.reading import StoreReader
from responder.terminal import coloured, complain, plain

_RED, _GREEN, _RESET = "\x1b[31m", "\x1b[32m", "\x1b[0m"


def _told(work: Callable[[Namespace], Iterable[str]]) -> Callable[[Namespace], int]:
    """Its lines; or what stands in the way, as sentences and an exit code."""

    def run(arguments: Namespace) -> int:
        try:
            lines = list(work(arguments))
        except AskError as error:
            complain(str(error))
            return error.code
        except StoreError as error:
            complain(str(error))
            return COULD_NOT_ASK
        except (FileError, ConfigError, SignatureError, OSError, LookupError, ValueError) as error:
            complain(*problems_of_error(error))
            return BAD_INPUT
        sys.stdout.writelines(f"{line}\n" for line in lines)
        return GOOD

    return run


# replay


@_told
def run_replay(arguments: Namespace) -> Iterable[str]:
    settings = load_settings(arguments.config) if arguments.config is not None else None
    rulebook = read_rules(arguments.file, settings)
    policy = policy_of(settings) if settings is not None else Policy()
    outcome = replay(_histories(arguments, settings), rulebook, policy)
    return map(json.dumps, _as_json(outcome)) if arguments.json else _as_text(outcome, colours=coloured(sys.stdout))


def _histories(arguments: Namespace, settings: Settings | None) -> Iterator[list[tuple[Past, World]]]:
    """From whatever was named; a service, when nothing was."""
    since = datetime.now(UTC) - parse_duration(arguments.since)
    if settings is not None:
        yield [(past, world_of(past, told=False)) for past in asyncio.run(_stored(settings, since))]
    elif not arguments.recording:
        with like_a_responder(arguments.server):
            pasts = [past_of(told) for told in _told_since(server_of(arguments), since)]
        yield [(past, world_of(past, told=True)) for past in pasts if past.incident.app_uid]  # not upon parents
    for folder in arguments.recording:
        yield [(_unseen(past_of(told)), World(idempotent=True)) for told in _recorded(folder)]


def _told_since(server: Server, since: datetime) -> Iterator[dict[str, Any]]:
    """Every incident that was opened since then, whole, newest first."""
    for summary in server.incidents():
        if datetime.fromisoformat(summary["opened_at"]) < since:
            return
        yield server.incident(summary["id"])


def _unseen(past: Past) -> Past:
    """Nobody responded then."""
    return msgspec.structs.replace(past, incident=msgspec.structs.replace(past.incident, decisions=(), alerts=()))


async def _stored(settings: Settings, since: datetime) -> list[Past]:
    async with StoreReader(settings.store.path) as store:
        history = History(store, settings, signatures(settings.signatures))
        return [past async for past in history.since(since)]


def _recorded(folder: Path) -> list[dict[str, Any]]:
    from responder.demo.recording import RecordingError  # noqa: PLC0415 - the whole responder comes with it
    from responder.demo.replay import replay_once  # noqa: PLC0415 - the same

    try:
        return asyncio.run(replay_once(folder))
    except RecordingError as error:
        raise ValueError(str(error)) from error


def _as_json(outcome: Replay) -> Iterator[dict[str, object]]:
    """A line for each incident, then one for each rule, then one that says how it is meant."""
    for row in outcome.rows:
        incident = row.past.incident
        yield {
            "incident": incident.id,
            "application": str(incident.app),
            "opened_at": incident.opened_at.isoformat(),
            "category": incident.diagnosis.category.value if incident.diagnosis else None,
            "matched": row.matched,
            "did": [msgspec.to_builtins(effect) for effect in row.did],
            "would": [msgspec.to_builtins(effect) for effect in row.would],
            "differs": row.differs,
        }
    for count in outcome.counts:
        yield msgspec.to_builtins(count)
    yield {"assumed": list(ASSUMED)}


_HEAD = (
    *("rule", "matched", "would do", "would ask", "would shadow", "would deny"),
    *("did", "asked", "shadowed", "denied"),
)


def _as_text(outcome: Replay, *, colours: bool) -> Iterator[str]:
    yield from _table([_HEAD, *map(_counted, outcome.counts)])
    differing = outcome.differing
    yield f"\n{len(outcome.rows)} incidents, {len(differing)} would have gone otherwise"
    for row in differing:
        yield from _difference(row, colours=colours)
    yield "\nPlayed in the order of time: what would have been done counts for what comes after it."
    yield "Not in the record, and taken so:"
    yield from (f"  - {line}" for line in ASSUMED)


def _counted(count: RuleCount) -> tuple[str, ...]:
    numbers = [count.matched, *(count.would[how] for how in How), *(count.did[how] for how in How)]
    return (count.rule, *(str(number) if number else "-" for number in numbers))


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *numbers in rows:
        cells = (f"{cell:>{width}}" for cell, width in zip(numbers, widths[1:], strict=True))
        yield plain(f"{first:<{widths[0]}}  {'  '.join(cells)}")


def _difference(row: Row, *, colours: bool) -> Iterable[str]:
    incident = row.past.incident
    category = incident.diagnosis.category.value if incident.diagnosis else "unknown"
    yield plain(f"\n{incident.id}  {incident.opened_at:%Y-%m-%d %H:%M}  {incident.app}  {category}")
    for line in row.difference:
        colour = _RED if line.startswith("-") else _GREEN
        yield f"  {colour}{plain(line)}{_RESET}" if colours else f"  {plain(line)}"


# explain


@_told
def run_explain(arguments: Namespace) -> Iterable[str]:
    if arguments.config is None:
        with like_a_responder(arguments.server):
            return _explain_lines(server_of(arguments).explained(arguments.incident), arguments)
    found = _explained(load_settings(arguments.config), arguments.incident)
    return _explain_lines(msgspec.to_builtins(found), arguments)


def _explain_lines(told: dict[str, Any], arguments: Namespace) -> list[str]:
    return [json.dumps(told)] if arguments.json else [plain(line) for line in told_lines(told)]


def _explained(settings: Settings, incident_id: str) -> Any:
    """By the store alone: what was decided is told as it was recorded, the world of today is not asked."""
    past = asyncio.run(_one(settings, incident_id))
    found = list(moments(past))[-1:] if past is not None else []
    if past is None or not found:
        raise LookupError(f"there is no incident {incident_id} that was decided upon")
    situation = situation_of(found[0], past.incident, _rules_of(settings), World(), Policy(), datetime.now(UTC))
    return explain(Case(situation, past.incident, found[0].diagnosis, situation.views[-1]), judge_now=False)


async def _one(settings: Settings, incident_id: str) -> Past | None:
    async with StoreReader(settings.store.path) as store:
        return await History(store, settings, signatures(settings.signatures)).one(incident_id)


def _rules_of(settings: Settings) -> Rulebook:
    return read_rules(settings.rules, settings) if settings.rules is not None else Rulebook()
