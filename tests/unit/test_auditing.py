"""An auditor reads who did what, why, upon which evidence, and what it changed."""

import json
import logging
import os
import subprocess
import sys

import msgspec
import pytest

from responder import auditing
from responder.auditing import log_entry, of_act, of_block, of_person, of_plan
from responder.core.actions import (
    ActionKind,
    ActionRecord,
    Decision,
    Mode,
    Outcome,
    OutcomeResult,
    Verdict,
    VerdictResult,
)
from responder.core.failure import StateLeft
from responder.core.incident import IncidentState
from responder.core.plan import Plan
from responder.ports import AuditEntry
from responder.service import JsonLines
from tests.unit.core.deciding import block, incident, situation
from tests.unit.core.night import KEY, REVISION, at

replace = msgspec.structs.replace
DECISION = Decision(
    "d-1", "again", ActionKind.RESYNC, Mode.LIVE, at(0), Verdict(VerdictResult.NEEDS_APPROVAL), "seen", at(60)
)
ALLOWED = replace(DECISION, verdict=Verdict(VerdictResult.ALLOWED))
ACTION = ActionRecord(
    "a-1", "d-1", "incident-1", ActionKind.RESYNC, KEY, "app-1", at(0), (REVISION,), at(60), "rule again",
    Outcome(OutcomeResult.BEGUN),
)  # fmt: skip


def test_a_decision_is_told_when_its_verdict_changes_and_not_at_every_step() -> None:
    before, after = incident(decisions=(DECISION,)), incident(decisions=(ALLOWED,))
    (entry,) = of_plan(situation(incident=before), Plan(incident=after), at(70))

    assert entry == AuditEntry(
        at(70), "rule again", "resync allowed", "every guard agrees", "incident-1", str(KEY), "needs-approval",
        "allowed", "seen",
    )  # fmt: skip
    assert of_plan(situation(incident=after), Plan(incident=after), at(80)) == []


def test_an_act_is_told_before_and_after() -> None:
    shown = incident(decisions=(ALLOWED,))
    refused = replace(ACTION, outcome=Outcome(OutcomeResult.REFUSED, "403 Forbidden"))

    begins = of_act(None, ACTION, [shown], at(60))
    ended = of_act(ACTION, refused, [shown], at(61))

    assert (begins.who, begins.what, begins.before, begins.after) == ("rule again", "resync begins", "", "begun")
    assert (ended.what, ended.why, ended.before, ended.after) == ("resync refused", "403 Forbidden", "begun", "refused")
    assert begins.evidence == ended.evidence == "seen"


def test_a_block_that_a_rule_made_and_that_ended_by_itself_is_told_with_what_it_held() -> None:
    held = block(StateLeft.NONE, expires_at=at(500))
    ended = replace(held, ended_at=at(500), ended_by="time")
    (made,) = of_plan(situation(incident=None), Plan(blocks=(held,)), at(10))
    (over,) = of_plan(situation(incident=None, blocks=(held,)), Plan(blocks=(ended,)), at(500))

    holding = f"{REVISION} in *, left behind: none until 2026-11-21T03:08:20Z"
    assert (made.who, made.what, made.why) == ("rule hold", "blocked orders", "it failed")
    assert (made.before, made.after) == ("", holding)
    assert (over.who, over.what, over.before, over.after) == ("time", "ended the block of orders", holding, "")


@pytest.mark.parametrize(
    ("change", "became"),
    [
        ({"state_left": StateLeft.DIRTY}, f"{REVISION} in *, left behind: dirty"),
        ({"proven_at": at(64)}, f"{REVISION} in *, left behind: none, its hook ended well since"),
        ({"flagged": True}, f"{REVISION} in *, left behind: none, its Application is gone"),
        ({"revisions": ()}, "every revision in *, left behind: none"),
    ],
)
def test_a_block_that_changes_is_told_with_what_it_holds_now(change: dict[str, object], became: str) -> None:
    entry = of_block(block(), replace(block(), **change), at(70))

    assert (entry.who, entry.what, entry.after) == ("responder", "changed the block of orders", became)


def test_what_a_person_did_is_told_with_what_it_was_and_became() -> None:
    shown = incident(decisions=(DECISION,))
    approved = incident(decisions=(replace(DECISION, approved_by="ana"),))
    declined = incident(decisions=(replace(ALLOWED, declined_by="bob", approved_by="ana"),))
    acknowledged, muted = incident(state=IncidentState.ACKNOWLEDGED), incident(muted_until=at(3600))

    def moved(after: object) -> tuple[str, str, str]:
        entry = of_person("ana", "did", "why", shown, after, at(70))  # type: ignore[arg-type] # an incident
        return entry.before, entry.after, entry.evidence

    assert moved(acknowledged) == ("firing", "acknowledged", "seen")
    assert moved(muted) == ("", "muted until 2026-11-21T04:00:00Z", "seen")
    assert moved(approved) == ("resync needs-approval", "resync needs-approval, approved by ana", "seen")
    assert moved(declined) == ("resync needs-approval", "resync allowed, declined by bob", "seen")


def test_an_entry_is_one_line_of_its_own_logger(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, auditing.LOGGER):
        log_entry(
            AuditEntry(at(0), "ana", "blocked orders", "a\nb", before="", after="every revision in *", evidence="v")
        )
    (record,) = caplog.records
    line = JsonLines().format(record)

    assert "\n" not in line
    told = json.loads(line)
    del told["time"]
    assert told == {
        "level": "info", "logger": "responder.audit", "message": "blocked orders", "who": "ana", "why": "a\nb",
        "after": "every revision in *", "evidence": "v",
    }  # fmt: skip


def test_its_lines_come_however_quiet_the_rest_is() -> None:
    program = """
import logging
from responder.auditing import log_entry
from responder.ports import AuditEntry
from responder.service import _log_as_json
_log_as_json()
logging.getLogger("responder.reconcile").info("quiet")
log_entry(AuditEntry(None, "ana", "blocked orders"))
"""
    environment = {**os.environ, "RESPONDER_LOG_LEVEL": "warning"}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert [json.loads(line)["message"] for line in run.stdout.splitlines()] == ["blocked orders"]
