"""What is recorded of one hook Job: every version folded, its Pods' logs, and what was lost of them."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from responder.cluster.following import Follow
from responder.core.argocd import OperationRecord
from responder.core.evidence import ClusterEvent, Gap, GapReason, LogSummary
from responder.core.hookmerge import merge_events, merge_pods, merge_run
from responder.core.hooks import ContainerRun, ContainerState, HookRun, PodRun
from responder.core.logtape import log_key
from responder.core.losses import PODS, gaps
from responder.core.sightings import SeenJob

replace = msgspec.structs.replace

_TERMINAL = ("Succeeded", "Failed")
_MAY_HAVE_STARTED = frozenset({"", "ContainerCreating", "PodInitializing"})


class Recording:
    """``away``: the Job was there before we watched; ``stored``: what an earlier life of ours kept of it."""

    def __init__(self, first: HookRun, now: datetime, *, away: bool, stored: HookRun | None = None) -> None:
        fresh = replace(first, first_seen_at=now)
        self.run = fresh if stored is None else merge_run(stored, fresh, whole=False)
        self.away = away
        self.whole = stored is not None
        self.pods_made = 0
        self.unseen_pods = False  # its Pods were not watched when it went
        self.follows: dict[str, Follow] = {}
        self.over: dict[str, GapReason | None] = {}  # logs whose reading is over; why, when it was the reader
        self.published: HookRun | None = None
        self.stored = stored  # the newest value that the store has
        self.dirty = True
        self.closed = False
        self.quiet_since: datetime | None = None
        self._stored_gaps = stored.gaps if stored else ()
        self._told_gaps = {_identity(gap) for gap in self._stored_gaps}
        self._stored_pods = frozenset(pod.uid for pod in stored.pods) if stored else frozenset()

    def see_job(self, seen: SeenJob) -> None:
        if seen.run is None:
            return
        self.run = merge_run(self.run, seen.run, whole=seen.whole)
        self.whole |= seen.whole
        self.pods_made = max(self.pods_made, seen.pods_made)
        self.dirty = True

    def job_gone(self, now: datetime, *, pods_watched: bool) -> None:
        if self.run.gone_at is None:
            self.run = replace(self.run, gone_at=now)
            self.unseen_pods = not pods_watched and not self.run.pods
            self.dirty = True

    def see_pod(self, pod: PodRun) -> tuple[PodRun, list[ContainerRun]]:
        """The Pod as it stands, and its container runs whose logs must be read from now on."""
        self.run = replace(self.run, pods=merge_pods(self.run.pods, (pod,)))
        self.dirty = True
        merged = next(p for p in self.run.pods if p.uid == pod.uid)
        return merged, [c for c in merged.containers if self._to_be_read(merged, c)]

    def _to_be_read(self, pod: PodRun, container: ContainerRun) -> bool:
        key = log_key(pod.uid, container.name, container.restart)
        done = container.log is not None and container.log.complete
        return container.state is not ContainerState.WAITING and not done and key not in self.follows

    def pod_gone(self, uid: str, now: datetime, *, unseen: bool) -> None:
        """``unseen``: found gone by a new list; how it ended nobody told us."""
        held = next((pod for pod in self.run.pods if pod.uid == uid), None)
        if held is None or held.gone_at is not None:
            return
        self.run = replace(self.run, pods=merge_pods(self.run.pods, (replace(held, gone_at=now),)))
        self.dirty = True
        for container in held.containers:
            key = log_key(uid, container.name, container.restart)
            waited = container.state is ContainerState.WAITING
            if waited and unseen and held.node and container.waiting_reason in _MAY_HAVE_STARTED:
                self.over[key] = GapReason.RECORDER_AWAY
            if not waited and key not in self.follows:
                self.over[key] = GapReason.RECORDER_AWAY if unseen or uid in self._stored_pods else None

    def see_event(self, event: ClusterEvent) -> None:
        self.run = replace(self.run, events=merge_events(self.run.events, (event,)))
        self.dirty = True

    def read(self, key: str, reason: GapReason | None) -> None:
        """The reader of this log has ended; ``reason`` why it is not whole, where the reader knows."""
        self.over[key] = reason
        self.dirty = True

    def value(self, operations: Sequence[OperationRecord]) -> HookRun:
        pods = tuple(self._with_logs(pod) for pod in self.run.pods)
        run = replace(self.run, pods=pods)
        found = list(gaps(run, self.over, operations, pods_made=self.pods_made, away=self.away))
        if run.gone_at is not None and (not self.whole or self.unseen_pods):
            what = "it was gone before it could be read" if not self.whole else "its Pods were not watched yet"
            found.append(Gap("job", GapReason.RECORDER_AWAY, what, run.gone_at))
        return replace(run, gaps=self._with_stored(run, found))

    def _with_logs(self, pod: PodRun) -> PodRun:
        logs = {key: follow.tape.summary() for key, follow in self.follows.items() if key.startswith(pod.uid)}
        if not logs:
            return pod
        containers = [replace(c, log=logs.get(log_key(pod.uid, c.name, c.restart), c.log)) for c in pod.containers]
        return replace(pod, containers=tuple(containers))

    def _with_stored(self, run: HookRun, found: Sequence[Gap]) -> tuple[Gap, ...]:
        """A gap of an earlier life stays, unless its log was read whole, or its Pods were seen, after all."""
        mended = {f"{p.name}/{c.name}" for p in run.pods for c in p.containers if c.log and c.log.complete}
        if self.pods_made:
            mended.add(PODS)
        known = {_identity(gap) for gap in found}
        kept = [g for g in self._stored_gaps if g.source not in mended and _identity(g) not in known]
        return (*kept, *found)

    def newly_final(self) -> list[Gap]:
        """Gaps that nothing will fill any more and that were not told before."""
        published = self.published.gaps if self.published is not None else ()
        final = [*(self.run.gaps if self.closed else ()), *(gap for gap in published if _final(gap))]
        new = {_identity(gap): gap for gap in final if _identity(gap) not in self._told_gaps}
        self._told_gaps.update(new)
        return list(new.values())

    @property
    def finished(self) -> bool:
        run = self.run
        return run.gone_at is not None or run.condition("Failed", "Complete") is not None

    @property
    def reading(self) -> bool:
        """The log of a container that ended is still being read."""
        return any(key not in self.over and follow.subject.over for key, follow in self.follows.items())

    @property
    def settled(self) -> bool:
        """Nothing more is to come: the Job has ended, its Pods too, and every log's reading is over."""
        if not self.finished or any(key not in self.over for key in self.follows):
            return False
        return all(pod.gone_at is not None or pod.pod_phase in _TERMINAL for pod in self.run.pods)

    @property
    def unread(self) -> bool:
        """A container that ran has a log that may still be read, or a Pod was counted that may still be seen."""
        if any(gap.source == PODS for gap in self._stored_gaps):
            return True
        return any(self._to_be_read(p, c) for p in self.run.pods if p.gone_at is None for c in p.containers)

    def close(self, operations: Sequence[OperationRecord]) -> None:
        """Free the logs' memory. What was read is in the value and in the store."""
        self.run = self.value(operations)
        self._stored_gaps = self.run.gaps
        self.closed = True


def _identity(gap: Gap) -> tuple[str, GapReason]:
    return gap.source, gap.reason


def _final(gap: Gap) -> bool:
    """The Job's count of Pods may come before the Pods themselves: watches keep no order among one another."""
    return gap.source != PODS


def without_counters(run: HookRun) -> HookRun:
    """For the question whether anything changed that somebody should look at: a log that grows is not."""

    def still(log: LogSummary | None) -> LogSummary | None:
        return log if log is None or log.complete else LogSummary(log.key)

    pods = tuple(
        replace(pod, containers=tuple(replace(c, log=still(c.log)) for c in pod.containers)) for pod in run.pods
    )
    return replace(run, pods=pods)
