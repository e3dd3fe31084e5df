"""The public suite: it finds the mistakes that it is there for."""

import asyncio
import itertools
from collections.abc import Callable
from typing import ClassVar

import pytest

from evaluators import (
    Evaluator,
    EvaluatorKind,
    Item,
    JudgeUse,
    Need,
    Question,
    Scope,
    Score,
    Skip,
    Subject,
    testing,
)


class _Good:
    version = "1"
    kind = EvaluatorKind.HEURISTIC
    scope = Scope.SPAN
    needs = frozenset({Need.OUTPUT})
    judge_use = JudgeUse.NEVER
    threshold = 0.5
    deadline_s = 5.0
    content_fingerprint = ""

    async def evaluate(self, subject: Subject) -> Score | Skip:
        if not subject.span.output_text:
            return Skip("no output", missing=Need.OUTPUT)
        return Score(1.0)


class _OutOfRange(_Good):
    async def evaluate(self, subject: Subject) -> Score | Skip:
        return Score(float("nan")) if subject.span.output_text else Skip("no output")


class _Remembers(_Good):
    calls: ClassVar = itertools.count()

    async def evaluate(self, subject: Subject) -> Score | Skip:
        assert subject.span.trace_id
        return Score(1 / (1 + next(self.calls)))


class _Raises(_Good):
    async def evaluate(self, subject: Subject) -> Score | Skip:
        return Score(float((subject.span.output_text or "")[0] == "T"))


class _Quotes(_Good):
    async def evaluate(self, subject: Subject) -> Score | Skip:
        return Score(1.0, items={"words": subject.output_text.split()[:3]})


class _Swallows(_Good):
    judge_use = JudgeUse.REQUIRED
    kind = EvaluatorKind.JUDGE

    async def evaluate(self, subject: Subject) -> Score | Skip:
        assert subject.judge is not None
        try:
            verdict = await subject.judge.ask(Question("r@1", "Decide.", (), {}))
        except asyncio.CancelledError:
            return Score(0.0)
        return Score(1.0, explanation=verdict.reason)


class _NeedsMore(_Good):
    async def evaluate(self, subject: Subject) -> Score | Skip:
        if not subject.context:
            return Skip("no context", missing=Need.CONTEXT)
        return Score(1.0)


class _NeedsLess(_Good):
    needs = frozenset({Need.OUTPUT, Need.REFERENCE})


class _NeverAsks(_Good):
    judge_use = JudgeUse.REQUIRED
    kind = EvaluatorKind.JUDGE


class _Set(_Good):
    def __init__(self) -> None:
        setattr(self, "needs", {Need.OUTPUT})  # noqa: B010  mypy knows that this is wrong


class _Patient(_Good):
    deadline_s = 10**400


class _Plain(_Good):
    def evaluate(self, subject: Subject) -> Score | Skip:  # type: ignore[override]  # seen often
        return Score(float(bool(subject.output_text)))


class _Reads(_Good):
    async def evaluate(self, subject: Subject) -> Score | Skip:
        return Score(float(subject.output_text > "a"))


class _ShowsText(_Swallows):
    async def evaluate(self, subject: Subject) -> Score | Skip:
        assert subject.judge is not None
        await subject.judge.ask(Question("r@1", f"Judge {subject.output_text}", (), {}))
        return Score(1.0)


def test_a_sound_evaluator_passes() -> None:
    """The suite accepts an evaluator without faults."""
    testing.check_all(_Good)


@pytest.mark.parametrize(
    ("check", "faulty", "message"),
    [
        (testing.check_results, _OutOfRange, "finite"),
        (testing.check_determinism, _Remembers, "another result"),
        (testing.check_results, _Raises, "index out of range"),
        (testing.check_privacy, _Quotes, "repeats text"),
        (testing.check_cancellation, _Swallows, "swallowed"),
        (testing.check_needs, _NeedsMore, "not declared"),
        (testing.check_declarations, _Set, r"needs is the set .* should be a frozenset of Need"),
        (testing.check_declarations, _Patient, "deadline_s is the int 1000.* up to 86400"),
        (testing.check_declarations, _Plain, "evaluate is .* should be async def evaluate"),
        (testing.check_needs, _NeedsMore, r"add Need\.CONTEXT to needs"),
        (testing.check_needs, _NeedsLess, "reference is declared and not needed"),
        (testing.check_needs, _Reads, r'`return Skip\("...", missing=Need\.OUTPUT\)`'),
        (testing.check_judge_use, _NeverAsks, "asks none"),
        (testing.check_judge_use, _ShowsText, "belongs in `data`"),
    ],
)
def test_each_fault_is_found(
    check: Callable[[Callable[[], Evaluator]], None],
    faulty: Callable[[], Evaluator],
    message: str,
) -> None:
    """Each check fails on the fault that it is there for."""
    with pytest.raises((AssertionError, IndexError), match=message):
        check(faulty)


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        (testing.ScriptedJudge({"kidn": False}), "answers to kidn, .*; it asks for kind"),
        (testing.ScriptedJudge(severities={"kind": 3}), "severities to kind, .*; it asks for none"),
    ],
)
def test_a_script_that_nobody_asks_for_is_told(judge: testing.ScriptedJudge, message: str) -> None:
    """A typing error in the script fails the test, and names what is asked."""
    question = Question("r@1", "Decide.", (Item("kind", "Is it kind?"),), {})
    with pytest.raises(AssertionError, match=message):
        asyncio.run(judge.ask(question))
