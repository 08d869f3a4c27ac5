"""Argo CD's Application: a custom resource without a status subresource, with a schema."""

from tests.contract.kubernetes.cluster import JSON_PATCH, Answer, Cluster, Json

SPEC = {"project": "default", "destination": {}}
RUNNING = {"operation": {"sync": {}}, "phase": "Running", "startedAt": "2026-11-21T12:09:31Z"}


async def create(cluster: Cluster) -> Answer:
    return await cluster.create("applications", "demo", spec=SPEC)


async def patch(cluster: Cluster, body: Json, *, strict: bool = False) -> Answer:
    return await cluster.patch("applications", "demo", body, query={"fieldValidation": "Strict"} if strict else {})


async def test_status_is_written_through_the_main_resource_and_raises_the_generation(cluster: Cluster) -> None:
    assert (await create(cluster)).body["metadata"]["generation"] == 1
    answer = await patch(cluster, {"status": {"operationState": RUNNING}})
    assert answer.body["status"]["operationState"]["phase"] == "Running"
    assert answer.body["metadata"]["generation"] == 2


async def test_an_annotation_leaves_the_generation(cluster: Cluster) -> None:
    await create(cluster)
    answer = await patch(cluster, {"metadata": {"annotations": {"a": "b"}}})
    assert answer.body["metadata"]["generation"] == 1


async def test_there_is_no_status_path(cluster: Cluster) -> None:
    await create(cluster)
    path = cluster.path("applications", "demo", "status")
    answer = await cluster.call("PATCH", path, {"status": {}}, content_type="application/merge-patch+json")
    assert answer.failure == (404, "NotFound", 'applications.argoproj.io "demo" not found')


async def test_a_wrong_type_is_refused(cluster: Cluster) -> None:
    await create(cluster)
    answer = await patch(cluster, {"status": {"operationState": {**RUNNING, "retryCount": "many"}}})
    field = "status.operationState.retryCount"
    why = f'{field}: Invalid value: "string": {field} in body must be of type integer: "string"'
    assert answer.failure == (422, "Invalid", f'Application.argoproj.io "demo" is invalid: {why}')


async def test_an_operation_state_needs_its_operation(cluster: Cluster) -> None:
    await create(cluster)
    answer = await patch(cluster, {"status": {"operationState": {"phase": "Terminating", "startedAt": "x"}}})
    assert answer.status == 422
    assert "status.operationState.operation: Required value" in answer.body["message"]


async def test_null_takes_operation_state_and_operation_away(cluster: Cluster) -> None:
    await create(cluster)
    await patch(cluster, {"operation": {"sync": {}}, "status": {"operationState": RUNNING}})
    answer = await patch(cluster, {"operation": None, "status": {"operationState": None}})
    assert "operation" not in answer.body
    assert "operationState" not in answer.body["status"]


async def test_a_json_patch_of_null_takes_the_operation_away(cluster: Cluster) -> None:
    await create(cluster)
    await patch(cluster, {"operation": {"sync": {}}})
    operations = [{"op": "replace", "path": "/operation", "value": None}]
    answer = await cluster.patch("applications", "demo", operations, JSON_PATCH)
    assert answer.status == 200
    assert "operation" not in (await cluster.get("applications", "demo")).body


async def test_an_unknown_field_is_dropped_with_a_warning(cluster: Cluster) -> None:
    await create(cluster)
    answer = await patch(cluster, {"operation": {"sync": {"nonsense": True, "prune": True}}})
    assert answer.status == 200
    assert answer.body["operation"]["sync"] == {"prune": True}
    assert answer.headers["Warning"] == r'299 - "unknown field \"operation.sync.nonsense\""'


async def test_an_unknown_field_is_refused_when_asked_strictly(cluster: Cluster) -> None:
    first = await create(cluster)
    answer = await patch(cluster, {"operation": {"sync": {"nonsense": True}}}, strict=True)
    assert answer.failure[:2] == (422, "Invalid")
    assert answer.body["message"].startswith(' "" is invalid: patch: Invalid value: "{')
    assert 'unknown field "operation.sync.nonsense"' in answer.body["message"]
    assert (await cluster.get("applications", "demo")).version == first.version


async def test_a_resync_as_we_write_it_passes_strictly(cluster: Cluster) -> None:
    meta = (await create(cluster)).body["metadata"]
    operation = {
        "initiatedBy": {"username": "responder", "automated": True},
        "info": [{"name": "action", "value": "a-1"}],
        "sync": {"revision": "52f10b6", "syncOptions": ["CreateNamespace=true"], "syncStrategy": {"hook": {}}},
        "retry": {"limit": 0},
    }
    guarded = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    answer = await patch(cluster, {"metadata": guarded, "operation": operation}, strict=True)
    assert answer.status == 200
    assert answer.body["operation"] == operation
    assert "Warning" not in answer.headers


async def test_a_resync_of_what_changed_since_is_a_conflict(cluster: Cluster) -> None:
    meta = (await create(cluster)).body["metadata"]
    await patch(cluster, {"metadata": {"annotations": {"notified": "yes"}}})
    guarded = {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}
    answer = await patch(cluster, {"metadata": guarded, "operation": {"sync": {}}}, strict=True)
    assert answer.failure[:2] == (409, "Conflict")
    assert 'Operation cannot be fulfilled on applications.argoproj.io "demo"' in answer.body["message"]


async def test_terminating_writes_the_phase_alone(cluster: Cluster) -> None:
    await create(cluster)
    await patch(cluster, {"status": {"operationState": RUNNING}})
    answer = await patch(cluster, {"status": {"operationState": {"phase": "Terminating"}}}, strict=True)
    assert answer.body["status"]["operationState"] == {**RUNNING, "phase": "Terminating"}
