"""Secrets of receivers are renewed in place, as Kubernetes does it."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from responder.config import ConfigError, ReceiverConfig
from responder.receivers.build import build_receivers
from responder.receivers.renewed import Renewed
from tests.unit.receivers.neighbours import Neighbour, alert, neighbour

KEY = f"whsec_{base64.b64encode(bytes(32)).decode()}"


@pytest.fixture
async def hub() -> AsyncIterator[Neighbour]:
    async with neighbour() as one:
        yield one


@pytest.fixture
async def receiver(hub: Neighbour, tmp_path: Path) -> AsyncIterator[Renewed]:
    (tmp_path / "url").write_text(hub.url("/before"))
    (tmp_path / "key").write_text(KEY)
    config = ReceiverConfig(name="hub", type="webhook", url_file=tmp_path / "url", secret_file=tmp_path / "key")
    (built,) = build_receivers((config,)).values()
    yield built
    await built.close()


def paths(hub: Neighbour) -> list[str]:
    return [request.path for request in hub.requests]


async def test_what_is_sent_next_goes_to_the_new_address(receiver: Renewed, hub: Neighbour, tmp_path: Path) -> None:
    await receiver.send(alert(), "")
    (tmp_path / "url").write_text(hub.url("/after/the/change"))
    assert await receiver.built.look()
    await receiver.send(alert(), "")
    assert paths(hub) == ["/before", "/after/the/change"]


async def test_what_is_being_sent_ends_as_it_began(receiver: Renewed, hub: Neighbour, tmp_path: Path) -> None:
    hub.released.clear()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        first = group.create_task(receiver.send(alert("i1"), "kept"))
        await hub.arrived.get()
        (tmp_path / "url").write_text(hub.url("/after/the/change"))
        assert await receiver.built.look()
        second = group.create_task(receiver.send(alert("i2"), ""))
        await hub.arrived.get()
        hub.released.set()
    assert (first.result(), second.result()) == ("kept", "")
    assert paths(hub) == ["/before", "/after/the/change"]


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("url", "", "url: secret is empty"),
        ("url", "hooks.example.com", "a URL starts with https:// or http://"),
        ("key", "whsec_c2hvcnQ=", "key: a signing secret is whsec_ and the base64 of at least 24 random bytes"),
        ("key", None, "key: secret cannot be read: No such file or directory"),
    ],
)
async def test_a_bad_secret_leaves_the_good_one(
    receiver: Renewed, hub: Neighbour, tmp_path: Path, file: str, text: str | None, problem: str
) -> None:
    good = (tmp_path / file).read_text()
    (tmp_path / file).unlink()
    if text is not None:
        (tmp_path / file).write_text(text)
    assert await receiver.built.look()
    assert [told.replace(f"{tmp_path}/", "") for told in receiver.built.problems] == [f"receiver hub: {problem}"]
    await receiver.send(alert(), "")
    assert paths(hub) == ["/before"]
    (tmp_path / file).write_text(good)
    assert await receiver.built.look()
    assert receiver.built.problems == ()


def test_at_the_start_a_bad_secret_is_an_error(tmp_path: Path) -> None:
    config = ReceiverConfig(name="hub", type="slack", url_file=tmp_path / "gone")
    with pytest.raises(ConfigError, match=r"receiver hub: .*gone: secret cannot be read"):
        build_receivers((config,))
