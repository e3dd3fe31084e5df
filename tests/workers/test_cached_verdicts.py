"""A verdict that a judge gives again has an outcome, and is no new sample anywhere."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from support.judge_server import Call, Changed, JudgeServer, Text
from support.samples import config as sample_config
from support.samples import span

from evaluators.contract import Item, JudgeUse, Need, Question, Scope, Score, Subject
from evaluators.judge.budget import BudgetSpent, Charge
from evaluators.judge.client import JudgeClient
from schemas.config import EvaluatorConfig, JudgeConfig
from schemas.events import Event
from schemas.outcome import EvaluatorKind, JudgeRecord, Outcome, Source
from schemas.reasons import Reason
from workers.configured import Configured, Seat
from workers.engine import Engine, Job, Meter
from workers.metrics import Metrics
from workers.router import Selected
from workers.score_window import ScoreWindow

_NOW_S = 1_790_000_010.0
"""Some seconds after the calls of `support.samples`."""


class _Evaluator:
    """Asks its judge each of its questions about the answer: good is that all are true."""

    version = "1"
    kind = EvaluatorKind.JUDGE
    scope = Scope.SPAN
    needs: frozenset[Need] = frozenset()
    judge_use = JudgeUse.OPTIONAL
    threshold = 0.5
    deadline_s = 5.0
    content_fingerprint = ""

    def __init__(self, *questions: str) -> None:
        self._questions = questions

    async def evaluate(self, subject: Subject) -> Score:
        if subject.judge is None:
            return Score(0.5)
        verdicts = [
            await subject.judge.ask(
                Question("test@1", text, (Item("ok", "Is it?"),), {"output": subject.output_text})
            )
            for text in self._questions
        ]
        is_good = all(verdict.answers["ok"] for verdict in verdicts)
        return Score(float(is_good), critical=not is_good)


@dataclass
class _Site:
    """A judge server, and a worker's engine, metrics and window."""

    server: JudgeServer
    stack: AsyncExitStack
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    outcomes: list[Outcome] = field(default_factory=list)

    def __post_init__(self) -> None:
        sections = {"toxicity": {"page_on": "any", "verify": "second"}}
        judges = {"default": {"model": "m", "base_url": "http://127.0.0.1:9/v1"}}
        self.metrics = Metrics(
            self.registry,
            sample_config(evaluators=sections, judges=judges | {"second": judges["default"]}),
            clock=lambda: _NOW_S,
        )
        self.window = ScoreWindow(60)

    def seat(self, name: str = "default", size: int = 100) -> Seat:
        """A judge, all of them of one model, with a memory of so many verdicts."""
        config = JudgeConfig.model_validate(
            {"model": "gpt-5-mini", "base_url": self.server.url, "cached_verdicts": size}
        )
        client = JudgeClient(name, config, emit=lambda _: None)
        self.stack.push_async_callback(client.aclose)
        return Seat(client, config)

    def configured(
        self,
        seats: Sequence[Seat],
        *questions: str,
        name: str = "toxicity",
        **settings: Any,
    ) -> Configured:
        """An evaluator with these judges."""
        first, *others = seats
        evaluator = _Evaluator(*(questions or ("Is it harmless?",)))
        config = EvaluatorConfig(**settings)
        return Configured(name, config, evaluator, first.judge, first.config, tuple(others))

    async def evaluate(
        self, configured: Configured, *, recalls: bool = True, number: int = 0, **settings: Any
    ) -> Outcome:
        """Evaluate a call, as one of a trace of its own, and count what comes of it."""
        events: list[Event] = []
        engine = Engine(events.append, now=lambda: _NOW_S, recalls=recalls, **settings)
        trace_id = f"{len(self.outcomes) + 1:032x}"
        job = Job(
            span(trace_id=trace_id, output_text=f"Answer {number}"),
            configured,
            Selected(configured.name, ("support",), 0.25, "full", None),
            Source("spans", 0, 0),
        )
        (outcome,) = await engine.outcomes([job], Meter())
        self.outcomes.append(outcome)
        self.metrics.observe_outcomes([outcome])
        self.window.add(outcome, _NOW_S)
        return outcome

    def samples(self, *beginnings: str) -> dict[Any, float]:
        """All that the metrics say whose names begin so, exemplars included."""
        return {
            (sample.name, *sorted(sample.labels.items()), str(sample.exemplar)): sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name.startswith(beginnings)
        }


@pytest.fixture
async def site() -> AsyncIterator[_Site]:
    """One in whose judge's eyes all is well."""
    async with JudgeServer() as server, AsyncExitStack() as stack:
        yield _Site(server, stack)


_SERIES = ("assay_score", "assay_judge_verdicts")


async def test_a_remembered_verdict_is_an_outcome_and_no_sample(site: _Site) -> None:
    """Coverage counts all three outcomes; the series that alerts are made of count one."""
    configured = site.configured([site.seat()])
    first = await site.evaluate(configured)
    before = site.samples(*_SERIES)

    again = [await site.evaluate(configured) for _ in range(2)]

    assert site.server.count == 1
    assert not first.flags.cached
    assert [one.flags.cached for one in again] == [True, True]
    assert [one.score for one in again] == [first.score] * 2
    assert again[0].judge == JudgeRecord(
        "gpt-5-mini", "judge-1", 0, 0, 0.0, 0, 0.0, mode="json_schema"
    )
    assert site.samples(*_SERIES) == before
    labels = {"evaluator": "toxicity", "outcome": "scored", "reason": ""}
    assert site.registry.get_sample_value("assay_outcomes_total", labels) == 3


async def test_what_top_shows_counts_it_and_weighs_it_nothing(site: _Site) -> None:
    """Three outcomes; the mean is that of the two texts that a judge has judged."""
    site.server.decide = lambda data, _: data["output"] == "Answer 0"
    configured = site.configured([site.seat()])
    for number in (0, 0, 1):
        await site.evaluate(configured, number=number)
    totals = site.window.every(_NOW_S)
    assert (totals.outcomes, totals.scored, totals.weight) == (3, 3, 8.0)
    assert (totals.mean, totals.pass_rate) == (0.5, 0.5)


async def test_only_remembered_scores_have_no_mean(site: _Site) -> None:
    """Where the window has nothing but those there is nothing to average."""
    configured = site.configured([site.seat()])
    await site.evaluate(configured)
    window = ScoreWindow(60)
    window.add(await site.evaluate(configured), _NOW_S)
    totals = window.every(_NOW_S)
    assert (totals.scored, totals.mean, totals.pass_rate) == (1, None, None)


async def test_a_critical_finding_pages_again(site: _Site) -> None:
    """It is a person's call that it was found in, and no statistic."""
    site.server.decide = lambda *_: False
    configured = site.configured([site.seat()])
    for _ in range(2):
        await site.evaluate(configured)
    found = site.samples("assay_critical_findings_total")
    assert (len(found), *found.values()) == (1, 2)
    assert sum(site.samples("assay_scores_total").values()) == 1


async def test_each_evaluator_has_samples_of_its_own(site: _Site) -> None:
    """A shadow run asks the same about the same text, and must not live on another's verdicts."""
    seat = site.seat()
    await site.evaluate(site.configured([seat]))
    for change in ({"name": "shadow"}, {"options": {"strict": True}}):
        outcome = await site.evaluate(site.configured([seat], **change))
        assert not outcome.flags.cached
    assert site.server.count == 3


async def test_one_question_that_is_asked_makes_a_sample(site: _Site) -> None:
    """Where the second of two questions failed there was no score, so the next one is the first."""
    configured = site.configured([site.seat()], "Is it harmless?", "Is it true?")
    site.server.script = lambda call: (
        Changed({"items": {}}) if "Is it true?" in call.system else None
    )
    failed = await site.evaluate(configured)
    assert failed.reason is Reason.INVALID_OUTPUT
    site.server.script = lambda _: None
    calls = site.server.count

    outcome = await site.evaluate(configured)

    assert site.server.count == calls + 1
    assert not outcome.flags.cached
    assert sum(site.samples("assay_scores_total").values()) == 1


class _Spent:
    """A budget with nothing left."""

    async def reserve(self, nanos: int) -> Charge:
        """Refuse."""
        assert nanos >= 0
        raise BudgetSpent("daily", may_degrade=True)

    async def reopened(self) -> None:
        """Nobody waits for this one."""
        raise AssertionError


async def test_a_reached_cap_stops_no_remembered_verdict(site: _Site) -> None:
    """What costs nothing needs no money; what was not answered yet is answered by code."""
    configured = site.configured([site.seat()])
    await site.evaluate(configured)
    known = await site.evaluate(configured, open_budget=lambda _: _Spent())
    new = await site.evaluate(configured, number=1, open_budget=lambda _: _Spent())
    assert (known.flags.cached, known.flags.degraded) == (True, False)
    assert (new.flags.cached, new.flags.degraded) == (False, True)


async def test_code_that_asked_no_judge_is_not_cached(site: _Site) -> None:
    """A cascade that ends at its code is a sample each time."""
    configured = Configured("toxicity", EvaluatorConfig(), _Evaluator(), None, None)
    for _ in range(2):
        assert not (await site.evaluate(configured)).flags.cached
    assert sum(site.samples("assay_scores_total").values()) == 2


async def test_who_watches_the_judge_asks_anew(site: _Site) -> None:
    """An engine recalls nothing unless it is told to: a calibration measures the judge."""
    configured = site.configured([site.seat()])
    await site.evaluate(configured)
    for _ in range(2):
        assert not (await site.evaluate(configured, recalls=False)).flags.cached
    assert site.server.count == 3


async def test_jurors_of_one_model_vote_each_for_itself(site: _Site) -> None:
    """Three votes are three calls; on the same text each juror gives its own vote again."""
    names = ("default", "second", "third")
    configured = site.configured([site.seat(name) for name in names], jury=names)
    votes = iter((True, False, True))
    site.server.script = lambda _: Changed({"items": {"ok": next(votes)}})
    first = await site.evaluate(configured)
    before = site.samples(*_SERIES)
    again = await site.evaluate(configured)
    assert site.server.count == 3
    assert first.judge is not None
    assert again.judge is not None
    assert first.judge.agreement == again.judge.agreement == pytest.approx(2 / 3)
    assert (first.flags.cached, again.flags.cached) == (False, True)
    assert again.score == first.score
    assert site.samples(*_SERIES) == before


async def test_a_doubtful_verdict_is_verified_also_where_it_is_remembered(site: _Site) -> None:
    """The second judge is of the same model here, and is asked all the same; then it is known."""
    configured = site.configured([site.seat("default"), site.seat("second")], verify="second")
    is_second_unwilling = True

    def answer(call: Call) -> Changed | Text:
        if call.index == 0 or not is_second_unwilling:
            return Changed({"items": {"ok": False}})
        return Text("I'm sorry, but I can't help with that.")

    site.server.script = answer
    unverified = await site.evaluate(configured)
    assert unverified.score is not None
    assert unverified.score.items["judges"] == {"default": "fail", "second": "refused"}
    is_second_unwilling = False

    verified = await site.evaluate(configured)
    known = await site.evaluate(configured)

    assert verified.score is not None
    assert verified.judge is not None
    assert verified.score.items["judges"] == {"default": "fail", "second": "fail"}
    assert (verified.judge.attempts, verified.flags.cached) == (1, False)
    assert (known.score, known.flags.cached) == (verified.score, True)
