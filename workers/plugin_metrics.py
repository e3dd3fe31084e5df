"""What evaluators did that they must not, by evaluator: each harms its own outcomes only."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge


class PluginMetrics:
    """Counters that telemetry increments; safe for use by several threads.

    Args:
        registry: Where the metrics are registered.
        evaluators: Names of the evaluators that the config names.
    """

    def __init__(self, registry: CollectorRegistry, evaluators: Sequence[str]) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(name, text, ("evaluator",), registry=registry)

        self.errors = counter(
            "assay_evaluator_errors",
            "Evaluations in which the evaluator raised, hung or returned no score.",
        )
        self.abandoned = counter(
            "assay_evaluations_abandoned",
            "Evaluations that did not end when they were cancelled and were left behind.",
        )
        self.tasks_left = Gauge(
            "assay_evaluator_tasks_left",
            "Tasks of an evaluator that still run although their evaluation is over.",
            ("evaluator",),
            registry=registry,
        )
        self.process_ends = counter(
            "assay_evaluator_process_ends",
            "Processes of an isolated evaluator that died, or were killed for their deadline.",
        )
        self.loop_blocks = counter(
            "assay_loop_blocks",
            "Times that the event loop was seen standing still, by the evaluator on its stack, if "
            "it was one's.",
        )
        self.loop_blocked = counter(
            "assay_loop_blocked_seconds",
            "Time for which the event loop stood still; counted when it moves again.",
        )
        for evaluator in evaluators:
            for metric in (self.errors, self.abandoned, self.tasks_left, self.process_ends):
                metric.labels(evaluator)
        for evaluator in ("", *evaluators):
            self.loop_blocks.labels(evaluator)
            self.loop_blocked.labels(evaluator)
