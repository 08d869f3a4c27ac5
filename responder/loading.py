"""Load: what is true now of one Application, from the watches and the store, as one frozen ``Situation``."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

import msgspec

from responder.core.actions import ActionRecord, Switch
from responder.core.argocd import AppKey, Application, OperationRecord
from responder.core.attempts import Admission, AttemptHook, OperationView, join
from responder.core.causes import diagnose_hook
from responder.core.clusterfacts import stuck_reason
from responder.core.demoting import Demotion
from responder.core.evidence import LogChunk
from responder.core.failure import Diagnosis, StateLeft, undiagnosed
from responder.core.held import Incidents, Resyncs
from responder.core.hooks import HookRun
from responder.core.incident import Incident, IncidentState
from responder.core.incidentcause import WHOLE, diagnose_operation
from responder.core.limiting import LOADED
from responder.core.permitting import MODE_ANNOTATION
from responder.core.promotion import Block
from responder.core.repair import unlocked
from responder.core.rules import Rulebook
from responder.core.signatures import Signatures
from responder.core.situation import Policy, Situation
from responder.core.waves import Cause
from responder.ports import Actuator, Clock, Cluster, IncidentQuery, PutSetting, Store

log = logging.getLogger("responder.loading")

K = TypeVar("K")
V = TypeVar("V")

_DEMOTED = "demoted/"
_REMEMBERED = 256  # decoded logs, and as many diagnoses
_BLOCKS = 100_000  # all that hold: one that is not known would let pass
_LOOK_BACK = timedelta(days=1)
_FAULT = undiagnosed(  # ours: the incident is opened and told all the same
    "the responder failed over what was recorded: its own log has the fault",
    "what was recorded could not be judged",
    advice="Read the hook's log yourself, and report the fault that the responder's own log shows.",
)
_OPEN = (IncidentState.FIRING, IncidentState.ACKNOWLEDGED)
_CLOSED = (IncidentState.RESOLVED, IncidentState.SUPERSEDED)


class Rules(msgspec.Struct, frozen=True):
    """What people configured: read at once, replaced at once."""

    rulebook: Rulebook
    policy: Policy
    signatures: Signatures
    control_plane: str  # namespace of Argo CD
    clusters: Mapping[str, str]  # destination server or name -> our name of that cluster


class Loader:
    """Holds the few things that are asked at every step: incidents and blocks, recent resyncs, decoded logs."""

    def __init__(self, store: Store, cluster: Cluster, actuator: Actuator, clock: Clock) -> None:
        self._store = store
        self._cluster = cluster
        self._actuator = actuator
        self._clock = clock
        self.incidents = Incidents()
        self.resyncs = Resyncs()
        self.blocks: dict[str, Block] = {}
        self.acting: dict[str, AppKey] = {}  # acts that are under way, by their id
        self.demotions: dict[str, Demotion] = {}  # by the name of the rule
        self.unsaved: dict[str, datetime] = {}  # since when decisions are allowed that could not be recorded (I7)
        self.began_at = clock.now()
        self.watching_since: datetime | None = None
        self.installed_at = clock.now()
        self.restored = False
        self._logs: OrderedDict[tuple[str, int], LogChunk | None] = OrderedDict()
        self._diagnoses: OrderedDict[tuple[object, ...], Diagnosis] = OrderedDict()

    @property
    def open(self) -> dict[str, Incident]:
        """By Application uid; parents by their id."""
        return self.incidents.open

    async def start(self) -> None:
        """From what is recorded: after ``kill -9``, or when the store knows better, everything goes on from here."""
        asked_at = self._clock.now()
        settings = await self._store.settings()
        incidents = await self._all(IncidentQuery(states=_OPEN, limit=500))
        back: list[Incident] = []
        for parent in [i for i in incidents if i.children]:
            shared = await self._all(IncidentQuery(states=_CLOSED, correlation=parent.correlation, limit=500))
            back += [child for child in shared if child.id in parent.children]
        blocks = await self._store.blocks(limit=_BLOCKS)
        actions = await self._store.actions(since=self._clock.now() - _LOOK_BACK)
        under_way = await self._store.actions(open_only=True)
        # All at once: steps of other Applications run between our awaits.
        if installed := settings.get("installed_at"):
            self.installed_at = datetime.fromisoformat(installed)
        self.restored = settings.get("restored") == "true"
        self.demotions = _demotions(settings)
        self.incidents.replace(incidents, back, asked_at=asked_at)
        self.blocks = {b.id: b for b in blocks}
        self.acting = {}
        for action in (*actions, *under_way):
            self.note(action)

    async def _all(self, query: IncidentQuery) -> list[Incident]:
        found: list[Incident] = []
        while True:
            page = await self._store.incidents(query)
            found += page.incidents
            if not page.next_cursor:
                return found
            query = msgspec.structs.replace(query, cursor=page.next_cursor)

    def note(self, action: ActionRecord) -> None:
        """An act that is under way is followed to its end, whatever became of its incident."""
        self.resyncs.note(action)
        if action.under_way:
            self.acting[action.id] = action.app
        else:
            self.acting.pop(action.id, None)

    def keep(self, incident: Incident) -> None:
        self.incidents.keep(incident)

    def incident_of(self, key: AppKey) -> Incident | None:
        return self.incidents.of(key)

    def sharing(self, correlation: str) -> tuple[list[Incident], Incident | None]:
        """Open incidents with this key, and their parent."""
        return self.incidents.sharing(correlation)

    def related(self, situation: Situation, correlation: str) -> Situation:
        """With what is recorded of everybody at this very moment. Nothing is awaited here: whoever plans on it, and
        reserves what the plan takes before awaiting anything, shares no place with anybody (I3, I11)."""
        return msgspec.structs.replace(
            situation,
            responder_hour=self.resyncs.in_an_hour(situation.now),
            cause=self.cause(correlation),
            parent=self.sharing(correlation)[1],
        )

    def cause(self, correlation: str) -> Cause:
        return self.resyncs.cause(correlation, self.incidents, self._clock.now())

    def quiet(self, key: AppKey) -> bool:
        """Nothing wrong, nothing running, nothing under way: there is no need to ask the store."""
        if self.incident_of(key) is not None or self._cluster.hook_runs(key) or key in self.acting.values():
            return False
        if any(block.app == key for block in self.blocks.values()):
            return False
        app = self._cluster.application(key)
        state = app.operation if app is not None else None
        return state is None or state.operation_phase == "Succeeded"

    async def situation(self, key: AppKey, rules: Rules) -> Situation:
        app, incident, uid = self._known(key)
        views = await self.views(key, uid, app, rules)
        diagnoses = await self.diagnoses(views, app, rules.signatures)
        acting = incident is not None or bool(diagnoses) or any(view.failed for view in views)
        return msgspec.structs.replace(
            self._seen(key, rules, views, diagnoses),
            previous=await self._previous(uid),
            switch=await self._actuator.killswitch() if acting else Switch.UNREADABLE,
            permitted=await self._actuator.permissions() if acting else frozenset(),
            actions=tuple(await self._store.actions(app_uid=uid)) if uid else (),
            unlocked=await self._unlocked(key, views, rules.signatures),
        )

    async def from_memory(self, key: AppKey, rules: Rules) -> Situation:
        """Without the store: what the watches hold, and what we remember. Enough to tell people, too little to act.

        What had ended before we began may have been settled long ago, and nobody can be asked.
        """
        app, incident, uid = self._known(key)
        records = tuple(r for r in self._cluster.operations(key) if r.app_uid == uid)
        views = join(records, tuple(self._cluster.hook_runs(key)), self._admission(key, app, rules))
        previous = self.incidents.closed_of(uid)
        if incident is None and previous is None:
            views = tuple(v for v in views if (v.record.finished_at or self.began_at) >= self.began_at)
        diagnoses = await self.diagnoses(views, app, rules.signatures, stored=False)
        return msgspec.structs.replace(self._seen(key, rules, views, diagnoses), previous=previous)

    def _known(self, key: AppKey) -> tuple[Application | None, Incident | None, str]:
        app, incident = self._cluster.application(key), self.incident_of(key)
        return app, incident, app.uid if app is not None else incident.app_uid if incident is not None else ""

    def _seen(
        self,
        key: AppKey,
        rules: Rules,
        views: tuple[OperationView, ...],
        diagnoses: Mapping[tuple[str, int, str], Diagnosis],
    ) -> Situation:
        """What needs nobody to be asked."""
        app, incident, _ = self._known(key)
        _, parent = self.sharing(incident.correlation) if incident is not None else ((), None)
        now = self._clock.now()
        return Situation(
            now=now,
            installed_at=self.installed_at,
            app=app,
            views=views,
            diagnoses=diagnoses,
            incident=incident,
            previous=None,
            rulebook=rules.rulebook,
            policy=rules.policy,
            freshness=self._cluster.freshness(),
            window_open=self._cluster.sync_window_open(app, automated=True, now=now) if app is not None else None,
            open_to_people=app is not None and self._cluster.sync_window_open(app, automated=False, now=now) is True,
            project_mode=self._cluster.project_annotation(app.project, MODE_ANNOTATION) if app is not None else None,
            project_owner=self._project_owner(app, rules.policy),
            responder_hour=self.resyncs.in_an_hour(now),
            blocks=tuple(b for b in self.blocks.values() if b.app == key),
            cause=self.cause(incident.correlation) if incident is not None else Cause(),
            parent=parent,
            demotions=self.demotions,
            restored=self.restored,
            watching_since=self.watching_since,
            allowed_since=self.unsaved,
        )

    def _project_owner(self, app: Application | None, policy: Policy) -> str | None:
        return self._cluster.project_annotation(app.project, policy.routes.annotation) if app is not None else None

    async def _previous(self, uid: str) -> Incident | None:
        if not uid:
            return None
        page = await self._store.incidents(IncidentQuery(states=_CLOSED, app_uid=uid, limit=1))
        return next(iter(page.incidents), None)

    async def views(self, key: AppKey, uid: str, app: Application | None, rules: Rules) -> tuple[OperationView, ...]:
        """Operations and hook runs, what is stored overlaid by what is seen now, joined."""
        stored = await self._store.operations(uid, limit=LOADED) if uid else ()
        records: dict[str, OperationRecord] = {r.id: r for r in stored}
        records |= {r.id: r for r in self._cluster.operations(key) if r.app_uid == uid}
        oldest = min((r.started_at for r in records.values()), default=self._clock.now())
        runs: dict[str, HookRun] = {r.uid: r for r in await self._store.hook_runs(key, since=oldest - _LOOK_BACK)}
        runs |= {r.uid: r for r in self._cluster.hook_runs(key)}
        return join(tuple(records.values()), tuple(runs.values()), self._admission(key, app, rules))

    def _admission(self, key: AppKey, app: Application | None, rules: Rules) -> Admission:
        server = app.destination_server if app is not None else ""
        name = app.destination_name if app is not None else ""
        project = app.project if app is not None else ""
        return Admission(
            app=key,
            control_plane=rules.control_plane,
            cluster=rules.clusters.get(server) or rules.clusters.get(name),
            permits=lambda namespace: self._cluster.project_permits(project, server, name, namespace),
        )

    async def diagnoses(
        self, views: Sequence[OperationView], app: Application | None, signatures: Signatures, *, stored: bool = True
    ) -> Mapping[tuple[str, int, str], Diagnosis]:
        """Of each hook that failed or is stuck; once for each state of its evidence. ``stored`` False: without logs."""
        found: dict[tuple[str, int, str], Diagnosis] = {}
        for view in views:
            for attempt in view.attempts:
                for hook in attempt.hooks:
                    if hook.failed or (hook.run is not None and stuck_reason(hook.run)):
                        key = (view.record.id, attempt.number, str(hook.identity))
                        found[key] = await self._diagnosis(hook, view.record, app, signatures, stored=stored)
            if view.failed and not any(operation == view.record.id for operation, _, _ in found):
                whole = _diagnosed(view.record, partial(diagnose_operation, view.record, signatures))
                found[(view.record.id, *WHOLE)] = whole
        return found

    async def _diagnosis(
        self,
        hook: AttemptHook,
        record: OperationRecord,
        app: Application | None,
        signatures: Signatures,
        *,
        stored: bool,
    ) -> Diagnosis:
        logs = await self._read_logs(hook.run) if stored and hook.run is not None and not hook.stale else {}
        seen = (
            record.id,
            record.message,
            hook,
            tuple((k, len(c.numbers)) for k, c in logs.items() if c),
            signatures,  # itself: the id of one that was replaced may be given again
        )
        if (known := self._diagnoses.get(seen)) is None:
            brings = app.resources if app is not None else ()
            known = _diagnosed(record, partial(diagnose_hook, hook, record, logs.get, signatures, brings))
            _remember(self._diagnoses, seen, known)
        return known

    async def _unlocked(self, key: AppKey, views: Sequence[OperationView], signatures: Signatures) -> frozenset[str]:
        """Looked for only while a lock holds somebody back."""
        locked = [b.created_at for b in self.blocks.values() if b.app == key and b.state_left is StateLeft.LOCKED]
        hooks = [h for view in views for attempt in view.attempts for h in attempt.hooks if locked and h.succeeded]
        runs = [h.run for h in hooks if h.run is not None and h.ended_well_at >= min(locked)]
        return frozenset([run.uid for run in runs if unlocked(run, (await self._read_logs(run)).get, signatures)])

    async def _read_logs(self, run: HookRun) -> dict[str, LogChunk | None]:
        return {
            c.log.key: await self.log(c.log.key, c.log.lines)
            for p in run.pods
            for c in p.containers
            if c.log is not None
        }

    async def log(self, key: str, lines: int) -> LogChunk | None:
        if (key, lines) not in self._logs:
            _remember(self._logs, (key, lines), await self._store.log(key))
        return self._logs[key, lines]


def _diagnosed(record: OperationRecord, diagnose: Callable[[], Diagnosis]) -> Diagnosis:
    try:
        return diagnose()
    except Exception:  # here and not atop the loop: no incident would ever be opened, and nobody told
        log.exception("diagnosis failed", extra={"application": str(record.app)})
        return _FAULT


def put_demotion(demotion: Demotion) -> PutSetting:
    return PutSetting(f"{_DEMOTED}{demotion.rule}", msgspec.json.encode(demotion).decode())


def _demotions(settings: Mapping[str, str]) -> dict[str, Demotion]:
    stored = [text for name, text in settings.items() if name.startswith(_DEMOTED)]
    return {d.rule: d for d in (msgspec.json.decode(text, type=Demotion) for text in stored)}


def _remember(cache: OrderedDict[K, V], key: K, value: V) -> None:
    cache[key] = value
    if len(cache) > _REMEMBERED:
        cache.popitem(last=False)
