"""Where databases and drivers print rows: what was duplicate, could not be converted, or was bound."""

from typing import Final

from responder.core.rewriting import Rule, Seal, captured, latin1
from responder.core.statements import members

# Where a greedily matched row ends: at the echo of the statement, or of the string that it is in.
_ECHO = latin1(r"""(?i)\s*(?:\[failed sql|\[sql|\(sql:|\(connection:|\\n|\[parameters)|\.\\*["'](?:\s*[,}\])]|$)""")


def _row(rest: bytes, seal: Seal) -> bytes:
    """The row in what follows its opening parenthesis: up to the last one that closes, or all of a line cut short."""
    echo = _ECHO.search(rest)
    closing = rest.rfind(b")", 0, echo.start() if echo else len(rest))
    end = closing if closing >= 0 else len(rest)
    return seal(rest[:end]) + rest[end:]


_KEY_SUFFIX = (
    r"(?: already exists| is duplicated| is not present| is still referenced| conflicts with| violates| does not exist)"
)
_KEY = captured(rf"\)\s?=\s?\((?:(.*?)\){_KEY_SUFFIX}|(.*))", bare=_row)

# Columns of migration tables: their rows name migrations, which stay readable.
_MIGRATION = latin1(r"\((?:version|version_num|version_id|migration|migration_name|installed_rank)\)=\([\w.-]{1,120}\)")


def _key(line: bytes, seal: Seal) -> bytes:
    """`Key (email)=(ana@example.org) already exists.`"""
    return line if line.count(b")=(") == 1 and _MIGRATION.search(line) else _KEY(line, seal)


def _quoted(before: str, quote: str) -> str:
    """A value that may hold such quotes unescaped: it ends at one behind which a word ends, or with the line."""
    return rf"""{before} ?\\*{quote}(?:(.*?)\\*{quote}(?:$|[\s,)\]}}.;:\\"'(])|(.*))"""


_CONVERSIONS: Final = (
    _quoted(r'invalid input (?:syntax|value) for [^:"]*:', '"'),
    _quoted("value out of range:", '"'),
    r'\bvalue \\*"(.*?)\\*" is out of range',
    _quoted("malformed (?:array|record|range) literal:", '"'),
    r'\bToken \\*"(.*?)\\*" is invalid',
    r"JSON data, line \d+: (.*)",
    r'could not parse \\*"(.*?)\\*" as type',
    _quoted(r"ncorrect [\w ]*value:", "'"),
    _quoted("Truncated value:", "'"),
    r"Conversion failed when converting the [\w ]*value '(.*?)' to ",
    r"The duplicate key value is \((.*)\)",
    r"Cannot parse string '(.*?)' as ",
    r"Cannot parse uuid (.+?)(?:: Cannot|: [Ww]hile|$)",
    _quoted(r"invalid literal for int\(\) with base \d+:", "'"),
    _quoted(r"invalid literal for int\(\) with base \d+:", '"'),
    _quoted("could not convert string to float:", "'"),
    _quoted("For input string:", '"'),
    _quoted("found during parsing", "'"),
    _quoted("expected a number but got", "'"),
    r"\xe2\x80\x9c(.*?)\xe2\x80\x9d (?:is not a valid|value )",  # Django
    _quoted(r"invalid value for (?:Integer|Float)\(\):", '"'),
    r'parsing \\*"(.*?)\\*": (?:invalid syntax|value out of range)',
    r"dup key: \{ (?:[\w.]+: )?(.*?) \}(?:$|[^,])",
    r"violation: .* VALUES \((.*)\)",
    r"row with column values \((.*)\)",
)

_STRING = r"""'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*\""""
_FLAT = rf"(?:[^\[\](){{}}'\"]|{_STRING})*"
_NESTED = rf"(?:[^\[\](){{}}'\"]|{_STRING}|[\[({{]{_FLAT}[\])}}])*"
_COLLECTION = rf"(?:[^\[\](){{}}'\"]|{_STRING}|[\[({{]{_NESTED}[\])}}])*"  # three levels of brackets
_BOUND = "bindings|binds?|parameters|params|with data"
_PARAMETERS: Final = (
    rf"\[parameters: (?:({_COLLECTION})\]|(.*))",
    rf"\b(?:{_BOUND})\\*[\"']?\s*[:=]?\s*(?:%|array)?[\[({{](?:({_COLLECTION})[\])}}]|(.*))",
    rf"\bargs=[\[(]({_COLLECTION})[\])]",
    rf"-- args: \[({_COLLECTION})\]",
    rf"^\s*fields: \{{({_COLLECTION})\}}",
    rf"\b(?:keyValue|op)\\*[\"']?\s*:\s*\{{({_COLLECTION})\}}",  # MongoDB's errors
    rf"\{{(\s*\\*[\"']?_id\\*[\"']?\s*:{_COLLECTION})\}}",  # its documents
    r"Executing \([\w-]+\): (?:[^;']|'[^']*')*; ([\"'\[{\d].*)",  # Sequelize
    rf"(?i:\b(?:insert|update|delete|select)\b.*[$?]\d*\)?[^\[\]]*) \[({_FLAT})\]\s*$",  # Ecto
)


def _arguments(listed: bytes, seal: Seal) -> bytes:
    return members(listed, seal) if b"," in listed else seal(listed)


RULES: Final = (
    Rule(rb"\) ?= ?\(", _key),
    Rule(
        rb"failing row contains|zeile enth|ligne en|fila que falla",
        captured(
            r"(?i)(?:(?:^|[^e] |\s\s|[\"'])failing row contains|zeile enth\S+|ligne en \S+ contient"
            r"|fila que falla contiene) \((.*)",
            _row,
        ),
    ),
    Rule(rb"duplicate entry", captured(r"""(?i)duplicate entry \\*["'](.*?)(?:\\*["'] for key|\\*["']?\s*$)""")),
    Rule(rb"\b1062\b", captured(r"\b1062\b[^'\n]*'(.*?)\\*' [^'\n]*'")),  # in MySQL's other languages
    Rule(rb"' for key '", captured(r"^\s*([^\s'][^']*)' for key '")),  # the second half of a wrapped message
    Rule(
        rb"invalid input|out of range|malformed|is invalid|could not parse|incorrect|truncated value|conversion failed"
        rb"|duplicate key value is|cannot parse|invalid literal|could not convert|input string|invalid value for"
        rb"|expected a number|is not a valid|\x9d value "
        rb"|parsing|dup key|violation: |row with column values|JSON data, line",
        captured("|".join(_CONVERSIONS)),
    ),
    Rule(
        rb"param(?:eter)?s|binding|\bbinds?\b|\bargs=|-- args|fields: |with data |keyValue|\bop\W+\{|\b_id\W*:"
        rb"|Executing \([\w-]+\): .*; |(?:insert|update|delete|select)\b.*[$?].* \[",
        captured("(?i)" + "|".join(_PARAMETERS), members),
    ),
    Rule(
        rb"binding parameter|==> *parameters|^\s*params: |^\s*value: ",
        captured(
            r"binding parameter [\[(][^\])]*[\])](?: as \[\w+\])? (?:-|<-) \[(.*)\]"
            r"|==>\s*Parameters: (.+)|^\s*params: ([^\s\[{(].*)|^\s*value: (?:'(.*)'|\"(.*)\"|(-?\d+)),?$"
        ),
    ),
    Rule(rb"\$\d+ = '", captured(r"\$\d+ = '((?:[^']|'')*)(?:'|$)")),
    Rule(rb"COPY \S+, line", captured(r'(?i)COPY \S+, line \d+(?:, column [^:]+)?: "(?:(.*)"|(.*))')),
    Rule(
        rb"before: '|parsed text: ",
        captured(r"""Cannot parse .*? before: '(.*?)'(?::|\s|$)|parsed text: "(.*?)"(?:$|[,)\s])"""),
    ),
    Rule(rb":\w+ ?= ?(?:'|-?\d)", captured(r"(?:^|[\s\[(,]):\w+ ?= ?(?:'((?:[^']|'')*)'|(-?\d[\d.]*))")),  # Oracle
    Rule(
        rb"consideredValue|failingDocumentId",
        captured(
            r"""\b(?:consideredValue|failingDocumentId)\\*["']?\s*:\s*(?:\\*["'](.*?)\\*["'](?:[\s,}]|$)|([^\s"'\\,{}]+))"""
        ),
    ),
    Rule(rb"#<\w[\w:]* id: ", captured(r"#<[A-Z][\w:]* (id: [^>]*)", members)),  # Rails
    Rule(  # Prisma, in one line
        rb"\.(?:create|update|upsert|delete|find|count|aggregate)\w*\(.*\b(?:data|create|update|where): ?[\[{]",
        captured(rf"\b(?:data|create|update|where): ?[\[{{](?:({_COLLECTION})[\]}}]|(.*))", members),
    ),
    Rule(rb"objectid\(|\$oid", captured(r"""ObjectId\(\\*["'](\w+)|\$oid\\*"\s*:\s*\\*"(\w+)""")),
    Rule(  # Go: a statement with its arguments beside it
        rb"sql.*\bargs\b|\bargs\b.*sql", captured(r"""\bargs\\*["']?\s*[:=]\s*\\*"?\[(.*?)\]""", _arguments)
    ),
    Rule(rb"\[\[\\*\"", captured(r'\[\\*"[^"\\]+\\*", (?:\\*"(.*?)\\*"|([^\]"]+))\]')),
    Rule(  # people's addresses, wherever they stand; user@host of a URL and of Git is none
        rb"\w@[a-z0-9-]+\.[a-z]",
        captured(
            r"(?:^|[^\w.+/@%\x80-\xff-])([\w.+\x80-\xff-]+@[A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)*\.[A-Za-z][\w\x80-\xff]+(?:[.+-]+[\w\x80-\xff]+)*)",
            lambda address, seal: address if address.startswith(b"git@") else seal(address),
        ),
    ),
)
