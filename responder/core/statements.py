"""Values in echoes of SQL statements: gone; columns, tables and the statement's form: kept."""

from typing import Final

from responder.core.rewriting import Rule, Seal, captured, latin1

_WRITES = (
    r"\b(?:insert\s+(?:\w+\s+)*?into|replace\s+into|merge\s+into|delete\s+from|update\s+\S+\s+(?:as\s+\w+\s+)?set)\s"
)
_START = latin1(
    rf"(?i){_WRITES}|\bselect\s|\bcall\s+[\w.`]+\s*\(|\bexec(?:ute)?\s+[\w.\[\]]+\s+@\w+\s*=|\binsert\s+\w+\s+\S+\s+values\b|(?:^|[):\"'`])\s*values\s*\(|\bwhere\s+\S+\s*(?:[=<>]|like\b|in\b)"
)
_WRITE = latin1(rf"(?i){_WRITES}")

# What a tool writes down about its own migrations names them: that is the diagnosis, not somebody's data.
_HISTORY = latin1(
    r"(?i)schema_migrations|alembic_version|knex_migrations|pgmigrations"
    r"|schema_history|databasechangelog|efmigrationshistory|_prisma_migrations|django_migrations|gorp_migrations"
    r"|sqlx_migrations|goose_db_version|yoyo_migration|sequelizemeta|doctrine_migration|phinxlog|drizzle_migrations"
    r"|atlas_schema_revisions|ar_internal_metadata|seaql_migrations|mikro_orm_migrations"
    r"|(?:into|from|update)\s+[\"`\[]?(?:\w+[\"`\]]?\.[\"`\[]?)?(?:migrations?|schema_version|versions?)[\"`\]]?[\s(]"
)

# For a statement that only asks the catalogue or takes a lock: names, no rows.
_CATALOGUE = latin1(r"(?i)information_schema|pg_catalog|sqlite_master|get_lock|release_lock|advisory|set_config")

_SINGLE = r"'((?:[^'\\]|\\.|'')*)\\?(?:'|$)"
_LITERALS = captured(
    r"(?i)(?:[=<>(,|~]|\b(?:like|ilike|between|and|then|else|when|select|values|escape|regexp|by))\s*"
    rf"(?:[nebx]?{_SINGLE}|\\+'([^']*?)\\*(?:'|$))"
    r"|=\s+\"((?:[^\"\\]|\\.)*)\"(?:[^.]|$)|=\s*\\+\"([^\"\\]*)\\+\"(?:[^.]|$)"
)
_NUMBERS = captured(
    r"(?i)(?:\s[=<>]|[<>!]=|[^\s=]\s?=)\s*(-?\d[\d.]*)(?:[\s,);]|$)|\bbetween\s+(\d\S*)\s+and\s+(\d[^\s,);]*)"
)
_SCALAR = r"(?:'(?:[^'\\]|\\.|'')*'|-?\d[\d.]*)"
_IN_LISTS = captured(rf"(?i)\bin\s*\(\s*({_SCALAR}(?:\s*,\s*{_SCALAR})*)\s*\)")

_TUPLE = r"""\((?:[^()'"]|'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"|\((?:[^()'"]|'(?:[^'\\]|\\.|'')*')*\))*\)"""
_VALUES = latin1(rf"(?i)\bvalues\s*((?:{_TUPLE}\s*,?\s*)+|\(.*)")
_ROWS = latin1(rf"^\s*(?:values\s*)?(?:{_TUPLE}\s*[,;]?\s*)+$")
_PLAIN = latin1(  # no value: a keyword, a placeholder, a column, what is sealed already
    r"(?i)null|none|nil|undefined|default|true|false|\?|%s|[$:@]\w+|current_\w+|\w+\(|[`\"\[]\w.*|excluded\..*|.*\[redacted:.*|select\b.*"
)


def _element(value: bytes, seal: Seal) -> bytes:
    return value if _PLAIN.fullmatch(value) else seal(value)


_BARE_ELEMENT = r"([^\s,;()'\"\\](?:[^,()'\"]*[^\s,()'\"\\])?)(?:\s*(?:[,)']|\\*$)|\s+\()"
_ELEMENTS = captured(
    rf"""%\(\w+\)s|(?:\b(?:[nebxNEBX]|_\w+))?{_SINGLE}|\\*"((?:[^"\\]|\\.)*)\\?(?:"|$)|{_BARE_ELEMENT}""",
    bare=_element,
)

# Laravel writes bound values into the statement without quotes: `email` = ana@example.org and `id` = 5
_UNQUOTED = captured(
    r"(?i)[\"`]\s(?:=|<|>|<=|>=|<>|!=|(?:not )?like)\s([^\s'\"`(?$:%\[\\][^\"`]*?)"
    r"(?:,? (?:and|or|limit|order|group|where)\b|, [\"`]|\)|$)",
    _element,
)
_KEY_OF = r"""(?:'[^'\\]*'|\\*"[^"\\]*\\*")\s*(?::|=>)\s*|\w+\s*(?::|=>)\s"""
_MEMBERS = captured(
    rf"""{_KEY_OF}|{_SINGLE}|\\*"((?:[^"\\]|\\.)*)\\?(?:"|$)|([^\s,'"\[\](){{}}](?:[^,'"\[\](){{}}]*[^\s,'"\[\](){{}}])?)""",
    bare=_element,
)


def members(collection: bytes, seal: Seal) -> bytes:
    """Values of a list, tuple or mapping as Python, JavaScript or PHP print it; its keys stay."""
    return _MEMBERS(collection, seal)


def _statement(line: bytes, seal: Seal) -> bytes:
    start = _START.search(line)
    if not start:
        return line
    head, tail = line[: start.start()], line[start.start() :]
    writes = sum(1 for _ in _WRITE.finditer(tail))
    if (writes <= 1 and _HISTORY.search(tail)) or (not writes and _CATALOGUE.search(tail)):
        return line
    return head + values_of(tail, seal)


def values_of(statement: bytes, seal: Seal) -> bytes:
    if _ROWS.search(statement):
        return _ELEMENTS(statement, seal)
    statement = _tuples(statement, seal)
    for rewrite in (_IN_LISTS, _LITERALS, _NUMBERS, _UNQUOTED):
        statement = rewrite(statement, seal)
    return _SELECTED(statement, seal) if _WRITE.search(statement) else statement


def _numbers(selected: bytes, seal: Seal) -> bytes:
    return b",".join(_LONE_NUMBER(piece, seal) for piece in selected.split(b","))


_LONE_NUMBER = captured(r"^\s*(-?\d[\d.]*)\s*$")
_SELECTED = captured(r"(?i)\bselect\s([^;]*?)(?:\sfrom\b|;|$)", _numbers)  # what is written: INSERT ... SELECT 5, 'x'


def _tuples(statement: bytes, seal: Seal) -> bytes:
    pieces: list[bytes] = []
    copied = 0
    for match in _VALUES.finditer(statement):
        start, end = match.span(1)
        pieces += statement[copied:start], _ELEMENTS(statement[start:end], seal)
        copied = end
    return b"".join((*pieces, statement[copied:]))


_DEFINITION = latin1(r"(?i)\b(?:create|alter|drop|comment|default|grant|check|add|modify|column)\b")
_ANY_LITERALS = captured(r"'([^']*)(?:'|$)")


def _fragment(fragment: bytes, seal: Seal) -> bytes:
    """A piece of a statement, its beginning unknown; the literals of definitions stay."""
    return fragment if _DEFINITION.search(fragment) else _ANY_LITERALS(fragment, seal)


_pointed_at = captured(r"^LINE \d+: (.*)", _fragment)  # PostgreSQL shows the line of the statement that it means


# A statement printed over several lines: where it may have begun, and what certainly is no more of it.
OPENS = (
    rb"\b(?:insert\s+(?:\w+\s+)*into|replace\s+into|merge\s+into|delete\s+from|update\s+\S+\s+set)\b[^;]*$"
    rb"|^\W*(?:update\s+\S+|values|select|set)\s*$"
)
_LINE_BEGINS = latin1(r"(?i)^\W*(?:\w+\s*: )?(?:insert|update|delete|replace|merge|values|select|set)\b")
_NO_STATEMENT = latin1(
    r"(?i)\s*(?:$|at |file \"|traceback|caused by|detail|hint|context|error|fatal|warn|info|line \d|\[|\(background|#\d"
    r"|\d{4}-\d\d-\d\d|--? |[\w.:]+(?:error|exception)\b)"
)


def goes_on(line: bytes) -> bool:
    """Whether a statement on this line (see OPENS) is likely to go on with the next."""
    stripped = line.rstrip()
    unfinished = stripped.count(b"(") > stripped.count(b")") or stripped.endswith((b",", b"=", b"\\"))
    return unfinished or _LINE_BEGINS.search(stripped) is not None


def ended_before(line: bytes) -> bool:
    return _NO_STATEMENT.match(line) is not None


RULES: Final = (
    Rule(
        rb"\binsert\s|\bcall\s|\bexec\w*\s.*@\w+\s*=|\breplace\s+into|\bmerge\s+into|\bdelete\s+from|\bupdate\s+\S+\s|\bselect\s|\bvalues\s*\(|\bwhere\s",
        _statement,
    ),
    Rule(rb"^LINE \d+: ", _pointed_at),
    Rule(rb"to use near |at or near ", captured(r"(?i)to use near '(.*)' at line \d|at or near \\*\"('.*)", _fragment)),
)
