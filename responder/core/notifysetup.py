"""Does Argo CD's notifications config wake us, as ``responder snippets argocd`` says it should?

Facts: argocd.md of notifications-engine. A template without a section for the service is a GET with text that names
nothing; with ``oncePer`` a delivery that failed is lost, and so is the same revision's next failure; one faulty key
stops every notification.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
import yaml

from responder.core.checkup import Document, Finding, Fingerprints, Severity, a_few

CONFIG = "argocd-notifications-cm"
SECRET = "argocd-notifications-secret"  # noqa: S105 - a name
SERVICE = "hook-responder"
PATH = "/v1/argocd/webhook"
SUBSCRIBE = "notifications.argoproj.io/subscribe."

_KEYS = ("service.", "template.", "trigger.", "subscriptions", "defaultTriggers")
_REFERENCE = re.compile(r"\$([\w-]+)")
_DURATIONS = ("retryWaitMin", "retryWaitMax")
_FINAL = re.compile(r"['\"](Failed|Error)['\"]")


class Setup(msgspec.Struct, frozen=True):
    """``shipped``: data of the ConfigMap that we ship. ``tokens``: SHA-256 of those that our webhook takes."""

    config: Document
    secret: Fingerprints
    shipped: Mapping[str, str]
    namespace: str = "argocd"
    host: str = ""  # of our own address
    tokens: frozenset[str] | None = None  # None: we could not read them
    annotations: tuple[str, ...] = ()  # keys of Applications' annotations that subscribe to something


def notifications(setup: Setup) -> list[Finding]:
    """Empty where the config could not be read: that is told elsewhere."""
    if setup.config.trouble:
        return []
    data = setup.config.data
    if not data:
        return [_lacks("notifications-config", f"ConfigMap {CONFIG} is not there or empty", (), setup)]
    parsed, faulty = _parsed(data)
    if faulty:
        return [_faulty(faulty)]
    services = _ours(parsed, setup.host)
    if not services:
        return [_lacks("notifications-service", "Argo CD has no webhook service that leads to us", (), setup)]
    return [
        *_tokens(parsed, services, setup),
        *_missing(data, setup),
        *_text_only(parsed, services, setup),
        *_once_per(parsed, services),
        *_subscribed(parsed, services, setup),
        *_unknown(parsed, services, setup),
    ]


def _parsed(data: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    parsed, faulty = {}, []
    for key, text in data.items():
        if not key.startswith(_KEYS):
            continue
        try:
            parsed[key] = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            faulty.append(f"{key}: is no YAML")
            continue
        waits = [name for name in _DURATIONS if isinstance(_field(parsed[key], name), str)]
        if key.startswith("service.webhook"):
            faulty += [f"{key}: {name} must be whole nanoseconds, like 1000000000" for name in waits]
    return parsed, faulty


def _ours(parsed: Mapping[str, Any], host: str) -> list[str]:
    """Names of the webhook services that lead to us."""
    found = []
    for key, service in parsed.items():
        kind, _, name = key.removeprefix("service.").partition(".")
        if not key.startswith("service.") or kind != "webhook" or not name:
            continue
        target = _host(str(_field(service, "url") or ""))
        if name == SERVICE or (target and (target == host or target.partition(".")[0] == SERVICE)):
            found.append(name)
    return found


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


# The token


def _tokens(parsed: Mapping[str, Any], services: Sequence[str], setup: Setup) -> Iterator[Finding]:
    for name in services:
        key = _reference(parsed[f"service.webhook.{name}"])
        if not key:
            yield Finding(
                "notifications-token",
                Severity.WARNING,
                f"Argo CD's webhook service {name} sends no token from a Secret: we refuse what it sends",
                remedy=_patch(setup.namespace),
            )
        elif setup.secret.data is not None or not setup.secret.trouble:
            yield from _compared(key, setup)


def _reference(service: object) -> str:
    """The key of the Secret that its Authorization header, or its password, is taken from."""
    values = [
        str(_field(header, "value") or "")
        for header in _list(_field(service, "headers"))
        if str(_field(header, "name")).lower() == "authorization"
    ]
    values.append(str(_field(_field(service, "basicAuth"), "password") or ""))
    found = [match[1] for value in values if (match := _REFERENCE.search(value))]
    return found[0] if found else ""


def _compared(key: str, setup: Setup) -> Iterator[Finding]:
    command = (
        f"kubectl -n {setup.namespace} patch secret {SECRET} --type merge "
        f'-p "{{\\"stringData\\":{{\\"{key}\\":\\"$(cat webhook-token)\\"}}}}"'
    )
    held = (setup.secret.data or {}).get(key)
    if held is None:
        title = f"Secret {SECRET} has no key {key}: what Argo CD sends carries no token, and we refuse it"
        yield Finding("notifications-token-missing", Severity.WARNING, title, remedy=command)
    elif setup.tokens is not None and held.exact not in setup.tokens:
        blank = held.stripped in setup.tokens
        why = "white space around it" if blank else "another value than each of webhook.token_files"
        title = f"Secret {SECRET}, key {key}: {why}: we refuse what Argo CD sends"
        yield Finding("notifications-token-differs", Severity.WARNING, title, remedy=command)


# Triggers and templates


def _missing(data: Mapping[str, str], setup: Setup) -> Iterator[Finding]:
    for kind in ("trigger", "template"):
        names = [key for key in setup.shipped if key.startswith(f"{kind}.") and key not in data]
        if names:
            yield _lacks(f"notifications-{kind}s", f"Argo CD lacks {kind}s of ours", tuple(names), setup)


def _text_only(parsed: Mapping[str, Any], services: Sequence[str], setup: Setup) -> Iterator[Finding]:
    """What the stock catalog's templates do: they wake us, but name no Application."""
    told = []
    for name, trigger in _subscriptions(parsed, services, setup.annotations):
        for template in _sends(parsed.get(f"trigger.{trigger}")):
            content = parsed.get(f"template.{template}")
            section = _field(_field(content, "webhook"), name)
            if content is None or (str(_field(section, "method")).upper() == "POST" and _path(section) == PATH):
                continue
            told.append(f"trigger {trigger}, template {template}")
    if told:
        yield Finding(
            "notifications-text",
            Severity.WARNING,
            f"templates without a POST to {PATH} send us text that names no Application in full: each wakes us for all",
            a_few(list(dict.fromkeys(told))),
            f"subscribe us to our own triggers alone:\n{_patch(setup.namespace)}",
        )


def _once_per(parsed: Mapping[str, Any], services: Sequence[str]) -> Iterator[Finding]:
    told = []
    for key, conditions in parsed.items():
        if not key.startswith("trigger.") or not _reaches(parsed, _sends(conditions), services):
            continue
        finals = [c for c in _list(conditions) if _FINAL.search(str(_field(c, "when")))]
        told += [f"{key}: oncePer: {_field(c, 'oncePer')}" for c in finals if _field(c, "oncePer")]
    if told:
        yield Finding(
            "notifications-once-per",
            Severity.WARNING,
            "a trigger for final failures has oncePer: a delivery that fails is lost, and so is the same revision's "
            "next failure",
            a_few(told),
            "take oncePer out of it, as `responder snippets argocd` has it",
        )


def _subscribed(parsed: Mapping[str, Any], services: Sequence[str], setup: Setup) -> Iterator[Finding]:
    if not list(_subscriptions(parsed, services, setup.annotations)):
        title = "nothing is subscribed to our webhook service: no Application's failure is sent to us"
        remedy = f"if you have the key subscriptions, add the snippet's entry to it; else\n{_patch(setup.namespace)}"
        yield Finding("notifications-subscriptions", Severity.WARNING, title, remedy=remedy)


def _unknown(parsed: Mapping[str, Any], services: Sequence[str], setup: Setup) -> Iterator[Finding]:
    """One of ours that is not there is told as missing."""
    wanted = dict.fromkeys(trigger for _, trigger in _subscriptions(parsed, services, setup.annotations))
    absent = [name for name in wanted if not {f"trigger.{name}"} & {*parsed, *setup.shipped}]
    if absent:
        yield Finding(
            "notifications-unknown-trigger",
            Severity.WARNING,
            f"a subscription to our webhook service names a trigger that {CONFIG} does not have: it sends us nothing",
            a_few([f"trigger.{name}" for name in absent]),
            f"subscribe us to our own triggers (an annotation: by their names):\n{_patch(setup.namespace)}",
        )


def _subscriptions(
    parsed: Mapping[str, Any], services: Sequence[str], annotations: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """Service and trigger of each subscription that leads to us."""
    for entry in _list(parsed.get("subscriptions")):
        for recipient in _list(_field(entry, "recipients")):
            name = str(recipient).partition(":")[0]
            if name in services:
                triggers = _list(_field(entry, "triggers")) or _default(parsed, name)
                yield from ((name, str(trigger)) for trigger in triggers)
    for annotation in annotations:
        trigger, _, name = annotation.removeprefix(SUBSCRIBE).rpartition(".")
        if name in services and trigger:
            yield name, trigger
        elif trigger == "" and name in services:
            yield from ((name, str(trigger)) for trigger in _default(parsed, name))


def _default(parsed: Mapping[str, Any], service: str) -> Sequence[Any]:
    return _list(parsed.get(f"defaultTriggers.{service}")) or _list(parsed.get("defaultTriggers"))


def _sends(conditions: object) -> list[str]:
    return [str(name) for condition in _list(conditions) for name in _list(_field(condition, "send"))]


def _reaches(parsed: Mapping[str, Any], templates: Iterable[str], services: Sequence[str]) -> bool:
    sections = [_field(parsed.get(f"template.{template}"), "webhook") for template in templates]
    return any(_field(section, name) is not None for section in sections for name in services)


def _path(section: object) -> str:
    return str(_field(section, "path")).partition("?")[0]


def _field(value: object, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


# The words


def _lacks(id_: str, title: str, details: tuple[str, ...], setup: Setup) -> Finding:
    why = f"{title}: failures are found by the watch alone, a moment later"
    return Finding(id_, Severity.WARNING, why, details, _patch(setup.namespace))


def _faulty(faulty: Sequence[str]) -> Finding:
    title = f"{CONFIG} has a faulty key: Argo CD sends no notification at all, to nobody"
    return Finding("notifications-faulty", Severity.CRITICAL, title, a_few(faulty), "mend the key, or take it out")


def _patch(namespace: str) -> str:
    return (
        "responder snippets argocd > argocd-notifications-cm.yaml\n"
        f"kubectl -n {namespace} patch configmap {CONFIG} --patch-file argocd-notifications-cm.yaml"
    )
