import asyncio

import pytest

from tests.contract.kubernetes.cluster import METADATA, Answer, Cluster, Query


async def make(cluster: Cluster, name: str, label: str = "1") -> Answer:
    return await cluster.create("configmaps", name, metadata={"labels": {"x": label}})


async def relabel(cluster: Cluster, name: str, label: str) -> Answer:
    return await cluster.patch("configmaps", name, {"metadata": {"labels": {"x": label}}})


async def delete(cluster: Cluster, name: str) -> None:
    assert (await cluster.call("DELETE", cluster.path("configmaps", name))).status == 200


async def test_a_watch_from_a_list_tells_what_came_after_it_in_order(cluster: Cluster) -> None:
    await make(cluster, "a")
    version = (await cluster.list("configmaps")).version
    await make(cluster, "b")
    async with cluster.watch("configmaps", {"resourceVersion": version, "labelSelector": "x"}) as events:
        await relabel(cluster, "a", "2")
        await delete(cluster, "b")
        assert await events.named(3) == ["ADDED b", "MODIFIED a", "DELETED b"]


async def test_a_watch_without_a_version_begins_with_what_is_there(cluster: Cluster) -> None:
    await make(cluster, "b")
    await make(cluster, "a")
    async with cluster.watch("configmaps", {"labelSelector": "x"}) as events:
        assert sorted(await events.named(2)) == ["ADDED a", "ADDED b"]
        await delete(cluster, "a")
        assert await events.named(1) == ["DELETED a"]


async def test_relabelling_enters_and_leaves_a_watch_by_label(cluster: Cluster) -> None:
    version = (await cluster.list("configmaps")).version
    async with cluster.watch("configmaps", {"resourceVersion": version, "labelSelector": "x=1"}) as events:
        await make(cluster, "b")
        await relabel(cluster, "b", "2")
        await relabel(cluster, "b", "1")
        await delete(cluster, "b")
        assert await events.named(4) == ["ADDED b", "DELETED b", "ADDED b", "DELETED b"]


async def test_events_carry_ever_newer_versions_deletions_too(cluster: Cluster) -> None:
    version = (await cluster.list("configmaps")).version
    async with cluster.watch("configmaps", {"resourceVersion": version, "labelSelector": "x"}) as events:
        await make(cluster, "a")
        await relabel(cluster, "a", "2")
        await delete(cluster, "a")
        seen = [int((await events.next())[1]["metadata"]["resourceVersion"]) for _ in range(3)]
    assert int(version) < seen[0] < seen[1] < seen[2]


async def test_a_patch_without_effect_is_no_event(cluster: Cluster) -> None:
    version = (await make(cluster, "a")).version
    async with cluster.watch("configmaps", {"resourceVersion": version, "labelSelector": "x"}) as events:
        await relabel(cluster, "a", "1")
        await relabel(cluster, "a", "2")
        event_type, item = await events.next()
    assert (event_type, item["metadata"]["labels"]) == ("MODIFIED", {"x": "2"})


async def test_a_watch_of_one_name(cluster: Cluster) -> None:
    version = (await cluster.list("configmaps")).version
    name = "metadata.name=b"
    async with cluster.watch("configmaps", {"resourceVersion": version, "fieldSelector": name}) as events:
        await make(cluster, "a")
        await make(cluster, "b")
        assert await events.named(1) == ["ADDED b"]


@pytest.mark.parametrize("truth", ["1", "true", "True"])
async def test_a_watch_may_be_asked_for_in_three_ways(cluster: Cluster, truth: str) -> None:
    await make(cluster, "a")
    async with cluster.watch("configmaps", {"labelSelector": "x", "watch": truth}) as events:
        assert await events.named(1) == ["ADDED a"]


async def test_a_watch_ends_cleanly_when_its_time_is_over(cluster: Cluster) -> None:
    version = (await make(cluster, "a")).version
    async with cluster.watch(
        "configmaps", {"resourceVersion": version, "labelSelector": "x", "timeoutSeconds": 2}
    ) as events:
        await relabel(cluster, "a", "2")
        assert [event_type for event_type, _ in await events.rest()] == ["MODIFIED"]


async def test_a_watch_from_the_future_is_silent(cluster: Cluster) -> None:
    version = (await make(cluster, "a")).version
    future = int(version) + 1_000_000
    async with cluster.watch(
        "configmaps", {"resourceVersion": future, "labelSelector": "x", "timeoutSeconds": 2}
    ) as events:
        await relabel(cluster, "a", "2")
        assert await events.rest() == []


async def test_a_bookmark_tells_how_far_the_watch_has_come(cluster: Cluster) -> None:
    version = (await make(cluster, "a")).version
    asked: Query = {"allowWatchBookmarks": "true", "timeoutSeconds": 5}
    async with cluster.watch("configmaps", {"resourceVersion": version, "labelSelector": "x", **asked}) as events:
        seen = await events.rest()
    bookmarks = [item for event_type, item in seen if event_type == "BOOKMARK"]
    assert int(bookmarks[-1]["metadata"]["resourceVersion"]) >= int(version)
    assert bookmarks[-1]["kind"] == "ConfigMap"


async def test_a_watch_without_bookmarks_gets_none(cluster: Cluster) -> None:
    version = (await make(cluster, "a")).version
    async with cluster.watch(
        "configmaps", {"resourceVersion": version, "labelSelector": "x", "timeoutSeconds": 5}
    ) as events:
        assert await events.rest() == []


async def test_a_watch_of_metadata_only(cluster: Cluster) -> None:
    version = (await cluster.list("configmaps")).version
    asked: Query = {"resourceVersion": version, "labelSelector": "x"}
    async with cluster.watch("configmaps", asked, accept=METADATA) as events:
        await cluster.create("configmaps", "a", metadata={"labels": {"x": "1"}}, data={"big": "text"})
        event_type, item = await events.next()
    assert event_type == "ADDED"
    assert set(item) == {"kind", "apiVersion", "metadata"}
    assert item["kind"] == "PartialObjectMetadata"


async def test_many_watchers_are_told_the_same(cluster: Cluster) -> None:
    version = (await cluster.list("configmaps")).version

    async def told() -> list[str]:
        async with cluster.watch("configmaps", {"resourceVersion": version, "labelSelector": "x"}) as events:
            return await events.named(6)

    async with asyncio.TaskGroup() as group:
        watchers = [group.create_task(told()) for _ in range(5)]
        for name in ("a", "b", "c"):
            await make(cluster, name)
            await delete(cluster, name)
    lines = [f"{event_type} {name}" for name in ("a", "b", "c") for event_type in ("ADDED", "DELETED")]
    assert [watcher.result() for watcher in watchers] == [lines] * 5
