"""What people configured for decisions: rules, signatures, policy. Read at the start, and again when a file changes.

A file is looked at every few seconds, not watched: a ConfigMap's files are links to links that are swapped, and what
stands behind them shows by its inode. A new file that is not right changes nothing: what was in force stays so, and
readiness, metric and pages say what is wrong.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from responder.config import ConfigError, Settings, read_text
from responder.core.rules import Rulebook
from responder.core.rulesfile import RulesError, parse_rules
from responder.core.signaturefile import SignatureError
from responder.core.signatures import Signatures
from responder.core.situation import Policy, Routes
from responder.loading import Rules
from responder.metrics import Metrics
from responder.ports import Clock
from responder.shipped import signatures

log = logging.getLogger("responder.configured")

_LOOK_EVERY = 3.0  # seconds, by the wall's clock

Mark = tuple[tuple[int, int, int, int] | None, ...]  # of each file device, inode, change and size; None: not there


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
        self._settings = settings
        self._clock = clock
        self._metrics = metrics
        self._every = every
        self._files = tuple(filter(None, (settings.rules, *settings.signatures)))
        self._seen = _marks(self._files)
        self.rules = load_rules(settings)
        self.in_force = InForce(
            rules_file=str(settings.rules or ""),
            signature_files=tuple(map(str, settings.signatures)),
            loaded_at=clock.now(),
        )
        self._show()

    async def run(self, changed: Callable[[], None]) -> None:
        """``changed`` is called when other rules are in force."""
        while True:
            await asyncio.sleep(self._every)
            if await self.look():
                changed()

    async def look(self) -> bool:
        """Are other rules in force than before?"""
        marks = await asyncio.to_thread(_marks, self._files)
        if marks == self._seen:
            return False
        self._seen = marks
        now = self._clock.now()
        try:
            self.rules = await asyncio.to_thread(load_rules, self._settings)
        except ConfigError as error:
            self.in_force = msgspec.structs.replace(self.in_force, problems=tuple(error.problems), refused_at=now)
            log.warning("a changed configuration was refused", extra={"detail": "; ".join(error.problems)})
        else:
            self.in_force = msgspec.structs.replace(self.in_force, loaded_at=now, problems=(), refused_at=None)
            log.info("a changed configuration is in force", extra={"detail": f"{len(self.rules.rulebook.rules)} rules"})
        self._show()
        return not self.in_force.problems

    def _show(self) -> None:
        self._metrics.config_reload_success.set(0 if self.in_force.problems else 1)
        for rule in self.rules.rulebook.rules:
            self._metrics.rule_matches_total(rule.name, rule.matched_mode.value)  # stands at 0 until it decides


def _marks(files: tuple[Path, ...]) -> Mark:
    return tuple(map(_mark, files))


def _mark(file: Path) -> tuple[int, int, int, int] | None:
    try:
        seen = file.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino, seen.st_mtime_ns, seen.st_size


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
