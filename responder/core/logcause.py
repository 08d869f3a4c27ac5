"""Which failure in a log is the cause: the database's own words before a runtime's, the first before the last."""

import re

import msgspec

from responder.core.failure import Category, Confidence
from responder.core.findings import Finding, Findings
from responder.core.signatures import PASSING, Says

_UNREACHED = frozenset({Category.DNS_FAILURE, Category.CONNECTION_REFUSED, Category.CONNECTION_TIMEOUT})
_ANSWERED = frozenset({Category.AUTH_FAILED, Category.DATABASE_MISSING, Category.TOO_MANY_CONNECTIONS})
# What another try meets again: if one ended well later, it was at another database, schema or tenant.
_NEVER_REPAIRED = frozenset(
    {
        Category.ALREADY_EXISTS, Category.SYNTAX_ERROR, Category.CONSTRAINT_VIOLATION, Category.DATA_ERROR,
        Category.PERMISSION_DENIED,
    }
)  # fmt: skip
_CANNOT_WRITE = frozenset({Category.READ_ONLY, Category.PERMISSION_DENIED, Category.DISK_FULL})
_PROGRESS = (Says.STARTED, Says.FINISHED, Says.STEP, Says.READY, Says.DONE)
_ECHO = 10  # weights below are consequences: never a cause where there is another
_GENERIC = 24  # words that any migration tool may use
_STATEMENT = 28  # from here on a database speaks
_TOOL = 36  # and from here on the migration tool
_AFTERWARDS = frozenset({"frame", "late", "line", "said"})  # a beginning that is told when it has failed
_OWN_TABLE = re.compile(
    r"(?i)(?:relation|table) \W?[\w.`\"]*(?:migrations?|schema_history|schema_version|aerich|directus_\w+)\W+"
    r"(?:does|doesn|already)"
)
_ASKED = frozenset({Category.MISSING_OBJECT, Category.ALREADY_EXISTS})
_NOTICE_LINES = 5
_CODE_FIRST = re.compile(r"\s*SQL State\s*: ")  # of an error that is told line by line, its message two lines on
_UNTIL_MESSAGE = 2
_ABORTED = 134
_MEMBER = re.compile(r"\b(?:code|message|detail|hint): ")
_KILLED_BY = {130: "SIGINT", 134: "SIGABRT", 137: "SIGKILL", 139: "SIGSEGV", 143: "SIGTERM"}
_TIMEOUT = 124  # of the command `timeout`, which sends SIGTERM


class Cause(msgspec.Struct, frozen=True):
    """`because`: every finding that says the same."""

    category: Category
    confidence: Confidence
    finding: Finding | None = None
    because: tuple[Finding, ...] = ()
    passes: bool = False
    connecting: bool = False
    signal: str = ""  # that ended the process
    refused: bool = False  # something failed, and the log does not say what


def find_cause(log: Findings, exit_code: int | None) -> Cause:
    failures = [f for f in log.saying(Says.FAILURE) if f.category is not Category.NONE]
    failures = _without_probes(log, _without_notices(log, failures), exit_code)
    if exit_code == 0:
        return _despite_success(log, failures)
    standing = _standing(log, failures)
    signal = _KILLED_BY.get(exit_code or 0, "")
    thrown = exit_code == _ABORTED and _threw(log)
    if signal and not thrown and all(f.quiet or f.category is Category.KILLED for f in standing):
        return Cause(Category.KILLED, Confidence.CERTAIN, passes=exit_code == 143, signal=signal)
    if exit_code == _TIMEOUT and not any(not f.quiet for f in standing):
        return Cause(Category.KILLED, Confidence.GUESS, signal="SIGTERM")
    if not standing and exit_code is None:
        return _none() if not failures or log.saying(Says.FINISHED, Says.DONE) else _unknown()
    cause = _chosen(standing, while_connecting=_while_connecting(log))
    if cause.finding is None and _through_a_migration(log):
        cause = Cause(Category.CODE_ERROR, Confidence.GUESS, refused=True)
    lasting = any(f.category is cause.category and f.signature.passes is False for f in failures)
    return msgspec.structs.replace(cause, passes=False) if lasting else cause


def _threw(log: Findings) -> bool:
    """.NET raises SIGABRT against itself over every exception that nothing caught."""
    return any("dotnet" in f.groups for f in log.saying(Says.TOOL))


def _without_notices(log: Findings, failures: list[Finding]) -> list[Finding]:
    """A notice that is printed over several lines has a code, which is no failure."""
    opened = (f.order for f in log.saying(Says.TOOL) if "notice" in f.groups)
    within = {order + n for order in opened for n in range(1, _NOTICE_LINES)}
    return [f for f in failures if f.order not in within or not _MEMBER.search(f.line.text)]


def _without_probes(log: Findings, failures: list[Finding], exit_code: int | None) -> list[Finding]:
    """A program asks for its own tables to learn whether it is new here, or makes them where there are none, and goes
    on whatever the answer."""
    went_on = (f.order for f in log.saying(*_PROGRESS) if not _AFTERWARDS & f.groups.keys())
    last = max(went_on, default=-(1 << 62))

    def probe(f: Finding) -> bool:
        over = f.order < last or (exit_code == 0 and f.category is Category.ALREADY_EXISTS)
        return over and f.category in _ASKED and _OWN_TABLE.search(f.line.text) is not None

    return [f for f in failures if not probe(f)]


def _through_a_migration(log: Findings) -> bool:
    """A trace passes through a migration, and nothing that anybody documents was said: its own code may have raised."""
    return any("frame" in f.groups for f in log.saying(Says.STARTED))


def _none() -> Cause:
    return Cause(Category.NONE, Confidence.CERTAIN)


def _unknown() -> Cause:
    return Cause(Category.UNKNOWN, Confidence.GUESS, refused=True)


def _despite_success(log: Findings, failures: list[Finding]) -> Cause:
    """Some tools go on after a statement failed and exit 0. A wait, or a first try, that ended well is no failure."""
    well = max((f.order for f in log.saying(Says.FINISHED, Says.DONE)), default=-(1 << 62))
    well = max(well, _tried_again(log))
    stated = [f for f in failures if not f.quiet and not f.connecting and f.signature.weight >= _STATEMENT]
    scripts = {f.order for f in log.saying(Says.STARTED) if "line" in f.groups}  # which go on, and finish nothing
    names = {f.order for f in log.saying(*_PROGRESS)} - scripts  # a migration may be called after a failure
    lasting = {f.order for f in stated if f.category in _NEVER_REPAIRED} - names
    stated = [f for f in stated if f.order > well or f.order in lasting | scripts]
    return _chosen(stated) if stated else _none()


def _tried_again(log: Findings) -> int:
    """The last place where a loop says which attempt failed, and another was begun, or ended well."""
    well = (f for f in log.saying(Says.TOOL) if "well" in f.groups)
    work = max((f.order for f in (*log.saying(Says.STARTED, Says.STEP), *well)), default=-(1 << 62))
    again = (f.order for f in log.saying(Says.TOOL) if "again" in f.groups)
    return max((order for order in again if order < work), default=-(1 << 62))


def _standing(log: Findings, failures: list[Finding]) -> list[Finding]:
    """Without complaints that were over before the end: a wait for the database, a cache that was away."""
    progress = [f.order for f in log.saying(*_PROGRESS) if "frame" not in f.groups]
    last = max(progress, default=-(1 << 62))
    refusals = {f.order: f.signature.weight for f in failures if f.connecting}
    sent = [f for f in failures if not f.connecting and not f.quiet and f.signature.weight >= _STATEMENT]
    sent = [f for f in sent if refusals.get(f.order, 0) <= f.signature.weight]  # one line, read in two ways
    latest = {f.category: f.order for f in sent}
    turned_away = max((f.order for f in failures if f.category in _ANSWERED and not f.quiet), default=last)

    def over(complaint: Finding) -> bool:  # a statement was sent later; the same complaint again is its echo
        later = (order for category, order in latest.items() if category is not complaint.category)
        answered = turned_away if complaint.category in _UNREACHED else last
        return complaint.order < max((last, answered, *later))

    standing = [f for f in failures if not (f.connecting and over(f))]
    if standing and all(f.category is Category.CODE_ERROR and f.signature.weight < _GENERIC for f in standing):
        # Nobody waits for a setting: what came before by its place is output that was buffered.
        unset = [f for f in failures if f.category is Category.MISSING_CONFIG and f.order >= standing[0].order]
        standing = sorted([*standing, *unset], key=lambda f: f.order)
    loud = [f for f in standing if not f.quiet]
    return loud or standing


def _chosen(failures: list[Finding], *, while_connecting: bool = False) -> Cause:
    if not failures:
        return _unknown()
    named = [f for f in failures if f.category is not Category.UNKNOWN and f.signature.weight > _ECHO]
    if any(f.signature.weight >= _STATEMENT for f in failures):  # no runtime tells more than the database does
        named = [f for f in named if f.signature.weight >= _GENERIC]
    best = _older_image(_before_the_marker(_first_of(named or failures), named), named)
    category = best.category or Category.UNKNOWN
    because = tuple(f for f in failures if f.category is category)
    if category is Category.UNKNOWN:
        return Cause(category, Confidence.GUESS, best, because, connecting=best.connecting, refused=True)
    told = best.signature.passes
    connecting = best.connecting or (category is Category.SERVER_SHUTDOWN and while_connecting)
    if category is Category.SERVER_SHUTDOWN and not best.connecting:  # or the migration itself brought it down
        told = while_connecting or any(f.signature.passes and not f.connecting for f in because)
    return Cause(
        category,
        _confidence(best, failures),
        best,
        because,
        passes=category in PASSING if told is None else told,
        connecting=connecting,
    )


def _while_connecting(log: Findings) -> bool:
    """The traceback shows that a connection was being made, and no migration had begun."""
    shown = any("connecting" in f.groups for f in log.saying(Says.TOOL))
    return shown and not log.saying(Says.STARTED, Says.FINISHED, Says.STEP)


def _before_the_marker(best: Finding, failures: list[Finding]) -> Finding:
    """A loop in the container: the first try failed and left its marker, the others met the marker. And a lock that
    could not be written is not one that another runner holds."""
    earlier = [f for f in failures if f.order < best.order and f.signature.weight >= _STATEMENT and not f.connecting]
    if best.category is Category.MIGRATION_LOCK_HELD:
        earlier = [f for f in earlier if f.category in _CANNOT_WRITE]
    elif best.category is not Category.DIRTY_STATE:
        return best
    return _first_of(earlier) if earlier else best


def _older_image(best: Finding, failures: list[Finding]) -> Finding:
    """Changed texts beside migrations that the image does not have: it is older than the database, nobody edited."""
    if best.category is not Category.CHECKSUM_MISMATCH:
        return best
    missing = [f for f in failures if f.category is Category.HISTORY_CONFLICT and f.signature.weight >= _TOOL]
    return missing[0] if missing else best


def _first_of(failures: list[Finding]) -> Finding:
    """The first line on which a voice as good as any is heard; on it the one that weighs most."""
    top = max(f.signature.weight for f in failures)
    voice = top if top >= _TOOL or top < _STATEMENT else _STATEMENT
    first = next(f for f in failures if f.signature.weight >= voice)
    until = first.order + (_UNTIL_MESSAGE if _CODE_FIRST.match(first.line.text) else 0)
    on_line = [f for f in failures if first.order <= f.order <= until]
    return max(on_line, key=lambda f: f.signature.weight)


def _confidence(best: Finding, failures: list[Finding]) -> Confidence:
    if best.quiet:
        return Confidence.GUESS
    weight = best.signature.weight
    others = {
        f.category for f in failures if f.signature.weight >= min(weight, _STATEMENT) and f.signature.weight > _ECHO
    }
    if weight >= _STATEMENT and len(others - {Category.UNKNOWN}) <= 1:
        return Confidence.CERTAIN
    return Confidence.LIKELY if weight > _ECHO else Confidence.GUESS
