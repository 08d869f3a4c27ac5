"""Transport to one Kubernetes API server: raw bytes in and out, a deadline on every call, every status checked.

kubernetes-asyncio carries the requests and knows the ways to log in; its models, its watch and its error handling are
not used. GETs are tried again within their deadline; writes never are, because nobody may know whether one was done.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from responder.cluster.connections import Pool, chunks, keep_alive, lines, read
from responder.cluster.credentials import SERVICE_ACCOUNT, Credentials, KubeConfig, TokenFile
from responder.cluster.errors import (
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unprocessable,
    our_errors,
    refused,
)

__all__ = [
    "JSON",
    "METADATA_LIST",
    "ApiError",
    "Conflict",
    "Forbidden",
    "Gone",
    "Kubernetes",
    "NotFound",
    "Query",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "Unprocessable",
]

JSON = "application/json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
MERGE_PATCH = "application/merge-patch+json"

Query = Sequence[tuple[str, str | int | bool]]
Observe = Callable[[str, str, str], None]

SHORT_CONNECTIONS = 16
CONNECT_SECONDS = 5.0
OPEN_LOG_SECONDS = 300.0
WHOLE_LOG_SECONDS = 600.0
WATCH_GRACE_SECONDS = 15.0
BODY_BYTES = 64 << 20
ERROR_BYTES = 64 << 10


def _unobserved(verb: str, resource: str, code: str) -> None:
    del verb, resource, code


class Kubernetes:
    """One cluster. Use as an async context manager: it closes what it opened, streams included."""

    def __init__(
        self,
        configuration: Any,
        *,
        name: str = "in-cluster",
        credentials: Credentials | None = None,
        observe: Observe = _unobserved,
    ) -> None:
        """``observe`` gets verb, resource, code of each request."""
        self.name = name
        self._credentials = credentials
        self._observe = observe
        # Python 3.13 asks more of a certificate than kubectl does: EKS' own authority would be refused
        configuration.disable_strict_ssl_verification = True
        if credentials is not None:
            configuration.refresh_api_key_hook = credentials.refresh
            configuration.api_key.setdefault("BearerToken", "")  # without one the hook is never asked
        # log followers hold their connections for hours and must not starve the short calls
        self._short = Pool(configuration, limit=SHORT_CONNECTIONS, user_agent=_user_agent())
        self._opening = asyncio.Lock()
        self._streams = Pool(configuration, limit=None, user_agent=_user_agent())

    @classmethod
    def from_url(cls, url: str, token: str | None = None, ca: str | None = None, **options: Any) -> Self:
        configuration = _configuration()
        configuration.host = url.rstrip("/")
        configuration.ssl_ca_cert = ca
        if token:
            configuration.api_key["BearerToken"] = f"Bearer {token.strip()}"
        return cls(configuration, **options)

    @classmethod
    async def from_kubeconfig(cls, path: str | None = None, context: str | None = None, **options: Any) -> Self:
        configuration, credentials = _configuration(), KubeConfig(path, context)
        with our_errors():
            await credentials.refresh(configuration)
        return cls(configuration, credentials=credentials, **options)

    @classmethod
    async def from_in_cluster(cls, folder: Path = SERVICE_ACCOUNT, *, reread: float = 60.0, **options: Any) -> Self:
        from kubernetes_asyncio.config import ConfigException  # noqa: PLC0415  # costs 0.4 s, so only when used
        from kubernetes_asyncio.config.incluster_config import InClusterConfigLoader  # noqa: PLC0415  # likewise

        configuration, credentials = _configuration(), TokenFile(folder / "token", period=reread)
        try:
            loader = InClusterConfigLoader(str(folder / "token"), str(folder / "ca.crt"), try_refresh_token=False)
            loader.load_and_set(configuration)
        except ConfigException as error:
            raise Unauthorized(0, "Credentials", str(error), sent=False) from error
        with our_errors():
            await credentials.refresh(configuration)
        return cls(configuration, credentials=credentials, **options)

    async def __aenter__(self) -> Self:
        self._short.open()
        self._streams.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._streams.close()
        await self._short.close()

    async def get(
        self,
        path: str,
        query: Query = (),
        *,
        accept: str = JSON,
        deadline: float = 10.0,
        attempts: int = 4,
        verb: str = "get",
    ) -> bytes:
        """Tried again on 429, 5xx, lost connections and one 401, while the deadline (seconds, over all) allows."""
        give_up = monotonic() + deadline
        for attempt in range(1, attempts + 1):
            try:
                return await self._call(verb, "GET", path, query, {"Accept": accept}, deadline=give_up - monotonic())
            except (TooManyRequests, Unavailable, Unauthorized) as error:
                pause = self._pause(error, attempt)
                if pause is None or attempt == attempts or monotonic() + pause >= give_up:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError("attempts must be at least 1")

    async def server_time(self, *, deadline: float = 10.0) -> datetime | None:
        """What the server's clock shows, in whole seconds; None when it does not say."""
        timeout = aiohttp.ClientTimeout(total=deadline, sock_connect=CONNECT_SECONDS)
        with self._reporting("get", "/version") as report:
            async with asyncio.timeout(deadline):
                response = await self._short.request("GET", "/version", (), {"Accept": JSON}, None, timeout)
                try:
                    await self._check(response, report)
                finally:
                    response.release()
        try:
            return parsedate_to_datetime(response.headers.get("Date", ""))
        except ValueError:
            return None

    async def create(self, path: str, body: bytes, *, deadline: float = 10.0) -> bytes:
        return await self._call("create", "POST", path, (), {"Content-Type": JSON}, body=body, deadline=deadline)

    async def replace(self, path: str, body: bytes, *, deadline: float = 10.0) -> bytes:
        """``body`` is the whole object with the resourceVersion that was read: 409 when it has changed since."""
        return await self._call("update", "PUT", path, (), {"Content-Type": JSON}, body=body, deadline=deadline)

    async def merge_patch(self, path: str, body: bytes, *, deadline: float = 10.0) -> bytes:
        """Strict: a field the server does not know is 422; otherwise it would be dropped with 200."""
        query, headers = [("fieldValidation", "Strict")], {"Content-Type": MERGE_PATCH}
        return await self._call("patch", "PATCH", path, query, headers, body=body, deadline=deadline)

    async def delete(self, path: str, body: bytes = b"{}", *, deadline: float = 10.0) -> bytes:
        """``body`` is DeleteOptions with the uid precondition.

        aiohttp sends a DELETE again, once, when a kept connection turns out dead: the precondition makes it harmless.
        """
        return await self._call("delete", "DELETE", path, (), {"Content-Type": JSON}, body=body, deadline=deadline)

    @asynccontextmanager
    async def watch(
        self, path: str, query: Query, *, accept: str = JSON, timeout_seconds: int = 240, silence: float = 75.0
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Whole lines; the half line of a cut stream is dropped. ``silence``: seconds without a byte that end it."""
        full = [*query, ("watch", True), ("allowWatchBookmarks", True), ("timeoutSeconds", timeout_seconds)]
        total = timeout_seconds + WATCH_GRACE_SECONDS
        timeout = aiohttp.ClientTimeout(total=total, sock_connect=CONNECT_SECONDS, sock_read=silence)
        async with (
            self._stream("watch", path, full, accept, timeout, silence) as response,
            aclosing(lines(response)) as whole,
        ):
            yield whole

    @asynccontextmanager
    async def follow_log(
        self,
        namespace: str,
        pod: str,
        container: str,
        *,
        since_time: str | None = None,
        previous: bool = False,
        follow: bool = True,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Chunks as they come, each line stamped by the kubelet; lines and UTF-8 may be cut anywhere.

        A quiet container is silent for hours, so a followed log has no read limit: TCP keepalive finds a dead peer, and
        whoever follows looks at the Pod from time to time. The end of the iteration says nothing about the container.
        """
        path = f"/api/v1/namespaces/{quote(namespace, safe='')}/pods/{quote(pod, safe='')}/log"
        query: list[tuple[str, str | int | bool]] = [
            ("container", container),
            ("timestamps", True),
            ("follow", follow),
            ("previous", previous),
        ]
        if since_time is not None:
            query.append(("sinceTime", since_time))
        timeout = aiohttp.ClientTimeout(
            total=None if follow else WHOLE_LOG_SECONDS,
            sock_connect=CONNECT_SECONDS,
            sock_read=None if follow else 30.0,
        )
        # a kubelet may send its headers with the first line only: waiting for them is waiting for the container
        async with (
            self._stream("log", path, query, "*/*", timeout, OPEN_LOG_SECONDS) as response,
            aclosing(chunks(response)) as pieces,
        ):
            yield pieces

    async def _call(
        self,
        verb: str,
        method: str,
        path: str,
        query: Query,
        headers: dict[str, str],
        *,
        deadline: float,
        body: bytes | None = None,
    ) -> bytes:
        timeout = aiohttp.ClientTimeout(total=deadline, sock_connect=CONNECT_SECONDS)
        with self._reporting(verb, path) as report:
            async with asyncio.timeout(deadline):
                response = await self._short.request(method, path, query, headers, body, timeout)
                try:
                    await self._check(response, report)
                    return await read(response, BODY_BYTES)
                finally:
                    response.release()

    @asynccontextmanager
    async def _stream(
        self, verb: str, path: str, query: Query, accept: str, limits: aiohttp.ClientTimeout, open_within: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        with self._reporting(verb, path) as report:
            async with asyncio.timeout(open_within):
                async with self._opening:  # to begin takes 0.5 ms: two hundred at once would hold the event loop
                    await asyncio.sleep(0)
                response = await self._streams.request("GET", path, query, {"Accept": accept}, None, limits)
                try:
                    await self._check(response, report)
                except BaseException:
                    response.close()
                    raise
        try:
            keep_alive(response)
            yield response
        finally:
            response.close()  # release() would wait for the rest

    @contextmanager
    def _reporting(self, verb: str, path: str) -> Iterator[Callable[[str], None]]:
        """Errors become ours; the request is observed once, when it is first known how it went."""
        reported = False

        def report(code: str) -> None:
            nonlocal reported
            if not reported:
                reported = True
                self._observe(verb, resource_of(path), code)

        try:
            with our_errors():
                yield report
        except ApiError as error:
            report(error.reason.lower())
            raise

    async def _check(self, response: aiohttp.ClientResponse, report: Callable[[str], None]) -> None:
        report(str(response.status))
        if 200 <= response.status < 300:
            return
        if response.status == 401 and self._credentials is not None:
            self._credentials.expire()
        raise refused(response.status, response.reason, response.headers, await read(response, ERROR_BYTES))

    def _pause(self, error: ApiError, attempt: int) -> float | None:
        """Seconds before the next try; None where another one would end the same."""
        if isinstance(error, Unauthorized):
            return 0.0 if attempt == 1 and error.status and self._credentials is not None else None
        backoff: float = 0.1 * 2**attempt * random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, keeps no secret
        return max(backoff, error.retry_after or 0.0)


def resource_of(path: str) -> str:
    """A closed label: ``/api/v1/namespaces/a/pods/b/log`` is ``pods/log``."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"]:
        parts = parts[2:]
    elif parts[:1] == ["apis"]:
        parts = parts[3:]
    else:
        return "other"
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    return "/".join(parts[::2]) or "other"


def _configuration() -> Any:
    from kubernetes_asyncio.client import Configuration  # noqa: PLC0415  # costs 0.4 s, so only when used

    return Configuration()


@cache
def _user_agent() -> str:
    return f"argocd-hook-responder/{version('argocd-hook-responder')}"
