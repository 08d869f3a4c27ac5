"""Is it known that a hook's command may run twice? Only a migration tool's own "apply what is pending" is.

A shell chain counts when every command of it is one, or changes nothing; anything else needs the annotation.
"""

import shlex
from collections.abc import Sequence

import re2

# After launchers are taken off. Each of these applies what is pending and is refused or does nothing when run again.
_APPLIES = re2.compile(
    r"(?i)^(?:"
    r"alembic(?: -\S+(?: \S+)?)* upgrade\b"
    r"|flask(?: \S+)* db upgrade\b"
    r"|(?:\S*/)?(?:manage\.py|django-admin) migrate(?:(?: -\S+)* (?:-v|--verbosity) [0-3]\b|\b)"
    r"|(?:\S*/)?artisan migrate(?: -\S+)*$"
    r"|flyway(?: -\S+)* migrate\b"
    r"|liquibase(?: -\S+)* update(?: -\S+)*$"
    r"|migrate(?: -\S+(?: [^-\s]\S*)?)* up\b"
    r"|goose(?: \S+)* up$"
    r"|dbmate(?: -\S+(?: \S+)?)* (?:up|migrate)\b"
    r"|atlas migrate apply\b"
    r"|prisma migrate deploy\b"
    r"|knex migrate:latest\b"
    r"|sequelize(?:-cli)? db:migrate(?: -\S+)*$"
    r"|typeorm(?:\S*) migration:run\b"
    r"|mikro-orm migration:up\b"
    r"|drizzle-kit migrate\b"
    r"|node-pg-migrate up\b"
    r"|db-migrate up\b"
    r"|sqlx migrate run\b|sqlx-cli migrate run\b"
    r"|diesel migration run\b"
    r"|sea-orm-cli migrate(?: up)?(?: (?:-[dsu]|--(?:migration-dir|database-schema|database-url)) \S+| -\S+)*$"
    r"|refinery migrate\b"
    r"|(?:rails|rake) db:migrate(?: \S+=\S+)*$"
    r"|mix ecto\.migrate\b"
    r"|dotnet(?:-ef| ef) database update$"
    r"|(?:\S*/)?console doctrine:migrations:migrate(?: -\S+)*$|doctrine-migrations migrate\b"
    r"|phinx migrate\b"
    r"|yoyo apply\b"
    r"|pyway migrate\b"
    r"|sql-migrate up\b"
    r"|sqitch deploy\b"
    r"|hasura migrate apply\b"
    r")"
)
# Some of what is pending, so that another run does more; or something else beside it.
_MORE = re2.compile(
    r"(?i) (?:\+?\d{1,3}|next|zero|clean|undo|down|fresh|refresh|reset|rollback|drop|redo|seed|-1|--one)(?: |$)"
    r"| --(?:down|type)\b| --?(?:up|count|limit|num|steps?|c|n)[ =]?\d"
)
_NO_COUNT = re2.compile(r"(?i) --?[\w-]*(?:timeout|retries|port)[ =]\d+")
_SEEDS = re2.compile(r"(?i) --seed")
_LAUNCHERS = re2.compile(
    r"^(?:exec |nice |timeout \S+ |(?:\S*/)?python[0-9.]* (?:-[uBEs]+ )*(?:-m )?|(?:\S*/)?php |bundle exec "
    r"|(?:\./)?bin/|(?:poetry|uv|pipenv|pdm) run |npx (?:-\S+ )*|(?:yarn|pnpm)(?: exec| run| dlx)? "
    r"|npm (?:exec|run) (?:-- )?|env (?:\S+=\S* )*"
    r"|[A-Z_][A-Z0-9_]*=\S* |/(?:\S*/)+)"
)
_CHANGES_NOTHING = frozenset(
    {"set", "cd", "echo", "export", "exit", "true", "date", "pwd", "sleep", "printf", "umask", ":"}
)
_SHELLS = frozenset({"sh", "bash", "ash", "dash"})
_SEPARATORS = frozenset({"&&", "||", ";", "|", "&", "\n"})
_UNREADABLE = ("$(", "`", "<<", ">")  # a chain of which we cannot tell what it runs, or that writes somewhere


def known_idempotent(command: Sequence[str]) -> bool:
    """``command`` and args of one container. An empty one is the image's own: nobody knows."""
    if not command:
        return False
    script = _script(command)
    if script is None:
        return _applies(list(command))
    commands = _split(script)
    return bool(commands) and all(_harmless(words) for words in commands) and any(_applies(w) for w in commands)


def _script(command: Sequence[str]) -> str | None:
    """The text that a shell is given, or None when there is no shell."""
    if command[0].rpartition("/")[2] not in _SHELLS:
        return None
    for at, word in enumerate(command[1:], start=1):
        if word.startswith("-") and "c" in word and at + 1 < len(command):
            return command[at + 1]
    return ""


def _split(script: str) -> list[list[str]]:
    """Simple commands of a chain; nothing when it cannot be read for certain."""
    if any(mark in script for mark in _UNREADABLE):
        return []
    lexer = shlex.shlex(script.replace("\\\n", " ").replace("\n", " ; "), posix=True, punctuation_chars="&|;()")
    lexer.whitespace_split = True
    try:
        words = list(lexer)
    except ValueError:
        return []
    commands: list[list[str]] = [[]]
    for word in words:
        if word in _SEPARATORS or set(word) <= set("&|;"):
            commands.append([])
        else:
            commands[-1].append(word)
    return [words for words in commands if words]


def _harmless(words: list[str]) -> bool:
    return words[0] in _CHANGES_NOTHING or _applies(words)


def _applies(words: list[str]) -> bool:
    line = " ".join(words)
    for _ in range(5):
        if (applied := _APPLIES.search(line)) is not None:
            rest = _NO_COUNT.sub("", line[applied.end() :])
            return not (_MORE.search(rest) or _SEEDS.search(line))
        match = _LAUNCHERS.match(line)
        if match is None:
            return False
        line = line[match.end() :]
    return False
