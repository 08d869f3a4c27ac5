"""The cluster that runs, as the tests see it: where everything is, and a say over its programs."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tests.cluster.databases import PASSWORD
from tests.cluster.kubernetes import Kubernetes

VARIABLE = "RESPONDER_TEST_CLUSTER"
ABSENT = "RESPONDER_TEST_CLUSTER_ABSENT"  # why there can be none: the tests skip, and say so
_PATIENCE = 120.0  # seconds; a restart waits until the program is ready


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """Written by ``python -m tests.cluster`` into the file that the variable names."""

    folder: Path  # of this run: logs, keys, data
    binaries: Path
    url: str
    token: str  # an administrator's
    ca: Path
    kubeconfig: Path  # the same administrator's
    argocd_url: str  # no login is asked for
    services_port: int  # who listens here gets what Argo CD's notifications controller sends to a Service by its name
    git_root: Path
    git_url: str
    postgres_port: int
    mariadb_port: int
    kubelet_control: Path
    control: Path

    def kubernetes(self) -> Kubernetes:
        return Kubernetes(self.url, self.token, self.ca)

    @property
    def postgres(self) -> str:
        """Of the superuser, as libpq takes it."""
        return f"postgresql://postgres:{PASSWORD}@127.0.0.1:{self.postgres_port}/postgres"

    @property
    def mariadb(self) -> str:
        """Of the superuser, as golang-migrate takes it."""
        return f"mysql://root:{PASSWORD}@tcp(127.0.0.1:{self.mariadb_port})/"

    def write(self, file: Path) -> None:
        encoded = msgspec.json.encode(self, enc_hook=str)  # its paths
        unfinished = file.with_suffix(".part")
        unfinished.write_bytes(msgspec.json.format(encoded))
        unfinished.rename(file)  # who waits for the file finds it whole

    async def tell(self, program: str, act: str) -> int | None:
        """Acts: ``start stop kill restart pause resume pid``. Programs by their names in ``programs``. Its pid, or
        None when it does not run. Returns when it is done: after ``start`` the program is ready."""
        async with asyncio.timeout(_PATIENCE):
            reader, writer = await asyncio.open_unix_connection(self.control)
            try:
                writer.write(msgspec.json.encode(Order(program=program, act=act)) + b"\n")
                answer = msgspec.json.decode(await reader.readline(), type=Answer)
            finally:
                writer.close()
        if answer.refused:
            raise RuntimeError(f"{act} {program}: {answer.refused}")
        return answer.pid


class Order(msgspec.Struct, frozen=True):
    program: str
    act: str


class Answer(msgspec.Struct, frozen=True):
    pid: int | None = None
    refused: str = ""


def find_running(environ: Mapping[str, str] = os.environ) -> Running:
    file = environ.get(VARIABLE)
    if not file:
        raise LookupError(f"no cluster runs: `make test-cluster`, or `python -m tests.cluster up` and set {VARIABLE}")
    return msgspec.json.decode(Path(file).read_bytes(), type=Running, dec_hook=lambda wanted, value: wanted(value))
