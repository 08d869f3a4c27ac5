"""Rules over histories that are written by hand: what would have been done counts for what comes after it."""

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

import msgspec
import pytest

from responder.core.actions import ActionKind, Decision, Mode, Verdict, VerdictResult
from responder.core.argocd import AppKey, OperationPhase, SyncRequest
from responder.core.attempts import OperationView
from responder.core.deciding import BY_HAND
from responder.core.failure import Diagnosis
from responder.core.hooks import JobCondition
from responder.core.past import Past
from responder.core.promotion import LEFT_BEHIND
from responder.core.reenactment import reenact, tried
from responder.core.replaying import did
from responder.core.rules import Facts, Rulebook
from responder.core.rulesfile import parse_rules
from responder.core.shortcase import past_of_facts
from responder.core.situation import Policy
from responder.core.trial import Trial, World

replace = msgspec.structs.replace
FREE = World(idempotent=True)
DATABASE = "database/in-cluster/db.shared.svc/connection-refused"
MINUTE = timedelta(minutes=1)  # that each operation takes
AWAY = past_of_facts(Facts(category="connection-refused", retry="safe"))
DIRTY = past_of_facts(Facts(category="dirty-state", retry="unsafe", state_left="dirty"))
NIGHT = AWAY.views[0].record.started_at
ORDERED = SyncRequest(revisions=AWAY.views[0].record.revisions, action_id="another-0")
Run = tuple[float, bool, Literal["argocd", "ours", "ana"]]  # minutes after three, did it end well, who began it


def rules(**more: object) -> Rulebook:
    words = {"mode": "live", "budget": 2, "cooldown": "2m", **more}
    defaults = ", ".join(f"{name}: {value}" for name, value in words.items())
    text = f"""
version: 1
defaults: {{{defaults}}}
rules:
  - {{name: again, when: {{retry: safe}}, do: [{{resync: {{delay: 30s}}}}, {{alert: {{after: 5m}}}}]}}
  - {{name: hold, when: {{state_left: dirty}}, do: [{{block: {{environments: ["*"]}}}}]}}
"""
    return parse_rules(text, "rules.yaml", None)


ALERT_ONLY = parse_rules(
    "version: 1\nrules:\n  - {name: tell, when: {}, do: [{alert: {after: 5m}}]}\n", "rules.yaml", None
)


def minutes(number: float) -> datetime:
    return NIGHT + timedelta(minutes=number)


def ran(past: Past, app: str, run: Run) -> OperationView:
    """The operation of a short case, at another time; it ends a minute later."""
    at, well, by = run
    (view,), started_at = past.views, minutes(at)
    (attempt,) = view.attempts
    (hook,) = attempt.hooks
    ended_at = started_at + MINUTE
    phase = OperationPhase.SUCCEEDED if well else OperationPhase.FAILED
    condition = JobCondition("Complete" if well else "Failed", at=ended_at)
    assert hook.run is not None
    hook = replace(
        hook,
        result=replace(hook.result, hook_phase=phase.value),
        result_at=ended_at,
        run=replace(hook.run, uid=f"{app}-{at}", created_at=started_at, conditions=(condition,)),
    )
    request = replace(view.record.request, automated=by == "argocd", action_id="another" if by == "ours" else "")
    record = replace(
        view.record, app=AppKey("argocd", app), app_uid=app, started_at=started_at, first_seen_at=started_at,
        finished_at=ended_at, operation_phase=phase, request=request,
    )  # fmt: skip
    return replace(view, record=record, attempts=(replace(attempt, hooks=(hook,)),))


def happened(
    app: str, *runs: Run, of: Past = AWAY, cause: str = "", ended: float | None = None, world: World = FREE
) -> tuple[Past, World]:
    """An incident whose operations ran so. ``ended``: minutes after three, when it was resolved."""
    views = tuple(ran(of, app, run) for run in runs)
    found = of.incident.diagnosis
    assert found is not None
    first = next(v for v in views if v.failed)
    known: dict[tuple[str, int, str], Diagnosis] = {
        (v.record.id, 1, str(v.attempts[0].hooks[0].identity)): found for v in views if v.failed
    }
    incident = replace(
        of.incident,
        id=f"{app}@{runs[0][0]:g}",
        app=AppKey("argocd", app),
        app_uid=app,
        opened_at=first.attempts[0].hooks[0].failed_at,
        operations=tuple(v.record.started_at for v in views),
        resolved_at=None if ended is None else minutes(ended),
        correlation=cause,
    )
    return Past(incident, views, known), world


def play(*history: tuple[Past, World], rulebook: Rulebook | None = None, policy: Policy | None = None) -> list[Trial]:
    return reenact(history, rulebook or rules(), policy or Policy())


def resyncs(*trials: Trial) -> list[Decision]:
    found = [d for trial in trials for d in trial.decisions if d.action is ActionKind.RESYNC]
    return sorted(found, key=lambda d: d.decided_at)


def done(*trials: Trial) -> list[float]:
    """When: in minutes after three."""
    allowed = [d for d in resyncs(*trials) if d.verdict.result is VerdictResult.ALLOWED]
    return [round((d.decided_at - NIGHT) / MINUTE, 2) for d in allowed]


def refused(trial: Trial) -> list[set[str]]:
    """Of each resync that was denied: which guards said so."""
    return [
        {r.guard for r in d.verdict.reasons if not r.passed} for d in resyncs(trial) if d.verdict.result == "denied"
    ]


# One incident.


def test_a_resync_is_taken_to_end_well_where_nothing_failed_after_it() -> None:
    (trial,) = play(happened("a", (0, False, "argocd"), ended=30))
    assert done(trial) == [1.5]
    assert trial.ended_at == minutes(2.5)  # it lasts as long as the run that failed


def test_it_ended_badly_where_the_record_shows_a_failure_after_it_and_the_budget_holds_the_third() -> None:
    (trial,) = play(happened("a", (0, False, "argocd"), (40, False, "argocd"), (60, True, "argocd"), ended=61))
    first, second = done(trial)
    assert first == 1.5
    assert 3.5 <= second <= 3.9  # the cooldown, with its jitter
    assert {"budget"} <= refused(trial)[-1]
    assert trial.ended_at == minutes(61)


def test_while_somebody_elses_operation_runs_nothing_is_begun() -> None:
    (trial,) = play(happened("a", (0, False, "argocd"), (1.25, True, "ana"), ended=2.25))
    assert done(trial) == []
    assert refused(trial) == [{"in-flight"}]


def test_a_resync_of_the_record_goes_as_it_went() -> None:
    (well,) = play(happened("a", (0, False, "argocd"), (1.6, True, "ours"), ended=2.6))
    assert (done(well), well.ended_at) == ([1.5], minutes(2.5))
    failed = happened("a", (0, False, "argocd"), (1.6, False, "ours"), (50, True, "ana"), ended=51)
    (badly,) = play(failed, rulebook=rules(budget=1))
    assert (done(badly), badly.ended_at) == ([1.5], minutes(51))


def test_what_another_rules_resync_did_has_not_happened_where_these_do_none() -> None:
    (trial,) = play(happened("a", (0, False, "argocd"), (2, True, "ours"), ended=3), rulebook=ALERT_ONLY)
    assert (done(trial), trial.ended_at) == ([], None)
    (trial,) = play(happened("a", (0, False, "argocd"), (2, False, "ours")), rulebook=ALERT_ONLY)
    assert len({d.operation for d in trial.decisions}) <= 1


def test_nothing_is_decided_upon_what_is_over() -> None:
    (trial,) = play(happened("a", (0, False, "argocd"), ended=1.25))
    assert done(trial) == []
    assert trial.ended_at == minutes(1.25)


ASKS = parse_rules(
    "version: 1\ndefaults: {mode: approve}\nrules:\n  - {name: ask, when: {retry: safe}, do: [{resync: {}}]}\n",
    "rules.yaml",
    None,
)


def approved(past: Past, at: float, rule: str, number: str = "1") -> Past:
    """A person said yes, in the record, to a resync of its first operation."""
    decision = Decision(
        number, rule, ActionKind.RESYNC, Mode.APPROVE, past.views[0].record.started_at,
        Verdict(VerdictResult.ALLOWED), "", minutes(at), approved_by="ana",
    )  # fmt: skip
    return replace(past, incident=replace(past.incident, decisions=(decision,)))


def test_a_person_approves_what_was_approved_then() -> None:
    past, world = happened("a", (0, False, "argocd"), ended=60)
    (asked,), (ordered,) = (play((p, world), rulebook=ASKS) for p in (past, approved(past, 20, "older")))
    assert [d.verdict.result for d in resyncs(asked)] == [VerdictResult.NEEDS_APPROVAL]
    assert (done(ordered), resyncs(ordered)[0].approved_by, ordered.ended_at) == ([20], "ana", minutes(21))


def test_what_a_person_ordered_has_happened_under_whatever_rules() -> None:
    past, world = happened("a", (0, False, "argocd"), (20, True, "ours"), ended=21)
    by_hand = approved(past, 20, BY_HAND, number="another")
    view = replace(past.views[1], record=replace(past.views[1].record, request=ORDERED))
    (trial,) = play((replace(by_hand, views=(past.views[0], view)), world), rulebook=ALERT_ONLY)
    assert trial.ended_at == minutes(21)
    assert did(by_hand) == ()  # it is no rule's


# One Application, incident after incident.


def test_the_budget_of_a_revision_is_spent_in_the_incident_before() -> None:
    before = happened("a", (0, False, "argocd"), ended=10)
    after = happened("a", (100, False, "argocd"), ended=130)
    first, second = play(after, before, rulebook=rules(budget=1))
    assert (done(second), done(first)) == ([1.5], [])
    assert {"budget"} <= refused(first)[-1]


def test_each_incident_by_itself_knows_nothing_of_the_others() -> None:
    past, world = happened("a", (100, False, "argocd"), ended=130)
    assert done(tried(past, rules(budget=1), world, Policy())) == [101.5]


def test_what_its_incidents_ran_within_a_day_counts_towards_the_ceiling_of_the_application() -> None:
    runs: list[Run] = [(n * 3.0, n == 3, "argocd") for n in range(4)]
    before = happened("a", *runs, of=DIRTY, ended=10)
    after = happened("a", (100, False, "argocd"), ended=130)
    for allowed, policy in (([101.5], Policy(per_application_day=6)), ([], Policy(per_application_day=5))):
        assert done(play(before, after, policy=policy)[1]) == allowed
    (_, next_day) = play(before, happened("a", (1450, False, "argocd")), policy=Policy(per_application_day=5))
    assert done(next_day) == [1451.5]


def test_a_block_stands_until_its_incident_is_resolved() -> None:
    (trial,) = play(happened("a", (0, False, "argocd"), of=DIRTY, ended=50))
    (block,) = [d for d in trial.decisions if d.action is ActionKind.BLOCK]
    assert (block.verdict.result, DIRTY.incident.diagnosis.state_left in LEFT_BEHIND) == ("allowed", True)  # type: ignore[union-attr] # a short case has one


# Many Applications.


def outage(apps: int, *, ended: float = 30, **runs: tuple[Run, ...]) -> list[tuple[Past, World]]:
    """They fail within seconds for one database; ``runs`` says what else one of them ran."""
    names = [f"a{n}" for n in range(apps)]
    return [
        happened(name, (n / 100, False, "argocd"), *runs.get(name, ()), cause=DATABASE, ended=ended)
        for n, name in enumerate(names)
    ]


def test_those_that_share_a_cause_come_back_in_waves() -> None:
    trials = play(*outage(8), policy=Policy(per_responder_hour=100))
    begun = done(*trials)
    assert len(begun) == 8
    canary, *others = begun
    assert min(others) >= canary + 1  # it has ended
    assert [sum(1 for at in others if at == wave) for wave in sorted(set(others))] == [2, 4, 1]
    assert all(trial.ended_at is not None and trial.ended_at < minutes(30) for trial in trials)


def test_while_the_database_is_away_the_canary_fails_and_the_others_wait() -> None:
    """One of them is synced by hand at ten past, and fails again; at twenty past all is well."""
    trials = play(*outage(8, ended=120, a7=((10.0, False, "argocd"), (20.0, True, "argocd"))))
    begun = done(*trials)
    tries = [at for at in begun if at < 11]
    assert tries[0] == 1.5
    assert all(later - earlier > 3 for earlier, later in pairwise(tries))  # one at a time, and a cooldown between
    back = [at for at in begun if at > 11]
    assert len(back) == len({trial.past.incident.id for trial in trials if trial.ended_at != minutes(120)})
    assert back[0] + 1 <= back[1]  # a canary again


def test_one_alert_tells_of_all_that_share_a_cause() -> None:
    alone, *others = play(happened("b", (0, False, "argocd")), *outage(3))
    assert alone.parent_since is None
    assert all(trial.parent_since is not None for trial in others)


def test_two_outages_of_one_database_are_two() -> None:
    later = [happened(f"b{n}", (600, False, "argocd"), cause=DATABASE, ended=700) for n in range(2)]
    trials = play(*outage(2, ended=30), *later)
    assert len(done(*trials)) == 4
    assert min(done(*trials[2:])) == 601.5


@pytest.mark.parametrize(("ceiling", "allowed"), [(20, 20), (100, 25)])
def test_the_ceiling_of_the_responder_counts_all_of_them(ceiling: int, allowed: int) -> None:
    trials = play(
        *(happened(f"a{n}", (n / 25, False, "argocd"), ended=30) for n in range(25)),
        policy=Policy(per_responder_hour=ceiling),
    )
    assert len(done(*trials)) == allowed
    assert [refused(trial)[-1] for trial in trials if not done(trial)] == [{"ceiling"}] * (25 - allowed)


def test_what_a_ceiling_held_goes_on_when_it_is_below_it_again() -> None:
    trials = play(
        *(happened(f"a{n}", (n, False, "argocd"), ended=300) for n in range(4)), policy=Policy(per_responder_hour=3)
    )
    assert done(*trials) == [1.5, 2.5, 3.5, 61.5]


def test_a_rule_whose_resyncs_mostly_fail_would_have_been_set_to_shadow() -> None:
    failing = [happened(f"a{n}", (n * 10, False, "argocd"), (n * 10 + 5, False, "argocd")) for n in range(6)]
    last = happened("z", (200, False, "argocd"))
    *_, trial = play(*failing, last, rulebook=rules(budget=1))
    assert done(trial) == []
    assert refused(trial)[-1] == {"mode"}


def test_the_order_in_which_they_are_told_does_not_matter() -> None:
    forth, back = outage(6), outage(6)[::-1]
    assert done(*play(*forth)) == done(*play(*back))
