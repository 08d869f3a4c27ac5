import asyncio
import re
import subprocess
import sys
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from responder.core.argocd import OperationPhase, OperationState
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import NIGHT, ORDERS, StandingClock
from tests.unit.deploy.manifests import DEPLOY, KUSTOMIZE, ROOT, Manifest, one, restricted_faults
from tests.unit.web.world import OPERATOR, REVISION, World, served


@pytest.fixture
def job() -> Manifest:
    return one(DEPLOY / "gate-hook/gate-job.yaml", "Job")


def test_it_is_the_first_hook_of_every_sync_and_runs_once(job: Manifest) -> None:
    annotations = job["metadata"]["annotations"]
    assert annotations["argocd.argoproj.io/hook"] == "PreSync"
    assert int(annotations["argocd.argoproj.io/sync-wave"]) == -100
    assert annotations["argocd.argoproj.io/hook-delete-policy"] == "BeforeHookCreation"
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (0, 600)
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_the_responder_can_tell_its_own_question_by_the_label(job: Manifest) -> None:
    assert job["metadata"]["labels"]["hook-responder.io/gate"] == "true"


def test_it_waits_for_the_running_sync_at_the_service_that_is_deployed(job: Manifest) -> None:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    service = one(KUSTOMIZE / "base/service.yaml", "Service")
    port = service["spec"]["ports"][0]["port"]
    assert {"gate", "--for=sync", "--wait=540"} <= set(container["args"])
    values = {variable["name"]: variable["value"] for variable in container["env"]}
    assert values["RESPONDER"] == f"http://{service['metadata']['name']}.hook-responder.svc:{port}"
    assert values["APPLICATION_NAMESPACE"] == "argocd"


def test_its_reason_outlives_its_log(job: Manifest) -> None:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert "--termination-log=/dev/termination-log" in container["args"]
    assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_it_gives_up_before_the_job_is_ended_so_that_its_reason_is_in_the_log(job: Manifest) -> None:
    (wait,) = [arg for arg in job["spec"]["template"]["spec"]["containers"][0]["args"] if arg.startswith("--wait=")]
    assert int(wait.removeprefix("--wait=")) < job["spec"]["activeDeadlineSeconds"]


def test_the_token_is_where_the_argument_says(job: Manifest) -> None:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    (mount,) = container["volumeMounts"]
    assert f"--token-file={mount['mountPath']}/token" in container["args"]


def test_it_meets_the_restricted_standard_and_has_no_rights_at_all(job: Manifest) -> None:
    pod = job["spec"]["template"]["spec"]
    assert restricted_faults(pod) == []
    assert pod["automountServiceAccountToken"] is False


def test_the_network_policy_lets_labelled_namespaces_ask() -> None:
    policy = one(KUSTOMIZE / "base/networkpolicy.yaml", "NetworkPolicy")
    sources = [source["namespaceSelector"]["matchLabels"] for source in policy["spec"]["ingress"][0]["from"]]
    assert {"hook-responder.io/client": "true"} in sources
    instructions = (DEPLOY / "gate-hook/gate-job.yaml").read_text(encoding="utf-8")
    assert "kubectl label namespace NAMESPACE hook-responder.io/client=true" in instructions


# The very command of the manifest, against a gate that is served.


def command(job: Manifest, server: str, folder: Path, token: str = OPERATOR) -> list[str]:
    """As the kubelet starts it: variables expanded; the files that it mounts are in ``folder`` here."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    values = {variable["name"]: variable["value"] for variable in container["env"]}
    values |= {"APPLICATION": "orders", "RESPONDER": server}
    (folder / "token").write_text(token)
    whole = [re.sub(r"\$\((\w+)\)", lambda found: values[found[1]], word) for word in container["args"]]
    placed = [
        word.replace("/run/secrets/hook-responder/", f"{folder}/").replace("/dev/", f"{folder}/") for word in whole
    ]
    assert container["command"] == ["responder"]
    return [sys.executable, "-m", "responder", *placed]


class Ended(NamedTuple):
    code: int
    log: str
    message: str


async def run(arguments: list[str], folder: Path, *, seconds: float | None = None) -> Ended:
    """``seconds``: after which the kubelet ends it."""
    process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, stdout=PIPE, stderr=STDOUT)
    if seconds is not None:
        assert process.stdout is not None
        first = await process.stdout.readline()
        process.terminate()
        rest = await process.stdout.read()
        return Ended(await process.wait(), (first + rest).decode(), "")
    out, _ = await process.communicate()
    message = folder / "termination-log"
    return Ended(process.returncode or 0, out.decode(), message.read_text() if message.exists() else "")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = StandingClock()
    async with await SqliteStore.open(tmp_path / "responder.db", clock=clock) as store:
        yield World(store, clock)


async def asked(world: World, job: Manifest, folder: Path, *more: str, **options: Any) -> Ended:
    async with served(world.faces(), token="") as client:
        return await run([*command(job, str(client.make_url("")), folder), *more], folder, **options)


def syncs_now(world: World, environment: str) -> None:
    app = world.deploy(ORDERS, labels={"hook-responder.io/environment": environment})
    state = OperationState(NIGHT, OperationPhase.RUNNING, revisions=(REVISION,))
    world.cluster.apps[ORDERS] = msgspec.structs.replace(app, operation=state)


async def test_it_lets_the_first_environment_pass(world: World, job: Manifest, tmp_path: Path) -> None:
    syncs_now(world, "staging")

    ended = await asked(world, job, tmp_path)

    assert ended == (0, "success: nothing holds shop/orders back\n", "success: nothing holds shop/orders back")


async def test_it_refuses_what_is_held_and_says_why(world: World, job: Manifest, tmp_path: Path) -> None:
    syncs_now(world, "staging")
    block = await world.desk.block("ana", "shop/orders", ("staging",), (), "the schema is half applied")

    ended = await asked(world, job, tmp_path)

    reason = f"failure: the schema is half applied (block {block.id}, owner ana)"
    assert ended == (1, f"{reason}\n", reason)


async def test_it_gives_up_waiting_for_the_environment_before(world: World, job: Manifest, tmp_path: Path) -> None:
    syncs_now(world, "production")

    ended = await asked(world, job, tmp_path, "--wait=0.2")

    reason = "pending: no Application is known for shop/orders in staging"
    assert ended == (3, f"waiting: {reason}\n{reason}\n", reason)


async def test_ended_by_its_deadline_its_log_says_what_it_waited_for(
    world: World, job: Manifest, tmp_path: Path
) -> None:
    syncs_now(world, "production")

    ended = await asked(world, job, tmp_path, seconds=0.0)

    assert (ended.code, ended.log) == (-15, "waiting: pending: no Application is known for shop/orders in staging\n")


async def test_nobody_there_fails_it_closed_or_opens_it_by_choice(job: Manifest, tmp_path: Path) -> None:
    nobody = command(job, "http://127.0.0.1:1", tmp_path)

    closed = await run([*nobody, "--wait=0"], tmp_path)
    opened = await run([*nobody, "--wait=0", "--fail-open"], tmp_path)

    assert (closed.code, opened.code) == (4, 0)
    assert closed.message == opened.message
    assert closed.message.startswith("could not ask: http://127.0.0.1:1 cannot be asked: ")


async def test_a_token_that_is_refused_never_opens_it(world: World, job: Manifest, tmp_path: Path) -> None:
    async with served(world.faces(), token="") as client:
        ended = await run([*command(job, str(client.make_url("")), tmp_path, "another"), "--fail-open"], tmp_path)

    assert ended.code == 4
    assert "401" in ended.message


def test_the_command_line_knows_every_option_that_it_uses(job: Manifest) -> None:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    help_asked = [sys.executable, "-m", "responder", "gate", "--help"]
    told = subprocess.run(help_asked, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout
    instructions = (DEPLOY / "gate-hook/gate-job.yaml").read_text(encoding="utf-8").split("apiVersion:")[0]
    options = set(re.findall(r"(--[a-z-]+)", " ".join([*container["args"], instructions])))
    options -= {"--from-file"}  # kubectl's
    assert options >= {"--wait", "--for", "--server", "--fail-open", "--termination-log", "--image"}
    assert options - set(re.findall(r"--[a-z-]+", told)) == set()
