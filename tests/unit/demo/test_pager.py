from datetime import UTC, datetime

import aiohttp
import msgspec

from responder.core.alert import Alert, AlertState, Severity
from responder.demo.pager import Pager
from responder.receivers.webhook import event

NIGHT = datetime(2026, 11, 21, 3, tzinfo=UTC)


def alert(incident: str, state: AlertState, severity: Severity = Severity.WARNING) -> Alert:
    return Alert(
        key=f"hook-responder/{incident}",
        incident_id=incident,
        state=state,
        severity=severity,
        title="shop: db-migrate",
        what="it failed",
        left="nothing",
        next="look",
        labels={},
        starts_at=NIGHT,
        updated_at=NIGHT,
    )


async def test_a_page_is_the_first_alert_of_an_incident_that_fires() -> None:
    async with Pager() as pager, aiohttp.ClientSession() as http:
        for told in (
            alert("a", AlertState.FIRING),
            alert("a", AlertState.FIRING, Severity.CRITICAL),
            alert("a", AlertState.RESOLVED),
            alert("b", AlertState.RESOLVED),
        ):
            async with http.post(pager.url, data=msgspec.json.encode(event(told, "m"))) as answer:
                assert answer.status == 204
        assert {name: page.severity for name, page in pager.pages.items()} == {"a": Severity.WARNING}
        assert len(pager.alerts) == 4
