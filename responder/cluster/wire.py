"""What list and watch look like on the wire. Callers say what one object is; everything around it is the same."""

from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from responder.cluster.errors import UNREADABLE, ApiError, Status

W = TypeVar("W")
T = TypeVar("T")


class Event(msgspec.Struct, Generic[T], frozen=True):
    """One line of a watch. ``object`` is None for BOOKMARK and ERROR; ``status`` is set for ERROR alone."""

    type: str
    resource_version: str = ""
    object: T | None = None
    status: Status | None = None


class Page(NamedTuple, Generic[T]):
    resource_version: str
    continue_: str | None
    items: Sequence[T]


class Envelope(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw = msgspec.Raw(b"{}")


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str
    continue_: str = msgspec.field(name="continue", default="")


class _List(msgspec.Struct, Generic[W]):
    metadata: _ListMeta
    items: list[W] | None = None  # Go writes null for an empty list


class _ObjectMeta(msgspec.Struct, rename="camel"):
    resource_version: str = ""


class _Object(msgspec.Struct):
    metadata: _ObjectMeta = msgspec.field(default_factory=_ObjectMeta)


class _PagedMeta(msgspec.Struct):
    continue_: str = msgspec.field(name="continue", default="")


class _Paged(msgspec.Struct):
    metadata: _PagedMeta


_ENVELOPE = msgspec.json.Decoder(Envelope)
_OBJECT = msgspec.json.Decoder(_Object)
_STATUS = msgspec.json.Decoder(Status)
_PAGED = msgspec.json.Decoder(_Paged)


def continue_token(page: bytes) -> str:
    """Of a list's page; empty when it is the last. Raises ``ApiError``."""
    try:
        return _PAGED.decode(page).metadata.continue_
    except UNREADABLE:
        raise ApiError(200, "Malformed", "the answer is not a Kubernetes list") from None


def decode_event_envelope(line: bytes) -> Envelope:
    """The object stays raw: 3 us for an event of 6 kB. Raises msgspec.DecodeError."""
    return _ENVELOPE.decode(line)


def decoders(wire: type[W], trim: Callable[[W], T]) -> tuple[Callable[[bytes], Page[T]], Callable[[bytes], Event[T]]]:
    """``decode_list`` and ``decode_event`` of a Reflector: ``wire`` has only the fields that ``trim`` reads."""
    page_decoder = msgspec.json.Decoder(_List[wire])  # type: ignore[valid-type]  # a type made from an argument
    object_decoder = msgspec.json.Decoder(wire)

    def decode_list(body: bytes) -> Page[T]:
        page = page_decoder.decode(body)
        return Page(
            page.metadata.resource_version, page.metadata.continue_ or None, [trim(i) for i in page.items or ()]
        )

    def decode_event(line: bytes) -> Event[T]:
        envelope = _ENVELOPE.decode(line)
        if envelope.type == "ERROR":
            return Event("ERROR", status=_STATUS.decode(envelope.object))
        version = _OBJECT.decode(envelope.object).metadata.resource_version
        if envelope.type == "BOOKMARK":
            return Event("BOOKMARK", version)
        return Event(envelope.type, version, trim(object_decoder.decode(envelope.object)))

    return decode_list, decode_event
