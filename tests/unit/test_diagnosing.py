import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from responder.core.logreasons import Explanation
from responder.core.signatures import Says
from responder.diagnosing import as_json, as_text, diagnose_file
from responder.shipped import signatures

LOGS = Path(__file__).parents[1] / "corpus" / "logs"
LOCK = LOGS / "flyway__postgres__lock-timeout.log"


def test_a_finding_has_the_shape_that_is_documented() -> None:
    finding = json.loads(as_json(diagnose_file(str(LOCK), exit_code=1, database=None)))
    assert list(finding) == [
        *("file", "category", "tool", "database", "migration", "state_left", "state_reason", "retry", "retry_reason"),
        *("confidence", "key_line", "because", "advice", "command", "owner"),
    ]
    assert finding["file"] == str(LOCK)
    assert (finding["category"], finding["tool"], finding["database"]) == ("lock-timeout", "flyway", "postgres")
    assert (finding["migration"], finding["state_left"], finding["confidence"]) == (
        "V3__add_currency.sql", "none", "certain",
    )  # fmt: skip
    original = LOCK.read_text(encoding="utf-8").splitlines()
    assert finding["because"]
    assert all(set(because) == {"line", "text"} for because in finding["because"])
    assert all(because["text"] in original[because["line"] - 1] for because in finding["because"])


def test_without_an_exit_code_a_retry_is_never_safe() -> None:
    assert diagnose_file(str(LOCK), exit_code=None, database=None).retry == "unknown"
    assert diagnose_file(str(LOCK), exit_code=1, database=None).retry == "safe"


def test_what_is_shown_is_redacted(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        'psql: error: connection to server at "db" failed: FATAL:  password authentication failed for user "shop"\n'
        "dsn was postgres://shop:hunter2@db:5432/shop\n"
        "ERROR:  duplicate key value violates unique constraint\n"
        "DETAIL:  Key (email)=(ana@example.com) already exists.\n"
    )
    finding = diagnose_file(str(log), exit_code=2, database="postgres")
    shown = as_json(finding) + as_text(finding, colours=False)
    assert finding.because
    assert "hunter2" not in shown
    assert "ana@example.com" not in shown


def test_a_log_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b'\x1b]0;owned\x07ERROR:  relation "x" already exists \x1b[2J\n')
    assert "\x1b" not in as_text(diagnose_file(str(log), exit_code=1, database="postgres"), colours=False)


def test_the_verdict_is_coloured_where_colours_are_wanted() -> None:
    finding = diagnose_file(str(LOCK), exit_code=1, database=None)
    assert "\x1b[1;32mretry safe\x1b[0m" in as_text(finding, colours=True)
    assert "\x1b" not in as_text(finding, colours=False)


@pytest.mark.parametrize(
    "content",
    [b"", b"\n\n\n", bytes(range(256)) * 64, b"\x00" * 100_000, os.urandom(50_000), "ERROR".encode("utf-16")],
    ids=["empty", "blank", "every byte", "zeros", "random", "utf-16"],
)
def test_what_is_no_log_is_judged_too(tmp_path: Path, content: bytes) -> None:
    log = tmp_path / "log"
    log.write_bytes(content)
    assert diagnose_file(str(log), exit_code=1, database=None).retry == "unknown"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
def test_a_log_is_read_as_windows_saves_it_too(encoding: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    mark = "\ufeff" if encoding == "utf-16-be" else ""
    log.write_bytes(f'{mark}BEGIN\r\nERROR:  relation "Größe" already exists\r\n'.encode(encoding))
    finding = diagnose_file(str(log), exit_code=1, database="postgres")
    assert (finding.category, finding.because) == (
        "already-exists", [{"line": 2, "text": 'ERROR:  relation "Größe" already exists'}],
    )  # fmt: skip


def test_a_name_that_is_no_text_can_be_shown(tmp_path: Path) -> None:
    log = os.fsdecode(os.fsencode(tmp_path) + b"/log-\xff")
    Path(log).write_bytes(b"ok\n")
    finding = diagnose_file(log, exit_code=0, database=None)
    assert finding.file.endswith("/log-\ufffd")
    assert json.loads(as_json(finding))["file"] == finding.file


def test_line_numbers_are_those_of_the_file_also_after_an_endless_line(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"x" * 3_000_000 + b'\nERROR:  relation "orders" already exists\n')
    finding = diagnose_file(str(log), exit_code=1, database="postgres")
    assert (finding.category, [b["line"] for b in finding.because]) == ("already-exists", [2])


def test_a_large_log_takes_no_more_memory_than_a_small_one(tmp_path: Path) -> None:
    log = tmp_path / "log"
    error = b'ERROR:  relation "orders" already exists\n'
    log.write_bytes((b"2026-11-21 03:00:00 copying rows of a large table " + b"." * 200 + b" done\n") * 120_000 + error)
    small = tmp_path / "small"
    small.write_bytes(error)
    assert peak_kib(log) - peak_kib(small) < 24 << 10
    assert diagnose_file(str(small), exit_code=1, database="postgres").category == "already-exists"


def peak_kib(log: Path) -> int:
    """Resident memory of a process that judges it, at most."""
    command = [sys.executable, "-m", "responder", "diagnose", "--json", str(log)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["category"] == "already-exists"
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return used.ru_maxrss


def test_explained_it_tells_every_signature_that_matched_and_why_one_won() -> None:
    explained = json.loads(as_json(diagnose_file(str(LOCK), exit_code=1, database=None, explained=True)))["explain"]
    by_signature = {(m["line"], m["signature"]): m for m in explained["matched"]}

    assert explained["why"] == "postgres.lock on line 14: a database or its driver says so"
    assert [m["signature"] for m in explained["matched"] if m["won"]] == ["postgres.lock"]
    assert by_signature[8, "flyway.rolled-back"]["why"] == "nothing of the migration stays"
    assert by_signature[12, "postgres.sqlstate"]["why"] == "says the same"
    assert by_signature[12, "postgres.sqlstate"]["again"] == 1
    assert explained["more"] == 0


@pytest.mark.parametrize("says", Says)
def test_whatever_a_line_says_can_be_explained(says: Says, tmp_path: Path) -> None:
    known = next(s for s in signatures().signatures if s.says is says and s.exit_code is None)
    (tmp_path / "log").write_text(f"{known.samples[0]}\n", encoding="utf-8")
    told = diagnose_file(str(tmp_path / "log"), exit_code=1, database=None, explained=True).explain
    assert isinstance(told, Explanation)
    assert known.id in [m.signature for m in told.matched]


def test_explained_for_people_a_line_is_shown_once_with_its_signatures_below(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        'psql: error: connection to server at "db" failed: Connection refused\n'
        '\x1b[31mERROR:  relation "x" already exists\x1b[0m\n'
        "ERROR:  current transaction is aborted, commands ignored until end of transaction block\n"
    )
    text = as_text(diagnose_file(str(log), exit_code=1, database="postgres", explained=True), colours=False)
    coloured = as_text(diagnose_file(str(log), exit_code=1, database="postgres", explained=True), colours=True)

    assert "over before the end: something was done after it" in text
    assert "the cause" in text
    assert text.count("     1 | psql: error: connection") == 1
    assert "\x1b" not in text
    assert "\x1b[1;32m" in coloured


def test_what_states_no_cause_is_explained_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("working\nstill working\n")

    def why(exit_code: int | None) -> str:
        explained = json.loads(as_json(diagnose_file(str(log), exit_code=exit_code, database=None, explained=True)))
        return str(explained["explain"]["why"])

    assert why(1) == "something failed, and no signature states a cause"
    assert why(0) == "no signature states a failure"
    assert why(137) == "it was ended by SIGKILL (exit code 137), and no line states another cause"


OWN = """\
signatures:
  - id: ledger-closed
    pattern: '^ERROR: ledger \\S+ is closed'
    samples: ["ERROR: ledger shop is closed for migrations until 06:00"]
    category: read-only
    advice: The ledger opens at six. Run it again then.
    source: https://wiki.example.com/ledger
"""


def test_ones_own_signatures_are_used_beside_the_shipped(tmp_path: Path) -> None:
    own, log = tmp_path / "own.yaml", tmp_path / "log"
    own.write_text(OWN)
    log.write_text("ERROR: ledger books is closed for migrations until 06:00\n")

    found = diagnose_file(str(log), exit_code=1, database=None, explained=True, own=[own])

    assert (found.category, found.advice) == ("read-only", "The ledger opens at six. Run it again then.")
    assert diagnose_file(str(log), exit_code=1, database=None).category == "unknown"
