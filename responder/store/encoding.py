"""How values lie in the store: JSON of the struct, zstd level 1 when it is long; times as whole microseconds.

Logs are one piece of bytes, and so they lie there, as MessagePack.
"""

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
import zstandard

from responder.core.logblock import LogBlock
from responder.ports import StoreError

T = TypeVar("T")

LONG = 4096  # bytes: above it the disk costs more than the compression
LEVEL = 1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def pack(value: object) -> bytes:
    """A JSON object begins with a brace, a zstd frame never does: the bytes say themselves which they are."""
    raw = msgspec.json.encode(value)
    return zstandard.compress(raw, LEVEL) if len(raw) > LONG else raw


def unpack(body: bytes, kind: type[T]) -> T:
    with _readable(kind):
        return msgspec.json.decode(body if body[:1] == b"{" else zstandard.decompress(body), type=kind)


def pack_log(block: LogBlock) -> bytes:
    return zstandard.compress(msgspec.msgpack.encode(block), LEVEL)


def unpack_log(body: bytes) -> LogBlock:
    with _readable(LogBlock):
        return msgspec.msgpack.decode(zstandard.decompress(body), type=LogBlock)


@contextmanager
def _readable(kind: type) -> Iterator[None]:
    try:
        yield
    except (msgspec.MsgspecError, zstandard.ZstdError) as error:
        raise StoreError(
            f"a stored {kind.__name__} cannot be read ({error}): it is damaged, or a newer version wrote it"
        ) from error


def micros(at: datetime) -> int:
    """Sorts as the times do. A time without zone is a mistake of the caller: TypeError."""
    return (at - EPOCH) // timedelta(microseconds=1)


def instant(stored: int) -> datetime:
    return EPOCH + timedelta(microseconds=stored)


def to_cursor(at: int, key: str) -> str:
    return base64.urlsafe_b64encode(f"{at} {key}".encode()).decode().rstrip("=")


def from_cursor(cursor: str) -> tuple[int, str]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
        at, key = raw.split(" ", 1)
        return int(at), key
    except (binascii.Error, ValueError) as error:
        raise ValueError("this cursor is not one that a page of incidents gave") from error
