"""``responder receivers test``: a test alert, built and sent as a real one is, without the outbox."""

import asyncio
import json
import sys
from datetime import UTC, datetime

import msgspec

from responder.config import ConfigError, Settings
from responder.core.alert import Alert
from responder.exits import COULD_NOT_ASK, GOOD
from responder.ports import Receiver, ReceiverError
from responder.receivers.build import build_receivers
from responder.receivers.template import SAMPLE
from responder.terminal import complain


def run_test(settings: Settings, name: str, *, as_json: bool) -> int:
    """0 it was taken, 4 it was not. Raises ``ConfigError``."""
    refused = _refusal(settings, name)
    if as_json:
        reason, detail = (refused.reason, str(refused)) if refused else ("", "")
        told = {"receiver": name, "taken": refused is None, "reason": reason, "detail": detail}
        sys.stdout.write(json.dumps(told) + "\n")
    elif refused:
        complain(f"{name}: {refused.reason}: {refused}")
    else:
        sys.stdout.write(f"{name} took a test alert\n")
    return COULD_NOT_ASK if refused else GOOD


def _refusal(settings: Settings, name: str) -> ReceiverError | None:
    chosen = [config for config in settings.receivers if config.name == name]
    if not chosen:
        known = ", ".join(config.name for config in settings.receivers) or "none"
        raise ConfigError([f"receiver {name} is not configured; there is: {known}"])
    try:
        asyncio.run(_sent(build_receivers(chosen)[name], _test_alert(datetime.now(UTC))))
    except ReceiverError as error:
        return error
    return None


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
