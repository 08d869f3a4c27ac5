"""What can go wrong between us and an API server, in our words."""

# ruff: noqa: N818  # the names are those of HTTP's statuses

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import aiohttp
import msgspec

from responder.cluster.credentials import CredentialError


class ApiError(Exception):
    """``status`` is HTTP's, 0 where no answer came. ``sent`` is False where the request surely never left."""

    def __init__(
        self, status: int, reason: str, message: str, retry_after: float | None = None, *, sent: bool = True
    ) -> None:
        super().__init__(f"{status or 'no answer'} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.sent = sent


class Unauthorized(ApiError): ...


class Forbidden(ApiError): ...


class NotFound(ApiError): ...


class Conflict(ApiError): ...


class Gone(ApiError): ...


class Unprocessable(ApiError): ...


class TooManyRequests(ApiError): ...


class Unavailable(ApiError):
    """5xx, or no (whole) answer: after a write nobody knows whether it was done, unless ``sent`` is False."""


# what msgspec raises on hostile bytes: the last on a hundred thousand brackets
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    422: Unprocessable,
    429: TooManyRequests,
}


class _Details(msgspec.Struct, rename="camel"):
    retry_after_seconds: float = 0


class Status(msgspec.Struct):
    """Kubernetes' own error document; every field may be missing."""

    code: int = 0
    reason: str = ""
    message: str = ""
    details: _Details | None = None


def api_error(status: int, reason: str, message: str, retry_after: float | None = None) -> ApiError:
    kind = _BY_STATUS.get(status) or (Unavailable if status >= 500 else ApiError)
    return kind(status, reason, message[:1024], retry_after)


def refused(status: int, phrase: str | None, headers: Mapping[str, str], body: bytes) -> ApiError:
    """The error of an answer that is not 2xx. A body that is not a Status is described, never quoted."""
    retry_after = _seconds(headers.get("Retry-After", ""))
    try:
        told = msgspec.json.decode(body, type=Status)
    except UNREADABLE:
        what = f"{len(body)} bytes of {headers.get('Content-Type', 'an unnamed type')[:64]}, not a Kubernetes Status"
        return api_error(status, phrase or "Unknown", what, retry_after)
    if retry_after is None and told.details and told.details.retry_after_seconds > 0:
        retry_after = told.details.retry_after_seconds
    return api_error(status, told.reason or phrase or "Unknown", told.message, retry_after)


def _seconds(text: str) -> float | None:
    try:
        return max(0.0, float(text))
    except ValueError:  # a date: no API server sends one
        return None


@contextmanager
def our_errors() -> Iterator[None]:
    """aiohttp's, the system's and the credentials' errors become ours. Order matters: they inherit from one another."""
    try:
        yield
    except CredentialError as error:
        raise Unauthorized(0, "Credentials", str(error), sent=False) from error
    except aiohttp.ClientSSLError as error:
        raise Unavailable(0, "Certificate", str(error)[:200], sent=False) from error
    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
        raise Unavailable(0, "Connection", type(error).__name__, sent=False) from error
    except aiohttp.SocketTimeoutError as error:
        raise Unavailable(0, "Silence", "nothing came for too long") from error
    except TimeoutError as error:
        raise Unavailable(0, "Timeout", "no whole answer within the deadline") from error
    except (aiohttp.ClientError, OSError) as error:
        raise Unavailable(0, "Cut", type(error).__name__) from error
