"""What people configured for decisions: rules, signatures, policy; and the secrets that Kubernetes renews in place.

Read at the start, and again when a file changes. A new file that is not right changes nothing: what was in force stays
so. Of rules and signatures readiness, metric and pages say what is wrong; of secrets the metric and the log, for
everybody may ask for readiness.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from responder.config import ConfigError, Settings, read_secret, read_text
from responder.core.rules import Rulebook
from responder.core.rulesfile import RulesError, parse_rules
from responder.core.signaturefile import SignatureError
from responder.core.signatures import Signatures
from responder.core.situation import Policy, Routes
from responder.loading import Rules
from responder.metrics import Metrics
from responder.ports import Clock
from responder.reloading import Reloaded
from responder.shipped import signatures

log = logging.getLogger("responder.configured")

_LOOK_EVERY = 3.0  # seconds, by the wall's clock


class InForce(msgspec.Struct, frozen=True):
    """Which files decide, since when, and what is wrong with what stands in them now."""

    rules_file: str = ""  # empty: there is none, and no rule
    signature_files: tuple[str, ...] = ()
    loaded_at: datetime | None = None
    problems: tuple[str, ...] = ()  # of a newer version that was refused
    refused_at: datetime | None = None

    @property
    def trouble(self) -> str:
        """A sentence; empty when what stands in the files is in force."""
        if not self.problems:
            return ""
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        return f"a changed configuration was refused, the one before stays in force: {self.problems[0]}{more}"


class Configured:
    def __init__(self, settings: Settings, clock: Clock, metrics: Metrics, *, every: float = _LOOK_EVERY) -> None:
        """Raises ``ConfigError``: without valid files nothing starts."""
        self._clock = clock
        self._metrics = metrics
        self._every = every
        self._rules = Reloaded(filter(None, (settings.rules, *settings.signatures)), partial(load_rules, settings))
        self._others: dict[str, Reloaded[Any]] = {}
        self.in_force = InForce(
            rules_file=str(settings.rules or ""),
            signature_files=tuple(map(str, settings.signatures)),
            loaded_at=clock.now(),
        )
        self._show()

    @property
    def rules(self) -> Rules:
        return self._rules.value

    def secret(self, path: Path) -> Callable[[], str]:
        """What stands in that file, as it is now. Raises ``ConfigError`` when there is nothing at the start."""
        name = f"secret {path}"
        if name not in self._others:
            self.keep(name, Reloaded((path,), partial(read_secret, path)))
        part: Reloaded[str] = self._others[name]
        return lambda: part.value

    def keep(self, name: str, part: Reloaded[Any]) -> None:
        """Looked after together with the rules; ``name`` is how the log calls it."""
        self._others[name] = part

    async def run(self, changed: Callable[[], None]) -> None:
        """``changed`` is called when other rules are in force."""
        while True:
            await asyncio.sleep(self._every)
            if await self.look():
                changed()

    async def look(self) -> bool:
        """Are other rules in force than before?"""
        for name, part in self._others.items():
            if await part.look():
                _tell(part, name)
                self._show()
        if not await self._rules.look():
            return False
        self._rules_changed()
        self._show()
        return not self._rules.problems

    def _rules_changed(self) -> None:
        now, problems = self._clock.now(), self._rules.problems
        if problems:
            self.in_force = msgspec.structs.replace(self.in_force, problems=problems, refused_at=now)
        else:
            self.in_force = msgspec.structs.replace(self.in_force, loaded_at=now, problems=(), refused_at=None)
        _tell(self._rules, f"{len(self.rules.rulebook.rules)} rules")

    def _show(self) -> None:
        refused = any(part.problems for part in (self._rules, *self._others.values()))
        self._metrics.config_reload_success.set(0 if refused else 1)
        for rule in self.rules.rulebook.rules:
            self._metrics.rule_matches_total(rule.name, rule.matched_mode.value)  # stands at 0 until it decides


def _tell(part: Reloaded[Any], name: str) -> None:
    if part.problems:
        log.warning("a changed configuration was refused", extra={"detail": "; ".join(part.problems)})
    else:
        log.info("a changed configuration is in force", extra={"detail": name})


def load_rules(settings: Settings) -> Rules:
    """Raises ``ConfigError`` with everything that is wrong."""
    recognised = _signatures(settings)
    return Rules(
        rulebook=_rulebook(settings, recognised),
        policy=policy_of(settings),
        signatures=recognised,
        control_plane=settings.argocd.namespace,
        clusters={address: c.name for c in settings.clusters for address in (c.server.rstrip("/"), c.name) if address},
    )


def _rulebook(settings: Settings, recognised: Signatures) -> Rulebook:
    if settings.rules is None:
        return Rulebook()
    try:
        return read_rulebook(settings.rules, settings, recognised)
    except RulesError as error:
        raise ConfigError(list(error.problems)) from error


def read_rulebook(path: Path, settings: Settings, recognised: Signatures) -> Rulebook:
    """What its rules name has to be known. Raises ``ConfigError``, ``RulesError``."""
    receivers = frozenset(receiver.name for receiver in settings.receivers)
    return parse_rules(read_text(path), str(path), receivers, recognised, settings.promotion.environments)


def _signatures(settings: Settings) -> Signatures:
    try:
        return signatures(settings.signatures)
    except SignatureError as error:
        raise ConfigError(error.problems) from error
    except OSError as error:
        raise ConfigError([f"{error.filename}: cannot be read: {error.strerror}"]) from error


def policy_of(settings: Settings) -> Policy:
    actions, routing, promotion = settings.actions, settings.routing, settings.promotion
    return Policy(
        argocd=settings.argocd.name,
        mode=actions.mode,
        per_application_day=actions.ceilings.per_application_day,
        per_responder_hour=actions.ceilings.per_responder_hour,
        per_cause=actions.ceilings.per_cause,
        own_applications=actions.own_applications,
        expire_after=actions.expire_after,
        historic_after=actions.historic_after,
        alert_floor=actions.alert_floor,
        group_wait=actions.group_wait,
        stuck_after=settings.recorder.stuck_after,
        running_limit=settings.recorder.running_limit,
        opt_in_manual=actions.opt_in_manual,
        service_label=promotion.service_label,
        environment_label=promotion.environment_label,
        environments=promotion.environments,
        routes=Routes(
            annotation=routing.annotation,
            projects=dict(routing.projects),
            receivers=dict(routing.receivers),
            default=routing.default,
            default_owner=routing.default_owner,
        ),
        url=settings.listen.url,
        argocd_url=settings.argocd.url,
    )
