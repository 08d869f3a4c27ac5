"""How one responder reaches the API server: straight to the function, with faults, and somebody who writes down."""

from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec

from responder.cluster.errors import Forbidden, Unavailable
from responder.demo.api import Api
from responder.demo.resources import Json
from tests.invariants.inline import Gate
from tests.unit.cluster.direct import Direct


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


class Transport(Direct):
    def __init__(self, api: Api, gate: Gate, wrote: Callable[[Wrote], None]) -> None:
        super().__init__(api)
        self._gate = gate
        self._wrote = wrote
        self.fault: Fault | None = None

    async def get(self, path: str) -> bytes:
        self._gate.passed()
        return await super().get(path)

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
        answer = super()._write(verb, path, query, headers, body)
        self._wrote(Wrote(verb, path, msgspec.json.decode(body), before))
        if fault is Fault.LOST_AFTER:
            raise Unavailable(0, "Timeout", "no whole answer within the deadline")
        self._gate.passed()
        return answer
