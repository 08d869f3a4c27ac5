"""What the faces need, handed to them whole by the composition root."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib import metadata

import msgspec
from aiohttp import web

from responder.configured import InForce
from responder.core.actions import Switch
from responder.desk import Desk
from responder.gatekeeper import Gatekeeper
from responder.loading import Loader, Rules
from responder.metrics import Metrics
from responder.ports import Clock, Cluster, Store
from responder.web.access import Access
from responder.web.changes import Changes
from responder.web.webhook import Intake


class OutboxStats(msgspec.Struct, frozen=True):
    pending: int = 0
    oldest_seconds: float = 0.0


async def _unread() -> Switch:
    return Switch.UNREADABLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Faces:
    """Services, not values; ``build`` puts it into the application under ``FACES``."""

    store: Store
    loader: Loader
    desk: Desk
    gatekeeper: Gatekeeper
    cluster: Cluster
    clock: Clock
    metrics: Metrics
    rules: Callable[[], Rules]
    intake: Intake
    access: Access
    changes: Changes
    outbox: Callable[[], OutboxStats] = OutboxStats
    pending: Callable[[], int] = lambda: 0  # wake-ups that wait to be looked at
    leader: Callable[[], bool] = lambda: True
    in_force: Callable[[], InForce] = InForce
    killswitch: str = "hook-responder/responder-killswitch"  # namespace/name of its ConfigMap
    switch: Callable[[], Awaitable[Switch]] = _unread  # how it stands just now
    url: str = ""  # how people reach us
    version: str = field(default_factory=lambda: metadata.version("argocd-hook-responder"))
    metrics_open: bool = False  # /metrics without a token
    demo: bool = False  # said on every page


FACES = web.AppKey("faces", Faces)


def faces_of(request: web.Request) -> Faces:
    return request.app[FACES]
