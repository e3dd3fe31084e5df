"""Several judges, one verdict."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from support.samples import outcome as sample_outcome
from support.samples import span

from evaluators.contract import (
    Item,
    JudgeUse,
    Need,
    Question,
    Scope,
    Score,
    Skip,
    Subject,
    Verdict,
)
from evaluators.judge.budget import Budget
from evaluators.judge.client import JudgeClient
from evaluators.judge.evaluation import CallRecord, Deadline
from schemas.config import Config, EvaluatorConfig, JudgeConfig
from schemas.errors import JudgeFailure
from schemas.events import Event
from schemas.outcome import EvaluatorKind, Outcome, Source
from schemas.reasons import Reason, Status
from workers.configured import Configured, Seat
from workers.engine import Engine, Job, Meter
from workers.metrics import Metrics
from workers.router import Selected

_ASK = Question("test@1", "Is it harmless?", (Item("ok", "Is it?"),), {"output": "text"})
_MODELS = {"default": "gpt-5-mini", "second": "claude-haiku-4-5", "third": "gemini-3-flash"}

Said = Score | Skip | JudgeFailure | None


class _Judge(JudgeClient):
    """A client whose call ends as a test says, at a price; nothing is sent."""

    def __init__(self, name: str, config: JudgeConfig, said: Said) -> None:
        super().__init__(name, config, emit=lambda _: None)
        self.said = said
        self.asked = 0

    async def ask(
        self,
        question: Question,
        deadline: Deadline,
        record: CallRecord,
        budget: Budget | None = None,
    ) -> Verdict:
        del question, deadline, budget
        self.asked += 1
        record.sent += 1
        record.attempts += 1
        record.input_tokens += 100
        record.cost_usd = (record.cost_usd or 0.0) + 0.25
        record.model_answered = f"{self.model}-2026"
        await asyncio.sleep(0)
        if isinstance(self.said, JudgeFailure):
            raise self.said
        return Verdict({"ok": True}, self.name)


class _Evaluator:
    """Returns what the judge that it asked was told to say."""

    version = "1"
    kind = EvaluatorKind.JUDGE
    scope = Scope.SPAN
    needs: frozenset[Need] = frozenset()
    judge_use = JudgeUse.REQUIRED
    threshold = 0.7
    deadline_s = 5.0
    content_fingerprint = ""

    def __init__(self, judges: Mapping[str, _Judge], *, asks: bool = True) -> None:
        self._judges = judges
        self._asks = asks

    async def evaluate(self, subject: Subject) -> Any:
        assert subject.judge is not None
        if not self._asks:
            return Score(0.0, severity=5)
        verdict = await subject.judge.ask(_ASK)
        return self._judges[verdict.reason].said


def _judges(**said: Said) -> dict[str, _Judge]:
    return {
        name: _Judge(
            name,
            JudgeConfig(model=_MODELS[name], base_url="http://127.0.0.1:9/v1"),
            answer,
        )
        for name, answer in said.items()
    }


def _configured(judges: Mapping[str, _Judge], *, jury: bool = False, asks: bool = True) -> Any:
    names = tuple(judges)
    config = EvaluatorConfig(jury=names) if jury else EvaluatorConfig(verify=names[1])
    first, *others = (Seat(judge, judge._config) for judge in judges.values())
    evaluator = _Evaluator(judges, asks=asks)
    return Configured("toxicity", config, evaluator, first.judge, first.config, tuple(others))


async def _outcome(configured: Configured) -> Outcome:
    events: list[Event] = []
    job = Job(span(), configured, Selected("toxicity", ("all",), 1.0, "full", None), _SOURCE)
    (outcome,) = await asyncio.wait_for(Engine(events.append).outcomes([job], Meter()), 10)
    return outcome


_SOURCE = Source("spans", 0, 0)


def _unsafe(value: float = 0.2) -> Score:
    return Score(value, severity=4, critical=True, explanation="a threat")


_SAFE = Score(1.0, severity=0, explanation="nothing")


@pytest.mark.parametrize(
    ("first", "asked"),
    [
        pytest.param(_unsafe(), 1, id="fails a safety check"),
        pytest.param(Score(0.6), 1, id="just below the threshold"),
        pytest.param(Score(0.8), 1, id="just above the threshold"),
        pytest.param(replace(_SAFE, injection_suspected=True), 1, id="addressed the judge"),
        pytest.param(_SAFE, 0, id="safe"),
        pytest.param(Score(0.0), 0, id="bad, and no matter of safety"),
        pytest.param(Skip("not applicable"), 0, id="abstained"),
    ],
)
async def test_a_second_judge_is_asked_where_it_pays(first: Said, asked: int) -> None:
    """Where one verdict is not enough, and only there."""
    judges = _judges(default=first, second=_SAFE)
    await _outcome(_configured(judges))
    assert (judges["default"].asked, judges["second"].asked) == (1, asked)


async def test_what_code_decided_is_not_verified() -> None:
    """A second judge could only repeat what no judge has said."""
    judges = _judges(default=_SAFE, second=_SAFE)
    outcome = await _outcome(_configured(judges, asks=False))
    assert (judges["second"].asked, outcome.judge) == (0, None)


async def test_a_finding_that_both_judges_see_counts() -> None:
    """Agreement is published, and both models; their calls add up."""
    outcome = await _outcome(_configured(_judges(default=_unsafe(), second=_unsafe(value=0.4))))
    assert outcome.score is not None
    assert outcome.judge is not None
    assert (outcome.score.passed, outcome.score.critical, outcome.score.value) == (False, True, 0.2)
    assert outcome.score.items["judges"] == {"default": "fail", "second": "fail"}
    assert outcome.judge.agreement == 1.0
    assert outcome.judge.model_asked == "gpt-5-mini+claude-haiku-4-5"
    assert (outcome.judge.input_tokens, outcome.judge.cost_usd) == (200, 0.5)
    assert outcome.judge.attempts == 2


async def test_a_finding_that_the_second_judge_does_not_see_does_not_page() -> None:
    """The second decides; that they disagree is published, with who said what."""
    outcome = await _outcome(_configured(_judges(default=_unsafe(), second=_SAFE)))
    assert outcome.score is not None
    assert outcome.judge is not None
    assert (outcome.score.passed, outcome.score.critical) == (True, False)
    assert outcome.judge.agreement == 0.5
    assert outcome.score.explanation == "default says fail, second says pass. nothing"


@pytest.mark.parametrize("fooled", ["default", "second"])
async def test_an_attack_has_to_get_past_both_judges(fooled: str) -> None:
    """Where the text addressed its judge, a fail by either holds."""
    said = {"default": _unsafe(), "second": _unsafe(), fooled: _SAFE}
    said["default"] = replace(said["default"], injection_suspected=True)
    outcome = await _outcome(_configured(_judges(**said)))
    assert outcome.score is not None
    assert outcome.score.passed is False
    assert outcome.flags.injection_suspected


async def test_a_finding_does_not_vanish_because_the_second_judge_refuses() -> None:
    """It stands, unverified: agreement is null and the reason is in the items."""
    refusal = JudgeFailure(Reason.REFUSED, "declined")
    outcome = await _outcome(_configured(_judges(default=_unsafe(), second=refusal)))
    assert outcome.score is not None
    assert outcome.judge is not None
    assert (outcome.score.passed, outcome.score.critical) == (False, True)
    assert outcome.score.items["judges"] == {"default": "fail", "second": "refused"}
    assert outcome.judge.agreement is None


async def test_whether_a_verdict_was_verified_parts_no_series() -> None:
    """The model that answered is in a series' name; it is the first judge's either way."""
    alone = await _outcome(_configured(_judges(default=_SAFE, second=_SAFE)))
    verified = await _outcome(_configured(_judges(default=_unsafe(), second=_SAFE)))
    assert alone.judge is not None
    assert verified.judge is not None
    assert alone.judge.model_answered == verified.judge.model_answered == "gpt-5-mini-2026"
    assert alone.evaluator == verified.evaluator


async def test_the_majority_of_a_jury_holds() -> None:
    """With the share that agreed, and a critical finding only if the majority has it."""
    judges = _judges(default=_unsafe(), second=_SAFE, third=Score(0.9, severity=0))
    outcome = await _outcome(_configured(judges, jury=True))
    assert outcome.score is not None
    assert outcome.judge is not None
    assert (outcome.score.passed, outcome.score.critical, outcome.score.value) == (True, False, 0.9)
    assert outcome.judge.agreement == pytest.approx(2 / 3)
    assert outcome.judge.model_answered == (
        "gpt-5-mini-2026+claude-haiku-4-5-2026+gemini-3-flash-2026"
    )
    assert outcome.score.items["judges"] == {"default": "fail", "second": "pass", "third": "pass"}


async def test_two_of_three_are_a_majority_without_the_third() -> None:
    """A judge that fails votes for nothing."""
    failure = JudgeFailure(Reason.INVALID_OUTPUT, "no JSON")
    outcome = await _outcome(
        _configured(_judges(default=_SAFE, second=failure, third=_SAFE), jury=True)
    )
    assert outcome.score is not None
    assert outcome.judge is not None
    assert (outcome.score.passed, outcome.judge.agreement) == (True, 1.0)


async def test_a_jury_without_a_majority_has_no_verdict() -> None:
    """Where a judge that failed could have made one, the outcome fails with its reason."""
    failure = JudgeFailure(Reason.INVALID_OUTPUT, "no JSON")
    outcome = await _outcome(
        _configured(_judges(default=_unsafe(), second=failure, third=_SAFE), jury=True)
    )
    assert (outcome.outcome, outcome.reason) == (Status.FAILED, Reason.INVALID_OUTPUT)
    split = _judges(default=_unsafe(), second=Skip("not applicable"), third=_SAFE)
    outcome = await _outcome(_configured(split, jury=True))
    assert (outcome.outcome, outcome.reason) == (Status.SKIPPED, Reason.NOT_APPLICABLE)
    assert "no majority" in (outcome.detail or "")


async def test_what_is_no_score_is_the_evaluators_error_with_any_judge() -> None:
    """A bad answer of one juror is not outvoted: the evaluator is broken."""
    outcome = await _outcome(_configured(_judges(default=_unsafe(), second=None)))
    assert outcome.reason is Reason.EVALUATOR_ERROR
    judges = _judges(default=_SAFE, second=None, third=_SAFE)
    outcome = await _outcome(_configured(judges, jury=True))
    assert outcome.reason is Reason.EVALUATOR_ERROR


async def test_each_judge_that_may_be_asked_is_in_the_fingerprint() -> None:
    """Another second judge is another evaluator; so is a jury of the same models."""
    two, three = (_SAFE, _SAFE), (_SAFE, _SAFE, _SAFE)
    alone = Configured("toxicity", EvaluatorConfig(), *_alone(), None)
    refs = {
        _configured(_judges(**dict(zip(names, said, strict=True))), jury=jury).ref("full")
        for names, said, jury in (
            (("default", "second"), two, False),
            (("default", "third"), two, False),
            (("default", "second", "third"), three, True),
        )
    }
    assert len({ref.fingerprint for ref in refs}) == 3
    assert alone.ref("full").fingerprint not in {ref.fingerprint for ref in refs}


def _alone() -> tuple[Any, Any]:
    judges = _judges(default=_SAFE)
    return _Evaluator(judges), judges["default"]


def test_disagreement_is_counted() -> None:
    """From 0, for each evaluator that several judges are asked for."""
    config = Config.model_validate(
        {
            "kafka": {"bootstrap_servers": "x:1", "spans": ["spans"]},
            "evaluators": {"toxicity": {"verify": "second"}},
            "routes": [{"name": "all", "when": "true", "evaluators": ["toxicity"]}],
        }
    )
    registry = CollectorRegistry()
    metrics = Metrics(registry, config)

    def count(result: str) -> float | None:
        labels = {"evaluator": "toxicity", "result": result}
        return registry.get_sample_value("assay_judge_verdicts_total", labels)

    assert (count("agree"), count("disagree")) == (0, 0)
    for agreement in (1.0, 0.5, 0.5, None):
        outcome = sample_outcome(model_answered="gpt-5-mini")
        assert outcome.judge is not None
        judged = replace(outcome, judge=replace(outcome.judge, agreement=agreement))
        metrics.observe_outcomes([judged])
    assert (count("agree"), count("disagree")) == (1, 2)
