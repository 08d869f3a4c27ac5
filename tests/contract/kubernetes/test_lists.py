import pytest

from tests.contract.kubernetes.cluster import METADATA, METADATA_LIST, Answer, Cluster


def names(answer: Answer) -> list[str]:
    return [item["metadata"]["name"] for item in answer.body["items"]]


async def make(cluster: Cluster, *labelled: tuple[str, dict[str, str]]) -> None:
    for name, labels in labelled:
        await cluster.create("configmaps", name, metadata={"labels": {"case": "lists", **labels}}, data={"a": "b"})


async def test_a_list_is_at_least_as_new_as_what_is_in_it(cluster: Cluster) -> None:
    await make(cluster, ("b", {}), ("a", {}))
    answer = await cluster.list("configmaps", labelSelector="case=lists")
    assert names(answer) == ["a", "b"]
    newest = max(int(item["metadata"]["resourceVersion"]) for item in answer.body["items"])
    assert int(answer.version) >= newest


async def test_items_of_a_built_in_kind_do_not_say_what_they_are(cluster: Cluster) -> None:
    await make(cluster, ("a", {}))
    answer = await cluster.list("configmaps", labelSelector="case=lists")
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("ConfigMapList", "v1")
    assert "kind" not in answer.body["items"][0]


async def test_items_of_a_custom_kind_say_what_they_are(cluster: Cluster) -> None:
    await cluster.create("applications", "demo", spec={"project": "default", "destination": {}})
    answer = await cluster.list("applications")
    assert answer.body["kind"] == "ApplicationList"
    assert answer.body["items"][0]["kind"] == "Application"


async def test_pages_cover_the_list_once_and_share_its_version(cluster: Cluster) -> None:
    await make(cluster, *((name, {}) for name in "abcde"))
    pages = [await cluster.list("configmaps", labelSelector="case=lists", limit=2)]
    while token := pages[-1].body["metadata"].get("continue"):
        more = {"labelSelector": "case=lists", "limit": 2, "continue": token}
        pages.append(await cluster.call("GET", cluster.path("configmaps"), query=more))
    assert [names(page) for page in pages] == [["a", "b"], ["c", "d"], ["e"]]
    assert len({page.version for page in pages}) == 1


async def test_later_pages_show_the_list_as_it_was(cluster: Cluster) -> None:
    await make(cluster, ("a", {}), ("b", {}), ("d", {}))
    first = await cluster.list("configmaps", labelSelector="case=lists", limit=1)
    await make(cluster, ("c", {}))
    await cluster.call("DELETE", cluster.path("configmaps", "b"))
    await cluster.patch("configmaps", "d", {"data": {"a": "changed"}})
    more = {"labelSelector": "case=lists", "continue": first.body["metadata"]["continue"]}
    rest = await cluster.call("GET", cluster.path("configmaps"), query=more)
    assert names(rest) == ["b", "d"]
    assert rest.body["items"][1]["data"] == {"a": "b"}


async def test_a_made_up_continue_token_is_refused(cluster: Cluster) -> None:
    answer = await cluster.call("GET", cluster.path("configmaps"), query={"limit": 1, "continue": "z4A="})
    assert answer.failure[:2] == (400, "BadRequest")
    assert answer.body["message"].startswith("invalid continue token: continue key is not valid")


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ("tier=web", ["a"]),
        ("tier==web", ["a"]),
        ("tier!=web", ["b", "c"]),
        ("tier in (web, db)", ["a", "b"]),
        ("tier notin (web)", ["b", "c"]),
        ("tier", ["a", "b"]),
        ("!tier", ["c"]),
        ("tier in (web,db),zone=1", ["b"]),
    ],
)
async def test_labels_choose(cluster: Cluster, selector: str, chosen: list[str]) -> None:
    await make(cluster, ("a", {"tier": "web"}), ("b", {"tier": "db", "zone": "1"}), ("c", {}))
    assert names(await cluster.list("configmaps", labelSelector=f"case=lists,{selector}")) == chosen


async def test_fields_choose(cluster: Cluster) -> None:
    await make(cluster, ("a", {}), ("b", {}))
    assert names(await cluster.list("configmaps", fieldSelector="metadata.name=b")) == ["b"]
    others = await cluster.list("configmaps", labelSelector="case=lists", fieldSelector="metadata.name!=b")
    assert names(others) == ["a"]


async def test_pods_are_chosen_by_node_and_phase(cluster: Cluster) -> None:
    await cluster.create(
        "pods", "a", spec={"containers": [{"name": "main", "image": "busybox"}], "schedulerName": "no"}
    )
    unbound = await cluster.list("pods", fieldSelector="spec.nodeName=,status.phase=Pending")
    assert names(unbound) == ["a"]
    assert names(await cluster.list("pods", fieldSelector="status.phase=Running")) == []


async def test_events_are_chosen_by_what_they_are_about(cluster: Cluster) -> None:
    for name, uid in (("first", "u-1"), ("second", "u-2")):
        about = {"kind": "Job", "namespace": cluster.namespace, "name": name, "uid": uid}
        body = {"metadata": {"name": name}, "involvedObject": about, "reason": "FailedCreate", "type": "Warning"}
        assert (await cluster.call("POST", cluster.path("events"), body)).status == 201
    chosen = await cluster.list("events", fieldSelector="involvedObject.uid=u-2,involvedObject.kind=Job")
    assert names(chosen) == ["second"]


async def test_a_field_that_cannot_choose_is_refused(cluster: Cluster) -> None:
    answer = await cluster.call("GET", cluster.path("configmaps"), query={"fieldSelector": "data.a=b"})
    assert answer.failure[:2] == (400, "BadRequest")
    assert '"data.a" is not a known field selector' in answer.body["message"]


async def test_a_list_of_metadata_only(cluster: Cluster) -> None:
    await make(cluster, ("a", {}))
    answer = await cluster.call(
        "GET", cluster.path("configmaps"), accept=METADATA_LIST, query={"labelSelector": "case=lists"}
    )
    assert (answer.body["kind"], answer.body["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    item = answer.body["items"][0]
    assert item["kind"] == "PartialObjectMetadata"
    assert item["metadata"]["labels"] == {"case": "lists"}
    assert "data" not in item


async def test_one_object_as_metadata_only(cluster: Cluster) -> None:
    await make(cluster, ("a", {}))
    answer = await cluster.call("GET", cluster.path("configmaps", "a"), accept=METADATA)
    assert set(answer.body) == {"kind", "apiVersion", "metadata"}
    assert answer.body["kind"] == "PartialObjectMetadata"
