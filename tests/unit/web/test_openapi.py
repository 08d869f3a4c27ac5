"""The document is what other programs build on: it must tell what the code does."""

import re
from typing import Any, get_args, get_origin

import msgspec
import pytest

from responder.core.reportshape import IncidentOut
from responder.web.app import build
from responder.web.incidents import ROUTES
from tests.unit.web.world import Client, World, redacted

Document = dict[str, Any]


@pytest.fixture
async def document(client: Client) -> Document:
    found: Document = await (await client.get("/openapi.json")).json()
    return found


async def test_every_route_is_described_and_no_other(world: World, document: Document) -> None:
    served = {
        (route.method, re.sub(r":\.\+}", "}", route.resource.canonical))
        for route in build(world.faces()).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}

    assert described == served


DESIGNED = {
    "POST /v1/argocd/webhook", "GET /v1/incidents", "GET /v1/incidents/{id}", "POST /v1/incidents/{id}/acknowledge",
    "POST /v1/incidents/{id}/resolve", "POST /v1/incidents/{id}/mute", "POST /v1/incidents/{id}/resync",
    "POST /v1/decisions/{id}/approve", "POST /v1/decisions/{id}/decline", "GET /v1/gate", "GET /v1/blocks",
    "POST /v1/blocks", "DELETE /v1/blocks/{id}", "PUT /v1/killswitch", "GET /v1/events", "GET /metrics", "GET /healthz",
    "GET /readyz", "GET /version", "GET /openapi.json", "GET /runbooks/{category}",
}  # fmt: skip


async def test_what_others_build_on_is_there(document: Document) -> None:
    described = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}

    assert described >= DESIGNED


async def test_every_field_of_an_incident_is_described(document: Document) -> None:
    components = document["components"]["schemas"]
    seen: set[str] = set()
    waiting: list[Any] = [IncidentOut]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__name__ not in seen:
            seen.add(kind.__name__)
            fields = msgspec.structs.fields(kind)
            assert set(components[kind.__name__]["properties"]) == {f.encode_name for f in fields}, kind.__name__
            waiting += [f.type for f in fields]
        elif get_origin(kind) is not None:
            waiting += get_args(kind)
    assert {"IncidentOut", "OperationOut", "ContainerOut", "Diagnosis", "Because", "VerdictOut", "GapOut"} <= seen


async def test_an_incident_that_is_served_has_what_is_described(
    world: World, client: Client, document: Document
) -> None:
    opened = await world.fail(redacted("laravel__mariadb__partial-ddl.log"))
    found = await (await client.get(f"/v1/incidents/{opened.id}")).json()

    assert set(found) == set(document["components"]["schemas"]["IncidentOut"]["required"])


async def test_every_reference_leads_somewhere(document: Document) -> None:
    text = msgspec.json.encode(document).decode()
    names = set(re.findall(r'"#/components/schemas/(\w+)"', text))

    assert names <= set(document["components"]["schemas"])


async def test_each_operation_has_a_name_of_its_own_and_its_parameters(document: Document) -> None:
    operations = [(path, operation) for path, methods in document["paths"].items() for operation in methods.values()]
    names = [operation["operationId"] for _, operation in operations]

    assert len(set(names)) == len(names)
    for path, operation in operations:
        in_path = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
        assert in_path == set(re.findall(r"{(\w+)}", path))


async def test_the_query_of_the_list_is_described_with_its_words(document: Document) -> None:
    parameters = {p["name"]: p["schema"] for p in document["paths"]["/v1/incidents"]["get"]["parameters"]}

    assert set(parameters) == {"state", "project", "application", "category", "limit", "cursor"}
    assert parameters["state"]["items"]["enum"] == ["acknowledged", "firing", "resolved", "superseded"]
    assert (parameters["limit"]["minimum"], parameters["limit"]["maximum"]) == (1, 200)


def test_what_changes_an_incident_says_that_it_may_be_refused() -> None:
    for route in ROUTES:
        assert (409 in route.problems) == (route.method == "POST"), route.path
