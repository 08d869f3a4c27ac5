"""Commands that ask a running service: incidents, gate, blocks, decisions."""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

GOOD, NO, NOT_YET, COULD_NOT_ASK = 0, 1, 3, 4
_DEADLINE = 10.0  # seconds, of one question
_ASK_EVERY = 5.0

Command = Callable[..., argparse.ArgumentParser]


class AskError(Exception):
    """No answer, or one that is no answer; says what to do."""


def add_parsers(commands: Any, command: Command) -> None:
    incidents = command(commands, "incidents", show_incidents, "list incidents, or show one")
    incidents.add_argument("what", nargs="?", default="list", choices=["list", "show"])
    incidents.add_argument("incident", nargs="?", metavar="INCIDENT")
    incidents.add_argument("--state", help="firing, acknowledged, resolved, superseded")
    gate = command(commands, "gate", ask_gate, "may this revision go on? exit 0 success, 1 failure, 3 pending")
    for name in ("service", "environment", "namespace", "application", "revision"):
        gate.add_argument(f"--{name}", default="")
    gate.add_argument("--for", dest="purpose", choices=["sync"], help="sync: asked by a hook of the sync itself")
    gate.add_argument("--wait", type=float, nargs="?", const=300.0, default=0.0, metavar="SECONDS",
                      help="ask until the answer is no longer pending (300)")  # fmt: skip
    gate.add_argument("--fail-open", action="store_true", help="exit 0 when the responder cannot be asked")
    blocks = command(commands, "blocks", show_blocks, "blocks in force")
    decisions = command(commands, "decisions", decide, "approve or decline what waits for a person")
    decisions.add_argument("what", choices=["approve", "decline"])
    decisions.add_argument("decision", metavar="DECISION")
    decisions.add_argument("--evidence", default="", metavar="VERSION", help="evidence version that you saw")
    for parser in (incidents, gate, blocks, decisions):
        parser.add_argument("--server", default=os.environ.get("RESPONDER_SERVER", "http://127.0.0.1:8080"))
        parser.add_argument("--token-file", type=Path, default=None)
        parser.add_argument("--json", action="store_true")


def _call(arguments: argparse.Namespace, method: str, path: str, body: dict[str, str] | None = None) -> Any:
    headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "responder-cli"}
    if arguments.token_file is not None:
        headers["Authorization"] = f"Bearer {_token(arguments.token_file)}"
    url = f"{arguments.server.rstrip('/')}{path}"
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise AskError(f"{arguments.server} is no http(s) address")
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_DEADLINE) as answer:  # noqa: S310 - checked above
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        raise AskError(f"{error.code} {error.reason}: {_detail(error.read())}") from error
    except (OSError, ValueError) as error:
        raise AskError(f"{arguments.server} cannot be asked: {error}") from error


def _token(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise AskError(f"{path}: cannot be read: {error.strerror}") from error


def _detail(body: bytes) -> str:
    try:
        return str(json.loads(body).get("detail", ""))
    except (ValueError, AttributeError):
        return ""


def _failed(error: AskError) -> int:
    sys.stderr.write(f"{error}\n")
    return COULD_NOT_ASK


def _say(value: Any, text: str, *, as_json: bool) -> None:
    sys.stdout.write((json.dumps(value) if as_json else text) + "\n")


def show_incidents(arguments: argparse.Namespace) -> int:
    try:
        if arguments.what == "show":
            _say_incident(arguments, _call(arguments, "GET", f"/v1/incidents/{arguments.incident}"))
            return GOOD
        query = urllib.parse.urlencode({"state": arguments.state} if arguments.state else {})
        for incident in _call(arguments, "GET", f"/v1/incidents?{query}")["incidents"]:
            _say_incident(arguments, incident)
    except AskError as error:
        return _failed(error)
    return GOOD


def _say_incident(arguments: argparse.Namespace, incident: dict[str, Any]) -> None:
    app, found = incident["application"], incident.get("diagnosis") or {}
    category, retry, left = (found.get(name, "unknown") for name in ("category", "retry", "state_left"))
    name = f"{app['namespace']}/{app['name']}"
    text = f"{incident['id']}  {incident['state']:<12} {name}  {category}  retry {retry}  left {left}"
    _say(incident, text, as_json=arguments.json)


def ask_gate(arguments: argparse.Namespace) -> int:
    """Fails closed: what cannot be asked is no success, unless ``--fail-open`` says so."""
    deadline = time.monotonic() + arguments.wait
    while True:
        code, line = _ask_once(arguments)
        if code in (GOOD, NO) or time.monotonic() >= deadline:
            sys.stdout.write(line + "\n")
            return GOOD if code == COULD_NOT_ASK and arguments.fail_open else code
        time.sleep(min(_ASK_EVERY, max(0.0, deadline - time.monotonic())))


def _ask_once(arguments: argparse.Namespace) -> tuple[int, str]:
    names = ("service", "environment", "namespace", "application", "revision")
    query = {name: getattr(arguments, name) for name in names if getattr(arguments, name)}
    if arguments.purpose:
        query["for"] = arguments.purpose
    try:
        answer = _call(arguments, "GET", f"/v1/gate?{urllib.parse.urlencode(query)}")
    except AskError as error:
        return COULD_NOT_ASK, f"could not ask: {error}"
    codes = {"success": GOOD, "failure": NO}
    text = json.dumps(answer) if arguments.json else f"{answer['result']}: {answer['reason']}"
    return codes.get(answer["result"], NOT_YET), text


def show_blocks(arguments: argparse.Namespace) -> int:
    try:
        for block in _call(arguments, "GET", "/v1/blocks")["blocks"]:
            text = f"{block['id']}  {block['service']}  {', '.join(block['environments'])}  {block['reason']}"
            _say(block, text, as_json=arguments.json)
    except AskError as error:
        return _failed(error)
    return GOOD


def decide(arguments: argparse.Namespace) -> int:
    body = {"evidence_version": arguments.evidence} if arguments.what == "approve" else {}
    try:
        answer = _call(arguments, "POST", f"/v1/decisions/{arguments.decision}/{arguments.what}", body)
    except AskError as error:
        return _failed(error)
    _say(answer, f"{arguments.decision}: {arguments.what}d", as_json=arguments.json)
    return GOOD
