"""A thin client of the API server, on purpose not the responder's: what tests it should not be it."""

import asyncio
import base64
import json
import logging
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

logger = logging.getLogger(__name__)

Json = dict[str, Any]  # what the API server tells, as it tells it

MERGE: Final = "application/merge-patch+json"
STRATEGIC: Final = "application/strategic-merge-patch+json"
_SHORT: Final = aiohttp.ClientTimeout(total=30)
_WATCH_SECONDS: Final = 240
_RETRY_SECONDS: Final = 0.5


class ApiError(Exception):
    """An answer other than 2xx; ``str`` is the server's message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def passing(self) -> bool:
        """The server is away or overloaded; the same call may work later."""
        return self.status in (0, 429) or self.status >= 500


class Api:
    """``reachable`` is cleared while the node is lost: then every call waits."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.reachable = asyncio.Event()
        self.reachable.set()

    async def call(
        self, method: str, path: str, body: Json | None = None, content: str = "application/json", **query: str
    ) -> Json:
        await self.reachable.wait()
        data = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": content}
        try:
            async with self._session.request(
                method, path, data=data, headers=headers, params=query, timeout=_SHORT
            ) as response:
                text = await response.text()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ApiError(0, f"{method} {path}: {error!r}") from error
        if response.status >= 300:
            raise ApiError(response.status, _message_of(text))
        answer: Json = json.loads(text)
        return answer

    async def watch(self, path: str, **query: str) -> AsyncIterator[tuple[str, Json]]:
        """("ADDED" | "MODIFIED" | "DELETED", object) for ever; what vanished between two watches is DELETED."""
        known: dict[str, Json] = {}
        while True:
            try:
                async for kind, one in self._watch_once(path, known, query):
                    await self.reachable.wait()
                    yield kind, one
            except (ApiError, aiohttp.ClientError, TimeoutError, ValueError) as error:
                logger.info("watch of %s: %r", path, error)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _watch_once(
        self, path: str, known: dict[str, Json], query: dict[str, str]
    ) -> AsyncIterator[tuple[str, Json]]:
        listed = await self.call("GET", path, None, "", **query)
        there = {one["metadata"]["uid"]: one for one in listed.get("items", ())}
        for uid in known.keys() - there.keys():
            yield "DELETED", known.pop(uid)
        for uid, one in there.items():
            known[uid] = one
            yield "ADDED", one
        version = listed["metadata"]["resourceVersion"]
        more = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(_WATCH_SECONDS)}
        patience = aiohttp.ClientTimeout(total=_WATCH_SECONDS + 15)
        async with self._session.get(path, params=query | more, timeout=patience) as response:
            if response.status >= 300:
                raise ApiError(response.status, await response.text())
            while line := await response.content.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 0), event["object"].get("message", ""))
                uid = event["object"]["metadata"]["uid"]
                if event["type"] == "DELETED":
                    known.pop(uid, None)
                else:
                    known[uid] = event["object"]
                yield event["type"], event["object"]


def _message_of(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:300]


class Kubeconfig:
    """Server and credentials of the current context: certificate or token, in files or inline."""

    def __init__(self, path: Path) -> None:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        self.server: str = cluster["server"]
        self.token: str | None = user.get("token")
        self.tls = ssl.create_default_context(cadata=_content(cluster, "certificate-authority"))
        certificate, key = _content(user, "client-certificate"), _content(user, "client-key")
        if certificate and key:
            with tempfile.NamedTemporaryFile("w", suffix=".pem") as both:  # ssl reads keys from files only
                both.write(certificate + "\n" + key)
                both.flush()
                self.tls.load_cert_chain(both.name)


def _named(items: list[Json], name: str) -> Json:
    return next(item for item in items if item["name"] == name)


def _content(fields: Json, name: str) -> str | None:
    if inline := fields.get(f"{name}-data"):
        return base64.b64decode(inline).decode()
    return Path(fields[name]).read_text(encoding="utf-8") if name in fields else None


@asynccontextmanager
async def connect(kubeconfig: Kubeconfig) -> AsyncIterator[Api]:
    headers = {"User-Agent": "process-kubelet", "Accept": "application/json"}
    if kubeconfig.token:
        headers["Authorization"] = f"Bearer {kubeconfig.token}"
    connector = aiohttp.TCPConnector(ssl=kubeconfig.tls, limit=0)
    async with aiohttp.ClientSession(
        kubeconfig.server, headers=headers, connector=connector, read_bufsize=8 << 20
    ) as session:
        yield Api(session)
