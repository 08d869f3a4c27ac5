"""Orders to a running kubelet, a line each over a UNIX socket: faults that are to begin or end at a moment.

fault NAMESPACE/POD FAULTS     as the annotation says them
mend NAMESPACE/POD             ends those; what the annotation says stays away, too
rotate NAMESPACE/POD/CONTAINER begins a new log file now
push IMAGE                     an image that could not be pulled can be
image NAME JSON                what images bring along whose names begin so, as in the file of --images
node lost | node back
"""

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import Final

from tests.cluster.kubelet.api import ApiError
from tests.cluster.kubelet.faults import parse_faults
from tests.cluster.kubelet.images import Images
from tests.cluster.kubelet.node import Node
from tests.cluster.kubelet.server import Find
from tests.cluster.kubelet.worker import Worker

logger = logging.getLogger(__name__)

_ANSWER_SECONDS: Final = 30.0


class Control:
    def __init__(self, find: Find, pods: dict[str, Worker], images: Images, node: Node) -> None:
        self._find = find
        self._pods = pods
        self._images = images
        self._node = node

    async def obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                try:
                    answer = await self._carry_out(line.decode().strip())
                except (ValueError, LookupError, ApiError) as error:
                    answer = f"error: {error}"
                writer.write(answer.encode() + b"\n")
                await writer.drain()
        except ConnectionError:
            logger.info("who gave orders went away")
        finally:
            writer.close()

    async def _carry_out(self, order: str) -> str:
        match order.split(" ", 2):
            case ["fault", pod, faults]:
                self._worker(pod).add_faults(parse_faults(faults))
            case ["mend", pod]:
                self._worker(pod).clear_faults()
            case ["rotate", place]:
                pod, _, name = place.rpartition("/")
                container = self._worker(pod).container(name)
                if container is None or container.log is None or container.log.ended:
                    raise LookupError(f"no log is being written for {place}")
                container.log.rotate()
            case ["push", image]:
                self._images.pushed.add(image)
            case ["node", "lost"]:
                await self._node.lose([worker.pod.found for worker in self._pods.values()])
            case ["node", "back"]:
                await self._node.come_back()
                for worker in self._pods.values():
                    worker.pod.changed()  # others may have written into its status
            case ["image", name, image]:
                self._images.bring(name, image.encode())
            case _:
                raise ValueError(f"unknown order: {order}")
        return "ok"

    def _worker(self, place: str) -> Worker:
        namespace, _, name = place.partition("/")
        worker = self._find(namespace, name)
        if worker is None:
            raise LookupError(f"no Pod {place} on this node")
        return worker


async def order(socket: Path, line: str) -> None:
    """For tests. Raises ValueError when the kubelet refuses."""
    async with asyncio.timeout(_ANSWER_SECONDS):
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(line.encode() + b"\n")
        answer = (await reader.readline()).decode().strip()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    if answer != "ok":
        raise ValueError(answer)
