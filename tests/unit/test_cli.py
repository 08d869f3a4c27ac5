import io
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from responder.cli import build_parser, main

ROOT = Path(__file__).parents[2]
LOGS = ROOT / "tests" / "corpus" / "logs"
LOCK = str(LOGS / "flyway__postgres__lock-timeout.log")
COMMANDS = [
    *("serve", "demo", "check", "diagnose", "incidents", "gate", "blocks", "decisions", "receivers", "snippets"),
    *("backup", "restore", "migrate", "purge", "lint", "doctor", "rules"),
]


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_help_names_every_command_and_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert [command for command in COMMANDS if command not in told] == []
    assert "0 good, 1 the answer is no or findings, 2 bad input, 3 not known yet, 4 could not ask" in told


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_what_it_does_and_what_each_argument_is(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = help_of(command, capsys)
    assert told.startswith(f"usage: responder {command} ")
    assert "Exit codes: 0 good" in told


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["diagnose"],
        ["serve"],
        ["demo", "--port", "x"],
        ["demo", "--port", "70000"],
        ["incidents", "--limit", "-1"],
        ["gate", "--for", "fun"],
        ["gate", "--wait", "nan"],
        ["gate", "--timeout", "-1"],
        ["gate", "--timeout", "0"],
    ],
)
def test_a_command_line_that_is_none_ends_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: responder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["incidents", "show"], "incidents show: which INCIDENT?"),
        (["incidents", "export"], "incidents export: which INCIDENT?"),
        (["blocks", "lift"], "blocks lift: which BLOCK?"),
        (["blocks", "list", "b1"], "blocks list: takes no BLOCK; it lists all that are in force"),
        (
            ["incidents", "list", "i1"],
            "incidents list: takes no INCIDENT; --state, --project, --application, --category choose",
        ),
        (["decisions", "approve", "d1"], "decisions approve: which --evidence VERSION did you see?"),
    ],
)
def test_what_is_missing_is_asked_for(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"{told}\n"


# diagnose


def test_diagnose_prints_one_json_object_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    other = str(LOGS / "django__postgres__success-one-pending.log")
    assert main(["diagnose", "--json", "--exit-code", "1", LOCK, other]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(f["file"], f["category"]) for f in found] == [(LOCK, "lock-timeout"), (other, "unknown")]


def test_a_file_that_cannot_be_read_does_not_stop_the_others(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["diagnose", "--json", str(tmp_path / "gone"), str(tmp_path), LOCK]) == 2
    told = capsys.readouterr()
    assert (
        told.err
        == f"{tmp_path}/gone: cannot be read: No such file or directory\n{tmp_path}: cannot be read: Is a directory\n"
    )
    assert json.loads(told.out)["category"] == "lock-timeout"


def test_standard_input_is_a_file_too_and_is_read_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(Path(LOCK).read_bytes()))))
    assert main(["diagnose", "--json", "-", "-"]) == 0
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["file"], first["category"], second["category"]) == ("-", "lock-timeout", "none")


@pytest.mark.parametrize("code", ["300", "-1", "one", "1.5"])
def test_an_exit_code_that_no_process_ends_with_is_refused(code: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["diagnose", f"--exit-code={code}", LOCK])
    assert ended.value.code == 2
    assert f"expected 0 to 255, as a process ends with, found '{code}'" in capsys.readouterr().err


def test_a_database_that_nobody_knows_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", "--exit-code", "1", "--database", "postgress", LOCK]) == 2
    assert capsys.readouterr() == ("", "--database: 'postgress' is not known, did you mean postgres?\n")
    assert main(["diagnose", "--exit-code", "1", "--database", "nosuch", LOCK]) == 2
    assert "mariadb, mongodb, mssql, mysql" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["postgres", "postgresql", "mariadb", "mysql", "sqlite3", "oracle", "mssql"])
def test_a_database_is_called_as_people_call_it(name: str) -> None:
    assert main(["diagnose", "--json", "--database", name, LOCK]) == 0


def test_diagnose_writes_no_colours_into_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diagnose", LOCK]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"{LOCK}: lock-timeout (certain), flyway postgres\n  retry unknown: ")
    assert "\x1b" not in told


def test_diagnose_starts_without_what_only_the_service_needs() -> None:
    heavy = [
        "aiohttp",
        "kubernetes_asyncio",
        "prometheus_client",
        "jinja2",
        "asyncio",
        "pydantic",
        "sqlite3",
        "urllib.request",
    ]
    program = f"""
import sys
from responder.cli import main
code = main(["diagnose", "--json", {LOCK!r}])
print([name for name in {heavy!r} if name in sys.modules])
sys.exit(code)
"""
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert run.stdout.splitlines()[-1] == "[]"


# check, snippets


def test_check_says_how_many_files_it_saw(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(ROOT / "config/responder.yaml"), str(ROOT / "config/rules.yaml")]) == 0
    assert main(["check", str(ROOT / "config/rules.yaml")]) == 0
    assert capsys.readouterr().out == "2 files checked: no errors\n1 file checked: no errors\n"


def test_check_tells_every_fault_of_every_file_and_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text("lissten: {}\nactons: {}\n")
    (tmp_path / "b.yaml").write_text("listen: {port: -1}\n")
    assert main(["check", str(tmp_path / "a.yaml"), str(tmp_path / "b.yaml")]) == 2
    places = [line.removeprefix(str(tmp_path)).split(": ")[0] for line in capsys.readouterr().err.splitlines()]
    assert places == ["/a.yaml:1:1", "/a.yaml:2:1", "/b.yaml:1:16"]


def test_check_tells_a_program_what_it_tells_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    faulty, gone = tmp_path / "a.yaml", tmp_path / "gone.yaml"
    faulty.write_text("lissten: {}\n")
    assert main(["check", "--json", str(faulty), str(gone)]) == 2
    told = capsys.readouterr()
    assert told.err == ""
    assert [json.loads(line) for line in told.out.splitlines()] == [
        {"file": str(faulty), "line": 1, "column": 1, "reason": "lissten: unknown key, did you mean listen?"},
        {"file": str(gone), "line": None, "column": None, "reason": "cannot be read: No such file or directory"},
    ]
    assert main(["check", "--json", str(ROOT / "config/rules.yaml")]) == 0
    assert capsys.readouterr().out == ""


def test_snippets_prints_the_file_that_deploy_ships(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["snippets", "argocd"]) == 0
    assert capsys.readouterr().out == (ROOT / "deploy/argocd/argocd-notifications-cm.yaml").read_text(encoding="utf-8")


# configuration that is none, for the commands that need one


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve"],
        ["backup", "copy.db"],
        ["restore", "copy.db"],
        ["migrate"],
        ["purge", "i1"],
        ["receivers", "test", "dba"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_faulty_configuration_is_told_with_its_place_and_ends_with_2(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "responder.yaml"
    file.write_text("listen: {prot: 80}\n")
    assert main([*arguments, "--config", str(file)]) == 2
    assert capsys.readouterr().err == f"{file}:1:10: listen.prot: unknown key, did you mean port?\n"
    assert main([*arguments, "--config", str(tmp_path / "gone.yaml")]) == 2
    assert capsys.readouterr().err == f"{tmp_path}/gone.yaml: cannot be read: No such file or directory\n"


# however it ends


def test_a_reader_that_has_had_enough_gets_no_traceback_and_no_good_end() -> None:
    command = [sys.executable, "-m", "responder", "diagnose", "--json", *[LOCK] * 400]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=30) == 141


def test_the_server_to_ask_can_be_named_once_for_a_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RESPONDER_SERVER", "https://responder.example.com")
    assert build_parser().parse_args(["gate"]).server == "https://responder.example.com"
    monkeypatch.setenv("RESPONDER_SERVER", "https://responder.example.com/a%20b")
    assert "https://responder.example.com/a%20b" in help_of("gate", capsys)
    monkeypatch.delenv("RESPONDER_SERVER")
    assert build_parser().parse_args(["gate"]).server == "http://127.0.0.1:8080"


def test_a_terminal_that_cannot_show_a_sign_is_no_reason_to_say_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "log").write_text('ERROR:  relation "größe" already exists\n', encoding="utf-8")
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii"))
    assert main(["diagnose", "--exit-code", "1", str(tmp_path / "log")]) == 0
    assert b'1 | ERROR:  relation "gr\\xf6\\xdfe" already exists\n' in shown.getvalue()


def test_it_says_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"responder {version('argocd-hook-responder')}\n")


def test_the_package_runs_as_a_module_and_as_a_command() -> None:
    for command in ([sys.executable, "-m", "responder"], [str(Path(sys.executable).with_name("responder"))]):
        run = subprocess.run([*command, "snippets", "argocd"], capture_output=True, timeout=30, check=True, cwd=ROOT,
                             env={**os.environ, "PYTHONWARNINGS": "error"})  # fmt: skip
        assert b"argocd-notifications-cm" in run.stdout
