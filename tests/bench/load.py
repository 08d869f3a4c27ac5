"""A small HTTP client for benches: many keep-alive connections, one request at a time on each."""

import asyncio
import time
from collections.abc import Sequence

import msgspec


class Load(msgspec.Struct, frozen=True):
    requests: int
    seconds: float
    milliseconds: list[float]  # of each request, sorted
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        return self.requests / self.seconds

    def percentile(self, share: float) -> float:
        return self.milliseconds[min(len(self.milliseconds) - 1, int(len(self.milliseconds) * share))]


class _Connection(asyncio.Protocol):
    """Sends its requests in turn; an answer is over when its head's content-length has come."""

    def __init__(self, requests: Sequence[bytes], until: float, took: list[float], statuses: dict[int, int]) -> None:
        self._requests = requests
        self._until = until
        self._took = took
        self._statuses = statuses
        self._sent = 0
        self._began = 0.0
        self._buffer = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._requests[self._sent % len(self._requests)])
        self._sent += 1

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(self._buffer) < end + 4 + length:
            return
        now = time.perf_counter()
        self._took.append((now - self._began) * 1000)
        status = int(head[9:12])
        self._statuses[status] = self._statuses.get(status, 0) + 1
        self._buffer = b""
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def load(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Load:
    took: list[float] = []
    statuses: dict[int, int] = {}
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    opened = []
    for number in range(connections):
        own = [*requests[number:], *requests[:number]]
        _, protocol = await loop.create_connection(
            lambda own=own: _Connection(own, began + seconds, took, statuses),  # type: ignore[misc] # bound at once
            "127.0.0.1",
            port,
        )
        opened.append(protocol)
    await asyncio.gather(*(protocol.done for protocol in opened))
    return Load(len(took), time.perf_counter() - began, sorted(took), statuses)


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: bench",
        f"Authorization: Bearer {token}",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*head, "", ""]).encode() + body
