"""A port of loopback that leads to another, until it is shut: a database that goes down for one story alone."""

import asyncio
import contextlib
from typing import Self


class Door:
    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._server: asyncio.Server | None = None
        self._streams: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shut()

    async def open(self) -> None:
        """At the same port as before."""
        self._server = await asyncio.start_server(self._through, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        """Whoever knocks is refused, and whoever is inside is thrown out."""
        if self._server is not None:
            self._server.close()
        for stream in list(self._streams):
            stream.transport.abort()

    async def _through(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._behind)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._carry(reader, inner_writer))
                group.create_task(self._carry(inner_reader, writer))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._streams.add(writer)
        try:
            with contextlib.suppress(OSError):
                while said := await reader.read(65536):
                    writer.write(said)
                    await writer.drain()
        finally:
            self._streams.discard(writer)
            writer.close()
