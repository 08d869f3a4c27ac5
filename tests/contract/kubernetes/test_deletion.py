import pytest

from tests.contract.kubernetes.cluster import Answer, Cluster, Json

TEMPLATE = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox"}]}}

NOBODY = "00000000-0000-4000-8000-000000000000"


async def delete(cluster: Cluster, plural: str, name: str, **options: object) -> Answer:
    return await cluster.call("DELETE", cluster.path(plural, name), {**options} or None)


async def test_what_is_deleted_is_gone(cluster: Cluster) -> None:
    uid = (await cluster.create("configmaps", "a")).body["metadata"]["uid"]
    answer = await delete(cluster, "configmaps", "a")
    assert (answer.status, answer.body["status"]) == (200, "Success")
    assert answer.body["details"] == {"name": "a", "kind": "configmaps", "uid": uid}
    assert (await cluster.get("configmaps", "a")).status == 404


async def test_what_is_not_there_cannot_be_deleted(cluster: Cluster) -> None:
    answer = await delete(cluster, "configmaps", "none")
    assert answer.failure == (404, "NotFound", 'configmaps "none" not found')


async def test_another_uid_protects_the_object(cluster: Cluster) -> None:
    uid = (await cluster.create("configmaps", "a")).body["metadata"]["uid"]
    answer = await delete(cluster, "configmaps", "a", preconditions={"uid": "other"})
    assert answer.failure[:2] == (409, "Conflict")
    assert f"the UID in the precondition (other) does not match the UID in record ({uid})" in answer.body["message"]
    assert (await delete(cluster, "configmaps", "a", preconditions={"uid": uid})).status == 200


async def test_another_version_protects_the_object(cluster: Cluster) -> None:
    first = await cluster.create("configmaps", "a")
    await cluster.patch("configmaps", "a", {"data": {"a": "b"}})
    answer = await delete(cluster, "configmaps", "a", preconditions={"resourceVersion": first.version})
    assert answer.failure[:2] == (409, "Conflict")
    assert (await cluster.get("configmaps", "a")).status == 200


async def test_a_finalizer_holds_the_object_until_it_is_taken_off(cluster: Cluster) -> None:
    await cluster.create("configmaps", "a", metadata={"finalizers": ["example.com/hold"]})
    marked = await delete(cluster, "configmaps", "a")
    assert marked.status == 200
    assert marked.body["metadata"]["deletionTimestamp"]
    assert (await cluster.get("configmaps", "a")).body["metadata"]["finalizers"] == ["example.com/hold"]
    await cluster.patch("configmaps", "a", {"metadata": {"finalizers": None}})
    assert (await cluster.get("configmaps", "a")).status == 404


async def owned(cluster: Cluster, name: str, uid: str) -> None:
    """A ConfigMap that names a Job as its owner."""
    reference: Json = {"apiVersion": "batch/v1", "kind": "Job", "name": "owner", "uid": uid, "blockOwnerDeletion": True}
    await cluster.create("configmaps", name, metadata={"ownerReferences": [reference]})


async def family(cluster: Cluster) -> None:
    """A Job that starts nothing, and a ConfigMap that it owns, known to the garbage collector: what came before garbage
    that it has collected it has seen."""
    job = (await cluster.create("jobs", "owner", spec={"suspend": True, "template": TEMPLATE})).body
    await owned(cluster, "child", job["metadata"]["uid"])
    await owned(cluster, "garbage", NOBODY)
    await cluster.gone("configmaps", "garbage")


async def test_what_names_an_owner_that_is_not_there_is_collected(cluster: Cluster) -> None:
    await owned(cluster, "garbage", NOBODY)
    await cluster.gone("configmaps", "garbage")


@pytest.mark.parametrize("policy", ["Foreground", "Background"])
async def test_the_dependents_of_a_job_go_with_it(cluster: Cluster, policy: str) -> None:
    await family(cluster)
    assert (await delete(cluster, "jobs", "owner", propagationPolicy=policy)).status == 200
    await cluster.gone("jobs", "owner")
    await cluster.gone("configmaps", "child")


async def test_foreground_deletion_waits_for_a_dependent_that_is_held(cluster: Cluster) -> None:
    await family(cluster)
    await cluster.patch("configmaps", "child", {"metadata": {"finalizers": ["example.com/hold"]}})
    await delete(cluster, "jobs", "owner", propagationPolicy="Foreground")
    owner = (await cluster.get("jobs", "owner")).body["metadata"]
    assert "foregroundDeletion" in owner["finalizers"]
    assert owner["deletionTimestamp"]
    await cluster.patch("configmaps", "child", {"metadata": {"finalizers": None}})
    await cluster.gone("jobs", "owner")


async def test_a_job_leaves_its_dependents_unless_told_otherwise(cluster: Cluster) -> None:
    await family(cluster)
    await delete(cluster, "jobs", "owner")
    await cluster.gone("jobs", "owner")
    child = await cluster.get("configmaps", "child")
    assert child.status == 200
    assert "ownerReferences" not in child.body["metadata"]


async def test_a_policy_that_does_not_exist_is_refused(cluster: Cluster) -> None:
    await cluster.create("configmaps", "a")
    assert (await delete(cluster, "configmaps", "a", propagationPolicy="Gently")).status in {400, 422}
    assert (await cluster.get("configmaps", "a")).status == 200
