"""What may be said of a hook of which only Argo CD's word and a log are known."""

from datetime import UTC, datetime, timedelta

import msgspec

from responder.core.argocd import (
    AppKey,
    AttemptResult,
    OperationPhase,
    OperationRecord,
    ResourceResult,
    SyncRequest,
)
from responder.core.argologs import LogEntry, containers_of, parse_entry
from responder.core.attempts import Admission, join, never_started
from responder.core.causes import diagnose_hook
from responder.core.evidence import LogChunk, LogSummary
from responder.core.failure import Category, Retry
from responder.core.remotehooks import remote_runs, with_logs
from responder.shipped import signatures

AT = datetime(2026, 11, 21, 3, tzinfo=UTC)
ADMISSION = Admission(AppKey("argocd", "shop"), "argocd", "far", lambda _: True)


def hook(phase: str, attempt: int = 1, **more: str) -> AttemptResult:
    fields = {"namespace": "shop", "name": "db-migrate", "group": "batch", "sync_phase": "PreSync"}
    result = ResourceResult("Job", hook_type="PreSync", hook_phase=phase, images=(), **fields)
    return AttemptResult(attempt, msgspec.structs.replace(result, **more), AT, AT + timedelta(seconds=5))


def record(*results: AttemptResult, ended: tuple[datetime, ...] = ()) -> OperationRecord:
    return OperationRecord(
        AppKey("argocd", "shop"), "app-uid", AT, OperationPhase.RUNNING, SyncRequest(), AT, AT,
        results=results, attempts_ended=ended,
    )  # fmt: skip


def test_only_hook_jobs_that_were_begun_are_runs() -> None:
    told = record(hook("Failed"), hook("", name="later"), hook("Failed", hook_type=""), hook("Failed", kind="Pod"))

    (run,) = remote_runs(told, "far", "shop")
    assert (run.name, run.failed is not None, run.active) == ("db-migrate", True, 0)


def test_each_attempt_has_a_run_of_its_own_that_the_join_finds() -> None:
    told = record(hook("Failed"), hook("Running", attempt=2), ended=(AT + timedelta(seconds=6),))
    runs = tuple(remote_runs(told, "far", "shop"))
    (view,) = join([told], runs, ADMISSION)

    assert [[h.run.uid if h.run else None for h in a.hooks] for a in view.attempts] == [[r.uid] for r in runs]
    assert runs[0].uid != runs[1].uid


def test_the_log_names_the_cause_and_nothing_is_called_safe() -> None:
    told = record(hook("Failed", message="Job has reached the specified backoff limit"))
    (seen,) = remote_runs(told, "far", "shop")
    run = with_logs(seen, {("db-migrate-x", "main"): LogSummary("key", lines=1, complete=True)}, {})
    line = "sqlalchemy.exc.OperationalError: could not connect to server: Connection refused"
    chunk = LogChunk("key", (1,), ("2026-11-21T03:00:01.000000001Z",), (line,))
    (view,) = join([told], [run], ADMISSION)
    found = diagnose_hook(view.attempts[0].hooks[0], told, {"key": chunk}.get, signatures())

    assert not never_started(run)
    assert found.category is Category.CONNECTION_REFUSED
    assert found.retry is Retry.UNKNOWN
    assert "exit code" in found.retry_reason


def test_lines_of_the_api_are_read_as_it_sends_them() -> None:
    line = (
        b'{"result":{"content":"ERROR: relation exists","timeStamp":"2026-03-01T10:07:39Z","last":false,'
        b'"timeStampStr":"2026-03-01T10:07:39.123456789Z","podName":"db-migrate-x7k2p"}}'
    )
    assert parse_entry(line) == LogEntry("db-migrate-x7k2p", "2026-03-01T10:07:39.123456789Z", "ERROR: relation exists")
    assert parse_entry(b'{"result":{"last":true}}') == LogEntry(last=True)
    assert parse_entry(b'{"error":{"code":2,"message":"stream closed"}}') == LogEntry(text="stream closed")
    assert parse_entry(b'{"result":{"content":"no log","timeStampStr":"0001-01-01T00:00:00Z","podName":""}}').text


def test_containers_are_read_from_the_refusal_that_lists_them() -> None:
    several = "a container name must be specified, choose one of: [migrate proxy] or one of the init containers: [a]"

    assert containers_of(several) == (("migrate", "proxy"), ("a",))
    assert containers_of("choose one of: [migrate proxy]") == (("migrate", "proxy"), ())
    assert containers_of("container is waiting to start") == ((), ())


def test_an_odd_line_is_an_error_and_not_a_log() -> None:
    for line in (b"hello", b'{"result": 7}', b"[" * 10):
        try:
            parse_entry(line)
        except msgspec.MsgspecError:
            continue
        raise AssertionError(line)
