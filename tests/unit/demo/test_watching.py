"""What a client holds that lists, watches, loses its watch and resumes: always what the server holds."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from responder.demo.api import Api, Reply
from responder.demo.clock import SteppedClock
from responder.demo.objects import Objects
from responder.demo.watching import Watch
from tests.unit.demo.cases import config
from tests.unit.demo.conftest import NIGHT

PATH = "/api/v1/configmaps"
NAMES = st.sampled_from("abc")
STEPS = st.one_of(
    st.tuples(st.just("put"), NAMES, st.sampled_from("12")),
    st.tuples(st.just("delete"), NAMES, st.just("")),
    st.tuples(st.sampled_from(["take", "resume", "compact", "other"]), st.just(""), st.just("")),
)


class Client:
    """Holds what is labelled x=1, as a reflector would."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.held: dict[str, str] = {}
        self.version = ""
        self.watch = self._list()

    def _ask(self, **query: str) -> Reply | Watch:
        answer = self.api.answer("GET", PATH, {"labelSelector": "x=1", **query}, {}, b"")
        assert isinstance(answer, Reply | Watch)
        return answer

    def _list(self) -> Watch:
        reply = self._ask()
        assert isinstance(reply, Reply)
        listed = json.loads(reply.body)
        self.held = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in listed["items"]}
        self.version = listed["metadata"]["resourceVersion"]
        return self._watch()

    def _watch(self) -> Watch:
        watch = self._ask(watch="1", resourceVersion=self.version, allowWatchBookmarks="true")
        assert isinstance(watch, Watch)
        return watch

    def resume(self) -> None:
        self.watch = self._watch()

    def take(self) -> None:
        for line in self.watch.take().splitlines():
            self._heed(json.loads(line))
        if self.watch.ended:
            self.watch = self._list()

    def _heed(self, event: dict[str, Any]) -> None:
        if event["type"] == "ERROR":
            assert event["object"]["code"] == 410
            return
        meta = event["object"]["metadata"]
        assert int(meta["resourceVersion"]) >= int(self.version), "time runs forward"
        self.version = meta["resourceVersion"]
        match event["type"]:
            case "ADDED":
                assert meta["name"] not in self.held
                self.held[meta["name"]] = self.version
            case "MODIFIED":
                assert meta["name"] in self.held
                self.held[meta["name"]] = self.version
            case "DELETED":
                del self.held[meta["name"]]
            case other:
                assert other == "BOOKMARK"


def put(objects: Objects, name: str, label: str) -> None:
    if objects.find("ConfigMap", "shop", name) is None:
        objects.create("ConfigMap", config(name, labels={"x": label}))
    else:
        objects.patch("ConfigMap", "shop", name, {"metadata": {"labels": {"x": label}}})


@settings(max_examples=150)
@given(st.lists(STEPS, max_size=25), st.booleans())
def test_a_watching_client_holds_what_the_server_holds(steps: list[tuple[str, str, str]], eager: bool) -> None:
    objects = Objects(SteppedClock(NIGHT), history=6)
    client = Client(Api(objects, eager_bookmarks=eager))
    for what, name, label in steps:
        match what:
            case "put":
                put(objects, name, label)
            case "delete" if objects.find("ConfigMap", "shop", name) is not None:
                objects.delete("ConfigMap", "shop", name)
            case "take":
                client.take()
            case "resume":
                client.resume()
            case "compact":
                objects.compact()
            case "other":
                objects.create("Secret", {"metadata": {"generateName": "s-"}})
            case _:
                pass  # nothing there to delete
    client.take()
    chosen = objects.list("ConfigMap", labels="x=1")
    assert client.held == {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in chosen}
    if eager and objects.resource_version > 1:
        client.take()
        assert client.version == str(objects.resource_version)


def test_changes_that_a_watch_has_told_may_be_forgotten(objects: Objects) -> None:
    client = Client(Api(objects))
    put(objects, "a", "1")
    client.take()
    objects.compact()
    put(objects, "b", "1")
    assert [json.loads(line)["type"] for line in client.watch.take().splitlines()] == ["ADDED"]


def test_a_forgotten_version_is_told_once_and_ends_the_watch(objects: Objects) -> None:
    put(objects, "a", "1")
    put(objects, "b", "1")
    objects.compact()
    watch = Api(objects).answer("GET", PATH, {"watch": "1", "resourceVersion": "2"}, {}, b"")
    assert isinstance(watch, Watch)
    event = json.loads(watch.take())
    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
    assert event["object"]["message"] == "too old resource version: 2 (3)"
    assert watch.ended
    assert watch.take() == b""
