"""The user's own wording of an alert: a Jinja2 template, sandboxed, with ``alert`` in it.

A template is tried on a sample when it is read. If it fails on a real alert all the same, the built-in wording goes
out: an alert is never lost to its looks.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from responder.config import ConfigError
from responder.core.alert import Alert, AlertState, Severity

log = logging.getLogger(__name__)

SAMPLE = Alert(
    key="hook-responder/sample",
    incident_id="sample",
    state=AlertState.FIRING,
    severity=Severity.WARNING,
    title="shop/orders: db-migrate failed: lock-timeout",
    what="db-migrate failed: lock-timeout",
    left="Nothing was left behind; the old version still serves.",
    next="Revision 1a2b3c4 is new; run it again when the lock is gone.",
    labels={
        "application": "orders", "namespace": "argocd", "project": "shop", "owner": "orders-team",
        "category": "lock-timeout", "retry": "safe", "state_left": "none",
    },
    starts_at=datetime(2026, 1, 1, tzinfo=UTC),
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
    details=("ERROR: canceling statement due to lock timeout",),
)  # fmt: skip


def three_lines(alert: Alert) -> str:
    """The built-in wording."""
    return f"{alert.what}\n{alert.left}\n{alert.next}"


class Wording:
    def __init__(self, template: Template, fallback: Callable[[Alert], str]) -> None:
        self._template = template
        self._fallback = fallback

    def render(self, alert: Alert) -> str:
        try:
            return self._template.render(alert=alert).strip()
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError):
            log.exception("template failed, built-in wording is sent", extra={"incident": alert.incident_id})
            return self._fallback(alert)


def parse_template(text: str, file: str, escape: Callable[[str], str] = str) -> Wording:
    """``escape`` is applied to every value put in, not to the template's own text. Raises `ConfigError`."""
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined,
        autoescape=False,
        finalize=lambda value: escape(str(value)),  # no HTML here: each receiver escapes in its own way
    )
    try:
        template = environment.from_string(text)
        template.render(alert=SAMPLE)
    except TemplateSyntaxError as error:
        raise ConfigError([f"{file}:{error.lineno}:1: {error.message}"]) from error
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise ConfigError([f"{file}:1:1: fails on a sample alert: {error}"]) from error
    return Wording(template, lambda alert: escape(three_lines(alert)))
