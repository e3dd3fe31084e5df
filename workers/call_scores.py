"""Cost and latency of LLM calls as scores, so that one set of rules watches all dimensions.

A score is 1 / (1 + value / reference): 1 is free and instant, one half is the reference. It is
bounded, so a few calls that cost a thousand times the usual do not drown a change of all others.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import Counter

from schemas.config import Config
from schemas.span import Usage

from .label_sets import LabelSets
from .score_metrics import LATE_S, ScoreSeries, ScoreTally
from .tallies import Distribution

COST = "cost"
LATENCY = "latency"
RESERVED = (COST, LATENCY)
"""Values of the label `evaluator` that no evaluator may have as its name; the config sees to it."""

LATENCY_REFERENCE_S = 2.0
"""Length in seconds of a call whose latency score is one half."""

_FORMULA = "1"
"""Version of the formula; with the reference it is the evaluator's version."""

_LABELS = ("environment", "service", "model", "prompt_version")
_EXPENDABLE = ("prompt_version", "model", "service", "environment")
_MAX_TRACES = 50_000


class CallScores:
    """Counts each LLM call as a score of `cost` and one of `latency`; called by one thread.

    Args:
        config: For `cost.reference_usd`.
        overflow: Counts label values that became `other`.
        series: Where scores are added.
        limit: Label sets at most, those of both taken together.
        clock: Unix seconds.
    """

    def __init__(
        self,
        config: Config,
        overflow: Counter,
        *,
        series: ScoreSeries,
        limit: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._clock = clock
        self._series = series
        self._reference_usd = config.cost.reference_usd
        # Whoever changes a reference changes what the scores mean: that is a new series.
        self._versions = {
            COST: f"{_FORMULA}+{self._reference_usd:g}usd",
            LATENCY: f"{_FORMULA}+{LATENCY_REFERENCE_S:g}s",
        }
        self._late = {name: series.late(name) for name in RESERVED}
        self._label_sets = LabelSets(_LABELS, _EXPENDABLE, limit // len(RESERVED), overflow)
        self._known: dict[tuple[str | None, ...], _Kind] = {}
        self._traces: OrderedDict[tuple[int, str], _Weights] = OrderedDict()

    def observe(
        self, usage: Usage, weight: float, *, cost_usd: float | None, is_error: bool
    ) -> None:
        """Count one LLM call.

        Args:
            usage: The call.
            weight: How many calls it stands for.
            cost_usd: What it cost; None, nobody knows, and then it has no score of cost.
            is_error: A failed call has no score of latency: it took as long as it took to fail.
        """
        duration_s = (usage.end_unix_nano - usage.start_unix_nano) / 1e9
        has_latency = duration_s > 0 and not is_error
        now_s = self._clock()
        if usage.end_unix_nano / 1e9 < now_s - LATE_S:
            if cost_usd is not None:
                self._late[COST].inc()
            if has_latency:
                self._late[LATENCY].inc()
            return
        kind = self._kind(usage)
        before = self._before(kind, usage.trace_id)
        if cost_usd is not None:
            value = 1 / (1 + cost_usd / self._reference_usd)
            kind.cost.add(value, weight, before.cost)
            kind.costs.add(value, usage.trace_id, now_s)
            before.cost += weight
        if has_latency:
            value = 1 / (1 + duration_s / LATENCY_REFERENCE_S)
            kind.latency.add(value, weight, before.latency)
            kind.latencies.add(value, usage.trace_id, now_s)
            before.latency += weight

    def _kind(self, usage: Usage) -> "_Kind":
        """The tallies for a call."""
        values = (
            usage.environment,
            usage.service,
            usage.request_model or usage.response_model,
            usage.prompt_version,
        )
        kind = self._known.get(values)
        if kind is not None:
            return kind
        labels = self._label_sets.admit(values)
        kind = self._known.get(labels)
        if kind is None:
            kind = self._known[labels] = self._new(labels)
        if labels == tuple(value or "" for value in values):
            self._known[values] = kind  # none was replaced or cut, so there is an end to these
        return kind

    def _new(self, labels: tuple[str, ...]) -> "_Kind":
        environment, service, model, prompt_version = labels

        def tally(name: str) -> ScoreTally:
            found = self._series.tallies.at(
                (environment, service, name, self._versions[name], model, prompt_version)
            )
            # Nothing is promised about a single call: it neither passes nor fails.
            found.passed = found.weighted_passed = found.critical = None
            return found

        def distribution(name: str) -> Distribution:
            return self._series.distribution(name, self._versions[name], service)

        return _Kind(
            len(self._known),
            tally(COST),
            tally(LATENCY),
            distribution(COST),
            distribution(LATENCY),
        )

    def _before(self, kind: "_Kind", trace_id: str) -> "_Weights":
        """The weight that a trace has in the tallies so far; see `ScoreTally.add`."""
        key = (kind.number, trace_id)
        weights = self._traces.get(key)
        if weights is not None:
            self._traces.move_to_end(key)
            return weights
        weights = self._traces[key] = _Weights()
        if len(self._traces) > _MAX_TRACES:
            self._traces.popitem(last=False)
        return weights


@dataclass(frozen=True, slots=True)
class _Kind:
    """What calls with the same labels add to."""

    number: int
    cost: ScoreTally
    latency: ScoreTally
    costs: Distribution
    latencies: Distribution


@dataclass(slots=True)
class _Weights:
    cost: float = 0.0
    latency: float = 0.0
