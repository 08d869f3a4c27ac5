"""One action that somebody wants, as the guards are shown it."""

from collections.abc import Callable, Mapping

from responder.core.actions import ActionKind, Reason
from responder.core.argocd import OperationRecord
from responder.core.attempts import OperationView
from responder.core.failure import Diagnosis
from responder.core.hooks import HookRun
from responder.core.incident import Incident
from responder.core.rules import Rule
from responder.core.situation import Situation
from responder.core.waves import Cause, Wave, wave


class Candidate:
    """One action that one rule (or one person) wants, for the newest operation of the incident."""

    __slots__ = ("delay", "diagnosis", "incident", "kind", "person", "revisions", "rule", "situation", "view")

    def __init__(
        self,
        situation: Situation,
        view: OperationView,
        diagnosis: Diagnosis,
        kind: ActionKind,
        rule: Rule,
        *,
        incident: Incident,
        delay: float = 0.0,
        person: str = "",
    ) -> None:
        self.situation = situation
        self.view = view
        self.diagnosis = diagnosis
        self.kind = kind
        self.rule = rule
        self.incident = incident
        self.delay = delay
        self.person = person
        self.revisions = view.record.revisions or view.record.request.revisions

    @property
    def record(self) -> OperationRecord:
        return self.view.record

    @property
    def runs(self) -> tuple[HookRun, ...]:
        return tuple(h.run for a in self.view.attempts for h in a.hooks if h.run is not None)

    @property
    def cause(self) -> Cause:
        return self.situation.cause.now(self.incident)

    @property
    def wave(self) -> Wave:
        policy = self.situation.policy
        return wave(self.cause, cap=policy.per_cause, breaks_after=policy.breaks_after, cooldown=self.rule.cooldown)


def word(guard: str, passed: bool, yes: str, no: str) -> Reason:
    return Reason(guard, yes if passed else no, passed)


Guard = Callable[[Candidate], Reason]
Guards = Mapping[ActionKind, tuple[Guard, ...]]
