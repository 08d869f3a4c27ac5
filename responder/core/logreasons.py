"""Why this cause and no other: every signature that matched, and what became of it."""

from collections.abc import Iterator

import msgspec

from responder.core.findings import Finding, Findings
from responder.core.logcause import Cause, find_cause
from responder.core.signatures import Says

_MOST = 200
_LONGEST = 500
_VOICES = (
    (36, "a migration tool says so itself"),
    (28, "a database or its driver says so"),
    (24, "words that any tool may use"),
    (11, "a runtime says so"),
    (0, "an echo of something else"),
)
_TOLD = {
    Says.TOOL: "tells which tool or database this is",
    Says.STARTED: "a migration was begun",
    Says.FINISHED: "a migration was committed",
    Says.STEP: "a statement was done",
    Says.ROLLED_BACK: "nothing of the migration stays",
    Says.KEPT: "this cannot be rolled back",
    Says.READY: "the database answers: what was complained of before is over",
    Says.DONE: "all went well",
    Says.UNLOCKED: "the tool took away a lock that another run had left",
}


class Matched(msgspec.Struct, frozen=True):
    """One signature on one line, already redacted."""

    line: int
    text: str
    signature: str
    says: str
    category: str | None
    weight: int
    won: bool
    why: str  # it won, or did not
    again: int = 0  # further lines of which it tells the same, not listed


class Explanation(msgspec.Struct, frozen=True):
    why: str
    matched: tuple[Matched, ...]
    more: int = 0  # that are not listed


def explain(log: Findings, exit_code: int | None) -> Explanation:
    cause = find_cause(log, exit_code)
    told: dict[tuple[str, str | None, str], Matched] = {}
    for finding in sorted(log.found, key=lambda f: (f.line.number, -f.signature.weight)):
        found = _matched(finding, cause, exit_code)
        key = (found.signature, found.category, found.why)
        first = told.get(key)
        told[key] = found if first is None else msgspec.structs.replace(first, again=first.again + 1)
    matched = tuple(told.values())
    return Explanation(_why(log, cause, exit_code), matched[:_MOST], max(0, len(matched) - _MOST))


def _why(log: Findings, cause: Cause, exit_code: int | None) -> str:
    winner = cause.finding
    if winner is not None:
        others = len({f.category for f in log.saying(Says.FAILURE)} - {winner.category})
        beside = f"; {others} other {'category was' if others == 1 else 'categories were'} heard" if others else ""
        return f"{winner.signature.id} on line {winner.line.number}: {_voice(winner)}{beside}"
    if cause.signal:
        return f"it was ended by {cause.signal} (exit code {exit_code}), and no line states another cause"
    if cause.refused:
        return "something failed, and no signature states a cause"
    return "no signature states a failure" if not log.saying(Says.FAILURE) else "what failed was over before the end"


def _matched(finding: Finding, cause: Cause, exit_code: int | None) -> Matched:
    signature = finding.signature
    won = finding is cause.finding
    return Matched(
        line=finding.line.number,
        text=finding.line.text[:_LONGEST],
        signature=signature.id,
        says=signature.says.value,
        category=finding.category.value if finding.category else None,
        weight=signature.weight,
        won=won,
        why=", ".join(_reasons(finding, cause, exit_code)),
    )


def _reasons(finding: Finding, cause: Cause, exit_code: int | None) -> Iterator[str]:
    if finding.signature.says is not Says.FAILURE:
        yield _TOLD[finding.signature.says]
        return
    winner = cause.finding
    if finding is winner:
        yield "the cause"
        yield _voice(finding)
    elif finding in cause.because:
        yield "says the same"
    elif finding.quiet:
        yield "at a level, or in words, that state no failure"
    elif winner is None:
        yield "the run went well after all" if exit_code == 0 else "over before the end"
    else:
        yield from _against(finding, winner)


def _against(finding: Finding, winner: Finding) -> Iterator[str]:
    if finding.connecting and not winner.connecting and finding.order < winner.order:
        yield "over before the end: something was done after it"
    elif finding.signature.weight < winner.signature.weight:
        yield f"weighs less than {winner.signature.weight}: {_voice(finding)}"
    elif finding.order > winner.order:
        yield "came after the cause"
    else:
        yield "explained by the cause"


def _voice(finding: Finding) -> str:
    return next(text for least, text in _VOICES if finding.signature.weight >= least)
