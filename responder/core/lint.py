"""What is weak in how a hook is written: each rule with its reason, what to write instead, and where that is said.

A rule is about what Kubernetes or Argo CD is documented to do, not about taste. One that does not hold for a hook is
switched off there, by the annotation ``hook-responder.io/lint-ignore: rule, other-rule``.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum

import msgspec

from responder.core.hooknaming import HELM_HOOK, HOOK
from responder.core.hookshape import Path, Shape

IGNORE = "hook-responder.io/lint-ignore"
_JOB = "https://kubernetes.io/docs/concepts/workloads/controllers/job/"
_WAVES = "https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/"
_OPTIONS = "https://argo-cd.readthedocs.io/en/stable/user-guide/sync-options/"
_LONGEST_WAIT = 180  # seconds between two retries of Argo CD's, at most, unless the Application says otherwise
_MOVING_TAGS = frozenset(
    {"latest", "main", "master", "dev", "develop", "stable", "edge", "nightly", "staging", "production", "prod"}
)
_INJECTED = {"sidecar.istio.io/inject": ("true",), "linkerd.io/inject": ("enabled", "ingress")}
_SIDECARS = ("istio-proxy", "linkerd-proxy", "cloud-sql-proxy", "cloudsql-proxy", "vault-agent", "envoy", "daprd")


class Severity(StrEnum):
    ERROR = "error"  # it does not do what was meant
    WARNING = "warning"  # it will hurt when something fails
    NOTE = "note"


class Context(msgspec.Struct, frozen=True):
    """What else is known: the other objects of the same sync, and how the Application is synced."""

    objects: Sequence[Shape] = ()
    kustomized: bool = False
    retry_limit: int | None = None  # of the Application; None: not known, automated syncs have 5


class Finding(msgspec.Struct, frozen=True):
    rule: str
    severity: Severity
    what: str
    why: str
    instead: str
    source: str
    path: Path = ()


class Problem(msgspec.Struct, frozen=True):
    """What a rule saw: where, and in words what of this very hook."""

    what: str
    path: Path = ()


Check = Callable[[Shape, Context], Iterable[Problem]]


class Rule(msgspec.Struct, frozen=True):
    id: str
    severity: Severity
    why: str
    instead: str
    source: str
    check: Check
    in_cluster: bool = True  # False: only a whole manifest, or several, can tell


def lint(shape: Shape, context: Context, rules: Sequence[Rule]) -> list[Finding]:
    ignored = {word.strip() for word in shape.annotations.get(IGNORE, "").split(",")}
    return [
        Finding(rule.id, rule.severity, problem.what, rule.why, rule.instead, rule.source, problem.path)
        for rule in rules
        if rule.id not in ignored and (shape.whole or rule.in_cluster)
        for problem in rule.check(shape, context)
    ]


def job_hook(shape: Shape) -> bool:
    """Also one whose annotation is misspelt: a hook is what was meant."""
    meant = shape.annotations.get(HOOK, "Skip") != "Skip"
    return shape.kind == "Job" and (shape.hook or meant)


def _no_deadline(shape: Shape, _context: Context) -> Iterator[Problem]:
    if job_hook(shape) and shape.deadline_seconds is None:
        yield Problem("activeDeadlineSeconds is not set", ("spec",))


def _on_failure(shape: Shape, _context: Context) -> Iterator[Problem]:
    if job_hook(shape) and shape.restart_policy == "OnFailure":
        yield Problem("restartPolicy is OnFailure", (*shape.pod_path, "restartPolicy"))


def _hook_failed(shape: Shape, _context: Context) -> Iterator[Problem]:
    if job_hook(shape) and "HookFailed" in shape.delete_policies:
        yield Problem("the delete policy is HookFailed", ("metadata", "annotations"))


def _ttl(shape: Shape, context: Context) -> Iterator[Problem]:
    retried = context.retry_limit is None or context.retry_limit > 0
    if job_hook(shape) and shape.ttl_seconds is not None and shape.ttl_seconds < _LONGEST_WAIT and retried:
        yield Problem(
            f"ttlSecondsAfterFinished is {shape.ttl_seconds}, a retry may wait {_LONGEST_WAIT} s",
            ("spec", "ttlSecondsAfterFinished"),
        )


def _moving_tag(shape: Shape, _context: Context) -> Iterator[Problem]:
    if not job_hook(shape):
        return
    for container in shape.containers:
        last = container.image.rpartition("/")[2]
        name, _, tag = last.partition(":")
        if container.image and "@" not in last and (not tag or tag.lower() in _MOVING_TAGS):
            said = f"the tag {tag}" if tag else "no tag"
            yield Problem(f"the image {name} of {container.name} has {said}", (*container.path, "image"))


def _generated_kustomize(shape: Shape, context: Context) -> Iterator[Problem]:
    if shape.generated and context.kustomized:
        yield Problem("generateName, and a kustomization that takes it in", ("metadata", "generateName"))


def _piles_up(shape: Shape, context: Context) -> Iterator[Problem]:
    gone = shape.ttl_seconds is not None or "HookSucceeded" in shape.delete_policies
    if job_hook(shape) and shape.generated and not gone and not context.kustomized:
        yield Problem("generateName, and no policy deletes the Jobs that succeeded", ("metadata", "generateName"))


def _no_hook(shape: Shape, _context: Context) -> Iterator[Problem]:
    replaced = "Replace=true" in shape.annotations.get("argocd.argoproj.io/sync-options", "")
    if shape.kind == "Job" and shape.whole and not shape.hook and not _skipped(shape) and not replaced:
        yield Problem("a Job without a hook annotation", ("metadata",))


def _skipped(shape: Shape) -> bool:
    return HOOK in shape.annotations or HELM_HOOK in shape.annotations


def _replaced(shape: Shape, _context: Context) -> Iterator[Problem]:
    options = shape.annotations.get("argocd.argoproj.io/sync-options", "")
    if shape.kind == "Job" and "Replace=true" in options and "Force=true" not in options:
        yield Problem("Replace=true without Force=true", ("metadata", "annotations", "argocd.argoproj.io/sync-options"))


def _several(shape: Shape, _context: Context) -> Iterator[Problem]:
    if job_hook(shape) and (shape.parallelism > 1 or shape.completions > 1):
        key = "parallelism" if shape.parallelism > 1 else "completions"
        yield Problem(f"{key} is {max(shape.parallelism, shape.completions)}", ("spec", key))


def _suspended(shape: Shape, _context: Context) -> Iterator[Problem]:
    if job_hook(shape) and (shape.suspended or shape.parallelism == 0):
        yield Problem("it is suspended" if shape.suspended else "parallelism is 0", ("spec",))


def _sidecar(shape: Shape, _context: Context) -> Iterator[Problem]:
    if not job_hook(shape):
        return
    for mark, on in _INJECTED.items():
        if shape.pod_marks.get(mark) in on:
            yield Problem(f"{mark} switches a sidecar on", shape.pod_path[:-1])
    for container in shape.containers:
        if container.name in _SIDECARS and not container.init and len(shape.containers) > 1:
            yield Problem(f"{container.name} is a plain container", container.path)


def _post_sync(shape: Shape, _context: Context) -> Iterator[Problem]:
    if shape.whole and job_hook(shape) and "PostSync" in shape.hook_types:
        yield Problem("a PostSync hook", ("metadata", "annotations"))


JOB_RULES: tuple[Rule, ...] = (
    Rule(
        "no-deadline", Severity.WARNING,
        "Argo CD waits for a hook for ever, unless its sync timeout is set: one that hangs holds every later sync.",
        "spec.activeDeadlineSeconds: 900, well above what the longest migration takes",
        f"{_JOB}#job-termination-and-cleanup", _no_deadline,
    ),
    Rule(
        "restart-on-failure", Severity.WARNING,
        "The kubelet runs the failed migration again in the same Pod, and the Pod goes with its log once the backoff"
        " limit is reached.",
        "restartPolicy: Never",
        f"{_JOB}#pod-backoff-failure-policy", _on_failure,
    ),
    Rule(
        "hook-failed-policy", Severity.WARNING,
        "Argo CD deletes the Job at the moment it fails, and its log with it: just what would tell why.",
        "argocd.argoproj.io/hook-delete-policy: BeforeHookCreation",
        f"{_WAVES}#hook-lifecycle-and-cleanup", _hook_failed,
    ),
    Rule(
        "short-ttl", Severity.WARNING,
        "Kubernetes deletes the finished Job and its log before anybody has looked, and before Argo CD tries again.",
        "leave ttlSecondsAfterFinished out and use the delete policy BeforeHookCreation, or set it to an hour or more",
        "https://kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished/", _ttl,
    ),
    Rule(
        "mutable-tag", Severity.WARNING,
        "The image behind that tag changes: a retry, or a rollback, may run other migrations than the sync before it.",
        "a tag that is made once for each build, or a digest (image@sha256:...)",
        "https://kubernetes.io/docs/concepts/containers/images/#image-names", _moving_tag,
    ),
    Rule(
        "generate-name-kustomize", Severity.ERROR,
        "kustomize refuses an object without metadata.name: the whole Application cannot be rendered.",
        "a fixed name and argocd.argoproj.io/hook-delete-policy: BeforeHookCreation; it runs at each sync as well",
        "https://github.com/kubernetes-sigs/kustomize/issues/641", _generated_kustomize, in_cluster=False,
    ),
    Rule(
        "generate-name-piles-up", Severity.WARNING,
        "Each sync makes a Job of another name: BeforeHookCreation, the default, finds none to delete; they pile up.",
        "a fixed name with BeforeHookCreation; or keep generateName and add HookSucceeded to the delete policy",
        f"{_WAVES}#hook-lifecycle-and-cleanup", _piles_up,
    ),
    Rule(
        "no-hook", Severity.WARNING,
        "A Job's template cannot be changed: the next sync with another image fails with \"field is immutable\", and a"
        " sync without a change never runs it again.",
        "argocd.argoproj.io/hook: PreSync with argocd.argoproj.io/hook-delete-policy: BeforeHookCreation",
        _WAVES, _no_hook, in_cluster=False,
    ),
    Rule(
        "replace-without-force", Severity.WARNING,
        "Replacing a Job whose template changed is refused as immutable, too; only Force deletes it first.",
        "make it a hook, or argocd.argoproj.io/sync-options: Force=true,Replace=true",
        f"{_OPTIONS}#force-sync", _replaced, in_cluster=False,
    ),
    Rule(
        "several-pods", Severity.ERROR,
        "Several Pods would run the same migrations, side by side or one after another.",
        "parallelism: 1 and completions: 1 (the defaults)",
        f"{_JOB}#parallel-jobs", _several, in_cluster=False,
    ),
    Rule(
        "suspended", Severity.ERROR,
        "No Pod is made while a Job is suspended, and Argo CD waits for it.",
        "suspend: false, or leave it out",
        f"{_JOB}#suspending-a-job", _suspended,
    ),
    Rule(
        "sidecar", Severity.WARNING,
        "A Job is done when every container of its Pod is: a sidecar that runs on keeps it, and the sync, for ever.",
        'switch injection off for the hook (sidecar.istio.io/inject: "false", linkerd.io/inject: disabled), or make the'
        " sidecar an init container with restartPolicy: Always",
        "https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/#jobs-with-sidecar-containers", _sidecar,
    ),
    Rule(
        "change-of-hook-alone", Severity.NOTE,
        "Hooks are no part of what Argo CD compares: a commit that changes this hook alone starts no automatic sync.",
        "change something that is compared with it (an annotation of the Deployment), or start the sync by hand; then"
        f" {IGNORE}: change-of-hook-alone",
        "https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/", _post_sync, in_cluster=False,
    ),
)  # fmt: skip
