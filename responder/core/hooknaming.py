"""How Argo CD marks a hook: annotations, labels, and the names it gives to generated ones.

Sources: gitops-engine ``pkg/sync/hook``, Argo CD's ``util/argo/resource_tracking.go``.
"""

import re
from collections.abc import Mapping

from responder.core.argocd import AppKey

HOOK = "argocd.argoproj.io/hook"
DELETE_POLICY = "argocd.argoproj.io/hook-delete-policy"
TRACKING_ID = "argocd.argoproj.io/tracking-id"
HELM_HOOK = "helm.sh/hook"
HELM_DELETE_POLICY = "helm.sh/hook-delete-policy"
INSTANCE_LABEL = "app.kubernetes.io/instance"

_TYPES = ("PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete")
_HELM_TYPES = {
    "pre-install": "PreSync",
    "pre-upgrade": "PreSync",
    "post-install": "PostSync",
    "post-upgrade": "PostSync",
    "pre-delete": "PreDelete",
    "post-delete": "PostDelete",
}
_POLICIES = ("BeforeHookCreation", "HookSucceeded", "HookFailed")
_HELM_POLICIES = {
    "before-hook-creation": "BeforeHookCreation",
    "hook-succeeded": "HookSucceeded",
    "hook-failed": "HookFailed",
}
_GENERATED = re.compile(r"(?P<stem>.*)-(?:presync|sync|postsync|syncfail|predelete|postdelete)-\d{9,11}")
_SHORT_REVISION = re.compile(r"[0-9a-f]{7}$")


def hook_types(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """Empty: no hook. Helm's are ignored where Argo CD's own annotation holds a valid word."""
    own = tuple(word for word in _words(annotations, HOOK) if word in _TYPES)
    if own or "Skip" in _words(annotations, HOOK):
        return own
    mapped = (_HELM_TYPES.get(word) for word in _words(annotations, HELM_HOOK))
    return tuple(dict.fromkeys(word for word in mapped if word))


def delete_policies(annotations: Mapping[str, str]) -> tuple[str, ...]:
    """Both families united; none or none valid is BeforeHookCreation."""
    own = [word for word in _words(annotations, DELETE_POLICY) if word in _POLICIES]
    mapped = [_HELM_POLICIES[w] for w in _words(annotations, HELM_DELETE_POLICY) if w in _HELM_POLICIES]
    return tuple(dict.fromkeys((*own, *mapped))) or ("BeforeHookCreation",)


def instance(annotations: Mapping[str, str], labels: Mapping[str, str], kind: str, namespace: str, name: str) -> str:
    """The Application that it names: "app" or "namespace_app"; empty when its tracking id is another object's."""
    tracking = annotations.get(TRACKING_ID)
    if tracking is None:
        return labels.get(INSTANCE_LABEL, "")
    named = _tracking(tracking)
    if named is None:
        return ""
    app, tracked_kind, tracked_namespace, tracked_name = named
    same = tracked_kind == kind and tracked_namespace in (namespace, "") and tracked_name in (name, "")
    return app if same else ""


def generate_prefix(annotations: Mapping[str, str], generate_name: str, name: str) -> str:
    """``<generateName><revision, 7>-<phase>-<unix time>`` back to its prefix; empty for a name that stands fixed."""
    if generate_name:
        return generate_name
    named = _tracking(annotations.get(TRACKING_ID, ""))
    generated = _GENERATED.fullmatch(name)
    if named is None or named[3] or generated is None:
        return ""
    return _SHORT_REVISION.sub("", generated["stem"])


def app_key(tracked: str, control_plane: str) -> AppKey | None:
    """``control_plane`` is Argo CD's own namespace. Kubernetes' names have no underscore: the first one separates."""
    if not tracked:
        return None
    namespace, separator, name = tracked.partition("_")
    return AppKey(namespace, name) if separator else AppKey(control_plane, tracked)


def _tracking(text: str) -> tuple[str, str, str, str] | None:
    """``<instance>:<group>/<Kind>:<namespace>/<name>``; the name is empty where it is generated."""
    parts = text.split(":", 2)
    if len(parts) != 3 or "/" not in parts[2]:
        return None
    namespace, _, name = parts[2].partition("/")
    return parts[0], parts[1], namespace, name


def _words(annotations: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in annotations.get(name, "").split(",") if word.strip())
