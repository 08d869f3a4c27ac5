"""What each failure category means: the page that every alert links."""

import tomllib
from functools import cache
from importlib.resources import files

import msgspec

from responder.core.failure import Category


class Runbook(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    means: str
    look: tuple[str, ...]
    next: str


@cache
def runbooks() -> dict[Category, Runbook]:
    text = (files("responder.web") / "templates" / "runbooks.toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), dict[Category, Runbook])
