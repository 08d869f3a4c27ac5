"""Query strings and bodies, strictly: what is not understood is refused with a sentence, never ignored."""

import asyncio
import re
from enum import Enum
from functools import cache
from typing import TypeVar, get_args, get_origin

import msgspec
from aiohttp import web

BODY_LIMIT = 64 << 10
_READ_DEADLINE = 10.0

T = TypeVar("T", bound=msgspec.Struct)


def query(request: web.Request, kind: type[T]) -> T:
    """``kind`` names the parameters; one that is a tuple may be given several times, or with commas."""
    several = _several(kind)
    given: dict[str, str | list[str]] = {}
    for name in request.query:
        values = request.query.getall(name)
        if name in several:
            given[name] = [part for value in values for part in value.split(",") if part]
        elif len(values) > 1:
            raise web.HTTPBadRequest(text=f"the parameter {name} is given {len(values)} times")
        elif values[0]:
            given[name] = values[0]
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise web.HTTPBadRequest(text=_told(error, kind)) from error


@cache
def _several(kind: type[msgspec.Struct]) -> frozenset[str]:
    """Reading a struct's annotations takes longer than answering the gate."""
    return frozenset(f.encode_name for f in msgspec.structs.fields(kind) if get_origin(f.type) is tuple)


async def body(request: web.Request, kind: type[T]) -> T:
    """A JSON object; no body at all is an empty one."""
    raw = await read(request)
    if not raw:
        raw = b"{}"
    elif request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="the body must be application/json")
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        raise web.HTTPUnprocessableEntity(text=_told(error, kind)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise web.HTTPBadRequest(text=f"the body is no JSON: {error}") from error


async def read(request: web.Request) -> bytes:
    """The whole body; 413 when it is larger than the application takes, 408 when it does not come."""
    try:
        async with asyncio.timeout(_READ_DEADLINE):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the body did not come within {_READ_DEADLINE:g} s") from None


def _told(error: msgspec.ValidationError, kind: type[msgspec.Struct]) -> str:
    """msgspec's sentence, and what would have been right."""
    text = str(error)
    fields = {f.encode_name: f.type for f in msgspec.structs.fields(kind)}
    at = re.search(r"`\$\.(\w+)", text)
    if "unknown field" in text:
        return f"{text}: it knows {', '.join(sorted(fields))}"
    if at is not None and (words := _words(fields.get(at[1]))):
        return f"{text}: one of {', '.join(words)}"
    return text


def _words(kind: object) -> list[str]:
    """Values of the enumeration within a type."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [str(member.value) for member in kind]
    return next((words for arg in get_args(kind) if (words := _words(arg))), [])
