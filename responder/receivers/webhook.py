"""Signed webhook: CloudEvents 1.0 (structured JSON), signed after Standard Webhooks.

The body's ``data`` is the `Alert`; its schema is versioned by the event's type, fields are only ever added. The same
alert carries the same id however often it is sent: a consumer drops what it has seen.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from responder.core.alert import Alert
from responder.receivers.http import Endpoint

SOURCE = "/hook-responder"
_PREFIX = "whsec_"
_SHORTEST = 24  # bytes; what Standard Webhooks asks for


class Webhook:
    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        key: bytes,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.name = name
        self.repeat_every: float | None = None
        self._endpoint = endpoint
        self._key = key
        self._now = now

    async def send(self, alert: Alert, reference: str) -> str:
        event_id = message_id(alert)
        body = msgspec.json.encode(event(alert, event_id))
        stamp = str(int(self._now().timestamp()))
        headers = {
            "Content-Type": "application/cloudevents+json",
            "webhook-id": event_id,
            "webhook-timestamp": stamp,
            "webhook-signature": sign(self._key, event_id, stamp, body),
        }
        await self._endpoint.post(body, headers)
        return reference

    async def close(self) -> None:
        await self._endpoint.close()


def message_id(alert: Alert) -> str:
    return f"msg_{hashlib.sha256(msgspec.json.encode(alert, order='deterministic')).hexdigest()[:32]}"


def event(alert: Alert, event_id: str) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": event_id,
        "source": SOURCE,
        "type": f"io.hook-responder.incident.{alert.state}.v1",
        "subject": alert.incident_id,
        "time": alert.updated_at,
        "datacontenttype": "application/json",
        "data": alert,
    }


def sign(key: bytes, message: str, stamp: str, body: bytes) -> str:
    digest = hmac.digest(key, f"{message}.{stamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(digest).decode()}"


def parse_key(secret: str) -> bytes:
    """The key of a ``whsec_`` secret; raises `ValueError` with what would be right."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(_PREFIX) or len(key) < _SHORTEST:
        raise ValueError(f"a signing secret is {_PREFIX} and the base64 of at least {_SHORTEST} random bytes")
    return key
