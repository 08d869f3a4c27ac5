import re
import subprocess
import sys

import pytest

from tests.unit.deploy.manifests import DEPLOY, KUSTOMIZE, ROOT, Manifest, one, restricted_faults


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
    assert f"--server=http://{service['metadata']['name']}.hook-responder.svc:{port}" in container["args"]


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


def test_the_command_line_knows_every_option_that_it_uses(job: Manifest) -> None:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    help_asked = [sys.executable, "-m", "responder", "gate", "--help"]
    told = subprocess.run(help_asked, cwd=ROOT, capture_output=True, text=True, timeout=30, check=True).stdout
    instructions = (DEPLOY / "gate-hook/gate-job.yaml").read_text(encoding="utf-8").split("apiVersion:")[0]
    options = set(re.findall(r"(--[a-z-]+)", " ".join([*container["args"], instructions])))
    options -= {"--from-file"}  # kubectl's
    assert options >= {"--wait", "--for", "--server", "--fail-open"}
    assert options - set(re.findall(r"--[a-z-]+", told)) == set()
