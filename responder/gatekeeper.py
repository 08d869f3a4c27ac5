"""May this revision go on? The gate's answers, from memory: which Applications are meant, and how their syncs ended."""

import asyncio
import operator
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from weakref import WeakValueDictionary

import msgspec

from responder.core.argocd import AppKey, Application, OperationRecord
from responder.core.attempts import OperationView
from responder.core.gate import Candidate, Place, answer, blocks_on, images_at, pending, subject_of, syncing
from responder.core.hooks import HookRun
from responder.core.promotion import Block, GateAnswer, GateResult
from responder.core.situation import Policy
from responder.loading import Loader, Rules
from responder.ports import Clock, Cluster

_REFRESH = 0.25  # seconds: a watch may be that late anyway
_AT_A_TIME = 500  # new Applications looked at before others get their turn
_VIEWS = 2048  # Applications whose joined operations are kept
_VIEWS_LAST = 60.0  # seconds, also when nothing was seen to change: AppProjects may have

_Place = tuple[str, str]  # service, environment


class Subjects:
    """Applications by service and environment. Only those that changed are looked at again."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster = cluster
        self._clock = clock
        self._policy: Policy | None = None
        self._apps: Sequence[Application] = ()  # as looked at last; held, so that their ids stay theirs
        self._places: dict[int, _Place] = {}  # by id
        self._index: dict[_Place, tuple[AppKey, ...]] = {}
        self._look_at = float("-inf")
        self._one = asyncio.Lock()

    async def at(self, service: str, environment: str, policy: Policy) -> Sequence[AppKey]:
        if policy is not self._policy or (self._clock.monotonic() >= self._look_at and not self._one.locked()):
            async with self._one:  # whoever comes meanwhile is served from the picture before
                await self._look(policy)
        return self._index.get((service, environment), ())

    async def _look(self, policy: Policy) -> None:
        apps = self._cluster.applications()
        same_policy = policy is self._policy
        if not (same_policy and _same(self._apps, apps)):
            places = await self._placed(apps, policy, self._places if same_policy else {})
            self._index = _indexed(apps, places)
            self._apps, self._places, self._policy = apps, places, policy
        self._look_at = self._clock.monotonic() + _REFRESH

    async def _placed(
        self, apps: Sequence[Application], policy: Policy, known: Mapping[int, _Place]
    ) -> dict[int, _Place]:
        places: dict[int, _Place] = {}
        new = 0
        for app in apps:
            place = known.get(id(app))
            if place is None:
                place, new = _place(app, policy), new + 1
                if new % _AT_A_TIME == 0:
                    await asyncio.sleep(0)
            places[id(app)] = place
        return places


def _place(app: Application, policy: Policy) -> _Place:
    subject = subject_of(app, policy)
    return subject.service, subject.environment


def _indexed(apps: Sequence[Application], places: Mapping[int, _Place]) -> dict[_Place, tuple[AppKey, ...]]:
    index: dict[_Place, list[AppKey]] = {}
    for app in apps:
        index.setdefault(places[id(app)], []).append(app.key)
    return {place: tuple(keys) for place, keys in index.items()}


class _Joined(msgspec.Struct, frozen=True):
    """Views of one Application, and what they were made from."""

    app: Application
    operations: tuple[OperationRecord, ...]
    runs: tuple[HookRun, ...]
    rules: Rules
    until: float
    views: tuple[OperationView, ...]

    def holds(self, app: Application, operations: Sequence[object], runs: Sequence[object], rules: Rules) -> bool:
        """By identity: what a watch replaces is another object."""
        return self.app is app and self.rules is rules and _same(self.operations, operations) and _same(self.runs, runs)


def _same(before: Sequence[object], now: Sequence[object]) -> bool:
    """The very same objects."""
    return len(before) == len(now) and all(map(operator.is_, before, now))


class Gatekeeper:
    def __init__(self, cluster: Cluster, loader: Loader, clock: Clock, rules: Callable[[], Rules]) -> None:
        self._cluster = cluster
        self._loader = loader
        self._clock = clock
        self._rules = rules
        self._subjects = Subjects(cluster, clock)
        self._joined: OrderedDict[AppKey, _Joined] = OrderedDict()
        self._joining: WeakValueDictionary[AppKey, asyncio.Lock] = WeakValueDictionary()

    async def subject(
        self, service: str, environment: str, revision: str, *, images: Sequence[str] = (), for_sync: bool = False
    ) -> GateAnswer:
        apps = await self._subjects.at(service, environment, self._rules().policy)
        place = Place(service, environment, revision, frozenset(images))
        return await self._answer(list(self._known(apps)), place, for_sync=for_sync)

    async def application(
        self, key: AppKey, revision: str, *, images: Sequence[str] = (), for_sync: bool = False
    ) -> GateAnswer:
        app = self._cluster.application(key)
        if app is None:
            return pending(f"Application {key} is not known", self._cluster.freshness())
        place = Place(*_place(app, self._rules().policy), revision, frozenset(images))
        return await self._answer([app], place, for_sync=for_sync)

    async def _answer(self, apps: Sequence[Application], place: Place, *, for_sync: bool) -> GateAnswer:
        fresh = self._cluster.freshness()
        if for_sync and not place.revision:
            place = msgspec.structs.replace(place, revision=syncing(apps))
        blocks = [b for b in self._loader.blocks.values() if b.service == place.service]
        if blocks and (held := await self._held(blocks, apps, place)):
            return answer((), held, place.revision, fresh, asked=place.service)
        if not place.revision:
            return pending("no revision was named, and no single running sync tells it", fresh)
        if for_sync and apps:
            return await self._before(place)
        candidates = [await self._candidate(app) for app in apps]
        return answer(candidates, (), place.revision, fresh, asked=f"{place.service} in {place.environment}")

    async def _held(self, blocks: Sequence[Block], apps: Sequence[Application], place: Place) -> list[Block]:
        """By what was named; then by the images of hooks that ran at that revision, as far as we saw them."""
        now, order = self._clock.now(), self._rules().policy.environments
        if held := blocks_on(blocks, place, now, order):
            return held
        seen = images_at([await self._candidate(app) for app in apps], place.revision)
        return blocks_on(blocks, msgspec.structs.replace(place, images=place.images | seen), now, order)

    async def _before(self, place: Place) -> GateAnswer:
        """``for=sync``: the environments before this one must have it; in its own only blocks count."""
        order, fresh = self._rules().policy.environments, self._cluster.freshness()
        if not fresh.synced or fresh.trouble:
            return answer((), (), place.revision, fresh, asked=place.service)
        if order and place.environment not in order:
            why = f"{place.environment} is not in promotion.environments: what comes before it is not known"
            return pending(why, fresh)
        for earlier in order[: order.index(place.environment)] if order else ():
            found = await self.subject(place.service, earlier, place.revision, images=tuple(place.images))
            if found.result is not GateResult.SUCCESS:
                return found
        return GateAnswer(GateResult.SUCCESS, f"nothing holds {place.service} back", observed_at=fresh.observed_at)

    def _known(self, keys: Sequence[AppKey]) -> Iterator[Application]:
        for key in keys:
            app = self._cluster.application(key)
            if app is not None:
                yield app

    async def _candidate(self, app: Application) -> Candidate:
        """Joined anew only when something was seen to change: everything stored was seen in the cluster before."""
        rules = self._rules()
        if (views := self._kept(app, rules)) is None:
            views = await self._views(app, rules)
        return Candidate(app, views, self._loader.open.get(app.uid))

    async def _views(self, app: Application, rules: Rules) -> tuple[OperationView, ...]:
        async with self._joining.setdefault(app.key, asyncio.Lock()):  # many who ask the same read the store once
            if (views := self._kept(app, rules)) is not None:
                return views
            return await self._join(app, rules)

    def _kept(self, app: Application, rules: Rules) -> tuple[OperationView, ...] | None:
        joined = self._joined.get(app.key)
        if joined is None or self._clock.monotonic() >= joined.until:
            return None
        operations, runs = self._cluster.operations(app.key), self._cluster.hook_runs(app.key)
        return joined.views if joined.holds(app, operations, runs, rules) else None

    async def _join(self, app: Application, rules: Rules) -> tuple[OperationView, ...]:
        key, until = app.key, self._clock.monotonic() + _VIEWS_LAST
        operations, runs = tuple(self._cluster.operations(key)), tuple(self._cluster.hook_runs(key))
        views = await self._loader.views(key, app.uid, app, rules)
        self._joined[key] = _Joined(app, operations, runs, rules, until, views)
        if len(self._joined) > _VIEWS:
            self._joined.popitem(last=False)
        return views
