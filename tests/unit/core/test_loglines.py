"""One line of a log as a person reads it, whatever wrote it down."""

import json

import pytest

from responder.core.loglines import Tone, read

SAID = 'Error: pq: relation "ledger" already exists (42P07)'
QUOTED = json.dumps(SAID)


@pytest.mark.parametrize(
    "line",
    [
        SAID,
        f"2026-11-21T10:00:00.123456789Z stdout F {SAID}",
        f"ledger-migrate-x7k2p \u203a migrate | {SAID}",
        f"app-migrate-1  | {SAID}",
        f"0|migrate  | {SAID}",
        f"[0] {SAID}",
        f"[pod/ledger-migrate-x7k2p/migrate] {SAID}",
        f"Nov 21 10:00:00 n1 migrate[12]: {SAID}",
        f"2026-11-21T10:00:00+0000 n1 migrate[12]: {SAID}",
        f"<14>1 2026-11-21T10:00:00Z n1 migrate 12 - - {SAID}",
        f"E1121 10:00:00.000000       1 main.go:12] {SAID}",
        f"10:00:00.123 [main] ERROR o.e.Migrate - {SAID}",
        f"2026-11-21 10:00:00,123 ERROR [main] o.e.Migrate: {SAID}",
        f"2026-11-21T10:00:00.000Z ERROR 28006 --- [ledger] [    main] o.s.boot.SpringApplication      : {SAID}",
        f"[Nest] 28006  - 11/21/2026, 10:00:00 AM   ERROR [TypeOrmModule] {SAID}",
        f"2026-11-21T10:00:00.000Z\tERROR\tmigrate/main.go:12\t{SAID}",
        f'time="2026-11-21T10:00:00Z" level=error msg={QUOTED}',
        f"time=2026-11-21T10:00:00Z level=ERROR msg={QUOTED}",
        json.dumps({"level": "error", "msg": SAID}).replace('"level": "error", ', ""),
        json.dumps({"log": SAID + "\n"}),
        f"\x1b[31m{SAID}\x1b[0m\r",
    ],
)
def test_a_line_is_read_without_what_its_carrier_put_around_it(line: str) -> None:
    reading = read(line)
    assert reading.body == SAID
    assert reading.tone is Tone.LOUD


def test_the_message_of_a_json_line_stands_first() -> None:
    assert read('{"level":"error","ts":"x","error":{"code":"42P07"},"msg":"gone"}').body.startswith("gone; ")


@pytest.mark.parametrize(
    ("line", "tone"),
    [
        ("I1121 10:00:00.000000       1 main.go:12] attempt 1 failed", Tone.QUIET),
        ("10:00:00.123 [main] WARN  o.e.Migrate - connection refused", Tone.QUIET),
        ("2026-11-21T10:00:00.000Z  WARN 1 --- [main] .s.b.a.Reporter : connection refused", Tone.QUIET),
        ("[Nest] 1  - 11/21/2026, 10:00:00 AM     LOG [Loader] connection refused", Tone.SILENT),
        ("10:00:00.123 [main] DEBUG o.e.Migrate - connection refused", Tone.SILENT),
        ("(1906, \"The value specified for generated column 'b' in table 'g' has been ignored\")", Tone.LOUD),
        ('NOTICE:  relation "x" already exists, skipping', Tone.SILENT),
        ('{"level":"error","msg":"skipping applying migrations on database default, encountered: x"}', Tone.LOUD),
        ('level=info msg="connection refused"', Tone.QUIET),
        ('{"level":"warn","msg":"connection refused"}', Tone.QUIET),
        ("connection refused, retrying in 2s", Tone.QUIET),
        ("failed to connect to tcp://db:5432, retry after 2 seconds: connection refused", Tone.QUIET),
        ("FATAL:  role does not exist", Tone.LOUD),
        (" [warning] You have 1 previously executed migration that is not registered", Tone.QUIET),
        (">  [notice] Update started: ledger_update_9001", Tone.SILENT),
        ("> >  [error]  Update failed: ledger_update_9001", Tone.LOUD),
        ("WARNING! You have 4 previously executed migrations", Tone.QUIET),
        ("ERROR:  current transaction is aborted, commands ignored until end of transaction block", Tone.LOUD),
        ("Error: It looks like you've skipped a hard stop in our upgrade process.", Tone.LOUD),
    ],
)
def test_how_loud_a_line_complains(line: str, tone: Tone) -> None:
    assert read(line).tone is tone


@pytest.mark.parametrize("line", ["", "{", "{}", "[", "<", '{"a":' * 400, "\x00", "level=error msg=", "I1121 "])
def test_nothing_is_too_odd_to_be_read(line: str) -> None:
    assert isinstance(read(line).body, str)
