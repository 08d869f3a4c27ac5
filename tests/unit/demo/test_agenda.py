import asyncio
from datetime import UTC, datetime, timedelta

from responder.demo.agenda import Agenda
from responder.demo.clock import FastClock, SteppedClock

NIGHT = datetime(2026, 11, 21, 3, tzinfo=UTC)


def test_what_is_due_is_done_in_order_and_what_it_makes_due_as_well() -> None:
    clock = SteppedClock(NIGHT)
    agenda, done = Agenda(clock), list[str]()
    agenda.after(2, lambda: done.append("second"))
    agenda.after(1, lambda: agenda.after(0, lambda: done.append("at once")))
    agenda.after(3, lambda: done.append("later"))
    assert not agenda.run_due()
    clock.move_to(NIGHT + timedelta(seconds=2))
    assert agenda.run_due()
    assert done == ["second", "at once"]
    assert agenda.next_due == NIGHT + timedelta(seconds=3)


async def test_driven_by_a_clock_it_wakes_for_what_is_put_in_nearer() -> None:
    agenda, done = Agenda(FastClock(1000)), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(agenda.run())
        agenda.after(3600, lambda: None)
        await asyncio.sleep(0)
        agenda.after(1, done.set)
        async with asyncio.timeout(5):
            await done.wait()
        running.cancel()
