"""The series that alerts are made of: one set of additive counters for each kind of score.

Every aggregate is weighted by `1 / probability`, so it estimates all traffic and not the sample.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.samples import Exemplar

from schemas.config import Config
from schemas.outcome import Outcome, ScoreRecord

from .label_sets import OTHER, LabelSets, label_value
from .tallies import Distribution, Distributions, Family, Tallies, exemplar

LABELS = (
    "environment",
    "service",
    "evaluator",
    "evaluator_version",
    "model",
    "prompt_version",
)
LATE_S = 3600.0
"""What ended longer ago moves no series that alerts: it says nothing about now.

After an outage the backlog would fill the shortest windows with the scores of hours. It is counted
as late and stands on the scores topic like any other.
"""

_EXPENDABLE = ("prompt_version", "model", "service", "environment", "evaluator_version")
_WORDS = ("environment", "service", "evaluator", "evaluator_version", "label")
_WORDS_EXPENDABLE = ("label", "service", "environment", "evaluator_version")
_MAX_WORDS = 20
"""Labels of one evaluator: the set is documented to be small, and nothing else makes it so."""

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


@dataclass(slots=True)
class ScoreTally:
    """What the counters of one label set say. None: the evaluator does not tell it."""

    count: int = 0
    passed: int | None = 0
    weight: float = 0.0
    weighted: float = 0.0
    weighted_squares: float = 0.0
    weight_squares: float = 0.0
    weighted_passed: float | None = 0.0
    critical: int | None = 0
    critical_trace: Exemplar | None = None

    def add(self, value: float, weight: float, weight_before: float) -> None:
        """Add a score that stands for `weight` calls.

        Scores of one trace share prompt, user and fate: counted as if they agreed, they are one
        piece of evidence. (sum of weights)² grows by w² + 2·w·W, which keeps it a counter.

        Args:
            value: The score, 0..1.
            weight: 1 / probability.
            weight_before: W, the weight that the scores of this trace have here already.
        """
        self.count += 1
        self.weight += weight
        weighted = weight * value
        self.weighted += weighted
        self.weighted_squares += weighted * value
        self.weight_squares += weight * (weight + 2 * weight_before)


_FAMILIES = (
    Family("assay_scores", "Scores, each counted once.", "count"),
    Family("assay_scores_passed", "Scores that passed, each counted once.", "passed"),
    Family(
        "assay_score_weight",
        "Weights of scores: each is 1 / probability, so this estimates the whole population.",
        "weight",
    ),
    Family(
        "assay_score_weighted",
        "Weight times score (0..1, 1 is good); divided by the weights it is the mean score.",
        "weighted",
    ),
    Family(
        "assay_score_weighted_squares",
        "Weight times squared score; the spread of the scores follows from it.",
        "weighted_squares",
    ),
    Family(
        "assay_score_weight_squares",
        "Squared weight of each trace, built up score by score; weight squared over this is the "
        "number of scores that independent evidence would have needed.",
        "weight_squares",
    ),
    Family(
        "assay_score_weighted_passed",
        "Weights of scores that passed; divided by the weights it is the pass rate.",
        "weighted_passed",
    ),
    Family(
        "assay_critical_findings",
        "Critical findings of evaluators that are set to page on any, however old the call.",
        "critical",
        exemplar="critical_trace",
    ),
)


class ScoreSeries:
    """The counters of all scores, wherever they come from; `ScoreMetrics` and `CallScores` add.

    Args:
        registry: Where the metrics are registered.
        clock: Unix seconds.
    """

    def __init__(self, registry: CollectorRegistry, clock: Callable[[], float] = time.time) -> None:
        self.tallies = Tallies(registry, LABELS, ScoreTally, _FAMILIES, clock)
        self._distributions = Distributions(
            registry,
            "assay_score",
            "Distribution of scores, unweighted, with a trace of each bucket as exemplar; for "
            "dashboards, never for alerts.",
            ("evaluator", "evaluator_version", "service"),
            clock,
        )
        self._late = Counter(
            "assay_scores_late",
            "Scores of calls that had ended more than an hour before they were counted; they are "
            "in no other series of scores.",
            ("evaluator",),
            registry=registry,
        )

    def distribution(self, evaluator: str, version: str, service: str) -> Distribution:
        """The histogram's share of a label set; values as the label sets have them."""
        return self._distributions.at((evaluator, version, service))

    def late(self, evaluator: str) -> Counter:
        """The count of scores that came too late, made at 0."""
        return self._late.labels(evaluator)


class ScoreMetrics:
    """Counts the scores of evaluators; called by one thread.

    Args:
        registry: Where the metrics are registered.
        config: For the evaluators' objectives, `page_on` and `metrics.max_label_sets`.
        overflow: Counts label values that became `other`.
        series: Where scores are added.
        limit: Label sets at most.
        clock: Unix seconds.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        config: Config,
        overflow: Counter,
        *,
        series: ScoreSeries,
        limit: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        evaluators = config.named_evaluators
        self._clock = clock
        self._series = series
        for name in sorted(evaluators):
            series.late(name)
        self._words = _Words(registry, overflow, limit, closed=len(evaluators), clock=clock)
        objective = Gauge(
            "assay_evaluator_objective_ratio",
            "Mean score that the config promises for an evaluator.",
            ("evaluator",),
            registry=registry,
        )
        for name, settings in config.evaluators.items():
            if settings.objective is not None:
                objective.labels(name).set(settings.objective)
        self._paging = {
            name for name, settings in config.evaluators.items() if settings.page_on == "any"
        }
        self._label_sets = LabelSets(LABELS, _EXPENDABLE, limit, overflow, closed=len(evaluators))
        self._traces: OrderedDict[tuple[tuple[str, ...], str], float] = OrderedDict()

    def observe(self, outcome: Outcome, score: ScoreRecord) -> None:
        """Count one score; of one that was remembered only whether it pages."""
        subject, evaluator = outcome.subject, outcome.evaluator.name
        labels = self._label_sets.admit(
            (
                subject.environment,
                subject.service,
                evaluator,
                evaluator_version(outcome),
                subject.model,
                subject.prompt_version,
            )
        )
        now_s = self._clock()
        tally = self._series.tallies.at(labels)
        if score.critical and evaluator in self._paging and tally.critical is not None:
            # Also of a call that ended long ago: nobody has been told of this one.
            tally.critical += 1
            tally.critical_trace = exemplar(outcome.trace_id, 1.0, now_s)
        if outcome.flags.cached:
            return  # what a judge said before, on the same text, is no new evidence
        if subject.start_unix_nano / 1e9 + subject.duration_s < now_s - LATE_S:
            self._series.late(evaluator).inc()
            return
        weight = 1 / outcome.sampling.probability
        tally.add(score.value, weight, self._add(labels, outcome.trace_id, weight))
        if score.passed and tally.passed is not None and tally.weighted_passed is not None:
            tally.passed += 1
            tally.weighted_passed += weight
        environment, service, name, version = labels[:4]
        distribution = self._series.distribution(name, version, service)
        distribution.add(score.value, outcome.trace_id, now_s)
        if score.label is not None:
            self._words.observe((environment, service, name, version), score.label, weight)

    def _add(self, labels: tuple[str, ...], trace_id: str, weight: float) -> float:
        """Add to the weight of a trace in a series; what it had before.

        A trace that was forgotten counts as a new one: the formula falls back to independence.
        """
        key = (labels, trace_id)
        before = self._traces.pop(key, 0.0)
        self._traces[key] = before + weight
        if len(self._traces) > _MAX_TRACES:
            self._traces.popitem(last=False)
        return before


@dataclass(slots=True)
class _WordTally:
    count: int = 0
    weight: float = 0.0


_WORD_FAMILIES = (
    Family("assay_score_labels", "Scores by the evaluator's word for them.", "count"),
    Family(
        "assay_score_label_weight",
        "Weights of scores by the evaluator's word for them; the shares of its words in all "
        "traffic follow from it.",
        "weight",
    ),
)


class _Words:
    """Counts what evaluators call what they found, such as `leak`."""

    def __init__(
        self,
        registry: CollectorRegistry,
        overflow: Counter,
        limit: int,
        *,
        closed: int,
        clock: Callable[[], float],
    ) -> None:
        self._tallies = Tallies(registry, _WORDS, _WordTally, _WORD_FAMILIES, clock)
        self._overflow = overflow.labels("label")
        self._label_sets = LabelSets(_WORDS, _WORDS_EXPENDABLE, limit, overflow, closed=closed)
        self._known: dict[str, set[str]] = {}

    def observe(self, labels: tuple[str, str, str, str], word: str, weight: float) -> None:
        """Count one score; `labels` are all but the last."""
        evaluator = labels[2]
        known = self._known.setdefault(evaluator, set())
        word = label_value(word)
        if word not in known:
            if len(known) < _MAX_WORDS:
                known.add(word)
            else:
                self._overflow.inc()
                word = OTHER
        tally = self._tallies.at(self._label_sets.admit((*labels, word)))
        tally.count += 1
        tally.weight += weight
