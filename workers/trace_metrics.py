"""How the trace lane is doing: what waits to be whole, how that ended, what came too late."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge

CONCLUDED = ("root", "idle", "max_age")
"""Why a trace waits no more."""

BOUNDS = ("max_count", "max_bytes", "records", "metadata")
"""For lack of what a trace is concluded early."""


class TraceMetrics:
    """Counters that telemetry increments, and gauges that the worker sets.

    Args:
        registry: Where the metrics are registered.
        topics: The span topics.
    """

    def __init__(self, registry: CollectorRegistry, *, topics: Sequence[str]) -> None:
        self._waiting = Gauge(
            "assay_traces_waiting", "Traces that wait to be whole.", registry=registry
        )
        self._waiting_bytes = Gauge(
            "assay_traces_waiting_bytes",
            "Bytes of the records of waiting traces.",
            registry=registry,
        )
        self._oldest = Gauge(
            "assay_trace_oldest_seconds",
            "How long the oldest waiting trace has waited; 0 where none waits.",
            registry=registry,
        )
        self.concluded = Counter(
            "assay_traces_concluded",
            "Traces that wait no more: their root ended, they were idle, or as old as may be.",
            ("why",),
            registry=registry,
        )
        self.evicted = Counter(
            "assay_traces_evicted",
            "Traces concluded early, unevaluated, by the bound that was reached.",
            ("bound",),
            registry=registry,
        )
        self.split = Counter(
            "assay_traces_split",
            "Selected traces in records whose key is not the trace's id; they are skipped.",
            ("topic",),
            registry=registry,
        )
        self.late_spans = Counter(
            "assay_trace_late_spans",
            "Spans that came after their trace was concluded; they evaluate nothing.",
            registry=registry,
        )
        for why in CONCLUDED:
            self.concluded.labels(why)
        for bound in BOUNDS:
            self.evicted.labels(bound)
        for topic in topics:
            self.split.labels(topic)

    def set_waiting(self, count: int, size_bytes: int, oldest_s: float) -> None:
        """What waits now: traces, the bytes of their records, seconds since the oldest began."""
        self._waiting.set(count)
        self._waiting_bytes.set(size_bytes)
        self._oldest.set(oldest_s)
