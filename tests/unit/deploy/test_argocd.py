import json
import re
from typing import Any

import pytest
import yaml

from responder.core.argocd import AppKey
from responder.core.notification import Notification, parse_notification
from tests.unit.deploy.manifests import DEPLOY, KUSTOMIZE, ROOT, Manifest, one

FILE = DEPLOY / "argocd/argocd-notifications-cm.yaml"
TRIGGERS = ["final-failure", "attempt-failed", "running-long", "success"]
HOSTILE = 'Job "db-migrate" is invalid: \n\t{"a": "\\u0000"} </script> {{ .app }} \N{PILE OF POO} "}}}'
APPLICATION = {
    "metadata": {
        "name": "orders",
        "namespace": "argocd",
        "uid": "68d36bce-667d-42ae-bb6c-7d8508ac4b10",
        "annotations": {"notified.notifications.argoproj.io": '{"a":1}'},
        "managedFields": [{"manager": "argocd-notifications-controller"}],
    },
    "spec": {
        "project": "shop",
        "source": {"repoURL": "https://git.example.com/shop.git", "path": "orders"},
        "destination": {"server": "https://kubernetes.default.svc", "namespace": "orders"},
        "syncPolicy": {"automated": {"prune": True}},
    },
    "status": {
        "operationState": {"phase": "Failed", "startedAt": "2026-11-21T03:02:11Z", "message": HOSTILE},
        "resources": [{"kind": "Deployment", "name": "orders"}],
    },
}


@pytest.fixture
def data() -> dict[str, str]:
    config = one(FILE, "ConfigMap")
    assert (config["metadata"]["name"], config["metadata"]["namespace"]) == ("argocd-notifications-cm", "argocd")
    settings: dict[str, str] = config["data"]
    return settings


def template(data: dict[str, str], trigger: str) -> Manifest:
    found: Manifest = yaml.safe_load(data[f"template.hook-responder-{trigger}"])["webhook"]["hook-responder"]
    return found


def render(body: str, application: Manifest) -> str:
    """Go's template as far as ours goes: `{{toJson .app.a.b}}`; a missing key is null."""

    def value(match: re.Match[str]) -> str:
        found: Any = {"app": application}
        for step in match[1].split("."):
            found = (found or {}).get(step)
        return json.dumps(found)

    return re.sub(r"\{\{toJson \.([\w.]+)\}\}", value, body)


def test_the_service_posts_json_with_the_token_to_the_service_that_is_deployed(data: dict[str, str]) -> None:
    service = yaml.safe_load(data["service.webhook.hook-responder"])
    port = one(KUSTOMIZE / "base/service.yaml", "Service")["spec"]["ports"][0]["port"]
    assert service == {
        "url": f"http://hook-responder.hook-responder.svc:{port}",
        "headers": [
            {"name": "Content-Type", "value": "application/json"},
            {"name": "Authorization", "value": "Bearer $hook-responder-token"},
        ],
    }


def test_triggers_fire_as_they_were_proven_on_a_real_argo_cd(data: dict[str, str]) -> None:
    triggers = {name: yaml.safe_load(data[f"trigger.hook-responder-{name}"]) for name in TRIGGERS}
    assert triggers == {
        "final-failure": [
            {
                "when": "app.status?.operationState?.phase in ['Failed', 'Error']",
                "send": ["hook-responder-final-failure"],
            }
        ],
        "attempt-failed": [
            {
                "when": (
                    "app.status?.operationState?.phase == 'Running' and app.status?.operationState?.finishedAt != nil"
                ),
                "oncePer": (
                    "app.status.operationState.startedAt + '/' + string(app.status.operationState.retryCount ?? 0)"
                ),
                "send": ["hook-responder-attempt-failed"],
            }
        ],
        "running-long": [
            {
                "when": (
                    "app.status?.operationState?.phase == 'Running' and "
                    "time.Now().Sub(time.Parse(app.status.operationState.startedAt)).Minutes() >= 15"
                ),
                "oncePer": "app.status.operationState.startedAt",
                "send": ["hook-responder-running-long"],
            }
        ],
        "success": [
            {
                "when": "app.status?.operationState?.phase == 'Succeeded'",
                "oncePer": "app.status.operationState.startedAt",
                "send": ["hook-responder-success"],
            }
        ],
    }


def test_every_trigger_is_subscribed_and_nothing_else_is_in_the_patch(data: dict[str, str]) -> None:
    names = [f"hook-responder-{name}" for name in TRIGGERS]
    assert yaml.safe_load(data["subscriptions"]) == [{"recipients": ["hook-responder"], "triggers": names}]
    expected = {"service.webhook.hook-responder", "subscriptions"}
    assert data.keys() == expected | {f"{kind}.{name}" for kind in ("trigger", "template") for name in names}


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_the_body_is_json_whatever_the_values_hold_and_says_only_what_is_needed(
    data: dict[str, str], trigger: str
) -> None:
    assert template(data, trigger)["method"] == "POST"
    assert template(data, trigger)["path"] == "/v1/argocd/webhook"
    assert json.loads(render(template(data, trigger)["body"], APPLICATION)) == {
        "version": 1,
        "trigger": trigger,
        "app": {
            "metadata": {"name": "orders", "namespace": "argocd", "uid": "68d36bce-667d-42ae-bb6c-7d8508ac4b10"},
            "spec": {
                "project": "shop",
                "source": {"repoURL": "https://git.example.com/shop.git", "path": "orders"},
                "sources": None,
                "destination": {"server": "https://kubernetes.default.svc", "namespace": "orders"},
            },
            "status": {"operationState": {"phase": "Failed", "startedAt": "2026-11-21T03:02:11Z", "message": HOSTILE}},
        },
    }


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_our_own_intake_understands_it(data: dict[str, str], trigger: str) -> None:
    said = parse_notification(render(template(data, trigger)["body"], APPLICATION).encode())
    assert said == Notification(AppKey("argocd", "orders"), trigger)


def test_no_value_enters_a_body_but_through_to_json(data: dict[str, str]) -> None:
    for trigger in TRIGGERS:
        actions = re.findall(r"\{\{.*?\}\}", template(data, trigger)["body"])
        assert [action for action in actions if not re.fullmatch(r"\{\{toJson \.app\.[\w.]+\}\}", action)] == []


def test_the_program_prints_this_very_file() -> None:
    packaged = ROOT / "responder/snippets/argocd.yaml"
    assert packaged.read_text(encoding="utf-8") == FILE.read_text(encoding="utf-8")
