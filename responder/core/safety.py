"""What was left behind and whether it may run again: the worst of everything that was seen, whatever the cause."""

from collections.abc import Sequence

import msgspec

from responder.core.failure import Because, Diagnosis, Retry, StateLeft

MAX_BECAUSE = 20
_WORST_STATE = (StateLeft.NONE, StateLeft.UNKNOWN, StateLeft.LOCKED, StateLeft.PARTIAL, StateLeft.DIRTY)
_WORST_RETRY = (Retry.SAFE, Retry.FUTILE, Retry.UNKNOWN, Retry.UNSAFE)


def less_dangerous(one: Retry, other: Retry) -> bool:
    return _WORST_RETRY.index(one) < _WORST_RETRY.index(other)


def leaves_more(one: StateLeft, other: StateLeft) -> bool:
    return _WORST_STATE.index(one) > _WORST_STATE.index(other)


def worst(cause: Diagnosis, everything: Sequence[Diagnosis]) -> Diagnosis:
    """``cause`` with the most dangerous state and retry of all, each with the reason of where it comes from."""
    state = max(everything, key=lambda d: _WORST_STATE.index(d.state_left), default=cause)
    retry = max(everything, key=lambda d: _WORST_RETRY.index(d.retry), default=cause)
    known = [d for d in (cause, *everything) if d.tool]
    return msgspec.structs.replace(
        cause,
        state_left=state.state_left,
        state_reason=state.state_reason,
        retry=retry.retry,
        retry_reason=retry.retry_reason,
        tool=cause.tool or next((d.tool for d in known), None),
        database=cause.database or next((d.database for d in everything if d.database), None),
        migration=cause.migration or next((d.migration for d in everything if d.migration), None),
        because=_because(cause, state, retry),
    )


def _because(*diagnoses: Diagnosis) -> tuple[Because, ...]:
    return tuple(dict.fromkeys(b for d in diagnoses for b in d.because))[:MAX_BECAUSE]
