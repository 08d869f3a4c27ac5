"""``responder receivers test``: a test alert, built and sent as a real one is, without the outbox."""

import asyncio
from datetime import UTC, datetime

import msgspec

from responder.config import ConfigError, Settings
from responder.core.alert import Alert
from responder.ports import Receiver
from responder.receivers.build import build_receivers
from responder.receivers.template import SAMPLE


def send_test(settings: Settings, name: str) -> str:
    """Raises ``ConfigError``, ``ReceiverError``."""
    chosen = [config for config in settings.receivers if config.name == name]
    if not chosen:
        known = ", ".join(config.name for config in settings.receivers) or "none"
        raise ConfigError([f"receiver {name} is not configured; there is: {known}"])
    asyncio.run(_sent(build_receivers(chosen)[name], _test_alert(datetime.now(UTC))))
    return f"{name} took a test alert"


async def _sent(receiver: Receiver, alert: Alert) -> None:
    try:
        await receiver.send(alert, "")
    finally:
        await receiver.close()


def _test_alert(now: datetime) -> Alert:
    return msgspec.structs.replace(
        SAMPLE,
        key="hook-responder/test",
        incident_id="test",
        title=f"Test of the hook responder, nothing failed: {SAMPLE.title}",
        what=f"This is a test. A real alert says: {SAMPLE.what}",
        starts_at=now,
        updated_at=now,
    )
