"""The in-memory API server as a transport, without HTTP between."""

from collections.abc import Callable, Mapping

import msgspec

from responder.cluster.errors import refused
from responder.demo.api import Api
from responder.demo.resources import Json

SOURCE = {"repoURL": "https://git.example.com/orders", "path": "deploy", "targetRevision": "main"}


class Direct:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def get(self, path: str) -> bytes:
        return self._call("GET", path, {}, {}, b"")

    async def create(self, path: str, body: bytes) -> bytes:
        return self._call("POST", path, {}, {"Content-Type": "application/json"}, body)

    async def merge_patch(self, path: str, body: bytes) -> bytes:
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._write("PATCH", path, {"fieldValidation": "Strict"}, headers, body)

    async def delete(self, path: str, body: bytes) -> bytes:
        return self._write("DELETE", path, {}, {"Content-Type": "application/json"}, body)

    def _write(self, verb: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> bytes:
        return self._call(verb, path, query, headers, body)

    def _call(self, verb: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> bytes:
        reply = self._api.handle(verb, path, query, headers, body)
        if reply.status >= 300:
            raise refused(reply.status, "", reply.headers, reply.body)
        return reply.body


class Wire(Direct):
    """With a word in each request before it is answered."""

    def __init__(self, api: Api) -> None:
        super().__init__(api)
        self.before_write: Callable[[], None] = lambda: None
        self.after_write: Callable[[], None] = lambda: None
        self.before_read: Callable[[str], None] = lambda _: None
        self.written: list[tuple[str, str, Json]] = []

    async def get(self, path: str) -> bytes:
        self.before_read(path)
        return await super().get(path)

    def _write(self, verb: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> bytes:
        self.before_write()
        answer = super()._write(verb, path, query, headers, body)
        self.written.append((verb, path, msgspec.json.decode(body)))
        self.after_write()
        return answer
