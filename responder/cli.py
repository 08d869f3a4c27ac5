"""The command line: what may be said to each command, and its help. What the commands do is in ``commands``."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from responder.arguments import (
    EXIT_CODES,
    Commands,
    Help,
    Run,
    asks_a_server,
    command,
    count,
    exit_code,
    needs_config,
    port,
    seconds,
)
from responder.commands import (
    blocks,
    check,
    decisions,
    demo,
    diagnose,
    doctor,
    gate,
    incidents,
    lint,
    receivers,
    rules,
    run_backup,
    run_migrate,
    run_purge,
    run_restore,
    say_version,
    serve,
    snippets,
)

_BEGIN = """To begin with:
  responder demo                                                      all of it, in memory
  kubectl logs job/db-migrate | responder diagnose --exit-code 1 -    a log that you have"""
_BROKEN_PIPE = 141  # as a shell has it; never 0: half an answer is none


def main(argv: Sequence[str] | None = None) -> int:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that cannot show a sign of a log
    try:
        arguments = build_parser().parse_args(argv)
        run: Run = arguments.run
        code = run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read us has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except KeyboardInterrupt:
        return 130
    return code


class _Version(argparse.Action):
    """argparse's own wants the text before anybody has asked for it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        parser.exit(say_version())


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="responder",
        description="Names the cause of failed Argo CD hook migrations, says whether a retry is safe, acts by rules.",
        epilog=f"{_BEGIN}\n\n{EXIT_CODES}\nresponder COMMAND --help says more.",
        formatter_class=Help,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="say which one this is")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (
        _serve,
        _demo,
        _check,
        _rules,
        _diagnose,
        _lint,
        _incidents,
        _gate,
        _blocks,
        _decisions,
        _receivers,
        _snippets,
        _doctor,
        _store,
    ):
        add(commands)
    return parser


# serve


def _serve(commands: Commands) -> None:
    parser = command(
        commands, "serve", serve, "run the service",
        "Watches the cluster, takes webhooks, records, diagnoses, acts by rules, alerts, serves pages and API.\n"
        "SIGTERM ends it within 20 s; nothing is lost, the next start goes on from what is recorded.\n"
        "Logs one JSON object a line on standard output; RESPONDER_LOG_LEVEL=DEBUG says more.",
    )  # fmt: skip
    needs_config(parser)


# demo


def _demo(commands: Commands) -> None:
    parser = command(commands, "demo", demo, "the main job, on a Kubernetes API server in memory: needs nothing else")
    parser.add_argument("--once", action="store_true", help="play to the end, print the report, verify it, end")
    parser.add_argument("--json", action="store_true", help="print the incidents, one JSON object a line")
    parser.add_argument("--replay", type=Path, metavar="DIR", help="play a recording of a real cluster, read-only")
    parser.add_argument("--port", type=port, default=8080, metavar="N", help="of the page on localhost (8080; 0: any)")


# check


def _check(commands: Commands) -> None:
    parser = command(
        commands, "check", check, "every error of configuration, rules, cases, signatures, templates, with its place",
        "Which kind a file is, is told by its content; a template is one that ends in .j2. With a configuration the\n"
        "rules, signatures and templates that it names are checked too. Errors go to standard error as\n"
        "file:line:column: reason; with --json to standard output, one object each: file, line, column, reason.",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--json", action="store_true", help="one JSON object an error")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="responder.yaml: rules may name its receivers and signatures only"
    )


# rules


def _rules(commands: Commands) -> None:
    parser = command(
        commands, "rules", rules, "test rules by cases, replay them over what happened, explain or release one",
        "config/RULES.md has all of it, with ten examples. responder rules test --help says more, and so on.",
    )  # fmt: skip
    verbs = parser.add_subparsers(title="commands", dest="what", required=True, metavar="test|replay|explain|release")
    test = command(
        verbs, "test", rules, "run cases, for the check of a pull request; 1 when one differs",
        "A case file names its rules file (rules: rules.yaml, beside it), or --rules does.",
    )  # fmt: skip
    test.add_argument("files", nargs="+", type=Path, metavar="FILE", help="cases")
    test.add_argument("--rules", type=Path, metavar="FILE", help="these rules instead of those that the cases name")
    test.add_argument("--config", type=Path, metavar="FILE", help="responder.yaml: whose receivers rules may name")
    test.add_argument("--every-rule", action="store_true", help="1 also when a rule decided in no case")
    test.add_argument("--json", action="store_true", help="one JSON object a case")
    replay = command(
        verbs, "replay", rules, "what a rules file would have done, beside what was done",
        "Over the store that --config names (also while the service runs), else over a service's history by its API,\n"
        "and over recordings. Incidents are played in the order of time over one state: what would have been done\n"
        "counts for budgets, cooldowns, ceilings (of --config) and waves of recovery. What no record can tell, and\n"
        "how that is taken, stands below the table.",
    )  # fmt: skip
    replay.add_argument("file", type=Path, metavar="FILE", help="rules")
    replay.add_argument("--since", default="30d", metavar="DURATION", help="incidents opened since then (30d)")
    replay.add_argument(
        "--recording", type=Path, action="append", default=[], metavar="DIR", help="of a real cluster; more than once"
    )
    explain = command(verbs, "explain", rules, "every condition with the value seen, every guard with its reason")
    explain.add_argument("incident", metavar="INCIDENT")
    for verb in (replay, explain):
        verb.add_argument("--config", type=Path, metavar="FILE", help="responder.yaml: read its store, ask no server")
        asks_a_server(verb)
    release = command(
        verbs, "release", rules, "let a rule act again that was set to shadow since its resyncs mostly failed",
        "In your name. What its resyncs met before is not held against it any more.",
    )  # fmt: skip
    release.add_argument("rule", metavar="RULE", help="its name in the rules file")
    release.add_argument("--why", default="", metavar="TEXT", help="for the audit")
    asks_a_server(release)


# diagnose


def _diagnose(commands: Commands) -> None:
    parser = command(
        commands, "diagnose", diagnose, "name the cause in migration logs, and say whether to run again",
        "  kubectl logs job/db-migrate | responder diagnose --exit-code 1 -\n\n"
        "retry: safe (harmless, and may help), futile (harmless, fails again until something is changed), unsafe (may\n"
        "do harm), unknown. Never safe without --exit-code: a log alone does not say that its run is over.\n\n"
        "With --json one object a file: file, category, tool, database, migration, state_left, state_reason, retry,\n"
        "retry_reason, confidence, key_line, because [{line, text}], advice, command, owner. Lines count from 1.\n"
        "With --explain also explain {why, matched [{line, text, signature, says, category, weight, won, why,\n"
        "again}], more}: every signature that matched, and why one won.\n"
        "What is shown of a log is redacted. 0 whenever each file was judged, 2 when one could not be read.",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", metavar="FILE", help="a log, or - for standard input")
    parser.add_argument("--json", action="store_true", help="one JSON object a file")
    parser.add_argument("--exit-code", type=exit_code, metavar="N", help="of the run, for all files given")
    parser.add_argument("--database", metavar="NAME", help="postgres, mysql, mariadb, sqlite..., if the log is silent")
    parser.add_argument("--explain", action="store_true", help="every signature that matched, and why one won")
    parser.add_argument(
        "--signatures", type=Path, action="append", default=[], metavar="FILE", help="your own, beside the shipped ones"
    )


# lint


def _lint(commands: Commands) -> None:
    parser = command(
        commands, "lint", lint, "weak points of hook manifests, before they fail at night",
        "  kustomize build . | responder lint -\n\n"
        "Reads every object of the files (several documents, or a List) as one sync: Jobs, and the Secrets and\n"
        "ConfigMaps that they need. Each finding has file and line, what is wrong, why, and what to write instead.\n"
        "A rule is switched off for one object by the annotation hook-responder.io/lint-ignore: rule, other-rule.\n"
        "0 without findings, 1 with findings, 2 when a file could not be read.",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", metavar="FILE", help="YAML or JSON, or - for standard input")
    parser.add_argument("--json", action="store_true", help="one JSON object a finding")


# a running service


def _incidents(commands: Commands) -> None:
    parser = command(
        commands, "incidents", incidents, "list incidents, show one, or export one",
        "list is newest first. export prints one JSON object, the incident and its logs, redacted as they are stored:\n"
        "a case to attach to a report, or for a test to read.",
    )  # fmt: skip
    parser.add_argument("what", nargs="?", default="list", choices=["list", "show", "export"])
    parser.add_argument("incident", nargs="?", metavar="INCIDENT", help="its id, for show and export")
    parser.add_argument("--state", metavar="WORD", help="firing, acknowledged, resolved, superseded")
    parser.add_argument("--project", metavar="NAME", help="of the AppProject")
    parser.add_argument("--application", metavar="NAMESPACE/NAME", help="of the Application")
    parser.add_argument("--category", metavar="WORD", help="of the cause: lock-timeout, connection-refused...")
    parser.add_argument("--limit", type=count, default=50, metavar="N", help="at most so many (50)")
    asks_a_server(parser)


def _gate(commands: Commands) -> None:
    parser = command(
        commands, "gate", gate, "may this revision go on? 0 success, 1 failure, 3 pending, 4 could not ask",
        "Name the service, environment and revision, or the namespace, application and revision.\n"
        "Fails closed: whatever is not known is no success. With --for sync, asked by a hook of the sync itself,\n"
        "the revision is that of the running operation, and the environments before it are asked.",
    )  # fmt: skip
    for name, text in (
        ("service", "as promotion.service_label names it; project/name where nothing does"),
        ("environment", "as promotion.environment_label names it; the destination where nothing does"),
        ("namespace", "of the Application, instead of service and environment"),
        ("application", "its name"),
        ("revision", "that is to go on: a commit, or a chart's version; several with a comma, in the order of sources"),
    ):
        parser.add_argument(f"--{name}", default="", metavar="NAME", help=text)
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="IMAGE",
        help="about to be deployed: what is half done elsewhere is held by its image too; may be given several times",
    )
    parser.add_argument("--for", choices=["sync"], default="", help="sync: asked by a hook of the sync itself")
    parser.add_argument(
        "--wait", type=seconds, nargs="?", const=300.0, default=0.0, metavar="SECONDS",
        help="ask again until it is success or failure, for so long (300)",
    )  # fmt: skip
    parser.add_argument(
        "--fail-open", action="store_true", help="0 when nobody answers; a token that is refused stays an error"
    )
    parser.add_argument("--termination-log", type=Path, metavar="FILE", help="the answer there too, for a Pod's status")
    asks_a_server(parser)


def _blocks(commands: Commands) -> None:
    parser = command(
        commands, "blocks", blocks, "promotion blocks in force; add holds a service back, lift ends one, in your name"
    )
    parser.add_argument("what", nargs="?", default="list", choices=["list", "add", "lift"])
    parser.add_argument("block", nargs="?", metavar="BLOCK", help="its id, for lift; the service, for add")
    parser.add_argument("--why", default="", metavar="TEXT", help="for the audit, and for whom it holds back")
    for name, text in (("environment", "where it is held"), ("revision", "what is held")):
        more = f"for add: {text}, one or several (every {name})"
        parser.add_argument(f"--{name}", action="append", default=[], metavar="NAME", help=more)
    parser.add_argument("--for", default="", metavar="TIME", help="for add: 2h, 30m (until it is lifted)")
    asks_a_server(parser)


def _decisions(commands: Commands) -> None:
    parser = command(
        commands, "decisions", decisions, "approve or decline what a rule wants and waits for a person",
        "responder incidents show INCIDENT tells the decision and the evidence version. Approval is bound to what you\n"
        "saw: when the evidence changed since, the answer is no (1), and you look again.",
    )  # fmt: skip
    parser.add_argument("what", choices=["approve", "decline"])
    parser.add_argument("decision", metavar="DECISION")
    parser.add_argument("--evidence", default="", metavar="VERSION", help="evidence version that you saw, to approve")
    asks_a_server(parser)


# neighbours


def _receivers(commands: Commands) -> None:
    parser = command(commands, "receivers", receivers, "send a test alert to one receiver, as a real one is sent")
    parser.add_argument("what", choices=["test"])
    parser.add_argument("name", metavar="NAME", help="of the receiver in responder.yaml")
    parser.add_argument("--json", action="store_true", help="one object: receiver, taken, reason, detail")
    needs_config(parser)


def _snippets(commands: Commands) -> None:
    parser = command(
        commands, "snippets", snippets, "what to paste into neighbours", "YAML with its comments, as kubectl takes it."
    )
    parser.add_argument("name", choices=["argocd"], help="argocd: for its argocd-notifications-cm")


def _doctor(commands: Commands) -> None:
    parser = command(
        commands, "doctor", doctor, "what is wrong in this cluster, each with its remedy",
        "Run it where the service runs, with the service's own rights (kubectl exec deploy/hook-responder -- ...):\n"
        "  responder doctor --config /etc/hook-responder/responder.yaml\n"
        "or with your own, which may read more, from anywhere:\n"
        "  responder doctor --config responder.yaml --kubeconfig ~/.kube/config\n\n"
        "It reads, asks the API server what our ServiceAccount may do, and writes nothing. The worst stands first;\n"
        "1 when there is something to mend (notes are not), 4 when an API server does not answer.\n"
        "--json prints one finding a line: id, severity (critical, warning, note), title, details, remedy.",
    )  # fmt: skip
    needs_config(parser)
    parser.add_argument("--json", action="store_true", help="one finding a line")
    parser.add_argument("--kubeconfig", type=Path, metavar="FILE", help="look with its rights, from outside the Pod")
    parser.add_argument("--context", metavar="NAME", help="of the kubeconfig")
    parser.add_argument(
        "--service-account", default="hook-responder:hook-responder", metavar="NAMESPACE:NAME",
        help="the one that the service runs as, whose rights are asked about (hook-responder:hook-responder)",
    )  # fmt: skip


# the store


def _store(commands: Commands) -> None:
    backup = command(commands, "backup", run_backup, "a consistent copy of the store, also while the service runs")
    restore = command(
        commands, "restore", run_restore, "put a backup in place; acts stay off until a person releases them"
    )
    migrate = command(commands, "migrate", run_migrate, "bring the store to this version's schema, as serve does too")
    purge = command(commands, "purge", run_purge, "remove an incident, its logs and deliveries; the audit keeps a line")
    for parser in (backup, restore):
        parser.add_argument("file", type=Path, metavar="FILE")
    purge.add_argument("incident", metavar="INCIDENT")
    for parser, told in (
        (backup, "store, file, bytes"),
        (restore, "store, file, released"),
        (migrate, "store"),
        (purge, "store, incident, application"),
    ):
        parser.add_argument("--json", action="store_true", help=f"one object: {told}")
        needs_config(parser)
