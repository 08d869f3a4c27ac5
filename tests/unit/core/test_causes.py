"""From containers, attempts and operations to one diagnosis: a wrong "safe" in any combination is the worst bug."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.argocd import OperationPhase
from responder.core.attempts import AttemptHook, OperationView
from responder.core.causes import diagnose_hook
from responder.core.evidence import Gap, GapReason, LogChunk, LogSummary
from responder.core.failure import Category, Confidence, Diagnosis, Retry, StateLeft
from responder.core.hooks import ContainerKind, ContainerRun, ContainerState, HookRun, JobCondition
from responder.core.incidentcause import diagnose_incident, diagnose_operation
from responder.core.safety import worst
from responder.shipped import signatures
from tests.unit.core.night import at, complete, container, failed, gone, hook, job, operation, pod, running, told, views

SIGNATURES = signatures(())
RUNNING, TERMINATING, FAILED, ERROR, SUCCEEDED = OperationPhase

AWAY = (
    "Traceback (most recent call last):",
    '  File "/opt/venv/bin/alembic", line 8, in <module>',
    'psycopg2.OperationalError: connection to server at "db" (10.0.0.5), port 5432 failed: Connection refused',
)
EXISTS = (
    "INFO  [alembic.runtime.migration] Context impl PostgresqlImpl.",
    "INFO  [alembic.runtime.migration] Will assume transactional DDL.",
    "INFO  [alembic.runtime.migration] Running upgrade 41 -> 42, add orders",
    'sqlalchemy.exc.ProgrammingError: (psycopg2.errors.DuplicateTable) relation "orders" already exists',
)
HALF = (
    "  2026_11_21_000001_create_orders_table .................. RUNNING",
    "SQLSTATE[42S01]: Base table or view already exists: 1050 Table 'orders' already exists (Connection: mysql)",
)


def reader(texts: dict[str, tuple[str, ...]]) -> Callable[[str], LogChunk | None]:
    def read(key: str) -> LogChunk | None:
        lines = texts.get(key)
        if lines is None:
            return None
        numbers = tuple(range(1, len(lines) + 1))
        return LogChunk(key, numbers, ("2026-11-21T03:00:02.000000000Z",) * len(lines), lines)

    return read


def logged(key: str, *, whole: bool = True) -> LogSummary:
    return LogSummary(key, lines=4, bytes=200, complete=whole)


def judged(
    run: HookRun | None,
    texts: dict[str, tuple[str, ...]] | None = None,
    *,
    brings: tuple[tuple[str, str], ...] = (),
    **record: Any,
) -> Diagnosis:
    phase = record.pop("phase", FAILED)
    result = record.pop("result", hook())
    (view,) = views([operation(phase, told(1, result, 5), finished=5, **record)], [run] if run else [])
    return diagnose_hook(view.attempts[0].hooks[0], view.record, reader(texts or {}), SIGNATURES, brings)


def migrate(**more: Any) -> ContainerRun:
    return container(command=("alembic", "upgrade", "head"), **{"log": logged("a"), **more})


def away(*beside: ContainerRun, **more: Any) -> HookRun:
    return job(1, failed(4), pods=(pod(migrate(), *beside),), **more)


def test_a_database_that_was_away_before_anything_began_is_safe_to_try_again() -> None:
    found = judged(away(), {"a": AWAY})

    assert (found.category, found.retry, found.state_left) == (
        Category.CONNECTION_REFUSED,
        Retry.SAFE,
        StateLeft.NONE,
    )
    assert found.because[0].source == "db-migrate-1/migrate"


LOST = "ContainerStatusUnknown"
WHOLE_ONLY = {
    "a gap": away(gaps=(Gap("pod", GapReason.TTL),)),
    "a log that was cut": job(1, failed(4), pods=(pod(migrate(log=logged("a", whole=False))),)),
    "a log that was never read": job(1, failed(4), pods=(pod(migrate(log=None)),)),
    "no exit code": job(1, failed(4), pods=(pod(migrate(exit_code=None)),)),
    "another container that still runs": away(running("audit", log=logged("b"))),
    "another container whose log was not read": away(container(0, name="audit", log=None)),
    "another container without an exit code": away(container(None, name="audit", log=logged("b"))),
    "an init container whose log was cut": away(
        container(0, name="schema", kind=ContainerKind.INIT, log=logged("b", whole=False))
    ),
    "a second Pod that still runs": job(1, failed(4), pods=(pod(migrate()), pod(running(log=logged("b")), name="two"))),
    "a second Pod whose end was lost": job(
        1,
        failed(4),
        pods=(
            pod(migrate()),
            pod(migrate(exit_code=137, reason="ContainerStatusUnknown", log=logged("b")), name="two"),
        ),
    ),
    "a second Pod of which nothing was seen": job(1, failed(4), pods=(pod(migrate()), pod(name="two", node="n1"))),
    "no Pod at all": job(1, failed(4)),
    "a run before this one of the same container": job(1, failed(4), pods=(pod(migrate(restart=1)),)),
    "an end that its runtime forgot": job(1, failed(4), pods=(pod(migrate(exit_code=255, reason="Unknown")),)),
}


@pytest.mark.parametrize("why", WHOLE_ONLY)
def test_what_was_not_seen_whole_is_never_safe(why: str) -> None:
    found = judged(WHOLE_ONLY[why], {"a": AWAY, "b": ()})

    assert found.retry is Retry.UNKNOWN
    assert found.state_left is StateLeft.UNKNOWN


def test_a_sidecar_may_run_on_and_need_not_be_read() -> None:
    proxy = running("proxy", kind=ContainerKind.SIDECAR, log=None)

    assert judged(away(proxy), {"a": AWAY}).retry is Retry.SAFE


def test_a_container_that_never_ran_has_nothing_to_read() -> None:
    unstarted = ContainerRun(name="after", waiting_reason="PodInitializing")

    assert judged(away(unstarted), {"a": AWAY}).retry is Retry.SAFE


@pytest.mark.parametrize(
    "lines",
    [
        ("> knex migrate:latest", "Batch 1 run: 3 migrations"),
        ("CREATE TABLE", 'psql:x.sql:3: ERROR:  relation "a" does not exist'),
        ("Inserted 312 rows into countries",),
        ("INFO  [alembic.runtime.migration] Running upgrade 4b7d20c9e613 -> 8ac3f15d6e02, totals",),
        ("upload: ./totals.csv to s3://ledger/totals.csv",),
    ],
)
def test_what_a_container_did_that_ended_well_stays(lines: tuple[str, ...]) -> None:
    before = container(0, name="schema", kind=ContainerKind.INIT, log=logged("b"))
    found = judged(away(before), {"a": AWAY, "b": lines})

    assert (found.category, found.retry) == (Category.CONNECTION_REFUSED, Retry.UNKNOWN)
    assert found.state_left is StateLeft.UNKNOWN


def test_a_container_that_only_waited_changes_nothing() -> None:
    before = container(0, name="wait", kind=ContainerKind.INIT, log=logged("b"))
    lines = ("db:5432 - no response", "db:5432 - accepting connections")

    assert judged(away(before), {"a": AWAY, "b": lines}).retry is Retry.SAFE


@pytest.mark.parametrize("exit_code", [134, 137, 139, 143])
def test_what_was_killed_while_it_waited_for_its_database_may_have_begun(exit_code: int) -> None:
    run = job(1, failed(4), pods=(pod(migrate(exit_code=exit_code)),))

    assert judged(run, {"a": AWAY}).retry is Retry.UNKNOWN


def test_the_first_pods_cause_and_the_second_ones_leftovers() -> None:
    second = migrate(log=logged("b"), started_at=at(10), finished_at=at(12))
    found = judged(job(1, failed(14), pods=(pod(migrate()), pod(second, name="two"))), {"a": AWAY, "b": HALF})

    assert found.category is Category.CONNECTION_REFUSED
    assert found.retry is not Retry.SAFE
    assert found.state_left is not StateLeft.NONE


def test_of_containers_the_one_that_ended_first_is_the_cause() -> None:
    first = migrate(name="schema", kind=ContainerKind.INIT, log=logged("b"), finished_at=at(2.5))
    found = judged(job(1, failed(4), pods=(pod(first, migrate()),)), {"a": AWAY, "b": EXISTS})

    assert found.category is Category.ALREADY_EXISTS


def test_a_container_that_used_too_much_memory_is_told_by_the_cluster() -> None:
    run = job(1, failed(4), pods=(pod(migrate(exit_code=137, reason="OOMKilled")),))
    found = judged(run, {"a": EXISTS[:3]})

    assert (found.category, found.confidence) == (Category.OOM_KILLED, Confidence.CERTAIN)
    assert found.retry is not Retry.SAFE


def test_a_silent_init_container_is_named_so() -> None:
    init = migrate(kind=ContainerKind.INIT)
    found = judged(job(1, failed(4), pods=(pod(init),)), {"a": ("working",)})

    assert (found.category, found.confidence, found.retry) == (
        Category.INIT_FAILED,
        Confidence.CERTAIN,
        Retry.UNKNOWN,
    )


def test_a_deadline_that_killed_a_second_pod_is_not_hidden_by_the_first() -> None:
    """Its status was lost: how far it came is not known, whatever the first Pod's log says."""
    killed = migrate(exit_code=137, reason="ContainerStatusUnknown", log=logged("b"))
    run = job(1, failed(60, "DeadlineExceeded"), pods=(pod(migrate()), pod(killed, name="two")))

    assert judged(run, {"a": AWAY, "b": ()}).retry is Retry.UNKNOWN


def test_a_deadline_is_the_cause_of_what_states_none() -> None:
    run = job(1, failed(60, "DeadlineExceeded"), pods=(pod(migrate(exit_code=143), deleting_at=at(60)),))
    found = judged(run, {"a": EXISTS[:3]})

    assert (found.category, found.retry) == (Category.DEADLINE_EXCEEDED, Retry.UNKNOWN)


@pytest.mark.parametrize(
    ("message", "category"),
    [
        ("Operation terminated", Category.TERMINATED),
        ("Operation terminated, triggered by controller sync timeout", Category.SYNC_TIMEOUT),
    ],
)
def test_a_hook_that_was_stopped_from_above(message: str, category: Category) -> None:
    run = gone(job(1, pods=(pod(migrate(exit_code=143), deleting_at=at(5)),)), 5)
    found = judged(run, {"a": ()}, result=hook(message="Terminated"), message=message)

    assert (found.category, found.retry, found.state_left) == (category, Retry.UNKNOWN, StateLeft.UNKNOWN)


def test_a_sidecar_keeps_a_pod_alive_whose_migration_ended_well() -> None:
    proxy = running("proxy", kind=ContainerKind.SIDECAR)
    run = job(1, pods=(pod(migrate(exit_code=0), proxy, pod_phase="Running"),))
    found = judged(run, {"a": ()}, phase=RUNNING, result=hook(hook_phase="Running"))

    assert (found.category, found.retry, found.state_left) == (
        Category.SIDECAR_RUNNING,
        Retry.FUTILE,
        StateLeft.NONE,
    )
    assert found.key_line == "container proxy still runs"


def test_the_cause_of_a_pod_that_a_sidecar_keeps_alive_is_its_migration() -> None:
    proxy = running("proxy", kind=ContainerKind.SIDECAR)
    run = job(1, pods=(pod(migrate(), proxy, pod_phase="Running"),))

    assert judged(run, {"a": EXISTS}, phase=RUNNING, result=hook(hook_phase="Running")).category is (
        Category.ALREADY_EXISTS
    )


def test_a_failure_of_which_no_job_was_seen_is_unknown() -> None:
    found = judged(None)

    assert (found.category, found.retry, found.state_left, found.confidence) == (
        Category.UNKNOWN,
        Retry.UNKNOWN,
        StateLeft.UNKNOWN,
        Confidence.GUESS,
    )


def test_a_job_that_was_taken_away_while_it_ran_left_nobody_knows_what() -> None:
    run = gone(job(1, pods=(pod(running(log=logged("a"))),)), 5)
    found = judged(run, {"a": AWAY}, phase=RUNNING, result=hook(hook_phase="Running"), replaced=True)

    assert (found.category, found.retry, found.state_left) == (
        Category.HOOK_VANISHED,
        Retry.UNKNOWN,
        StateLeft.UNKNOWN,
    )


# Over attempts and operations.


def said(category: Category, retry: Retry, state: StateLeft, **more: Any) -> Diagnosis:
    return Diagnosis(category, retry, f"why {retry}", state, f"why {state}", Confidence.LIKELY, **more)


SAFE = said(Category.CONNECTION_REFUSED, Retry.SAFE, StateLeft.NONE)
DIRTY = said(Category.DIRTY_STATE, Retry.UNSAFE, StateLeft.DIRTY, tool="golang-migrate")


def two_attempts() -> OperationView:
    record = operation(FAILED, told(1, hook(), 5), told(2, hook(), 20), finished=20, attempts_ended=(at(5),))
    (view,) = views([record], [job(1, failed(4)), job(16, failed(19))])
    return view


def by_attempt(view: OperationView, *found: Diagnosis) -> dict[tuple[str, int, str], Diagnosis]:
    hooks = [(a.number, h) for a in view.attempts for h in a.hooks]
    return {(view.record.id, n, str(h.identity)): d for (n, h), d in zip(hooks, found, strict=True)}


def test_the_cause_is_the_first_and_the_danger_the_worst() -> None:
    view = two_attempts()
    found = diagnose_incident((view,), by_attempt(view, SAFE, DIRTY), frozenset())

    assert found is not None
    assert (found.category, found.retry, found.state_left) == (
        Category.CONNECTION_REFUSED,
        Retry.UNSAFE,
        StateLeft.DIRTY,
    )
    assert (found.retry_reason, found.state_reason, found.tool) == ("why unsafe", "why dirty", "golang-migrate")


def test_the_danger_of_the_first_attempt_outlives_a_harmless_second() -> None:
    view = two_attempts()
    found = diagnose_incident((view,), by_attempt(view, DIRTY, SAFE), frozenset())

    assert found is not None
    assert (found.category, found.retry) == (Category.DIRTY_STATE, Retry.UNSAFE)


def test_the_danger_of_an_earlier_operation_counts_in_the_next() -> None:
    first, second = views(
        [
            operation(FAILED, told(1, hook(), 5), finished=5),
            operation(FAILED, told(1, hook(), 65), started=60, finished=65),
        ],
        [job(1, failed(4)), job(61, failed(64))],
    )
    diagnoses = by_attempt(first, DIRTY) | by_attempt(second, SAFE)
    found = diagnose_incident((first, second), diagnoses, frozenset())

    assert found is not None
    assert (found.category, found.retry) == (Category.DIRTY_STATE, Retry.UNSAFE)


def test_of_hooks_that_failed_together_the_first_to_fail_is_the_cause() -> None:
    record = operation(FAILED, told(1, hook("a"), 9), told(1, hook("b"), 9), finished=9)
    (view,) = views([record], [job(1, failed(8), name="a"), job(1, failed(4), name="b")])
    found = diagnose_incident((view,), by_attempt(view, DIRTY, SAFE), frozenset())

    assert found is not None
    assert (found.category, found.retry) == (Category.CONNECTION_REFUSED, Retry.UNSAFE)


def test_of_hooks_of_one_second_the_one_that_was_ended_with_the_operation_is_not_the_cause() -> None:
    ended = msgspec.structs.replace(hook("a"), message="Terminated")
    record = operation(FAILED, told(1, ended, 9), told(1, hook("b"), 9), finished=9)
    (view,) = views([record], [job(1, name="a"), job(1, failed(9), name="b")])
    found = diagnose_incident((view,), by_attempt(view, DIRTY, SAFE), frozenset())

    assert found is not None
    assert found.category is Category.CONNECTION_REFUSED


def test_a_hook_that_waits_for_a_moment_tells_nothing() -> None:
    (view,) = views([operation(RUNNING, told(1, hook(hook_phase="Running"), 3))], [job(1)])
    diagnoses = by_attempt(view, said(Category.IMAGE_PULL, Retry.FUTILE, StateLeft.NONE))
    identity = str(view.attempts[0].hooks[0].identity)

    assert diagnose_incident((view,), diagnoses, frozenset()) is None
    assert diagnose_incident((view,), diagnoses, frozenset({(at(0), identity)})) is not None


def test_an_operation_that_failed_without_a_hook_is_its_manifests() -> None:
    broken = hook("web", "", hook_type="", sync_phase="Sync", status="SyncFailed", message="spec.replicas: Invalid")
    record = operation(FAILED, told(1, broken, 3), finished=3, message="one or more objects failed to apply")
    found = diagnose_operation(record)

    assert (found.category, found.retry, found.state_left, found.state_reason) == (
        Category.MANIFEST_ERROR,
        Retry.FUTILE,
        StateLeft.NONE,
        "no hook ran",
    )
    assert found.because[1].text == "Job web: spec.replicas: Invalid"


def test_hooks_that_ended_well_are_told_of_when_the_rest_fails() -> None:
    record = operation(FAILED, told(1, hook(hook_phase="Succeeded"), 3), finished=9, message="web is degraded")

    assert diagnose_operation(record).state_reason == "no hook failed"


# Properties.

DIAGNOSES = st.builds(
    said, st.sampled_from(list(Category)), st.sampled_from(list(Retry)), st.sampled_from(list(StateLeft))
)
DANGER = (Retry.SAFE, Retry.FUTILE, Retry.UNKNOWN, Retry.UNSAFE)
HARM = (StateLeft.NONE, StateLeft.UNKNOWN, StateLeft.LOCKED, StateLeft.PARTIAL, StateLeft.DIRTY)


@given(st.lists(DIAGNOSES, min_size=1, max_size=6), DIAGNOSES)
def test_more_evidence_never_makes_it_less_dangerous(found: list[Diagnosis], more: Diagnosis) -> None:
    before, after = worst(found[0], found), worst(found[0], [*found, more])

    assert DANGER.index(after.retry) >= DANGER.index(before.retry)
    assert HARM.index(after.state_left) >= HARM.index(before.state_left)
    assert (after.category, after.confidence) == (found[0].category, found[0].confidence)


STATES = st.builds(
    container,
    st.sampled_from([0, 1, 137, 143, None]),
    name=st.sampled_from(["migrate", "audit"]),
    kind=st.sampled_from([ContainerKind.MAIN, ContainerKind.INIT]),
    state=st.sampled_from(list(ContainerState)),
    started_at=st.sampled_from([None, at(2)]),
    reason=st.sampled_from(["", "Error", "OOMKilled", "ContainerStatusUnknown"]),
    log=st.sampled_from([None, logged("a"), logged("a", whole=False), logged("b")]),
)


def whole(each: ContainerRun) -> bool:
    if each.state is ContainerState.WAITING:
        return True
    read = each.log is not None and each.log.complete
    ended = each.state is ContainerState.TERMINATED and each.reason != "ContainerStatusUnknown"
    return read and ended and each.exit_code is not None


@given(
    st.lists(st.lists(STATES, max_size=3), max_size=3),
    st.sampled_from([(), failed(4), failed(60, "DeadlineExceeded"), complete(4)]),
    st.sampled_from([(), (Gap("pod", GapReason.TTL),)]),
    st.sampled_from(["Running", "Failed", "Succeeded"]),
)
def test_safe_is_said_only_of_what_was_seen_whole(
    pods: list[list[ContainerRun]], conditions: Any, gaps: tuple[Gap, ...], hook_phase: str
) -> None:
    run = job(1, conditions, pods=tuple(pod(*c, name=str(n)) for n, c in enumerate(pods)), gaps=gaps)
    found = judged(run, {"a": AWAY, "b": HALF}, result=hook(hook_phase=hook_phase))

    seen = [c for containers in pods for c in containers]
    assert found.retry is not Retry.SAFE or (
        not gaps and all(map(whole, seen)) and any(c.exit_code == 1 and c.log == logged("a") for c in seen)
    )


def test_judging_twice_says_the_same() -> None:
    assert judged(away(), {"a": AWAY}) == judged(away(), {"a": AWAY})


def test_a_hook_of_another_kind_is_told_by_argo_cd_alone() -> None:
    (view,) = views([operation(FAILED, told(1, msgspec.structs.replace(hook(), kind="Workflow"), 3), finished=3)])
    (seen,) = view.attempts[0].hooks
    assert isinstance(seen, AttemptHook)

    assert diagnose_hook(seen, view.record, reader({}), SIGNATURES).retry is Retry.UNKNOWN


def test_a_program_that_is_not_in_the_image_never_ran() -> None:
    message = (
        "failed to create containerd task: runc create failed: unable to start container process:"
        ' exec: "migrate": executable file not found in $PATH: unknown'
    )
    lost = migrate(exit_code=128, reason="StartError", message=message, started_at=None, log=None)
    found = judged(job(1, failed(4), pods=(pod(lost),)))

    assert (found.category, found.retry, found.state_left) == (Category.IMPORT_ERROR, Retry.FUTILE, StateLeft.NONE)
    assert found.key_line == f"StartError: {message}"
    assert found.command == "kubectl -n shop logs db-migrate-1 -c migrate"


def test_a_command_that_could_not_be_executed_for_no_reason_we_know() -> None:
    lost = migrate(exit_code=128, reason="ContainerCannotRun", message="no", started_at=None, log=None)
    found = judged(job(1, failed(4), pods=(pod(lost),)))

    assert (found.category, found.state_left) == (Category.MANIFEST_ERROR, StateLeft.NONE)
    assert found.advice.startswith("The runtime cannot make or start the container")


def test_the_termination_message_speaks_where_the_log_is_gone() -> None:
    spoke = migrate(log=None, message="\n".join(EXISTS))
    found = judged(job(1, failed(4), pods=(pod(spoke),)))

    assert found.category is Category.ALREADY_EXISTS
    assert found.retry is not Retry.SAFE


def test_out_of_memory_is_told_by_the_cluster_and_its_advice_names_the_limit() -> None:
    found = judged(job(1, failed(4), pods=(pod(migrate(exit_code=137, reason="OOMKilled")),)), {"a": EXISTS[:3]})

    assert found.advice.startswith("It ran out of memory.")
    assert (found.command, found.owner) == ("kubectl -n shop describe pod db-migrate-1", "app team")


@pytest.mark.parametrize("exit_code", [137, 139, 143])
def test_a_signal_without_a_word_is_a_kill(exit_code: int) -> None:
    found = judged(job(1, failed(4), pods=(pod(migrate(exit_code=exit_code)),)), {"a": EXISTS[:3]})

    assert found.category is Category.KILLED
    assert found.retry is not Retry.SAFE


ATLAS = [
    ("Migrating", 'sql/migrate: executing statement "CREATE TABLE t": pq: relation "t" already exists',
     Category.ALREADY_EXISTS),
    ("ProtectedFlowError", "migrate down is not allowed, set `migrateDown.allow` to true to allow downgrade",
     Category.HISTORY_CONFLICT),
    ("ReadingMigrationData", 'Secret "db" not found', Category.MISSING_REFERENCE),
    ("ReadingMigrationData", "no target database defined", Category.MISSING_CONFIG),
    ("LintPolicyError", "destructive changes detected:\n- Dropping table orders", Category.ADMISSION_DENIED),
    ("ApprovalPending", "plan approval pending, review here: https://x.atlasgo.cloud/1", Category.ADMISSION_DENIED),
    ("Migrating", "dial tcp 10.0.0.5:5432: connect: connection refused", Category.CONNECTION_REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "message", "category"), ATLAS, ids=[f"{r} {c}" for r, _, c in ATLAS])
def test_what_the_atlas_operator_says_of_its_resource(reason: str, message: str, category: Category) -> None:
    condition = JobCondition("Ready", reason, message, at(4))
    run = job(1, (condition,), kind="AtlasMigration", name="shop")
    result = hook("shop", group="db.atlasgo.io")
    view = views([operation(FAILED, told(1, result, 5), finished=5)], [])[0]
    seen = msgspec.structs.replace(
        view.attempts[0].hooks[0], run=run, result=msgspec.structs.replace(result, kind="AtlasMigration")
    )
    found = diagnose_hook(seen, view.record, reader({}), SIGNATURES)

    assert (found.category, found.tool) == (category, "atlas") or found.category is category
    assert found.retry is not Retry.SAFE
    assert found.because[0].source == "AtlasMigration shop"

    taken = diagnose_hook(msgspec.structs.replace(seen, lost=True), view.record, reader({}), SIGNATURES)
    assert (taken.category, taken.retry, taken.state_left) == (
        Category.HOOK_VANISHED,
        Retry.UNKNOWN,
        StateLeft.UNKNOWN,
    )


def test_a_hook_that_runs_for_long_has_words_and_nothing_that_calls_for_an_act() -> None:
    run = job(1, pods=(pod(running(log=logged("a")), pod_phase="Running"),))
    seen = views([operation(RUNNING, told(1, hook(hook_phase="Running"), 3))], [run])
    name = str(seen[0].attempts[0].hooks[0].identity)
    found = diagnose_incident(seen, {}, {(at(0), "running-long"), (at(0), name)})

    assert found is not None
    assert (found.category, found.retry, found.state_left) == (Category.UNKNOWN, Retry.UNKNOWN, StateLeft.UNKNOWN)
    assert "has been running for longer than the limit" in (found.key_line or "")
    assert found.command == "kubectl -n shop logs db-migrate-1 -c migrate"
    assert diagnose_incident(seen, {}, set()) is None


def test_a_job_that_argocd_overlooks_has_words() -> None:
    run = job(1, complete(4), pods=(pod(migrate(exit_code=0)),))
    seen = views([operation(RUNNING, told(1, hook(hook_phase="Running"), 3))], [run])
    found = diagnose_incident(seen, {}, {(at(0), "argocd-waits")})

    assert found is not None
    assert (found.category, found.retry, found.state_left) == (Category.NONE, Retry.UNKNOWN, StateLeft.NONE)
    assert found.command == "argocd app get orders --hard-refresh"


NO_MANIFESTS = "Failed to load target state: failed to generate manifest for source 1 of 1: rpc error: code = Unknown"
OPERATIONS = [
    ("one or more synchronization tasks are not valid",
     "jobs.batch is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p' denied request: no",
     Category.ADMISSION_DENIED),
    (f"ComparisonError: {NO_MANIFESTS} desc = missing metadata.name in object {{{{batch/v1 Job}}}}", "",
     Category.MANIFEST_ERROR),
    ("one or more objects failed to apply",
     'Job.batch "x" is invalid: spec.template: Invalid value: {...}: field is immutable', Category.IMMUTABLE_JOB),
    ("Operation terminated, triggered by controller sync timeout", "", Category.SYNC_TIMEOUT),
]  # fmt: skip


@pytest.mark.parametrize(("message", "resource", "category"), OPERATIONS, ids=[str(c) for *_, c in OPERATIONS])
def test_an_operation_without_hooks_is_told_by_its_resources(message: str, resource: str, category: Category) -> None:
    failing = hook("x", "", status="SyncFailed", message=resource, hook_type="")
    record = operation(FAILED, *([told(1, failing, 5)] if resource else []), message=message, finished=5)
    found = diagnose_operation(record, SIGNATURES)

    assert (found.category, found.state_left) == (category, StateLeft.NONE)
    assert found.advice
    assert diagnose_operation(record).category in (Category.MANIFEST_ERROR, Category.SYNC_TIMEOUT)


def test_what_kustomize_refuses_has_its_own_advice() -> None:
    found = diagnose_operation(operation(FAILED, message=OPERATIONS[1][0], finished=5), SIGNATURES)

    assert found.advice.startswith("kustomize refuses `generateName`.")
