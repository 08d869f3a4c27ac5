"""What the recorder keeps of hooks that fail, are retried, vanish, or flood their logs."""

from pathlib import Path

from responder.core.hooks import ContainerState
from tests.unit.cluster.hook_world import hook_world, running, terminated


async def test_a_failed_hook_is_recorded_with_its_whole_log(tmp_path: Path) -> None:
    async with hook_world(tmp_path) as world:
        job = world.job()
        pod = world.pod(job)
        pod = world.pod_status(pod, "Running", migrate=running())
        world.log(pod, "applying 0042_add_index.sql\n")
        world.log(pod, 'ERROR: relation "users" already exists (SQLSTATE 42P07)\n')
        world.pod_status(pod, "Failed", migrate=terminated(1))
        world.job_status(job, "FailureTarget/BackoffLimitExceeded", failed=1)
        await world.until(lambda: world.whole() and world.run.failed)

        assert await world.text() == [
            "applying 0042_add_index.sql",
            'ERROR: relation "users" already exists (SQLSTATE 42P07)',
        ]
        container = world.container()
        assert (container.state, container.exit_code) == (ContainerState.TERMINATED, 1)
        assert world.run.gaps == ()
        assert (world.run.tracked, world.run.hook_types) == ("shop", ("PreSync",))
