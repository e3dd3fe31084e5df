"""Whether judges may be believed: their agreement with each other and with people."""

from prometheus_client import CollectorRegistry, Counter

from schemas.config import Config
from schemas.outcome import Outcome

AGREE, DISAGREE = "agree", "disagree"
RESULTS = (AGREE, DISAGREE)


class TrustMetrics:
    """Counts agreement; called by one thread.

    Args:
        registry: Where the metrics are registered.
        config: For the evaluators that more than one judge is asked for.
    """

    def __init__(self, registry: CollectorRegistry, config: Config) -> None:
        self._verdicts = Counter(
            "assay_judge_verdicts",
            "Verdicts of more than one judge, by whether all of them said the same.",
            ("evaluator", "result"),
            registry=registry,
        )
        for name in sorted({name for route in config.routes for name in route.evaluators}):
            settings = config.evaluators.get(name)
            if settings is not None and (settings.verify or settings.jury):
                for result in RESULTS:
                    self._verdicts.labels(name, result)

    def observe(self, outcome: Outcome) -> None:
        """Count an outcome for which more than one judge gave a verdict."""
        if outcome.judge is not None and outcome.judge.agreement is not None:
            result = AGREE if outcome.judge.agreement == 1.0 else DISAGREE
            self._verdicts.labels(outcome.evaluator.name, result).inc()
