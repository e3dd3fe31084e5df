"""Whether judges may be believed: their agreement with each other and with people."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge

from schemas.config import Config
from schemas.outcome import Outcome

from .calibrations import fault_of, label_of
from .configured import Configured

AGREE, DISAGREE = "agree", "disagree"
RESULTS = (AGREE, DISAGREE)


class TrustMetrics:
    """Counts agreement; called by one thread.

    Args:
        registry: Where the metrics are registered.
        config: For the evaluators that more than one judge is asked for.

    Attributes:
        unfit: Calibrations that were not applied.
    """

    def __init__(self, registry: CollectorRegistry, config: Config) -> None:
        self._verdicts = Counter(
            "assay_judge_verdicts",
            "Verdicts of more than one judge, by whether all of them said the same.",
            ("evaluator", "result"),
            registry=registry,
        )
        self._anchors = Counter(
            "assay_anchors",
            "Labelled items that were judged again, by whether the judge agrees with the label.",
            ("evaluator", "result"),
            registry=registry,
        )
        self._anchors_unscored = Counter(
            "assay_anchors_unscored",
            "Labelled items that were judged again and got no score.",
            ("evaluator",),
            registry=registry,
        )
        self._fits = Gauge(
            "assay_calibration_fits",
            "Whether the calibration of an evaluator is of what runs, and corrects its rate.",
            ("evaluator",),
            registry=registry,
        )
        self.unfit = Counter(
            "assay_calibrations_unfit",
            "Calibrations that were named and not applied when a worker started.",
            ("evaluator",),
            registry=registry,
        )
        self._terms = Gauge(
            "assay_calibration_term",
            "The corrected pass rate as a function of the raw one, for scores whose "
            "evaluator_version begins with `calibrated`; recording rules apply it.",
            ("evaluator", "calibrated", "term"),
            registry=registry,
        )
        for name in sorted(config.named_evaluators):
            settings = config.evaluators.get(name)
            if settings is not None and settings.anchors is not None:
                self._anchors_unscored.labels(name)
                for result in RESULTS:
                    self._anchors.labels(name, result)
            if settings is not None and (settings.verify or settings.jury):
                for result in RESULTS:
                    self._verdicts.labels(name, result)

    def anchored(self, evaluator: str, agrees: bool | None) -> None:
        """Count an anchor; None: it got no score."""
        if agrees is None:
            self._anchors_unscored.labels(evaluator).inc()
        else:
            self._anchors.labels(evaluator, AGREE if agrees else DISAGREE).inc()

    def calibrate(self, evaluator: Configured, contents: Iterable[str]) -> str | None:
        """Export the calibration of an evaluator; why not, where it does not fit."""
        record = evaluator.config.calibrated
        if record is None:
            return None
        fault = fault_of(evaluator, contents)
        self._fits.labels(evaluator.name).set(0 if fault else 1)
        if fault is None and record.correction is not None:
            for term, value in record.correction.model_dump(exclude={"method"}).items():
                self._terms.labels(evaluator.name, label_of(evaluator), term).set(value)
        return fault

    def observe(self, outcome: Outcome) -> None:
        """Count an outcome for which more than one judge gave a verdict, and gave it now."""
        if outcome.flags.cached:
            return
        if outcome.judge is not None and outcome.judge.agreement is not None:
            result = AGREE if outcome.judge.agreement == 1.0 else DISAGREE
            self._verdicts.labels(outcome.evaluator.name, result).inc()
