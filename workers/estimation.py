"""What a config would come to on the traffic that was read: matches, evaluations, judge spend.

The spans themselves are asked, not the sample that a worker would draw of them: every span that a
route matches counts with the share in which the route keeps such spans. So a route that keeps one
trace in a thousand is estimated as well as one that keeps all.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from evaluators.contract import Question, Verdict
from evaluators.judge.budget import Budget
from evaluators.judge.client import JudgeClient
from evaluators.judge.completion import Completion
from evaluators.judge.evaluation import CallRecord, Deadline
from evaluators.judge.prompt import write_prompt
from evaluators.judge.request import Request
from schemas import conventions
from schemas.config import Config, JudgeConfig
from schemas.errors import JudgeFailure, Undecodable
from schemas.events import Event, RouteFailed
from schemas.otlp import Encoding, Plan, decode
from schemas.outcome import Source
from schemas.reasons import Reason
from schemas.span import Span, SpanKind

from .configured import JUDGE, TRACE, Configured, Seat, ignored
from .duplicates import RecentCalls, RecentSpans
from .engine import Engine, Job, Meter
from .intake import plan_jobs, read_spans
from .router import Router
from .sampler import inclusion_probability, threshold
from .topic_reader import Read
from .trace import Part, Trace, TraceClaim, selection

_NOT_SENT = "the prompt was measured, not sent"
_Z = 1.96
"""Standard errors on either side of a 95 % interval."""

_Routes = dict[tuple[str, str], tuple[Span, set[str]]]
"""Spans by trace and span id, each with the routes that match it."""

_METERED = 200
"""Prompts that are written for each evaluator, to see how long they are."""

BYTES_PER_TOKEN = 4.0
"""Of prompts; what providers say of English. Other languages and JSON have fewer: a guess."""

OUTPUT_TOKENS = 200
"""Of a judge's answer: receipt, 40 words of reason, an answer for each question; a guess."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of things, and its 95 % interval."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> "Amount":
        """The same for another length of time."""
        return Amount(self.value * factor, self.low * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class JudgeCost:
    """What one evaluator asks of its judge.

    Attributes:
        model: The model that is asked; with others that are asked the same, joined by `+`.
        share: Share of its evaluations that ask the judge; the others end before.
        prompt_bytes: Mean size of a prompt.
        usd: Price of a call of that size, by the assumptions above; None: the model has no price.
        most_usd: Price if every byte were a token and the answer as long as it may be.
    """

    model: str
    share: float
    prompt_bytes: float
    usd: float | None
    most_usd: float | None


def amount(by_trace: Mapping[str, float], unit: float = 1.0) -> Amount:
    """A sum with its interval: Poisson, of as many independent traces as the weights amount to.

    Spans of one trace come together, so it is traces that are counted: n = (Σw)² / Σw² (Kish 1965).
    Byar's approximation of the exact interval (Breslow and Day 1987, Statistical Methods in Cancer
    Research II, p. 69) is within 1 % from one event on.

    Args:
        by_trace: What each trace weighs.
        unit: What a trace would weigh, where none was seen.
    """
    total = sum(by_trace.values())
    if not total:
        return Amount(0.0, 0.0, unit * _byar(1, _Z))  # at least what one more trace would say
    count = total**2 / sum(weight**2 for weight in by_trace.values())
    unit = total / count
    return Amount(total, unit * _byar(count, -_Z), unit * _byar(count + 1, _Z))


class Tally:
    """Counts what a config would do with records. Not for use by two threads.

    Args:
        config: The config.
        evaluators: Those that its routes name; their judges are `PromptMeter`s.

    Attributes:
        spans: Spans of every kind.
        unreadable: Records that cannot be read.
        calls: LLM calls, by trace.
        matched: Spans that a route matches, by route and trace.
        kept: The same, each with the share in which the route keeps it.
        evaluations: Evaluations, by evaluator and trace.
        failures: Spans on which a route's expression failed, by route.
    """

    def __init__(self, config: Config, evaluators: Mapping[str, Configured]) -> None:
        self._config = config
        self._evaluators = evaluators
        self._samples = {route.name: route.sample for route in config.routes}
        everything = [
            route.model_copy(update={"sample": float(route.sample > 0)}) for route in config.routes
        ]
        self._router = Router(everything, self._note)
        self._plan = Plan(markers=conventions.MARKERS, usage_keys=frozenset())
        self._limits = config.limits.of_message()
        self._recent_calls = RecentCalls()
        self._recent_spans = RecentSpans()
        self._random = random.Random(0)  # noqa: S311  which prompts are measured is no secret
        self._to_meter: dict[str, list[Job]] = defaultdict(list)
        self._judged: Counter[str] = Counter()
        self._traces: dict[str, Trace] = {}
        self._has_trace_evaluators = any(each.lane == TRACE for each in evaluators.values())
        self.spans = 0
        self.unreadable = 0
        self.calls: dict[str, float] = defaultdict(float)
        self.matched: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.kept: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.evaluations: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        self.failures: Counter[str] = Counter()

    def add(self, record: Read) -> None:
        """Count one record of a spans topic."""
        encoding = Encoding(self._config.kafka.encoding)
        try:
            decoded = decode(record.value or b"", encoding, self._limits, self._plan)
        except Undecodable:
            self.unreadable += 1
            return
        self.spans += decoded.span_count
        spans = read_spans(decoded)
        for span in spans:
            if span.kind is SpanKind.LLM and span.duplicate_of is None:
                self.calls[span.trace_id] += 1
        source = Source(record.topic, record.partition, record.offset)
        jobs = plan_jobs(
            spans,
            source,
            router=self._router,
            evaluators=self._evaluators,
            recent_calls=self._recent_calls,
            is_new=lambda span: (
                not self._recent_spans.seen(
                    source.topic, source.partition, span.trace_id, span.span_id, source.offset
                )
            ),
        )
        routes = self._count_traces(spans, source) if self._has_trace_evaluators else {}
        self._count(jobs, routes)

    def _count_traces(self, spans: Sequence[Span], source: Source) -> _Routes:
        """Count evaluations of traces; the spans that ask for one, each with its routes.

        The first traces are kept to be measured, as far as they stand in the records that are read.
        """
        routes: _Routes = {}
        for span in spans:
            chosen = selection([span], self._router, self._evaluators)
            for name, selected in chosen.items():
                known, share = self.evaluations[name], self._most(span, selected.routes)
                known[span.trace_id] = max(known[span.trace_id], share)
                key = (span.trace_id, span.span_id)
                routes.setdefault(key, (span, set()))[1].update(selected.routes)
            if span.trace_id in self._traces or (chosen and len(self._traces) < _METERED):
                claim = TraceClaim((source.topic, source.partition))
                trace = self._traces.setdefault(span.trace_id, Trace(span.trace_id, claim))
                part = Part(span.trace_id, source, (span,), (), chosen)
                trace.take(part, self._router.combine)
        return routes

    def _count(self, jobs: Sequence[Job], routes: _Routes) -> None:
        for job in jobs:
            span = job.span
            matching = routes.setdefault((span.trace_id, span.span_id), (span, set()))[1]
            matching.update(job.selected.routes)
            share = self._most(span, job.selected.routes)
            self.evaluations[job.evaluator.name][span.trace_id] += share
            if job.evaluator.lane == JUDGE and share:
                self._draw(job)
        for span, names in routes.values():
            for name in names:
                self.matched[name][span.trace_id] += 1
                self.kept[name][span.trace_id] += self._share(span, name)

    def _most(self, span: Span, routes: Iterable[str]) -> float:
        return max(self._share(span, name) for name in routes)

    def _share(self, span: Span, route: str) -> float:
        """The share in which a route keeps spans that got here like this one."""
        here = inclusion_probability(span.trace_state, 0)
        return inclusion_probability(span.trace_state, threshold(self._samples[route])) / here

    def _draw(self, job: Job) -> None:
        """Keep some evaluations to measure, each as likely as any other (Vitter 1985)."""
        name = job.evaluator.name
        self._judged[name] += 1
        drawn = self._to_meter[name]
        if len(drawn) < _METERED:
            drawn.append(job)
        elif (place := self._random.randrange(self._judged[name])) < _METERED:
            drawn[place] = job

    async def judge_costs(self) -> dict[str, JudgeCost]:
        """What each evaluator that has a judge would ask it, by evaluator; nothing is sent."""
        engine = Engine(ignored, now=lambda: 0.0)  # at which time nothing has expired
        costs = {}
        to_meter = {name: list(jobs) for name, jobs in self._to_meter.items()}
        for job in (job for each in self._traces.values() for job in each.jobs(self._evaluators)):
            to_meter.setdefault(job.evaluator.name, []).append(job)
        for name, jobs in to_meter.items():
            judge = jobs[0].evaluator.judge
            if not isinstance(judge, PromptMeter):
                continue
            judge.sizes.clear()
            for job in jobs:
                await engine.outcomes([job], Meter())
            costs[name] = _all_costs(jobs[0].evaluator, judge, len(jobs))
        return costs

    def _note(self, event: Event) -> None:
        if isinstance(event, RouteFailed):
            self.failures[event.route] += 1


class PromptMeter(JudgeClient):
    """A judge that writes its prompts and sends none.

    Attributes:
        sizes: Bytes of each prompt.
    """

    def __init__(self, name: str, config: JudgeConfig, text_chars: int) -> None:
        super().__init__(name, config, emit=ignored, text_chars=text_chars)
        self._chars = text_chars
        self.sizes: list[int] = []

    async def ask(
        self,
        question: Question,
        deadline: Deadline,
        record: CallRecord,
        budget: Budget | None = None,
    ) -> Verdict:
        """Measure the prompt.

        Raises:
            JudgeFailure: Always: there is no verdict.
        """
        del deadline, record, budget
        request = Request.of(question, 1, self._chars)
        prompt = write_prompt(request.question, request.data)
        self.sizes.append(len(prompt.system.encode()) + len(prompt.user.encode()))
        raise JudgeFailure(Reason.JUDGE_UNAVAILABLE, _NOT_SENT)

    async def complete(
        self,
        request: Mapping[str, Any],
        deadline: Deadline,
        record: CallRecord,
        budget: Budget | None = None,
    ) -> Mapping[str, Any]:
        """Measure another library's first prompt; those that would follow from an answer are not.

        Raises:
            JudgeFailure: Always: there is no answer.
        """
        del deadline, record, budget
        self.sizes.append(len(orjson.dumps(Completion.of(request, 1).messages)))
        raise JudgeFailure(Reason.JUDGE_UNAVAILABLE, _NOT_SENT)


def _all_costs(evaluator: Configured, judge: PromptMeter, evaluations: int) -> JudgeCost:
    """What all judges cost that are asked the same; one that verifies at most each time."""
    first, *others = evaluator.seats
    cost = _cost(judge.sizes, first, evaluations)
    for seat in others:
        other = _cost(judge.sizes, seat, evaluations)
        always = evaluator.config.jury is not None
        cost = replace(
            cost,
            model=f"{cost.model}+{seat.config.model}",
            usd=_sum(cost.usd, other.usd) if always else cost.usd,
            most_usd=_sum(cost.most_usd, other.most_usd),
        )
    return cost


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _cost(sizes: Sequence[int], seat: Seat, evaluations: int) -> JudgeCost:
    mean = sum(sizes) / len(sizes) if sizes else 0.0
    price = seat.judge.price
    usd = price.cost_usd(round(mean / BYTES_PER_TOKEN), OUTPUT_TOKENS)
    most = price.cost_usd(round(mean), seat.config.max_output_tokens)
    return JudgeCost(seat.config.model, len(sizes) / evaluations, mean, usd, most)


def _byar(count: float, z: float) -> float:
    return max(0.0, count * (1 - 1 / (9 * count) + z / (3 * math.sqrt(count))) ** 3)
