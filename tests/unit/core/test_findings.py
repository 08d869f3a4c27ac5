"""What is collected of a log: every line once, in the order of events, within bounds."""

from responder.core.failure import Category
from responder.core.findings import Findings, LogLine, collect
from responder.core.signaturefile import parse_signatures
from responder.core.signatures import Says

SIGNATURES = parse_signatures(
    {
        "ferry.yaml": b"""
tools: [{name: ferry, source: "https://example.org/ferry"}]
defaults: {tool: ferry, source: "https://example.org/ferry"}
signatures:
  - {id: ferry.lost, category: missing-object, pattern: 'is gone', samples: ['it is gone']}
  - {id: work.load, tool: "", says: tool, weight: 1, pattern: '(?P<work>loaded$)', samples: ['5 loaded']}
  - {id: ferry.sail, says: started, pattern: '^sails (?P<migration>m\\d+)', samples: ['sails m3']}
"""
    }
)


def found(*texts: str) -> Findings:
    return collect((LogLine(n, text) for n, text in enumerate(texts, 1)), SIGNATURES)


def test_each_line_is_found_with_its_number_and_what_it_names() -> None:
    log = found("", "sails m3", "quiet", "it is gone")
    assert [(f.line.number, f.signature.id) for f in log.found] == [(2, "ferry.sail"), (4, "ferry.lost")]
    assert [f.migration for f in log.saying(Says.STARTED)] == ["m3"]
    assert [f.category for f in log.saying(Says.FAILURE)] == [Category.MISSING_OBJECT]
    assert [line.number for line in log.tail] == [2, 3, 4]


def test_a_notice_is_no_failure_and_a_warning_is_a_quiet_one() -> None:
    log = found("NOTICE: it is gone", "WARN: it is gone", "ERROR: it is gone")
    assert [(f.line.number, f.quiet) for f in log.found] == [(2, True), (3, False)]


def test_a_log_whose_stamps_fall_is_read_from_its_end() -> None:
    log = found(*(f"2026-11-21T10:00:0{9 - n}Z it is gone" for n in range(5)))
    assert [f.line.number for f in log.found] == [5, 4, 3, 2, 1]
    assert log.tail[-1].number == 1


def test_of_a_line_that_repeats_both_ends_are_kept() -> None:
    log = found(*("it is gone" for _ in range(20_000)))
    numbers = [f.line.number for f in log.found]
    assert (numbers[0], numbers[-1], len(numbers)) == (1, 20_000, 80)


def test_a_line_of_millions_is_cut_around_what_was_found() -> None:
    log = found("x" * 3_000_000 + " it is gone " + "y" * 3_000_000)
    assert len(log.found) == 1
    assert "it is gone" in log.found[0].line.text
    assert len(log.found[0].line.text) < 20_000


def test_of_a_loop_s_progress_the_beginning_and_the_end_are_looked_at_and_everything_that_is_no_progress() -> None:
    progress = [f"row {number} loaded" for number in range(5_000)]
    log = found(*progress, "it is gone", *progress, "sails m4", "row 1 loaded")
    work = [f.line.number for f in log.found if f.signature.id == "work.load"]

    assert (work[0], work[-1], len(work)) == (1, 10_003, 80)
    assert [f.line.number for f in log.found if f.signature.id != "work.load"] == [5_001, 10_002]
