"""What operators see at any time: gauges set from the whole picture, and hooks counted as they end."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from responder.core.actions import Switch
from responder.core.clusterfacts import stuck_reason
from responder.core.failure import Category
from responder.core.hooks import HookRun
from responder.core.incident import IncidentState
from responder.loading import Loader
from responder.metrics import Metrics, show
from responder.ports import Actuator, Clock, Cluster, Store, StoreError

_EVERY_SECONDS = 5.0
_LAG_SECONDS = 0.25
_REMEMBERED = 10_000  # hooks that were counted


class Watch(Protocol):
    @property
    def resource(self) -> str: ...

    @property
    def last_event_at(self) -> datetime | None: ...


class HookCounter:
    """Counts each hook once, when it has ended. A gate hook is a question, no attempt."""

    def __init__(self, metrics: Metrics, *, since: datetime) -> None:
        """``since`` is our start: what ended before was counted then, and must not show as a burst after a restart."""
        self._metrics = metrics
        self._since = since
        self._counted: OrderedDict[str, None] = OrderedDict()

    def see(self, run: HookRun) -> None:
        result, ended_at = _result(run), _ended_at(run)
        if result is None or run.gate or run.uid in self._counted or (ended_at and ended_at < self._since):
            return
        self._counted[run.uid] = None
        while len(self._counted) > _REMEMBERED:
            self._counted.popitem(last=False)
        self._metrics.hook_attempts_total(next(iter(run.hook_types), ""), result).inc()
        if ended_at is not None:
            self._metrics.hook_duration_seconds(result).observe(max(0.0, (ended_at - run.created_at).total_seconds()))


def _ended_at(run: HookRun) -> datetime | None:
    condition = run.completed or run.failed
    return condition.at if condition is not None else run.gone_at


def _result(run: HookRun) -> str | None:
    if run.completed is not None:
        return "succeeded"
    if run.failed is not None:
        return "failed"
    if run.gone_at is not None:
        return "terminated" if run.deleting_at is not None else "vanished"
    return None


class Gauges:
    def __init__(
        self,
        *,
        metrics: Metrics,
        cluster: Cluster,
        loader: Loader,
        store: Store,
        actuator: Actuator,
        clock: Clock,
        watches: Callable[[], Sequence[Watch]],
    ) -> None:
        self._metrics = metrics
        self._cluster = cluster
        self._loader = loader
        self._store = store
        self._actuator = actuator
        self._clock = clock
        self._watches = watches
        self._began = clock.now()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._measure_lag())
            tasks.create_task(self._show_all())

    async def _measure_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begun = loop.time()
            await asyncio.sleep(_LAG_SECONDS)
            self._metrics.loop_lag_seconds.observe(max(0.0, loop.time() - begun - _LAG_SECONDS))

    async def _show_all(self) -> None:
        while True:
            self.show()
            await self._show_store()
            switch = await self._actuator.killswitch()
            self._metrics.killswitch_engaged.set(0 if switch is Switch.RELEASED else 1)
            await self._clock.sleep(_EVERY_SECONDS)

    def show(self) -> None:
        """What memory tells."""
        firing = [i for i in self._loader.open.values() if i.state is IncidentState.FIRING and not i.children]
        category = Counter((i.diagnosis.category if i.diagnosis else Category.UNKNOWN).value for i in firing)
        show(self._metrics.incidents_firing, category)
        runs = [r for a in self._cluster.applications() for r in self._cluster.hook_runs(a.key) if _result(r) is None]
        self._metrics.hooks_running.set(len(runs))
        show(self._metrics.hooks_stuck, Counter(reason for r in runs if (reason := stuck_reason(r))))
        show(self._metrics.blocks, Counter(b.environment for b in self._loader.blocks.values()))
        show(
            self._metrics.rules_demoted, {name: 1.0 for name, d in self._loader.demotions.items() if not d.released_at}
        )
        for resource, at in self._last_events().items():
            self._metrics.watch_last_event_timestamp_seconds(resource).set(at.timestamp())

    def _last_events(self) -> dict[str, datetime]:
        """By resource that of the watch which has heard nothing for longest: there is one a namespace and cluster.

        One that never heard anything shows our start: an alert on silence must see it, too.
        """
        oldest: dict[str, datetime] = {}
        for watch in self._watches():
            at = watch.last_event_at or self._began
            oldest[watch.resource] = min(at, oldest.get(watch.resource, at))
        return oldest

    async def _show_store(self) -> None:
        try:
            self._metrics.store_bytes.set(await self._store.size())
            self._metrics.actions_pending.set(len(await self._store.actions(open_only=True)))
            self._metrics.store_available.set(1)
        except StoreError:
            self._metrics.store_available.set(0)
