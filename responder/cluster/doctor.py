"""Looks at a cluster for ``responder doctor``. It reads, asks what we may do, and writes nothing.

What it is not allowed to read is told as such: a check that was not made is no finding, and no clean bill either.
"""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from responder.cluster.client import Kubernetes
from responder.cluster.errors import ApiError
from responder.cluster.looking import AppRead, JobRead, NamedRead, PodRead, Reading, SyncPolicyRead
from responder.cluster.operated import declared
from responder.cluster.reviews import may
from responder.config import ClusterConfig, Settings
from responder.core import clustersetup as setup
from responder.core.checkup import Finding, Fingerprint, Fingerprints, Severity, a_few
from responder.core.clustersetup import AppFacts, Component, HookFacts, Right, Watched
from responder.core.hooknaming import TRACKING_ID, delete_policies, hook_types
from responder.core.notifysetup import CONFIG, SECRET, SUBSCRIBE, Setup, notifications
from responder.ports import Clock

ARGO_GROUP: Final = "/apis/argoproj.io/v1alpha1"
POLICY: Final = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/hook-responder-applications"
PARAMETERS: Final = "argocd-cmd-params-cm"
AT_ONCE: Final = 8


class Examination(msgspec.Struct, frozen=True):
    findings: tuple[Finding, ...] = ()
    reached: bool = True


async def examine(
    kubernetes: Kubernetes,
    config: ClusterConfig,
    settings: Settings,
    *,
    clock: Clock,
    shipped: Mapping[str, str],
    tokens: frozenset[str] | None,
    account: str,
    outside: bool,
) -> Examination:
    """One destination cluster; of the first, Argo CD too.

    ``shipped``: data of our ConfigMap for Argo CD. ``tokens``: SHA-256 of our webhook's; None when they cannot be read.
    ``account``: our ServiceAccount, ``namespace:name``. ``outside``: somebody else asks, with rights of their own.
    """
    try:
        server, now = await kubernetes.server_time(), clock.now()
    except ApiError as error:
        title = f"cluster {config.name}: its API server does not answer us"
        remedy = "is the address right, and are the credentials still good? clusters[] in responder.yaml"
        found = Finding("unreachable", Severity.CRITICAL, title, (str(error),), remedy)
        return Examination((found,), reached=False)
    reading = Reading(kubernetes)
    watched = _watched(config, settings)
    first = config.name == settings.clusters[0].name
    rights = _Rights(kubernetes, account if outside else "")
    findings = setup.clock(config.name, now - server) if server is not None else []
    findings += setup.keeps_to(config.name, watched, argocd_here=first)
    wanted = setup.argocd_rights(watched, asked_by_others=outside) if first else []
    if first and settings.lease.enabled:
        wanted += setup.lease_rights(settings.lease.namespace)
    wanted += setup.hook_rights(watched, await _operators(kubernetes))
    findings += setup.missing_rights(config.name, await rights.missing(wanted), account)
    if first:
        findings += await _argocd(reading, rights, settings, watched, now, shipped, tokens)
    findings += setup.hooks([hook for namespace in watched.hooks for hook in await _hooks(reading, namespace)])
    return Examination((*findings, *_unread(config.name, [*reading.unread, *rights.unknown], outside=outside)))


async def _operators(kubernetes: Kubernetes) -> Sequence[str]:
    try:
        return sorted(await declared(kubernetes))
    except ApiError:
        return ()


def _watched(config: ClusterConfig, settings: Settings) -> Watched:
    argocd = settings.argocd
    names = tuple(dict.fromkeys((argocd.namespace, *argocd.application_namespaces)))
    return Watched(
        control_plane=argocd.namespace,
        applications=("",) if setup.EVERYWHERE in names else names,
        hooks=config.namespaces or ("",),
        switch=(settings.killswitch.namespace, settings.killswitch.name),
    )


class _Rights:
    def __init__(self, kubernetes: Kubernetes, account: str) -> None:
        self._kubernetes = kubernetes
        self._account = account
        self._room = asyncio.Semaphore(AT_ONCE)
        self.unknown: list[str] = []

    async def missing(self, wanted: Iterable[Right]) -> list[Right]:
        rights = list(wanted)
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(self._ask(right)) for right in rights]
        answers = [task.result() for task in asking]
        if None in answers:
            self.unknown = ["what our ServiceAccount may do: no access review was allowed"]
        return [right for right, answer in zip(rights, answers, strict=True) if answer is False]

    async def _ask(self, right: Right) -> bool | None:
        async with self._room:
            return await may(self._kubernetes, right, self._account)


async def _argocd(
    reading: Reading,
    rights: _Rights,
    settings: Settings,
    watched: Watched,
    now: datetime,
    shipped: Mapping[str, str],
    tokens: frozenset[str] | None,
) -> list[Finding]:
    kinds = await reading.kinds(ARGO_GROUP)
    if lacking := [kind for kind in ("applications", "appprojects") if kind not in kinds]:
        return [_no_kinds(lacking)]
    listed = [await _applications(reading, place) for place in watched.applications]
    raw = [app for apps in listed for app in apps or ()]
    apps = [_app_facts(app) for app in raw]
    namespace = watched.control_plane
    seen: list[Finding] = []
    components = await _components(reading, namespace)
    projects = await reading.listed("AppProjects", f"{ARGO_GROUP}/namespaces/{namespace}/appprojects", NamedRead)
    if components is not None and projects is not None and None not in listed:
        seen += setup.argocd(namespace, components, len(projects), apps, now)
        seen += setup.notifications_controller(namespace, components, apps)
    seen += notifications(await _notification_setup(reading, raw, settings, namespace, shipped, tokens))
    seen += setup.application_namespaces(await reading.document("ConfigMap", namespace, PARAMETERS), watched)
    seen += await _acting(reading, rights, settings, watched)
    seen += setup.retries(apps)
    return seen


async def _notification_setup(
    reading: Reading,
    apps: Sequence[AppRead],
    settings: Settings,
    namespace: str,
    shipped: Mapping[str, str],
    tokens: frozenset[str] | None,
) -> Setup:
    subscribed = {key for app in apps for key in app.metadata.annotations or () if key.startswith(SUBSCRIBE)}
    return Setup(
        await reading.document("ConfigMap", namespace, CONFIG),
        await _fingerprints(reading, namespace),
        shipped,
        namespace,
        settings.listen.url.partition("://")[2].partition("/")[0].partition(":")[0],
        tokens,
        tuple(sorted(subscribed)),
    )


async def _acting(reading: Reading, rights: _Rights, settings: Settings, watched: Watched) -> list[Finding]:
    """May we act, and does anything hold us to what that is for?"""
    mode, wanted = settings.actions.mode, setup.acting_rights(watched)
    switch = await reading.document("ConfigMap", *watched.switch, silently=True)
    lacks = await rights.missing(wanted)
    granted = len(lacks) < len(wanted)
    policy = await reading.there("ValidatingAdmissionPolicy hook-responder-applications", POLICY) if granted else None
    return [*setup.switch(switch, mode, watched.switch), *setup.acting(mode, granted, lacks, policy=policy)]


def _no_kinds(lacking: Sequence[str]) -> Finding:
    title = "this cluster does not know Argo CD's kinds: no Argo CD is installed in it"
    remedy = "the first of clusters in responder.yaml is the one that Argo CD runs in"
    return Finding("crd-missing", Severity.CRITICAL, title, tuple(f"{kind}.argoproj.io" for kind in lacking), remedy)


async def _applications(reading: Reading, namespace: str) -> list[AppRead] | None:
    where = f"/namespaces/{namespace}" if namespace else ""
    return await reading.listed("Applications", f"{ARGO_GROUP}{where}/applications", AppRead)


def _app_facts(app: AppRead) -> AppFacts:
    policy = (app.spec and app.spec.sync_policy) or SyncPolicyRead()
    automated = policy.automated is not None and policy.automated.get("enabled", True) is not False
    return AppFacts(
        f"{app.metadata.namespace}/{app.metadata.name}",
        automated,
        policy.retry.limit if policy.retry is not None else None,
        app.status.reconciled_at if app.status is not None else None,
        setup.NOTIFIED in (app.metadata.annotations or ()),
    )


async def _components(reading: Reading, namespace: str) -> list[Component] | None:
    query = (("labelSelector", "app.kubernetes.io/part-of=argocd"),)
    pods = await reading.listed(f"Pods in {namespace}", f"/api/v1/namespaces/{namespace}/pods", PodRead, query)
    if pods is None:
        return None
    return [
        Component((pod.metadata.labels or {}).get("app.kubernetes.io/name", pod.metadata.name), container.image)
        for pod in pods
        for container in ((pod.spec and pod.spec.containers) or [])[:1]
    ]


async def _hooks(reading: Reading, namespace: str) -> list[HookFacts]:
    where = f"/namespaces/{namespace}" if namespace else ""
    jobs = await reading.listed("Jobs", f"/apis/batch/v1{where}/jobs", JobRead)
    return [
        HookFacts(
            (job.metadata.annotations or {}).get(TRACKING_ID, "").partition(":")[0],
            f"{job.metadata.namespace}/{job.metadata.name}",
            delete_policies(job.metadata.annotations or {}),
            job.spec.ttl_seconds_after_finished if job.spec is not None else None,
        )
        for job in jobs or ()
        if hook_types(job.metadata.annotations or {})
    ]


async def _fingerprints(reading: Reading, namespace: str) -> Fingerprints:
    """The values themselves are dropped at once."""
    read = await reading.document("Secret", namespace, SECRET)
    if read.data is None:
        return Fingerprints(None, read.trouble)
    return Fingerprints({key: _fingerprint(value) for key, value in read.data.items()})


def _fingerprint(encoded: str) -> Fingerprint:
    try:
        value = base64.b64decode(encoded)
    except (binascii.Error, ValueError):
        value = b""
    return Fingerprint(hashlib.sha256(value).hexdigest(), hashlib.sha256(value.strip()).hexdigest())


def _unread(cluster: str, unread: Sequence[str], *, outside: bool) -> list[Finding]:
    if not unread:
        return []
    title = f"cluster {cluster}: some things could not be looked at with these rights"
    remedy = "" if outside else "from where you have more rights: responder doctor --config FILE --kubeconfig FILE"
    return [Finding("not-looked-at", Severity.NOTE, title, a_few(unread), remedy)]
