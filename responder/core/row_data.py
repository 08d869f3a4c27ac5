"""Where databases and drivers print rows: what was duplicate, could not be converted, or was bound."""

from typing import Final

from responder.core.rewriting import Rule, Seal, captured, latin1

_SQL_ECHO = latin1(r"(?i)\s*(?:\[failed sql|\[sql|\(sql:|\(connection:|\\n|\[parameters)")

# PostgreSQL names the row of its own migration tables by such columns: names of migrations stay readable.
_HISTORY_COLUMN = latin1(r"\(?\"?(?:version|version_num|version_id|migration|migration_name|installed_rank)\"?")
_MIGRATION_NAME = latin1(r"[\w.-]{1,120}")


def _before_echo(value: bytes, seal: Seal) -> bytes:
    """The value of a greedy match ends where the statement's echo begins; that has rules of its own."""
    echo = _SQL_ECHO.search(value)
    if not echo:
        return seal(value)
    head, tail = value[: echo.start()], value[echo.start() :]
    closing = head[len(head.rstrip(b").")) :]
    return seal(head.rstrip(b").")) + closing + tail


_KEY_SUFFIX = (
    r"(?: already exists| is duplicated| is not present| is still referenced| conflicts with| violates| does not exist)"
)
_KEY_ROWS = latin1(rf"(\(?[\w\", .()]*?)\)=\((?:(.*?)\){_KEY_SUFFIX}|(.*)\))")
_KEY = captured(rf"\)\s?=\s?\((?:(.*?)\){_KEY_SUFFIX}|(.*)\))", _before_echo)


def _key(line: bytes, seal: Seal) -> bytes:
    """`Key (email)=(...)`: kept when the column is one that migration tables have."""
    named = _HISTORY_KEY.search(line)
    return line if named else _KEY(line, seal)


_HISTORY_KEY = latin1(
    r"\((?:version|version_num|version_id|migration|migration_name|installed_rank)\)=\([\w.-]{1,120}\)"
)

_CONVERSIONS: Final = (
    r'invalid input (?:syntax for|value for) [^:"]*: \\*"(.*?)\\*"(?:$|[^\w])',
    r'(?:value|field value) out of range: \\*"(.*?)\\*"(?:$|[^\w])',
    r'\bvalue \\*"(.*?)\\*" is out of range',
    r'malformed (?:array|record|range) literal: \\*"(.*?)\\*"(?:$|[^\w])',
    r'\bToken \\*"(.*?)\\*" is invalid',
    r'could not parse \\*"(.*?)\\*" as type',
    r"(?:Truncated i|I)ncorrect [\w ]*value: \\*'(.*?)\\*'(?:$| for |[^\w ])",
    r"Truncated value: '(.*?)'\.",
    r"Conversion failed when converting the [\w ]*value '(.*?)' to ",
    r"The duplicate key value is \((.*?)\)\.?",
    r"Cannot parse string '(.*?)' as ",
    r"invalid literal for int\(\) with base \d+: (?:\\*'(.*?)\\*'|\"(.*?)\")(?:$|[^\w])",
    r"could not convert string to float: \\*'(.*?)\\*'(?:$|[^\w])",
    r'For input string: \\*"(.*?)\\*"(?:$|[^\w])',
    r'invalid value for (?:Integer|Float)\(\): \\*"(.*?)\\*"(?:$|[^\w])',
    r'parsing \\*"(.*?)\\*": (?:invalid syntax|value out of range)',
    r"dup key: \{ (.*?) \}(?:$|[^,])",
    r"violation: .* VALUES \((.*)\)",
    r"row with column values \((.*)\)",
)

_BALANCED = (
    r"""(?:[^\[\](){}'"]|'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"|[\[({](?:[^\[\](){}'"]|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|"""
    r"""[\[({](?:[^\[\](){}'"]|'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")*[\])}])*[\])}])*"""
)

RULES: Final = (
    Rule(rb"\) ?= ?\(", _key),
    Rule(rb"row contains", captured(r"(?i)row contains \((.*)\)(?:$|[^)]*$)", _before_echo)),
    Rule(
        rb"duplicate entry|\b1062\b",
        captured(r"(?i:duplicate entry) \\*'(?:(.*?)\\*' for key|([^']*?)\s*$)|\b1062\b[^'\n]*?'(.*?)\\*' [^'\n]*'"),
    ),
    Rule(rb"' for key '", captured(r"^\s*([^\s'][^']*)' for key '")),  # the second half of a wrapped message
    Rule(
        rb"invalid input|out of range|malformed|is invalid|could not parse|incorrect|truncated value|conversion failed"
        rb"|duplicate key value is|cannot parse|invalid literal|could not convert|input string|invalid value for"
        rb"|parsing|dup key|violation: |row with column values",
        captured("|".join(_CONVERSIONS)),
    ),
    Rule(
        rb"param(?:eter)?s|binding|\bbinds?\b|\bargs\b",
        captured(
            rf"(?i)\[parameters: (?:({_BALANCED})\]|(.*))"
            rf"|\b(?:bindings|binds?|parameters|params)\\*[\"']?\s*[:=]\s*[\[({{](?:({_BALANCED})[\])}}]|(.*))"
            rf"|\bargs=\(({_BALANCED})\)"
            r"|binding parameter [\[(][^\])]*[\])](?: as \[\w+\])? (?:-|<-) \[(.*)\]"
            r"|==>\s*Parameters: (.+)|^\s*params: ([^\s\[{(].*)"
        ),
    ),
    Rule(rb"\$\d+ = '", captured(r"\$\d+ = '((?:[^']|'')*)(?:'|$)")),
    Rule(rb"COPY \S+, line", captured(r'(?i)COPY \S+, line \d+(?:, column [^:]+)?: "(.*)"')),
    Rule(rb"\[\[\\*\"", captured(r'\[\\*"[^"\\]+\\*", (?:\\*"(.*?)\\*"|([^\]"]+))\]')),
)
