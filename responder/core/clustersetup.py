"""Is the cluster such that we can do our work there? Findings about Argo CD, our rights, the kill switch, the hooks."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from responder.core.actions import Mode
from responder.core.checkup import Document, Finding, Severity, a_few
from responder.core.globs import glob_matches
from responder.core.operated import GROUP

EVERYWHERE: Final = "*"
OLDEST: Final = (2, 8)  # Applications in any namespace, hook finalizers and our wording of conditions are later still
SKEW: Final = timedelta(seconds=5)
ALIVE: Final = timedelta(minutes=30)  # Argo CD looks at each Application every few minutes
NOTIFIED: Final = "notified.notifications.argoproj.io"

_IMAGE = re.compile(r":v?(\d+)\.(\d+)(?:\.(\d+))?")
_APPLY_ALL = "kubectl apply -k deploy/kustomize/overlays/all"
_READ = ("get", "list", "watch")


class Right(msgspec.Struct, frozen=True):
    """``namespace`` empty: in all of them."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    subresource: str = ""
    name: str = ""

    def __str__(self) -> str:
        what = f"{self.resource}/{self.subresource}" if self.subresource else self.resource
        named = f" {self.name}" if self.name else ""
        where = f"in namespace {self.namespace}" if self.namespace else "in the whole cluster"
        return f"{self.verb} {what}{'.' if self.group else ''}{self.group}{named} {where}"


class Watched(msgspec.Struct, frozen=True):
    """What our configuration says we read. Namespaces ``""``: all."""

    control_plane: str
    applications: tuple[str, ...]  # namespaces of Applications
    hooks: tuple[str, ...]  # namespaces of hooks in one cluster
    switch: tuple[str, str]  # namespace and name of the kill switch


class AppFacts(msgspec.Struct, frozen=True):
    key: str  # namespace/name
    automated: bool = False
    retries: int | None = None  # spec.syncPolicy.retry.limit; negative: without end
    reconciled_at: datetime | None = None
    notified: bool = False  # the notifications controller has written its annotation


class HookFacts(msgspec.Struct, frozen=True):
    """A hook Job that stands now."""

    app: str  # as its tracking id names it
    name: str  # namespace/name
    delete_policies: tuple[str, ...]
    ttl_seconds: int | None = None


class Component(msgspec.Struct, frozen=True):
    """A Pod of Argo CD."""

    name: str  # app.kubernetes.io/name
    image: str


# Rights


def argocd_rights(watched: Watched, *, asked_by_others: bool) -> list[Right]:
    """``asked_by_others``: that they can read the kill switch says nothing of us."""
    kinds = (("argoproj.io", "applications"), ("", "events"))
    applications = [
        Right(verb, group, kind, ns) for ns in watched.applications for group, kind in kinds for verb in _READ
    ]
    projects = [Right(verb, "argoproj.io", "appprojects", watched.control_plane) for verb in _READ]
    namespace, name = watched.switch
    switch = [Right("get", "", "configmaps", namespace, name=name)] if asked_by_others else []
    return [*applications, *projects, *switch]


def hook_rights(watched: Watched, operated: Sequence[str] = ()) -> list[Right]:
    """``operated``: plurals of the migration operators' kinds that the cluster has."""
    kinds = (("batch", "jobs"), ("", "pods"), ("", "events"), *((GROUP, plural) for plural in operated))
    read = [Right(verb, group, kind, ns) for ns in watched.hooks for group, kind in kinds for verb in _READ]
    return [*read, *(Right("get", "", "pods", ns, "log") for ns in watched.hooks)]


def lease_rights(namespace: str) -> list[Right]:
    return [Right(verb, "coordination.k8s.io", "leases", namespace) for verb in ("get", "create", "update")]


def acting_rights(watched: Watched) -> list[Right]:
    """Applications by place, then stale Jobs."""
    patches = [Right("patch", "argoproj.io", "applications", ns) for ns in watched.applications]
    return [*patches, *(Right("delete", "batch", "jobs", ns) for ns in watched.hooks)]


def missing_rights(cluster: str, missing: Sequence[Right], account: str) -> list[Finding]:
    if not missing:
        return []
    namespaces = sorted({right.namespace for right in missing if right.namespace})
    commands = ["kubectl apply -k deploy/kustomize/base"]
    if namespaces and all(right.namespace for right in missing):
        commands = [
            f"kubectl -n {namespace} create rolebinding hook-responder-reader --clusterrole=hook-responder-reader "
            f"--serviceaccount={account}"
            for namespace in namespaces
        ]
    elif not namespaces:
        commands.append("or name some namespaces: argocd.application_namespaces, clusters[].namespaces")
    title = f"cluster {cluster}: our ServiceAccount may not read what it has to"
    return [Finding("rbac-reader", Severity.CRITICAL, title, _grouped(missing), "\n".join(commands))]


def _grouped(rights: Sequence[Right]) -> tuple[str, ...]:
    """``get, list, watch jobs.batch in namespace shop``"""
    verbs: dict[str, list[str]] = {}
    for right in rights:
        verb, _, rest = str(right).partition(" ")
        verbs.setdefault(rest, []).append(verb)
    return a_few([f"{', '.join(found)} {rest}" for rest, found in verbs.items()])


def acting(mode: Mode, granted: bool, missing: Sequence[Right], *, policy: bool | None) -> list[Finding]:
    """``policy``: is our admission policy installed? None: we could not see."""
    if missing and mode is not Mode.SHADOW:
        title = f"actions.mode is {mode}, but our ServiceAccount lacks rights to act: those acts are denied"
        remedy = f"{_APPLY_ALL}\nor actions: {{mode: shadow}} in responder.yaml"
        return [Finding("rbac-actuator", Severity.WARNING, title, _grouped(missing), remedy)]
    if not granted:
        title = "it changes nothing in the cluster: it has no right to, and actions.mode is shadow"
        return [Finding("read-only", Severity.NOTE, title)]
    found = []
    if mode is Mode.SHADOW:
        title = "our ServiceAccount may act, but actions.mode is shadow: what rules would do is recorded, not done"
        remedy = "actions: {mode: live} in responder.yaml, if you want it"
        found.append(Finding("shadow", Severity.NOTE, title, remedy=remedy))
    if policy is False:
        title = (
            "our ServiceAccount may patch Applications, and no admission policy holds it to the fields that it needs"
        )
        found.append(Finding("admission-policy", Severity.WARNING, title, remedy=_APPLY_ALL))
    return found


# Argo CD


def version_of(components: Iterable[Component]) -> tuple[int, int] | None:
    for component in components:
        match = _IMAGE.search(component.image)
        if match and "argocd" in component.image:
            return int(match[1]), int(match[2])
    return None


def argocd(
    namespace: str, components: Sequence[Component], projects: int, apps: Sequence[AppFacts], now: datetime
) -> list[Finding]:
    """Is it there, is it alive, and do we know this version? ``projects``: AppProjects; it makes one for itself."""
    lives = any(app.reconciled_at is not None and now - app.reconciled_at < ALIVE for app in apps)
    version = version_of(components)
    if not components and not lives and not projects:
        title = f"no Argo CD is seen in namespace {namespace}: no Pod, no AppProject, no Application looked at lately"
        remedy = "argocd: {namespace: ...} in responder.yaml; the first of clusters is the one that Argo CD runs in"
        return [Finding("argocd-not-found", Severity.CRITICAL, title, remedy=remedy)]
    if not components and not lives:
        title = (
            f"whether Argo CD runs is not known: no Pod of it in namespace {namespace}, no Application looked at lately"
        )
        return [Finding("argocd-unseen", Severity.NOTE, title)]
    if version is not None and version < OLDEST:
        title = f"Argo CD {version[0]}.{version[1]}: its hooks are not as we know them since {OLDEST[0]}.{OLDEST[1]}"
        return [Finding("argocd-version", Severity.WARNING, title, remedy="upgrade Argo CD; we are tested with 3.5")]
    return []


def notifications_controller(
    namespace: str, components: Sequence[Component], apps: Sequence[AppFacts]
) -> list[Finding]:
    """Its Pod, or its mark on any Application."""
    there = any("notifications" in component.name for component in components) or any(app.notified for app in apps)
    if there or not (components or apps):
        return []
    title = "Argo CD's notifications controller is not seen: nothing wakes us but the watch"
    remedy = (
        f"kubectl -n {namespace} get deployment argocd-notifications-controller   # part of Argo CD's own manifests"
    )
    return [Finding("notifications-controller", Severity.WARNING, title, remedy=remedy)]


def application_namespaces(parameters: Document, watched: Watched) -> list[Finding]:
    """``parameters``: argocd-cmd-params-cm, which says where Argo CD looks for Applications."""
    if parameters.trouble:
        return []
    told = (parameters.data or {}).get("application.namespaces", "")
    theirs = [word.strip() for word in told.split(",") if word.strip()]
    ours = [namespace for namespace in watched.applications if namespace not in ("", watched.control_plane)]
    foreign = [namespace for namespace in ours if not any(_takes(pattern, namespace) for pattern in theirs)]
    unseen = [pattern for pattern in theirs if not any(_takes(pattern, namespace) for namespace in ours)]
    if "" in watched.applications:
        unseen = []
    found = []
    if foreign:
        title = "argocd.application_namespaces names namespaces that Argo CD does not watch"
        where = f"ConfigMap {watched.control_plane}/argocd-cmd-params-cm"
        remedy = f"take them out, or add them to application.namespaces in {where}"
        found.append(Finding("namespaces-foreign", Severity.WARNING, title, a_few(foreign), remedy))
    if unseen:
        title = "Argo CD has Applications in namespaces that we do not watch: their failures are not seen"
        remedy = (
            f"argocd: {{application_namespaces: [{', '.join(unseen)}]}} in responder.yaml, and rights to read there"
        )
        found.append(Finding("namespaces-unseen", Severity.WARNING, title, a_few(unseen), remedy))
    return found


def _takes(pattern: str, namespace: str) -> bool:
    """A pattern between slashes is a regular expression of Go's: it is not judged."""
    return pattern.startswith("/") or glob_matches(pattern, namespace)


def keeps_to(cluster: str, watched: Watched, *, argocd_here: bool) -> list[Finding]:
    """Namespaced roles: said, so that nobody wonders about the rest."""
    told = []
    if argocd_here and "" not in watched.applications and len(watched.applications) > 1:
        told.append(f"Applications in {', '.join(watched.applications)}")
    if "" not in watched.hooks:
        told.append(f"hooks in {', '.join(watched.hooks)}")
    title = f"cluster {cluster}: only some namespaces are watched; what happens elsewhere is not seen"
    return [Finding("namespaced", Severity.NOTE, title, tuple(told))] if told else []


def switch(document: Document, mode: Mode, where: tuple[str, str]) -> list[Finding]:
    namespace, name = where
    release = f'kubectl -n {namespace} patch configmap {name} --type merge -p \'{{"data":{{"engaged":"false"}}}}\''
    if document.trouble:
        title = f"the kill switch, ConfigMap {namespace}/{name}, cannot be read: it counts as engaged, nothing acts"
        remedy = "kubectl apply -k deploy/kustomize/base"
        return [Finding("killswitch-unreadable", Severity.WARNING, title, (document.trouble,), remedy)]
    if document.data is None:
        title = f"the kill switch, ConfigMap {namespace}/{name}, is not there: it counts as engaged, nothing acts"
        create = f"kubectl -n {namespace} create configmap {name}\n{release}"
        return [Finding("killswitch-absent", Severity.WARNING, title, remedy=create)]
    if document.data.get("engaged", "").strip().lower() == "false":
        return []
    severity = Severity.NOTE if mode is Mode.SHADOW else Severity.WARNING
    title = "the kill switch is engaged: nothing acts until a person releases it"
    return [Finding("killswitch-engaged", severity, title, remedy=release)]


def clock(cluster: str, ahead: timedelta) -> list[Finding]:
    """``ahead``: of our clock before the API server's."""
    if abs(ahead) <= SKEW:
        return []
    seconds = round(abs(ahead).total_seconds())
    title = f"our clock is {seconds} s {'ahead of' if ahead > timedelta(0) else 'behind'} that of cluster {cluster}"
    remedy = "mend the time service (chrony, systemd-timesyncd) of the node: ages of failures are judged by it"
    return [Finding("clock", Severity.WARNING, title, remedy=remedy)]


# Hooks and Applications


def hooks(found: Sequence[HookFacts]) -> Iterator[Finding]:
    """Whose log Kubernetes or Argo CD deletes before a person can have read it."""
    losing = {
        "HookFailed": [hook for hook in found if "HookFailed" in hook.delete_policies],
        "ttl": [hook for hook in found if hook.ttl_seconds is not None and hook.ttl_seconds < 600],
    }
    told = [
        f"{hook.name} of {hook.app or 'no Application'}: {why}"
        for why, hooks_ in (
            ("hook-delete-policy HookFailed", losing["HookFailed"]),
            ("ttlSecondsAfterFinished below 10 minutes", losing["ttl"]),
        )
        for hook in hooks_
    ]
    if told:
        names = {hook.name for group in losing.values() for hook in group}
        title = f"{len(names)} of {len(found)} hook Jobs take their log with them when they fail: only we keep it"
        remedy = "argocd.argoproj.io/hook-delete-policy: BeforeHookCreation keeps the Job until the next sync"
        yield Finding("hooks-lose-logs", Severity.NOTE, title, a_few(told), remedy)


def retries(apps: Sequence[AppFacts]) -> Iterator[Finding]:
    """What Argo CD itself does after a failure, before anybody can judge it."""
    endless = [app.key for app in apps if app.retries is not None and app.retries < 0]
    if endless:
        title = f"{len(endless)} Applications are retried by Argo CD without end: so is a hook that does harm"
        remedy = "spec.syncPolicy.retry.limit: 5, and the act stop-retries in a rule"
        yield Finding("retry-endless", Severity.WARNING, title, a_few(endless), remedy)
    silent = [app.key for app in apps if app.automated and app.retries is None]
    if silent:
        title = f"{len(silent)} automated Applications set no retry: Argo CD runs a failed hook up to 5 times more"
        remedy = "say how often in spec.syncPolicy.retry.limit; the act stop-retries ends the rest where it is unsafe"
        yield Finding("retry-unset", Severity.NOTE, title, a_few(silent), remedy)
