from tests.contract.kubernetes.cluster import JSON_PATCH, MERGE, STRATEGIC, Cluster
from tests.contract.kubernetes.pods import spec

APPLICATION = {"project": "default", "destination": {}}


async def test_a_merge_patch_changes_what_it_names(cluster: Cluster) -> None:
    await cluster.create("configmaps", "a", data={"keep": "1", "change": "1", "drop": "1"})
    answer = await cluster.patch("configmaps", "a", {"data": {"change": "2", "drop": None}})
    assert answer.status == 200
    assert answer.body["data"] == {"keep": "1", "change": "2"}


async def test_a_merge_patch_without_effect_keeps_the_version(cluster: Cluster) -> None:
    first = await cluster.create("configmaps", "a", data={"key": "1"})
    answer = await cluster.patch("configmaps", "a", {"data": {"key": "1"}})
    assert answer.version == first.version


async def test_a_merge_patch_with_an_outdated_version_is_a_conflict(cluster: Cluster) -> None:
    first = await cluster.create("configmaps", "a", data={"key": "1"})
    await cluster.patch("configmaps", "a", {"data": {"key": "2"}})
    stale = {"metadata": {"resourceVersion": first.version}, "data": {"key": "3"}}
    answer = await cluster.patch("configmaps", "a", stale)
    assert answer.failure[:2] == (409, "Conflict")
    assert answer.body["message"].startswith('Operation cannot be fulfilled on configmaps "a": the object has been')
    assert (await cluster.get("configmaps", "a")).body["data"] == {"key": "2"}


async def test_a_merge_patch_with_the_version_that_is_there_is_done(cluster: Cluster) -> None:
    first = await cluster.create("configmaps", "a")
    patch = {"metadata": {"resourceVersion": first.version}, "data": {"key": "3"}}
    assert (await cluster.patch("configmaps", "a", patch)).status == 200


async def test_a_uid_cannot_be_changed(cluster: Cluster) -> None:
    await cluster.create("applications", "demo", spec=APPLICATION)
    patch = {"metadata": {"uid": "00000000-0000-0000-0000-000000000000"}, "operation": {"sync": {}}}
    answer = await cluster.patch("applications", "demo", patch)
    assert answer.failure[:2] == (422, "Invalid")
    assert "operation" not in (await cluster.get("applications", "demo")).body


async def test_a_merge_patch_replaces_lists(cluster: Cluster) -> None:
    await cluster.create("configmaps", "a", metadata={"finalizers": ["example.com/a", "example.com/b"]})
    answer = await cluster.patch("configmaps", "a", {"metadata": {"finalizers": ["example.com/b"]}})
    assert answer.body["metadata"]["finalizers"] == ["example.com/b"]
    await cluster.patch("configmaps", "a", {"metadata": {"finalizers": None}})


async def test_a_json_patch_adds_replaces_removes_and_tests(cluster: Cluster) -> None:
    await cluster.create("configmaps", "a", data={"one": "1", "two": "2"})
    operations = [
        {"op": "test", "path": "/data/one", "value": "1"},
        {"op": "replace", "path": "/data/one", "value": "11"},
        {"op": "remove", "path": "/data/two"},
        {"op": "add", "path": "/metadata/labels", "value": {"x": "1"}},
        {"op": "add", "path": "/metadata/labels/example.com~1y", "value": "2"},
    ]
    answer = await cluster.patch("configmaps", "a", operations, JSON_PATCH)
    assert answer.body["data"] == {"one": "11"}
    assert answer.body["metadata"]["labels"] == {"x": "1", "example.com/y": "2"}


async def test_a_key_of_a_config_map_must_be_good_for_a_file(cluster: Cluster) -> None:
    await cluster.create("configmaps", "a", data={"one": "1"})
    answer = await cluster.patch("configmaps", "a", {"data": {"a/b": "2"}})
    assert answer.failure[:2] == (422, "Invalid")
    cause = (
        "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
    )
    assert answer.body["message"].startswith(f'ConfigMap "a" is invalid: {cause}')


async def test_a_json_patch_whose_test_fails_changes_nothing(cluster: Cluster) -> None:
    first = await cluster.create("configmaps", "a", data={"one": "1"})
    operations = [
        {"op": "replace", "path": "/data/one", "value": "2"},
        {"op": "test", "path": "/metadata/name", "value": "b"},
    ]
    answer = await cluster.patch("configmaps", "a", operations, JSON_PATCH)
    assert answer.failure == (422, "Invalid", "the server rejected our request due to an error in our request")
    assert (await cluster.get("configmaps", "a")).version == first.version


async def test_a_json_patch_that_removes_what_is_not_there_is_refused(cluster: Cluster) -> None:
    await cluster.create("configmaps", "a", data={"one": "1"})
    answer = await cluster.patch("configmaps", "a", [{"op": "remove", "path": "/data/two"}], JSON_PATCH)
    assert answer.status == 422


async def test_a_dict_is_no_json_patch(cluster: Cluster) -> None:
    await cluster.create("configmaps", "a")
    answer = await cluster.patch("configmaps", "a", {"data": {}}, JSON_PATCH)
    message = "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
    assert answer.failure == (400, "BadRequest", message)


async def test_a_patch_must_say_of_which_kind_it_is(cluster: Cluster) -> None:
    await cluster.create("configmaps", "a")
    answer = await cluster.patch("configmaps", "a", {"data": {}}, "application/json")
    assert answer.failure == (415, "UnsupportedMediaType", "415: Unsupported Media Type")


async def test_a_strategic_patch_merges_containers_by_name(cluster: Cluster) -> None:
    await cluster.create("pods", "two", spec=spec("main", "other"))
    patch = {"spec": {"containers": [{"name": "other", "image": "busybox:2"}]}}
    answer = await cluster.patch("pods", "two", patch, STRATEGIC)
    images = {one["name"]: one["image"] for one in answer.body["spec"]["containers"]}
    assert images == {"main": "busybox", "other": "busybox:2"}


async def test_a_strategic_patch_of_a_custom_resource_is_refused(cluster: Cluster) -> None:
    await cluster.create("applications", "demo", spec=APPLICATION)
    answer = await cluster.patch("applications", "demo", {"metadata": {"labels": {"a": "b"}}}, STRATEGIC)
    message = (
        "the body of the request was in an unknown format - accepted media types include: "
        "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
    )
    assert answer.failure == (415, "UnsupportedMediaType", message)


async def test_a_patch_creates_nothing(cluster: Cluster) -> None:
    answer = await cluster.patch("configmaps", "none", {"data": {"a": "b"}}, MERGE)
    assert answer.failure == (404, "NotFound", 'configmaps "none" not found')
