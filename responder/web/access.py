"""Who is asking. Every route but probes and the webhook needs an identity.

Now: named static tokens. Beside them is room for a trusted proxy's header and TokenReview: all give an ``Identity``.
"""

import base64
import binascii
import hmac
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

IDENTITY = web.RequestKey("identity", object)
_COOKIE = "responder_token"
_OPEN = frozenset({"/healthz", "/readyz", "/version", "/v1/argocd/webhook", "/login"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Role(StrEnum):
    VIEWER = "viewer"
    OPERATOR = "operator"


class Identity(msgspec.Struct, frozen=True):
    name: str
    role: Role


class NamedToken(msgspec.Struct, frozen=True):
    name: str
    token: str
    role: Role


Middleware = Callable[
    [web.Request, Callable[[web.Request], Awaitable[web.StreamResponse]]], Awaitable[web.StreamResponse]
]


def same(given: str, expected: str) -> bool:
    """Constant time, whatever the bytes."""
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode("utf-8", "surrogateescape"))


def bearer(request: web.Request) -> str:
    """The token of a Bearer or a Basic header (its password), or empty."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode("utf-8", "replace").partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return ""


class Access:
    """Tells who asks, and refuses whoever is nobody."""

    def __init__(self, tokens: Sequence[NamedToken]) -> None:
        self._tokens = tuple(tokens)

    def identify(self, request: web.Request) -> Identity | None:
        given = bearer(request) or request.cookies.get(_COOKIE, "")
        return self.of_token(given)

    def of_token(self, given: str) -> Identity | None:
        found = None
        for known in self._tokens:  # all of them, so that the time tells nothing
            if same(given, known.token):
                found = Identity(known.name, known.role)
        return found if given else None

    def middleware(self) -> Middleware:
        @web.middleware
        async def guard(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            if request.path in _OPEN or request.path.startswith("/static/"):
                return await handler(request)
            identity = self.identify(request)
            if identity is None:
                return _who_are_you(request)
            if request.method not in _READING:
                _from_our_own_page(request)
            request[IDENTITY] = identity
            return await handler(request)

        return guard


def identity_of(request: web.Request) -> Identity:
    found = request[IDENTITY]
    assert isinstance(found, Identity)  # noqa: S101 - the middleware put it there
    return found


def operator(request: web.Request) -> str:
    """The name of somebody who may change things; 403 otherwise."""
    identity = identity_of(request)
    if identity.role is not Role.OPERATOR:
        raise web.HTTPForbidden(text=f"{identity.name} may look, and not change anything: the role operator is needed")
    return identity.name


def _who_are_you(request: web.Request) -> web.StreamResponse:
    if request.method == "GET" and "text/html" in request.headers.get("Accept", ""):
        return web.HTTPSeeOther(f"/login?next={request.path_qs}")
    return web.Response(
        status=401,
        headers={"WWW-Authenticate": 'Bearer realm="responder"'},
        content_type="application/problem+json",
        body=msgspec.json.encode({"title": "Unauthorized", "status": 401, "detail": "a token is needed"}),
    )


def _from_our_own_page(request: web.Request) -> None:
    """A browser that is made to post here from elsewhere says so: its cookie is not taken then."""
    if request.headers.get("Authorization"):
        return  # not sent by browsers on their own
    site = request.headers.get("Sec-Fetch-Site", "")
    origin = request.headers.get("Origin", "")
    if site not in ("", "same-origin", "none") or (origin and urlsplit(origin).netloc != request.host):
        raise web.HTTPForbidden(text="this request comes from another site")


def set_cookie(response: web.Response, token: str, *, secure: bool) -> None:
    response.set_cookie(_COOKIE, token, httponly=True, samesite="Strict", secure=secure, max_age=12 * 3600)
