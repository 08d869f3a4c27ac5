"""One pass over a log finds the lines that any of many patterns may match."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from responder.core.scanning import Scanner

SCANNER = Scanner(
    ("^ferry (?P<name>\\w+) is late$", "(?i)lost\\s+at sea", 'harbour "[^"]*" closed', "\\(?P<anchor>")  # the last: a P
)
BLOB = base64.b64encode(bytes(range(256)) * 12)  # text without words, as in a dump
LINES = (
    b"",
    b"all well",
    b"ferry m3 is late",
    b"2026-11-21T03:00:00.5Z ferry m3 is late",
    b'{"msg":"ferry m3 is late"}',
    b"the ferry m3 is late again",
    b"LOST at sea",
    b"lost",
    b"at sea",
    b'harbour "north" closed',
    b'harbour "north',
    b'" closed',
    b"P<anchor>",
    BLOB,
    b"INSERT INTO files VALUES ('%b')" % BLOB,
    BLOB + b" ferry m3 is late",
    b"%b lost  at sea %b" % (BLOB, BLOB),
)
FOUND = {LINES[2], LINES[3], LINES[4], LINES[6], LINES[9], LINES[12], LINES[15], LINES[16]}


@given(st.lists(st.sampled_from(LINES), max_size=30), st.booleans())
def test_each_line_is_found_for_what_it_says_itself(lines: list[bytes], ended: bool) -> None:
    data = b"\n".join(lines) + b"\n" * ended

    assert [data[begin:end] for begin, end in SCANNER.lines(data)] == [line for line in lines if line in FOUND]


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        ("^out|in$", b"we are in"),
        ("(?i)^out|IN", b"we are in"),
        (r"a\|b|[|(]c", b"a|b"),
        (r"a\|b|[|(]c", b"(c"),
        ("(?:a|b)c|d", b"bc"),
        ("^?a", b"xa"),
        (r"\Qa|\E|c", b"a|"),
        ("a(?i)b|c", b"C"),
        ("(?s)a.b|^c", b"a-b"),
        ("a|", b""),
    ],
)
def test_a_pattern_keeps_its_meaning_beside_others(pattern: str, line: bytes) -> None:
    """What it is taken apart into stands among the parts of all the others."""
    assert Scanner(("^other|^?words", pattern, "b")).first(line) is not None


@pytest.mark.parametrize(
    ("pattern", "line"), [(r"a\|b", b"a"), ("(?:a|b)c", b"a"), ("[x|y]z", b"x"), (r"\Qa|\E", b"a"), ("(?i:a)b|c", b"C")]
)
def test_nor_does_it_find_what_it_does_not_mean(pattern: str, line: bytes) -> None:
    assert Scanner(("^other", pattern, "words")).first(line) is None


def test_a_scan_begins_where_it_is_told_to() -> None:
    data = b"ferry m3 is late\nlost at sea\n"

    assert list(SCANNER.lines(data, 17)) == [(17, 28)]


def test_it_tells_where_a_line_begins_to_match() -> None:
    assert SCANNER.first(b"we are lost at sea") == 7
    assert SCANNER.first(b"we are found") is None
    assert SCANNER.first(BLOB + b" was lost  at sea") == len(BLOB) + 5
    assert SCANNER.first(BLOB) is None
