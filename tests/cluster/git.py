"""Git repositories that Argo CD reads, served by ``git daemon`` on loopback."""

import asyncio
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.processes import Ports, Process, listens

_IDENTITY = ("-c", "user.name=Scenario", "-c", "user.email=scenario@example.com", "-c", "commit.gpgsign=false")
# Whoever's machine this is: their settings must not decide what is committed.
_ENVIRONMENT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


class GitError(Exception):
    """What git said."""


class GitDaemon:
    def __init__(self, folder: Path, ports: Ports) -> None:
        self.root = folder / "repositories"
        self.root.mkdir()
        self._port = ports.free()
        self._log = folder / "git.log"
        self.url = f"git://127.0.0.1:{self._port}"

    def process(self) -> Process:
        """The daemon itself: ``git daemon`` would stand between, and stay behind."""
        programs = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True).stdout.strip()
        command = [
            f"{programs}/git-daemon",
            f"--base-path={self.root}",
            "--export-all",
            "--reuseaddr",
            "--informative-errors",
            "--listen=127.0.0.1",
            f"--port={self._port}",
            str(self.root),
        ]
        return Process("git", command, log=self._log, probe=listens(self._port), environment=_ENVIRONMENT)


class Repository:
    """One bare repository below the daemon's root, and a clone to commit in."""

    def __init__(self, root: Path, base_url: str, name: str) -> None:
        self._bare = root / f"{name}.git"
        self._clone = root.with_name("clones") / name
        self.url = f"{base_url}/{name}.git"

    async def create(self) -> None:
        self._clone.parent.mkdir(exist_ok=True)
        await _git(self._bare.parent, "init", "--quiet", "--bare", "--initial-branch=main", self._bare.name)
        await _git(self._clone.parent, "clone", "--quiet", str(self._bare), self._clone.name)

    async def commit(self, files: Mapping[str, str | None], message: str = "a change") -> str:
        """Writes and pushes these files, removes those that are None; the new revision."""
        for name, content in files.items():
            file = self._clone / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                file.unlink()
            else:
                file.write_text(content, encoding="utf-8")
        await _git(self._clone, "add", "--all")
        await _git(self._clone, *_IDENTITY, "commit", "--quiet", "--allow-empty", f"--message={message}")
        await _git(self._clone, "push", "--quiet", "origin", "HEAD:main")
        return await self.revision()

    async def revision(self) -> str:
        return (await _git(self._clone, "rev-parse", "HEAD")).strip()

    async def files(self) -> list[str]:
        """Of what was pushed last."""
        return (await _git(self._bare, "ls-tree", "-r", "--name-only", "main")).splitlines()


async def _git(folder: Path, *arguments: str) -> str:
    pipe = asyncio.subprocess.PIPE
    environment = {**os.environ, **_ENVIRONMENT}
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, cwd=folder, env=environment, stdout=pipe, stderr=pipe
    )
    output, errors = await asyncio.wait_for(process.communicate(), 30)
    if process.returncode:
        raise GitError(f"git {' '.join(arguments)}: {errors.decode()}")
    return output.decode()
