"""Who is asking. Every route needs an identity unless its entry in the table of routes says otherwise.

Now: named static tokens. Beside them is room for a trusted proxy's header and TokenReview: all give an ``Identity``.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Iterable
from enum import StrEnum
from urllib.parse import quote, urlsplit

import msgspec
from aiohttp import web

IDENTITY = web.RequestKey("identity", object)
_COOKIE = "responder_token"
_COOKIE_LASTS = 12 * 3600
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


def same(given: str, expected: str) -> bool:
    """Constant time, whatever the bytes."""
    return hmac.compare_digest(_bytes(given), _bytes(expected))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


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

    def __init__(self, tokens: Callable[[], Iterable[NamedToken]]) -> None:
        """``tokens``: those that are good now; asked for each request, and must not block."""
        self._tokens = tokens

    def identify(self, request: web.Request) -> Identity | None:
        given = bearer(request) or request.cookies.get(_COOKIE, "")
        return self.of_token(given)

    def of_token(self, given: str) -> Identity | None:
        """An empty one is nobody, even where an empty token is configured."""
        found, raw = None, _bytes(given)
        for known in self._tokens():  # all of them, so that the time tells nothing
            if hmac.compare_digest(raw, _bytes(known.token)):
                found = Identity(known.name, known.role)
        return found if given else None

    def admit(self, request: web.Request) -> None:
        """Raises what the answer is to somebody who is nobody, or whose browser was sent here by another page."""
        identity = self.identify(request)
        if identity is None:
            raise _who_are_you(request)
        if request.method not in _READING:
            from_our_own_page(request)
        request[IDENTITY] = identity


def identity_of(request: web.Request) -> Identity:
    found = request[IDENTITY]
    assert isinstance(found, Identity)  # noqa: S101 - put there when it was admitted
    return found


def operator(request: web.Request) -> str:
    """The name of somebody who may change things; 403 otherwise."""
    identity = identity_of(request)
    if identity.role is not Role.OPERATOR:
        raise web.HTTPForbidden(text=f"{identity.name} may look, and not change anything: the role operator is needed")
    return identity.name


def wants_page(request: web.Request) -> bool:
    """A browser that opens an address or sends a form, as against a program that asks."""
    return "text/html" in request.headers.get("Accept", "")


def _who_are_you(request: web.Request) -> web.HTTPException:
    if wants_page(request):
        return web.HTTPSeeOther(f"/login?next={quote(request.path_qs, safe='/')}")
    return web.HTTPUnauthorized(
        text="a token is needed: Authorization: Bearer ...", headers={"WWW-Authenticate": 'Bearer realm="responder"'}
    )


def from_our_own_page(request: web.Request) -> None:
    """A browser that is made to post here from elsewhere says so: its cookie is not taken then."""
    if request.headers.get("Authorization"):
        return  # not sent by browsers on their own
    site = request.headers.get("Sec-Fetch-Site", "")
    if site in ("same-origin", "none"):
        return
    origin = request.headers.get("Origin", "")
    if site or not origin or urlsplit(origin).netloc != request.host:
        raise web.HTTPForbidden(text="a cookie is taken from our own pages only; programs send Authorization: Bearer")


def set_cookie(response: web.Response, token: str, *, secure: bool) -> None:
    """Lax, so that a link in a chat opens the page; what changes something is held by ``from_our_own_page`` too."""
    response.set_cookie(_COOKIE, token, httponly=True, samesite="Lax", secure=secure, max_age=_COOKIE_LASTS, path="/")


def drop_cookie(response: web.Response) -> None:
    response.del_cookie(_COOKIE, path="/")
