"""Everything the plan looks at, as one frozen value: what is true now, what was decided, what the rules say."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from responder.core.actions import ActionRecord, Mode, Switch
from responder.core.alert import Severity
from responder.core.argocd import Application
from responder.core.attempts import OperationView
from responder.core.demoting import Demotion
from responder.core.evidence import Freshness
from responder.core.failure import Diagnosis
from responder.core.incident import Incident
from responder.core.promotion import Block
from responder.core.rules import Rulebook
from responder.core.waves import Cause


class Routes(msgspec.Struct, frozen=True):
    """Who is told: owner by annotation, else by project, else the default; receivers by owner, else the default."""

    annotation: str = "hook-responder.io/owner"
    projects: Mapping[str, str] = msgspec.field(default_factory=dict)
    receivers: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    default: tuple[str, ...] = ()
    default_owner: str = "platform"

    def of(self, owner: str) -> tuple[str, ...]:
        """Receivers of this owner."""
        return self.receivers.get(owner, self.default)


class Policy(msgspec.Struct, frozen=True):
    """The settings that the plan needs."""

    argocd: str = "argocd"
    mode: Mode = Mode.SHADOW
    per_application_day: int = 12
    per_responder_hour: int = 20
    per_cause: int = 8  # Applications with one cause that try again at a time, at most
    breaks_after: int = 3  # tries for one cause in a row that went wrong: its circuit opens for everybody
    expire_after: timedelta = timedelta(minutes=15)
    historic_after: timedelta = timedelta(minutes=30)
    alert_floor: timedelta = timedelta(minutes=10)
    floor_severity: Severity = Severity.WARNING
    group_wait: timedelta = timedelta(seconds=10)
    stuck_after: timedelta = timedelta(seconds=30)
    running_limit: timedelta = timedelta(minutes=30)
    opt_in_manual: bool = False
    service_label: str = "app.kubernetes.io/part-of"
    environment_label: str = "hook-responder.io/environment"
    environments: tuple[str, ...] = ()
    routes: Routes = Routes()
    url: str = ""  # of ourselves, for links
    argocd_url: str = ""
    own_applications: tuple[str, ...] = ()  # globs of "namespace/name": ours and its ancestors


class Situation(msgspec.Struct, frozen=True):
    now: datetime
    installed_at: datetime
    app: Application | None  # None: gone
    views: tuple[OperationView, ...]  # oldest first
    diagnoses: Mapping[tuple[str, int, str], Diagnosis]  # (operation id, attempt, hook identity)
    incident: Incident | None  # the open one
    previous: Incident | None  # the newest one that is closed
    rulebook: Rulebook
    policy: Policy
    freshness: Freshness
    switch: Switch = Switch.UNREADABLE
    permitted: frozenset[str] = frozenset()  # acts that RBAC allows
    window_open: bool | None = None  # may a sync that is asked for by automation begin now?
    open_to_people: bool = False  # may one that a person asks for?
    project_mode: str | None = None  # hook-responder.io/mode of the AppProject
    project_owner: str | None = None
    actions: tuple[ActionRecord, ...] = ()  # of this Application, oldest first
    responder_hour: int = 0  # resyncs of all Applications in the last hour
    blocks: tuple[Block, ...] = ()  # of Applications of this name, this one or one before it, that have not ended
    unlocked: frozenset[str] = frozenset()  # uids of hook runs that ended well, in which the tool took a lock away
    cause: Cause = Cause()  # what is recorded of the cause that the incident shares with others
    parent: Incident | None = None
    allowed_since: Mapping[str, datetime] = msgspec.field(default_factory=dict)  # of decisions not recorded yet, by id
    demotions: Mapping[str, Demotion] = msgspec.field(default_factory=dict)  # by the name of the rule
    restored: bool = False  # the store came back from a backup (I12)
    watching_since: datetime | None = None  # this life of ours
