"""The samples of deploy/gates: held against our neighbours' own schemas, and asked of the gate as they would ask it."""

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from responder.core.argocd import AppKey
from responder.store.sqlite import SqliteStore
from tests.contract.store.examples import StandingClock
from tests.unit.deploy.expr import evaluate
from tests.unit.deploy.manifests import DEPLOY, KUSTOMIZE, ROOT, Manifest, one
from tests.unit.web.world import OPERATOR, REVISION, Client, World, failed_operation, served

GATES = DEPLOY / "gates"
SCHEMAS = ROOT / "tests/data/neighbours"
SERVER = "http://hook-responder.hook-responder.svc:8080"
RESULTS = ["success", "failure", "pending", "refused"]  # the last: a token that is not ours


def sample(name: str, kind: str) -> Manifest:
    return one(GATES / f"{name}.yaml", kind)


def closed(schema: Any) -> Any:
    """As the API server reads it with strict validation: a field that the schema does not name is an error."""
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    for key in ("properties", "definitions"):
        if key in schema:
            inner[key] = {name: closed(value) for name, value in schema[key].items()}
    opens = "additionalProperties" in schema or schema.get("x-kubernetes-preserve-unknown-fields")
    return {**inner, "additionalProperties": False} if "properties" in schema and not opens else inner


def faults(item: object, schema: str) -> list[str]:
    read = json.loads((SCHEMAS / f"{schema}.json").read_text(encoding="utf-8"))
    return [error.message for error in Draft202012Validator(closed(read)).iter_errors(item)]


# Their schemas.

SAMPLES = [
    ("gitops-promoter", "WebRequestCommitStatus", "gitops-promoter-webrequestcommitstatus"),
    ("argo-rollouts", "AnalysisTemplate", "argo-rollouts-analysistemplate"),
    ("kargo", "PromotionTask", "kargo-promotiontask"),
]


@pytest.mark.parametrize(("name", "kind", "schema"), SAMPLES)
def test_a_sample_is_what_its_neighbour_s_schema_wants(name: str, kind: str, schema: str) -> None:
    item = sample(name, kind)

    assert faults(item, schema) == []
    assert faults({**item, "spec": {**item["spec"], "unknown": 1}}, schema) != []
    assert faults({**item, "spec": None}, schema) != []


def test_its_service_is_the_one_that_is_deployed() -> None:
    service = one(KUSTOMIZE / "base/service.yaml", "Service")
    assert f"http://{service['metadata']['name']}.hook-responder.svc:{service['spec']['ports'][0]['port']}" == SERVER


# Their requests and conditions.


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    """The service orders in staging: synced, failed, and what nobody knows."""
    clock = StandingClock()
    async with await SqliteStore.open(tmp_path / "responder.db", clock=clock) as store:
        world = World(store, clock)
        for service in ("synced", "failed"):
            labels = {"app.kubernetes.io/part-of": service, "hook-responder.io/environment": "staging"}
            key = AppKey("argocd", service)
            app = world.deploy(key, labels=labels)
            if service == "failed":
                world.cluster.records[key] = [failed_operation(key, app.uid, "image")]
            else:
                history = (*app.history, msgspec.structs.replace(app.history[0], revisions=(REVISION,)))
                world.cluster.apps[key] = msgspec.structs.replace(app, history=history)
        async with served(world.faces(), token="") as client:
            yield client


SERVICES = {"success": "synced", "failure": "failed", "pending": "nobody", "refused": "synced"}


class Heard(msgspec.Struct, frozen=True):
    status: int
    body: Any


def token_of(result: str) -> str:
    return "another" if result == "refused" else OPERATOR


async def heard(
    client: Client, method: str, url: str, token: str, params: list[tuple[str, str]] | None = None
) -> Heard:
    assert "{{" not in url
    assert url.startswith(SERVER)
    headers = {"Authorization": f"Bearer {token}"}
    async with client.request(method, url.removeprefix(SERVER), headers=headers, params=params) as response:
        return Heard(response.status, json.loads(await response.read()))


_SHA = (
    "{{ range .PromotionStrategy.Status.Environments }}{{ if eq .Branch $.Branch }}{{ .Active.Hydrated.Sha }}"
    "{{ end }}{{ end }}"
)


@pytest.mark.parametrize("result", RESULTS)
async def test_gitops_promoter_goes_on_at_success_alone(client: Client, result: str) -> None:
    """In the context `environments`: true is success, false is pending."""
    spec = sample("gitops-promoter", "WebRequestCommitStatus")["spec"]
    request = spec["httpRequest"]
    url = request["urlTemplate"].replace("service=orders", f"service={SERVICES[result]}")
    url = url.replace('{{ trimPrefix "environment/" .Branch }}', "staging").replace(_SHA, REVISION)
    assert list(request["authentication"]) == ["bearer"]  # the key `token` of the Secret, as a bearer's

    told = await heard(client, request["method"], url, token_of(result))

    response = {"StatusCode": told.status, "Body": told.body, "Headers": {}}
    expression = spec["success"]["when"]["expression"]
    assert evaluate(expression, {"Response": response}) is (result == "success")
    assert evaluate(expression, {"Response": None}) is False


@pytest.mark.parametrize("result", RESULTS)
async def test_argo_rollouts_succeeds_fails_or_does_not_know(client: Client, result: str) -> None:
    """A measurement that meets neither condition is inconclusive; an answer that is no 2xx is an error."""
    (metric,) = sample("argo-rollouts", "AnalysisTemplate")["spec"]["metrics"]
    values = {"service": SERVICES[result], "environment": "staging", "revision": REVISION, "token": token_of(result)}
    web = metric["provider"]["web"]

    def filled(text: str) -> str:
        return re.sub(r"\{\{args\.(\w+)\}\}", lambda found: values[found[1]], text)

    (header,) = web["headers"]
    scheme, _, token = filled(header["value"]).partition(" ")
    assert (header["key"], scheme) == ("Authorization", "Bearer")

    told = await heard(client, web.get("method", "GET"), filled(web["url"]), token)
    if told.status != 200:
        assert (result, told.status) == ("refused", 401)
        return
    assert web["jsonPath"] == "{$.result}"
    measured = {"result": told.body["result"]}
    met = (evaluate(metric["successCondition"], measured), evaluate(metric["failureCondition"], measured))
    assert met == {"success": (True, False), "failure": (False, True), "pending": (False, False)}[result]


@pytest.mark.parametrize("result", RESULTS)
async def test_kargo_succeeds_fails_for_good_or_asks_again(client: Client, result: str) -> None:
    """Its step runs on where neither expression is true."""
    (step,) = sample("kargo", "PromotionTask")["spec"]["steps"]
    values = {"service": SERVICES[result], "environment": "staging", "revision": REVISION, "image": "orders:5"}

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [filled(inner) for inner in value]
        text = re.sub(r"\$\{\{ vars\.(\w+) \}\}", lambda found: values[found[1]], value)
        return text.replace("${{ secret('hook-responder-gate').token }}", token_of(result))

    config = filled(step["config"])
    assert (step["uses"], faults(config, "kargo-http")) == ("http", [])
    (header,) = config["headers"]
    params = [(item["name"], item["value"]) for item in config["queryParams"]]

    told = await heard(client, config["method"], config["url"], header["value"].removeprefix("Bearer "), params)

    response = {"response": {"status": told.status, "body": told.body}}
    met = (evaluate(config["successExpression"], response), evaluate(config["failureExpression"], response))
    expected = {"success": (True, False), "failure": (False, True)}.get(result, (False, False))
    assert met == expected
    if result == "failure":
        assert evaluate(config["errorExpression"], response) == f"argocd/failed failed at {REVISION}: failed"


@pytest.mark.parametrize(("result", "code"), [("success", 0), ("failure", 1), ("pending", 3), ("refused", 4)])
async def test_a_pipeline_ends_with_the_code_and_a_sentence(
    client: Client, tmp_path: Path, result: str, code: int
) -> None:
    (tmp_path / "token").write_text(token_of(result))
    told = {
        "GATE_WAIT": "0", "GATE_SERVER": str(client.make_url("")), "GATE_TOKEN_FILE": str(tmp_path / "token"),
        "GATE_SERVICE": SERVICES[result], "GATE_ENVIRONMENT": "staging", "GATE_REVISION": REVISION,
        "GATE_IMAGE": "registry.example.com/orders:5",
    }  # fmt: skip
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = await asyncio.create_subprocess_exec(
        "sh", GATES / "ci.sh", env={**os.environ, **told, "PATH": path}, stdout=PIPE, stderr=PIPE
    )
    out, err = await process.communicate()

    assert process.returncode == code, (out, err)
    last = (err or out).decode().splitlines()[-1]
    assert last.startswith(
        {0: f"promoting {REVISION}", 1: "not promoting: it failed", 3: "not promoting: not known yet"}.get(
            code, "not promoting: the responder could not be asked"
        )
    )
