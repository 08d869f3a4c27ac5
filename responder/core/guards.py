"""May this be done now? Every guard speaks, not the first one only: a "no" always has all its reasons.

The invariants I1 to I12 of the design live in these guards and in the actuator's compare-and-swap.
"""

from responder.core import limiting, permitting, repeating, stopping
from responder.core.actions import ActionKind, Verdict, VerdictResult
from responder.core.candidate import Candidate, Guard, Guards


def judge(candidate: Candidate, guards: Guards | None = None) -> Verdict:
    """The verdict with every reason. Approval is asked for only when nothing but the mode stands in the way."""
    reasons = tuple(guard(candidate) for guard in (GUARDS if guards is None else guards)[candidate.kind])
    refused = [r for r in reasons if not r.passed]
    if not refused:
        return Verdict(VerdictResult.ALLOWED, reasons)
    if all(r.guard in ("approval", "running-container") for r in refused):
        return Verdict(VerdictResult.NEEDS_APPROVAL, reasons)
    return Verdict(VerdictResult.DENIED, reasons)


_ACTING: tuple[Guard, ...] = (
    permitting.killswitch,
    permitting.permission,
    permitting.mode,
    permitting.approval,
    permitting.fresh,
    permitting.present,
    permitting.not_twice,
)
GUARDS: Guards = {
    ActionKind.RESYNC: (
        *_ACTING, permitting.owned_elsewhere, repeating.ended, repeating.harmless, repeating.complete,
        repeating.request_kind, repeating.initiator, repeating.auto_sync, repeating.sources, repeating.window,
        repeating.all_ended, repeating.idempotent, repeating.recent, limiting.budget, limiting.ceilings,
        limiting.cooldown, limiting.in_turn, repeating.not_blocked,
    ),
    ActionKind.STOP_RETRIES: (*_ACTING, stopping.waits, stopping.hopeless),
    ActionKind.TERMINATE: (*_ACTING, stopping.operation_runs, stopping.no_running_container),
    ActionKind.DELETE_HOOK: (*_ACTING, repeating.ended, stopping.stands, stopping.emptied, stopping.kept),
    ActionKind.ANNOTATE: _ACTING,
    ActionKind.BLOCK: (permitting.own_mode,),
    ActionKind.ALERT: (permitting.own_mode,),
}  # fmt: skip
