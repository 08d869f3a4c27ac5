"""The client of a running responder: what the commands ask over HTTP."""

import http.client
import json
import re
import socket
import sys
import urllib.error
import urllib.request
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

from responder.exits import BAD_INPUT, COULD_NOT_ASK, NO

_LARGEST = 64 << 20  # bytes of an answer
_PAGE = 200


class AskError(Exception):
    """No answer, or one that is no answer; says what to do. ``refused``: it was heard, and asking again is no use.

    ``absent``: a responder says that there is no such thing.
    """

    def __init__(self, message: str, *, refused: bool = False, absent: bool = False, code: int = COULD_NOT_ASK) -> None:
        super().__init__(message)
        self.refused = refused
        self.absent = absent
        self.code = code


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A token goes to the server that was named, and to no other."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class Server:
    def __init__(self, address: str, token_file: Path | None, timeout: float) -> None:
        if urlsplit(address).scheme not in ("http", "https"):
            raise AskError(f"{address} is no http(s) address", refused=True, code=BAD_INPUT)
        self._address = address.rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": "responder-cli"}
        if token_file is not None:
            self._headers["Authorization"] = f"Bearer {_token(token_file)}"
        self._timeout = timeout
        self._opener = urllib.request.build_opener(_NoRedirects)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            answer = json.loads(self._read(method, path, body))
        except ValueError as error:
            raise AskError(f"{self._address} does not answer like a responder: it sent no JSON") from error
        if not isinstance(answer, dict):
            raise AskError(f"{self._address} does not answer like a responder")
        return answer

    def incidents(self, most: int = sys.maxsize, **query: str) -> Iterator[dict[str, Any]]:
        """Their summaries, newest first, asked for page after page."""
        left, cursor = most, ""
        while left > 0:
            page = {**query, "limit": min(left, _PAGE), **({"cursor": cursor} if cursor else {})}
            answer = self.ask("GET", f"/v1/incidents?{urlencode(page)}")
            yield from answer["incidents"]
            left -= len(answer["incidents"])
            cursor = answer["next_cursor"] or ""
            if not cursor:
                return

    def incident(self, incident_id: str) -> dict[str, Any]:
        return self.ask("GET", f"/v1/incidents/{quote(incident_id, safe='')}")

    def explained(self, incident_id: str) -> dict[str, Any]:
        """What each rule makes of it."""
        return self.ask("GET", f"/v1/incidents/{quote(incident_id, safe='')}/rules")

    def _read(self, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers if data is None else {**self._headers, "Content-Type": "application/json"}
        request = urllib.request.Request(self._address + path, data=data, headers=headers, method=method)  # noqa: S310 - http(s), see above
        try:
            with self._opener.open(request, timeout=self._timeout) as answer:
                read: bytes = answer.read(_LARGEST)
                if answer.length:  # cut, or too much
                    raise http.client.IncompleteRead(b"", answer.length)
                return read
        except urllib.error.HTTPError as error:
            with error:
                _refused(error)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise AskError(f"{self._address} cannot be asked: {_why(error)}") from error


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    told = getattr(reason, "strerror", None) or str(reason) or type(error).__name__
    nobody = isinstance(reason, ConnectionRefusedError | socket.gaierror)
    return f"{told} (--server or $RESPONDER_SERVER says where it is)" if nobody else told


def _refused(error: urllib.error.HTTPError) -> NoReturn:
    try:
        told = json.loads(error.read(_LARGEST))
        detail = told.get("detail") or told.get("title") or ""
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        detail = ""
    refused = 300 <= error.code < 500 and error.code not in (408, 429)
    ours = error.headers.get_content_type() == "application/problem+json"  # a 404 of another server tells nothing
    absent = ours and error.code == 404
    code = BAD_INPUT if absent or error.code in (400, 422) else NO if error.code == 409 else COULD_NOT_ASK
    raise AskError(
        f"{error.code} {error.reason}{f': {detail}' if detail else ''}", refused=refused, absent=absent, code=code
    ) from error


def _token(path: Path) -> str:
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise AskError(f"{path}: cannot be read: {reason}", refused=True, code=BAD_INPUT) from error
    if not re.fullmatch(r"[!-~]+", token):
        raise AskError(f"{path}: a token is one line of printable ASCII", refused=True, code=BAD_INPUT)
    return token


def server_of(arguments: Namespace) -> Server:
    return Server(arguments.server, arguments.token_file, arguments.timeout)


@contextmanager
def like_a_responder(server: str) -> Iterator[None]:
    """What is read of an answer within is there, or it is no answer of ours. Raises ``AskError``."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise AskError(f"{server} does not answer like this responder: {error!r}") from error
