"""PostgreSQL and MariaDB from Debian packages: each with its own data folder, on a free port of loopback.

They refuse to run as root, so as root they run as the users that their packages made.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.cluster.processes import Ports, Process, listens, tether

PASSWORD = "of-these-tests"  # of the superusers
_INSTALLING = 120.0  # seconds that a fresh data folder may take


class DatabaseError(Exception):
    """What could not be set up, in the program's own words."""


class Postgres:
    """Superuser ``postgres``, scram passwords."""

    def __init__(self, folder: Path, ports: Ports) -> None:
        self.port = ports.free()
        self._folder = _folder(folder / "postgres", "postgres")
        self._log = folder / "postgres.log"
        self._programs = _postgres_programs()

    async def install(self) -> None:
        password = self._folder / "password"
        password.write_text(PASSWORD)
        options = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]
        command = [self._programs / "initdb", "-D", self._folder / "data", f"--pwfile={password}", *options]
        await _run("postgres", *command, log=self._log)

    def process(self) -> Process:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self._folder,
            "fsync": "off",
            "max_connections": 200,
            "shared_memory_type": "mmap",
        }
        command = [self._programs / "postgres", "-D", self._folder / "data"]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        fast = signal.SIGINT  # SIGTERM would wait for every session to end
        return Process("postgres", command, log=self._log, probe=listens(self.port), user=_user("postgres"), end=fast)


class MariaDb:
    """Superuser ``root``, by password from loopback."""

    def __init__(self, folder: Path, ports: Ports) -> None:
        self.port = ports.free()
        self._folder = _folder(folder / "mariadb", "mysql")
        self._log = folder / "mariadb.log"

    async def install(self) -> None:
        options = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        command = ["mariadb-install-db", *options, f"--datadir={self._folder / 'data'}", *self._user()]
        await _run("", *command, log=self._log)
        (self._folder / "first.sql").write_text(
            f"ALTER USER root@localhost IDENTIFIED BY '{PASSWORD}';\n"
            f"CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';\n"
            "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
        )

    def process(self) -> Process:
        command = [
            shutil.which("mariadbd") or "/usr/sbin/mariadbd",  # sbin is not on everybody's PATH
            "--no-defaults",
            f"--datadir={self._folder / 'data'}",
            f"--socket={self._folder / 'socket'}",
            f"--pid-file={self._folder / 'pid'}",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            f"--init-file={self._folder / 'first.sql'}",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0",
        ]
        return Process("mariadb", command, log=self._log, probe=listens(self.port), user=_user("mysql"))

    def _user(self) -> list[str]:
        return [f"--user={_user('mysql')}"] if _user("mysql") else []


def _user(name: str) -> str:
    """Only root can and must become somebody else."""
    return name if os.geteuid() == 0 else ""


def _folder(folder: Path, user: str) -> Path:
    folder.mkdir(mode=0o750)
    if os.geteuid() == 0:
        shutil.chown(folder, user, user)
    return folder


def _postgres_programs() -> Path:
    """Debian keeps them off PATH, by major version; the newest is taken."""
    installed = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(installed, key=lambda program: int(program.parts[-3]), default=None)
    if newest is None:
        raise DatabaseError("there is no PostgreSQL server: apt-get install postgresql")
    return newest.parent


async def _run(user: str, *command: object, log: Path) -> None:
    with log.open("ab") as output:
        whole = [*tether(_user(user) if user else ""), *map(str, command)]
        process = await asyncio.create_subprocess_exec(*whole, stdout=output, stderr=subprocess.STDOUT, cwd="/")
        if await asyncio.wait_for(process.wait(), _INSTALLING):
            raise DatabaseError(f"{command[0]} failed: see {log}")
