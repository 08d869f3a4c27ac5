"""What the demo says in the terminal: progress while it plays, and the report at its end."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TextIO

from responder.terminal import coloured, plain

Json = Mapping[str, Any]

_RED, _GREEN, _YELLOW, _BOLD, _DIM = "31", "32", "33", "1", "2"
_STATES = {"firing": _RED, "acknowledged": _YELLOW, "resolved": _GREEN}
_RETRY = {"safe": _GREEN, "unsafe": _RED}


class Teller:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colours = coloured(stream)
        self._told: set[tuple[str, str, str]] = set()

    def say(self, text: str = "") -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    def note(self, text: str) -> None:
        self.say(self._in(_BOLD, f"-- {text}"))

    def progress(self, incidents: Iterable[Json]) -> None:
        """What is new in them since the last time, as one line each."""
        lines: list[tuple[str, str]] = []
        for incident in incidents:
            name = _name(incident)
            events = [(e["at"], plain(f"{e['what']}")) for e in incident["timeline"]]
            events += [(_done_at(d), _decision(d)) for d in incident["decisions"] if d["outcome"]]
            events += [(incident["updated_at"], _cause(incident))] if incident["diagnosis"] else []
            for at, text in events:
                if (incident["id"], name, text) not in self._told:
                    self._told.add((incident["id"], name, text))
                    lines.append((at, f"{_clock(at)}  {name:<22} {text}"))
        for _, line in sorted(lines):
            self.say(line)

    def report(self, incidents: Sequence[Json], pages: Mapping[str, str]) -> None:
        self.note(f"{len(incidents)} incidents")
        for incident in incidents:
            self._incident(incident, pages.get(incident["id"], ""))

    def _incident(self, incident: Json, paged: str) -> None:
        diagnosis = incident["diagnosis"] or {}
        state = incident["state"]
        self.say()
        self.say(f"{self._in(_BOLD, _name(incident))}  {self._in(_STATES.get(state, _DIM), state)}")
        if diagnosis:
            retry = self._in(_RETRY.get(diagnosis["retry"], _YELLOW), diagnosis["retry"])
            tool = " on ".join(filter(None, (diagnosis["tool"], diagnosis["database"])))
            self.say(f"  {diagnosis['category']}{f' ({tool})' if tool else ''}; left behind: {diagnosis['state_left']}")
            self.say(f"  running it again: {retry} - {plain(diagnosis['retry_reason'])}")
            self.say(self._in(_DIM, f"  > {plain(diagnosis['key_line'] or '').strip()[:140]}"))
        for operation in incident["operations"]:
            lines = [c["log"]["lines"] for c in _containers(operation) if c["log"]]
            kept = f", {sum(lines)} log lines kept" if lines else ""
            attempts = len(operation["attempts"])
            self.say(f"  operation {_clock(operation['started_at'])}: {attempts} attempt(s){kept}, {_gaps(operation)}")
        for decision in incident["decisions"]:
            self.say(f"  {_decision(decision)}")
        if incident["children"]:
            self.say(f"  one cause for {len(incident['children'])} Applications")
            for event in incident["timeline"]:
                if event["what"].startswith("resync of "):
                    self.say(f"  {_clock(event['at'])} {plain(event['what'])}")
        self.say(f"  paged: {paged or 'nobody'}")

    def gates(self, answers: Mapping[tuple[str, str], str]) -> None:
        self.say()
        self.note("may it be promoted? (/v1/gate)")
        for (service, environment), result in answers.items():
            colour = {"success": _GREEN, "failure": _RED}.get(result, _YELLOW)
            self.say(f"  {service:<10} {environment:<11} {self._in(colour, result)}")

    def verdict(self, differences: Sequence[str]) -> None:
        self.say()
        if not differences:
            self.say(self._in(_GREEN, "verified: all of this is what must come of it"))
        for text in differences:
            self.say(self._in(_RED, f"differs: {text}"))

    def _in(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._colours and text else text


def _name(incident: Json) -> str:
    return "one cause" if incident["children"] else plain(incident["application"]["name"])


def _cause(incident: Json) -> str:
    diagnosis = incident["diagnosis"]
    return f"{diagnosis['category']}; left behind: {diagnosis['state_left']}; retry: {diagnosis['retry']}"


def _decision(decision: Json) -> str:
    outcome = decision["outcome"]
    result = decision["verdict"]["result"]
    if outcome is not None:
        detail = plain(outcome["detail"])
        came = outcome["result"] + (f" ({detail})" if detail else "")
    elif result == "denied":
        came = plain("; ".join(decision["verdict"]["reasons"]))
    else:
        came = "done" if decision["action"] == "block" else ""
    by = f", approved by {decision['approved_by']}" if decision.get("approved_by") else ""
    return f"{decision['action']} {result} by rule {decision['rule']!r}{by}{f': {came}' if came else ''}"


def _done_at(decision: Json) -> str:
    return str(decision["outcome"]["at"] or decision["decided_at"])


def _containers(operation: Json) -> list[Json]:
    return [c for a in operation["attempts"] for h in a["hooks"] for p in h["pods"] for c in p["containers"]]


def _gaps(operation: Json) -> str:
    gaps = operation["gaps"]
    return f"gaps: {', '.join(sorted({g['reason'] for g in gaps}))}" if gaps else "nothing missing"


def _clock(stamp: str) -> str:
    return f"{datetime.fromisoformat(stamp):%H:%M:%S}"
