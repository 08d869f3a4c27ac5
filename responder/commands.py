"""What each command does, in one short function. Heavy parts are imported by the command that needs them."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from responder.exits import BAD_INPUT, COULD_NOT_ASK, GOOD, NO
from responder.terminal import coloured, complain

if TYPE_CHECKING:
    from responder.config import Settings


def say_version() -> int:
    from importlib.metadata import version

    return _say(f"responder {version('argocd-hook-responder')}")


def serve(arguments: argparse.Namespace) -> int:
    from responder.service import run_service

    return _configured(arguments, run_service)


def demo(arguments: argparse.Namespace) -> int:
    from responder.demo.show import run_demo

    return run_demo(once=arguments.once, as_json=arguments.json, replay=arguments.replay, port=arguments.port)


def check(arguments: argparse.Namespace) -> int:
    from responder.checking import as_json, problems_of
    from responder.config import ConfigError, load_settings

    try:
        settings = load_settings(arguments.config) if arguments.config is not None else None
    except ConfigError as error:
        return _bad_input(error.problems)
    found = [problem for file in arguments.files for problem in problems_of(file, settings)]
    if arguments.json:
        for problem in found:
            _say(as_json(problem))
        return BAD_INPUT if found else GOOD
    if found:
        return _bad_input(found)
    _say(f"{len(arguments.files)} file{'s' * (len(arguments.files) > 1)} checked: no errors")
    return GOOD


def rules(arguments: argparse.Namespace) -> int:
    if arguments.what == "test":
        from responder.casing import run_tests

        return run_tests(arguments)
    if arguments.what == "release":
        from responder.asking import release_rule

        return release_rule(arguments)
    from responder.ruling import run_explain, run_replay

    return run_replay(arguments) if arguments.what == "replay" else run_explain(arguments)


def diagnose(arguments: argparse.Namespace) -> int:
    from responder.core.signaturefile import SignatureError
    from responder.diagnosing import as_json, as_text, diagnose_file, no_database

    if told := no_database(arguments.database):
        return _bad_input([told])
    status, colours = GOOD, coloured(sys.stdout)
    for name in arguments.files:
        try:
            found = diagnose_file(
                name,
                exit_code=arguments.exit_code,
                database=arguments.database,
                explained=arguments.explain,
                own=arguments.signatures,
            )
        except OSError as error:
            status = _bad_input([f"{error.filename or name}: cannot be read: {error.strerror}"])
            continue
        except SignatureError as error:
            return _bad_input(error.problems)
        _say(as_json(found) if arguments.json else as_text(found, colours=colours))
    return status


def lint(arguments: argparse.Namespace) -> int:
    from responder.linting import as_json, as_text, lint_files, summary

    found, problems = lint_files(arguments.files)
    for finding in found:
        _say(as_json(finding) if arguments.json else as_text(finding, colours=coloured(sys.stdout)))
    if not arguments.json:
        _say(summary(found, len(arguments.files) - len(problems)))
    return _bad_input(problems) if problems else NO if found else GOOD


def incidents(arguments: argparse.Namespace) -> int:
    from responder.asking import export_incident, list_incidents, show_incident

    if arguments.what != "list" and not arguments.incident:
        return _bad_input([f"incidents {arguments.what}: which INCIDENT?"])
    if arguments.what == "list" and arguments.incident:
        return _bad_input(["incidents list: takes no INCIDENT; --state, --project, --application, --category choose"])
    return {"list": list_incidents, "show": show_incident, "export": export_incident}[arguments.what](arguments)


def gate(arguments: argparse.Namespace) -> int:
    from responder.asking import ask_gate

    return ask_gate(arguments)


def blocks(arguments: argparse.Namespace) -> int:
    from responder.asking import add_block, lift_block, list_blocks

    if arguments.what != "list" and not arguments.block:
        return _bad_input([f"blocks {arguments.what}: which {'BLOCK' if arguments.what == 'lift' else 'service'}?"])
    if arguments.what == "list" and arguments.block:
        return _bad_input(["blocks list: takes no BLOCK; it lists all that are in force"])
    return {"list": list_blocks, "add": add_block, "lift": lift_block}[arguments.what](arguments)


def decisions(arguments: argparse.Namespace) -> int:
    from responder.asking import decide

    if arguments.what == "approve" and not arguments.evidence:
        return _bad_input(["decisions approve: which --evidence VERSION did you see?"])
    return decide(arguments)


def receivers(arguments: argparse.Namespace) -> int:
    from responder.trying import run_test

    return _configured(arguments, lambda settings: run_test(settings, arguments.name, as_json=arguments.json))


def snippets(arguments: argparse.Namespace) -> int:
    from responder.shipped import snippet

    return _say(snippet(arguments.name).rstrip())


def doctor(arguments: argparse.Namespace) -> int:
    from responder.doctoring import Visit, run_doctor

    def look(settings: "Settings") -> int:
        visit = Visit(settings, arguments.kubeconfig, arguments.context, arguments.service_account)
        return run_doctor(visit, as_json=arguments.json)

    return _configured(arguments, look)


def run_backup(arguments: argparse.Namespace) -> int:
    from responder.keeping import back_up

    return _configured(arguments, lambda settings: _done(arguments, *back_up(settings, arguments.file)))


def run_restore(arguments: argparse.Namespace) -> int:
    from responder.keeping import put_back

    return _configured(arguments, lambda settings: _done(arguments, *put_back(settings, arguments.file)))


def run_migrate(arguments: argparse.Namespace) -> int:
    from responder.keeping import migrate

    return _configured(arguments, lambda settings: _done(arguments, *migrate(settings)))


def run_purge(arguments: argparse.Namespace) -> int:
    from responder.keeping import purge

    try:
        return _configured(arguments, lambda settings: _done(arguments, *purge(settings, arguments.incident)))
    except LookupError as error:
        return _bad_input([str(error.args[0])])


def _configured(arguments: argparse.Namespace, work: "Callable[[Settings], int]") -> int:
    """With the configuration; its faults, and a store that cannot, as sentences."""
    from responder.config import ConfigError, load_settings
    from responder.ports import StoreError

    try:
        return work(load_settings(arguments.config))
    except ConfigError as error:
        return _bad_input(error.problems)
    except StoreError as error:
        return _could_not(str(error))


def _done(arguments: argparse.Namespace, text: str, value: object) -> int:
    return _say(json.dumps(value) if arguments.json else text)


def _say(text: str) -> int:
    sys.stdout.write(text + "\n")
    return GOOD


def _bad_input(problems: Iterable[str]) -> int:
    complain(*problems)
    return BAD_INPUT


def _could_not(problem: str) -> int:
    complain(problem)
    return COULD_NOT_ASK
