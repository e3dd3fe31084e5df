"""How the judges are doing: requests, tokens, spend, limits."""

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from schemas.config import JudgeConfig
from schemas.events import (
    BreakerMoved,
    BreakerState,
    JudgeCalled,
    JudgeRetried,
    LimiterMoved,
    VerdictLookedUp,
)

RESULTS = ("ok", "rate_limited", "endpoint_error", "timeout", "terminal", "bad_output")
"""How a request to a judge can end: `JudgeCalled.result`."""

HIT, MISS = "hit", "miss"

_BUCKETS = (0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60)


class JudgeMetrics:
    """Counts what judge clients tell; safe for use by several threads.

    Args:
        registry: Where the metrics are registered.
        judges: Those of the config, by name.
    """

    def __init__(self, registry: CollectorRegistry, judges: Mapping[str, JudgeConfig]) -> None:
        self._requests = Counter(
            "assay_judge_requests",
            "Requests to a judge endpoint, by how they ended.",
            ("endpoint", "result"),
            registry=registry,
        )
        self._retries = Counter(
            "assay_judge_retries",
            "Requests to a judge endpoint that are sent again, by what went wrong.",
            ("endpoint", "result"),
            registry=registry,
        )
        self._tokens = Counter(
            "assay_judge_tokens",
            "Tokens that judges used.",
            ("endpoint", "model", "type"),
            registry=registry,
        )
        self._cost = Counter(
            "assay_judge_cost_usd",
            "What judges cost in US dollars; a model without a known price adds nothing.",
            ("endpoint", "model"),
            registry=registry,
        )
        self._latency = Histogram(
            "assay_judge_latency_seconds",
            "Time of one request to a judge endpoint, without waiting for the limiter.",
            ("endpoint",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._breaker = Gauge(
            "assay_judge_breaker_open",
            "Whether a judge endpoint's circuit breaker is open or probing (1), or closed (0).",
            ("endpoint",),
            registry=registry,
        )
        self._limit = Gauge(
            "assay_judge_concurrency_limit",
            "Requests that the limiter lets be in flight to a judge endpoint.",
            ("endpoint",),
            registry=registry,
        )
        self._in_use = Gauge(
            "assay_judge_in_flight",
            "Requests in flight to a judge endpoint when its limit last moved.",
            ("endpoint",),
            registry=registry,
        )
        self._evaluators = Gauge(
            "assay_judge_evaluator_info",
            "Which evaluator asks which judge endpoint; always 1.",
            ("endpoint", "evaluator"),
            registry=registry,
        )
        self._cache = Counter(
            "assay_judge_cache",
            "Questions to a judge that remembers verdicts, by whether it had answered the same "
            "within the last hour (`hit`: it was not asked).",
            ("judge", "result"),
            registry=registry,
        )
        for name, config in judges.items():
            if config.cached_verdicts:
                for result in (HIT, MISS):
                    self._cache.labels(name, result)
        self.mode_changes = Counter(
            "assay_judge_mode_changes",
            "Structured-output modes and parameters that a judge endpoint did not honour.",
            ("endpoint",),
            registry=registry,
        )

    def start(self, endpoint: str, evaluators: Iterable[str] = ()) -> None:
        """Create an endpoint's series at 0, before its first request.

        Args:
            endpoint: Its label.
            evaluators: Names of those that ask it.
        """
        for evaluator in evaluators:
            self._evaluators.labels(endpoint, evaluator).set(1)
        for result in RESULTS:
            self._requests.labels(endpoint, result)
            self._retries.labels(endpoint, result)
        self._latency.labels(endpoint)
        self._breaker.labels(endpoint)
        self.mode_changes.labels(endpoint)

    def called(self, event: JudgeCalled) -> None:
        """A request ended."""
        self._requests.labels(event.endpoint, event.result).inc()
        self._latency.labels(event.endpoint).observe(event.latency_s)
        self._tokens.labels(event.endpoint, event.model, "input").inc(event.input_tokens)
        self._tokens.labels(event.endpoint, event.model, "output").inc(event.output_tokens)
        self._cost.labels(event.endpoint, event.model).inc(event.cost_usd or 0.0)

    def retried(self, event: JudgeRetried) -> None:
        """A request will be sent again."""
        self._retries.labels(event.endpoint, event.why).inc()

    def looked_up(self, event: VerdictLookedUp) -> None:
        """The verdicts that a judge has given were looked through."""
        self._cache.labels(event.judge, HIT if event.is_known else MISS).inc()

    def breaker_moved(self, event: BreakerMoved) -> None:
        """A circuit breaker changed its state."""
        is_open = event.state is not BreakerState.CLOSED
        self._breaker.labels(event.endpoint).set(1 if is_open else 0)

    def limiter_moved(self, event: LimiterMoved) -> None:
        """A concurrency limit changed."""
        self._limit.labels(event.endpoint).set(event.limit)
        self._in_use.labels(event.endpoint).set(event.in_use)
