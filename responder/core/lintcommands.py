"""Lint of what a hook runs: exit codes that a shell hides, tools that ask or destroy, runs that may not be repeated."""

import re
from collections.abc import Iterator

from responder.core.hookshape import Container, Shape
from responder.core.idempotence import known_idempotent
from responder.core.lint import Context, Problem, Rule, Severity, job_hook

_SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh"})
_CONTROL = re.compile(r"(?m)(?:^|[;&|]\s*)\s*(?:until|while|for|if|case|trap)\b")
_STRICT = re.compile(r"(?m)(?:^|[;&]\s*)\s*set\s+-[a-zA-Z]*e|\bset\s+-o\s+errexit")
_PIPEFAIL = re.compile(r"\bset\s+(?:-[a-zA-Z]+\s+)*-[a-zA-Z]*o\s+pipefail|\bpipefail\b")
_SWALLOWED = re.compile(r"\|\|\s*(?:true\b|:(?:\s|$)|exit\s+0\b)")
_PIPED = re.compile(r"(?<!\|)\|(?![|&])")
_CHANGES_NOTHING = frozenset({"set", "cd", "echo", "export", "date", "pwd", "sleep", "printf", "umask", ":", "true"})
_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"|#[^\n]*")
_DESTROYS = re.compile(
    r"\bmigrate:(?:fresh|refresh|reset|wipe)\b|\bdb:(?:wipe|reset|drop)\b|\bprisma\s+migrate\s+reset\b"
    r"|\bflyway\b[^;&|\n]*\bclean\b|\bliquibase\b[^;&|\n]*\bdrop-?all\b|\bschema:drop\b"
    r"|\bsea-orm-cli\s+migrate\b[^;&|\n]*\s(?:fresh|refresh|reset)\b"
    r"|\bprisma\s+db\s+push\b[^;&|\n]*--(?:accept-data-loss|force-reset)|\becto\.(?:drop|reset)\b|\bmanage\.py\s+flush\b"
)
_ASKS = re.compile(r"\bartisan\s+migrate(?:\s+-\S+)*\s*(?:$|[;&|\n])")
_DEVELOPS = re.compile(r"\bprisma\s+migrate\s+dev\b|\bdrizzle-kit\s+push\b|\bdotnet\s+ef\s+migrations\s+add\b")
_POSTGRES = re.compile(r"postgres(?:ql)?://|jdbc:postgresql:|(?:^|[\s/])psql(?:\s|$)")
_CREDENTIALS = re.compile(r"\b[a-zA-Z][\w+.-]*://[^\s/:@$]+:(?!\$)[^\s/@$]+@")
_NOT_KNOWN = "its command is not known to be harmless when run twice"
_SQL_CLIENT = re.compile(r"(?:^|[\s/])psql\s")
_STOPS = re.compile(r"ON_ERROR_STOP\s*=\s*(?:1|on|true)", re.IGNORECASE)


def script_of(container: Container) -> tuple[str, bool]:
    """The text that a shell is given, and whether ``-e`` is set with it; empty where there is no shell."""
    command = container.command
    if not command or command[0].rpartition("/")[2] not in _SHELLS:
        return "", False
    strict = False
    for at, word in enumerate(command[1:], start=1):
        if not word.startswith("-"):
            break
        strict = strict or (not word.startswith("--") and "e" in word)
        if "c" in word and not word.startswith("--") and at + 1 < len(command):
            return command[at + 1], strict
    return "", strict


def _words(container: Container) -> str:
    return " ".join(container.command)


def _migrating(shape: Shape) -> Iterator[Container]:
    """Containers of a hook that a person wrote; sidecars aside."""
    if job_hook(shape):
        yield from (c for c in shape.containers if not c.native_sidecar)


def _hidden(shape: Shape, _context: Context) -> Iterator[Problem]:
    for container in _migrating(shape):
        script, strict = script_of(container)
        bare = _QUOTED.sub(" ", script)
        if "<<" in bare:  # what stands in a here-document is no command
            continue
        if _swallows(bare):
            yield Problem(f"{container.name} goes on after a failure (`|| true`)", (*container.path, "command"))
        elif not (strict or _STRICT.search(bare) or _CONTROL.search(bare)) and _earlier_may_fail(bare):
            yield Problem(
                f"{container.name} runs several commands, and the exit code is that of the last",
                (*container.path, "command"),
            )
        elif _PIPED.search(bare) and not _PIPEFAIL.search(bare) and not _CONTROL.search(bare):
            yield Problem(
                f"{container.name} pipes its output, and the exit code is that of the pipe's end",
                (*container.path, "command"),
            )


def _swallows(bare: str) -> bool:
    """Of the migration, or of the last command; that of a clean-up before it is meant so."""
    parts = [part for part in re.split(r"[;\n]|&&", bare.replace("\\\n", " ")) if part.strip()]
    swallowed = [(n, match) for n, part in enumerate(parts) if (match := _SWALLOWED.search(part))]
    return any(n == len(parts) - 1 or known_idempotent(parts[n][: match.start()].split()) for n, match in swallowed)


def _earlier_may_fail(bare: str) -> bool:
    """A command before the last that does something, not joined to the next by ``&&``."""
    joined = re.sub(r"\\\n|&&\s*|\|\|?\s*", " ", bare)
    commands = [part.split() for part in re.split(r"[;\n]", joined) if part.split()]
    return any(words[0] not in _CHANGES_NOTHING for words in commands[:-1])


def _asks(shape: Shape, _context: Context) -> Iterator[Problem]:
    for container in _migrating(shape):
        if dict(container.env).get("APP_ENV", "production") != "production":
            continue
        for match in _ASKS.finditer(_words(container)):
            if "--force" not in match.group():
                yield Problem(f"{container.name} runs `php artisan migrate` without --force", (*container.path,))


def _destroys(shape: Shape, _context: Context) -> Iterator[Problem]:
    for container in _migrating(shape):
        if match := _DESTROYS.search(_words(container)):
            yield Problem(f"{container.name} runs `{match.group()[:60]}`", container.path)


def _develops(shape: Shape, _context: Context) -> Iterator[Problem]:
    for container in _migrating(shape):
        if match := _DEVELOPS.search(_words(container)):
            yield Problem(f"{container.name} runs `{match.group()}`", container.path)


def _repeats(shape: Shape, _context: Context) -> Iterator[Problem]:
    """Kubernetes alone runs it up to seven times, whatever the first run left behind."""
    limit = 6 if shape.backoff_limit is None else shape.backoff_limit
    if not job_hook(shape) or limit == 0:
        return
    said = "backoffLimit is not set, which is 6" if shape.backoff_limit is None else f"backoffLimit is {limit}"
    unsure = not shape.idempotent and any(not known_idempotent(c.command) for c in _migrating(shape))
    yield Problem(f"{said}, and {_NOT_KNOWN}" if unsure else said, ("spec", "backoffLimit"))


def _retried(shape: Shape, context: Context) -> Iterator[Problem]:
    """Argo CD's retry, on top of Kubernetes' own."""
    limit = context.retry_limit
    unsure = not shape.idempotent and any(c.command and not known_idempotent(c.command) for c in _migrating(shape))
    if limit and unsure:
        yield Problem(f"the Application's sync is retried {limit} times, and {_NOT_KNOWN}", shape.pod_path)


def _no_lock_timeout(shape: Shape, _context: Context) -> Iterator[Problem]:
    for container in _migrating(shape):
        told = " ".join((_words(container), *(f"{name}={value}" for name, value in container.env)))
        if _POSTGRES.search(told) and "lock_timeout" not in told:
            yield Problem(f"{container.name} migrates PostgreSQL without a lock_timeout", container.path)


def _on_error_stop(shape: Shape, _context: Context) -> Iterator[Problem]:
    for container in _migrating(shape):
        words = _words(container)
        runs_file = re.search(r"\s(?:-f|--file)[\s=]?", words)
        if _SQL_CLIENT.search(f" {words}") and runs_file and not _STOPS.search(words):
            yield Problem(f"{container.name} runs psql without ON_ERROR_STOP", container.path)


def _credentials(shape: Shape, _context: Context) -> Iterator[Problem]:
    for container in shape.containers:
        for name, value in container.env:
            if _CREDENTIALS.search(value):
                yield Problem(f"the value of {name} in {container.name} holds a password", (*container.path, "env"))
        if _CREDENTIALS.search(_words(container)):
            yield Problem(f"the command of {container.name} holds a password", container.path)


def _at_start(shape: Shape, _context: Context) -> Iterator[Problem]:
    if shape.kind not in ("Deployment", "StatefulSet", "DaemonSet"):
        return
    for container in shape.containers:
        if known_idempotent(container.command):
            where = "an init container" if container.init else "the container's own start"
            yield Problem(f"{container.name} migrates in {where}", container.path)


COMMAND_RULES: tuple[Rule, ...] = (
    Rule(
        "exit-code-hidden", Severity.ERROR,
        "A shell returns the exit code of its last command: the migration fails and the hook succeeds, so that the new"
        " version is rolled out onto the old schema.",
        "`set -euo pipefail` (bash) or `set -e` at the beginning, `&&` between the commands, no `|| true`",
        "https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#set", _hidden,
    ),
    Rule(
        "asks", Severity.ERROR,
        "In production Laravel asks for confirmation; nobody answers in a Pod, and the command is cancelled.",
        "php artisan migrate --force",
        "https://laravel.com/docs/migrations#running-migrations", _asks,
    ),
    Rule(
        "destroys-data", Severity.ERROR,
        "That command drops tables, or everything, before it begins.",
        "the tool's command that only applies what is pending",
        "https://laravel.com/docs/migrations#drop-all-tables-migrate", _destroys,
    ),
    Rule(
        "development-command", Severity.ERROR,
        "That command is made for development: it may write migrations, reset a database or ask.",
        "prisma migrate deploy, drizzle-kit migrate, dotnet ef database update",
        "https://www.prisma.io/docs/orm/prisma-migrate/workflows/development-and-production", _develops,
    ),
    Rule(
        "runs-again", Severity.WARNING,
        "Kubernetes runs a failed hook again by itself, whatever the first run left in the database, and Argo CD hears"
        " of it only after the last time.",
        "backoffLimit: 0, so that one failure is one failure; Argo CD's own retry, or a rule, decides about another",
        "https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy", _repeats,
    ),
    Rule(
        "retried", Severity.WARNING,
        "Argo CD runs the whole sync again, this hook with it, whatever the first run left behind.",
        "a command that only applies what is pending, or hook-responder.io/idempotent: \"true\" where it is harmless to"
        " run twice",
        "https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/#automatic-retry-with-a-limit", _retried,
    ),
    Rule(
        "no-lock-timeout", Severity.NOTE,
        "ALTER TABLE waits for every open transaction, and every query behind it waits as well: without a limit one"
        " forgotten session stops the application.",
        "PGOPTIONS: '-c lock_timeout=5s' in the container's env",
        "https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-LOCK-TIMEOUT", _no_lock_timeout,
    ),
    Rule(
        "psql-goes-on", Severity.ERROR,
        "psql goes on after a statement failed, and ends with exit code 0: the rest of the file runs on half a schema.",
        "psql --set ON_ERROR_STOP=1 --single-transaction --file ...",
        "https://www.postgresql.org/docs/current/app-psql.html#APP-PSQL-VARIABLES-ON-ERROR-STOP", _on_error_stop,
    ),
    Rule(
        "password-in-manifest", Severity.ERROR,
        "Whoever reads the repository, the Job or Argo CD's messages reads the password.",
        "a Secret, by valueFrom.secretKeyRef",
        "https://kubernetes.io/docs/concepts/configuration/secret/", _credentials, in_cluster=False,
    ),
    Rule(
        "migrates-at-start", Severity.WARNING,
        "Every replica migrates, side by side, at each start; one that fails crash-loops, and nobody is told which.",
        "a PreSync hook Job of its own",
        "https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/", _at_start, in_cluster=False,
    ),
)  # fmt: skip
