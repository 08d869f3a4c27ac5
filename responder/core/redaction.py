"""Secrets and row data out, structure kept.

Every value that goes out leaves `[redacted:xxxxxxxx]` in its place: a keyed hash, so that equal values stay
comparable within one installation and nothing can be guessed back without its key. Names of tables, columns,
constraints and migrations, error codes, hosts and paths stay: the diagnosis rests on them.

Works on UTF-8 bytes read as Latin-1: a log is not always text, and RE2's classes skip broken UTF-8.
"""

from collections.abc import Collection
from hashlib import blake2b

import msgspec
import re2

from responder.core import continuing, credentials, disguised, row_data, statements
from responder.core.rewriting import SEALED, Pattern, Rule, Seal, captured

_KEY_BODY = captured(r"""([A-Za-z0-9+/=]{16,})|(?:^|[\s"'|])([A-Za-z0-9+/=]+)\W*$""")
_FORMLESS = bytes({*range(0x80, 0x100), *b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@[:]"})
_MOST_PASSES = 5
_MOST_LINES = 200  # an RSA key of 16,384 bits has 190; a lost END line must not swallow the log


def _unchanged(line: bytes, _seal: Seal) -> bytes:
    return line


_RULES: tuple[Rule, ...] = (
    *credentials.RULES,
    *disguised.RULES,
    *statements.RULES,
    *row_data.RULES,
    Rule(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[^-]*$", _unchanged),
    Rule(statements.OPENS, _unchanged),
    Rule(credentials.ENTRY_OPENS, _unchanged),
    *(Rule(each.hint, _unchanged) for each in continuing.CONTINUATIONS),
)
_CONTINUES = len(_RULES) - len(continuing.CONTINUATIONS)
_KEY_OPENS, _STATEMENT_OPENS, _ENTRY_OPENS = range(_CONTINUES - 3, _CONTINUES)


class Redactor(msgspec.Struct, frozen=True):
    """Holds no state but its key: safe to share between all logs."""

    key: bytes

    def value(self, secret: str) -> str:
        return self.seal(_encode(secret)).decode()

    def line(self, text: str) -> str:
        """One whole line of a log; nothing is found in half a line."""
        raw = _encode(text)
        hits = _GATE.Match(raw)
        return text if hits is None else _decode(_rewritten(raw, hits, self.seal))

    def text(self, text: str) -> str:
        """Several lines that belong together: a message, a manifest, the tail of a log."""
        if "\n" not in text:
            return self.line(text)
        stream = self.stream()
        return "\n".join(map(stream.line, text.split("\n")))

    def stream(self) -> "LineRedactor":
        return LineRedactor(self.seal)

    def seal(self, secret: bytes) -> bytes:
        if SEALED.fullmatch(secret):
            return secret
        return b"[redacted:%s]" % blake2b(secret, digest_size=4, key=self.key).hexdigest().encode()


class LineRedactor:
    """One log, line after line: what began on an earlier line (a private key, a statement) goes on."""

    __slots__ = ("_goes_on", "_in_entry", "_key_lines", "_seal", "_statement_lines")

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._key_lines = 0  # how many more may belong to the key that is open
        self._statement_lines = 0
        self._in_entry = False  # the line before named a variable: its value may follow
        self._goes_on: tuple[continuing.Continuation, int, int] | None = None  # what, from which column, lines left

    @property
    def within(self) -> bool:
        """Something that an earlier line began goes on: the next line must be looked at whatever it says."""
        return bool(self._key_lines or self._statement_lines or self._in_entry or self._goes_on)

    def line(self, text: str) -> str:
        raw = _encode(text)
        hits = _GATE.Match(raw)
        if hits is None and not self.within:
            return text
        if self._in_entry:
            raw = credentials.entry_value(raw, self._seal)
        raw = self._continued(self._within_statement(self._within_key(raw)))
        self._note_what_opens(raw, hits or ())
        return _decode(_rewritten(raw, hits or (), self._seal))

    def _note_what_opens(self, raw: bytes, hits: Collection[int]) -> None:
        if _KEY_OPENS in hits:
            self._key_lines = _MOST_LINES
        if _STATEMENT_OPENS in hits and statements.goes_on(raw):
            self._statement_lines = _MOST_LINES
        self._in_entry = _ENTRY_OPENS in hits
        for index in sorted(hit for hit in hits if hit >= _CONTINUES):
            what = continuing.CONTINUATIONS[index - _CONTINUES]
            column = what.begins(raw)
            if column is not None:
                self._goes_on = what, column, what.most_lines

    def _continued(self, raw: bytes) -> bytes:
        if self._goes_on is None:
            return raw
        what, column, left = self._goes_on
        text = what.rewrite(raw[column:], self._seal)
        more = text is not None and left > 1 and not what.ends(raw[column:])
        self._goes_on = (what, column, left - 1) if more else None
        return raw if text is None else raw[:column] + text

    def _within_key(self, raw: bytes) -> bytes:
        if not self._key_lines:
            return raw
        body, end, rest = raw.partition(b"-----END")
        self._key_lines = 0 if end else self._key_lines - 1
        return _KEY_BODY(body, self._seal) + end + rest

    def _within_statement(self, raw: bytes) -> bytes:
        if not self._statement_lines:
            return raw
        if statements.ended_before(raw):
            self._statement_lines = 0
            return raw
        self._statement_lines = 0 if raw.rstrip().endswith(b";") else self._statement_lines - 1
        return statements.values_of(raw, self._seal)


def _rewritten(raw: bytes, hits: Collection[int], seal: Seal) -> bytes:
    """A value that took a quote or a bracket with it may have hidden another: then look again, until nothing moves."""
    for _ in range(_MOST_PASSES):
        before = raw
        for index in sorted(hits):
            raw = _RULES[index].rewrite(raw, seal)
        if raw == before or raw.translate(None, _FORMLESS) == before.translate(None, _FORMLESS):
            return raw
        hits = _GATE.Match(raw) or ()
    return seal(raw)


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def _gate() -> re2.Set:
    """One pass over a line tells which rules have something to look at; most lines have none."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = False
    options.log_errors = False
    gate = re2.Set.SearchSet(options)
    for rule in _RULES:
        gate.Add(rule.hint)
    gate.Compile()
    return gate


_GATE = _gate()
_ANCHOR = re2.compile(rb"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\^")


_MOST_MEMORY = 32 << 20  # of the states that a pattern is in; with 8 MB, what is usual, it forgets them at times


def _block_gate() -> Pattern:
    """The same hints for many lines at once, each with a stamp before it. Finds at least what the other finds."""
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.case_sensitive = False
    options.never_capture = True
    options.max_mem = _MOST_MEMORY
    options.log_errors = False
    stamped = (_ANCHOR.sub(lambda m: rb"^(?:\S+ )?" if m[0] == b"^" else m[0], rule.hint) for rule in _RULES)
    gate: Pattern = re2.compile(b"|".join(b"(?m:%s)" % hint for hint in stamped), options)
    return gate


_BLOCK_GATE = _block_gate()


def next_suspect(block: bytes, start: int = 0) -> tuple[int, int] | None:
    """Begin and end (its newline left out) of the next line that redaction may have to change.

    ``block`` holds whole lines as the kubelet stamps them; ``start`` is where one begins. 20 times as fast as line by
    line. Says nothing of lines that go on with what an earlier one began (``LineRedactor.within``).
    """
    found = _BLOCK_GATE.search(block, start)
    if found is None:
        return None
    begin = block.rfind(b"\n", start, found.start() + 1) + 1 or start
    end = block.find(b"\n", begin)
    return begin, end if end >= 0 else len(block)
