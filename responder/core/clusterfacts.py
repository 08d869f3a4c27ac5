"""What the cluster itself says of a hook that failed or does not get on: container states, conditions, Events.

A container that never started left nothing behind, whatever its migration would have done.
"""

from collections.abc import Sequence

import re2

from responder.core.attempts import AttemptHook, never_started
from responder.core.evidence import ClusterEvent
from responder.core.failure import Because, Category, Confidence, Diagnosis, Retry, StateLeft
from responder.core.hooks import ContainerRun, ContainerState, HookRun, PodRun

NOT_RUN = "no container of this hook was ever started"

_PULL_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
)
_REFERENCE_REASONS = frozenset({"CreateContainerConfigError"})
_PULL_FUTILE = re2.compile(
    r"(?i)not found|manifest unknown|does not exist|invalid reference|unauthorized|denied|InvalidImageName"
)
_MISSING = re2.compile(
    r"(?i)(?P<kind>secret|configmap|serviceaccount|persistentvolumeclaim) \"(?P<name>[^\"]+)\" not found"
    r"|couldn't find key (?P<key>\S+) in (?P<of>Secret|ConfigMap) (?P<where>\S+)"
)
_QUOTA = re2.compile(r"(?i)exceeded quota|is forbidden: (?:maximum|minimum) .* usage per|limitrange")
_ADMISSION = re2.compile(r"(?i)admission webhook .* denied|violates PodSecurity|ValidatingAdmissionPolicy .* denied")
_EVICTIONS = frozenset({"EvictionByEvictionAPI", "PreemptionByScheduler", "TerminationByKubelet"})
_LOSSES = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})
_IMMUTABLE = "field is immutable"
_VANISHED = "is missing, it might have been deleted"


Brings = Sequence[tuple[str, str]]  # (kind, name) of what the sync applies after its PreSync hooks


def diagnose_cluster(hook: AttemptHook, brings: Brings) -> Diagnosis | None:
    """The cause when it lies outside the containers; None when it is for their logs to tell."""
    return _from_argocd(hook) or _from_run(hook, brings)


def _from_argocd(hook: AttemptHook) -> Diagnosis | None:
    message = hook.result.message
    said = (Because(message, source="argocd"),) if message else ()
    if hook.result.status == "SyncFailed" and _IMMUTABLE in message:
        return _nothing_ran(
            Category.IMMUTABLE_JOB,
            "Argo CD could not change the Job that an earlier operation left: nothing ran",
            "the finished Job has to be deleted, or the hook given the delete policy BeforeHookCreation",
            said,
        )
    if hook.stale:
        return _nothing_ran(
            Category.STALE_JOB,
            "the Job of an earlier operation still stood and answered for this one: nothing ran",
            "the finished Job has to be deleted before the hook can run again",
            said,
        )
    if _VANISHED in message:
        return _vanished("the hook was gone before Argo CD saw its end", said)
    if hook.result.status == "SyncFailed":
        return _refused_to_apply(message, said)
    return None


def _refused_to_apply(message: str, said: tuple[Because, ...]) -> Diagnosis:
    category = _creation_category(message) or Category.MANIFEST_ERROR
    return _nothing_ran(category, "the hook could not be applied: nothing ran", "until the manifest is mended", said)


def _from_run(hook: AttemptHook, brings: Brings) -> Diagnosis | None:
    run = hook.run
    if run is None:
        return None
    if hook.lost and not never_started(run):
        return _vanished("the hook was taken away while it ran", _taken(run))
    if never_started(run):
        return _not_started(run, brings)
    return next((found for pod in run.pods if (found := _from_pod(pod))), None)


def _taken(run: HookRun) -> tuple[Because, ...]:
    ended = [
        Because(f"container {c.name} ended with exit code {c.exit_code}", source=f"{p.name}/{c.name}")
        for p in run.pods
        for c in p.containers
        if c.exit_code is not None
    ]
    return (Because(f"Job {run.namespace}/{run.name} was deleted while it ran", source="job"), *ended)


def _vanished(why: str, because: tuple[Because, ...]) -> Diagnosis:
    return Diagnosis(
        category=Category.HOOK_VANISHED,
        retry=Retry.UNKNOWN,
        retry_reason=f"{why}: nobody saw how it ended",
        state_left=StateLeft.UNKNOWN,
        state_reason=why,
        confidence=Confidence.CERTAIN,
        because=because,
    )


def _not_started(run: HookRun, brings: Brings) -> Diagnosis | None:
    for event in run.events:
        if event.reason == "FailedCreate" and (category := _creation_category(event.message)):
            return _nothing_ran(category, NOT_RUN, _until(category), (_event(event),))
    for event in run.events:
        if event.reason == "FailedMount" and _MISSING.search(event.message):
            return _missing_reference(event.message, brings, (_event(event),))
    for pod in run.pods:
        found = _unscheduled(pod) or next((f for c in pod.containers if (f := _waiting(pod, c, brings))), None)
        if found is not None:
            return found
    return _stuck_deletion(run)


def _creation_category(message: str) -> Category | None:
    if _MISSING.search(message) or "error looking up service account" in message:
        return Category.MISSING_REFERENCE
    if _QUOTA.search(message):
        return Category.QUOTA_EXCEEDED
    if _ADMISSION.search(message):
        return Category.ADMISSION_DENIED
    return None


def _until(category: Category) -> str:
    return {
        Category.MISSING_REFERENCE: "until what it refers to exists",
        Category.QUOTA_EXCEEDED: "until the quota has room",
        Category.ADMISSION_DENIED: "until the admission policy or the manifest is changed",
    }.get(category, "until something is changed")


def _unscheduled(pod: PodRun) -> Diagnosis | None:
    if not pod.unscheduled:
        return None
    for_ever = "didn't match Pod's node affinity/selector" in pod.unscheduled
    return Diagnosis(
        category=Category.UNSCHEDULABLE,
        retry=Retry.FUTILE if for_ever else Retry.UNKNOWN,
        retry_reason="no node fits, until its selector or the nodes are changed"
        if for_ever
        else "when a node has room",
        state_left=StateLeft.NONE,
        state_reason=NOT_RUN,
        confidence=Confidence.CERTAIN,
        because=(Because(pod.unscheduled, source=f"pod {pod.name}"),),
    )


def _waiting(pod: PodRun, container: ContainerRun, brings: Brings) -> Diagnosis | None:
    text = f"{container.waiting_reason}: {container.waiting_message}".rstrip(": ")
    because = (Because(text, source=f"{pod.name}/{container.name}"),)
    if container.waiting_reason in _PULL_REASONS:
        futile = bool(_PULL_FUTILE.search(text))
        return Diagnosis(
            category=Category.IMAGE_PULL,
            retry=Retry.FUTILE if futile else Retry.UNKNOWN,
            retry_reason="until the image can be pulled" if futile else "the registry does not say whether this passes",
            state_left=StateLeft.NONE,
            state_reason=NOT_RUN,
            confidence=Confidence.CERTAIN,
            because=because,
        )
    if container.waiting_reason in _REFERENCE_REASONS:
        return _missing_reference(container.waiting_message, brings, because)
    return None


def _missing_reference(message: str, brings: Brings, because: tuple[Because, ...]) -> Diagnosis:
    match = _MISSING.search(message)
    if match is None:
        return _nothing_ran(Category.MISSING_REFERENCE, NOT_RUN, "until what it refers to exists", because)
    kind = match["kind"] or match["of"]
    name = match["name"] or match["where"].rpartition("/")[2]
    until = f"until {kind} {name} exists"
    if any(k.lower() == kind.lower() and n == name for k, n in brings):
        until += "; this sync brings it itself, but only after its hooks: it needs to be a hook of an earlier wave"
    return _nothing_ran(Category.MISSING_REFERENCE, NOT_RUN, until, because, key_line=message)


def _stuck_deletion(run: HookRun) -> Diagnosis | None:
    if run.deleting_at is None or run.gone_at is not None or run.pods:
        return None
    said = (Because(f"Job {run.namespace}/{run.name} is being deleted and does not go", source="job"),)
    return _nothing_ran(Category.STUCK_DELETION, NOT_RUN, "until the old hook is gone", said)


def _from_pod(pod: PodRun) -> Diagnosis | None:
    """What ended a Pod from outside, whatever its containers printed before."""
    text = f"{pod.reason}: {pod.message}".strip(": ")
    because = (Because(text or pod.disrupted, source=f"pod {pod.name}"),)
    if pod.reason == "Evicted" or pod.disrupted in _EVICTIONS:
        return _ended_from_outside(Category.EVICTED, because)
    if pod.reason == "NodeLost" or pod.disrupted in _LOSSES:
        return _ended_from_outside(Category.NODE_LOST, because)
    return None


def _ended_from_outside(category: Category, because: tuple[Because, ...]) -> Diagnosis:
    return Diagnosis(
        category=category,
        retry=Retry.UNKNOWN,
        retry_reason="it was ended from outside in the middle of its work",
        state_left=StateLeft.UNKNOWN,
        state_reason="nobody saw how far it came",
        confidence=Confidence.CERTAIN,
        because=because,
    )


def _nothing_ran(
    category: Category, state_reason: str, retry_reason: str, because: tuple[Because, ...], key_line: str = ""
) -> Diagnosis:
    return Diagnosis(
        category=category,
        retry=Retry.FUTILE,
        retry_reason=retry_reason,
        state_left=StateLeft.NONE,
        state_reason=state_reason,
        confidence=Confidence.CERTAIN,
        key_line=key_line or next((b.text for b in because), None),
        because=because,
    )


def _event(event: ClusterEvent) -> Because:
    return Because(f"{event.reason}: {event.message}", source=f"event on {event.about}")


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
