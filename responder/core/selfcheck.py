"""Findings about the responder itself: its store, its secrets, its receivers, and the webhooks that reach it."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from responder.core.checkup import Finding, Severity

SCARCE: Final = 0.10  # of the volume's space
_SAMPLE = re.compile(r'responder_webhooks_total\{result="([a-z-]+)"\} ([0-9.e+]+)$', re.MULTILINE)


class Place(msgspec.Struct, frozen=True):
    """Where the store is. ``trouble``: why nothing can be written there."""

    path: str
    trouble: str = ""
    free: int = 0  # bytes
    total: int = 0
    store: int = 0  # bytes that the store has now
    wanted: int = 0  # that it may grow to: retention.size


def store(place: Place) -> list[Finding]:
    if place.trouble:
        title = f"the store {place.path} cannot be written: webhooks are refused, and nothing acts"
        remedy = (
            "the volume must be mounted writable for our user (fsGroup); store.url in responder.yaml names the file"
        )
        return [Finding("store", Severity.CRITICAL, title, (place.trouble,), remedy)]
    if place.total and place.free < SCARCE * place.total:
        title = f"the disk of the store is nearly full: {_size(place.free)} of {_size(place.total)} are free"
        remedy = "a larger volume, or a smaller retention.size in responder.yaml"
        return [Finding("disk", Severity.WARNING, title, remedy=remedy)]
    if place.total and place.store + place.free < place.wanted:
        title = f"retention.size is {_size(place.wanted)}, but the disk has room for {_size(place.store + place.free)}"
        return [Finding("retention", Severity.WARNING, title, remedy="a larger volume, or a smaller retention.size")]
    return []


def _size(count: int) -> str:
    return f"{count / (1 << 30):.1f} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"


def secrets(unreadable: Sequence[str]) -> list[Finding]:
    if not unreadable:
        return []
    title = "secrets that responder.yaml names cannot be read: serve does not start"
    remedy = "kubectl -n hook-responder get secret hook-responder-tokens   # the README's installation makes it"
    return [Finding("secrets", Severity.CRITICAL, title, tuple(unreadable), remedy)]


def argocd_api(cluster: str, url: str, trouble: str) -> list[Finding]:
    """A cluster whose logs come by Argo CD's API. ``trouble``: why that does not answer."""
    if trouble:
        title = f"cluster {cluster}: Argo CD's API does not answer us, no log of its hooks is recorded"
        remedy = "clusters[].argocd_api in responder.yaml; does a NetworkPolicy stand between?"
        return [Finding("argocd-api", Severity.WARNING, title, (trouble,), remedy)]
    title = f"cluster {cluster} is seen through Argo CD alone ({url}): no retry is ever called safe there"
    return [Finding("logs-alone", Severity.NOTE, title, remedy="a kubeconfig with the reader role shows the rest")]


def receivers(configured: int, unreachable: Mapping[str, str]) -> list[Finding]:
    """``unreachable``: by name why. That an address answers does not say that it takes alerts."""
    if not configured:
        title = "no receiver is configured: nobody is told of an incident"
        return [
            Finding("no-receivers", Severity.WARNING, title, remedy="receivers and routing.default in responder.yaml")
        ]
    if not unreachable:
        return []
    commands = "\n".join(f"responder receivers test {name} --config FILE" for name in unreachable)
    details = tuple(f"{name}: {why}" for name, why in unreachable.items())
    return [Finding("receiver-unreachable", Severity.WARNING, "receivers do not answer from here", details, commands)]


def webhooks(tokens: int, metrics: str | None) -> list[Finding]:
    """``metrics``: what the running service tells of itself; None: it was not reached."""
    if not tokens:
        title = "webhook.token_files is empty: every webhook is refused, failures are found by the watch alone"
        return [
            Finding(
                "webhook-no-token", Severity.WARNING, title, remedy="webhook: {token_files: [...]} in responder.yaml"
            )
        ]
    if metrics is None:
        title = "the running service was not reached from here: whether webhooks come was not looked at"
        return [Finding("service-not-reached", Severity.NOTE, title)]
    counted = {result: float(number) for result, number in _SAMPLE.findall(metrics)}
    if counted.get("unauthorized") and not counted.get("accepted"):
        title = "webhooks come with a wrong token, and are refused"
        remedy = "the token in Argo CD's argocd-notifications-secret must be the one of webhook.token_files"
        return [Finding("webhook-refused", Severity.WARNING, title, remedy=remedy)]
    if counted.get("stock-template"):
        title = "Argo CD sends us the stock template's text, which names no Application in full"
        return [Finding("webhook-text", Severity.WARNING, title, remedy="responder snippets argocd")]
    if not sum(counted.values()):
        title = "no webhook has come since the service was started: failures are found by the watch alone"
        remedy = "responder snippets argocd   # if a sync has ended since, its notifications controller's log tells why"
        return [Finding("webhook-never", Severity.WARNING, title, remedy=remedy)]
    return []
