"""Values on lines of their own: below their key, in a list printed one to a line, in the rows of a COPY."""

from collections.abc import Callable
from typing import Final, NamedTuple

from responder.core.credentials import KEY, QUOTED, unless_plain
from responder.core.rewriting import Pattern, Seal, captured, latin1
from responder.core.statements import ended_before, members


class Continuation(NamedTuple):
    hint: bytes
    opens: Pattern
    most_lines: int
    rewrite: Callable[[bytes, Seal], bytes | None]  # of the text from a column on; None: no more of it
    last: Pattern | None = None  # what the last line of it looks like

    def begins(self, line: bytes) -> int | None:
        """The column of what opens on this line, behind a prefix and an indent; None: nothing does."""
        match = self.opens.search(line)
        if match is None:
            return None
        return match.span(1)[0] if self.opens.groups else 0

    def ends(self, text: bytes) -> bool:
        return self.last is not None and self.last.search(text) is not None


_PLAIN = r"""[^\s"'`{}\[\]<>()^]"""
_SCALAR = captured(
    rf"^(?:\s+|string\(\d+\) )(?:string\(\d+\) )?"
    rf"(?:{QUOTED}|({_PLAIN}*\w(?:{_PLAIN}*[^\s\"'`{{}}\[\]<>()^,:])?))\s*,?\s*$",
    bare=unless_plain,
)


def _scalar(text: bytes, seal: Seal) -> bytes:
    return _SCALAR(text, seal)


def _block(text: bytes, seal: Seal) -> bytes | None:
    """A block scalar of YAML: all that is indented deeper than its key."""
    value = text.strip()
    if not value:
        return text
    return text.replace(value, seal(value)) if text[:1].isspace() else None


def _item(text: bytes, seal: Seal) -> bytes | None:
    return None if text.lstrip()[:1] in (b"]", b"}", b")", b"") or ended_before(text) else members(text, seal)


def _row(text: bytes, seal: Seal) -> bytes | None:
    if b"\t" not in text or text.startswith(b"\\.") or ended_before(text):
        return None
    return b"\t".join(field if field in (b"", rb"\N") else seal(field) for field in text.split(b"\t"))


def _comma_row(text: bytes, seal: Seal) -> bytes | None:
    if b"," not in text or b": " in text or ended_before(text):
        return None
    return b",".join(seal(field) if field else field for field in text.split(b","))


def _only_column(text: bytes, seal: Seal) -> bytes | None:
    if text.startswith(b"\\.") or b": " in text or ended_before(text) or _COPIED.match(text):
        return None
    return seal(text)


def _to_the_quote(text: bytes, seal: Seal) -> bytes | None:
    """The rest of a value that holds line breaks."""
    if ended_before(text):
        return None
    value, quote, rest = text.partition(b'"')
    return (seal(value) if value else value) + quote + rest


def _argument(text: bytes, seal: Seal) -> bytes | None:
    """A line of what Prisma was given. Where it names types, and in the program around it, there are no values."""
    if not text.strip():
        return text
    if _SENTENCE.match(text) or ended_before(text):
        return None
    return members(text, seal) if _ARGUMENT.match(text) else text


_COPIED = latin1(r"COPY \d+$")
_SENTENCE = latin1(r"[A-Z][\w']* |\s*code: .P\d{4}\b")  # what was wrong, or the error's code
_ARGUMENT = latin1(r"""\s*(?:\d+\s+)?(?:[\[{]+\s*)?(?:["']?\w+["']?:\s*\S|["']|-?\d[\d.]*,?$)""")
_SECOND_STRING = captured(rf"^(?:\S+\s+\|)?\s*[fF]?{QUOTED}")
_SECOND_WORD = captured(r"^([^\s\\]+)")


def _string(text: bytes, seal: Seal) -> bytes | None:
    return _SECOND_STRING(text, seal) if _STRING.match(text) else None


_STRING = latin1(r"""(?:\S+\s+\|)?\s*[a-zA-Z]?["']""")
_BEGIN = r"^(?:[\w.@/-]{1,80}\s+\| )?()"  # behind the prefix of interleaved logs
_SECRET = rf"((?:- )?[\"'\[]*(?:{KEY}|pass)[\"'\]]*)[ \t]*(?:=>|[:=])[ \t]*"
_HINT = rb"(?:pass|pwd|secret|token|credential|key|auth|salt)\w*[\"'\]]*[ \t]*(?:=>|[:=])[ \t]*"

CONTINUATIONS: Final = (
    Continuation(_HINT + rb"[|>][+-]?\d?[ \t]*$", latin1(rf"(?i)(?:^|[\s|]){_SECRET}[|>][+-]?\d?\s*$"), 200, _block),
    Continuation(_HINT + rb"$", latin1(rf"(?i)(?:^|[\s|]){_SECRET}$"), 1, _scalar),
    Continuation(  # of an environment entry
        rb"\bvalue: *[|>][+-]?\d?[ \t]*$", latin1(r"(?:^|[\s|])(value):\s*[|>][+-]?\d?\s*$"), 200, _block
    ),
    Continuation(
        rb"(?:parameters|params|binds?|bindings|keyValue|op)[\"']?[ \t]*(?:=>|[:=])[ \t]*[\[({][ \t]*$",
        latin1(
            r"(?i)(?:^|[\s{[(])([\"']?(?:parameters|params|binds?|bindings|keyValue|op)[\"']?)\s*(?:=>|[:=])\s*[\[({]\s*$"
        ),
        200,
        _item,
    ),
    Continuation(rb"\bcopy\b.* from stdin", latin1(r"(?i)\bcopy\b.* from stdin"), 200, _row),
    Continuation(rb"\bcopy\b.* from stdin.*\bcsv", latin1(r"(?i)\bcopy\b.* from stdin.*\bcsv"), 200, _comma_row),
    Continuation(
        rb"\bcopy\b[^(]*\([^(),]+\) *from stdin", latin1(r"(?i)\bcopy\b[^(]*\([^(),]+\) *from stdin"), 200, _only_column
    ),
    Continuation(
        rb"(?:invalid input|out of range|malformed|input string)[^:\"]*: ?\"[^\"]*$",
        latin1(rf'(?i){_BEGIN}.*(?:invalid input|out of range|malformed|input string)[^:"]*: ?"[^"]*$'),
        20,
        _to_the_quote,
        latin1('"'),
    ),
    Continuation(rb"\) ?` invocation", latin1(r"(Invalid `[^`]*`) invocation"), 200, _argument),
    Continuation(  # a string that another one is added to
        rb"(?:pass|pwd|secret|token|key)\w*[\"'\]]*[ \t]*(?:=>|[:=]).*[\"'][ \t]*[\\+][ \t]*$",
        latin1(rf"(?i)(?:{KEY}|pass)[\"'\]]*\s*(?:=>|[:=]).*[\"']\s*[\\+]\s*$"),
        20,
        _string,
        latin1(r"[^\s\\+]\s*$"),
    ),
    Continuation(  # a shell's word that goes on with the next line
        rb"(?:pass|pwd|secret|token|key)\w*=[^ \t]*[^ \t\\\"']\\$",
        latin1(rf"(?i){_BEGIN}.*{KEY}=\S*[^\s\\\"']\\$"),
        20,
        _SECOND_WORD,
        latin1(r"[^\\]$"),
    ),
)
