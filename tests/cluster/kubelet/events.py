"""Events as the kubelet and the scheduler write them: in order, repeated ones counted, never in anybody's way."""

import asyncio
import logging
import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Final

from tests.cluster.kubelet.api import MERGE, Api, ApiError, Json

logger = logging.getLogger(__name__)

_WAITING: Final = 10_000
_REMEMBERED: Final = 4_096
_TRIES: Final = 60
_RETRY_SECONDS: Final = 1.0


def now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def now_precise() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


class Events:
    def __init__(self, api: Api, node: str) -> None:
        self._api = api
        self._node = node
        self._queue: asyncio.Queue[Json] = asyncio.Queue(_WAITING)
        self._seen: OrderedDict[tuple[str, ...], tuple[str, int]] = OrderedDict()  # what was told -> name, count

    def tell(self, about: Json, kind: str, reason: str, message: str) -> None:
        """``kind`` is Normal or Warning; ``about`` an object reference, with the fieldPath of a container."""
        event: Json = {
            "involvedObject": about,
            "type": kind,
            "reason": reason,
            "message": message[:1024],
            "source": {"component": "kubelet", "host": self._node},
            "reportingComponent": "kubelet",
            "reportingInstance": self._node,
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
        self._put(event)

    def tell_as_scheduler(self, about: Json, kind: str, reason: str, action: str, message: str) -> None:
        """Of the newer sort: it has an eventTime, and neither source nor first and last timestamp."""
        event: Json = {
            "involvedObject": about,
            "type": kind,
            "reason": reason,
            "action": action,
            "message": message[:1024],
            "source": {},
            "reportingComponent": "default-scheduler",
            "reportingInstance": f"default-scheduler-{self._node}",
            "firstTimestamp": None,
            "lastTimestamp": None,
            "eventTime": now_precise(),
        }
        self._put(event)

    def _put(self, event: Json) -> None:
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            logger.warning("event dropped: %s", event["reason"])

    async def run(self) -> None:
        while True:
            event = await self._queue.get()
            for _ in range(_TRIES):
                try:
                    await self._write(event)
                    break
                except ApiError as error:  # the namespace may be going
                    logger.info("event %s: %s", event["reason"], error)
                    if not error.passing:
                        break
                    await asyncio.sleep(_RETRY_SECONDS)

    async def _write(self, event: Json) -> None:
        about = event["involvedObject"]
        folder = f"/api/v1/namespaces/{about['namespace']}/events"
        place = about.get("fieldPath", "")
        same = (about["uid"], place, event["type"], event["reason"], event["message"])
        if same in self._seen and "eventTime" not in event:
            name, count = self._seen.pop(same)
            again = {"count": count + 1, "lastTimestamp": event["lastTimestamp"]}
            try:
                await self._api.call("PATCH", f"{folder}/{name}", again, MERGE)
            except ApiError as error:
                if error.status != 404:
                    raise
            else:
                self._seen[same] = (name, count + 1)
                return
        name = f"{about['name']}.{time.time_ns():x}"
        metadata = {"name": name, "namespace": about["namespace"]}
        await self._api.call("POST", folder, {"metadata": metadata} | event)
        self._seen[same] = (name, 1)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
