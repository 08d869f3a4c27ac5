"""Intake: answer fast, never lose. 202 only after the wake-up is durable: Argo CD has one worker and no time-out."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from http import HTTPStatus
from time import perf_counter

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from responder.core.argocd import AppKey
from responder.core.notification import Notification, Refusal, failed_by_text, parse_notification
from responder.metrics import Metrics
from responder.ports import AddWakeup, Clock, Store, StoreError, Trigger, Wakeup
from responder.web.access import bearer, same
from responder.web.problems import RETRY_AFTER, problem

log = logging.getLogger("responder.webhook")

_TEXT_LIMIT = 64 << 10  # of a stock template's text, which is read only to be thrown away


class Intake:
    def __init__(
        self,
        store: Store,
        wake: Callable[[AppKey | None, Trigger], None],
        clock: Clock,
        metrics: Metrics,
        tokens: Callable[[], Iterable[str]],
        *,
        heard_of: Callable[[str], None] = lambda _: None,
        body_limit: int = 3 << 20,
        read_deadline: timedelta = timedelta(seconds=10),
    ) -> None:
        self._store = store
        self._wake = wake
        self._heard_of = heard_of  # a name that a text told
        self._clock = clock
        self._metrics = metrics
        self._tokens = tokens  # those that are good now
        self._body_limit = body_limit
        self._read_deadline = read_deadline.total_seconds()

    async def handle(self, request: web.Request) -> web.Response:
        begun = perf_counter()
        result, response = await self._answer(request)
        self._metrics.webhooks_total(result).inc()
        self._metrics.webhook_duration_seconds.observe(perf_counter() - begun)
        return response

    async def _answer(self, request: web.Request) -> tuple[str, web.Response]:
        if not self._known(bearer(request)):
            return "unauthorized", _problem(401, "a valid token is needed", {"WWW-Authenticate": "Bearer"})
        limit = self._body_limit if request.method == "POST" else _TEXT_LIMIT
        try:
            body = await self._body(request, limit)
        except TimeoutError:
            return "timeout", _problem(408, f"the body did not come within {self._read_deadline:g} s")
        except (web.RequestPayloadError, HttpProcessingError) as error:
            return "invalid", _problem(400, f"the body cannot be read: {type(error).__name__}")
        if body is None:
            return "too-large", _problem(413, f"the body is larger than {limit} bytes")
        if request.method == "GET":
            taken = await self._accept(Notification(None), Trigger.STOCK_TEMPLATE, "stock-template")
            if name := failed_by_text(body):
                self._heard_of(name)
            return taken
        parsed = parse_notification(body)
        if isinstance(parsed, Refusal):
            log.warning("webhook refused: %s", parsed)
            return "invalid", _problem(422, str(parsed))
        return await self._accept(parsed, Trigger.WEBHOOK, "accepted")

    async def _body(self, request: web.Request, limit: int) -> bytes | None:
        if request.content.is_eof():  # it came together with its head: there is nothing to wait for
            whole = request.content.read_nowait(-1)
            return whole if len(whole) <= limit else None
        async with asyncio.timeout(self._read_deadline):
            return await _read(request, limit)

    async def _accept(self, hint: Notification, trigger: Trigger, result: str) -> tuple[str, web.Response]:
        try:
            await self._store.commit(AddWakeup(Wakeup(hint.app, trigger, self._clock.now())))
        except StoreError as error:
            log.warning("webhook not kept: %s", error)
            return "unavailable", _problem(503, "the store is not available", {"Retry-After": RETRY_AFTER})
        self._wake(hint.app, trigger)
        return result, web.Response(status=202)

    def _known(self, given: str) -> bool:
        matches = [same(given, token) for token in self._tokens()]  # all of them, so that the time tells nothing
        return bool(given) and any(matches)


async def _read(request: web.Request, limit: int) -> bytes | None:
    """The body, or None when it is larger than ``limit`` bytes; no more than that is ever held."""
    if request.content_length is not None and request.content_length > limit:
        return None
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
    return b"".join(parts)


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    return problem(status, HTTPStatus(status).phrase, detail, headers)
