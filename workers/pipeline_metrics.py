"""How the pipeline itself is doing, lane by lane: what came in, what is in flight, what lags."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge

from schemas.reasons import DeadLetterReason

from .offsets import Partition


class PipelineMetrics:
    """Counters that telemetry increments, and what the lanes tell; safe for use by several threads.

    Args:
        registry: Where the metrics are registered.
        lanes: The lanes that this worker runs.
        routes: Names of the routes.
        clock: Unix seconds.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        lanes: Sequence[str],
        routes: Sequence[str],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._oldest: dict[str, float | None] = {}
        self._partitions: dict[str, set[Partition]] = {}
        self._held_by: dict[str, set[str]] = {}

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        by_lane = [
            records := counter("assay_records", "Records read from Kafka.", "lane"),
            repeated := counter(
                "assay_evaluations_repeated",
                "Evaluations that a drain bound cut off; the partition's next owner makes them "
                "again.",
                "lane",
            ),
            late := counter(
                "assay_late_results",
                "Outcomes dropped because their partition went to another worker meanwhile, which "
                "publishes them.",
                "lane",
            ),
            redelivered := counter(
                "assay_spans_redelivered",
                "Spans that came again while remembered; their outcome exists.",
                "lane",
            ),
            commits := counter(
                "assay_commit_failures",
                "Commits that the broker refused; the newest offset is committed again.",
                "lane",
            ),
            in_flight := gauge(
                "assay_in_flight", "Evaluations that are started and not yet committed.", "lane"
            ),
            in_flight_bytes := gauge(
                "assay_in_flight_bytes", "Bytes of the records in flight.", "lane"
            ),
            paused := gauge("assay_intake_paused", "Whether intake stands still (1).", "lane"),
            assigned := gauge("assay_partitions_assigned", "Partitions that a lane reads.", "lane"),
            oldest := gauge(
                "assay_oldest_unfinished_age_seconds",
                "Age of the oldest unfinished record by its Kafka timestamp; 0 where there is "
                "none.",
                "lane",
            ),
        ]
        for metric in by_lane:
            for lane in lanes:
                metric.labels(lane)
        for lane in lanes:
            oldest.labels(lane).set_function(lambda lane=lane: self._age_s(lane))  # type: ignore[misc]
        self.records, self.repeated, self.late_results = records, repeated, late
        self.spans_redelivered, self.commit_failures = redelivered, commits
        self._paused, self.partitions_assigned = paused, assigned
        for lane in lanes:
            self._holders(lane)
        self._in_flight, self._in_flight_bytes = in_flight, in_flight_bytes

        self.spans = counter("assay_spans", "Spans read, of every kind, sampled or not.")
        self.own_spans = counter(
            "assay_own_spans",
            "Spans read that Assay wrote itself, or that tell of a judge's call: nothing judges "
            "them.",
        )
        self.llm_spans = counter("assay_llm_spans", "LLM calls read, by convention.", "convention")
        self.kafka_errors = counter(
            "assay_kafka_errors", "Problems that a Kafka client reported and handles.", "client"
        )
        self.dead_letters = counter(
            "assay_dead_letters", "Records and spans that could not be read, by reason.", "reason"
        )
        for reason in DeadLetterReason:
            self.dead_letters.labels(reason.value)
        self.route_failures = counter(
            "assay_route_failures",
            "Spans on which a route's expression could not be computed, so it did not match.",
            "route",
        )
        self.route_matches = counter(
            "assay_route_matches", "Spans that were selected and that this route matches.", "route"
        )
        for route in routes:
            self.route_failures.labels(route)
            self.route_matches.labels(route)
        self._lag = gauge(
            "assay_partition_lag",
            "Records between the watermark and the end of a partition.",
            *("lane", "topic", "partition"),
        )
        self._offset = gauge(
            "assay_partition_offset",
            "Watermark of a partition: everything below it is finished.",
            *("lane", "topic", "partition"),
        )
        self.loop_lag = gauge(
            "assay_loop_lag_seconds", "How much later than it was due the event loop last woke up."
        )
        self.log_lines_lost = counter(
            "assay_log_lines_lost", "Log lines that could not be written."
        )

    def set_in_flight(self, lane: str, evaluations: int, size_bytes: int) -> None:
        """How much a lane has in flight."""
        self._in_flight.labels(lane).set(evaluations)
        self._in_flight_bytes.labels(lane).set(size_bytes)

    def set_paused(self, lane: str, by: str, is_paused: bool) -> None:
        """One thing holds a lane's intake, or does so no more; it stands still while any does."""
        holders = self._holders(lane)
        (holders.add if is_paused else holders.discard)(by)

    def set_oldest_unfinished(self, lane: str, timestamp_s: float | None) -> None:
        """Kafka timestamp (Unix seconds) of a lane's oldest unfinished record.

        The age is computed when it is asked for, so it grows even where nothing calls this.
        """
        self._oldest[lane] = timestamp_s

    def set_partitions(self, lane: str, positions: Mapping[Partition, tuple[int, int]]) -> None:
        """Watermark and end of each partition that a lane has; the series of others go away."""
        known = self._partitions.get(lane, set())
        for topic, partition in known - positions.keys():
            self._lag.remove(lane, topic, partition)
            self._offset.remove(lane, topic, partition)
        self._partitions[lane] = set(positions)
        for (topic, partition), (watermark, end) in positions.items():
            self._lag.labels(lane, topic, partition).set(max(0, end - watermark))
            self._offset.labels(lane, topic, partition).set(watermark)

    def _holders(self, lane: str) -> set[str]:
        holders = self._held_by.get(lane)
        if holders is None:
            holders = self._held_by[lane] = set()
            # Asked for, not set: two threads tell, and who looked first might set it last.
            self._paused.labels(lane).set_function(partial(bool, holders))
        return holders

    def _age_s(self, lane: str) -> float:
        timestamp_s = self._oldest.get(lane)
        return 0.0 if timestamp_s is None else max(0.0, self._clock() - timestamp_s)
