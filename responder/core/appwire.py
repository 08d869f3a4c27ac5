"""From the bytes of an Application to what we keep of it. Messages are redacted, equal words are kept once."""

import hashlib
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from sys import intern
from typing import Any

import msgspec
import re2

from responder.core.appshape import (
    AppWire,
    HistoryWire,
    InitiatedByWire,
    OperationStateWire,
    OperationWire,
    ResourceWire,
    ResultWire,
    SpecWire,
    StatusWire,
    StrategyWire,
    SyncPolicyWire,
    SyncResultWire,
    SyncStatusWire,
    SyncWire,
)
from responder.core.argocd import (
    Application,
    Deployment,
    OperationPhase,
    OperationState,
    ResourceResult,
    SyncRequest,
)
from responder.core.wire import utc

OURS = "hook-responder.io/"
_READ_ANNOTATIONS = frozenset({"argocd.argoproj.io/skip-reconcile", "kargo.akuity.io/authorized-stage"})
INFO_ACTION = "hook-responder.io/action"  # name of our entry in operation.info
_DUMP = re2.compile(r"(?s)Invalid value: (?:\{.*\}|map\[.*\])")
_decoder = msgspec.json.Decoder(AppWire)
_resources = msgspec.json.Decoder(tuple[ResourceWire, ...] | None)
_sources = msgspec.json.Decoder(dict[str, Any] | list[dict[str, Any]] | None)
_PHASES: dict[str, OperationPhase] = {phase.value: phase for phase in OperationPhase}
_NAMED_KINDS = frozenset({"Secret", "ConfigMap", "ServiceAccount"})  # that a hook may wait for
_KEPT_HISTORY = 10


class NotAnApplicationError(Exception):
    """The bytes are no Application; the message is msgspec's, without any value of the body."""


def decode_application(raw: bytes | msgspec.Raw, redact: Callable[[str], str]) -> Application:
    """Raises ``NotAnApplicationError``. ``redact`` goes over every message: Argo CD may have put secrets into it."""
    try:
        return _application(_decoder.decode(raw), redact)
    except (msgspec.MsgspecError, OverflowError, RecursionError) as error:  # a time of the year 0, a value without end
        raise NotAnApplicationError(str(error)) from error


def _application(wire: AppWire, redact: Callable[[str], str]) -> Application:
    meta, spec, status = wire.metadata, wire.spec, wire.status or StatusWire()
    policy = spec.sync_policy or SyncPolicyWire()
    automated = policy.automated
    sync = status.sync or SyncStatusWire()
    operation = _operation_state(status.operation_state, spec, redact) if status.operation_state else None
    return Application(
        namespace=intern(meta.namespace),
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
        project=intern(spec.project),
        deleting=meta.deletion_timestamp is not None,
        annotations=_read_annotations(meta.annotations or {}),
        labels=tuple((intern(k), intern(v)) for k, v in sorted((meta.labels or {}).items())),
        owner_kinds=tuple(intern(o.kind) for o in meta.owner_references or ()),
        destination_server=intern(spec.destination.server),
        destination_name=intern(spec.destination.name),
        destination_namespace=intern(spec.destination.namespace),
        automated=automated is not None and automated.enabled is not False,
        prune=automated is not None and automated.prune,
        sync_options=policy.sync_options or (),
        sources=_fingerprint(spec.source, spec.sources),
        multi_source=bool(_fingerprint_of(bytes(spec.sources))),
        requested=wire.operation is not None,
        requested_action_id=_action_id(wire.operation),
        operation=operation,
        sync_status=intern(sync.status),
        sync_revisions=_revisions(sync.revision, sync.revisions),
        health=intern(status.health.status) if status.health else "",
        history=tuple(_deployment(h, operation) for h in (status.history or ())[-_KEPT_HISTORY:]),
        resources=() if _at_rest(wire) else _named(status.resources),
    )


def _at_rest(wire: AppWire) -> bool:
    """No hook runs or has failed that could wait for something: nearly all of many thousand, nearly all the time."""
    state = wire.status.operation_state if wire.status else None
    return wire.operation is None and (state is None or state.phase == OperationPhase.SUCCEEDED)


def _named(resources: msgspec.Raw) -> tuple[tuple[str, str], ...]:
    if not resources:
        return ()
    listed = _resources.decode(resources) or ()
    return tuple((intern(r.kind), r.name) for r in listed if r.kind in _NAMED_KINDS and not r.hook)


def _read_annotations(annotations: dict[str, str]) -> tuple[tuple[str, str], ...]:
    read = {k: v for k, v in annotations.items() if k.startswith(OURS) or k in _READ_ANNOTATIONS}
    return tuple(sorted((intern(k), intern(v)) for k, v in read.items()))


def _fingerprint(source: msgspec.Raw, sources: msgspec.Raw) -> str:
    """Equal for equal sources, whatever the order of their keys; empty when there are none."""
    return _fingerprint_of(bytes(sources)) or _fingerprint_of(bytes(source))


@lru_cache(maxsize=16)  # an Application tells its sources three times, in the same bytes
def _fingerprint_of(raw: bytes) -> str:
    given = _sources.decode(raw) if raw else None
    if not given:
        return ""
    canonical = msgspec.json.encode([given] if isinstance(given, dict) else given, order="sorted")
    return intern(hashlib.blake2b(canonical, digest_size=12).hexdigest())


def _revisions(one: str, many: tuple[str, ...] | None) -> tuple[str, ...]:
    """Multi-source Applications leave ``revision`` empty and fill ``revisions``."""
    return _shared(many or (one,)) if many or one else ()


@lru_cache(maxsize=1024)  # an Application names its commit four times, and many are at the same one
def _shared(words: tuple[str, ...]) -> tuple[str, ...]:
    return words


def _action_id(operation: OperationWire | None) -> str:
    if operation is None:
        return ""
    return next((i.value for i in operation.info or () if i.name == INFO_ACTION), "")


def _request(operation: OperationWire | None, spec: SpecWire) -> SyncRequest:
    operation = operation or OperationWire()
    sync = operation.sync or SyncWire()
    initiated = operation.initiated_by or InitiatedByWire()
    strategy = sync.sync_strategy or StrategyWire()
    return SyncRequest(
        username=intern(initiated.username),
        automated=initiated.automated,
        revisions=_revisions(sync.revision, sync.revisions),
        prune=sync.prune,
        dry_run=sync.dry_run,
        apply_strategy=strategy.apply is not None and strategy.hook is None,
        selective=bool(sync.resources),
        local_manifests=bool(sync.manifests),
        rollback=_rolls_back(sync, spec) and not initiated.automated,
        sync_options=sync.sync_options or (),
        retry_limit=operation.retry.limit if operation.retry else 0,
        action_id=_action_id(operation),
    )


def _rolls_back(sync: SyncWire, spec: SpecWire) -> bool:
    """Auto-sync and Argo CD's own API send a copy of the spec's source along: only another one goes back."""
    given = _fingerprint(sync.source, sync.sources)
    return bool(given) and given != _fingerprint(spec.source, spec.sources)


def _operation_state(wire: OperationStateWire, spec: SpecWire, redact: Callable[[str], str]) -> OperationState:
    result = wire.sync_result or SyncResultWire()
    return OperationState(
        started_at=_must(utc(wire.started_at)),
        operation_phase=_operation_phase(wire.phase),
        finished_at=utc(wire.finished_at),
        message=intern(said(wire.message, redact)),
        retry_count=wire.retry_count,
        request=_request(wire.operation, spec),
        revisions=_revisions(result.revision, result.revisions),
        sources=_fingerprint(result.source, result.sources),
        results=tuple(_result(r, redact) for r in result.resources or () if r.hook_type or _went_wrong(r)),
    )


def _operation_phase(word: str) -> OperationPhase:
    """An unknown word is Running: nothing is judged to have ended that we do not understand."""
    return _PHASES.get(word, OperationPhase.RUNNING)


def said(message: str, redact: Callable[[str], str]) -> str:
    """Without the template: of an immutable field the API server quotes the whole Pod, commands and values included."""
    return redact(_DUMP.sub("Invalid value: {...}", message) if "Invalid value: " in message else message)


def _went_wrong(result: ResultWire) -> bool:
    return result.status == "SyncFailed" or result.hook_phase in ("Failed", "Error")


def _result(wire: ResultWire, redact: Callable[[str], str]) -> ResourceResult:
    return ResourceResult(
        kind=intern(wire.kind),
        namespace=intern(wire.namespace),
        name=intern(wire.name),
        group=intern(wire.group),
        status=intern(wire.status),
        message=intern(said(wire.message, redact)),
        hook_type=intern(wire.hook_type),
        hook_phase=intern(wire.hook_phase),
        sync_phase=intern(wire.sync_phase or wire.hook_type),
        images=_shared(wire.images or ()),
    )


def _deployment(wire: HistoryWire, operation: OperationState | None) -> Deployment:
    """That of the last operation, if it succeeded, has its times."""
    began, ended = (operation.started_at, operation.finished_at) if operation is not None else (None, None)
    deployed_at, started_at = utc(wire.deployed_at), utc(wire.deploy_started_at)
    return Deployment(
        revisions=_revisions(wire.revision, wire.revisions),
        deployed_at=ended if deployed_at == ended else deployed_at,
        started_at=began if started_at == began else started_at,
        id=wire.id,
    )


def _must(stamp: datetime | None) -> datetime:
    if stamp is None:
        raise NotAnApplicationError("an operation without startedAt")
    return stamp
