import pytest

from responder.demo.clock import SteppedClock
from responder.demo.objects import Objects
from responder.demo.shelf import Change
from responder.demo.status import ApiFault
from tests.unit.demo.cases import config, job, pod


def told(objects: Objects) -> list[str]:
    """Fills with what subscribers are told from now on."""
    lines: list[str] = []

    def note(change: Change) -> None:
        mark = " deleting" if change.type != "DELETED" and "deletionTimestamp" in change.object["metadata"] else ""
        lines.append(f"{change.type} {change.kind} {change.object['metadata']['name']}{mark}")

    objects.subscribe(note)
    return lines


def test_one_counter_versions_every_change_of_every_kind(objects: Objects) -> None:
    first = objects.create("ConfigMap", config("a"))
    second = objects.create("Secret", config("a"))
    third = objects.patch("ConfigMap", "shop", "a", {"data": {"a": "b"}})
    versions = [int(item["metadata"]["resourceVersion"]) for item in (first, second, third)]
    assert versions == [2, 3, 4]
    assert objects.resource_version == 4


def test_the_clock_dates_a_birth(objects: Objects) -> None:
    assert objects.create("ConfigMap", config("a"))["metadata"]["creationTimestamp"] == "2026-11-21T03:00:00Z"


def test_what_was_read_never_changes(objects: Objects) -> None:
    given = {**config("a"), "data": {"a": "1"}}
    read = objects.create("ConfigMap", given)
    given["data"]["a"] = "changed by the caller"
    objects.patch("ConfigMap", "shop", "a", {"data": {"a": "2"}})
    assert read["data"] == {"a": "1"}


def test_two_runs_make_the_same_uids_and_names(clock: SteppedClock) -> None:
    made = [Objects(clock).create("ConfigMap", {"metadata": {"generateName": "x-"}}) for _ in range(2)]
    assert made[0]["metadata"]["name"] == made[1]["metadata"]["name"]
    assert made[0]["metadata"]["uid"] == made[1]["metadata"]["uid"]


def test_a_kind_that_is_not_declared_does_not_exist(clock: SteppedClock) -> None:
    objects = Objects(clock, kinds=["Pod"])
    assert [resource.kind for resource in objects.resources] == ["Pod"]


def test_true_is_not_one(objects: Objects) -> None:
    first = objects.create("Job", {**job("a"), "other": 1})
    second = objects.patch("Job", "shop", "a", {"other": True})
    assert first["metadata"]["resourceVersion"] != second["metadata"]["resourceVersion"]


class TestDeletion:
    def test_foreground_marks_the_job_takes_its_pods_and_then_the_job(self, objects: Objects) -> None:
        owner = objects.create("Job", job("migrate"))
        objects.put_raw("Pod", "ADDED", pod("migrate-1", owner=owner))
        lines = told(objects)
        objects.delete("Job", "shop", "migrate", propagation="Foreground")
        assert lines == ["MODIFIED Job migrate deleting", "DELETED Pod migrate-1", "DELETED Job migrate"]

    def test_background_takes_the_job_first(self, objects: Objects) -> None:
        owner = objects.create("Job", job("migrate"))
        objects.put_raw("Pod", "ADDED", pod("migrate-1", owner=owner))
        lines = told(objects)
        objects.delete("Job", "shop", "migrate", propagation="Background")
        assert lines == ["DELETED Job migrate", "DELETED Pod migrate-1"]

    def test_a_hook_finalizer_holds_the_job_but_not_its_pods(self, objects: Objects) -> None:
        owner = objects.create("Job", job("migrate", finalizers=["argocd.argoproj.io/hook-finalizer"]))
        objects.put_raw("Pod", "ADDED", pod("migrate-1", owner=owner))
        objects.delete("Job", "shop", "migrate", propagation="Foreground")
        assert objects.find("Pod", "shop", "migrate-1") is None
        held = objects.get("Job", "shop", "migrate")
        assert held["metadata"]["finalizers"] == ["argocd.argoproj.io/hook-finalizer"]
        objects.patch("Job", "shop", "migrate", {"metadata": {"finalizers": None}})
        assert objects.find("Job", "shop", "migrate") is None

    def test_a_graceful_pod_stays_until_the_kubelet_lets_it_go(self, clock: SteppedClock) -> None:
        objects = Objects(clock, graceful_pods=True)
        owner = objects.create("Job", job("migrate"))
        objects.put_raw("Pod", "ADDED", pod("migrate-1", owner=owner))
        lines = told(objects)
        objects.delete("Job", "shop", "migrate", propagation="Foreground")
        marked = objects.get("Pod", "shop", "migrate-1")["metadata"]
        assert marked["deletionTimestamp"] == "2026-11-21T03:00:30Z"
        objects.delete("Pod", "shop", "migrate-1", grace=0)
        assert lines == [
            "MODIFIED Job migrate deleting",
            "MODIFIED Pod migrate-1 deleting",
            "DELETED Pod migrate-1",
            "DELETED Job migrate",
        ]

    def test_a_namespace_takes_what_is_in_it(self, objects: Objects) -> None:
        objects.create("Namespace", {"metadata": {"name": "shop"}})
        objects.create("Job", job("migrate"))
        objects.create("ConfigMap", config("other", "elsewhere"))
        objects.delete("Namespace", "", "shop")
        assert objects.list("Job") == []
        assert len(objects.list("ConfigMap")) == 1

    def test_deleting_twice_makes_one_mark(self, objects: Objects) -> None:
        objects.create("ConfigMap", config("a", finalizers=["example.com/hold"]))
        lines = told(objects)
        objects.delete("ConfigMap", "shop", "a")
        objects.delete("ConfigMap", "shop", "a")
        assert lines == ["MODIFIED ConfigMap a deleting"]


class TestAsRecorded:
    def test_all_is_kept_but_the_version(self, objects: Objects) -> None:
        seen = pod("p")
        seen["metadata"] |= {"resourceVersion": "90210", "creationTimestamp": "2020-01-01T00:00:00Z", "generation": 7}
        stored = objects.put_raw("Pod", "ADDED", seen)
        assert stored["metadata"] == {**seen["metadata"], "resourceVersion": "2"}
        assert stored["status"] == seen["status"]

    def test_another_uid_under_the_name_deletes_the_first(self, objects: Objects) -> None:
        objects.put_raw("Pod", "ADDED", pod("p", uid="one"))
        lines = told(objects)
        objects.put_raw("Pod", "ADDED", pod("p", uid="two"))
        assert lines == ["DELETED Pod p", "ADDED Pod p"]

    def test_a_deletion_is_told_with_its_last_state_and_once(self, objects: Objects) -> None:
        objects.put_raw("Pod", "ADDED", pod("p"))
        last = pod("p", pod_phase="Failed")
        gone = objects.put_raw("Pod", "DELETED", last)
        assert gone["status"]["phase"] == "Failed"
        lines = told(objects)
        objects.remove_raw("Pod", last)
        assert lines == []

    def test_nothing_else_is_touched(self, objects: Objects) -> None:
        owner = objects.create("Job", job("migrate"))
        objects.put_raw("Pod", "ADDED", pod("migrate-1", owner=owner))
        objects.remove_raw("Job", owner)
        assert objects.find("Pod", "shop", "migrate-1") is not None


class TestHistory:
    def test_a_list_can_be_had_as_it_was(self, objects: Objects) -> None:
        objects.create("ConfigMap", config("a"))
        objects.create("ConfigMap", config("b"))
        then = objects.resource_version
        objects.delete("ConfigMap", "shop", "a")
        objects.create("ConfigMap", config("c"))
        assert [one["metadata"]["name"] for one in objects.list("ConfigMap", version=then)] == ["a", "b"]

    def test_what_was_compacted_is_expired(self, objects: Objects) -> None:
        objects.create("ConfigMap", config("a"))
        then = objects.resource_version
        objects.create("ConfigMap", config("b"))
        objects.compact()
        with pytest.raises(ApiFault, match=r"410 Expired: too old resource version: 2 \(3\)"):
            objects.since("ConfigMap", then)
        assert objects.since("ConfigMap", objects.resource_version) == []

    def test_only_so_many_changes_of_a_kind_are_kept(self, clock: SteppedClock) -> None:
        objects = Objects(clock, history=2)
        for name in ("a", "b", "c"):
            objects.create("ConfigMap", config(name))
        assert [change.object["metadata"]["name"] for change in objects.since("ConfigMap", 2)] == ["b", "c"]
        with pytest.raises(ApiFault, match="410 Expired"):
            objects.since("ConfigMap", 1)

    def test_who_unsubscribed_is_told_no_more(self, objects: Objects) -> None:
        heard: list[Change] = []
        unsubscribe = objects.subscribe(heard.append)
        objects.create("ConfigMap", config("a"))
        unsubscribe()
        objects.create("ConfigMap", config("b"))
        assert [change.version for change in heard] == [2]
