"""Pods and Events that came before the Job they belong to: watches keep no order among one another."""

from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import msgspec

from responder.cluster.reflector import Change, WatchEvent
from responder.core.evidence import ClusterEvent
from responder.core.hookmerge import merge_events, merge_pods
from responder.core.hooks import PodRun
from responder.core.sightings import SeenPod

MOST: Final = 1000  # Jobs, and objects of Events; what waits longest goes first


class Unclaimed:
    def __init__(self) -> None:
        self._pods: OrderedDict[str, tuple[PodRun, ...]] = OrderedDict()
        self._events: OrderedDict[str, tuple[ClusterEvent, ...]] = OrderedDict()

    def keep_pod(self, job_uid: str, event: WatchEvent[SeenPod], now: datetime) -> None:
        if event.object is None or not job_uid:
            return
        pod = event.object.pod
        if event.change is Change.DELETED:
            pod = msgspec.structs.replace(pod, gone_at=now)
        self._pods[job_uid] = merge_pods(self._pods.get(job_uid, ()), (pod,))
        _bound(self._pods)

    def keep_event(self, uid: str, event: ClusterEvent) -> None:
        self._events[uid] = merge_events(self._events.get(uid, ()), (event,))
        _bound(self._events)

    def pods(self, job_uid: str) -> Sequence[PodRun]:
        return self._pods.pop(job_uid, ())

    def events(self, uid: str) -> Sequence[ClusterEvent]:
        return self._events.pop(uid, ())


def _bound(held: OrderedDict[str, tuple[PodRun, ...]] | OrderedDict[str, tuple[ClusterEvent, ...]]) -> None:
    while len(held) > MOST:
        held.popitem(last=False)
