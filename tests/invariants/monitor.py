"""What really happened in the cluster, and which invariant it broke. Nothing here asks our own code for its opinion."""

import sqlite3
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import Enum

import msgspec

from responder.core.actions import ActionKind, ActionRecord, OutcomeResult
from responder.core.alert import DeliveryState
from responder.core.failure import StateLeft
from responder.core.incident import Incident, IncidentState
from responder.demo import printed
from responder.demo.kubelet import Run, Script
from responder.demo.resources import Json
from responder.demo.shelf import Change
from responder.demo.world import ARGOCD, World
from responder.ports import IncidentQuery
from responder.store import reads
from tests.invariants.transport import Wrote

BUDGET = 2
PER_DAY = 6
EXPIRES = timedelta(minutes=15)
PERSON = "alice"
_ACTION = "hook-responder.io/action"
_SECOND = timedelta(seconds=1)
_LEFT = (StateLeft.PARTIAL, StateLeft.DIRTY, StateLeft.LOCKED, StateLeft.UNKNOWN)


def _fails(text: str) -> Run:
    lines = tuple((0.1, line) for line in text.split("\n"))
    return Run({"migrate": Script(lines=lines, exit_code=1)})


def _without_frames(text: str) -> str:
    """As a tool prints it that is told to be brief: thousands of nights are diagnosed here."""
    return "\n".join(line for line in text.split("\n") if not line.startswith(('  File "', "    ")))


class Kind(Enum):
    """What a hook's run does, and what is true of running it again."""

    WORKS = Run({"migrate": Script(lines=((0.1, "Running migrations:"), (0.5, "  No migrations to apply.")))})
    LOCKED_OUT = _fails(_without_frames(printed.django_lock_timeout("shop", "shop.0007_total")))
    DATABASE_AWAY = _fails(printed.flyway_refused("db.data.svc", "shop", "shop"))
    HALF_APPLIED = _fails(printed.laravel_half_applied("2026_11_20_091200_lines_and_key", "orders", "code", "x"))
    BROKEN = _fails(printed.flyway_missing_column("db", "shop", 8, "index"))
    SILENT = Run({"migrate": Script(lines=((0.1, "starting"),), exit_code=1)})
    RUNS_ON = Run({"migrate": Script(lines=((0.1, "Running migrations:"),), forever=True)})
    CANNOT_START = Run({"migrate": Script(waiting=("CreateContainerConfigError", 'secret "db" not found'))})

    @property
    def safe(self) -> bool:
        return self in (Kind.LOCKED_OUT, Kind.DATABASE_AWAY)

    @property
    def harmful(self) -> bool:
        return self is Kind.HALF_APPLIED


class Ran(msgspec.Struct, frozen=True):
    kind: Kind
    at: datetime
    operation: str  # startedAt of the operation in which it ran


class Monitor:
    """``broken``: (invariant, what happened). ``database``: of the responders, read past their backs."""

    def __init__(self, world: World, database: sqlite3.Connection) -> None:
        self.broken: list[tuple[str, str]] = []
        self.ran: list[Ran] = []
        self.wrote: list[Wrote] = []
        self.runs: list[datetime] = []  # of the migration, Argo CD's own too
        self.successes: list[tuple[str, datetime]] = []  # of a hook's Job, by its name
        self.full_syncs: list[datetime] = []
        self.resyncs: Counter[tuple[str, str]] = Counter()  # (uid, startedAt of the failed operation)
        self.by_revision: Counter[str] = Counter()
        self._made_in: dict[str, str] = {}  # Job uid -> startedAt of the operation that made it
        self._ours: dict[str, str] = {}  # startedAt of an operation that we ended -> by whom
        self._stops_seen = 0
        self._world = world
        self._db = database
        world.objects.subscribe(self._changed)

    def started(self, kind: Kind) -> None:
        state = self._world.state("shop")
        self.ran.append(Ran(kind, self._now(), state.get("startedAt", "")))

    def holds(self, invariant: str, true: bool, what: str) -> None:
        if not true:
            self.broken.append((invariant, what))

    # What happens

    def _now(self) -> datetime:
        return self._world.objects.clock.now()

    def _changed(self, change: Change) -> None:
        self._check_stops()  # now, while it is plain who did it
        if change.kind == "Job" and change.type == "ADDED":
            if change.object["metadata"]["name"] == "db-migrate":
                self.runs.append(self._now())
            self._made_in[change.object["metadata"]["uid"]] = self._world.state("shop").get("startedAt", "")
        if change.kind == "Job" and change.type == "MODIFIED" and change.old is not None:
            ended, before = (_conditions(item) for item in (change.object, change.old))
            if "Complete" in ended and "Complete" not in before:
                self.successes.append((change.object["metadata"]["name"], self._now()))
        if change.kind == "Application" and change.type == "MODIFIED":
            state = change.object["status"].get("operationState") if "status" in change.object else None
            if state and state["phase"] == "Succeeded" and not state["operation"].get("sync", {}).get("resources"):
                self.full_syncs.append(self._now())

    def write(self, written: Wrote) -> None:
        """Called for each write of ours that the API server took."""
        self.wrote.append(written)
        switch = self._world.objects.find("ConfigMap", "hook-responder", "responder-killswitch")
        released = switch is not None and (switch.get("data") or {}).get("engaged") == "false"
        self.holds("I4", released, f"{written.verb} {written.path} while the kill switch was not released")
        held = reads.settings(self._db).get("restored") == "true"
        self.holds("I12", not held, f"{written.verb} {written.path} on a store that was restored and not released")
        patch = written.body
        if written.verb == "DELETE" or "annotations" in patch.get("metadata", {}):
            self._recorded(ActionKind.DELETE_HOOK if written.verb == "DELETE" else ActionKind.ANNOTATE)
        elif "operation" in patch:
            if patch["operation"] and "sync" in patch["operation"]:
                self._resync(written)
        else:
            self._ending(written)

    def _resync(self, written: Wrote) -> None:
        before = written.before["status"]["operationState"]
        action_id = next(i["value"] for i in written.body["operation"]["info"] if i["name"] == _ACTION)
        action = self._recorded(ActionKind.RESYNC, action_id)
        key = (written.before["metadata"]["uid"], before["startedAt"])
        self.resyncs[key] += 1
        self.holds("I1", self.resyncs[key] == 1, f"{self.resyncs[key]} operations of ours for {before['startedAt']}")
        self.holds("I1", before["phase"] in ("Failed", "Error"), f"an operation over one that is {before['phase']}")
        self.holds("I1", "operation" not in written.before, "an operation over another that was asked for")
        revision = written.body["operation"]["sync"]["revision"]
        self.by_revision[revision] += 1
        self.holds("I3", self.by_revision[revision] <= BUDGET, f"{self.by_revision[revision]} resyncs of {revision}")
        today = [at for at in self.runs if self._now() - at < timedelta(days=1)]
        self.holds("I3", len(today) <= PER_DAY, f"{len(today)} runs in a day, and another resync")
        if action is not None:
            self._harmless(action, before["startedAt"])
            self._in_time(action)

    def _harmless(self, action: ActionRecord, operation: str) -> None:
        incident = reads.incident(self._db, action.incident_id)
        operations = {f"{at:%Y-%m-%dT%H:%M:%SZ}" for at in incident.operations} if incident else set()
        runs = [ran.kind for ran in self.ran if ran.operation in operations | {operation}]
        failed = [kind for kind in runs if kind is not Kind.WORKS]
        if action.by.startswith("rule "):
            bad = [kind.name for kind in failed if not kind.safe]
            self.holds("I2", bool(failed) and not bad, f"a resync by {action.by} after {bad or 'no run at all'}")
        else:
            bad = [kind.name for kind in failed if kind.harmful]
            self.holds("I2", not bad, f"a resync by {action.by} after {bad}")

    def _ending(self, written: Wrote) -> None:
        before = written.before["status"]["operationState"]
        waits = "finishedAt" in before
        action = self._recorded(ActionKind.STOP_RETRIES if waits else ActionKind.TERMINATE)
        if action is not None:
            self._in_time(action)
            self._ours[before["startedAt"]] = action.by

    def _recorded(self, kind: ActionKind, action_id: str = "") -> ActionRecord | None:
        """I6: what is done stands in the store, as begun, when it is done."""
        actions = reads.actions(self._db, "", None, open_only=False)
        found = [
            a for a in actions if a.kind is kind and a.outcome.result is OutcomeResult.BEGUN and action_id in ("", a.id)
        ]
        self.holds("I6", bool(found), f"{kind} without a record of it")
        return found[-1] if found else None

    def _in_time(self, action: ActionRecord) -> None:
        incident = reads.incident(self._db, action.incident_id)
        decision = next((d for d in incident.decisions if d.id == action.decision_id), None) if incident else None
        since = decision.allowed_since if decision is not None else None
        late = since is not None and self._now() - since > EXPIRES
        self.holds("I7", not late, f"{action.kind} at {self._now()}, allowed since {since}")

    # What stands afterwards

    def check(self) -> None:
        self._check_blocks()
        self._check_deliveries()
        for incident in self._incidents():
            self._check_end(incident)

    def _check_stops(self) -> None:
        """I5: a container that was killed, and who did it."""
        stopped = self._world.jobs.kubelet.stopped
        for one in stopped[self._stops_seen :]:
            operation, state = self._made_in[one.job_uid], self._world.state("shop")
            by = self._ours.get(operation, "")
            info = (state.get("operation") or {}).get("info") or ()
            replaced = state.get("startedAt") != operation and any(i["name"] == _ACTION for i in info)
            ours = by.startswith("rule ") or (replaced and not by)
            self.holds("I5", not ours, f"container {one.container} of {one.pod} was killed by {by or 'our resync'}")
        self._stops_seen = len(stopped)

    def _check_blocks(self) -> None:
        for block in reads.blocks(self._db, 1000, ended=True):
            if block.state_left not in _LEFT:
                continue
            self.holds("I9", block.expires_at is None, f"a block of {block.state_left} ends at {block.expires_at}")
            proven = block.proven_at is not None and block.state_left is StateLeft.UNKNOWN
            by_time = block.ended_at is not None and block.ended_by != PERSON and not proven
            self.holds("I9", not by_time, f"a block of {block.state_left} was ended by {block.ended_by or 'nobody'}")

    def _check_deliveries(self) -> None:
        """I12: of the time before a restore nothing waits to be sent."""
        if (restored_at := reads.settings(self._db).get("restored_at")) is None:
            return
        old = [
            d for d in reads.deliveries(self._db, None, "", 1000) if d.created_at < datetime.fromisoformat(restored_at)
        ]
        pending = [d.id for d in old if d.state is DeliveryState.PENDING]
        self.holds("I12", not pending, f"{pending} of before the restore are still to be sent")

    def _check_end(self, incident: Incident) -> None:
        """I10, against the Jobs that really ended well."""
        if incident.state is IncidentState.SUPERSEDED:
            app = self._world.objects.find("Application", ARGOCD, "shop")
            there = app is not None and app["metadata"]["uid"] == incident.app_uid
            self.holds("I10", not there, f"{incident.id} is superseded and its Application is there")
        if incident.state is not IncidentState.RESOLVED or incident.resolved_by.startswith(PERSON):
            return
        good = [
            any(name == f.hook.name and at >= f.failed_at - _SECOND for name, at in self.successes)
            for f in incident.failing
        ] or [any(at >= incident.opened_at - _SECOND for at in self.full_syncs)]
        self.holds(
            "I10", all(good), f"{incident.id} is resolved ({incident.resolved_by}) and not every hook ended well"
        )

    def _incidents(self) -> Sequence[Incident]:
        return reads.incidents(self._db, IncidentQuery(limit=50)).incidents


def _conditions(job: Json) -> set[str]:
    return {c["type"] for c in (job.get("status") or {}).get("conditions") or ()}
