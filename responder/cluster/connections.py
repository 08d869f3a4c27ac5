"""A pool of connections to one API server, made anew when the certificates on disk change."""

import logging
import socket
from collections.abc import AsyncGenerator
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import msgspec
from aiohttp.http_exceptions import LineTooLong

from responder.cluster.errors import ApiError, our_errors

logger = logging.getLogger(__name__)

CHECK_SECONDS = 60.0
READ_BUFFER = 64 << 10  # aiohttp holds up to twice this for each stream, and what it was reading when that was full
LOG_WINDOW = 64 << 10  # of 200 logs most wait for their turn: with their sender, not with us
LINE_BYTES = 16 << 20


class Pool:
    """``limit`` None: as many as are asked for. ``close`` ends every response still open."""

    def __init__(self, configuration: Any, *, limit: int | None, user_agent: str) -> None:
        self._configuration = configuration
        self._limit = limit
        self._user_agent = user_agent
        self._api: Any = None
        self._retired: Any = None
        self._certificates: tuple[object, ...] = ()
        self._checked = -inf

    def open(self) -> None:
        from kubernetes_asyncio.client import ApiClient  # noqa: PLC0415  # costs 0.4 s, so only when used

        seen = self._seen_on_disk()
        self._checked = monotonic()
        self._configuration.connection_pool_maxsize = self._limit
        api: Any = ApiClient(self._configuration)
        api.user_agent = self._user_agent
        # theirs obeys HTTPS_PROXY, which in a Pod is meant for other hosts, and buffers 4 MiB for each stream
        theirs = api.rest_client.pool_manager
        api.rest_client.pool_manager = aiohttp.ClientSession(connector=theirs.connector, read_bufsize=READ_BUFFER)
        theirs.detach()
        self._api, self._certificates = api, seen

    async def close(self) -> None:
        for api in (self._retired, self._api):
            if api is not None:
                await api.close()
        self._api = self._retired = None

    async def request(
        self,
        method: str,
        path: str,
        query: Any,
        headers: dict[str, str],
        body: bytes | None,
        limits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        """The response as soon as its headers are there; its status is for the caller to check."""
        await self._renew()
        pairs = [(name, str(value).lower() if isinstance(value, bool) else str(value)) for name, value in query]
        try:
            response: aiohttp.ClientResponse = await self._api.call_api(
                path,
                method,
                {},
                pairs,
                headers,
                body=None if body is None else msgspec.json.decode(body),  # it encodes again
                auth_settings=["BearerToken"],
                _preload_content=False,
                _return_http_data_only=True,
                _request_timeout=limits,
            )
        except aiohttp.ClientSSLError:
            self._checked = -inf  # perhaps rotated just now
            raise
        return response

    async def _renew(self) -> None:
        """CA and client certificate are read once by a TLS context: a new one when they changed.

        Streams on the old connections go on until the change after that.
        """
        if self._api is None:
            raise RuntimeError("use Kubernetes as an async context manager")
        if monotonic() - self._checked < CHECK_SECONDS:
            return
        self._checked = monotonic()
        if self._seen_on_disk() == self._certificates:
            return
        before = self._api
        try:
            self.open()
        except OSError as error:  # seen between two writes: a half file, a certificate without its key
            logger.warning("changed certificates cannot be used, those before are: %s", error)
            return
        outdated, self._retired = self._retired, before
        if outdated is not None:
            await outdated.close()

    def _seen_on_disk(self) -> tuple[object, ...]:
        configuration = self._configuration
        names = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
        return tuple(_version(name) for name in names)


def _version(name: str | None) -> object:
    if name is None:
        return None
    try:
        stat = Path(name).stat()
    except OSError:
        return name
    return name, stat.st_ino, stat.st_mtime_ns


def keep_alive(response: aiohttp.ClientResponse) -> None:
    """Ask the kernel to find out within about a minute that the peer of a silent stream is gone."""
    if not (sock := _socket(response)):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):  # macOS has other names
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _socket(response: aiohttp.ClientResponse) -> socket.socket | None:
    """None of a short stream that has ended already."""
    transport = response.connection.transport if response.connection else None
    found: socket.socket | None = transport.get_extra_info("socket") if transport else None
    return found


async def read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    parts = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise ApiError(response.status, "TooLarge", f"the answer is longer than {limit} bytes")
        parts.append(chunk)
    return b"".join(parts)


async def lines(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    """Whole lines; the half line of a cut stream is dropped."""
    while True:
        with our_errors():
            try:
                line = await response.content.readuntil(b"\n", max_size=LINE_BYTES)
            except LineTooLong:
                raise ApiError(200, "TooLarge", f"a line is longer than {LINE_BYTES} bytes") from None
        if not line.endswith(b"\n"):
            return
        yield line


async def chunks(response: aiohttp.ClientResponse) -> AsyncGenerator[bytes]:
    if sock := _socket(response):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, LOG_WINDOW)
    while True:
        with our_errors():
            chunk = await response.content.readany()
        if not chunk:
            return
        yield chunk
