"""Credentials in another spelling: escaped for a URL, or in base64 as Secrets hold them."""

from base64 import b64decode
from binascii import Error
from typing import Final

from responder.core.credentials import KEY
from responder.core.rewriting import Rule, Seal, captured, latin1

# "://" in base64, by where it begins within three bytes: a URL hides in such a word.
_URL_WITHIN = r"(?:Oi8v|[A-Za-z0-9+/]ovL[w-z+/89]|[A-Za-z0-9+/]{2}6Ly[89+/])"
_URL_WITH_PASSWORD = latin1(r"://[^\s/@]*:[^\s@]+@")
_COLON = r"(?::|\\+u003a)"
_ESCAPED_VALUE = r"""((?:[^\s"'<>\\@]|\\+[^u"\s]|\\+u00(?:[0-35-9a-f][0-9a-f]|4[1-9a-f]))+?)"""


def _unless_harmless(word: bytes, seal: Seal) -> bytes:
    try:
        plain = b64decode(word + b"=" * (-len(word) % 4))
    except Error:
        return word
    return seal(word) if _URL_WITH_PASSWORD.search(plain) else word


RULES: Final = (
    Rule(  # slashes as PHP escapes them in JSON
        rb":\\+/\\+/[^\s@]*@", captured(r""":\\+/\\+/[^\s:/?#@"'`<>,\[\\]*:((?:[^\s/"'`<>\\]|\\+/)+)@""")
    ),
    Rule(  # what a writer of JSON may escape of a URL
        rb"\\u00(?:3a|40|2f)",
        captured(rf"""(?i){_COLON}(?:/|\\+/|\\+u002f){{2}}[^\s:/?#@"'<>\\]*{_COLON}{_ESCAPED_VALUE}(?:@|\\+u0040)"""),
    ),
    Rule(rb"(?:pass|pwd|secret|token|key)\w*\\+u003d", captured(rf"""(?i){KEY}\\+u003d([^\s"'<>\\&;]+)""")),
    Rule(rb"\\u0022", captured(rf"(?i){KEY}\\+u0022\s*:\s*\\+u0022(.*?)\\+u0022")),  # JSON in JSON of .NET
    Rule(
        rb"%3A%2F%2F[^\s%]*%3A|://[^\s/%]*%3A",
        captured(r"""(?i)(?:%3A%2F%2F|://)[^\s%/?#&"']*%3A([^\s&"'<>]*?)(?:%40|@)"""),
    ),
    Rule(
        rb"(?:pass|pwd|secret|token|key)\w*(?:%22)?%3[AD]",
        captured(
            rf"""(?i){KEY}%3D((?:[^\s&"'<>%]|%[013-9A-F][0-9A-F]|%2[0-57-9A-F])+)"""
            rf"""|{KEY}%22%3A(?:%20|\+)*%22((?:[^\s&"'<>%]|%[013-9A-F][0-9A-F]|%2[013-9A-F])+)"""
        ),
    ),
    Rule(
        rb"Oi8v|ovL[w-z+/89]|6Ly[89+/]",
        captured(rf"(?:^|[^A-Za-z0-9+/])([A-Za-z0-9+/]*{_URL_WITHIN}[A-Za-z0-9+/]*={{0,2}})", _unless_harmless),
    ),
    Rule(
        rb"LS0tLS1CRUdJTi|dockerc",
        captured(
            r"(LS0tLS1CRUdJTi[A-Za-z0-9+/=]+)|\.?docker(?:configjson|cfg)\\*[\"']?: ?\\*[\"']?([A-Za-z0-9+/=]{8,})"
        ),
    ),
)
