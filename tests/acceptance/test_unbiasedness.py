"""Sampling does not bend scores: means weighted by 1 / probability are those of all traffic."""

import asyncio
import math
import random
from dataclasses import dataclass

from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client import CollectorRegistry
from support.spans import llm_span, message

from evaluators.judge.client import JudgeClient
from schemas.config import Config, DeadLettersConfig
from schemas.events import Event
from schemas.limits import Limits
from schemas.otlp import Encoding
from workers import signals
from workers.configured import build
from workers.consumer import Record
from workers.dead_letters import Limit
from workers.engine import Engine, Meter
from workers.intake import Intake
from workers.metrics import Metrics
from workers.offset_metadata import Beginning
from workers.offsets import Offsets
from workers.router import Router

SERVICES = 20
CALLS = 1000
"""Of each service."""
ERRORS = 0.04
LEAKS = {True: 0.6, False: 0.05}
"""Share of answers with an address in it, of calls that failed and of those that did not."""
Z = 1.96

CONFIG = Config.model_validate(
    {
        "kafka": {"bootstrap_servers": "127.0.0.1:9092", "spans": ["spans"]},
        "routes": [
            {"name": "errors", "when": "span.error", "sample": 1.0, "evaluators": ["pii"]},
            {"name": "rest", "when": "true", "sample": 0.05, "evaluators": ["pii"]},
        ],
    }
)


@dataclass(frozen=True)
class Found:
    """What the counters of one service say of its scores, and what is true.

    Attributes:
        truth: The mean score of all its calls, sampled or not.
        weighted: The mean by weights.
        plain: The mean of the scores, each counted once.
        error: The standard error of `weighted`, from the counters alone.
        calls: How many calls the weights add up to.
    """

    truth: float
    weighted: float
    plain: float
    error: float
    calls: float


class Worker:
    """The code lane's own parts, without Kafka."""

    def __init__(self) -> None:
        self._evaluators = build(CONFIG, _no_judge)
        self.registry = CollectorRegistry()
        self._metrics = Metrics(self.registry, CONFIG)
        self._engine = Engine(_ignore)
        self._offsets = Offsets()
        self._offsets.assign(("spans", 0), 0, Beginning(1, 0, "c"), None)
        self._next = 0
        self._intake = Intake(
            "code",
            router=Router(CONFIG.routes, _ignore),
            evaluators=self._evaluators,
            limits=Limits(),
            encoding=Encoding.AUTO,
            limit=Limit(DeadLettersConfig()),
            counts=True,
            count_all=True,
            group_attributes=(),
            count=lambda _: None,
            emit=_ignore,
        )

    async def read(self, value: bytes) -> None:
        """Judge one record and count its outcomes."""
        claim = self._offsets.deliver(("spans", 0), self._next, 0.0)
        assert claim is not None
        record = Record("spans", 0, self._next, None, value, 0.0, claim)
        self._next += 1
        jobs = self._intake.read(record).jobs
        self._metrics.observe_outcomes(await self._engine.outcomes(jobs, Meter()))

    def total(self, name: str, service: str) -> float:
        """A counter of one service, over its other labels."""
        return sum(
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == f"assay_{name}_total"
            and sample.labels.get("service") == service
            and sample.labels.get("evaluator") == "pii"
        )


def _no_judge(name: str, _: object) -> JudgeClient:
    raise AssertionError(name)


def _ignore(_: Event) -> None:
    pass


def _call(draw: random.Random) -> tuple[Span, bool]:
    """A call in a trace of its own, and whether its answer is clean."""
    is_error = draw.random() < ERRORS
    leaks = draw.random() < LEAKS[is_error]
    answer = "Write to ann.smith@example.org." if leaks else "It is on its way."
    error = "timeout" if is_error else None
    trace_id = draw.randbytes(16)
    return llm_span("Where is it?", answer, trace_id=trace_id, error_type=error), not leaks


async def _simulate() -> list[Found]:
    draw, worker = random.Random(4), Worker()  # noqa: S311  made-up traffic
    truths: dict[str, float] = {}
    for number in range(SERVICES):
        service = f"service-{number}"
        calls = [_call(draw) for _ in range(CALLS)]
        truths[service] = sum(is_clean for _, is_clean in calls) / CALLS
        for begin in range(0, CALLS, 50):
            batch = [span for span, _ in calls[begin : begin + 50]]
            await worker.read(message(batch, service=service))
    return [_found(worker, service, truth) for service, truth in truths.items()]


def _found(worker: Worker, service: str, truth: float) -> Found:
    sums = signals.Sums(
        *(
            worker.total(name, service)
            for name in (
                "score_weight",
                "score_weighted",
                "score_weighted_squares",
                "score_weight_squares",
            )
        )
    )
    mean = signals.mean(sums)
    variance = signals.dispersion(sums) * mean * (1 - mean)
    return Found(
        truth=truth,
        weighted=mean,
        plain=worker.total("scores_passed", service) / worker.total("scores", service),
        error=math.sqrt(variance / signals.effective_count(sums)),
        calls=sums.weight,
    )


def test_errors_at_100_and_the_rest_at_5_per_cent_leave_the_mean_true() -> None:
    """Of 20 services the weighted means lie within their stated 95 % errors, the others far off.

    Failed calls are a twenty-fifth of the traffic and nearly half of the sample, and leak often.
    """
    found = asyncio.run(_simulate())
    within = sum(abs(one.weighted - one.truth) <= Z * one.error for one in found)
    assert within >= 17, "fewer than 17 of 20 happen once in a hundred times at 95 %"
    truth, weighted, plain = (
        sum(getattr(one, name) for one in found) / SERVICES
        for name in ("truth", "weighted", "plain")
    )
    error = math.sqrt(sum(one.error**2 for one in found)) / SERVICES
    assert abs(weighted - truth) <= Z * error
    assert truth - plain > 0.15
    assert truth - plain > 10 * error
    calls = sum(one.calls for one in found)
    assert abs(calls / (SERVICES * CALLS) - 1) < 0.1
