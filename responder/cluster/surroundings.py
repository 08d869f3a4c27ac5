"""What a recorder needs of the program, whatever cluster it is of."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from responder.config import Recorder as Limits
from responder.core.argocd import AppKey, OperationRecord
from responder.core.hooks import HookRun
from responder.core.redaction import Redactor
from responder.core.surveying import Scan
from responder.metrics import Metrics
from responder.ports import Clock, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Services, not values."""

    control_plane: str  # Argo CD's own namespace
    limits: Limits
    redactor: Redactor
    scan: Scan  # which lines of a block may a signature know?
    store: Store
    publish: Callable[[HookRun, bool], None]  # each new value of a hook run, and whether to wake anybody
    operations: Callable[[AppKey], Sequence[OperationRecord]]  # of an Application, in any order
    clock: Clock
    metrics: Metrics
