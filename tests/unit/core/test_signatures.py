"""Signature files: read strictly, matched on lines as logs print them."""

from hashlib import sha256

import pytest

from responder.core.failure import Category
from responder.core.signaturefile import SignatureError, parse_signatures
from responder.core.signatures import Signature, Signatures

GOOD = """
tools:
  - {name: ferry, source: "https://example.org/ferry"}
tables:
  numbers: {deadlock: [1213], data-error: ["22"]}
signatures:
  - id: ferry.lost
    pattern: '^ferry: "(?P<migration>\\w+)" is gone$'
    category: history-conflict
    tool: ferry
    samples: ['ferry: "m3" is gone']
  - id: ferry.number
    pattern: 'number (?P<code>\\w+)'
    codes: numbers
    samples: ['number 1213']
"""


def only(text: str, *, old: str, new: str) -> bytes:
    assert text.count(old) == 1
    return text.replace(old, new).encode()


def test_a_good_file_is_read() -> None:
    signatures = parse_signatures({"ferry.yaml": GOOD.encode()})
    match = signatures.matches('ferry: "m3" is gone')[0]
    assert match.category is Category.HISTORY_CONFLICT
    assert match.groups == {"migration": "m3"}


@pytest.mark.parametrize(
    ("line", "category"),
    [
        ("number 1213", Category.DEADLOCK),
        ("number 22001", Category.DATA_ERROR),
        ("number 77, number 1213", Category.DEADLOCK),
    ],
)
def test_a_code_is_looked_up_whole_then_by_its_class(line: str, category: Category) -> None:
    assert [m.category for m in parse_signatures({"f": GOOD.encode()}).matches(line)] == [category]


@pytest.mark.parametrize("line", ["number 9999", "number 2213", "number 221"])
def test_an_unlisted_code_is_no_match_nor_are_the_first_digits_of_a_plain_number(line: str) -> None:
    assert parse_signatures({"f": GOOD.encode()}).matches(line) == []


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("tool: ferry", "tolo: ferry", 10, "tolo: unknown key, did you mean tool?"),
        ("history-conflict", "history-fight", 9, "'history-fight' is no category, did you mean history-conflict?"),
        ("tool: ferry", "tool: barge", 10, "there is no tool 'barge'"),
        ("    samples: ['number 1213']", "    samples: []", 15, "needs a sample"),
        ("samples: ['number 1213']", "samples: ['nothing like it']", 15, "does not match"),
        (r"'number (?P<code>\w+)'", r"'number (?=x)(?P<code>\w+)'", 13, "no look-around"),
        (r"'number (?P<code>\w+)'", r"'number (\w+)\1'", 13, "no look-around, no back-references"),
        (r"'number (?P<code>\w+)'", r"'number \w+'", 13, "group named code"),
        (r"'number (?P<code>\w+)'", r"'(?P<code>[\pL\pN]{1000}[\pL]{1000})|x'", 13, "needs too much memory"),
        (r"'number (?P<code>\w+)'", r"'((?P<code>a{100}){100}){100}'", 13, "needs too much memory"),
        (r"'number (?P<code>\w+)'", r"'(?P<code>\w*)'", 13, "matches an empty line"),
        ("['number 1213']", '["number 1213\\nand more"]', 15, "is more than a line"),
        ("codes: numbers", "codes: letters", 14, "no code table 'letters'"),
        ("id: ferry.number", "id: ferry.lost", 12, "of this id already"),
        ("deadlock: [1213]", "dedlock: [1213]", 5, "'dedlock' is no category, did you mean deadlock?"),
        ("    codes: numbers\n", "", 12, "needs a category or a code table"),
        ("    pattern: 'number (?P<code>\\w+)'\n", "", 12, "pattern: missing"),
        ("category: history-conflict", "weight: heavy", 9, "weight: Expected `int`, got `str`"),
        ("{name: ferry, ", "{nam: ferry, name: ferry, ", 3, "nam: unknown key, did you mean name?"),
        ("signatures:", "signatures: [", 7, "expected"),
    ],
)
def test_a_bad_file_is_refused_with_its_place_and_reason(old: str, new: str, line: int, reason: str) -> None:
    with pytest.raises(SignatureError) as refused:
        parse_signatures({"own.yaml": only(GOOD, old=old, new=new)})
    (problem,) = refused.value.problems
    assert problem.startswith(f"own.yaml:{line}:")
    assert reason in problem


def test_every_fault_is_told_at_once() -> None:
    text = GOOD.replace("history-conflict", "history-fight").replace("codes: numbers", "code: numbers")
    with pytest.raises(SignatureError) as refused:
        parse_signatures({"own.yaml": text.encode()})
    assert [problem.split(":")[1] for problem in refused.value.problems] == ["9", "14"]
    text = GOOD.replace("['ferry: ", "['fairy: ").replace("['number 1213']", "['nothing']")
    with pytest.raises(SignatureError) as refused:
        parse_signatures({"own.yaml": text.encode()})
    assert [problem.split(":")[1] for problem in refused.value.problems] == ["11", "15"]


def test_a_fault_names_its_column() -> None:
    with pytest.raises(SignatureError, match=r"^own\.yaml:9:15: .*history-fight"):
        parse_signatures({"own.yaml": only(GOOD, old="history-conflict", new="history-fight")})


@pytest.mark.parametrize(
    "line",
    [
        'ferry: "m3" is gone',
        '2026-11-21T10:00:00Z ferry: "m3" is gone\r',
        'app-1  | \x1b[31mferry: "m3" is gone\x1b[0m',
        r'{"msg":"ferry: \"m3\" is gone"}',
    ],
)
def test_a_live_line_is_recognised_behind_prefixes_and_escapes(line: str) -> None:
    assert parse_signatures({"f": GOOD.encode()}).scan_line(line)


def test_a_harmless_line_is_not() -> None:
    assert not parse_signatures({"f": GOOD.encode()}).scan_line('the ferry "m3" is late')


def test_more_patterns_than_one_filter_holds_are_found_all_the_same() -> None:
    names = [sha256(bytes([*divmod(number, 256)])).hexdigest() for number in range(1500)]
    signatures = Signatures(Signature(name, name, ()) for name in names)
    assert [[m.signature.id for m in signatures.matches(f"lost: {name}")] for name in names[::150]] == [
        [name] for name in names[::150]
    ]
    assert len(signatures._filters) > 1
    assert Signatures(()).matches("lost") == []


def test_a_scan_gives_every_line_that_may_match_once() -> None:
    signatures = parse_signatures({"f": GOOD.encode()})
    data = b'x\nferry: "m3" is gone\ny number 1213 number 1213\n\nnumber 1213'
    assert [data[a:b] for a, b in signatures.scan(data)] == [
        b'ferry: "m3" is gone',
        b"y number 1213 number 1213",
        b"number 1213",
    ]
