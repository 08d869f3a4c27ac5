"""Every Prometheus instrument, in one list.

An instrument without labels is prometheus-client's own. One with labels is a `Labelled`: call it with the label
values and get the child, `metrics.webhooks_total("accepted").inc()`. Closed label sets stand at 0 from the start;
for names that come from the configuration (rules, receivers) call it once at start-up for the same effect.
No revision, Pod, message or incident is ever a label: incident ids travel as exemplars,
`counter.inc(exemplar={"incident": id})`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import product
from typing import Generic, TypeVar

from prometheus_client import (
    CONTENT_TYPE_PLAIN_0_0_4,
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    Metric,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.openmetrics import exposition as openmetrics

from responder.core.actions import ActionKind, Mode, OutcomeResult
from responder.core.evidence import GapReason
from responder.core.failure import Category, Retry
from responder.core.promotion import GateResult
from responder.ports import Trigger

NONE = "none"
OTHER = "other"

WEBHOOK_RESULTS = ("accepted", "stock-template", "unauthorized", "too-large", "invalid", "timeout", "unavailable")
RECONCILE_RESULTS = ("ok", "error", "store-error")
SYNC_PHASES = ("PreSync", "Sync", "PostSync", "SyncFail", "PreDelete", "PostDelete", NONE)
HOOK_RESULTS = ("succeeded", "failed", "terminated", "vanished")
DELIVERY_RESULTS = ("sent", "retried", "failed", "superseded")
WATCH_RESTARTS = (  # the words of cluster.reflector
    *("expired", "throttled", "forbidden", "unauthorized", "absent"),
    *("eof", "silence", "malformed", "unavailable", "unreachable"),
)
STUCK = (
    Category.IMAGE_PULL,
    Category.MISSING_REFERENCE,
    Category.UNSCHEDULABLE,
    Category.QUOTA_EXCEEDED,
    Category.ADMISSION_DENIED,
    Category.SIDECAR_RUNNING,
    Category.STUCK_DELETION,
    Category.STALE_JOB,
    Category.HOOK_VANISHED,
    Category.SYNC_TIMEOUT,
    "not-created",  # its Job is there, and no Pod can be made
)

FAST = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1, 5)  # what a request or a commit waits for
LAG = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
DETECTION = (0.1, 0.25, 0.5, 1, 2, 3, 5, 10, 30, 60, 300)
HOOK = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21600)
INCIDENT = (60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 259200, 604800)

M = TypeVar("M", Counter, Gauge, Histogram)


class Labelled(Generic[M]):
    """The children of one instrument, made once and kept, for prometheus-client's `labels()` is slow.

    An empty value counts as `none`. A value outside its closed set counts as `other`, and so does every new
    combination beyond `limit`: no input can make `/metrics` grow.
    """

    def __init__(self, family: M, closed: Mapping[int, Sequence[str]] | None = None, limit: int = 200) -> None:
        self._family: M = family
        self._closed = closed or {}
        self._limit = limit
        self._width = len(family._labelnames)  # noqa: SLF001  # the library keeps it nowhere else
        self._children: dict[tuple[str, ...], M] = {}
        if len(self._closed) == self._width:
            for values in product(*(self._closed[at] for at in range(self._width))):
                self._child(values)

    def __call__(self, *values: str) -> M:
        return self._children.get(values) or self._child(self._bounded(values))

    def _bounded(self, values: tuple[str, ...]) -> tuple[str, ...]:
        said = tuple(value or NONE for value in values)
        inside = tuple(v if v in self._closed.get(at, (v,)) else OTHER for at, v in enumerate(said))
        if inside in self._children or len(self._children) < self._limit:
            return inside
        return tuple(value if at in self._closed else OTHER for at, value in enumerate(inside))

    def _child(self, values: tuple[str, ...]) -> M:
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = self._family.labels(*(str(value) for value in values))
        return child

    def __iter__(self) -> Iterator[tuple[tuple[str, ...], M]]:
        return iter(self._children.items())


def show(gauges: Labelled[Gauge], counts: Mapping[str, float]) -> None:
    """Sets a one-label gauge from a whole picture: what is not in `counts` is 0 again."""
    totals: dict[Gauge, float] = {child: 0.0 for _, child in gauges}
    for value, count in counts.items():
        child = gauges(value)
        totals[child] = totals.get(child, 0.0) + count
    for child, count in totals.items():
        child.set(count)


def _closed(*sets: Iterable[str] | None) -> dict[int, tuple[str, ...]]:
    """Allowed values by position; None leaves a position open."""
    return {at: tuple(values) for at, values in enumerate(sets) if values is not None}


class Metrics:
    """One per process. `registry` is ours alone: the library's global one stays empty of us."""

    def __init__(self, registry: CollectorRegistry, applications: int = 500) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's annotation is missing
        self.registry = registry
        self._intake()
        self._reconciling()
        self._incidents(applications)
        self._recording()
        self._acting()
        self._delivering()
        self._watching()
        self._process()

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(name, text, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, text, registry=self.registry, buckets=buckets)

    def _counters(self, name: str, text: str, **labels: Iterable[str] | None) -> Labelled[Counter]:
        return Labelled(Counter(name, text, tuple(labels), registry=self.registry), _closed(*labels.values()))

    def _gauges(self, name: str, text: str, **labels: Iterable[str] | None) -> Labelled[Gauge]:
        return Labelled(Gauge(name, text, tuple(labels), registry=self.registry), _closed(*labels.values()))

    def _intake(self) -> None:
        self.webhooks_total = self._counters(
            "responder_webhooks_total", "Webhooks received from Argo CD.", result=WEBHOOK_RESULTS
        )
        self.webhook_duration_seconds = self._histogram(
            "responder_webhook_duration_seconds", "Webhook received to answered, its wake-up durable.", FAST
        )
        self.webhooks_missed_total = self._counter(
            "responder_webhooks_missed_total", "Failures seen in the cluster for which no webhook came in time."
        )

    def _reconciling(self) -> None:
        self.reconciles_total = self._counters(
            "responder_reconciles_total",
            "Times an Application was looked at.",
            trigger=Trigger,
            result=RECONCILE_RESULTS,
        )
        self.reconcile_duration_seconds = self._histogram(
            "responder_reconcile_duration_seconds", "Loading, planning and carrying out, per wake-up.", FAST
        )
        self.config_reload_success = self._gauge(
            "responder_config_reload_success", "1 when the files read last were valid and are in force."
        )

    def _incidents(self, applications: int) -> None:
        self.incidents_opened_total = self._counters(
            "responder_incidents_opened_total", "Incidents opened.", sync_phase=SYNC_PHASES
        )
        self.incidents_firing = self._gauges(
            "responder_incidents_firing", "Incidents open and not acknowledged.", category=Category
        )
        self.incident_open_seconds = self._histogram(
            "responder_incident_open_seconds", "Incident opened to resolved.", INCIDENT
        )
        self.diagnoses_total = self._counters(
            "responder_diagnoses_total", "First diagnosis of each incident.", category=Category, retry=Retry
        )
        self.detection_duration_seconds = self._histogram(
            "responder_detection_duration_seconds", "Hook failed to its failure diagnosed.", DETECTION
        )
        self.application_incidents_total = Labelled(
            Counter(
                "responder_application_incidents_total",
                "Incidents opened by Application; Applications beyond the cap count as other.",
                ("application_namespace", "application"),
                registry=self.registry,
            ),
            limit=applications,
        )

    def _recording(self) -> None:
        self.hook_attempts_total = self._counters(
            "responder_hook_attempts_total",
            "Hook attempts that came to an end.",
            sync_phase=SYNC_PHASES,
            result=HOOK_RESULTS,
        )
        self.hook_duration_seconds = Labelled(
            Histogram(
                "responder_hook_duration_seconds",
                "Hook created to ended.",
                ("result",),
                registry=self.registry,
                buckets=HOOK,
            ),
            _closed(HOOK_RESULTS),
        )
        self.hooks_running = self._gauge("responder_hooks_running", "Hooks that have not ended.")
        self.hooks_stuck = self._gauges(
            "responder_hooks_stuck", "Hooks that do not get on by themselves.", reason=STUCK
        )
        self.recorder_follows = self._gauge("responder_recorder_follows", "Container logs being followed.")
        self.recorder_bytes_total = self._counter("responder_recorder_bytes_total", "Log bytes read.")
        self.recorder_lines_dropped_total = self._counter(
            "responder_recorder_lines_dropped_total", "Log lines scanned but not kept, for want of room."
        )
        self.evidence_gaps_total = self._counters(
            "responder_evidence_gaps_total", "Evidence that could not be had.", reason=GapReason
        )

    def _acting(self) -> None:
        self.rule_matches_total = self._counters(
            "responder_rule_matches_total", "Rules that decided.", rule=None, mode=Mode
        )
        acts = tuple(kind for kind in ActionKind if kind.acts)
        self.actions_total = self._counters(
            "responder_actions_total", "Acts on the cluster and what came of them.", action=acts, outcome=OutcomeResult
        )
        self.actions_denied_total = self._counters(
            "responder_actions_denied_total", "Acts that a guard denied, by guard.", action=acts, reason=None
        )
        self.actions_pending = self._gauge("responder_actions_pending", "Acts allowed or begun and not ended.")
        self.rules_demoted = self._gauges(
            "responder_rules_demoted",
            "1 for a rule that was set to shadow because its resyncs mostly failed.",
            rule=None,
        )
        self.killswitch_engaged = self._gauge(
            "responder_killswitch_engaged", "1 while the kill switch is engaged, absent or unreadable."
        )
        self.blocks = self._gauges("responder_blocks", "Promotion blocks in force.", environment=None)
        self.gate_requests_total = self._counters(
            "responder_gate_requests_total", "Questions to the gate by answer.", result=GateResult
        )

    def _delivering(self) -> None:
        self.deliveries_total = self._counters(
            "responder_deliveries_total", "Alerts handed to receivers.", receiver=None, result=DELIVERY_RESULTS
        )
        self.outbox_pending = self._gauge("responder_outbox_pending", "Alerts not delivered yet.")
        self.outbox_oldest_seconds = self._gauge(
            "responder_outbox_oldest_seconds", "Age of the oldest alert not delivered yet; 0 when there is none."
        )

    def _watching(self) -> None:
        # No 0 here: a resource that is not watched has no last event, and 0 would read as 1970.
        self.watch_last_event_timestamp_seconds = self._gauges(
            "responder_watch_last_event_timestamp_seconds", "Last event, bookmark or list.", resource=None
        )
        self.watch_restarts_total = self._counters(
            "responder_watch_restarts_total", "Watches begun anew.", resource=None, reason=WATCH_RESTARTS
        )
        self.kubernetes_requests_total = self._counters(
            "responder_kubernetes_requests_total",
            "Requests to the API server.",
            verb=None,
            resource=None,
            code=None,
        )
        self.leader = self._gauge("responder_leader", "1 on the replica that watches and acts.")

    def _process(self) -> None:
        self.store_available = self._gauge("responder_store_available", "1 while the store takes writes.")
        self.store_commit_duration_seconds = self._histogram(
            "responder_store_commit_duration_seconds", "One commit, whatever it carried.", FAST
        )
        self.store_bytes = self._gauge("responder_store_bytes", "Size of the store.")
        self.loop_lag_seconds = self._histogram(
            "responder_loop_lag_seconds", "How late the event loop runs what is due.", LAG
        )
        Info("responder_build", "What is running.", registry=self.registry).info(
            {"version": version("argocd-hook-responder")}
        )
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def parts(self, accept: str = "") -> Iterator[bytes]:
        """The exposition family by family: a handler that yields to the loop between them never holds it long.

        A line costs about 8 µs, all of them at once would stop everything else for 40 ms.
        """
        as_openmetrics = _wants_openmetrics(accept)
        for family in self.registry.collect():
            text = openmetrics.generate_latest if as_openmetrics else generate_latest
            yield text(_One(family)).removesuffix(b"# EOF\n")
        if as_openmetrics:
            yield b"# EOF\n"

    def render(self, accept: str = "") -> bytes:
        return b"".join(self.parts(accept))


class _One:
    """A registry of one family."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterable[Metric]:
        return (self._family,)


def content_type(accept: str = "") -> str:
    """Of what `render` and `parts` give for the same Accept header."""
    return openmetrics.CONTENT_TYPE_LATEST if _wants_openmetrics(accept) else CONTENT_TYPE_PLAIN_0_0_4


def _wants_openmetrics(accept: str) -> bool:
    """Only OpenMetrics carries exemplars. Prometheus lists it first among what it takes."""
    return re.search(r"application/openmetrics-text\b", accept) is not None
