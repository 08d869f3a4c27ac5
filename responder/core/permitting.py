"""Guards of every act: who allows it at all, and is the world in a state in which we may touch it?"""

from responder.core.actions import Mode, Reason, Switch
from responder.core.candidate import Candidate, word
from responder.core.limiting import SPENT
from responder.core.rules import glob

MODE_ANNOTATION = "hook-responder.io/mode"
KEPT_OUT = ("off", "shadow")  # what it may say


def killswitch(c: Candidate) -> Reason:
    """I4 and I12."""
    if c.situation.restored:
        return Reason(
            "killswitch", "the store was restored from a backup: a named person has to release the kill switch"
        )
    state = c.situation.switch
    return word(
        "killswitch", state is Switch.RELEASED, "the kill switch is released", f"the kill switch is {state.value}"
    )


def permission(c: Candidate) -> Reason:
    allowed = c.kind.value in c.situation.permitted
    return word("rbac", allowed, "RBAC allows it", "read-only: RBAC does not allow it (the actuator role is not bound)")


def mode(c: Candidate) -> Reason:
    ours = c.situation.policy.mode
    if ours is Mode.SHADOW:
        return Reason("mode", f"actions.mode is {ours.value}")
    if c.rule.mode_of(c.kind) is Mode.SHADOW:  # also of what was approved before the file was changed
        return Reason("mode", f"rule {c.rule.name!r} is in shadow mode")
    demotion = c.situation.demotions.get(c.rule.name)
    if demotion is not None and demotion.holds(c.rule):
        return Reason("mode", str(demotion))
    app = c.situation.app
    for source, said in (
        ("Application", app.annotation(MODE_ANNOTATION) if app else None),
        ("AppProject", c.situation.project_mode),
    ):
        if said in KEPT_OUT:
            return Reason("mode", f"the {source} says {MODE_ANNOTATION}: {said}")
    return Reason("mode", "live", passed=True)


def own_mode(c: Candidate) -> Reason:
    """Of what is ours, alerts and blocks: only the rule itself can hold it back."""
    shadow = c.rule.mode_of(c.kind) is Mode.SHADOW
    return word("mode", not shadow, "ours: done in every mode", f"rule {c.rule.name!r} is in shadow mode")


def approval(c: Candidate) -> Reason:
    if c.person:
        return Reason("approval", f"ordered by {c.person}", passed=True)
    if c.situation.policy.mode is Mode.APPROVE:
        return Reason("approval", "actions.mode asks for a person's approval")
    needed = c.rule.mode_of(c.kind) is Mode.APPROVE
    return word(
        "approval", not needed, "no approval is asked for", f"rule {c.rule.name!r} asks for a person's approval"
    )


def fresh(c: Candidate) -> Reason:
    fresh = c.situation.freshness
    return word(
        "freshness", fresh.synced and not fresh.trouble, "the watches are current", fresh.trouble or "not synced"
    )


def present(c: Candidate) -> Reason:
    app = c.situation.app
    if app is None:
        return Reason("application", "the Application is gone")
    if app.deleting:
        return Reason("application", "the Application is being deleted")
    if app.annotation("argocd.argoproj.io/skip-reconcile") == "true":
        return Reason("application", "the Application is set to skip-reconcile")
    if any(glob(own, str(app.key)) for own in c.situation.policy.own_applications):
        return Reason("application", "it is our own Application, or an ancestor of it")
    return Reason("application", "the Application is there", passed=True)


def owned_elsewhere(c: Candidate) -> Reason:
    app = c.situation.app
    if app is not None and app.annotation("kargo.akuity.io/authorized-stage"):
        return Reason("owner", "Kargo syncs this Application")
    if (
        app is not None
        and "ApplicationSet" in app.owner_kinds
        and c.record.request.username == "applicationset-controller"
    ):
        return Reason("owner", "an ApplicationSet's rolling sync runs this Application")
    return Reason("owner", "nobody else runs its syncs", passed=True)


def not_twice(c: Candidate) -> Reason:
    """I1: never two operations of ours for one failed operation; one act at a time."""
    for action in c.situation.actions:
        if action.operation == c.record.started_at and action.kind is c.kind and action.outcome.result not in SPENT:
            return Reason("once", f"{c.kind.value} was already done for this operation ({action.outcome.result.value})")
        if action.under_way:
            return Reason("once", f"our {action.kind.value} is still under way")
    return Reason("once", "not done before for this operation", passed=True)
