import pytest

from responder.web.changes import PENDING, Changes, FullError
from tests.unit.web.world import Client, World, redacted

NEVER = 60.0


async def test_the_same_incident_is_told_once_however_often_it_changed() -> None:
    changes = Changes()
    with changes.subscribe() as subscription:
        for incident_id in ("a", "b", "a"):
            changes.publish(incident_id)

        assert await anext(subscription.batches(NEVER)) == ["a", "b"]


async def test_who_falls_far_behind_is_told_to_look_at_everything() -> None:
    changes = Changes()
    with changes.subscribe() as subscription:
        for number in range(PENDING + 5):
            changes.publish(str(number))
        batches = subscription.batches(NEVER)

        assert await anext(batches) is None
        changes.publish("later")
        assert await anext(batches) == ["later"]


async def test_silence_is_broken_by_an_empty_batch() -> None:
    with Changes().subscribe() as subscription:
        assert await anext(subscription.batches(0.01)) == []


async def test_only_so_many_may_listen_and_who_leaves_makes_room() -> None:
    changes = Changes(limit=1)
    with changes.subscribe(), pytest.raises(FullError), changes.subscribe():
        pass
    with changes.subscribe():
        assert len(changes) == 1
    assert len(changes) == 0


async def test_closing_ends_every_stream_and_takes_no_new_one() -> None:
    changes = Changes()
    with changes.subscribe() as subscription:
        changes.close()

        assert [batch async for batch in subscription.batches(NEVER)] == []
    with pytest.raises(FullError), changes.subscribe():
        pass


# Over HTTP.


async def test_a_page_is_told_which_incident_changed(world: World, client: Client) -> None:
    async with client.get("/v1/events") as response:
        assert response.content_type == "text/event-stream"
        assert await response.content.readline() == b"retry: 3000\n"

        opened = await world.fail(redacted("dbmate__postgres__conn-refused.log"))

        assert await response.content.readuntil(b"}\n\n") == (
            b'\nevent: changed\ndata: {"incident":"%s"}\n\n' % opened.id.encode()
        )


async def test_a_stream_ends_when_the_program_does(world: World, client: Client) -> None:
    async with client.get("/v1/events") as response:
        await response.content.readline()
        world.changes.close()

        assert await response.content.read() == b"\n"


async def test_too_many_listeners_are_sent_away(world: World, client: Client) -> None:
    world.changes.close()

    response = await client.get("/v1/events")

    assert (response.status, response.headers["Retry-After"]) == (503, "10")
