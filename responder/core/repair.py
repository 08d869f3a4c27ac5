"""Did the tool itself take away the lock that a run had left? In its own words, in a run that ended well.

A lock is all that such a run can have left where the tool's transactions cover the rest. A marker is another matter: a
tool's repair takes it away, and says itself that what stands behind it may have to be undone by hand.
"""

from responder.core.causes import Logs
from responder.core.diagnosis import Run, judge
from responder.core.findings import LogLine, collect
from responder.core.hooks import ContainerRun, HookRun
from responder.core.signatures import Says, Signatures
from responder.core.tooling import Scope


def unlocked(run: HookRun, logs: Logs, signatures: Signatures) -> bool:
    """Of a run that ended well. ``logs`` gives what is kept of a log by its key."""
    return any(_unlocked(c, logs, signatures) for pod in run.pods for c in pod.containers)


def _unlocked(container: ContainerRun, logs: Logs, signatures: Signatures) -> bool:
    summary = container.log
    if container.exit_code != 0 or summary is None or not summary.complete or summary.dropped:
        return False
    if (chunk := logs(summary.key)) is None:
        return False
    log = collect(map(LogLine, chunk.numbers, chunk.texts), signatures)
    if not log.saying(Says.UNLOCKED) or log.saying(Says.KEPT):
        return False
    found = judge(log, Run(exit_code=0, command=container.command), signatures)
    tool = signatures.tools.get(found.tool or "")
    return tool is not None and tool.scope_on(found.database) is not Scope.STATEMENT
