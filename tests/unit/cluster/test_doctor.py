"""In a cluster in which all is well one thing is broken at a time: the doctor finds that, and nothing else."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from responder.cli import main
from responder.cluster.client import Kubernetes
from responder.core.checkup import Severity
from responder.demo.api import Ask
from tests.unit.cluster.clinic import NOTIFICATIONS, Clinic, actuator, application, clinic, reader

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def it(tmp_path: Path) -> Any:
    async with clinic(tmp_path) as it:
        yield it


async def test_where_all_is_well_it_finds_nothing(it: Clinic) -> None:
    assert await it.found() == []
    assert await it.found(outside=True) == []


async def test_an_api_server_that_does_not_answer_is_the_one_thing_it_tells(it: Clinic) -> None:
    await it.server.away()

    (finding,) = await it.found()
    assert (finding.id, finding.severity) == ("unreachable", Severity.CRITICAL)


async def test_a_cluster_without_argo_cd(it: Clinic) -> None:
    for resource in ("applications", "appprojects"):
        it.api._documents["/apis/argoproj.io/v1alpha1"]["resources"] = [
            row
            for row in it.api._documents["/apis/argoproj.io/v1alpha1"]["resources"]
            if not row["name"].startswith(resource)
        ]

    (finding,) = await it.found()
    assert (finding.id, finding.severity) == ("crd-missing", Severity.CRITICAL)
    assert finding.details == ("applications.argoproj.io", "appprojects.argoproj.io")


async def test_a_namespace_in_which_no_argo_cd_lives(it: Clinic) -> None:
    it.settle(argocd={"namespace": "shop"})

    assert "argocd-not-found" in await it.ids()


async def test_an_argo_cd_of_which_nothing_runs_here(it: Clinic) -> None:
    for name in ("argocd-application-controller-0", "argocd-notifications-controller-0"):
        it.objects.delete("Pod", "argocd", name)
    it.objects.delete("Application", "argocd", "orders")

    (finding,) = await it.found()
    assert (finding.id, finding.severity) == ("argocd-unseen", Severity.NOTE)


async def test_an_old_argo_cd(it: Clinic) -> None:
    def old(pod: Any) -> None:
        pod["spec"]["containers"][0]["image"] = "quay.io/argoproj/argocd:v2.7.4"

    it.change("Pod", "argocd", "argocd-application-controller-0", old)

    assert await it.ids() == ["argocd-version"]


async def test_a_right_to_read_that_is_missing_is_named(it: Clinic) -> None:
    it.api.allow = lambda ask: actuator(ask) and (ask.verb, ask.resource) != ("watch", "jobs")

    (finding,) = await it.found()
    assert (finding.id, finding.severity) == ("rbac-reader", Severity.CRITICAL)
    assert finding.details == ("watch jobs.batch in the whole cluster",)
    assert "kubectl apply -k" in finding.remedy


async def test_a_namespace_without_a_role_binding_gets_the_very_command(it: Clinic) -> None:
    def lacks(ask: Ask) -> bool:
        return actuator(ask) and not (ask.namespace == "billing" and ask.resource in {"pods", "jobs", "events"})

    it.api.allow = lacks
    it.settings = it.settings.model_copy(
        update={"clusters": (it.settings.clusters[0].model_copy(update={"namespaces": ("shop", "billing")}),)}
    )

    found = {finding.id: finding for finding in await it.found()}
    assert set(found) == {"rbac-reader", "namespaced", "rbac-actuator", "not-looked-at"}
    assert found["namespaced"].details == ("hooks in shop, billing",)
    assert found["rbac-reader"].details[0] == "get, list, watch jobs.batch in namespace billing"
    assert found["rbac-reader"].remedy == (
        "kubectl -n billing create rolebinding hook-responder-reader --clusterrole=hook-responder-reader "
        "--serviceaccount=hook-responder:hook-responder"
    )


async def test_a_lease_that_may_not_be_taken(it: Clinic) -> None:
    it.settle(lease={"enabled": True})

    (finding,) = await it.found()
    assert finding.id == "rbac-reader"
    assert finding.details == ("create, update leases.coordination.k8s.io in namespace hook-responder",)


async def test_live_without_the_right_to_act(it: Clinic) -> None:
    it.api.allow = lambda ask: actuator(ask) and (ask.verb, ask.resource) != ("delete", "jobs")

    (finding,) = await it.found()
    assert (finding.id, finding.details) == ("rbac-actuator", ("delete jobs.batch in the whole cluster",))


async def test_shadow_with_the_right_to_act_is_only_said(it: Clinic) -> None:
    it.settle(actions={"mode": "shadow"})

    (finding,) = await it.found()
    assert (finding.id, finding.severity) == ("shadow", Severity.NOTE)


async def test_with_the_shipped_reader_role_alone_it_says_what_it_could_not_look_at(it: Clinic) -> None:
    it.api.allow = lambda ask: ask.verb == "create" or reader(ask)
    it.settle(actions={"mode": "shadow"})

    found = {finding.id: finding for finding in await it.found()}
    assert set(found) == {"read-only", "not-looked-at"}
    assert {detail.partition(":")[0] for detail in found["not-looked-at"].details} == {
        "ConfigMap argocd/argocd-notifications-cm",
        "Secret argocd/argocd-notifications-secret",
        "ConfigMap argocd/argocd-cmd-params-cm",
    }
    assert "--kubeconfig" in found["not-looked-at"].remedy


async def test_a_person_asks_about_the_rights_of_the_service_account_not_about_their_own(it: Clinic) -> None:
    it.api.allow = lambda ask: ask.user == "system:admin"

    found = {finding.id: finding for finding in await it.found(outside=True)}
    assert set(found) == {"rbac-reader", "rbac-actuator"}
    assert "get configmaps responder-killswitch in namespace hook-responder" in found["rbac-reader"].details


async def test_no_notifications_controller(it: Clinic) -> None:
    it.objects.delete("Pod", "argocd", "argocd-notifications-controller-0")
    it.change("Application", "argocd", "orders", lambda app: app["metadata"]["annotations"].clear())

    assert await it.ids() == ["notifications-controller"]


async def test_no_notifications_config(it: Clinic) -> None:
    it.objects.delete("ConfigMap", "argocd", NOTIFICATIONS)

    (finding,) = await it.found()
    assert finding.id == "notifications-config"
    assert "responder snippets argocd" in finding.remedy


async def test_what_the_program_prints_mends_it_when_it_is_applied_as_printed(
    it: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    it.change("ConfigMap", "argocd", NOTIFICATIONS, lambda item: item.update(data={}))
    assert await it.ids() == ["notifications-config"]

    assert main(["snippets", "argocd"]) == 0
    printed = capsys.readouterr().out
    assert printed == (ROOT / "deploy/argocd/argocd-notifications-cm.yaml").read_text(encoding="utf-8")
    patch = yaml.safe_load(printed)
    async with Kubernetes.from_url(it.server.url) as kubectl:
        path = f"/api/v1/namespaces/{patch['metadata']['namespace']}/configmaps/{patch['metadata']['name']}"
        it.api.allow = lambda _: True  # a person applies it
        await kubectl.merge_patch(path, json.dumps(patch).encode())
    it.api.allow = actuator

    assert await it.ids() == []


async def test_a_trigger_with_once_per(it: Clinic) -> None:
    it.config(
        trigger__hook_responder_final_failure=(
            "- when: app.status?.operationState?.phase in ['Error', 'Failed']\n"
            "  oncePer: app.status?.operationState?.syncResult?.revision\n"
            "  send: [hook-responder-final-failure]\n"
        )
    )

    assert await it.ids() == ["notifications-once-per"]


async def test_a_secret_without_the_token_of_the_service(it: Clinic) -> None:
    it.secret(None)

    (finding,) = await it.found()
    assert finding.id == "notifications-token-missing"
    assert "patch secret argocd-notifications-secret" in finding.remedy


@pytest.mark.parametrize(("token", "why"), [("another", "another value"), ("argocd-sends-this\n", "white space")])
async def test_a_secret_with_another_token_than_ours(it: Clinic, token: str, why: str) -> None:
    it.secret(token)

    (finding,) = await it.found()
    assert finding.id == "notifications-token-differs"
    assert why in finding.title


async def test_a_kill_switch_that_is_not_there(it: Clinic) -> None:
    it.objects.delete("ConfigMap", "hook-responder", "responder-killswitch")

    assert await it.ids() == ["killswitch-absent"]


async def test_a_kill_switch_that_is_engaged(it: Clinic) -> None:
    it.change("ConfigMap", "hook-responder", "responder-killswitch", lambda item: item["data"].update(engaged="true"))

    (finding,) = await it.found()
    assert (finding.id, finding.severity) == ("killswitch-engaged", Severity.WARNING)


async def test_a_kill_switch_that_cannot_be_read(it: Clinic) -> None:
    it.api.allow = lambda ask: actuator(ask) and ask.name != "responder-killswitch"

    assert await it.ids() == ["killswitch-unreadable"]


async def test_namespaces_of_applications_that_argo_cd_does_not_watch(it: Clinic) -> None:
    it.settle(argocd={"application_namespaces": ("team-a",)})

    found = {finding.id: finding for finding in await it.found()}
    assert found.keys() == {"namespaces-foreign", "namespaced"}
    assert found["namespaces-foreign"].details == ("team-a",)
    assert found["namespaced"].details == ("Applications in argocd, team-a",)


async def test_namespaces_of_applications_that_we_do_not_watch(it: Clinic) -> None:
    it.change(
        "ConfigMap",
        "argocd",
        "argocd-cmd-params-cm",
        lambda item: item.update(data={"application.namespaces": "team-*"}),
    )

    (finding,) = await it.found()
    assert (finding.id, finding.details) == ("namespaces-unseen", ("team-*",))


async def test_a_clock_that_is_off(it: Clinic) -> None:
    def late(request: web.Request) -> web.Response | None:
        if request.path != "/version":
            return None
        date = format_datetime(datetime.now(UTC) - timedelta(seconds=90), usegmt=True)
        return web.json_response({}, headers={"Date": date})

    it.server.faults.append(late)

    (finding,) = await it.found()
    assert finding.id == "clock"
    assert finding.title in {f"our clock is {s} s ahead of that of cluster in-cluster" for s in (90, 91)}


async def test_hooks_whose_log_goes_with_them(it: Clinic) -> None:
    for name, policy, ttl in (("a", "HookFailed", None), ("b", "HookSucceeded", 0), ("c", "BeforeHookCreation", None)):
        annotations = {
            "argocd.argoproj.io/hook": "PreSync",
            "argocd.argoproj.io/hook-delete-policy": policy,
            "argocd.argoproj.io/tracking-id": f"orders:batch/Job:shop/{name}",
        }
        spec: dict[str, object] = {"template": {"spec": {}}, "ttlSecondsAfterFinished": ttl}
        meta = {"name": name, "namespace": "shop", "annotations": annotations}
        it.objects.create("Job", {"metadata": meta, "spec": spec})

    (finding,) = await it.found()
    assert (finding.id, finding.severity) == ("hooks-lose-logs", Severity.NOTE)
    assert finding.title.startswith("2 of 3 hook Jobs")
    assert finding.details == (
        "shop/a of orders: hook-delete-policy HookFailed",
        "shop/b of orders: ttlSecondsAfterFinished below 10 minutes",
    )


async def test_retries_of_argo_cds_own(it: Clinic) -> None:
    application(it.objects, "endless", retry={"limit": -1})
    application(it.objects, "silent", retry=None)
    application(it.objects, "manual", retry=None, automated=None)

    found = {finding.id: finding for finding in await it.found()}
    assert found.keys() == {"retry-endless", "retry-unset"}
    assert found["retry-endless"].details == ("argocd/endless",)
    assert found["retry-unset"].details == ("argocd/silent",)


async def test_no_admission_policy_over_the_right_to_act(it: Clinic) -> None:
    it.objects.delete("ValidatingAdmissionPolicy", "", "hook-responder-applications")

    assert await it.ids() == ["admission-policy"]
