"""What several commands take, and how each is introduced."""

import argparse
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - it has no public name
Run = Callable[[argparse.Namespace], int]
EXIT_CODES = "Exit codes: 0 good, 1 the answer is no or findings, 2 bad input, 3 not known yet, 4 could not ask."


class Help(argparse.RawDescriptionHelpFormatter):
    """argparse forgets how far its commands are indented, and breaks the line after the longest ones."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        self._action_max_length += self._indent_increment


def command(commands: Commands, name: str, run: Run, text: str, more: str = "") -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.\n\n{more}".strip(),
        epilog=EXIT_CODES,
        formatter_class=Help,
    )
    parser.set_defaults(run=run)
    return parser


def needs_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="responder.yaml")


def asks_a_server(parser: argparse.ArgumentParser) -> None:
    server = os.environ.get("RESPONDER_SERVER", "http://127.0.0.1:8080")
    shown = server.replace("%", "%%")  # argparse puts values into what it prints
    parser.add_argument(
        "--server", default=server, metavar="URL", help=f"the responder; by $RESPONDER_SERVER, now {shown}"
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="holds the token to ask with")
    parser.add_argument("--timeout", type=some_seconds, default=10.0, metavar="SECONDS", help="for one question (10)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, as the HTTP API gives it")


def exit_code(text: str) -> int:
    return _whole(text, 0, 255, ", as a process ends with")


def port(text: str) -> int:
    return _whole(text, 0, 65535)


def count(text: str) -> int:
    return _whole(text, 0, 1_000_000)


def _whole(text: str, lowest: int, highest: int, meaning: str = "") -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or not lowest <= int(text) <= highest:
        raise argparse.ArgumentTypeError(f"expected {lowest} to {highest}{meaning}, found {text!r}")
    return int(text)


def seconds(text: str) -> float:
    """argparse names it in its message."""
    value = float(text)
    if not 0 <= value < 86400:
        raise ValueError
    return value


def some_seconds(text: str) -> float:
    """The same: with none at all nobody can answer."""
    value = seconds(text)
    if not value:
        raise ValueError
    return value
