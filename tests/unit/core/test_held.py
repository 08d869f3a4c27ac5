"""Open incidents in memory, when the store is asked anew while Applications go on."""

import msgspec

from responder.core.held import Incidents
from responder.core.incident import Incident, IncidentState
from tests.unit.core import deciding
from tests.unit.core.night import KEY, at

ASKED = at(100)
FIRING, RESOLVED = IncidentState.FIRING, IncidentState.RESOLVED


def incident(name: str, updated: float, state: IncidentState = FIRING, uid: str = "app-1") -> Incident:
    return msgspec.structs.replace(deciding.incident(updated_at=at(updated), state=state), id=name, app_uid=uid)


def held(*kept: Incident) -> Incidents:
    incidents = Incidents()
    for one in kept:
        incidents.keep(one)
    return incidents


def test_the_store_knows_better_what_has_become_of_an_incident() -> None:
    incidents = held(incident("gone", 90))
    incidents.replace([], [], asked_at=ASKED)
    assert incidents.of(KEY) is None


def test_an_incident_that_was_opened_while_the_store_was_asked_is_not_forgotten() -> None:
    mine, other = incident("new", 101), incident("other", 50, uid="app-2")
    incidents = held(mine)
    incidents.replace([other], [], asked_at=ASKED)
    assert incidents.open == {"app-1": mine, "app-2": other}


def test_one_that_was_closed_meanwhile_does_not_come_back_and_the_next_one_stays() -> None:
    closed = incident("old", 101, RESOLVED)
    following = incident("next", 102)
    incidents = held(closed, following)
    incidents.replace([incident("old", 50)], [], asked_at=ASKED)
    assert incidents.of(KEY) == following
    assert incidents.closed_of("app-1") == closed


def test_of_two_versions_the_newer_one_stays() -> None:
    newer = incident("one", 60)
    for mine, stored in ((newer, incident("one", 50)), (incident("one", 50), newer)):
        incidents = held(mine)
        incidents.replace([stored], [], asked_at=ASKED)
        assert incidents.of(KEY) == newer
