"""Where credentials stand in what programs print: URLs, key-value pairs, flags, headers, SQL, tokens."""

from typing import Final

from responder.core.rewriting import Rule, Seal, captured, latin1
from responder.core.statements import members

# -- values ------------------------------------------------------------------------------------------------

# One group each. An end of line closes what a cut line left open.
_ESCAPED_TWICE = r'\\{2,}"([^"]*?)\\*(?:"|$)|\\+\'([^\']*?)\\*(?:\'|$)'
_ESCAPED = r'\\"((?:[^"\\]|\\\\(?:\\["\\]|[^"\\])|\\[^"\\])*)\\*(?:"|$)'  # a JSON string within a JSON string
_DOUBLE = r'"((?:[^"\\]|\\.)*)\\?(?:"|$)'
_SINGLE = r"'((?:[^'\\]|\\.|'')*)\\?(?:'|$)"
_BACKTICK = r"`([^`]*)`"
QUOTED = rf"[uUbBrRnNeE]?(?:{_ESCAPED}|{_ESCAPED_TWICE}|{_DOUBLE}|{_SINGLE}|{_BACKTICK})"

# A bare value is chunks between separators. It ends where the next pair or an escaped new line begins; a chunk that is
# a word alone may be the next pair's key, which only the byte behind it tells.
_CHAR = r"""(?:[^\s"'`<>\\,;&]|["'][0-9A-Za-z]|\\(?:\\|[nrt][^A-Z\s\\"'`<>]|[^nrt\s"'`<>\\]))"""
_CHAR_OF_NO_KEY = r"""(?:[^\s"'`<>\\,;&\w.=:-]|\\(?:\\|[nrt][^A-Z\s\\"'`<>]|[^nrt\s"'`<>\\]))"""
_CHUNKS = rf"""(?:[,;&]+[\w.-]*(?:{_CHAR_OF_NO_KEY}{_CHAR}*)?)*"""
_BARE = (
    rf"""\[redacted:[0-9a-f]{{8}}\]?(?:[\w!$%^*+-]{_CHAR}*)?|[\[{{][^:\s"'`<>]*"""
    rf"""|[^\s"'`<>\\,;&]{_CHAR}*{_CHUNKS}|\\{_CHAR}+{_CHUNKS}"""
)
_CLOSING = b",;&)]}>\\."

_NO_SECRET = latin1(
    r"(?i)(?:yes|no|true|false|on|off|null|none|nil|undefined|unset|empty|missing|required|optional|invalid|unknown"
    r"|redacted|filtered|hidden|masked|provided|is|was|has|must|can|can't|cannot|not|too|the|an?|should|may|or|and|for"
    r"|from|in|of|with|error|failed|expired)"
    r"|\*+|\.{3}|x{3,}|[?]|%s|%\(\w+\)s|\$\d+|:\w+"  # masks and placeholders
    r"|\$\{[^}]*\}|\$\(\w+\)|\{\{.*|(?-i:\$[A-Z_]{3,})"  # references to where the secret is
    r"|(?:os\.environ|os\.getenv|process\.env|getenv|env\(|ENV\[|System\.getenv|config\(|settings\.|self\.).*"
    r"|[\[{(]+|[|>][+-]?\d?"  # the value is a structure with keys of its own, or goes on below
)
_MASKED = latin1(
    r"(?i)\*+|\.{3}|x{3,}|\$\{[^}]*\}|\{\{.*\}\}|%s|[<\[(](?:redacted|filtered|hidden|masked|secret)[>\])]"
)


def _bare_end(line: bytes, start: int, end: int) -> int:
    """How much of a bare run is the value."""
    value = line[start:end]
    if line[end : end + 1] in (b"=", b":"):
        if value[:1] in (b"[", b"{"):
            return start  # a structure with keys of its own
        value = value[: max(value.rfind(separator) for separator in (b",", b";", b"&"))]
    return start + len(value if value.startswith(b"[redacted:") else value.rstrip(_CLOSING))


# -- keys --------------------------------------------------------------------------------------------------

_WORD: Final = (
    r"password|passwd|passphrase|passcode|pwd|secret|token|credential|"
    r"(?:access|account|admin|aes|api|app|auth|client|cookie|crypto|deploy|encryption|hmac|jwt|license|master|priv|"
    r"private|rsa|secret|secretaccess|service|session|shared|sharedaccess|signing|ssh|storage|webhook)[_.-]?key|"
    r"access[_-]?key[_-]?id|secret_key_base|shared_?access_?signature|session_?id|cookie[_-]?secret|x-vault-token"
)
KEY: Final = rf"[\w.-]*(?:{_WORD}|[_.-]pass|[_.-]auth|[_.-]salt|[_.-]pw)(?:_?\d{{1,2}}|_?value)?"
_SENTENCE = r"(unexpected|illegal|unknown|near|at|mismatched)\s+"  # "Unexpected token: }" is a parser's complaint
_PAIRS = latin1(
    rf"""(?i)(?:{_SENTENCE})?(?:{KEY}((?:\\*["'])?)\]?\s*(?:=>|:=|==?|:)|\bpass(?:\s*=|\\*["']\s*(?:=>|[:=])))\s*"""
    rf"""(?:string\(\d+\) |![\w!/:.-]+ )?(?:{QUOTED}|({_BARE}))"""
)
_BARE_GROUP = _PAIRS.groups
_VALUE_GROUPS = range(3, _BARE_GROUP + 1)


def _pairs(line: bytes, seal: Seal) -> bytes:
    """`key=value`, `key: value`, `"key": "value"`, `'key' => 'value'`, whatever the nesting of quotes."""
    pieces: list[bytes] = []
    copied = at = 0
    while match := _PAIRS.search(line, at):
        start, end = next(span for group in _VALUE_GROUPS if (span := match.span(group))[0] >= 0)
        bare = match.span(_BARE_GROUP)[0] >= 0
        if bare:
            end = _bare_end(line, start, end)
        at = max(end, start)
        value = line[start:end]
        if not value or match.span(1)[0] >= 0 or (_NO_SECRET if bare else _MASKED).fullmatch(value):
            continue
        key_quote = match.group(2) or b""
        quote = key_quote if bare and key_quote.endswith(b'"') else b""  # a number in JSON leaves a string
        pieces += line[copied:start], quote + seal(value) + quote
        copied = at
    return b"".join((*pieces, line[copied:])) if pieces else line


def unless_plain(value: bytes, seal: Seal) -> bytes:
    return value if _NO_SECRET.fullmatch(value) else seal(value)


_FLAGS = rf"""(?i)--?(?:{KEY}|pass)(?:\s+|["'],\s*["'])(?:{QUOTED}|([^\s"'`<>-][^\s"'`<>]*))"""

_MYSQL_FLAG = r"""(?i:\b(?:mysql|mariadb)[\w-]*\b)[^|;]*?(?:\s|["'])-p(?:'([^']+)'|([^\s"'`\\;|&]+))"""

# Other clients' flags for a password.
_OTHER_FLAGS = (
    r"(?:\b(?:sqlcmd|bcp|osql)\b[^|;]*?[\s\"']-P"
    r"|\b(?:mongo\w*|cypher-shell|cqlsh|(?:docker|podman|helm registry) login)\b"
    r"""[^|;]*?[\s"']-p)(?:\s*|["'],\s*["'])(?:'([^']+)'|"([^"]+)"|([^\s"'`;|&,]+))"""
)
_PIPED = r"""\b(?:echo|printf)\s+(?:-n\s+)?(?:'%s'\s+)?(?:'([^']+)'|"([^"]+)"|(\S+))\s*\|.*(?:password-stdin|passwd)"""

_RULES_OF_PAIRS: Final = (
    Rule(
        rb"^\W*(?:step .*)?(?:env|arg) \w*(?:pass|pwd|secret|token|key)",
        captured(rf"(?i)\b(?:env|arg)\s+{KEY}\s+([^\s=]\S*)"),
    ),
    Rule(rb"pass|pwd|secret|token|credential|[_.-]?key|signature|session_?id|_auth|_salt|[_.-]pw", _pairs),
    Rule(rb"-[\w.-]*(?:pass|pwd|secret|token|key|credential)", captured(_FLAGS, bare=unless_plain)),
    Rule(
        rb"-[\w.-]*(?:pass|pwd|secret|token|key)\w*,", captured(rf"""(?i)--?{KEY},\s*([^\s"'`<>,\]-][^\s"'`<>,\]]*)""")
    ),
    Rule(
        rb"(?:sqlcmd|bcp|osql|mongo\w*|cypher-shell|cqlsh|login)\b.*[ \"']-p",
        captured(_OTHER_FLAGS),
    ),
    Rule(rb"\|.*(?:password-stdin|passwd)", captured(_PIPED)),
    Rule(rb"<<<", captured(rf"(?i){KEY}\s*<<<\s*(?:{QUOTED}|(\S+))")),
    Rule(rb"(?:mysql|mariadb).* -p|(?:mysql|mariadb).*[\"']-p", captured(_MYSQL_FLAG)),
)

# -- URLs and connection strings -----------------------------------------------------------------------------

_RULES_OF_URLS: Final = (
    Rule(rb"://[^\s/?#]*@", captured(r"""://[^\s:/?#@"'`<>,\[]*:([^\s/"'`<>]+)@""")),
    Rule(  # a raw / ? or # within the password; the first part of it is no port
        rb"://[^\s/@]*:[^\s@]*@",
        captured(r"""://[^\s:/?#@"'`<>,\[]*:([^\s"'`<>@/?#]*[^\s"'`<>@/?#0-9][^\s"'`<>@/?#]*[/?#][^\s"'`<>@]*)@"""),
    ),
    Rule(rb"://[^\s:/?#@]{20,}@", captured(r"""://([^\s:/?#@"'`<>.]{20,})@""")),
    Rule(rb"@(?:tcp[46]?|unix|cloudsql\w*)\(", captured(r"""[\w.%-]*:([^\s"'`]+)@(?:tcp[46]?|unix|cloudsql\w*)\(""")),
    Rule(  # MySQL's of Go, without a protocol
        rb":[^\s@/]+@(?:\(|/)", captured(r"""(?:^|[\s"'=])[\w.%-]+:([^\s"'`@/]+)@(?:\([^)\s]*\))?/[\w?]""")
    ),
    Rule(rb"oracle:thin:[^\s@]*@", captured(r"(?i)oracle:thin:[^/\s]+/([^\s@]+)@")),
    Rule(
        rb"sqlplus|sqlldr|impdp|expdp",
        captured(
            r"(?i)\b(?:sqlplus|sqlldr|impdp|expdp)(?:\s[^/]*?\w/([^\s@]+)@|(?:\s+-\S+)*\s+\w+/([^\s@\"']+)(?:[\s\"']|$))"
        ),
    ),
    Rule(rb"invalid port", captured(r'(?i)invalid port "(:[^"]*)" after host')),
    Rule(
        rb"[?&](?:sig|code|key|auth|x-amz-)",
        captured(r"""(?i)[?&](?:sig|code|key|auth|x-amz-(?:signature|security-token|credential))=([^&\s"'<>\\]+)"""),
    ),
    Rule(rb"mysqli", captured(r"\bmysqli\w*(?:(?:->|::)\w+)?\('[^']*', '[^']*', '([^']*)'")),
    Rule(  # .pgpass
        rb":(?:\d+|\*):[^:\s]+:[a-z_]",
        captured(r"(?:^|[\s\"'])[\w.*-]+:(?:\d{2,5}|\*):[\w*-]+:[A-Za-z_][\w-]*:([^\s\"']+)(?:[\s\"']|$)"),
    ),
    Rule(rb"\blogin \S+ password ", captured(r"(?i)\blogin \S+ password (\S+)")),  # .netrc
    Rule(rb"(?:mysql|pgsql|sqlsrv|oci):[^']*',", captured(r"'(?:mysql|pgsql|sqlsrv|oci):[^']*', '[^']*', '([^']*)'")),
)

# -- headers, SQL, private keys, tokens that are known by their form -----------------------------------------

_TOKENS: Final = (
    r"eyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)*",  # JSON web token
    r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA|ABIA|ACCA)[A-Z0-9]{16}\b",
    r"AIza[\w-]{35}|\bya29\.[\w-]{20,}|GOCSPX-[\w-]{20,}",
    r"\b[\w~.-]{3}8Q~[\w~.-]{34}",  # Entra client secret
    r"\bgh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{22,}",
    r"\bgl(?:pat|ptt|dt|rt|cbt|ft|soat|agent|oas|imt|ffct)-[\w-]{16,}",
    r"\bxox[abeoprs]-[\w-]{10,}|\bxapp-[\w-]{10,}|hooks\.slack\.com/(?:services|workflows)/[\w/-]+",
    r"\bnpm_[A-Za-z0-9]{30,}|\bpypi-[\w-]{40,}|\brubygems_[0-9a-f]{40,}|\bdckr_[po]at_[\w-]{20,}",
    r"\b[srp]k_(?:live|test)_\w{10,}|\bwhsec_[\w+/=]{10,}",
    r"\bSG\.[\w-]{16,}\.[\w-]{16,}|\bdo[opr]_v1_[0-9a-f]{40,}|\bhv[sbr]\.[\w-]{20,}|\bsk-[\w-]{20,}",
    r"\bglsa_\w{20,}|\bdapi[0-9a-f]{32}|\bshp(?:at|ca|pa|ss)_[0-9a-f]{32}|\bpscale_\w+_[\w-]{20,}",
    r"\bhf_[A-Za-z0-9]{30,}|\bATATT3[\w=-]{20,}|\bNRAK-[A-Z0-9]{20,}|\bsntrys_[\w+/=-]{20,}|\bFL01[A-F0-9]{60,}",
    r"\w{14}\.atlasv1\.[\w-]{40,}|AGE-SECRET-KEY-1[A-Z0-9]{40,}",
)
_TOKEN_STARTS = (
    rb"eyJ|A(?:KIA|SIA|GPA|IDA|ROA|NPA|BIA|CCA)[A-Z0-9]{16}|AIza|ya29\.|GOCSPX-|8Q~|gh[pousr]_|github_pat_"
    rb"|gl[a-z]{2,5}-|xox[a-z]-|xapp-|hooks\.slack|npm_|pypi-|rubygems_|dckr_|[srp]k_|whsec_|SG\.|do[opr]_v1_|hv[sbr]\."
    rb"|sk-|glsa_|dapi|shp|pscale_|hf_|ATATT3|NRAK-|sntrys_|FL01|\.atlasv1\.|AGE-SECRET"
)

_HEADER_END = r"""[^\s"'\\,]"""

_OTHERS: Final = (
    Rule(
        rb"authorization",
        captured(rf"""(?i)authorization\\*["']?\s*(?:=>|[:=])\s*\\*["']?(?:[A-Za-z]+\s+)?({_HEADER_END}+)"""),
    ),
    Rule(rb"bearer ", captured(r"(?i)\bbearer\s+([\w.~+/=-]*[0-9._=][\w.~+/=-]*)")),
    Rule(rb"basic ", captured(r"\b[Bb]asic\s+([A-Za-z0-9+/]*[0-9+/=][A-Za-z0-9+/]*={0,2})")),
    Rule(rb"cookie", captured(r"""(?i)\b(?:set-)?cookie\\*["']?\s*(?:=>|[:=])\s*\\*["']?([^\s"'\\][^"'\\]*)""")),
    Rule(
        rb"identified |password *\(?'",
        captured(
            r"(?i)\blocate revision identified by '[^']*'|"  # Alembic's, before SQL's
            rf"\b(?:identified\s+(?:with\s+\S+\s+)?(?:by|as)|password)(?:\s+|\s*\(\s*)(?:password\s*\(?\s*)?(?:{QUOTED})"
        ),
    ),
    Rule(rb"password +\$\$", captured(r"(?i)password\s+\$\$(.*?)(?:\$\$|$)")),
    Rule(rb"set password", captured(r"(?i)\bset password[^=]*=\s*'((?:[^'\\]|\\.|'')*)'")),
    Rule(
        rb"password (?:for|is|was|set) ",
        captured(
            r"(?i)\bpassword\s+(?:(?:for\s+[^:=]{1,60}?|is|was|set to)\s*(?:is\s*)?:\s*|(?:set to)\s+)(\S+)",
            unless_plain,
        ),
    ),
    Rule(
        rb"<[\w.-]*(?:pass|pwd|secret|token|key)|(?:pass\w*|pwd|secret|token|key)\"",
        captured(rf'(?i)<{KEY}>(?:<!\[CDATA\[(.*?)\]\]>|([^<]+)<)|name="{KEY}"\s*(?:value="([^"]*)"|>([^<]+)<)'),
    ),
    Rule(rb"redis-cli ", captured(r"(?i)redis-cli .*?-a\s*(\S+)")),
    Rule(rb"curl |wget ", captured(r"(?i)(?:curl|wget) .*?(?:-u|--user)[\s=]*[^\s:]*:([^\s\"']+)")),
    Rule(  # "password": {"value": "..."}
        rb"\{\s*\\*[\"']?value",
        captured(rf"""(?i){KEY}\\*["']?\s*[:=]\s*\{{\s*\\*["']?value\\*["']?\s*[:=]\s*(?:{QUOTED})"""),
    ),
    Rule(rb"set_config\(", captured(rf"(?i)set_config\(\s*'{KEY}'\s*,\s*'((?:[^']|'')*)'")),
    Rule(  # an environment entry of a Pod, whatever its name
        rb'name\\*"?\s*:.*value\\*"?\s*:',
        captured(rf'(?i)\bname\\*"?\s*:\s*\\*"[^"\\]*\\*",\s*\\*"?value\\*"?\s*:\s*(?:{QUOTED})'),
    ),
    Rule(  # a list of them; in a list without quotes they may be a parser's tokens
        rb"(?:pass\w*|pwd|secret|token|credential|key)s?\\*[\"']?\s*(?:=>|[:=])\s*\[\s*\\*[\"']",
        captured(rf"""(?i){KEY}s?\\*["']?\s*(?:=>|:=|[:=])\s*\[(\s*\\*["'][^\[\]{{{{}}}}]*)""", members),
    ),
    Rule(_TOKEN_STARTS, captured("(" + "|".join(f"(?:{form})" for form in _TOKENS) + ")")),
)

# An environment entry of a Pod in YAML, its value on the next line.
ENTRY_OPENS: Final = rb"^(?:[^:]*[\s|])?(?:- )?[\"']?name[\"']?: *[\"']?[\w.-]+[\"']?,?\s*$"
entry_value = captured(rf"^(?:[^:]*[\s|])?[\"']?value[\"']?: *(?:{QUOTED}|(\S.*))", bare=unless_plain)

_PRIVATE_KEY: Final = Rule(  # before the pairs: they would take its first line for the value
    rb"PRIVATE KEY", captured(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----(.+?)(?:-----END|$)")
)

RULES: Final = (_PRIVATE_KEY, *_RULES_OF_URLS, *_RULES_OF_PAIRS, *_OTHERS)
