"""The command line: one short function per command. Heavy parts are imported by the command that needs them.

Exit codes: 0 good, 1 the answer is no or there are findings, 2 bad input or configuration, 3 not known yet,
4 could not ask.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - argparse has no public name for it

GOOD, NO, BAD_INPUT, NOT_YET, COULD_NOT_ASK = 0, 1, 2, 3, 4
_EXIT_CODES = "Exit codes: 0 good, 1 the answer is no or findings, 2 bad input, 3 not known yet, 4 could not ask."


def main(argv: Sequence[str] | None = None) -> int:
    parser = build_parser()
    arguments = parser.parse_args(argv)
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        return run(arguments)
    except BrokenPipeError:
        sys.stderr.close()  # whoever read us has had enough
        return GOOD
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="responder",
        description="Names the cause of failed Argo CD hook migrations, says whether a retry is safe, acts by rules.",
        epilog=_EXIT_CODES,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _serve_parser(commands)
    _demo_parser(commands)
    _check_parser(commands)
    _diagnose_parser(commands)
    _snippets_parser(commands)
    _store_parsers(commands)
    _client_parsers(commands)
    return parser


def _command(
    commands: "Commands",
    name: str,
    run: Callable[[argparse.Namespace], int],
    text: str,
    epilog: str = "",
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text, epilog=epilog or _EXIT_CODES)
    parser.set_defaults(run=run)
    return parser


# serve


def _serve_parser(commands: "Commands") -> None:
    parser = _command(commands, "serve", serve, "run the service; SIGTERM drains within 20 s")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="responder.yaml")


def serve(arguments: argparse.Namespace) -> int:
    from responder.app import run_service
    from responder.config import ConfigError, load_settings

    try:
        return run_service(load_settings(arguments.config))
    except ConfigError as error:
        return _bad_input(error.problems)


# demo


def _demo_parser(commands: "Commands") -> None:
    parser = _command(commands, "demo", demo, "the main job, on a Kubernetes API server in memory: needs nothing else")
    parser.add_argument("--once", action="store_true", help="play to the end, print the report, verify it, end")
    parser.add_argument("--json", action="store_true", help="print the incidents, one JSON object a line")
    parser.add_argument("--replay", type=Path, metavar="DIR", help="play a recording of a real cluster, read-only")
    parser.add_argument("--port", type=int, default=8080, metavar="N", help="of the page on localhost (8080; 0: any)")


def demo(arguments: argparse.Namespace) -> int:
    from responder.demo.show import run_demo

    return run_demo(once=arguments.once, as_json=arguments.json, replay=arguments.replay, port=arguments.port)


# check


def _check_parser(commands: "Commands") -> None:
    parser = _command(commands, "check", check, "every error of configuration, rules or signatures, with its place")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")


def check(arguments: argparse.Namespace) -> int:
    from responder.checking import problems_of

    found = [problem for file in arguments.files for problem in problems_of(file)]
    if found:
        return _bad_input(found)
    _say(f"{len(arguments.files)} file(s) checked: no errors")
    return GOOD


# diagnose


def _diagnose_parser(commands: "Commands") -> None:
    parser = _command(commands, "diagnose", diagnose, "name the cause in migration logs, and say whether to run again")
    parser.add_argument("files", nargs="+", metavar="FILE", help="a log, or - for standard input")
    parser.add_argument("--json", action="store_true", help="one JSON object a file")
    parser.add_argument("--exit-code", type=int, metavar="N", help="of the run; without it a retry is never safe")
    parser.add_argument(
        "--database", metavar="NAME", help="postgres, mysql, mariadb, sqlite..., when the log does not tell"
    )


def diagnose(arguments: argparse.Namespace) -> int:
    from responder.diagnosing import diagnose_file, show

    status = GOOD
    for name in arguments.files:
        try:
            found = diagnose_file(name, exit_code=arguments.exit_code, database=arguments.database)
        except OSError as error:
            _bad_input([f"{name}: cannot be read: {error.strerror}"])
            status = BAD_INPUT
            continue
        _say(show(found, as_json=arguments.json, colours=sys.stdout.isatty()))
    return status


# snippets


def _snippets_parser(commands: "Commands") -> None:
    parser = _command(commands, "snippets", snippets, "what to paste into neighbours")
    parser.add_argument("name", choices=["argocd"], help="argocd: its argocd-notifications-cm")


def snippets(arguments: argparse.Namespace) -> int:
    from responder.shipped import snippet

    _say(snippet(arguments.name).rstrip())
    return GOOD


# the store


def _store_parsers(commands: "Commands") -> None:
    backup = _command(commands, "backup", run_backup, "a consistent copy of the store, taken while the service runs")
    backup.add_argument("file", type=Path, metavar="FILE")
    restore = _command(
        commands, "restore", run_restore, "put a backup in place; acts stay off until a person releases them"
    )
    restore.add_argument("file", type=Path, metavar="FILE")
    purge = _command(
        commands, "purge", run_purge, "remove an incident, its logs and deliveries; the audit keeps a line"
    )
    purge.add_argument("incident", metavar="INCIDENT")
    for parser in (backup, restore, purge):
        parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="responder.yaml")


def run_backup(arguments: argparse.Namespace) -> int:
    from responder.keeping import back_up

    return _with_store(lambda settings: back_up(settings, arguments.file), arguments.config)


def run_restore(arguments: argparse.Namespace) -> int:
    from responder.keeping import put_back

    return _with_store(lambda settings: put_back(settings, arguments.file), arguments.config)


def run_purge(arguments: argparse.Namespace) -> int:
    from responder.keeping import purge

    return _with_store(lambda settings: purge(settings, arguments.incident), arguments.config)


def _with_store(work: Callable[..., str], config: Path) -> int:
    from responder.config import ConfigError, load_settings
    from responder.ports import StoreError

    try:
        _say(work(load_settings(config)))
    except ConfigError as error:
        return _bad_input(error.problems)
    except StoreError as error:
        _bad_input([str(error)])
        return COULD_NOT_ASK
    return GOOD


# a running service


def _client_parsers(commands: "Commands") -> None:
    from responder.asking import add_parsers

    add_parsers(commands, _command)


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


def _bad_input(problems: Iterable[str]) -> int:
    for problem in problems:
        sys.stderr.write(problem + "\n")
    return BAD_INPUT
