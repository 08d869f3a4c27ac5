"""Templates to pages: every value escaped, every name known."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files

from aiohttp import web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from responder.core.wording import ago, short
from responder.web.access import IDENTITY, Identity, Role
from responder.web.faces import faces_of
from responder.web.routes import HTML

_MEDIA = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_AT_ONCE = timedelta(seconds=10)
_TICKS = re.compile(r"`([^`]+)`")

RETRY = {
    "safe": "safe to run again",
    "futile": "fails again until something changes",
    "unsafe": "do not run it again",
    "unknown": "not known whether it may run again",
}
LEFT = {
    "none": "nothing",
    "partial": "part of the migration",
    "dirty": "a marker that refuses the next run",
    "locked": "a lock that outlives its process",
    "unknown": "not known",
}


def render(request: web.Request, template: str, status: int = 200, **context: object) -> web.Response:
    faces = faces_of(request)
    identity = request.get(IDENTITY)
    text = (
        _environment()
        .get_template(template)
        .render(
            context,
            now=faces.clock.now(),
            identity=identity,
            may_act=isinstance(identity, Identity) and identity.role is Role.OPERATOR,
            demo=faces.demo,
            asset=asset,
        )
    )
    return web.Response(status=status, text=text, content_type=HTML, charset="utf-8")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("responder.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for given in (moment, iso, since, words, short, size, begin, apart, ticked):
        environment.filters[given.__name__] = given
    environment.globals |= {"RETRY": RETRY, "LEFT": LEFT}
    return environment


def moment(at: datetime, now: datetime) -> str:
    """Today's by the clock, others by the date too; always UTC."""
    at = at.astimezone(UTC)
    return f"{at:%H:%M:%S} UTC" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M} UTC"


def iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def since(at: datetime, now: datetime) -> str:
    if abs(now - at) < _AT_ONCE:
        return "just now"
    return f"in {ago(now, at)}" if at > now else f"{ago(at, now)} ago"


def words(category: str) -> str:
    """``dns-failure`` as a heading."""
    text = category.replace("-", " ")
    for acronym in ("dns", "oom", "tls"):
        text = text.replace(acronym, acronym.upper())
    return begin(text)


def begin(text: str) -> str:
    """A sentence begins with a capital."""
    return text[:1].upper() + text[1:]


def apart(reason: str, said: str) -> str:
    """A reason without what ``said`` tells beside it: it ends with that as often as not."""
    if not said or reason == said or not reason.endswith(said):
        return reason
    return reason.removesuffix(said).rstrip(" ,:").removesuffix(", and")


def ticked(text: str) -> Markup:
    """What stands between backticks is code; all of it is escaped first."""
    return Markup(_TICKS.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just here


def size(number: float) -> str:
    for unit, step in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= step:
            return f"{number / step:.1f} {unit}"
    return f"{number:.0f} B"


@cache
def _assets() -> dict[str, tuple[bytes, str]]:
    folder = files("responder.web") / "static"
    found = {f.name: f.read_bytes() for f in folder.iterdir() if f.is_file()}
    return {name: (data, _MEDIA["." + name.rpartition(".")[2]]) for name, data in found.items() if "." in name}


@cache
def asset(name: str) -> str:
    """Its address, which changes with its content and so may be kept for ever."""
    return f"/static/{name}?v={hashlib.blake2b(_assets()[name][0], digest_size=6).hexdigest()}"


async def static(request: web.Request) -> web.Response:
    found = _assets().get(request.match_info["name"])
    if found is None:
        raise web.HTTPNotFound
    data, media = found
    return web.Response(
        body=data, content_type=media, charset="utf-8", headers={"Cache-Control": "public, max-age=31536000, immutable"}
    )
