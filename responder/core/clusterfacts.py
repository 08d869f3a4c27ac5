"""What the cluster itself says of a hook that failed or does not get on: container states, conditions, Events.

Every fact is one line, "Reason: message", read by the same signatures as logs are (`signatures/kubernetes*.yaml`). A
container that never started left nothing behind, whatever its migration would have done.
"""

from collections.abc import Iterable, Sequence

import msgspec

from responder.core.argocd import AttemptResult
from responder.core.attempts import AttemptHook, never_started
from responder.core.evidence import ClusterEvent
from responder.core.failure import Because, Category, Confidence, Diagnosis, Retry, StateLeft
from responder.core.hooks import ContainerRun, ContainerState, HookRun, PodRun
from responder.core.signatures import Match, Says, Signatures

NOT_RUN = "no container of this hook was ever started"
OF_THE_CLUSTER = frozenset(list(Category)[list(Category).index(Category.IMAGE_PULL) :])
CANNOT_START = frozenset({"StartError", "ContainerCannotRun"})  # reasons of a termination without any run

_PULL_REASONS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "RegistryUnavailable",
        "ImageInspectError",
        "SignatureValidationFailed",
    }
)
_REFERENCE_REASONS = frozenset({"CreateContainerConfigError"})
_START_REASONS = frozenset({"CreateContainerError", "RunContainerError"})
_REFUSALS = ("OutOf", "NodeAffinity", "NodePorts", "NodeShutdown", "UnexpectedAdmissionError")  # of a node's kubelet
_TELLING_EVENTS = ("FailedCreate", "FailedMount", "FailedAttachVolume", "FailedScheduling")
_ORIGINS = frozenset({"kubernetes", "argocd", "atlas-operator"})  # of a signature, by the first word of its id
_UNTIL = {
    Category.IMAGE_PULL: "until the image can be pulled",
    Category.MISSING_REFERENCE: "until what it refers to exists",
    Category.QUOTA_EXCEEDED: "until the quota has room",
    Category.ADMISSION_DENIED: "until the admission policy or the manifest is changed",
    Category.UNSCHEDULABLE: "no node fits, until its selector or the nodes are changed",
    Category.IMMUTABLE_JOB: "the finished Job has to be deleted, or the hook given the delete policy"
    " BeforeHookCreation",
    Category.PERMISSION_DENIED: "until that account is given the right",
    Category.MANIFEST_ERROR: "until the manifest is mended",
    Category.IMPORT_ERROR: "until its command can be executed in that image",
}
_MAY_PASS = {
    Category.IMAGE_PULL: "the registry does not say whether this passes",
    Category.UNSCHEDULABLE: "when a node has room",
}

Brings = Sequence[tuple[str, str]]  # (kind, name) of what the sync applies after its PreSync hooks


class Fact(msgspec.Struct, frozen=True):
    """One thing the cluster said, already redacted."""

    text: str  # "Reason: message"
    source: str

    @property
    def because(self) -> tuple[Because, ...]:
        return (Because(self.text, source=self.source),)


class Sync(msgspec.Struct, frozen=True):
    """What else the operation brings: where a thing that is missing would have come from."""

    brings: Brings = ()
    results: Sequence[AttemptResult] = ()


def recognise(facts: Iterable[Fact], signatures: Signatures) -> tuple[Fact, Match] | None:
    """The first fact that a signature of the cluster knows; of several on it the one that weighs most."""
    for fact in facts:
        known = [match for match in signatures.matches(fact.text) if _of_the_cluster(match)]
        if known:
            return fact, max(known, key=lambda match: match.signature.weight)
    return None


def _of_the_cluster(match: Match) -> bool:
    if match.signature.says is not Says.FAILURE:
        return False
    return match.category in OF_THE_CLUSTER or match.signature.id.partition(".")[0] in _ORIGINS


def diagnose_cluster(hook: AttemptHook, signatures: Signatures, sync: Sync = Sync()) -> Diagnosis | None:  # noqa: B008 - frozen
    """The cause when it lies outside the containers; None when it is for their logs to tell."""
    return refused_by_argocd(hook, signatures) or _from_run(hook, signatures, sync)


def refused_by_argocd(hook: AttemptHook, signatures: Signatures) -> Diagnosis | None:
    message = hook.result.message
    said = Fact(message, "argocd")
    if hook.result.status != "SyncFailed" and hook.stale:
        return nothing_ran(
            Category.STALE_JOB,
            "the Job of an earlier operation still stood and answered for this one: nothing ran",
            "the finished Job has to be deleted before the hook can run again",
            said.because if message else (),
            signatures,
        )
    found = recognise([said], signatures)
    if found is not None and found[1].category is Category.HOOK_VANISHED:
        return vanished("the hook was gone before Argo CD saw its end", said.because, signatures)
    if hook.result.status != "SyncFailed":
        return None
    category = (found[1].category if found is not None else None) or Category.MANIFEST_ERROR
    state_reason = "the hook could not be applied: nothing ran"
    if category is Category.IMMUTABLE_JOB:
        state_reason = "Argo CD could not change the Job that an earlier operation left: nothing ran"
    because = said.because if message else ()
    return nothing_ran(category, state_reason, _UNTIL.get(category, "until something is changed"), because, signatures,
                       match=found[1] if found is not None else None)  # fmt: skip


def _from_run(hook: AttemptHook, signatures: Signatures, sync: Sync) -> Diagnosis | None:
    run = hook.run
    if run is None:
        return None
    if hook.lost and not never_started(run):
        return vanished("the hook was taken away while it ran", _taken(run), signatures)
    if never_started(run):
        return _not_started(hook, run, signatures, sync)
    return next((found for pod in run.pods if (found := _from_pod(pod, signatures))), None)


def _taken(run: HookRun) -> tuple[Because, ...]:
    ended = [
        Because(f"container {c.name} ended with exit code {c.exit_code}", source=f"{p.name}/{c.name}")
        for p in run.pods
        for c in p.containers
        if c.exit_code is not None
    ]
    return (Because(f"{run.kind} {run.namespace}/{run.name} was deleted while it ran", source="job"), *ended)


def vanished(why: str, because: tuple[Because, ...], signatures: Signatures) -> Diagnosis:
    return Diagnosis(
        category=Category.HOOK_VANISHED,
        retry=Retry.UNKNOWN,
        retry_reason=f"{why}: nobody saw how it ended",
        state_left=StateLeft.UNKNOWN,
        state_reason=why,
        confidence=Confidence.CERTAIN,
        because=because,
        advice=advice_for(Category.HOOK_VANISHED, signatures),
    )


def _not_started(hook: AttemptHook, run: HookRun, signatures: Signatures, sync: Sync) -> Diagnosis | None:
    found = recognise(_before_a_start(run), signatures)
    if found is None:
        return _stuck_deletion(run, signatures)
    fact, match = found
    category = match.category or Category.UNKNOWN
    passes = match.signature.passes is True
    until = _MAY_PASS.get(category, "it may pass") if passes else _UNTIL.get(category, "until something is changed")
    if category is Category.MISSING_REFERENCE:
        until = _until_there(match.groups, hook, sync)
    return nothing_ran(category, NOT_RUN, until, fact.because, signatures, match=match)


def _before_a_start(run: HookRun) -> Iterable[Fact]:
    """What is true now before what was said once: an Event may tell of something that is long over."""
    for pod in run.pods:
        if pod.unscheduled:
            yield Fact(pod.unscheduled, f"pod {pod.name}")
        if pod.reason.startswith(_REFUSALS):
            yield Fact(f"{pod.reason}: {pod.message}".rstrip(": "), f"pod {pod.name}")
        yield from (_waiting(pod, c) for c in pod.containers if c.waiting_reason)
    for reason in _TELLING_EVENTS:
        yield from (_event(event) for event in reversed(run.events) if event.reason == reason)


def _event(event: ClusterEvent) -> Fact:
    return Fact(f"{event.reason}: {event.message}", f"event on {event.about}")


def _waiting(pod: PodRun, container: ContainerRun) -> Fact:
    text = f"{container.waiting_reason}: {container.waiting_message}".rstrip(": ")
    return Fact(text, f"{pod.name}/{container.name}")


def _until_there(groups: dict[str, str], hook: AttemptHook, sync: Sync) -> str:
    """Names what is missing, and says where in this sync it would come from."""
    kind, name = groups.get("kind", ""), groups.get("object", "") or groups.get("where", "").rpartition("/")[2]
    if not kind or not name:
        return "until what it refers to exists"
    if "key" in groups:
        return f"until {kind} {name} has the key {groups['key']}"
    return f"until {kind} {name} exists{_origin(kind.lower(), name, hook, sync)}"


def _origin(kind: str, name: str, hook: AttemptHook, sync: Sync) -> str:
    phase = hook.result.sync_phase or "PreSync"
    hooks = [r.result for r in sync.results if (r.result.kind.lower(), r.result.name) == (kind, name)]
    as_hook = next((r for r in hooks if r.hook_type), None)
    if as_hook is not None and as_hook.hook_phase == "Succeeded":
        return (
            f"; this sync made it as a {as_hook.sync_phase} hook, and it is gone again, as hooks go by their own delete"
            " policy: use BeforeHookCreation, and a second one for the application"
        )
    if as_hook is not None:
        return f"; this sync brings it as a {as_hook.sync_phase} hook, but later: give it an earlier sync wave"
    if not any((k.lower(), n) == (kind, name) for k, n in sync.brings):
        return ""
    if phase == "PreSync":
        return (
            "; this sync brings it itself, but only after its hooks, in the Sync phase: it needs to be a hook of an"
            " earlier wave (argocd.argoproj.io/hook: PreSync)"
        )
    return "; this sync brings it itself: give it an earlier sync wave than the hook"


def _stuck_deletion(run: HookRun, signatures: Signatures) -> Diagnosis | None:
    if run.deleting_at is None or run.gone_at is not None or run.pods:
        return None
    said = (Because(f"{run.kind} {run.namespace}/{run.name} is being deleted and does not go", source="job"),)
    return nothing_ran(Category.STUCK_DELETION, NOT_RUN, "until the old hook is gone", said, signatures)


def _from_pod(pod: PodRun, signatures: Signatures) -> Diagnosis | None:
    """What ended a Pod from outside, whatever its containers printed before."""
    told = Fact(f"{pod.reason}: {pod.message}".strip(": "), f"pod {pod.name}")
    facts = [told] if told.text else []
    facts += [Fact(pod.disrupted, told.source)] if pod.disrupted else []
    found = recognise(facts, signatures)
    if found is None or found[1].category not in (Category.EVICTED, Category.NODE_LOST):
        return None
    category = found[1].category
    return Diagnosis(
        category=category,
        retry=Retry.UNKNOWN,
        retry_reason="it was ended from outside in the middle of its work",
        state_left=StateLeft.UNKNOWN,
        state_reason="nobody saw how far it came",
        confidence=Confidence.CERTAIN,
        because=facts[0].because,
        advice=advice_for(category, signatures, found[1]),
    )


def advice_for(category: Category, signatures: Signatures, match: Match | None = None) -> str:
    return (match.signature.advice if match is not None else "") or signatures.advice.get(category, "")


def nothing_ran(
    category: Category,
    state_reason: str,
    retry_reason: str,
    because: tuple[Because, ...],
    signatures: Signatures,
    match: Match | None = None,
) -> Diagnosis:
    may_pass = match is not None and match.signature.passes is True
    return Diagnosis(
        category=category,
        retry=Retry.UNKNOWN if may_pass else Retry.FUTILE,
        retry_reason=retry_reason,
        state_left=StateLeft.NONE,
        state_reason=state_reason,
        confidence=Confidence.CERTAIN,
        key_line=next((b.text for b in because), None),
        because=because,
        advice=advice_for(category, signatures, match),
    )


def stuck_reason(run: HookRun) -> str:
    """Why a hook that has not ended does not get on, as a closed label; empty when it seems to work.

    A container that ended badly while another keeps its Pod alive is stuck too: the Job can never succeed.
    """
    if run.failed or run.completed:
        return ""
    if run.deleting_at is not None:
        return "stuck-deletion" if run.gone_at is None and not run.pods else ""
    if any(e.reason == "FailedCreate" for e in run.events) and not run.pods:
        return "not-created"
    standing = [pod for pod in run.pods if pod.gone_at is None]
    if reason := next((r for pod in standing if (r := _stuck_pod(pod, run.restart_policy))), ""):
        return reason
    if any(e.reason == "FailedMount" for e in run.events) and never_started(run):
        return "missing-reference"
    return ""


def _stuck_pod(pod: PodRun, restart_policy: str) -> str:
    if pod.unscheduled:
        return "unschedulable"
    # What a container waited for before it ran is remembered, and is over.
    reasons = {c.waiting_reason for c in pod.containers if c.state is ContainerState.WAITING}
    if reasons & _PULL_REASONS:
        return "image-pull"
    if reasons & _REFERENCE_REASONS:
        return "missing-reference"
    if reasons & _START_REASONS:
        return "not-created"
    return "sidecar-running" if _kept_alive(pod, restart_policy) else ""


def _kept_alive(pod: PodRun, restart_policy: str) -> bool:
    """Every migration container has ended, and something else keeps the Pod running."""
    latest = {c.name: c for c in pod.containers}
    mains = [c for c in latest.values() if c.kind == "main"]
    running = [c for c in latest.values() if c.state is ContainerState.RUNNING]
    if not running or pod.pod_phase not in ("Running", "Unknown"):
        return False
    ended = [c for c in mains if c.state is ContainerState.TERMINATED]
    failed = restart_policy == "Never" and any(c.exit_code not in (0, None) for c in ended)
    return failed or (bool(ended) and len(ended) == len(mains))
