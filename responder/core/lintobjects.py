"""Lint of annotations, and of a hook beside the rest of its sync: Secrets that come too late, or go too soon."""

from collections.abc import Iterator
from difflib import get_close_matches

from responder.core.hooknaming import DELETE_POLICY, HELM_HOOK, HOOK
from responder.core.hookshape import Reference, Shape
from responder.core.lint import Context, Problem, Rule, Severity, job_hook

_HOOKS = ("PreSync", "Sync", "PostSync", "SyncFail", "Skip", "PreDelete", "PostDelete")
_POLICIES = ("BeforeHookCreation", "HookSucceeded", "HookFailed")
_HELM_ONLY = ("pre-rollback", "post-rollback", "test", "test-success", "test-failure")
_KNOWN = frozenset(
    f"argocd.argoproj.io/{name}"
    for name in (
        "hook", "hook-delete-policy", "sync-wave", "sync-options", "compare-options", "tracking-id", "installation-id",
        "ignore-healthcheck", "ignore-resource-updates", "ignore-default-links", "hide-secret-annotations",
        "manifest-generate-paths", "refresh", "skip-reconcile", "managed-by", "managed-by-url", "hook-finalizer",
    )
)  # fmt: skip
_PHASES = ("PreSync", "Sync", "PostSync")
_WAVES = "https://argo-cd.readthedocs.io/en/stable/user-guide/sync-waves/"


def _words(shape: Shape, name: str) -> list[str]:
    return [word.strip() for word in shape.annotations.get(name, "").split(",") if word.strip()]


def _unknown_hook(shape: Shape, _context: Context) -> Iterator[Problem]:
    for word in _words(shape, HOOK):
        if word not in _HOOKS:
            yield Problem(f"{HOOK}: {word}{_meant(word, _HOOKS)}", ("metadata", "annotations", HOOK))
    if not shape.hook_types:
        for word in _words(shape, HELM_HOOK):
            if word in _HELM_ONLY:
                what = f"{HELM_HOOK}: {word}, which Argo CD does not run"
                yield Problem(what, ("metadata", "annotations", HELM_HOOK))


def _unknown_policy(shape: Shape, _context: Context) -> Iterator[Problem]:
    for word in _words(shape, DELETE_POLICY):
        if word not in _POLICIES:
            what = f"{DELETE_POLICY}: {word}{_meant(word, _POLICIES)}"
            yield Problem(what, ("metadata", "annotations", DELETE_POLICY))


def _meant(word: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(word, known, n=1)
    return f" (is {close[0]} meant?)" if close else ""


def _no_meaning(shape: Shape, _context: Context) -> Iterator[Problem]:
    for name in shape.annotations:
        if shape.hook and name.startswith("argocd.argoproj.io/") and name not in _KNOWN:
            yield Problem(name, ("metadata", "annotations", name))


def _order(shape: Shape) -> tuple[int, int] | None:
    """Phase and wave in which it is applied."""
    phase = next((t for t in shape.hook_types if t in _PHASES), None if shape.hook else "Sync")
    return (_PHASES.index(phase), shape.wave) if phase else None


def _brought(reference: Reference, shape: Shape, context: Context) -> Shape | None:
    return next(
        (
            o
            for o in context.objects
            if (o.kind, o.name) == (reference.kind, reference.name)
            and (not o.namespace or not shape.namespace or o.namespace == shape.namespace)
        ),
        None,
    )


def _too_late(shape: Shape, context: Context) -> Iterator[Problem]:
    needed = _order(shape)
    if not job_hook(shape) or needed is None:
        return
    seen: set[str] = set()
    for reference in shape.references:
        brought = _brought(reference, shape, context)
        comes = _order(brought) if brought is not None else None
        name = f"{reference.kind} {reference.name}"
        if brought is None or comes is None or comes <= needed or name in seen:
            continue
        seen.add(name)
        when = f"in the {_PHASES[comes[0]]} phase" if comes[0] != needed[0] else f"in wave {comes[1]}"
        yield Problem(f"{name} comes {when}, after this hook", reference.path)


def _taken_away(shape: Shape, context: Context) -> Iterator[Problem]:
    """A hook's Secret that something else lives on."""
    if shape.kind not in ("Secret", "ConfigMap") or not shape.hook:
        return
    for user in context.objects:
        uses = any((r.kind, r.name) == (shape.kind, shape.name) for r in user.references)
        if not uses or user.hook_types == shape.hook_types:
            continue
        policy = " or ".join(shape.delete_policies)
        what = f"{user.kind} {user.name} uses it too, and {policy} deletes it"
        yield Problem(what, ("metadata", "annotations"))


OBJECT_RULES: tuple[Rule, ...] = (
    Rule(
        "unknown-hook", Severity.ERROR,
        "Argo CD does not know that phase: the object is no part of the sync, and never runs.",
        "PreSync, Sync, PostSync, SyncFail, PreDelete, PostDelete or Skip",
        f"{_WAVES}#usage", _unknown_hook, in_cluster=False,
    ),
    Rule(
        "unknown-delete-policy", Severity.ERROR,
        "Argo CD ignores a word that it does not know, and uses BeforeHookCreation.",
        "BeforeHookCreation, HookSucceeded or HookFailed",
        f"{_WAVES}#hook-lifecycle-and-cleanup", _unknown_policy, in_cluster=False,
    ),
    Rule(
        "no-meaning", Severity.NOTE,
        "Argo CD gives that annotation no meaning: what was meant by it does not happen.",
        "leave it out; what becomes of a finished hook is said by argocd.argoproj.io/hook-delete-policy",
        "https://argo-cd.readthedocs.io/en/stable/user-guide/annotations-and-labels/", _no_meaning, in_cluster=False,
    ),
    Rule(
        "needed-later", Severity.ERROR,
        "The hook cannot start before what it needs is there, and Argo CD applies that only when the hook has ended:"
        " the first sync waits for ever, later ones use the values of before.",
        "argocd.argoproj.io/hook: PreSync on it as well, with a lower argocd.argoproj.io/sync-wave; a copy of its own"
        " if the application uses it, too",
        _WAVES, _too_late,
    ),
    Rule(
        "shared-and-deleted", Severity.ERROR,
        "A hook is deleted by its delete policy, and is not compared or kept: whoever else uses it loses it.",
        "two of them: one as a hook for the hook, one as a plain resource for the application",
        f"{_WAVES}#hook-lifecycle-and-cleanup", _taken_away, in_cluster=False,
    ),
)  # fmt: skip
