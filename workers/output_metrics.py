"""What became of outcomes at the outputs besides the scores topic."""

from prometheus_client import CollectorRegistry, Counter

from schemas.events import OutcomesExported, Output, OutputResult


class OutputMetrics:
    """Counts what outputs tell; safe for use by several threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._outcomes = Counter(
            "assay_output_outcomes",
            "Published outcomes that an output besides the scores topic was given, by what became "
            "of them there.",
            ("output", "result"),
            registry=registry,
        )
        for output in Output:
            for result in OutputResult:
                self._outcomes.labels(output.value, result.value)

    def exported(self, event: OutcomesExported) -> None:
        """An output is done with some outcomes, in one way or another."""
        self._outcomes.labels(event.output.value, event.result.value).inc(event.count)
