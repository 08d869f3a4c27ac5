import base64
from collections.abc import AsyncIterator

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook as StandardWebhook
from standardwebhooks.webhooks import WebhookVerificationError

from responder.core.alert import Alert, AlertState
from responder.receivers.http import Endpoint
from responder.receivers.webhook import Webhook, message_id, parse_key
from tests.unit.receivers.neighbours import ALERT, Neighbour, alert, neighbour

KEY = bytes(range(32))
SECRET = f"whsec_{base64.b64encode(KEY).decode()}"


@pytest.fixture
async def hub() -> AsyncIterator[Neighbour]:
    async with neighbour() as one:
        yield one


@pytest.fixture
async def webhook(hub: Neighbour) -> AsyncIterator[Webhook]:
    receiver = Webhook("hub", Endpoint(hub.url(), timeout=5), parse_key(SECRET))
    yield receiver
    await receiver.close()


async def test_the_reference_library_verifies_what_we_sign(hub: Neighbour, webhook: Webhook) -> None:
    await webhook.send(ALERT, "")
    (request,) = hub.requests
    verified = StandardWebhook(SECRET).verify(request.body, dict(request.headers))
    assert verified["data"]["incident_id"] == "i1"


async def test_the_reference_library_refuses_a_changed_body(hub: Neighbour, webhook: Webhook) -> None:
    await webhook.send(ALERT, "")
    (request,) = hub.requests
    with pytest.raises(WebhookVerificationError):
        StandardWebhook(SECRET).verify(request.body.replace(b"partial", b"nothing"), dict(request.headers))


async def test_the_body_is_a_cloud_event(hub: Neighbour, webhook: Webhook) -> None:
    await webhook.send(ALERT, "")
    (request,) = hub.requests
    event = msgspec.json.decode(request.body)
    assert request.headers["Content-Type"] == "application/cloudevents+json"
    assert {name: value for name, value in event.items() if name != "data"} == {
        "specversion": "1.0",
        "id": request.headers["webhook-id"],
        "source": "/hook-responder",
        "type": "io.hook-responder.incident.firing.v1",
        "subject": "i1",
        "time": "2026-03-01T03:00:00Z",
        "datacontenttype": "application/json",
    }
    assert msgspec.convert(event["data"], Alert) == ALERT


async def test_the_type_tells_the_state(hub: Neighbour, webhook: Webhook) -> None:
    await webhook.send(alert(state=AlertState.RESOLVED), "")
    assert msgspec.json.decode(hub.requests[0].body)["type"] == "io.hook-responder.incident.resolved.v1"


def test_the_same_alert_has_the_same_id_and_another_has_another() -> None:
    again = msgspec.json.decode(msgspec.json.encode(ALERT), type=Alert)
    assert message_id(ALERT) == message_id(again)
    assert message_id(ALERT) != message_id(alert(state=AlertState.RESOLVED))


@pytest.mark.parametrize(
    "secret", ["whsec_", "whsec_c2hvcnQ=", SECRET.removeprefix("whsec_"), "whsec_???", "", "plain"]
)
def test_a_secret_that_is_none_is_refused_without_repeating_it(secret: str) -> None:
    with pytest.raises(ValueError, match="a signing secret is whsec_ and the base64 of at least 24 random bytes"):
        parse_key(secret)
