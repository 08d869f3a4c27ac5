"""``responder doctor``: what is wrong with this installation, the worst first, each with what to do about it."""

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import aiohttp
import msgspec
import yaml
from prometheus_client import CollectorRegistry

from responder.cluster.doctor import examine
from responder.cluster.errors import ApiError
from responder.config import ClusterConfig, ConfigError, ReceiverConfig, Settings, read_key, read_secret
from responder.connecting import connect
from responder.core import selfcheck
from responder.core.checkup import Finding, Severity, count, in_order, mended_by_somebody
from responder.exits import COULD_NOT_ASK, GOOD, NO
from responder.metrics import Metrics
from responder.shipped import snippet
from responder.terminal import coloured, plain
from responder.wallclock import WallClock

CONNECT_SECONDS = 3.0
SCRAPE_SECONDS = 5.0
_COLOURS = {Severity.CRITICAL: "\x1b[1;31m", Severity.WARNING: "\x1b[33m", Severity.NOTE: "\x1b[36m"}
_ANY = ("0.0.0.0", "::", "")  # noqa: S104 - compared, not bound
_PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


class Visit(msgspec.Struct, frozen=True):
    """Where the doctor stands. With a ``kubeconfig`` it is a person's machine: files of the Pod are not looked at."""

    settings: Settings
    kubeconfig: Path | None = None
    context: str | None = None
    account: str = "hook-responder:hook-responder"  # our ServiceAccount, namespace:name

    @property
    def outside(self) -> bool:
        return self.kubeconfig is not None or self.context is not None


def run_doctor(visit: Visit, *, as_json: bool) -> int:
    findings, reached = asyncio.run(look(visit))
    return report(findings, reached, as_json=as_json, stream=sys.stdout)


def report(findings: list[Finding], reached: bool, *, as_json: bool, stream: TextIO) -> int:
    """0 nothing to mend, 1 findings, 4 an API server did not answer."""
    stream.write(told_as_json(findings) if as_json else told(findings, colours=coloured(stream)))
    if not reached:
        return COULD_NOT_ASK
    return NO if mended_by_somebody(findings) else GOOD


async def look(visit: Visit) -> tuple[list[Finding], bool]:
    findings: list[Finding] = []
    reached = True
    tokens = None if visit.outside else fingerprints(visit.settings)
    for config in visit.settings.clusters:
        try:
            found, answered = await _look_at(visit, config, tokens)
        except (ApiError, ConfigError) as error:  # no kubeconfig, no ServiceAccount, a token that cannot be read
            title = f"cluster {config.name}: we cannot log in"
            remedy = "clusters[] in responder.yaml; from outside the Pod: --kubeconfig FILE"
            found, answered = [Finding("credentials", Severity.CRITICAL, title, (str(error),), remedy)], False
        findings += found
        reached &= answered
    if not visit.outside:
        findings += await _itself(visit.settings)
    return in_order(findings), reached


async def _look_at(visit: Visit, config: ClusterConfig, tokens: frozenset[str] | None) -> tuple[list[Finding], bool]:
    first = config.name == visit.settings.clusters[0].name
    if visit.outside and first:
        reached_by = {"kubeconfig": visit.kubeconfig, "context": visit.context, "url": "", "token_file": None}
        config = config.model_copy(update=reached_by)
    if config.argocd_api is not None:
        trouble = await _connects(config.argocd_api.url)
        return selfcheck.argocd_api(config.name, config.argocd_api.url, trouble), True
    async with await connect(config, Metrics(CollectorRegistry())) as kubernetes:
        found = await examine(
            kubernetes,
            config,
            visit.settings,
            clock=WallClock(),
            shipped=yaml.safe_load(snippet("argocd"))["data"],
            tokens=tokens,
            account=visit.account,
            outside=visit.outside,
        )
    return list(found.findings), found.reached


def fingerprints(settings: Settings) -> frozenset[str] | None:
    try:
        held = [read_secret(path).encode() for path in settings.webhook.token_files]
    except ConfigError:
        return None  # told with the other secrets
    return frozenset(hashlib.sha256(token).hexdigest() for token in held)


# Ourselves


async def _itself(settings: Settings) -> list[Finding]:
    unreadable = _unreadable(settings)
    return [
        *selfcheck.secrets(unreadable),
        *selfcheck.store(_place(settings)),
        *selfcheck.receivers(len(settings.receivers), await _unreachable(settings.receivers)),
        *selfcheck.webhooks(len(settings.webhook.token_files), await _metrics(settings)),
    ]


def _unreadable(settings: Settings) -> list[str]:
    files = [*settings.webhook.token_files, *(token.token_file for token in settings.access.static_tokens)]
    files += [file for r in settings.receivers for file in (r.url_file, r.secret_file, r.token_file) if file]
    apis = [config.argocd_api for config in settings.clusters if config.argocd_api]
    files += [file for api in apis for file in (api.token_file, api.ca_file) if file]
    files += [settings.redaction.key_file] if settings.redaction.key_file else []
    found: list[str] = []
    for path in files:
        try:
            read_key(path)
        except ConfigError as error:
            found += error.problems
    return list(dict.fromkeys(found))


def _place(settings: Settings) -> selfcheck.Place:
    path = settings.store.path
    shown = str(path)
    try:
        if not os.access(path if path.exists() else path.parent, os.W_OK):
            return selfcheck.Place(shown, f"{path if path.exists() else path.parent}: no right to write, or not there")
        disk = os.statvfs(path.parent)
        held = path.stat().st_size if path.exists() else 0
    except OSError as error:
        return selfcheck.Place(shown, str(error))
    free, total = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    return selfcheck.Place(shown, "", free, total, held, settings.retention.size)


async def _unreachable(receivers: Iterable[ReceiverConfig]) -> Mapping[str, str]:
    """By a bare connection: nothing is sent. Behind a proxy nothing can be said."""
    if any(os.environ.get(name) for name in _PROXIES):
        return {}
    found: dict[str, str] = {}
    for receiver in receivers:
        with suppress(ConfigError):  # told with the other secrets
            urls = [*receiver.urls, *([read_secret(receiver.url_file)] if receiver.url_file else [])]
            troubles = [trouble for url in urls if (trouble := await _connects(url))]
            if troubles:
                found[receiver.name] = "; ".join(troubles)
    return found


async def _connects(url: str) -> str:
    """Host and port alone are told: an address may be a secret."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        host.encode("idna")
    except ValueError:
        return "its URL is none"
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except OSError as error:  # TimeoutError is one
        return f"{host}:{port}: {error.strerror or 'no answer'}"
    writer.close()
    return ""


async def _metrics(settings: Settings) -> str | None:
    """Of the service that runs beside us; None when it does not answer, or not to us."""
    headers = {}
    with suppress(ConfigError):
        for token in settings.access.static_tokens[:1]:
            headers["Authorization"] = f"Bearer {read_secret(token.token_file)}"
    host = settings.listen.host if settings.listen.host not in _ANY else "127.0.0.1"
    url = f"http://{host}:{settings.listen.port}/metrics"
    try:
        async with (
            asyncio.timeout(SCRAPE_SECONDS),
            aiohttp.ClientSession() as http,
            http.get(url, headers=headers) as answer,
        ):
            return await answer.text() if answer.status == 200 else None
    except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
        return None


# The report


def told_as_json(findings: Iterable[Finding]) -> str:
    return "".join(json.dumps(msgspec.to_builtins(finding), ensure_ascii=False) + "\n" for finding in findings)


def told(findings: list[Finding], *, colours: bool) -> str:
    lines: list[str] = []
    for finding in findings:
        word = finding.severity.upper().ljust(8)
        lines.append(f"{_COLOURS[finding.severity]}{word}\x1b[0m" if colours else word)
        lines[-1] += f"  {plain(finding.title)}  [{finding.id}]"
        lines += [f"          - {plain(detail)}" for detail in finding.details]
        lines += [f"          > {line}" for line in finding.remedy.splitlines()]
    return "\n".join([*lines, *([""] if lines else []), count(findings)]) + "\n"
