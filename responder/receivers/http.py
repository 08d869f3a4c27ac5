"""POST to a receiver: one session, a deadline, and every failure in our own words.

No URL, token or secret is ever part of a message: an address may itself be the secret (Slack).
"""

import os
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version

import aiohttp

from responder.ports import ReceiverError

USER_AGENT = f"argocd-hook-responder/{version('argocd-hook-responder')}"
LONGEST_WAIT = 3600.0  # a receiver that asks for more is asked again all the same
_ANSWER = 2048  # bytes of an answer that are looked at


class Endpoint:
    """One address of one receiver."""

    def __init__(self, url: str, *, timeout: float, token: str = "") -> None:
        self._url = url
        self._hidden = tuple(secret for secret in (url, token) if secret)
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._headers = {"User-Agent": USER_AGENT} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Returns when it was taken (2xx); raises `ReceiverError` otherwise."""
        try:
            # A redirect would carry the signature and the token to wherever it points.
            async with self._open().post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                if not 200 <= response.status < 300:
                    answer = await response.content.read(_ANSWER)
                    raise refusal(response.status, response.headers, self._excerpt(answer))
        except TimeoutError as error:
            raise ReceiverError(f"no answer within {self._timeout.total:g} s", reason="timeout") from error
        except aiohttp.InvalidURL as error:
            raise ReceiverError("its URL is none", reason="misconfigured", final=True) from error
        except (aiohttp.ClientError, OSError) as error:
            raise ReceiverError(_unreachable(error), reason="unreachable") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:  # not earlier: a session belongs to the running loop
            self._session = aiohttp.ClientSession(timeout=self._timeout, headers=self._headers)
        return self._session

    def _excerpt(self, answer: bytes) -> str:
        text = answer.decode("utf-8", "replace")
        for secret in self._hidden:
            text = text.replace(secret, "[redacted]")
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]


def refusal(status: int, headers: Mapping[str, str], answer: str) -> ReceiverError:
    """Only a refusal of this very content is final: addresses and credentials are mended, servers come back."""
    text = f"HTTP {status}" + (f": {answer}" if answer else "")
    wait = retry_after(headers)
    if status == 429:
        return ReceiverError(text, reason="throttled", retry_after=wait)
    if status in (401, 403, 407):
        return ReceiverError(text, reason="auth")
    if status in (408, 425) or status >= 500:
        return ReceiverError(text, reason="server-error", retry_after=wait)
    if status < 400 or status in (404, 405):
        return ReceiverError(text, reason="misconfigured")
    return ReceiverError(text, reason="rejected", final=True)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from seconds or from a date; the date is read by the server's own clock where it tells it."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:10]), LONGEST_WAIT)
    then, now = _date(value), _date(headers.get("Date", "")) or datetime.now(UTC)
    return min(max((then - now).total_seconds(), 0.0), LONGEST_WAIT) if then else None


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _unreachable(error: Exception) -> str:
    """Without the address, which aiohttp's own texts carry."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return f"TLS: {_tls(error)}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host name does not resolve"
    if isinstance(error, OSError) and error.errno:
        return f"cannot connect: {os.strerror(error.errno)}"
    return f"connection lost: {type(error).__name__}"


def _tls(error: aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError) -> str:
    cause = error.__cause__ or error.__context__
    return cause.verify_message if isinstance(cause, ssl.SSLCertVerificationError) else "handshake failed"
