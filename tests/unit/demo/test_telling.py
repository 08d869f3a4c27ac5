import io
from typing import Any

from responder.demo.resources import Json
from responder.demo.telling import Teller


def incident(**changes: Any) -> Json:
    base: Json = {
        "id": "i",
        "state": "firing",
        "updated_at": "2026-11-21T03:00:09Z",
        "application": {"name": "shop"},
        "diagnosis": {
            "category": "lock-timeout",
            "retry": "safe",
            "retry_reason": "it passes",
            "state_left": "none",
            "tool": "django",
            "database": "postgres",
            "key_line": "lock timeout",
        },
        "timeline": [{"at": "2026-11-21T03:00:07Z", "what": "db-migrate failed", "by": "cluster"}],
        "operations": [],
        "decisions": [],
        "children": [],
    }
    return {**base, **changes}


def test_progress_tells_what_is_new_once_and_in_order() -> None:
    stream = io.StringIO()
    teller = Teller(stream)
    teller.progress([incident()])
    teller.progress([incident()])
    lines = [line.split(maxsplit=2) for line in stream.getvalue().splitlines()]
    assert lines == [
        ["03:00:07", "shop", "db-migrate failed"],
        ["03:00:09", "shop", "lock-timeout; left behind: none; retry: safe"],
    ]


def test_the_report_says_cause_decisions_and_who_was_paged() -> None:
    stream = io.StringIO()
    denied = {"result": "denied", "reasons": ["the kill switch is engaged"]}
    decision = {"action": "resync", "rule": "again", "verdict": denied, "outcome": None, "decided_at": ""}
    Teller(stream).report([incident(decisions=[decision])], {"i": "warning"})
    said = stream.getvalue()
    assert "lock-timeout (django on postgres); left behind: none" in said
    assert "resync denied by rule 'again': the kill switch is engaged" in said
    assert "paged: warning" in said


def test_a_strangers_escape_sequences_do_not_reach_the_terminal() -> None:
    stream = io.StringIO()
    teller = Teller(stream)
    hostile = incident(timeline=[{"at": "2026-11-21T03:00:07Z", "what": "\x1b[2Jgone", "by": "cluster"}])
    teller.progress([hostile])
    teller.report([hostile], {})
    assert "\x1b" not in stream.getvalue()
