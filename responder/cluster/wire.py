"""What list and watch look like on the wire. Callers say what one object is; everything around it is the same."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

import msgspec

from responder.cluster.errors import Status

DEEPEST: Final = 100  # nothing that is read lies deeper

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


class _Envelope(msgspec.Struct):
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


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_OBJECT = msgspec.json.Decoder(_Object)
_STATUS = msgspec.json.Decoder(Status)


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

    return _however_deep(decode_list), _however_deep(decode_event)


def _however_deep(decode: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """An API server takes values that nest ten thousand deep, more than a decoder steps over: who may write one object
    must not hide all the others from us."""

    def decoded(raw: bytes) -> T:
        try:
            return decode(raw)
        except RecursionError:
            return decode(b"".join(_shallow(raw)))

    return decoded


_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[\[{]|[\]}]', re.DOTALL)


def _shallow(raw: bytes) -> Iterator[bytes]:
    """The same JSON with null in place of what lies deeper than ``DEEPEST``."""
    depth = begun = 0
    for token in _TOKEN.finditer(raw):
        if token[0] in b"[{":
            depth += 1
            if depth == DEEPEST + 1:
                yield raw[begun : token.start()] + b"null"
        elif token[0] in b"]}":
            if depth == DEEPEST + 1:
                begun = token.end()
            depth -= 1
    if depth <= DEEPEST:
        yield raw[begun:]
