"""What may be written to a terminal: text of strangers without its escape sequences, colours only where they show."""

import os
import re
import sys
from typing import TextIO

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """A log line may hold sequences that move the cursor or turn the writing round: each sign is shown as a mark."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def complain(*problems: str) -> None:
    """A line each, on standard error."""
    sys.stderr.writelines(f"{plain(problem)}\n" for problem in problems)


def coloured(stream: TextIO) -> bool:
    """https://no-color.org"""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
