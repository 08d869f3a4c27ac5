"""A value that is made of a file, and made anew when that changes."""

from pathlib import Path

import pytest

from responder.config import ConfigError, read_secret
from responder.reloading import Reloaded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text("first\n")
    return tmp_path / "token"


def write(file: Path, content: bytes | None) -> None:
    """A new file, or none."""
    file.unlink(missing_ok=True)
    if content is not None:
        file.write_bytes(content)


def forbid_others(file: Path) -> None:
    file.chmod(0o600)


@pytest.fixture
def token(file: Path) -> Reloaded[str]:
    return Reloaded((file,), lambda: read_secret(file))


async def test_it_is_read_once_while_nothing_changes(token: Reloaded[str]) -> None:
    assert (token.value, await token.look(), token.value) == ("first", False, "first")


async def test_what_is_written_next_is_its_value(token: Reloaded[str], file: Path) -> None:
    write(file, b"second\n")
    assert (await token.look(), token.value) == (True, "second")
    assert not await token.look()


@pytest.mark.parametrize("bad", [b"", b" \n", b"\xff", None])
async def test_the_last_good_one_stays_and_the_reason_is_news_once(
    token: Reloaded[str], file: Path, bad: bytes | None
) -> None:
    write(file, bad)
    assert (await token.look(), token.value, len(token.problems)) == (True, "first", 1)
    assert (await token.look(), token.value, len(token.problems)) == (False, "first", 1)
    write(file, b"second")
    assert (await token.look(), token.value, token.problems) == (True, "second", ())


async def test_a_disk_that_failed_is_asked_again_though_nothing_changed(file: Path) -> None:
    away = False

    def read() -> str:
        if away:
            raise ConfigError([f"{file}: cannot be read"]) from OSError("input/output error")
        return file.read_text()

    token = Reloaded((file,), read)
    write(file, b"second")
    away = True
    assert (await token.look(), token.value) == (True, "first\n")
    away = False
    assert (await token.look(), token.value, token.problems) == (True, "second", ())


async def test_other_rights_are_a_change(token: Reloaded[str], file: Path) -> None:
    write(file, b"second")
    assert await token.look()
    forbid_others(file)
    assert (await token.look(), token.value) == (True, "second")


def test_without_a_good_one_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="token: secret cannot be read"):
        Reloaded((tmp_path / "token",), lambda: read_secret(tmp_path / "token"))
