"""The whole of it: what is true now, what to do, when to look again."""

from typing import Any

import msgspec
import pytest

from responder.core.actions import Mode
from responder.core.argocd import Application, Deployment, OperationPhase
from responder.core.failure import Category, Diagnosis, Retry, StateLeft
from responder.core.incident import Incident, IncidentState, RuleHit
from responder.core.parenting import parent_of
from responder.core.plan import Plan, plan
from responder.core.situation import Situation
from tests.unit.core.deciding import BROKEN, DIRTY, FAILED, SAFE, block, incident, situation
from tests.unit.core.night import (
    REVISION,
    application,
    at,
    complete,
    failed,
    hook,
    job,
    operation,
    pod,
    running,
    told,
    waiting,
)  # fmt: skip

RUNNING, TERMINATING, FAILED_PHASE, ERROR, SUCCEEDED = OperationPhase
replace = msgspec.structs.replace


def seen(*found: Diagnosis, **more: Any) -> Situation:
    """With a diagnosis of each hook, in order."""
    base = situation(**{"incident": None, **more})
    keys = [(v.record.id, a.number, str(h.identity)) for v in base.views for a in v.attempts for h in a.hooks]
    return replace(base, diagnoses=dict(zip(keys, found or (SAFE,) * len(keys), strict=False)))


def stored(first: Plan) -> Incident:
    assert first.incident is not None
    return first.incident


def test_a_failure_is_opened_described_decided_and_told() -> None:
    found = plan(seen())
    opened = stored(found)

    assert (found.opened, found.closed, len(found.acts)) == (True, False, 1)
    assert (opened.diagnosis, opened.operations, opened.owner) == (SAFE, (at(0),), "platform")
    assert opened.impact == "the version before still serves, nothing of the new one was applied; its health is Healthy"
    assert opened.changed == "1111111111 -> 4f1d2c8a9b"
    assert found.wake_at == at(604)  # the floor


def test_an_incident_remembers_which_rules_matched_and_what_it_was_about() -> None:
    labels = (("app.kubernetes.io/part-of", "shop"), ("hook-responder.io/environment", "staging"))
    base = seen()
    assert base.app is not None
    first = stored(plan(replace(base, app=replace(base.app, labels=labels))))
    assert first.hits == (RuleHit("again", Mode.LIVE, at(60)),)
    assert (first.service, first.environment) == ("shop", "staging")

    gone = stored(plan(seen(now=at(90), incident=first, app=None)))
    assert (gone.hits, gone.service, gone.environment) == (first.hits, "shop", "staging")


def test_nothing_wrong_is_no_plan() -> None:
    well = operation(SUCCEEDED, told(1, hook(hook_phase="Succeeded"), 4), finished=5)

    assert plan(seen(records=(well,), runs=(job(1, complete(3)),))) == Plan()


def test_the_same_situation_gives_the_same_plan() -> None:
    assert plan(seen()) == plan(seen())


def test_looking_again_at_the_same_writes_nothing() -> None:
    first = plan(seen(now=at(10)))
    second = plan(seen(now=at(11), incident=first.incident))

    assert second.incident is first.incident
    assert (second.acts, second.blocks, second.alerts) == ((), (), ())


def test_a_recovered_retry_is_opened_and_closed_at_once_and_pages_nobody() -> None:
    record = operation(
        SUCCEEDED, told(1, hook(), 5), told(2, hook(hook_phase="Succeeded"), 20), finished=21, attempts_ended=(at(5),)
    )
    found = plan(seen(records=(record,), runs=(job(1, failed(4)), job(16, complete(19)))))

    assert (found.opened, found.closed, found.alerts, found.acts) == (True, True, (), ())
    assert stored(found).state is IncidentState.RESOLVED


def test_what_its_end_deployed_is_not_what_served_before() -> None:
    """A first version: the history begins with the sync that recovered."""
    first_ever = application(history=(Deployment((REVISION,), at(21), at(16), 1),))
    broken, well = operation(FAILED_PHASE, told(1, hook(), 5), finished=6), hook(hook_phase="Succeeded")
    recovered = operation(SUCCEEDED, told(1, well, 20), started=16, finished=21)
    runs = (job(1, failed(4)), job(17, complete(19)))
    untold = plan(seen(records=(broken, recovered), runs=runs, app=first_ever))
    opened = plan(seen(records=(broken,), runs=runs[:1], app=application(history=())))
    told_before = plan(seen(records=(broken, recovered), runs=runs, app=first_ever, incident=opened.incident))

    for closed in map(stored, (untold, told_before)):
        assert closed.state is IncidentState.RESOLVED
        assert closed.impact == "nothing was deployed: this would be its first version; its health is Healthy"
        assert closed.changed.startswith("first deployment")


def test_the_evidence_version_changes_with_what_a_person_would_want_to_see() -> None:
    versions = {
        stored(plan(seen())).evidence_version,
        stored(plan(seen(DIRTY))).evidence_version,
        stored(plan(seen(replace(SAFE, retry=Retry.UNKNOWN)))).evidence_version,
    }

    assert len(versions) == 3
    assert stored(plan(seen(now=at(700)))).evidence_version in versions


def test_the_evidence_version_changes_when_a_container_begins_to_run() -> None:
    """Who approved the end of what hangs has not seen a migration run."""
    stuck = operation(RUNNING, told(1, hook(hook_phase="Running"), 3))
    versions = {
        stored(
            plan(seen(records=(stuck,), runs=(job(1, pods=(made,), active=1),), incident=incident()))
        ).evidence_version
        for made in (pod(waiting("CreateContainerConfigError")), pod(running()), pod(running(), name="another"))
    }

    assert len(versions) == 3


# What is not seen any more.


def test_the_danger_of_operations_that_are_forgotten_stays() -> None:
    """Of an incident with very many operations the oldest are not loaded any more."""
    remembers = incident(diagnosis=DIRTY, operations=(at(-900), at(0)))

    after = stored(plan(seen(incident=remembers)))
    assert after.diagnosis is not None
    assert (after.diagnosis.category, after.diagnosis.retry) == (Category.DIRTY_STATE, Retry.UNSAFE)


def test_more_evidence_of_what_is_known_may_make_it_lighter() -> None:
    unsure = incident(diagnosis=replace(SAFE, retry=Retry.UNKNOWN))

    after = stored(plan(seen(incident=unsure)))
    assert after.diagnosis == SAFE


@pytest.mark.parametrize(
    ("left", "retry"),
    [(StateLeft.DIRTY, Retry.UNSAFE), (StateLeft.UNKNOWN, Retry.UNKNOWN), (StateLeft.NONE, Retry.SAFE)],
)
def test_what_a_deleted_application_of_this_name_left_behind_counts(left: StateLeft, retry: Retry) -> None:
    found = plan(seen(blocks=(block(left, flagged=True, app_uid="app-0", incident_id="before"),)))
    opened = stored(found)

    assert opened.diagnosis is not None
    assert (opened.diagnosis.category, opened.diagnosis.retry) == (Category.CONNECTION_REFUSED, retry)
    assert bool(found.acts) is (retry is Retry.SAFE)


# Applications that go.


def successor() -> Application:
    return replace(application(), uid="app-2")


@pytest.mark.parametrize("app", [None, successor()])
def test_an_application_that_is_gone_closes_its_incident_as_it_was(app: Application | None) -> None:
    before = incident(diagnosis=DIRTY)
    found = plan(replace(seen(), incident=before, app=app, blocks=(block(StateLeft.DIRTY),)))
    after = stored(found)

    assert (after.state, after.diagnosis, found.closed) == (IncidentState.SUPERSEDED, DIRTY, True)
    assert (after.operations, after.failing) == (before.operations, before.failing)
    assert [b.flagged for b in found.blocks] == [True]
    assert found.acts == ()


def test_blocks_are_settled_when_no_incident_is_open() -> None:
    well = operation(SUCCEEDED, told(1, hook(hook_phase="Succeeded"), 65), started=60, finished=66)
    closed = incident(state=IncidentState.RESOLVED, resolved_at=at(30))
    runs = (BROKEN, job(61, complete(64)))
    found = plan(seen(records=(FAILED, well), runs=runs, previous=closed, blocks=(block(),), now=at(90)))

    assert found.incident is None
    assert [b.ended_at for b in found.blocks] == [at(64)]


def test_a_block_that_ends_by_time_wakes_us_then() -> None:
    closed = incident(state=IncidentState.RESOLVED, resolved_at=at(30))

    assert plan(seen(previous=closed, blocks=(block(expires_at=at(900)),))).wake_at == at(900)


# The gate's own hook.


def test_an_operation_that_the_gate_held_is_not_acted_upon() -> None:
    held = operation(FAILED_PHASE, told(1, hook("gate"), 95), started=90, finished=95)
    gate = job(91, failed(94), name="gate", gate=True)
    found = plan(seen(records=(FAILED, held), runs=(BROKEN, gate), now=at(200)))

    (decision,) = stored(found).decisions
    assert decision.operation == at(0)
    assert found.acts == ()
    assert "another operation has begun since" in [r.text for r in decision.verdict.reasons if not r.passed]


# One cause for many.

KEY = "database/in-cluster/shop/db/connection-refused"
AT_DB = replace(SAFE, key_line='connection to server at "db", port 5432 failed')


def parent(correlation: str = KEY) -> Incident:
    return incident(correlation=correlation, children=("incident-1", "incident-2"), diagnosis=AT_DB)


def test_a_child_names_its_parent_and_is_silent() -> None:
    after = stored(plan(seen(AT_DB, parent=parent())))

    assert (after.correlation, after.parent, after.alerts) == (KEY, "incident-1", ())


def test_a_child_whose_cause_turns_out_another_speaks_for_itself_again() -> None:
    was_child = incident(correlation=KEY, parent="parent-1")
    after = stored(plan(seen(DIRTY, incident=was_child, parent=parent())))

    assert (after.correlation, after.parent) == ("", None)


def test_a_child_whose_parent_is_gone_speaks_for_itself_again() -> None:
    was_child = incident(correlation=KEY, parent="parent-1")

    assert stored(plan(seen(AT_DB, incident=was_child))).parent is None


def child(number: int, **more: Any) -> Incident:
    made = incident(**{"correlation": KEY, "opened_at": at(number), "owner": f"team-{number}", **more})
    return replace(made, id=f"child-{number}", app=replace(made.app, name=f"app-{number}"))


def test_two_applications_make_a_common_cause_and_one_does_not() -> None:
    assert parent_of([child(1)], None, (), at(60)) is None
    assert parent_of([child(1), child(2, state=IncidentState.RESOLVED)], None, (), at(60)) is None
    made = parent_of([child(2), child(1)], None, (), at(60))

    assert made is not None
    assert (made.opened_at, made.children) == (at(1), ("child-2", "child-1"))
    assert made.opened_for == f"2 Applications fail for one cause: {KEY}"
    assert made.impact == "failing: app-2 (team-2), app-1 (team-1)"


def test_a_parent_has_one_name_however_often_it_is_made() -> None:
    names = [
        parent_of(children, None, (), at(60)) for children in ([child(1), child(2)], [child(2), child(1), child(3)])
    ]

    assert len({made.id for made in names if made is not None}) == 1


def test_a_parent_gathers_its_children_and_ends_with_the_last() -> None:
    made = parent_of([child(1), child(2)], None, (), at(60))
    more = parent_of([child(1), child(2), child(3)], made, (), at(61))
    assert more is not None
    assert more.children == ("child-1", "child-2", "child-3")
    over = parent_of([], more, (), at(90))

    assert over is not None
    assert (over.state, over.resolved_at, len(over.children)) == (IncidentState.RESOLVED, at(90), 3)


def test_a_parent_is_no_safer_than_the_worst_of_its_open_children() -> None:
    made = parent_of([child(1), child(2)], None, (), at(60))
    worse = parent_of([child(1), child(2), child(3, diagnosis=DIRTY)], made, (), at(61))
    over = parent_of([], worse, (), at(90))

    assert made is not None
    assert worse is not None
    assert over is not None
    assert made.diagnosis == SAFE
    assert worse.diagnosis is not None
    assert (worse.diagnosis.category, worse.diagnosis.retry) == (SAFE.category, Retry.UNSAFE)
    assert (worse.diagnosis.state_left, worse.diagnosis.state_reason) == (StateLeft.DIRTY, DIRTY.state_reason)
    assert over.diagnosis == worse.diagnosis


def test_a_parent_learns_with_its_children() -> None:
    """Its first child had not been read to its end yet."""
    unread = replace(SAFE, retry=Retry.UNKNOWN, retry_reason="a part of the log is not known")
    made = parent_of([child(1, diagnosis=unread), child(2)], None, (), at(60))
    read = parent_of([child(1), child(2)], made, (), at(61))

    assert made is not None
    assert made.diagnosis is not None
    assert made.diagnosis.retry is Retry.UNKNOWN
    assert read is not None
    assert read.diagnosis == SAFE


def test_forty_applications_are_named_in_part() -> None:
    made = parent_of([child(n) for n in range(40)], None, (), at(60))

    assert made is not None
    assert made.impact.endswith("app-19 (team-19) and 20 more")
