"""Argo CD's REST API, for logs and nothing else: a project-role token with ``logs, get`` and ``applications, get``."""

import ssl
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import TracebackType
from typing import Self
from urllib.parse import quote

import aiohttp
import msgspec

from responder.cluster.client import Observe
from responder.cluster.connections import lines
from responder.cluster.credentials import TokenFile
from responder.cluster.errors import UNREADABLE, ApiError, api_error, our_errors
from responder.core.argologs import LogEntry, parse_entry

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 300.0  # a hook that says nothing for longer is asked anew


class HookLog(msgspec.Struct, frozen=True):
    """Whose log is asked for: a Job among the resources of an Application."""

    application: str
    application_namespace: str
    project: str
    namespace: str
    job: str
    container: str = ""


class ArgoLogs:
    """One Argo CD. Use as an async context manager."""

    def __init__(self, url: str, token: TokenFile, *, ca: str | None = None, observe: Observe) -> None:
        self._url = url.rstrip("/")
        self._token = token
        self._tls = ssl.create_default_context(cafile=ca) if self._url.startswith("https:") else True
        self._observe = observe
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS)
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls)
        self._session = aiohttp.ClientSession(timeout=timeout, connector=connector)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def read(self, log: HookLog, *, follow: bool) -> AsyncGenerator[LogEntry]:
        """From the first line on, with every Pod of the Job in it. No Pod: no entry. Raises ``ApiError``."""
        assert self._session is not None, "not entered"  # noqa: S101 - a slip of ours
        path = f"{self._url}/api/v1/applications/{quote(log.application, safe='')}/logs"
        query = {
            "appNamespace": log.application_namespace,
            "project": log.project,
            "namespace": log.namespace,
            "group": "batch",
            "kind": "Job",
            "resourceName": log.job,
            "follow": "true" if follow else "false",
        }
        if log.container:
            query["container"] = log.container
        with our_errors():
            headers = {"Authorization": f"Bearer {self._token.token()}", "Accept": "application/json"}
            async with self._session.get(path, params=query, headers=headers, allow_redirects=False) as response:
                self._observe("log", "argocd", str(response.status))
                if response.status == 401:
                    self._token.expire()
                if response.status != 200:
                    raise api_error(response.status, response.reason or "", "Argo CD refused its logs")
                async with aclosing(lines(response)) as whole:
                    async for line in whole:
                        yield _entry(line)


def _entry(line: bytes) -> LogEntry:
    try:
        return parse_entry(line)
    except UNREADABLE:
        raise ApiError(200, "Malformed", "not what Argo CD's logs API sends") from None
