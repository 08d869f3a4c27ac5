"""How one responder reaches the API server: straight to the function, with faults, and somebody who writes down."""

from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from responder.cluster.errors import Forbidden, Unavailable, refused
from responder.demo.api import Api
from responder.demo.resources import Json
from tests.invariants.inline import Gate


class Fault(StrEnum):
    """What goes wrong with the next write."""

    LOST_BEFORE = "it never arrives"
    LOST_AFTER = "it is done, the answer is lost"
    FORBIDDEN = "an admission webhook says no, this once"
    ANNOTATED = "the notifications controller writes its annotation just before"


class Wrote(msgspec.Struct, frozen=True):
    """One write of ours that the API server took."""

    verb: str
    path: str
    body: Json
    before: Json  # the object as it was


class Transport:
    def __init__(self, api: Api, gate: Gate, wrote: Callable[[Wrote], None]) -> None:
        self._api = api
        self._gate = gate
        self._wrote = wrote
        self.fault: Fault | None = None

    async def get(self, path: str) -> bytes:
        self._gate.passed()
        return self._call("GET", path, {}, {}, b"")

    async def create(self, path: str, body: bytes) -> bytes:
        return self._call("POST", path, {}, {"Content-Type": "application/json"}, body)

    async def merge_patch(self, path: str, body: bytes) -> bytes:
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._write("PATCH", path, {"fieldValidation": "Strict"}, headers, body)

    async def delete(self, path: str, body: bytes) -> bytes:
        return self._write("DELETE", path, {}, {"Content-Type": "application/json"}, body)

    def _write(self, verb: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> bytes:
        self._gate.passed()
        fault, self.fault = self.fault, None
        if fault is Fault.LOST_BEFORE:
            raise Unavailable(0, "Timeout", "no whole answer within the deadline")
        if fault is Fault.FORBIDDEN:
            raise Forbidden(403, "Forbidden", "admission webhook denied the request")
        if fault is Fault.ANNOTATED and "/applications/" in path:
            *_, namespace, _, name = path.split("/")
            self._api.objects.patch("Application", namespace, name, {"metadata": {"annotations": {"notified": path}}})
        before = msgspec.json.decode(self._call("GET", path, {}, {}, b""))
        answer = self._call(verb, path, query, headers, body)
        self._wrote(Wrote(verb, path, msgspec.json.decode(body), before))
        if fault is Fault.LOST_AFTER:
            raise Unavailable(0, "Timeout", "no whole answer within the deadline")
        self._gate.passed()
        return answer

    def _call(self, verb: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> bytes:
        reply = self._api.handle(verb, path, query, headers, body)
        if reply.status >= 300:
            raise refused(reply.status, None, reply.headers, reply.body)
        return reply.body
