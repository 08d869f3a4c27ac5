"""Lint of the hooks of an incident, as their newest Jobs were written: what made it worse, or will the next time."""

from collections.abc import Sequence

import msgspec

from responder.core.attempts import OperationView
from responder.core.clusterfacts import Brings
from responder.core.hooks import HookRun
from responder.core.hookshape import Shape, shape_of_run
from responder.core.lint import Context, Finding, lint
from responder.core.lintrules import RULES


class WeakPoint(msgspec.Struct, frozen=True):
    """One finding; `responder lint` says the same of the manifest."""

    hook: str  # "Job shop/db-migrate"
    rule: str
    severity: str
    what: str
    why: str
    instead: str
    source: str


def weak_points(views: Sequence[OperationView], brings: Brings = ()) -> list[WeakPoint]:
    """``brings``: what the sync applies that is no hook."""
    objects = [Shape(kind, name, whole=False) for kind, name in brings]
    newest: dict[str, tuple[HookRun, int]] = {}
    for view in views:
        for attempt in view.attempts:
            for run in (hook.run for hook in attempt.hooks if hook.run is not None):
                name = f"{run.kind} {run.namespace}/{run.generate_name or run.name}"
                newest[name] = (run, view.record.request.retry_limit)
    return [
        _told(name, finding)
        for name, (run, retries) in newest.items()
        for finding in lint(shape_of_run(run), Context(objects=objects, retry_limit=retries), RULES)
    ]


def _told(hook: str, finding: Finding) -> WeakPoint:
    return WeakPoint(
        hook=hook,
        rule=finding.rule,
        severity=finding.severity.value,
        what=finding.what,
        why=finding.why,
        instead=finding.instead,
        source=finding.source,
    )
