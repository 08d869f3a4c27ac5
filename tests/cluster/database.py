"""One database of one story, behind a door of its own."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import quote

from tests.cluster.databases import PASSWORD
from tests.cluster.door import Door
from tests.cluster.running import Running

_PATIENCE = 60.0


class Database:
    """As ``dialect`` speaks; its superuser's."""

    def __init__(self, running: Running, dialect: str, name: str, door: Door) -> None:
        self.dialect = dialect
        self.name = name
        self.door = door
        self._running = running

    def url(self, password: str = PASSWORD) -> str:
        """As golang-migrate takes it, and of PostgreSQL everybody."""
        if self.dialect == "mariadb":
            return f"mysql://root:{password}@tcp(127.0.0.1:{self.door.port})/{self.name}"
        return f"postgresql://postgres:{quote(password)}@127.0.0.1:{self.door.port}/{self.name}?sslmode=disable"

    async def ask(self, sql: str) -> list[str]:
        """Rows as lines, columns apart by tabs."""
        return (await _said(self._client(self.name), sql)).splitlines()

    async def create(self) -> None:
        await _said(self._client("postgres" if self.dialect == "postgres" else "mysql"), f"CREATE DATABASE {self.name}")

    @asynccontextmanager
    async def session(self, sql: str) -> AsyncIterator[None]:
        """One that has done this and does not go; its transaction, if it began one, stays open."""
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._client(self.name), stdin=pipe, stdout=pipe)
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(f"{sql}; SELECT 'done';\n".encode())
            async with asyncio.timeout(_PATIENCE):
                while (said := await process.stdout.readline()) != b"done\n":
                    assert said, "the session ended"
            yield
        finally:
            process.kill()
            await process.wait()

    def _client(self, database: str) -> Sequence[str]:
        if self.dialect == "mariadb":
            where = ["--host=127.0.0.1", f"--port={self._running.mariadb_port}", "--user=root", f"-p{PASSWORD}"]
            return ["mariadb", "--no-defaults", *where, "--batch", "--skip-column-names", "--unbuffered", database]
        whole = self._running.postgres.removesuffix("postgres") + database
        return ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--field-separator=\t", whole]


@asynccontextmanager
async def databases(running: Running, dialect: str, *names: str) -> AsyncIterator[dict[str, Database]]:
    """New ones; they go with the server."""
    port = running.mariadb_port if dialect == "mariadb" else running.postgres_port
    async with AsyncExitStack() as stack:
        made = {}
        for name in names:
            unique = f"{name.replace('-', '_')}_{os.urandom(4).hex()}"
            made[name] = Database(running, dialect, unique, await stack.enter_async_context(Door(port)))
            await made[name].create()
        yield made


async def _said(client: Sequence[str], sql: str) -> str:
    pipe, stdout = asyncio.subprocess.PIPE, asyncio.subprocess.STDOUT
    process = await asyncio.create_subprocess_exec(*client, stdin=pipe, stdout=pipe, stderr=stdout)
    said, _ = await asyncio.wait_for(process.communicate(f"{sql};\n".encode()), _PATIENCE)
    assert process.returncode == 0, said.decode()
    return said.decode()
