import io

import pytest

from responder.terminal import coloured, plain


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ERROR: naïve 日本 🙂\tend", "ERROR: naïve 日本 🙂\tend"),
        ("\x1b[2J\x1b]0;title\x07", "\ufffd[2J\ufffd]0;title\ufffd"),
        ("over\rwritten", "over\ufffdwritten"),
        ("\x9b31m", "\ufffd31m"),
        ("evil \u202egnp.exe", "evil \ufffdgnp.exe"),
        ("half \ud800", "half \ufffd"),
    ],
)
def test_a_stranger_s_text_moves_no_cursor_and_turns_no_writing_round(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert coloured(Terminal())
    assert not coloured(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not coloured(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not coloured(Terminal())
