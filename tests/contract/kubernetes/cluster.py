"""The API server under test, spoken to by plain HTTP, so that nothing of ours stands between it and the cases."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

Json = dict[str, Any]
Query = Mapping[str, str | int]
PATIENCE = 20.0  # seconds; a real cluster has controllers to wait for


class Answer(msgspec.Struct, frozen=True):
    status: int
    text: bytes
    headers: Mapping[str, str]

    @property
    def body(self) -> Json:
        decoded: Json = json.loads(self.text)
        return decoded

    @property
    def failure(self) -> tuple[int, str, str]:
        """Code, reason and message of a Status."""
        return self.status, self.body["reason"], self.body["message"]

    @property
    def version(self) -> str:
        version: str = self.body["metadata"]["resourceVersion"]
        return version


class Events:
    """A running watch."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content = content

    async def next(self) -> tuple[str, Json]:
        line = await asyncio.wait_for(self._content.readline(), PATIENCE)
        event = json.loads(line)
        return event["type"], event["object"]

    async def named(self, count: int) -> list[str]:
        """The next ones as "ADDED a"."""
        events = [await self.next() for _ in range(count)]
        return [f"{event_type} {item['metadata']['name']}" for event_type, item in events]

    async def rest(self) -> list[tuple[str, Json]]:
        """All until the server ends it."""
        text = await asyncio.wait_for(self._content.read(), PATIENCE)
        events = [json.loads(line) for line in text.splitlines()]
        return [(event["type"], event["object"]) for event in events]


class Cluster:
    def __init__(self, session: aiohttp.ClientSession, namespace: str, token: str) -> None:
        self.session = session
        self.namespace = namespace
        self._token = token

    def path(self, plural: str, name: str = "", *more: str) -> str:
        """Of objects of this case's namespace."""
        groups = {"jobs": "/apis/batch/v1", "applications": "/apis/argoproj.io/v1alpha1"}
        parts = [groups.get(plural, "/api/v1"), "namespaces", self.namespace, plural, name, *more]
        return "/".join(part for part in parts if part)

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        token: str | None = None,
        query: Query | None = None,
    ) -> Answer:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Accept": accept, **({"Content-Type": content_type} if data is not None else {})}
        if bearer := self._token if token is None else token:
            headers["Authorization"] = f"Bearer {bearer}"
        async with self.session.request(method, path, data=data, headers=headers, params=query) as response:
            return Answer(response.status, await response.read(), response.headers)

    async def create(self, plural: str, name: str, **fields: Any) -> Answer:
        meta = {"name": name, **fields.pop("metadata", {})}
        answer = await self.call("POST", self.path(plural), {"metadata": meta, **TYPES[plural], **fields})
        assert answer.status == 201, answer.text
        return answer

    async def patch(
        self, plural: str, name: str, patch: object, content_type: str = MERGE, query: Query | None = None
    ) -> Answer:
        return await self.call("PATCH", self.path(plural, name), patch, content_type=content_type, query=query)

    async def get(self, plural: str, name: str) -> Answer:
        return await self.call("GET", self.path(plural, name))

    async def list(self, plural: str, **query: str | int) -> Answer:
        answer = await self.call("GET", self.path(plural), query=query)
        assert answer.status == 200, answer.text
        return answer

    async def there(self, plural: str, name: str) -> None:
        """Waits until the object exists."""
        async with asyncio.timeout(PATIENCE):
            while (await self.get(plural, name)).status != 200:  # noqa: ASYNC110 - a real cluster has no event for us
                await asyncio.sleep(0.05)

    async def gone(self, plural: str, name: str) -> None:
        """Waits until the object is no more."""
        async with asyncio.timeout(PATIENCE):
            while (await self.get(plural, name)).status != 404:  # noqa: ASYNC110 - a real cluster has no event for us
                await asyncio.sleep(0.05)

    @asynccontextmanager
    async def following(self, pod: str) -> AsyncIterator[aiohttp.StreamReader]:
        """The log of a Pod, followed."""
        headers = {"Authorization": f"Bearer {self._token}"}
        path = self.path("pods", pod, "log")
        async with self.session.get(path, headers=headers, params={"follow": "true"}) as response:
            assert response.status == 200, await response.text()
            try:
                yield response.content
            finally:
                hang_up(response)

    @asynccontextmanager
    async def watch(self, plural: str, query: Query, *, accept: str = "application/json") -> AsyncIterator[Events]:
        headers = {"Accept": accept, "Authorization": f"Bearer {self._token}"}
        params = {"watch": "true", "timeoutSeconds": 60, **query}
        async with self.session.get(self.path(plural), headers=headers, params=params) as response:
            assert response.status == 200, await response.text()
            try:
                yield Events(response.content)
            finally:
                hang_up(response)


def hang_up(response: aiohttp.ClientResponse) -> None:
    """At once: with TLS, closing in mid-answer waits for the other side, longer than a test lives."""
    if response.connection and response.connection.transport:
        response.connection.transport.abort()


TYPES: dict[str, Json] = {
    "configmaps": {"apiVersion": "v1", "kind": "ConfigMap"},
    "pods": {"apiVersion": "v1", "kind": "Pod"},
    "jobs": {"apiVersion": "batch/v1", "kind": "Job"},
    "applications": {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application"},
}
