"""Migration tools that are written in Python: a virtual environment of their own in the cache, made once."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.cluster.binaries import TOOLS, cache, locked, say

_LOCK = TOOLS / "python/requirements.lock"
_PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "--require-hashes")


class ToolboxError(Exception):
    """What pip could not do is said above it."""


def find_python(environ: Mapping[str, str] = os.environ) -> Path:
    """An interpreter that has what the lock names."""
    pins = hashlib.sha256(_LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = cache(environ) / f"python-{pins}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.with_suffix(".lock")):
        if not (folder / "whole").exists():
            _install(folder)
    return folder / "bin/python"


def _install(folder: Path) -> None:
    say(f"installing Alembic and Django into {folder}, once: about half a minute")
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    for command in ([sys.executable, "-m", "venv", folder], [folder / "bin/python", *_PIP, "-r", _LOCK]):
        told = [str(word) for word in command]
        if subprocess.run(told, check=False).returncode:
            raise ToolboxError(f"{' '.join(told)} failed")
    (folder / "whole").touch()
    say(f"installed in {time.monotonic() - began:.0f} s")
