"""The series that alerts are made of: one set of additive counters for each kind of score.

Every aggregate is weighted by `1 / probability`, so it estimates all traffic and not the sample.
"""

from collections import OrderedDict
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.config import Config
from schemas.outcome import Outcome, ScoreRecord

from .label_sets import LabelSets, label_value

LABELS = (
    "environment",
    "service",
    "evaluator",
    "evaluator_version",
    "model",
    "prompt_version",
)
_EXPENDABLE = ("prompt_version", "model", "service", "environment", "evaluator_version")
_BUCKETS = tuple(tenth / 10 for tenth in range(11))
_FINGERPRINT_CHARS = 8
_MAX_TRACES = 50_000


def evaluator_version(outcome: Outcome) -> str:
    """The label: whatever changes what a score means is in it, so each such change is a new series.

    Version, fingerprint, the model that answered (a provider may swap it silently), and whether
    code answered in the judge's place.
    """
    ref = outcome.evaluator
    parts = [f"{ref.version}+{ref.fingerprint[:_FINGERPRINT_CHARS]}"]
    if outcome.judge is not None and outcome.judge.model_answered:
        parts.append(outcome.judge.model_answered)
    if outcome.flags.degraded:
        parts.append("degraded")
    return "/".join(parts)


class ScoreMetrics:
    """Counts scores; called by one thread.

    Args:
        registry: Where the metrics are registered.
        config: For the evaluators' objectives, `page_on` and `metrics.max_label_sets`.
        overflow: Counts label values that became `other`.
    """

    def __init__(self, registry: CollectorRegistry, config: Config, overflow: Counter) -> None:
        def counter(name: str, text: str) -> Counter:
            return Counter(name, text, LABELS, registry=registry)

        self._count = counter("assay_scores", "Scores, each counted once.")
        self._passed = counter("assay_scores_passed", "Scores that passed, each counted once.")
        self._weight = counter(
            "assay_score_weight",
            "Weights of scores: each is 1 / probability, so this estimates the whole population.",
        )
        self._weighted = counter(
            "assay_score_weighted",
            "Weight times score (0..1, 1 is good); divided by the weights it is the mean score.",
        )
        self._weighted_squares = counter(
            "assay_score_weighted_squares",
            "Weight times squared score; the spread of the scores follows from it.",
        )
        self._weight_squares = counter(
            "assay_score_weight_squares",
            "Squared weight of each trace, built up score by score; weight squared over this is "
            "the number of scores that independent evidence would have needed.",
        )
        self._weighted_passed = counter(
            "assay_score_weighted_passed",
            "Weights of scores that passed; divided by the weights it is the pass rate.",
        )
        self._critical = counter(
            "assay_critical_findings",
            "Critical findings of evaluators that are set to page on any.",
        )
        self._histogram = Histogram(
            "assay_score",
            "Distribution of scores, unweighted, with a trace of each bucket as exemplar; for "
            "dashboards, never for alerts.",
            ("evaluator", "evaluator_version", "service"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._objective = Gauge(
            "assay_evaluator_objective_ratio",
            "Mean score that the config promises for an evaluator.",
            ("evaluator",),
            registry=registry,
        )
        for name, settings in config.evaluators.items():
            if settings.objective is not None:
                self._objective.labels(name).set(settings.objective)
        self._paging = {
            name for name, settings in config.evaluators.items() if settings.page_on == "any"
        }
        self._label_sets = LabelSets(LABELS, _EXPENDABLE, config.metrics.max_label_sets, overflow)
        self._series: dict[tuple[str, ...], _Series] = {}
        self._traces: OrderedDict[tuple[tuple[str, ...], str], float] = OrderedDict()

    def observe(self, outcome: Outcome, score: ScoreRecord) -> None:
        """Count one score."""
        subject = outcome.subject
        labels = self._label_sets.admit(
            (
                subject.environment,
                subject.service,
                outcome.evaluator.name,
                evaluator_version(outcome),
                subject.model,
                subject.prompt_version,
            )
        )
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = self._start(labels)
        weight = 1 / outcome.sampling.probability
        series.count.inc()
        series.weight.inc(weight)
        series.weighted.inc(weight * score.value)
        series.weighted_squares.inc(weight * score.value**2)
        series.weight_squares.inc(weight * (weight + 2 * self._add(labels, outcome, weight)))
        series.histogram.observe(score.value, {"trace_id": label_value(outcome.trace_id)})
        if score.passed:
            series.passed.inc()
            series.weighted_passed.inc(weight)
        if score.critical and outcome.evaluator.name in self._paging:
            series.critical.inc()

    def _start(self, labels: tuple[str, ...]) -> "_Series":
        """Make all children of a label set, at 0, so that none is born with a value later."""
        by_name = dict(zip(LABELS, labels, strict=True))
        return _Series(
            count=self._count.labels(*labels),
            passed=self._passed.labels(*labels),
            weight=self._weight.labels(*labels),
            weighted=self._weighted.labels(*labels),
            weighted_squares=self._weighted_squares.labels(*labels),
            weight_squares=self._weight_squares.labels(*labels),
            weighted_passed=self._weighted_passed.labels(*labels),
            critical=self._critical.labels(*labels),
            histogram=self._histogram.labels(
                by_name["evaluator"], by_name["evaluator_version"], by_name["service"]
            ),
        )

    def _add(self, labels: tuple[str, ...], outcome: Outcome, weight: float) -> float:
        """Add to the weight of a trace in a series; what it had before.

        Scores of one trace share prompt, user and fate: counted as if they agreed, they are one
        piece of evidence. (sum of weights)² grows by w² + 2·w·W, which keeps it a counter. A trace
        that was forgotten counts as a new one: the formula falls back to independence.
        """
        key = (labels, outcome.trace_id)
        before = self._traces.pop(key, 0.0)
        self._traces[key] = before + weight
        if len(self._traces) > _MAX_TRACES:
            self._traces.popitem(last=False)
        return before


@dataclass(frozen=True, slots=True)
class _Series:
    count: Counter
    passed: Counter
    weight: Counter
    weighted: Counter
    weighted_squares: Counter
    weight_squares: Counter
    weighted_passed: Counter
    critical: Counter
    histogram: Histogram
