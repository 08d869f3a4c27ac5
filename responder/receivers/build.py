"""From the configuration to receivers. Their files are read here, and again when they change."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from responder.config import ConfigError, ReceiverConfig, read_secret
from responder.metrics import Metrics
from responder.ports import Receiver
from responder.receivers import slack
from responder.receivers.alertmanager import Alertmanager
from responder.receivers.http import Endpoint
from responder.receivers.renewed import Renewed
from responder.receivers.slack import Slack
from responder.receivers.template import Wording, parse_template
from responder.receivers.webhook import Webhook, parse_key
from responder.reloading import Reloaded


def build_receivers(configs: Sequence[ReceiverConfig], metrics: Metrics | None = None) -> dict[str, Renewed]:
    """By name. Raises `ConfigError` with the faults of all of them. Opens no connection."""
    receivers: dict[str, Renewed] = {}
    problems: list[str] = []
    for config in configs:
        files = filter(None, (config.url_file, config.secret_file, config.token_file, config.template))
        try:
            receivers[config.name] = Renewed(Reloaded(files, partial(_build, config, metrics)))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return receivers


def _build(config: ReceiverConfig, metrics: Metrics | None) -> Receiver:
    try:
        return _of_type(config, metrics)
    except ConfigError as error:
        told = [f"receiver {config.name}: {problem}" for problem in error.problems]
        raise ConfigError(told) from error.__cause__  # whether it could be read at all decides when to try again


def _of_type(config: ReceiverConfig, metrics: Metrics | None) -> Receiver:
    match config.type:
        case "alertmanager":
            return _alertmanager(config, metrics)
        case "webhook":
            return _webhook(config)
        case "slack":
            return Slack(config.name, _only(config), _wording(config.template, slack.escape))


def _alertmanager(config: ReceiverConfig, metrics: Metrics | None) -> Alertmanager:
    peers = [_endpoint(config, f"{url.rstrip('/')}/api/v2/alerts") for url in _urls(config)]
    return Alertmanager(
        config.name,
        peers,
        repeat_every=config.repeat_every.total_seconds(),
        wording=_wording(config.template, str),
        peer_failed=metrics.deliveries_total(config.name, "retried").inc if metrics else lambda: None,
    )


def _webhook(config: ReceiverConfig) -> Webhook:
    if config.secret_file is None:
        raise ConfigError(["secret_file is missing: webhooks are signed"])
    if config.template is not None:
        raise ConfigError(["template: a webhook's body is a fixed schema, leave it out"])
    try:
        key = parse_key(read_secret(config.secret_file))
    except ValueError as error:
        raise ConfigError([f"{config.secret_file}: {error}"]) from error
    return Webhook(config.name, _only(config), key)


def _only(config: ReceiverConfig) -> Endpoint:
    urls = _urls(config)
    if len(urls) != 1:
        raise ConfigError([f"type {config.type} takes one URL: make a receiver of each"])
    return _endpoint(config, urls[0])


def _urls(config: ReceiverConfig) -> list[str]:
    urls = [*config.urls, *(read_secret(config.url_file).split() if config.url_file else ())]
    if not all(url.startswith(("http://", "https://")) for url in urls):
        raise ConfigError(["a URL starts with https:// or http://"])
    return urls


def _endpoint(config: ReceiverConfig, url: str) -> Endpoint:
    token = read_secret(config.token_file) if config.token_file else ""
    return Endpoint(url, timeout=config.timeout.total_seconds(), token=token)


def _wording(path: Path | None, escape: Callable[[str], str]) -> Wording | None:
    if path is None:
        return None
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    return parse_template(text, str(path), escape)
