"""Starts the whole cluster, side by side where it can be, obeys the tests' orders to its programs, and ends it."""

import asyncio
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec

from tests.cluster.argocd import ArgoCd, provide
from tests.cluster.binaries import Binaries
from tests.cluster.control_plane import NODE, ControlPlane
from tests.cluster.databases import MariaDb, Postgres
from tests.cluster.git import GitDaemon
from tests.cluster.kubernetes import Kubernetes, path
from tests.cluster.processes import Ports, Process, is_there
from tests.cluster.running import Answer, Order, Running

_REPOSITORY = Path(__file__).parents[2]


class Cluster:
    """Its parts know their ports and files when it is made; nothing runs before ``start``."""

    def __init__(self, folder: Path, binaries: Binaries) -> None:
        self.folder = folder
        self.programs: dict[str, Process] = {}  # in the order in which they came up
        self._binaries = binaries
        self._ports = Ports()
        self._plane = ControlPlane(folder, binaries, self._ports)
        self._argocd = ArgoCd(folder, binaries, self._plane.kubeconfig("argocd", "argocd"), self._ports)
        self._git = GitDaemon(folder, self._ports)
        self._postgres = Postgres(folder, self._ports)
        self._mariadb = MariaDb(folder, self._ports)
        self._users = {user: self._plane.kubeconfig(user) for user in ("admin", "controller-manager", "kubelet")}
        self._kubelet_port = self._ports.free()
        self.running = Running(
            folder=folder,
            binaries=binaries.folder,
            url=self._plane.url,
            token=self._plane.token,
            ca=self._plane.ca,
            kubeconfig=self._users["admin"],
            argocd_url=self._argocd.url,
            services_port=self._argocd.services_port,
            git_root=self._git.root,
            git_url=self._git.url,
            postgres_port=self._postgres.port,
            mariadb_port=self._mariadb.port,
            kubelet_control=folder / "kubelet.socket",
            control=folder / "control.socket",
        )

    async def start(self, kubernetes: Kubernetes) -> None:
        controller_manager = self._plane.controller_manager(self._users["controller-manager"], self._ports, kubernetes)
        self._ports.release()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start_database(self._postgres))
            group.create_task(self._start_database(self._mariadb))
            group.create_task(self._start(self._git.process()))
            await self._start(self._argocd.redis())
            await self._start_kubernetes(kubernetes, controller_manager)
            await self._start_argocd(kubernetes)

    async def _start_kubernetes(self, kubernetes: Kubernetes, controller_manager: Process) -> None:
        await self._start(self._plane.etcd())
        await self._start(self._plane.apiserver(kubernetes))
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start(controller_manager))
            group.create_task(self._start(self._kubelet(kubernetes)))
            group.create_task(provide(kubernetes, self._binaries))
        await kubernetes.until(path("v1", "ServiceAccount", "default", "default"), bool)

    async def _start_argocd(self, kubernetes: Kubernetes) -> None:
        programs = (
            self._argocd.repo_server(),
            self._argocd.application_controller(),
            self._argocd.notifications_controller(),
            self._argocd.api_server(kubernetes),
        )
        async with asyncio.TaskGroup() as group:
            for program in programs:
                group.create_task(self._start(program))

    async def _start_database(self, database: Postgres | MariaDb) -> None:
        await database.install()
        await self._start(database.process())

    def _kubelet(self, kubernetes: Kubernetes) -> Process:
        serving = self._plane.kubelet_serving
        state = self.folder / "kubelet"
        state.mkdir()
        flags = {
            "kubeconfig": self._users["kubelet"],
            "listen": f"127.0.0.1:{self._kubelet_port}",
            "cert": serving.certificate,
            "key": serving.key,
            "ca": self._plane.ca,
            "state": state,
            "node": NODE,
            "control": self.running.kubelet_control,
        }
        command = [sys.executable, "-m", "tests.cluster.kubelet"]
        command += [str(part) for name, value in flags.items() for part in (f"--{name}", value)]
        return Process(
            "kubelet",
            command,
            log=self.folder / "kubelet.log",
            probe=is_there(kubernetes, path("v1", "Node", name=NODE)),
            environment={"PYTHONPATH": str(_REPOSITORY)},
        )

    async def _start(self, program: Process) -> None:
        self.programs[program.name] = program
        await program.start()

    async def stop(self) -> None:
        """In the reverse order; what has nothing to save is killed."""
        for program in reversed(self.programs.values()):
            await program.stop(signal.SIGKILL if program.name.startswith(("argocd", "redis")) else None)

    async def obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Orders over the control socket, one a line."""
        try:
            while line := await reader.readline():
                answer = await self._carry_out(msgspec.json.decode(line, type=Order))
                writer.write(msgspec.json.encode(answer) + b"\n")
                await writer.drain()
        finally:
            writer.close()

    async def _carry_out(self, order: Order) -> Answer:
        program = self.programs.get(order.program)
        if program is None:
            return Answer(refused=f"there are {', '.join(self.programs)}")
        try:
            await _act(program, order.act)
        except (RuntimeError, ValueError) as error:
            return Answer(refused=str(error))
        return Answer(pid=program.pid)


async def _act(program: Process, act: str) -> None:
    match act:
        case "start" if program.pid is None:
            await program.start()
        case "stop":
            await program.stop()
        case "kill":
            await program.stop(signal.SIGKILL)
        case "restart":
            await program.stop()
            await program.start()
        case "pause":
            program.signal(signal.SIGSTOP)
        case "resume":
            program.signal(signal.SIGCONT)
        case "pid":
            pass
        case _:
            raise ValueError("acts are start (of one that does not run), stop, kill, restart, pause, resume, pid")


@asynccontextmanager
async def started(folder: Path, binaries: Binaries) -> AsyncIterator[Cluster]:
    """Ready, and described in ``cluster.json`` of the folder; stopped at the end, whatever happened."""
    began = time.monotonic()
    cluster = Cluster(folder, binaries)
    async with AsyncExitStack() as stack:
        kubernetes = await stack.enter_async_context(cluster.running.kubernetes())
        stack.push_async_callback(cluster.stop)
        await cluster.start(kubernetes)
        server = await asyncio.start_unix_server(cluster.obey, cluster.running.control)
        stack.callback(server.close)
        cluster.running.write(folder / "cluster.json")
        print(f"the cluster is ready after {time.monotonic() - began:.1f} s, in {folder}", flush=True)
        yield cluster
