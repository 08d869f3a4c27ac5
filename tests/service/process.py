"""``responder serve`` as a process: started, asked, killed, started again."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import yaml

Json = dict[str, Any]
TOKEN = "of-these-tests"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
PATIENCE = 60.0
_LAST_WORDS = 2000  # bytes


async def until(what: Callable[[], Any], *, within: float = PATIENCE) -> Any:
    """What ``what`` answers, as soon as that is true."""
    async with asyncio.timeout(within):
        while not (found := what()):  # noqa: ASYNC110 - another process cannot set our events
            await asyncio.sleep(0.01)
    return found


def write_config(folder: Path, server: str, rules: str, **more: Json) -> Path:
    """A configuration as people write it; its store and secrets stand beside it."""
    (folder / "token").write_text(TOKEN, encoding="utf-8")
    (folder / "rules.yaml").write_text(rules, encoding="utf-8")
    settings = {
        "listen": {"host": "127.0.0.1", "port": 0},
        "clusters": [{"name": "in-cluster", "url": server}],
        "store": {"url": f"sqlite://{folder / 'responder.db'}"},
        "webhook": {"token_files": ["token"]},
        "access": {"static_tokens": [{"name": "on-call", "token_file": "token", "role": "operator"}]},
        "rules": "rules.yaml",
        "actions": {"mode": "live"},
        **more,
    }
    path = folder / "responder.yaml"
    path.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return path


class AwayError(aiohttp.ClientError):
    """It does not answer: whether it runs, and what it said last."""


class Service:
    """One configuration, as many processes one after another as a test wants. Their output is one file."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.said = config.with_name("said.jsonl")
        self.said.touch()
        self.url = ""
        self._process: asyncio.subprocess.Process | None = None
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Service":
        self._http = aiohttp.ClientSession(headers=HEADERS)
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        if self._http is not None:
            await self._http.close()

    @property
    def http(self) -> aiohttp.ClientSession:
        assert self._http is not None
        return self._http

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Until it listens."""
        before = self.said.stat().st_size
        with self.said.open("ab") as out:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "responder", "serve", "--config", str(self.config),
                stdout=out, stderr=out, env={**os.environ, "PYTHONWARNINGS": "error::ResourceWarning"},
            )  # fmt: skip
        process = self._process

        def listens() -> re.Match[bytes] | None:
            said = self.said.read_bytes()[before:]
            assert process.returncode is None, said.decode()
            return re.search(rb'"message": "serving", "url": "([^"]+)"', said)

        self.url = (await until(listens))[1].decode()

    async def kill(self) -> None:
        """As ``kill -9``: nothing is told to it."""
        await self.end(signal.SIGKILL)

    async def end(self, by: signal.Signals) -> int:
        """Its exit status."""
        assert self._process is not None
        if self._process.returncode is None:
            self._process.send_signal(by)
        return await self._process.wait()

    async def get(self, path: str) -> Json:
        """Raises AwayError when it does not answer."""
        try:
            async with self.http.get(f"{self.url}{path}") as answer:
                found: Json = await answer.json()
                return found
        except aiohttp.ClientConnectionError as error:
            status = self._process.returncode if self._process else None
            last = self.said.read_bytes()[-_LAST_WORDS:].decode(errors="replace")
            raise AwayError(f"{error}; its exit status is {status}, its last words were {last}") from error

    async def incidents(self) -> list[Json]:
        page = await self.get("/v1/incidents?limit=200")
        return [await self.get(f"/v1/incidents/{summary['id']}") for summary in page["incidents"]][::-1]

    async def until_incidents(self, good: Callable[[list[Json]], object], *, within: float = PATIENCE) -> list[Json]:
        """Incidents, as soon as they are ``good``."""
        found: list[Json] = []
        try:
            async with asyncio.timeout(within):
                while True:
                    found = await self.incidents()
                    if good(found):
                        return found
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not what was waited for, within {within:g} s: {found}") from None

    async def until_ready(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while not (await self.get("/readyz"))["ready"]:  # noqa: ASYNC110 - nor can this one
                await asyncio.sleep(0.01)
