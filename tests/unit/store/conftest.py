from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from responder.store.schema import connect, create, migrate
from responder.store.sqlite import SqliteStore
from responder.store.writer import Limits
from tests.contract.store.examples import StandingClock


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "responder.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """Impatient with other programs, so that the tests are not."""
    async with await SqliteStore.open(path, clock=StandingClock(), limits=Limits(busy=0.05)) as store:
        yield store


@pytest.fixture
def garbage(tmp_path: Path) -> Path:
    file = tmp_path / "garbage"
    file.write_bytes(b"garbage " * 1000)
    return file


@pytest.fixture
def damaged(path: Path) -> Path:
    """Sound in its first page only."""
    create(path)
    with closing(connect(path, busy=1, write=True)) as connection:
        migrate(connection, path)
    sound = path.read_bytes()
    path.write_bytes(sound[:4096] + b"\xff" * (len(sound) - 4096))
    return path
