"""All metrics of a worker, in one injected registry; each is declared once, with its meaning."""

import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from schemas.config import Config
from schemas.outcome import Origin, Outcome
from schemas.reasons import Reason, Status

from .budget_metrics import BudgetMetrics
from .call_scores import CallScores
from .cost_metrics import CostMetrics
from .judge_metrics import JudgeMetrics
from .output_metrics import OutputMetrics
from .pipeline_metrics import PipelineMetrics
from .plugin_metrics import PluginMetrics
from .score_metrics import ScoreMetrics, ScoreSeries
from .trace_metrics import TraceMetrics
from .trust_metrics import TrustMetrics
from .usages import Call

_EVALUATION_BUCKETS = (0.001, 0.01, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)

_CALLS_SHARE = 3
"""One part in so many of a score's label sets is for the cost and latency of calls.

So the calls that no route selects, however many services they come from, leave the evaluators room.
"""


class Metrics:
    """The metrics of one worker.

    `observe_outcomes` and `observe_calls` are called by one thread, the event loop's; all else by
    any. A series whose labels are known beforehand exists from the start, at 0: a counter that is
    first seen at 5 shows no increase.

    Args:
        registry: Where the metrics are registered.
        config: For names (routes, evaluators), objectives and bounds.
        lanes: The lanes that this worker runs.
        clock: Unix seconds.

    Attributes:
        pipeline: What came in, what is in flight, what lags.
        judges: What judge clients tell.
        budgets: What is spent of the caps.
        outputs: What outputs besides the scores topic tell.
        traces: What waits to be whole.
        plugins: What evaluators did that they must not.
        trust: Whether judges agree, with each other and with people.

    Raises:
        ConfigError: `cost.group_by.name` is a label that the metrics have already.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        config: Config,
        *,
        lanes: Sequence[str] = ("code", "judge"),
        clock: Callable[[], float] = time.time,
    ) -> None:
        evaluators = sorted(config.named_evaluators)
        overflow = Counter(
            "assay_label_overflow",
            "Label values that became `other` because metrics.max_label_sets was reached.",
            ("label",),
            registry=registry,
        )
        self.pipeline = PipelineMetrics(
            registry, lanes=lanes, routes=[route.name for route in config.routes], clock=clock
        )
        self.judges = JudgeMetrics(registry, config.judges)
        self.budgets = BudgetMetrics(registry, config.budgets)
        self.outputs = OutputMetrics(registry)
        self.traces = TraceMetrics(registry, topics=config.kafka.spans)
        self.trust = TrustMetrics(registry, config)
        self._cost = CostMetrics(registry, config, overflow, clock)
        of_calls = config.metrics.max_label_sets // _CALLS_SHARE
        series = ScoreSeries(registry, clock)
        self._call_scores = CallScores(config, overflow, series=series, limit=of_calls, clock=clock)
        self._scores = ScoreMetrics(
            registry,
            config,
            overflow,
            series=series,
            limit=config.metrics.max_label_sets - of_calls,
            clock=clock,
        )
        self._outcomes = Counter(
            "assay_outcomes",
            "Published outcomes; their sum is the number of evaluations.",
            ("evaluator", "outcome", "reason"),
            registry=registry,
        )
        self._second_chances = Counter(
            "assay_second_chance_outcomes",
            "Published outcomes of a retry or a backfill; they are in no other metric.",
            ("origin", "outcome"),
            registry=registry,
        )
        self._evaluation = Histogram(
            "assay_evaluation_seconds",
            "Time from the start of an evaluation to its outcome, waiting for a judge included.",
            ("evaluator",),
            buckets=_EVALUATION_BUCKETS,
            registry=registry,
        )
        self.plugins = PluginMetrics(registry, evaluators)
        self._start_series(evaluators)
        build = Gauge(
            "assay_build_info", "The version that runs; always 1.", ("version",), registry=registry
        )
        build.labels(version("assay")).set(1)
        ProcessCollector(registry=registry)

    def observe_outcomes(self, outcomes: Iterable[Outcome]) -> None:
        """Count outcomes whose publication has been acknowledged."""
        for outcome in outcomes:
            if outcome.origin is not Origin.LIVE:
                # Yesterday's traffic must not move the series that alert on today's.
                self._second_chances.labels(outcome.origin.value, outcome.outcome.value).inc()
                continue
            reason = "" if outcome.reason is None else outcome.reason.value
            name = outcome.evaluator.name
            self._outcomes.labels(name, outcome.outcome.value, reason).inc()
            if outcome.evaluation_s is not None:
                self._evaluation.labels(name).observe(outcome.evaluation_s)
            self.trust.observe(outcome)
            if outcome.score is not None and outcome.outcome is Status.SCORED:
                self._scores.observe(outcome, outcome.score)

    def observe_calls(self, calls: Iterable[Call]) -> None:
        """Count LLM calls, each of which is told once: spend, tokens, and scores of both."""
        for call in calls:
            weight = 1 / call.probability
            cost_usd = self._cost.observe(call.usage, weight, is_error=call.is_error)
            self._call_scores.observe(call.usage, weight, cost_usd=cost_usd, is_error=call.is_error)

    def observe_matches(self, routes: Iterable[str]) -> None:
        """Count a selected span for each route that it matches."""
        for route in routes:
            self.pipeline.route_matches.labels(route).inc()

    def load_prices(self) -> None:
        """Read the price list, which takes up to a second: call it from a thread at start."""
        self._cost.prices.load()

    def _start_series(self, evaluators: Sequence[str]) -> None:
        for evaluator in evaluators:
            self._outcomes.labels(evaluator, Status.SCORED.value, "")
            for reason in Reason:
                self._outcomes.labels(evaluator, reason.status.value, reason.value)
            self._evaluation.labels(evaluator)
