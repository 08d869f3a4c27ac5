import pytest

from tests.contract.kubernetes.cluster import Cluster

MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


async def test_a_created_object_has_uid_version_and_birthday(cluster: Cluster) -> None:
    meta = (await cluster.create("configmaps", "a")).body["metadata"]
    assert meta["uid"]
    assert int(meta["resourceVersion"]) > 0
    assert meta["creationTimestamp"].endswith("Z")
    assert meta["namespace"] == cluster.namespace


async def test_a_name_is_given_once(cluster: Cluster) -> None:
    await cluster.create("configmaps", "a")
    again = await cluster.call("POST", cluster.path("configmaps"), {"metadata": {"name": "a"}})
    assert again.failure == (409, "AlreadyExists", 'configmaps "a" already exists')


async def test_what_is_not_there_is_not_found_by_name(cluster: Cluster) -> None:
    answer = await cluster.get("configmaps", "none")
    assert answer.failure == (404, "NotFound", 'configmaps "none" not found')
    assert answer.body["details"] == {"name": "none", "kind": "configmaps"}


async def test_an_object_needs_a_name(cluster: Cluster) -> None:
    answer = await cluster.call("POST", cluster.path("configmaps"), {"metadata": {}})
    assert answer.status == 422
    assert "name or generateName is required" in answer.body["message"]


async def test_generate_name_makes_names_that_differ(cluster: Cluster) -> None:
    made = [
        (await cluster.call("POST", cluster.path("configmaps"), {"metadata": {"generateName": "x-"}})).body["metadata"]
        for _ in range(2)
    ]
    names = {meta["name"] for meta in made}
    assert len(names) == 2
    assert all(name.startswith("x-") and len(name) == 7 for name in names)


async def test_another_namespace_than_the_path_says_is_refused(cluster: Cluster) -> None:
    body = {"metadata": {"name": "a", "namespace": "elsewhere"}}
    answer = await cluster.call("POST", cluster.path("configmaps"), body)
    assert answer.status == 400
    assert "does not match the namespace" in answer.body["message"]


async def test_a_body_that_is_no_json_is_refused(cluster: Cluster) -> None:
    answer = await cluster.call("POST", cluster.path("configmaps"), b"{no")
    assert answer.failure[:2] == (400, "BadRequest")


async def test_put_replaces_all_and_raises_the_version(cluster: Cluster) -> None:
    first = await cluster.create("configmaps", "a", data={"old": "1"})
    body = {"metadata": {"name": "a", "resourceVersion": first.version}, "data": {"new": "2"}}
    answer = await cluster.call("PUT", cluster.path("configmaps", "a"), body)
    assert answer.status == 200
    assert answer.body["data"] == {"new": "2"}
    assert answer.body["metadata"]["uid"] == first.body["metadata"]["uid"]
    assert int(answer.version) > int(first.version)


async def test_put_without_effect_keeps_the_version(cluster: Cluster) -> None:
    first = await cluster.create("configmaps", "a", data={"key": "1"})
    answer = await cluster.call("PUT", cluster.path("configmaps", "a"), first.body)
    assert answer.version == first.version


async def test_put_on_an_outdated_version_is_a_conflict(cluster: Cluster) -> None:
    first = await cluster.create("configmaps", "a", data={"key": "1"})
    await cluster.patch("configmaps", "a", {"data": {"key": "2"}})
    answer = await cluster.call("PUT", cluster.path("configmaps", "a"), first.body)
    message = f'Operation cannot be fulfilled on configmaps "a": {MODIFIED}'
    assert answer.failure == (409, "Conflict", message)


async def test_put_on_another_uid_is_a_conflict(cluster: Cluster) -> None:
    await cluster.create("configmaps", "a")
    body = {"metadata": {"name": "a", "uid": "00000000-0000-0000-0000-000000000000"}}
    answer = await cluster.call("PUT", cluster.path("configmaps", "a"), body)
    assert answer.failure[:2] == (409, "Conflict")


async def test_put_of_a_custom_resource_must_name_the_version(cluster: Cluster) -> None:
    first = await cluster.create("applications", "demo", spec={"project": "default", "destination": {}})
    del first.body["metadata"]["resourceVersion"]
    body = first.body
    del body["metadata"]["resourceVersion"]
    answer = await cluster.call("PUT", cluster.path("applications", "demo"), body)
    assert answer.failure[:2] == (422, "Invalid")
    assert answer.body["message"].endswith("must be specified for an update")


async def test_put_with_another_name_is_refused(cluster: Cluster) -> None:
    await cluster.create("configmaps", "a")
    answer = await cluster.call("PUT", cluster.path("configmaps", "a"), {"metadata": {"name": "b"}})
    assert answer.failure[:2] == (400, "BadRequest")


async def test_put_creates_nothing(cluster: Cluster) -> None:
    body = {"metadata": {"name": "a", "resourceVersion": "1"}}
    answer = await cluster.call("PUT", cluster.path("configmaps", "a"), body)
    assert answer.status in {404, 409}  # a real one says 404 for some kinds and 409 for others when a version is given
    assert (await cluster.get("configmaps", "a")).status == 404


async def test_a_path_of_no_resource_is_not_found(cluster: Cluster) -> None:
    assert (await cluster.call("GET", f"/apis/none.example/v1/namespaces/{cluster.namespace}/things")).status == 404
    assert (await cluster.call("GET", f"/api/v1/namespaces/{cluster.namespace}/things")).status == 404


async def test_a_method_that_a_path_does_not_have_is_refused(cluster: Cluster) -> None:
    await cluster.create("configmaps", "a")
    answer = await cluster.call("POST", cluster.path("configmaps", "a"), {"metadata": {"name": "a"}})
    assert answer.failure[:2] == (405, "MethodNotAllowed")


async def test_a_job_labels_its_pods_and_itself(cluster: Cluster) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}}
    job = (await cluster.create("jobs", "migrate", spec={"suspend": True, "template": template})).body
    labels = {"batch.kubernetes.io/job-name": "migrate", "batch.kubernetes.io/controller-uid": job["metadata"]["uid"]}
    assert labels.items() <= job["spec"]["template"]["metadata"]["labels"].items()
    assert labels.items() <= job["metadata"]["labels"].items()


@pytest.mark.parametrize(("suspended", "field"), [(False, "spec.template"), (True, "spec.template.spec")])
async def test_the_template_of_a_job_is_fixed(cluster: Cluster, suspended: bool, field: str) -> None:
    pod = {"restartPolicy": "Never", "schedulerName": "nobody", "containers": [{"name": "main", "image": "busybox"}]}
    await cluster.create("jobs", "migrate", spec={"suspend": suspended, "template": {"spec": pod}})
    container = {"name": "main", "image": "busybox:2"}
    answer = await cluster.patch("jobs", "migrate", {"spec": {"template": {"spec": {"containers": [container]}}}})
    assert answer.failure[:2] == (422, "Invalid")
    assert answer.body["message"].startswith(f'Job.batch "migrate" is invalid: {field}: Invalid value: ')
    assert answer.body["message"].endswith("field is immutable")


async def test_status_is_written_through_its_own_path_only(cluster: Cluster) -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}}
    first = await cluster.create("jobs", "migrate", spec={"suspend": True, "template": template})
    ignored = await cluster.patch("jobs", "migrate", {"status": {"failed": 3}})
    assert "failed" not in ignored.body["status"]
    path = cluster.path("jobs", "migrate", "status")
    patch = {"status": {"failed": 3}, "spec": {"backoffLimit": 2}}
    written = await cluster.call("PATCH", path, patch, content_type="application/merge-patch+json")
    assert written.body["status"]["failed"] == 3
    assert written.body["spec"]["backoffLimit"] == 6
    assert written.body["metadata"]["generation"] == first.body["metadata"]["generation"]
