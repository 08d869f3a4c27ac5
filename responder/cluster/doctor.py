"""Looks at a cluster for ``responder doctor``. It reads, asks what we may do, and writes nothing.

What it is not allowed to read is told as such: a check that was not made is no finding, and no clean bill either.
"""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from responder.cluster.client import Kubernetes
from responder.cluster.errors import UNREADABLE, ApiError, Forbidden, NotFound
from responder.cluster.operated import declared
from responder.cluster.reviews import may
from responder.cluster.wire import decoders
from responder.config import ClusterConfig, Settings
from responder.core import clustersetup as setup
from responder.core.checkup import Document, Finding, Fingerprint, Fingerprints, Severity, a_few
from responder.core.clustersetup import AppFacts, Component, HookFacts, Right, Watched
from responder.core.hooknaming import TRACKING_ID, delete_policies, hook_types
from responder.core.hookwire import Wire
from responder.core.notifysetup import CONFIG, SECRET, SUBSCRIBE, Setup, notifications
from responder.ports import Clock

ARGO_GROUP: Final = "/apis/argoproj.io/v1alpha1"
POLICY: Final = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/hook-responder-applications"
MOST: Final = 20_000  # objects of a kind that are looked at
AT_ONCE: Final = 8

T = TypeVar("T")


class _Meta(Wire):
    name: str = ""
    namespace: str = ""
    annotations: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class _Named(Wire):
    metadata: _Meta


class _Retry(Wire):
    limit: int | None = None


class _SyncPolicy(Wire):
    automated: dict[str, object] | None = None
    retry: _Retry | None = None


class _AppSpec(Wire):
    sync_policy: _SyncPolicy | None = None


class _AppStatus(Wire):
    reconciled_at: datetime | None = None


class _App(Wire):
    metadata: _Meta
    spec: _AppSpec | None = None
    status: _AppStatus | None = None


class _JobSpec(Wire):
    ttl_seconds_after_finished: int | None = None


class _Job(Wire):
    metadata: _Meta
    spec: _JobSpec | None = None


class _Container(Wire):
    image: str = ""


class _PodSpec(Wire):
    containers: list[_Container] | None = None


class _Pod(Wire):
    metadata: _Meta
    spec: _PodSpec | None = None


class _Holder(Wire):
    data: dict[str, str] | None = None


class _Kind(Wire):
    name: str = ""


class _Kinds(Wire):
    resources: list[_Kind] | None = None


class _Reading:
    """One cluster's answers; ``unread`` says what was refused."""

    def __init__(self, kubernetes: Kubernetes) -> None:
        self._kubernetes = kubernetes
        self.unread: list[str] = []

    async def document(self, kind: str, namespace: str, name: str, *, silently: bool = False) -> Document:
        """``silently``: whoever asks tells of its trouble."""
        plural = f"{kind.lower()}s"
        try:
            body = await self._kubernetes.get(f"/api/v1/namespaces/{namespace}/{plural}/{name}")
            return Document(msgspec.json.decode(body, type=_Holder).data or {})
        except NotFound:
            return Document()
        except (ApiError, *UNREADABLE) as error:
            if not silently:
                self._refused(f"{kind} {namespace}/{name}", error)
            return Document(trouble=str(error))

    async def listed(
        self, what: str, path: str, kind: type[T], query: Sequence[tuple[str, str]] = ()
    ) -> list[T] | None:
        found: list[T] = []
        decode, _ = decoders(kind, _as_it_is)
        try:
            async for page in self._kubernetes.list_pages(path, query):
                found += decode(page).items
                if len(found) >= MOST:
                    break
        except (ApiError, *UNREADABLE) as error:
            self._refused(what, error)
            return None
        return found

    async def there(self, what: str, path: str) -> bool | None:
        try:
            await self._kubernetes.get(path)
        except NotFound:
            return False
        except ApiError as error:
            self._refused(what, error)
            return None
        return True

    async def kinds(self, path: str) -> set[str]:
        try:
            body = await self._kubernetes.get(path)
            return {kind.name for kind in msgspec.json.decode(body, type=_Kinds).resources or []}
        except (ApiError, *UNREADABLE):
            return set()

    def _refused(self, what: str, error: Exception) -> None:
        why = "forbidden" if isinstance(error, Forbidden) else str(error)
        self.unread.append(f"{what}: {why}")


def _as_it_is(value: T) -> T:
    return value


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
    reading = _Reading(kubernetes)
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
    reading: _Reading,
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
    namespace = watched.control_plane
    listed = [await _applications(reading, place) for place in watched.applications]
    raw = [app for apps in listed for app in apps or ()]
    apps = [_app_facts(app) for app in raw]
    components = await _components(reading, namespace)
    subscribed = {key for app in raw for key in app.metadata.annotations or () if key.startswith(SUBSCRIBE)}
    switch = await reading.document("ConfigMap", *watched.switch, silently=True)
    acts = setup.acting_rights(watched)
    lacks = await rights.missing(acts)
    granted = len(lacks) < len(acts)
    policy = await reading.there("ValidatingAdmissionPolicy hook-responder-applications", POLICY) if granted else None
    projects = await reading.listed("AppProjects", f"{ARGO_GROUP}/namespaces/{namespace}/appprojects", _Named)
    seen: list[Finding] = []
    if components is not None and projects is not None and None not in listed:
        seen += setup.argocd(namespace, components, len(projects), apps, now)
        seen += setup.notifications_controller(namespace, components, apps)
    return [
        *seen,
        *notifications(
            Setup(
                await reading.document("ConfigMap", namespace, CONFIG),
                await _fingerprints(reading, namespace),
                shipped,
                namespace,
                settings.listen.url.partition("://")[2].partition("/")[0].partition(":")[0],
                tokens,
                tuple(sorted(subscribed)),
            )
        ),
        *setup.application_namespaces(await reading.document("ConfigMap", namespace, "argocd-cmd-params-cm"), watched),
        *setup.switch(switch, settings.actions.mode, watched.switch),
        *setup.acting(settings.actions.mode, granted, lacks, policy=policy),
        *setup.retries(apps),
    ]


def _no_kinds(lacking: Sequence[str]) -> Finding:
    title = "this cluster does not know Argo CD's kinds: no Argo CD is installed in it"
    remedy = "the first of clusters in responder.yaml is the one that Argo CD runs in"
    return Finding("crd-missing", Severity.CRITICAL, title, tuple(f"{kind}.argoproj.io" for kind in lacking), remedy)


async def _applications(reading: _Reading, namespace: str) -> list[_App] | None:
    where = f"/namespaces/{namespace}" if namespace else ""
    return await reading.listed("Applications", f"{ARGO_GROUP}{where}/applications", _App)


def _app_facts(app: _App) -> AppFacts:
    policy = (app.spec and app.spec.sync_policy) or _SyncPolicy()
    automated = policy.automated is not None and policy.automated.get("enabled", True) is not False
    return AppFacts(
        f"{app.metadata.namespace}/{app.metadata.name}",
        automated,
        policy.retry.limit if policy.retry is not None else None,
        app.status.reconciled_at if app.status is not None else None,
        setup.NOTIFIED in (app.metadata.annotations or ()),
    )


async def _components(reading: _Reading, namespace: str) -> list[Component] | None:
    query = (("labelSelector", "app.kubernetes.io/part-of=argocd"),)
    pods = await reading.listed(f"Pods in {namespace}", f"/api/v1/namespaces/{namespace}/pods", _Pod, query)
    if pods is None:
        return None
    return [
        Component((pod.metadata.labels or {}).get("app.kubernetes.io/name", pod.metadata.name), container.image)
        for pod in pods
        for container in ((pod.spec and pod.spec.containers) or [])[:1]
    ]


async def _hooks(reading: _Reading, namespace: str) -> list[HookFacts]:
    where = f"/namespaces/{namespace}" if namespace else ""
    jobs = await reading.listed("Jobs", f"/apis/batch/v1{where}/jobs", _Job)
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


async def _fingerprints(reading: _Reading, namespace: str) -> Fingerprints:
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
