"""Time passes: what is due in between happens at its own moment."""

from datetime import timedelta

from responder.demo.agenda import Agenda
from responder.demo.clock import SteppedClock


def pass_time(clock: SteppedClock, agenda: Agenda, seconds: float) -> None:
    until = clock.now() + timedelta(seconds=seconds)
    agenda.run_due()
    while (due := agenda.next_due) is not None and due <= until:
        clock.move_to(due)
        agenda.run_due()
    clock.move_to(until)
