"""The kubelet as a whole: one worker a Pod, and beside them node, scheduler, events, log server and control socket."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from aiohttp import web

from tests.cluster.kubelet.api import Api, Json, Kubeconfig, connect
from tests.cluster.kubelet.control import Control
from tests.cluster.kubelet.events import Events
from tests.cluster.kubelet.host import Host
from tests.cluster.kubelet.images import Images, read_images
from tests.cluster.kubelet.node import Node
from tests.cluster.kubelet.scheduler import Scheduler
from tests.cluster.kubelet.server import Server, server_tls
from tests.cluster.kubelet.worker import Worker, forget_all

logger = logging.getLogger(__name__)


class Options(msgspec.Struct, frozen=True):
    kubeconfig: Path
    listen: str
    cert: Path
    key: Path
    ca: Path
    state: Path
    node: str
    control: Path | None
    images: Path | None
    back_off: float


class Kubelet:
    def __init__(self, host: Host, outside: Host, node: Node) -> None:
        """``outside`` is what works on while the node is lost."""
        self._host = host
        self._outside = outside
        self._node = node
        self._workers: dict[str, Worker] = {}  # by uid
        self._names: dict[tuple[str, str], Worker] = {}  # the newest of a name
        self._addresses = _addresses()
        self.server = Server(self._find, lambda: node.lost)
        self.control = Control(self._find, self._workers, host.images, node)

    def _find(self, namespace: str, name: str) -> Worker | None:
        return self._names.get((namespace, name))

    async def run(self) -> None:
        scheduler = Scheduler(self._outside)
        await self._node.register()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._node.keep_alive())
            group.create_task(self._host.events.run())
            group.create_task(self._outside.events.run())
            group.create_task(scheduler.watch())
            group.create_task(scheduler.run())
            group.create_task(self._watch_pods(group))

    async def _watch_pods(self, group: asyncio.TaskGroup) -> None:
        async for kind, pod in self._host.api.watch("/api/v1/pods", fieldSelector=f"spec.nodeName={self._host.node}"):
            worker = self._workers.get(pod["metadata"]["uid"])
            if kind == "DELETED":
                if worker is not None:
                    worker.update(pod)
                    worker.vanished()
            elif worker is not None:
                worker.update(pod)
            else:
                self._take(pod, group)

    def _take(self, pod: Json, group: asyncio.TaskGroup) -> None:
        worker = Worker(self._host, pod, next(self._addresses))
        self._workers[worker.pod.uid] = worker
        self._names[worker.pod.namespace, worker.pod.name] = worker
        group.create_task(self._live(worker), name=str(worker.pod))

    async def _live(self, worker: Worker) -> None:
        pod = worker.pod
        try:
            await worker.run()
        except Exception:  # one Pod's trouble is not the node's
            logger.exception("Pod %s", pod)
        finally:
            del self._workers[pod.uid]
            if self._find(pod.namespace, pod.name) is worker:
                del self._names[pod.namespace, pod.name]


def _addresses() -> Iterator[str]:
    """Each Pod has its own on loopback, on which its programs can listen."""
    for number in count(1):
        yield f"127.{64 + (number >> 16) % 64}.{(number >> 8) % 256}.{number % 256}"


async def serve(options: Options) -> None:
    """Until cancelled."""
    forget_all(options.state)
    kubeconfig = Kubeconfig(options.kubeconfig)
    address, _, port = options.listen.rpartition(":")
    server = urlsplit(kubeconfig.server)
    table = read_images(options.images.read_bytes()) if options.images else {}
    async with AsyncExitStack() as stack:
        api: Api = await stack.enter_async_context(connect(kubeconfig))
        outside: Api = await stack.enter_async_context(connect(kubeconfig))
        host = Host(
            api=api,
            events=Events(api, options.node),
            images=Images(table),
            node=options.node,
            state=options.state,
            kept=options.state / "logs",
            back_off=options.back_off,
            service_host=server.hostname or "",
            service_port=str(server.port or 443),
        )
        control_plane = replace(host, api=outside, events=Events(outside, options.node))
        kubelet = Kubelet(host, control_plane, Node(api, outside, options.node, int(port)))
        runner = web.AppRunner(kubelet.server.app(), access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        tls = server_tls(options.cert, options.key, options.ca)
        await web.TCPSite(runner, address, int(port), ssl_context=tls).start()
        if options.control is not None:
            options.control.unlink(missing_ok=True)
            orders = await asyncio.start_unix_server(kubelet.control.obey, options.control)
            stack.callback(orders.close)
        await kubelet.run()
