"""Connections to the clusters that are configured, and to Argo CD's API where that alone shows us their logs."""

from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from responder.cluster.argologs import ArgoLogs
from responder.cluster.client import Kubernetes, Observe
from responder.cluster.credentials import TokenFile
from responder.config import ArgoCDApi, ClusterConfig, Settings, read_secret
from responder.metrics import Metrics


class Connections(msgspec.Struct, frozen=True):
    argocd: Kubernetes  # the cluster that Argo CD itself runs in
    clusters: dict[str, Kubernetes]  # by name, that one among them
    unreached: dict[str, ArgoLogs]  # by name: clusters of which Argo CD gives us the logs


async def open_connections(settings: Settings, metrics: Metrics, stack: AsyncExitStack) -> Connections:
    """The stack closes them."""
    clusters: dict[str, Kubernetes] = {}
    unreached: dict[str, ArgoLogs] = {}
    for config in settings.clusters:
        if config.argocd_api is None:
            clusters[config.name] = await stack.enter_async_context(await connect(config, metrics))
        else:
            unreached[config.name] = await stack.enter_async_context(_argo_logs(config.argocd_api, metrics))
    return Connections(clusters[settings.clusters[0].name], clusters, unreached)


async def connect(config: ClusterConfig, metrics: Metrics) -> Kubernetes:
    """By plain URL, by kubeconfig, or as the Pod that we are."""
    observe = _observer(metrics)
    if config.url:
        credentials = _token(config.token_file) if config.token_file is not None else None
        return Kubernetes.from_url(config.url, credentials=credentials, name=config.name, observe=observe)
    if config.kubeconfig is not None or config.context is not None:
        path = str(config.kubeconfig) if config.kubeconfig is not None else None
        return await Kubernetes.from_kubeconfig(path, config.context, name=config.name, observe=observe)
    return await Kubernetes.from_in_cluster(name=config.name, observe=observe)


def _argo_logs(config: ArgoCDApi, metrics: Metrics) -> ArgoLogs:
    ca = str(config.ca_file) if config.ca_file is not None else None
    return ArgoLogs(config.url, _token(config.token_file), ca=ca, observe=_observer(metrics))


def _token(path: Path) -> TokenFile:
    """One that is missing at the start is an error at once."""
    read_secret(path)
    return TokenFile(path)


def _observer(metrics: Metrics) -> Observe:
    def observe(verb: str, resource: str, code: str) -> None:
        metrics.kubernetes_requests_total(verb, resource, code).inc()

    return observe
