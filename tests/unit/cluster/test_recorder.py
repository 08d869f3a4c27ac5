"""What the recorder keeps of hooks that fail, are retried, vanish, or flood their logs."""

import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from responder.config import Recorder as Limits
from responder.core.evidence import GapReason
from responder.core.hooks import ContainerKind, ContainerState
from responder.demo.faults import answers, when
from responder.demo.logs import Line
from responder.demo.status import ApiFault
from tests.unit.cluster.hook_world import (
    HookWorld,
    LeapingClock,
    hook_world,
    log_stamp,
    running,
    stamp,
    terminated,
    waiting,
)

KILLED = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None, "finishedAt": None}


def errors(block: bytes) -> Iterator[tuple[int, int]]:
    """Lines that say ERROR."""
    begin = 0
    for line in block.splitlines(keepends=True):
        if b"ERROR" in line:
            yield begin, begin + len(line) - 1
        begin += len(line)


def counted_gaps(world: HookWorld) -> float:
    text = world.metrics.render().decode()
    return sum(
        float(line.split()[-1]) for line in text.splitlines() if line.startswith("responder_evidence_gaps_total{")
    )


def log_request(request: web.Request) -> bool:
    return request.path.endswith("/log")


def failed_hook(world: HookWorld, log: str | bytes = "ERROR: relation exists\n", **job: Any) -> tuple[Any, Any]:
    """A Job whose only Pod ran, wrote this log and failed."""
    owner = world.job(**job)
    pod = world.pod_status(world.pod(owner), "Running", migrate=running())
    world.log(pod, log)
    pod = world.pod_status(pod, "Failed", migrate=terminated(1))
    return world.job_status(owner, "FailureTarget/BackoffLimitExceeded", "Failed/BackoffLimitExceeded", failed=1), pod


async def test_a_failed_hook_is_recorded_with_its_whole_log(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        failed_hook(world, 'applying 0042_add_index.sql\nERROR: relation "users" already exists (SQLSTATE 42P07)\n')
        await world.until(lambda: world.whole() and world.run.failed)

        assert await world.text() == [
            "applying 0042_add_index.sql",
            'ERROR: relation "users" already exists (SQLSTATE 42P07)',
        ]
        container = world.container()
        assert (container.state, container.exit_code) == (ContainerState.TERMINATED, 1)
        assert world.run.gaps == ()
        assert (world.run.tracked, world.run.hook_types) == ("shop", ("PreSync",))
        assert world.recorder.follows == 0


async def test_what_is_published_is_in_the_store(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        failed_hook(world)
        await world.until(lambda: world.whole() and world.run.failed)

        assert await world.store.hook_run("in-cluster", "job-db-migrate") == world.run


async def test_a_job_without_pods_tells_why_by_its_events(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        job = world.job()
        world.event(job, "FailedCreate", 'Error creating: serviceaccount "migrator" not found')
        world.event(job, "SuccessfulCreate", "nobody needs to know", kind="Normal")
        await world.until(lambda: world.runs and world.run.events)

        (event,) = world.run.events
        assert (event.reason, event.about) == ("FailedCreate", "Job/db-migrate")
        assert "migrator" in event.message
        assert world.run.pods == ()


async def test_events_that_come_before_their_pod_are_kept(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        job = world.job()
        await world.until(lambda: world.runs)
        world.event(
            {"kind": "Pod", "metadata": {"name": "db-migrate-x", "uid": "pod-job-db-migrate-db-migrate-x"}},
            "FailedMount",
            'secret "db" not found',
        )
        world.pod(job)
        await world.until(lambda: world.run.events and world.run.pods)

        assert world.run.events[0].message == 'secret "db" not found'


async def test_a_pod_without_a_log_is_no_gap(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        failed_hook(world, b"")
        await world.until(world.whole)

        log = world.container().log
        assert log is not None
        assert (log.lines, log.complete) == (0, True)
        assert world.run.gaps == ()


async def test_a_fault_over_one_log_is_a_gap_and_ends_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def faulty(block: bytes) -> list[tuple[int, int]]:
        if b"strange" in block:
            raise ValueError("a fault of ours")
        return []

    async with hook_world(tmp_path, scan=faulty) as world:
        failed_hook(world, "something strange\n", name="first")
        await world.until(lambda: [g.reason for r in world.runs.values() for g in r.gaps] == [GapReason.LOG_UNREADABLE])
        failed_hook(world, "nothing of note\n", name="second")
        await world.until(lambda: any(run.name == "second" and run.failed for run in world.runs.values()))
    assert "ValueError: a fault of ours" in caplog.text


async def test_a_binary_log_is_kept_readable(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        failed_hook(world, b"\x00\xff\xfe PNG \x80\n" + "größer\n".encode() + b"no newline \xc3")
        await world.until(world.whole)

        assert await world.text() == ["\x00\ufffd\ufffd PNG \ufffd", "größer", "no newline \ufffd"]


async def test_secrets_do_not_reach_the_store(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        failed_hook(world, "connecting to postgres://shop:hunter2@db/shop\n")
        await world.until(world.whole)

        (line,) = await world.text()
        assert "hunter2" not in line
        assert "[redacted:" in line


async def test_a_line_of_ten_megabytes_is_cut_and_the_next_is_whole(tmp_path: Path) -> None:
    async with hook_world(tmp_path, limits=Limits(line=4096)) as world:
        failed_hook(world, b"x" * (10 << 20) + b"\nERROR: after it\n")
        await world.until(world.whole)

        long, after = await world.text()
        assert long == "x" * 4096
        assert after == "ERROR: after it"
        log = world.container().log
        assert log is not None
        assert log.bytes == (10 << 20) + 1 + len("ERROR: after it\n")


class Lazy(list[Any]):
    """Lines that are made when they are read: the log is large, the server is not."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self._count = count
        self._text = b"y" * (size - 12)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, at: Any) -> Any:
        return Line("2026-11-21T03:00:00.000000000Z", b"%010d %s\n" % (at + 1, self._text))

    def __iter__(self) -> Iterator[Any]:
        return (self[at] for at in range(self._count))


async def test_of_a_log_of_300_megabytes_head_and_tail_are_kept_and_the_rest_is_counted(tmp_path: Path) -> None:
    lines, size = 37_500, 8000
    async with hook_world(tmp_path) as world:
        job = world.job()
        pod = world.pod_status(world.pod(job), "Running", migrate=running())
        log = world.objects.logs.run(("shop", pod["metadata"]["name"], "migrate", 0))
        log.lines = Lazy(lines, size)
        log.end()
        tracemalloc.start()
        world.pod_status(pod, "Failed", migrate=terminated(1))
        await world.until(world.whole, seconds=50)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        kept = await world.text()
        summary = world.container().log
        assert summary is not None
        assert summary.lines == lines
        assert summary.dropped + len(kept) == lines
        assert kept[0].startswith("0000000001 ")
        assert kept[-1].startswith(f"{lines:010d} ")
        assert peak < 30 << 20
        assert world.run.gaps == ()


async def test_a_log_goes_on_after_a_cut_among_equal_stamps(tmp_path: Path) -> None:
    at = log_stamp()
    lines = [f"line {number}" for number in range(1, 10)]

    async def cut_after_four(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write("".join(f"{at} {line}\n" for line in lines[:4]).encode() + f"{at} lin".encode())
        assert request.transport is not None
        request.transport.abort()
        return response

    async with hook_world(tmp_path) as world:
        world.server.faults.append(when(log_request, cut_after_four, times=2))
        job = world.job()
        pod = world.pod_status(world.pod(job), "Running", migrate=running())
        for line in lines:
            world.log(pod, line + "\n", at=at)
        world.pod_status(pod, "Failed", migrate=terminated(1))
        await world.until(world.whole)

        assert await world.text() == lines
        assert world.run.gaps == ()


async def test_a_log_that_was_rotated_while_we_were_cut_off_has_a_gap(tmp_path: Path) -> None:
    async def old_beginning(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"2026-11-21T03:00:00.000000001Z first\n2026-11-21T03:00:00.000000002Z second\n")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with hook_world(tmp_path) as world:
        world.server.faults.append(when(log_request, old_beginning, times=1))
        job = world.job()
        pod = world.pod_status(world.pod(job), "Running", migrate=running())
        world.log(pod, "much later\n", at="2026-11-21T03:00:09.000000001Z")
        world.pod_status(pod, "Failed", migrate=terminated(1))
        await world.until(lambda: world.runs and world.run.gaps)

        assert [gap.reason for gap in world.run.gaps] == [GapReason.LOG_ROTATED]
        assert await world.text() == ["first", "second", "much later"]


async def test_job_and_pod_that_go_right_after_the_failure_leave_no_gap(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        job, pod = failed_hook(world, policy="HookFailed")
        await world.until(world.whole)
        world.gone("Pod", world.deleting("Pod", pod))
        world.gone("Job", world.deleting("Job", job))
        await world.until(lambda: world.run.gone_at and world.run.pods[0].gone_at)

        assert world.run.gaps == ()
        assert world.run.failed is not None
        assert world.container().exit_code == 1


async def test_a_log_that_the_delete_policy_ate_is_a_gap_that_says_so(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        world.server.faults.append(when(log_request, answers(ApiFault(500, "InternalError", "no kubelet"))))
        job, pod = failed_hook(world, policy="HookFailed")
        await world.until(lambda: world.runs and world.run.failed and world.run.pods)
        world.gone("Job", world.deleting("Job", job))
        world.server.faults.clear()
        world.gone("Pod", world.deleting("Pod", pod))
        await world.until(lambda: world.run.gaps)

        (gap,) = world.run.gaps
        assert (gap.source, gap.reason) == ("db-migrate-x/migrate", GapReason.DELETE_POLICY)


async def test_a_log_that_we_may_not_read_is_a_gap(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        forbidden = ApiFault(403, "Forbidden", 'pods "db-migrate-x" is forbidden')
        world.server.faults.append(when(log_request, answers(forbidden)))
        failed_hook(world)
        await world.until(
            lambda: world.runs and world.run.pods and world.run.gaps
        )  # until its Pod is seen, it is missed

        assert [gap.reason for gap in world.run.gaps] == [GapReason.FORBIDDEN]


async def test_every_run_of_a_container_that_restarts_in_place_is_read(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        job = world.job(restartPolicy="OnFailure")
        pod = world.pod_status(world.pod(job), "Running", migrate=running())
        world.log(pod, "first run\n")
        pod = world.pod_status(pod, "Running", last=terminated(1), migrate=waiting("CrashLoopBackOff"))
        pod = world.pod_status(pod, "Running", restarts=1, last=terminated(1), migrate=running())
        world.log(pod, "second run\n", restart=1)
        await world.until(lambda: world.whole(restart=0) and world.recorder.follows == 1)
        pod = world.pod_status(pod, "Failed", restarts=1, last=terminated(1), migrate=terminated(143))
        world.gone("Pod", pod)
        await world.until(lambda: world.whole(restart=1))

        assert await world.text(restart=0) == ["first run"]
        assert await world.text(restart=1) == ["second run"]
        assert [c.exit_code for c in world.run.pods[0].containers] == [1, 143]
        assert world.run.gaps == ()


async def test_a_run_that_was_restarted_before_we_looked_is_read_as_the_previous_one(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        job = world.job(restartPolicy="OnFailure")
        pod = world.pod(job)
        world.log(pod, "first run\n", restart=0)
        world.log(pod, "second run\n", restart=1)
        world.pod_status(pod, "Running", restarts=1, last=terminated(1), migrate=running())
        await world.until(lambda: world.whole(restart=0))

        assert await world.text(restart=0) == ["first run"]


async def test_of_three_runs_the_first_is_lost_to_the_restarts(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        job = world.job(restartPolicy="OnFailure")
        pod = world.pod(job)
        world.server.faults.append(when(log_request, answers(ApiFault(500, "InternalError", "no kubelet")), times=1))
        pod = world.pod_status(pod, "Running", migrate=running())
        await world.until(lambda: world.runs and world.run.pods and world.container().state is ContainerState.RUNNING)
        world.log(pod, "third run\n", restart=2)
        world.pod_status(pod, "Running", restarts=2, last=terminated(1), migrate=running())
        await world.until(lambda: world.run.gaps)

        assert [(g.source, g.reason) for g in world.run.gaps] == [("db-migrate-x/migrate", GapReason.ON_FAILURE)]


async def test_a_failing_init_container_is_read_and_the_main_one_has_not_run(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        job = world.job()
        pod = world.pod(job, init=("wait",))
        pod = world.pod_status(pod, "Pending", wait=running(), migrate=waiting("PodInitializing"))
        world.log(pod, "db:5432 - no response\n", container="wait")
        world.pod_status(pod, "Failed", wait=terminated(2), migrate=waiting("PodInitializing"))
        await world.until(lambda: world.whole("wait"))

        assert await world.text("wait") == ["db:5432 - no response"]
        assert world.container("wait").kind is ContainerKind.INIT
        assert world.container("migrate").state is ContainerState.WAITING
        assert world.container("migrate").log is None
        assert world.run.gaps == ()


async def test_a_container_that_never_started_does_not_look_like_a_run_when_it_is_deleted(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        job = world.job()
        pod = world.pod(job)
        pod = world.pod_status(pod, "Pending", migrate=waiting("CreateContainerConfigError", 'secret "db" not found'))
        await world.until(lambda: world.runs and world.run.pods and world.container().waiting_reason)
        pod = world.pod_status(pod, "Failed", migrate={"terminated": KILLED})
        world.gone("Pod", pod)
        world.gone("Job", job)
        await world.until(lambda: world.runs and world.run.gone_at and world.run.pods[0].gone_at)

        container = world.container()
        assert (container.state, container.exit_code) == (ContainerState.WAITING, None)
        assert (container.waiting_reason, container.waiting_message) == (
            "CreateContainerConfigError",
            'secret "db" not found',
        )
        assert world.run.gaps == ()


async def test_an_exit_code_stays_when_the_pod_is_killed_afterwards(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        job = world.job()
        pod = world.pod(job, containers=("migrate", "proxy"))
        pod = world.pod_status(pod, "Running", migrate=running(), proxy=running())
        pod = world.pod_status(pod, "Running", migrate=terminated(1), proxy=running())
        await world.until(lambda: world.whole() and world.recorder.follows == 1)
        pod = world.pod_status(pod, "Failed", migrate={"terminated": KILLED}, proxy=terminated(137))
        world.gone("Pod", pod)
        await world.until(lambda: world.whole() and world.whole("proxy"))

        assert world.container("migrate").exit_code == 1
        assert world.container("proxy").exit_code == 137


async def test_a_line_that_a_signature_knows_is_stored_at_once(tmp_path: Path) -> None:
    limits = Limits(spill_every=timedelta(hours=1))
    async with hook_world(tmp_path, limits=limits, scan=errors) as world:
        pod = world.pod_status(world.pod(world.job()), "Running", migrate=running())
        world.log(pod, "quiet\n")
        world.log(pod, "ERROR: deadlock detected\n")
        await world.until(lambda: world.read() == 2)

        assert await world.text() == ["quiet", "ERROR: deadlock detected"]
        assert world.recorder.scanned(pod["metadata"]["uid"], "migrate", 0) == 2


async def test_what_is_held_at_shutdown_goes_to_the_store(tmp_path: Path) -> None:
    async with hook_world(tmp_path, limits=Limits(spill_every=timedelta(hours=1))) as world:
        pod = world.pod_status(world.pod(world.job()), "Running", migrate=running())
        uid = pod["metadata"]["uid"]
        world.log(pod, "last words\n")
        await world.until(lambda: world.recorder.scanned(uid, "migrate", 0))
        await world.stop()

        chunk = await world.store.log(f"{uid}/migrate/0")
        assert chunk is not None
        assert chunk.texts == ("last words",)


async def test_while_the_store_is_away_what_is_seen_is_passed_on(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        await world.store.close()
        failed_hook(world)
        await world.until(lambda: world.whole() and world.run.failed)

        log = world.container().log
        assert log is not None
        assert log.lines == 1


async def test_the_pods_of_every_attempt_are_kept_apart(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        for count, attempt in enumerate(("one", "two"), start=1):
            job, pod = failed_hook(world, f"attempt {attempt}\n", uid=attempt)
            await world.until(partial(world.read_whole, count))
            world.gone("Pod", pod)
            world.gone("Job", job)
        await world.until(lambda: len(world.runs) == 2 and all(run.gone_at for run in world.runs.values()))
        await world.until(lambda: all(r.pods and r.pods[0].gone_at for r in world.runs.values()))

        logs = {uid: await world.store.log(f"{run.pods[0].uid}/migrate/0") for uid, run in sorted(world.runs.items())}
        assert {uid: log.texts for uid, log in logs.items() if log} == {
            "one": ("attempt one",),
            "two": ("attempt two",),
        }


async def test_two_hundred_logs_are_followed_at_once(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        pods = []
        for number in range(200):
            job = world.job(f"hook-{number}")
            pods.append(world.pod_status(world.pod(job), "Running", migrate=running()))
        await world.until(lambda: world.recorder.follows == 200, seconds=30)
        for number, pod in enumerate(pods):
            world.log(pod, f"log of {number}\n")
            world.pod_status(pod, "Failed", migrate=terminated(1))
        await world.until(partial(world.read_whole, 200), seconds=30)

        assert len(world.runs) == 200
        for number in (0, 199):
            chunk = await world.store.log(f"pod-job-hook-{number}-hook-{number}-x/migrate/0")
            assert chunk is not None
            assert chunk.texts == (f"log of {number}",)


async def test_beyond_the_cap_a_log_waits_for_its_containers_end_and_is_still_whole(tmp_path: Path) -> None:
    async with hook_world(tmp_path, limits=Limits(follows=1)) as world:
        job = world.job()
        pod = world.pod(job, containers=("migrate", "proxy"))
        pod = world.pod_status(pod, "Running", proxy=running())
        await world.until(lambda: world.recorder.follows == 1)
        pod = world.pod_status(pod, "Running", proxy=running(), migrate=running())
        world.log(pod, "migrating\n")
        world.pod_status(pod, "Running", proxy=running(), migrate=terminated(1))
        await world.until(world.whole)

        assert await world.text() == ["migrating"]


async def test_a_log_for_which_there_was_no_room_is_a_gap(tmp_path: Path) -> None:
    async with hook_world(tmp_path, limits=Limits(follows=1)) as world:
        job = world.job()
        pod = world.pod(job, containers=("migrate", "one", "two"))
        pod = world.pod_status(pod, "Running", one=running())
        await world.until(lambda: world.recorder.follows == 1)
        pod = world.pod_status(pod, "Running", one=running(), migrate=running())
        await world.until(lambda: world.runs and world.run.pods and _began(world))
        world.gone("Pod", pod)
        await world.until(lambda: len(world.run.gaps) == 2)

        assert {(g.source, g.reason) for g in world.run.gaps} == {
            ("db-migrate-x/migrate", GapReason.RECORDER_BUSY),
            ("db-migrate-x/one", GapReason.DELETED),
        }


def _began(world: HookWorld) -> bool:
    return world.run.pods[0].containers[0].state is ContainerState.RUNNING


async def test_a_job_of_nobodys_hook_is_not_recorded(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        world.objects.put_raw(
            "Job",
            "ADDED",
            {"metadata": {"name": "cron", "namespace": "shop", "uid": "c", "creationTimestamp": stamp()}},
        )
        failed_hook(world)
        await world.until(world.whole)

        assert list(world.runs) == ["job-db-migrate"]


async def test_after_a_restart_a_running_log_goes_on_without_doubles(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        job = world.job()
        pod = world.pod_status(world.pod(job), "Running", migrate=running())
        world.log(pod, "before\n", at="2026-11-21T03:00:00.000000001Z")
        await world.until(lambda: world.read() == 1)
        async with hook_world(tmp_path, world=world):
            world.log(pod, "after\n", at="2026-11-21T03:00:05.000000001Z")
            world.pod_status(pod, "Failed", migrate=terminated(1))
            await world.until(world.whole)

            assert await world.text() == ["before", "after"]
            assert world.run.gaps == ()


async def test_a_hook_that_went_while_we_were_away_is_a_gap(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        job = world.job()
        pod = world.pod_status(world.pod(job), "Running", migrate=running())
        world.log(pod, "before\n")
        await world.until(lambda: world.read() == 1)
        await world.stop()
        world.gone("Pod", pod)
        world.gone("Job", job)
        async with hook_world(tmp_path, world=world):
            await world.recorder.recover([world.app])
            await world.until(lambda: world.run.gone_at)

            assert [g.reason for g in world.run.gaps] == [GapReason.RECORDER_AWAY]
            assert await world.text() == ["before"]


async def test_pods_that_the_job_counted_and_we_never_saw_are_a_gap(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        await world.stop()
        job = world.job(backoffLimit=2)
        world.pod(job, "db-migrate-c")
        world.job_status(job, "Failed/BackoffLimitExceeded", failed=3)
        async with hook_world(tmp_path, world=world):
            await world.until(lambda: world.runs and world.run.pods and world.run.gaps)

            (gap,) = world.run.gaps
            assert (gap.source, gap.reason) == ("pod", GapReason.RECORDER_AWAY)
            assert gap.detail == "2 of 3 Pods were never seen"


async def test_pods_that_come_after_their_job_has_failed_are_never_counted_as_a_gap(tmp_path: Path) -> None:
    clock = LeapingClock()
    async with hook_world(tmp_path, clock=clock) as world:
        job = world.job_status(world.job(), "FailureTarget/BackoffLimitExceeded", failed=1)
        await world.until(lambda: world.runs and world.run.gaps)  # until the Pod is seen, nothing may rest on it
        world.pod_status(world.pod(job), "Failed", migrate=terminated(1))
        await world.until(lambda: world.whole() and not world.run.gaps)
        await clock.leap(60)
        await clock.leap(60)

        assert counted_gaps(world) == 0


async def test_pods_that_never_come_are_counted_once_when_the_hook_has_settled(tmp_path: Path) -> None:
    clock = LeapingClock()
    async with hook_world(tmp_path, clock=clock) as world:
        job = world.job_status(world.job(), "Failed/BackoffLimitExceeded", failed=1)
        await world.until(lambda: world.runs and world.run.gaps)
        assert counted_gaps(world) == 0
        await clock.leap(60)
        await clock.leap(60)
        assert counted_gaps(world) == 1
        world.gone("Job", job)
        await world.until(lambda: world.run.gone_at)

        assert counted_gaps(world) == 1


async def test_pods_that_are_seen_after_a_restart_fill_the_gap_that_was_stored(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        job = world.job_status(world.job(), "Failed/BackoffLimitExceeded", failed=1)
        await world.until(lambda: world.runs and world.run.gaps)
        world.pod_status(world.pod(job), "Failed", migrate=terminated(1))
        await world.stop()
        async with hook_world(tmp_path, world=world):
            await world.until(lambda: world.whole() and not world.run.gaps)


async def test_a_hook_that_has_settled_is_watched_by_its_metadata_alone(tmp_path: Path) -> None:
    clock = LeapingClock()
    async with hook_world(tmp_path, clock=clock) as world:
        job, _ = failed_hook(world)
        await world.until(world.whole)
        assert len(world.recorder.reflectors) == 4
        await clock.leap(60)
        await clock.leap(60)
        assert len(world.recorder.reflectors) == 1
        world.gone("Job", job)
        await world.until(lambda: world.run.gone_at)

        assert world.run.gaps == ()
        assert await world.text() == ["ERROR: relation exists"]
