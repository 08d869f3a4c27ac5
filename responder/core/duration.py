"""Durations as people write them: ``30s``, ``2m``, ``1h30m``, ``7d``."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)", re.ASCII)
_LONGEST = timedelta(days=36500)


def parse_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    parts = _PART.findall(value) if isinstance(value, str) else []
    if not parts or "".join(number + unit for number, unit in parts) != value:
        raise ValueError("no duration: write it like 30s, 2m, 1h30m or 7d")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if seconds > _LONGEST.total_seconds():
        raise ValueError("longer than a hundred years")
    return timedelta(seconds=seconds)


def format_duration(seconds: float) -> str:
    """The shortest way to write it, down to whole seconds; ``0s`` for less."""
    rest, text = round(seconds), ""
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(rest, int(_UNITS[unit]))
        text += f"{count}{unit}" if count else ""
    return text or "0s"


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
