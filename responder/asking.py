"""Commands that ask a running service: incidents, gate, blocks, decisions, rules."""

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from responder.client import AskError, Server, like_a_responder, server_of
from responder.exits import GOOD, NO, NOT_YET
from responder.terminal import complain, plain

_ASK_EVERY = 5.0  # seconds; a short wait asks twenty times
_TERMINATION_LOG = 4096  # bytes that a kubelet keeps


def asking(command: Callable[[Server, Namespace], int]) -> Callable[[Namespace], int]:
    """A command with the server that its arguments name; its exit code when there is no answer."""

    def run(arguments: Namespace) -> int:
        try:
            with like_a_responder(arguments.server):
                return command(server_of(arguments), arguments)
        except AskError as error:
            complain(str(error))
            return error.code

    return run


def _say(value: Any, text: str, *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(value) if as_json else plain(text)) + "\n")


# incidents


@asking
def list_incidents(server: Server, arguments: Namespace) -> int:
    wanted = {name: getattr(arguments, name) for name in ("state", "project", "application", "category")}
    chosen = {name: value for name, value in wanted.items() if value}
    for incident in server.incidents(most=arguments.limit, **chosen):
        category, retry, left = (incident[name] or "unknown" for name in ("category", "retry", "state_left"))
        state, name = f"{incident['state']:<12}", _whose(incident)
        text = f"{incident['id']}  {incident['opened_at']}  {state}  {name}  {category}  retry {retry}  left {left}"
        _say(incident, text, as_json=arguments.json)
    return GOOD


@asking
def show_incident(server: Server, arguments: Namespace) -> int:
    incident = server.incident(arguments.incident)
    if arguments.json:
        _say(incident, "", as_json=True)
    else:
        sys.stdout.writelines(plain(line) + "\n" for line in _shown(incident))
    return GOOD


def _shown(incident: dict[str, Any]) -> Iterator[str]:
    """What broke, why, may it run again, what is left, what now; then what was decided."""
    found = incident["diagnosis"] or {}
    yield f"{incident['id']}  {incident['state']}  {_whose(incident)}"
    yield f"  {incident['opened_for']}"
    yield f"  opened {incident['opened_at']}, owner {incident['owner'] or 'nobody named'}"
    tool = " ".join(filter(None, (found.get("tool"), found.get("database"))))
    yield f"  cause: {found.get('category', 'unknown')} ({found.get('confidence', 'guess')}){tool and f', {tool}'}"
    yield f"  retry {found.get('retry', 'unknown')}: {found.get('retry_reason', 'not diagnosed yet')}"
    yield f"  left behind: {found.get('state_left', 'unknown')}: {found.get('state_reason', '')}"
    yield from (f"  {because['line'] or '':>6} | {because['text']}" for because in found.get("because", ()))
    yield from (f"  gap: {gap['source']}: {gap['reason']}" for op in incident["operations"] for gap in op["gaps"])
    told = {
        "migration": found.get("migration"),
        "impact": incident["impact"],
        "changed": incident["changed"],
        "now": found.get("advice"),
        "begin with": found.get("command"),
        "likely with": found.get("owner"),
    }
    yield from (f"  {name}: {text}" for name, text in told.items() if text)
    for decision in incident["decisions"]:
        yield from _decision(decision)


def _whose(incident: dict[str, Any]) -> str:
    """An Application, or how many share a cause."""
    app, children = incident["application"], incident.get("children")
    return f"{len(children)} Applications" if children else f"{app['namespace']}/{app['name']}"


def _decision(decision: dict[str, Any]) -> Iterator[str]:
    result, outcome = decision["verdict"]["result"], decision["outcome"]
    came = f"; {': '.join(filter(None, (outcome['result'], outcome['detail'])))}" if outcome else ""
    yield f"  {decision['action']} ({decision['mode']}, rule {decision['rule']}): {result}{came}"
    yield from (f"    {reason}" for reason in decision["verdict"]["reasons"])
    if result == "needs-approval":
        yield f"    responder decisions approve {decision['id']} --evidence {decision['evidence_version']}"


@asking
def export_incident(server: Server, arguments: Namespace) -> int:
    """A case: the incident and every log that is kept of it, redacted as they are stored."""
    incident = server.incident(arguments.incident)
    logs = {log["href"]: _lines(server, log["href"]) for log in _logs(incident["operations"])}
    sys.stdout.write(json.dumps({"schema": 1, "incident": incident, "logs": logs}, indent=2) + "\n")
    return GOOD


def _lines(server: Server, href: str) -> list[Any]:
    """None of a container that printed nothing, nor of a log that is forgotten: incidents are kept for longer."""
    try:
        lines: list[Any] = server.ask("GET", f"{quote(href)}?format=json")["lines"]
    except AskError as error:
        if not error.absent:
            raise
        return []
    return lines


def _logs(value: Any) -> Iterator[dict[str, Any]]:
    """Wherever they stand in an operation."""
    if isinstance(value, dict):
        if isinstance(log := value.get("log"), dict) and str(log.get("href", "")).startswith("/v1/logs/"):
            yield log
        for inner in value.values():
            yield from _logs(inner)
    if isinstance(value, list):
        for inner in value:
            yield from _logs(inner)


# the gate


def ask_gate(arguments: Namespace) -> int:
    """Fails closed: what cannot be asked is no success, unless ``--fail-open`` says so; a refusal never is."""
    deadline, told = time.monotonic() + arguments.wait, ""
    while True:
        try:
            code, line = _answer(server_of(arguments), arguments)
            final = code in (GOOD, NO)
        except AskError as error:
            opens = arguments.fail_open and not error.refused
            code, line = GOOD if opens else error.code, plain(f"could not ask: {error}")
            final = error.refused
        if final or time.monotonic() >= deadline:
            sys.stdout.write(line + "\n")
            _terminated(line, arguments.termination_log)
            return code
        if line != told:
            sys.stderr.write(f"waiting: {line}\n")  # whoever reads the log of a hook that hangs wants to know for what
            sys.stderr.flush()
            told = line
        # A command of its own process, with no loop to hold: the gate tells nobody when its answer changes.
        time.sleep(max(0.0, min(_ASK_EVERY, arguments.wait / 20, deadline - time.monotonic())))


def _answer(server: Server, arguments: Namespace) -> tuple[int, str]:
    names = ("service", "environment", "namespace", "application", "revision", "image", "for")
    query = {name: getattr(arguments, name) for name in names if getattr(arguments, name)}
    answer = server.ask("GET", f"/v1/gate?{urlencode(query, doseq=True)}")
    code = {"success": GOOD, "failure": NO, "pending": NOT_YET}.get(str(answer.get("result")))
    if code is None:
        raise AskError(f"{arguments.server} does not answer like a gate")
    return code, json.dumps(answer) if arguments.json else plain(_told(answer))


def _told(answer: dict[str, Any]) -> str:
    more = [f"{name} {answer[name]}" for name in ("incident", "block", "owner") if answer.get(name)]
    shown = f" ({', '.join(more)})" if more else ""
    return f"{answer['result']}: {answer.get('reason', '')}{shown}"


def _terminated(line: str, log: Path | None) -> None:
    """What `kubectl describe pod` shows of a hook after its log is gone; it changes no answer when it fails."""
    if log is None:
        return
    try:
        log.write_bytes(line.encode()[:_TERMINATION_LOG])
    except OSError as error:
        complain(f"{log}: cannot be written: {error.strerror}")


# blocks, decisions, rules


@asking
def list_blocks(server: Server, arguments: Namespace) -> int:
    for block in server.ask("GET", "/v1/blocks")["blocks"]:
        places = ", ".join(block["environments"])
        text = f"{block['id']}  {block['service']}  {places}  {block['state_left']}  {block['reason']}"
        _say(block, text, as_json=arguments.json)
    return GOOD


@asking
def add_block(server: Server, arguments: Namespace) -> int:
    said = {
        "service": arguments.block,
        "why": arguments.why,
        "environments": arguments.environment,
        "revisions": arguments.revision,
        "for": getattr(arguments, "for"),
    }
    block = server.ask("POST", "/v1/blocks", said)
    _say(block, f"{block['id']}: holds {arguments.block}", as_json=arguments.json)
    return GOOD


@asking
def lift_block(server: Server, arguments: Namespace) -> int:
    query = urlencode({"why": arguments.why})
    block = server.ask("DELETE", f"/v1/blocks/{quote(arguments.block, safe='')}?{query}")
    _say(block, f"{arguments.block}: lifted", as_json=arguments.json)
    return GOOD


@asking
def decide(server: Server, arguments: Namespace) -> int:
    body = {"evidence_version": arguments.evidence} if arguments.what == "approve" else {}
    path = f"/v1/decisions/{quote(arguments.decision, safe='')}/{arguments.what}"
    _say(server.ask("POST", path, body), f"{arguments.decision}: {arguments.what}d", as_json=arguments.json)
    return GOOD


@asking
def release_rule(server: Server, arguments: Namespace) -> int:
    path = f"/v1/rules/{quote(arguments.rule, safe='')}/release"
    text = f"{arguments.rule}: acts again, as its file says"
    _say(server.ask("POST", path, {"why": arguments.why}), text, as_json=arguments.json)
    return GOOD
