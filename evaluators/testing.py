"""The suite that every evaluator has to pass, and a judge that answers by script.

Subclass `EvaluatorContract` in a test module of yours and say how your evaluator is built:

    class TestPolicy(EvaluatorContract):
        def make(self) -> Evaluator:
            return Policy(Settings("acme_policy"))

pytest then runs each `test_` method; without pytest, call `check_all(make)`. Assay's own evaluators
are held to the same suite.
"""

# ruff: noqa: S101  a test suite asserts

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from math import isfinite
from typing import Any

from schemas.outcome import EvaluatorKind
from schemas.span import Message, Span, SpanKind, ToolCall

from .contract import (
    Evaluator,
    Judge,
    JudgeUse,
    Need,
    Score,
    Skip,
    Subject,
)
from .facts import faults_of
from .scripted_judge import ScriptedJudge

__all__ = [
    "EvaluatorContract",
    "MakeEvaluator",
    "Result",
    "ScriptedJudge",
    "check_all",
    "check_cancellation",
    "check_declarations",
    "check_determinism",
    "check_judge_use",
    "check_needs",
    "check_privacy",
    "check_result",
    "check_results",
    "full_subject",
    "make_span",
    "odd_subjects",
    "run",
]

_CANARY = "zanzibarquokka"
"""A word in every field of the subjects; it must not come back in what is published unredacted."""
_LABEL_CHARS = 64
_GRACE_S = 5.0
_HUGE_CHARS = 1_000_000

MakeEvaluator = Callable[[], Evaluator]
Result = Score | Skip


def make_span(
    question: str | None = "Where is my parcel?",
    answer: str | None = "It arrives tomorrow.",
    *,
    system: str | None = None,
    history: Iterable[Message] = (),
    **fields: Any,
) -> Span:
    """A span of one chat call, `history` before its question; `fields` are any others of `Span`."""
    messages = [Message("system", system)] if system is not None else []
    messages += history
    if question is not None:
        messages.append(Message("user", question))
    known: dict[str, Any] = {
        "trace_id": "5b8efff798038103d269b633813fc60c",
        "span_id": "eee19b7ec3c1b174",
        "parent_span_id": None,
        "name": "chat gpt-5-mini",
        "kind": SpanKind.LLM,
        "convention": "otel_genai",
        "scope": "test",
        "start_unix_nano": 1_700_000_000_000_000_000,
        "end_unix_nano": 1_700_000_001_000_000_000,
        "messages_in": tuple(messages),
        "output_text": answer,
        "finish_reason": "stop",
    }
    return Span(**known | fields)


def full_subject(judge: Judge | None = None) -> Subject:
    """A subject that has everything an evaluator can need."""
    word = _CANARY
    span = make_span(
        f"Where is the {word} parcel?",
        f"The {word} parcel arrives tomorrow.",
        system=f"You answer for {word} Ltd.",
        history=(Message("user", f"Is {word} open?"), Message("assistant", f"{word} is.")),
        tool_calls=(ToolCall("find", {"name": word, word: 1}, "call_1"),),
        session_id="session-1",
        attributes={"gen_ai.tool.definitions": f'[{{"name": "find_{word}"}}]'},
    )
    context = (f"Parcels of {word} arrive within a day.",)
    return Subject(span, context, f"Tomorrow, {word}.", judge, (span,))


def odd_subjects() -> Iterable[Subject]:
    """Subjects that are empty, huge or strange, and that are met in production."""
    for text in _odd_texts():
        span = make_span(text, text, system=text, tool_calls=(ToolCall(text, {text: [text]}),))
        yield Subject(span, (text,), text, spans=(span,))
    for arguments in (
        None,
        "{broken",
        b"\xff",
        10**30,
        float("nan"),
        {1: {2: object}},
        _nested(500),
    ):
        span = make_span("?", None, tool_calls=(ToolCall(None, arguments),))
        yield Subject(span, spans=(span,))
    for fields in (
        {"messages_in": (), "output_text": None},
        {"output_text": None, "finish_reason": "content_filter"},
        {"output_text": "", "finish_reason": "length", "error": True},
        {
            "messages_in": (
                Message("unheard_of", None),
                Message("tool", "x", (ToolCall("y", None),)),
            )
        },
        {"other_choices": ("one", "two"), "finish_reason": None, "truncated": True},
    ):
        span = make_span(**fields)
        yield Subject(span, spans=(span,))


def _odd_texts() -> Iterable[str]:
    yield from ("", " \n\t ", "\x00\x07", "\ud800 lone", "\u202e\u200b\ufeff", "e\u0301\u0327" * 50)
    yield from ("\U0001f469\u200d\U0001f4bb", "]]>}}</s>{{", '{"a": [1, 2', "null", "1" * 5000)
    yield "漢字かな交じり文と العربية"
    yield "lorem ipsum 12 " * (_HUGE_CHARS // 15)


def _nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value]
    return value


def run(evaluator: Evaluator, subject: Subject) -> Result:
    """Evaluate one subject, in an event loop of its own."""
    return asyncio.run(_evaluate(evaluator, subject))


async def _evaluate(evaluator: Evaluator, subject: Subject) -> Result:
    async with asyncio.timeout(evaluator.deadline_s):
        return await evaluator.evaluate(subject)


def _judge_for(evaluator: Evaluator) -> ScriptedJudge | None:
    return ScriptedJudge() if evaluator.judge_use is JudgeUse.REQUIRED else None


def check_declarations(make: MakeEvaluator) -> None:
    """The declared facts have the right types and stay the same."""
    one, other = make(), make()
    faults = faults_of(one)
    assert not faults, "; ".join(faults)
    facts = ("version", "content_fingerprint", "threshold", "kind", "needs")
    for fact in facts:
        assert getattr(one, fact) == getattr(other, fact), (
            f"{fact} differs between two objects of the same settings"
        )


def check_determinism(make: MakeEvaluator) -> None:
    """The same subject gets the same result: again, in a new object, and beside others."""
    evaluator = make()
    subject = full_subject(_judge_for(evaluator))
    first = run(evaluator, subject)
    assert run(evaluator, subject) == first, (
        "a second call with the same subject gives another result"
    )
    assert run(make(), subject) == first, "a new object gives another result for the same subject"
    others = [subject, *list(odd_subjects())[:6], subject, subject]
    subjects = [replace(other, judge=_judge_for(evaluator)) for other in others]
    results = asyncio.run(_at_once(evaluator, subjects))
    same = [results[0], *results[-2:]]
    assert same == [first] * len(same), "calls that run at once disturb each other"


async def _at_once(evaluator: Evaluator, subjects: Iterable[Subject]) -> list[Result]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_evaluate(evaluator, subject)) for subject in subjects]
    return [task.result() for task in tasks]


def check_results(make: MakeEvaluator) -> None:
    """Scores are finite and in 0..1, and no subject makes the evaluator raise."""
    evaluator = make()
    for subject in (full_subject(), *odd_subjects()):
        check_result(run(evaluator, replace(subject, judge=_judge_for(evaluator))))


def check_result(result: Result) -> None:
    """One result can be published."""
    assert isinstance(result, Score | Skip), (
        f"evaluate gave {type(result).__name__}; it has to be a Score or a Skip"
    )
    if isinstance(result, Skip):
        assert result.detail, "a Skip has an empty detail; say why it does not apply"
        return
    assert isfinite(result.value), f"Score.value is {result.value}; it has to be finite"
    assert 0 <= result.value <= 1, f"Score.value is {result.value}; it has to be in 0..1"
    assert result.label is None or 0 < len(result.label) <= _LABEL_CHARS, (
        f"Score.label is {result.label!r:.80}; it has to be None or 1 to {_LABEL_CHARS} characters"
    )
    assert result.severity is None or result.severity in range(6), (
        f"Score.severity is {result.severity}; it has to be None or 0..5"
    )
    json.dumps(dict(result.items), allow_nan=False)


def check_privacy(make: MakeEvaluator) -> None:
    """Label, items and details hold no text of the subject; only a judge's reason may quote."""
    evaluator = make()
    for judge in (_judge_for(evaluator), ScriptedJudge(reason=_CANARY)):
        result = run(evaluator, full_subject(judge))
        if isinstance(result, Skip):
            published = result.detail
        else:
            explanation = None if judge and judge.asked else result.explanation
            published = json.dumps([result.label, dict(result.items), explanation])
        assert _CANARY not in published, (
            f"label, items, explanation or detail repeats text of the subject: {published:.200}"
        )


def check_cancellation(make: MakeEvaluator) -> None:
    """A cancelled call ends soon, raises `CancelledError`, and the evaluator works on."""
    evaluator = make()
    cancelled = asyncio.run(_is_cancelled(evaluator))
    assert cancelled or evaluator.judge_use is JudgeUse.NEVER, "the cancellation was swallowed"
    check_result(run(evaluator, full_subject(_judge_for(evaluator))))


async def _is_cancelled(evaluator: Evaluator) -> bool:
    judge = ScriptedJudge(hangs=True)
    task = asyncio.ensure_future(evaluator.evaluate(full_subject(judge)))
    for _ in range(5):
        await asyncio.sleep(0)
    has_waited = bool(judge.asked)
    task.cancel()
    await asyncio.wait({task}, timeout=_GRACE_S)
    assert task.done(), f"still running {_GRACE_S} s after it was cancelled"
    return task.cancelled() or not has_waited


def check_needs(make: MakeEvaluator) -> None:
    """It is content with what it declares, and asks for nothing else."""
    evaluator = make()
    full = full_subject(_judge_for(evaluator))
    result = run(evaluator, _with_only(full, evaluator.needs))
    check_result(result)
    if isinstance(result, Skip) and result.missing is not None:
        captured = {Need.INPUT, Need.OUTPUT}
        assert result.missing in captured - evaluator.needs, (
            f"{result.missing} is not declared, and without it evaluate skips; "
            f"add {_name(result.missing)} to needs"
        )
    for need in evaluator.needs:
        result = run(evaluator, _with_only(full, evaluator.needs - {need}))
        check_result(result)
        is_skipped = isinstance(result, Skip)
        assert is_skipped or need in _CHECKED_BY_WORKER, (
            f"{need} is declared and not needed: evaluate scores without it; begin it with "
            f'`return Skip("...", missing={_name(need)})` where it is missing, or do not declare it'
        )


def _name(need: Need) -> str:
    return f"Need.{need.name}"


_CHECKED_BY_WORKER = frozenset({Need.INPUT, Need.TOOLS, Need.SESSION})
"""Needs that an evaluator may leave to the worker, which never calls it without them."""


def _with_only(subject: Subject, needs: Iterable[Need]) -> Subject:
    """The subject with what `needs` names, and nothing else."""
    kept = frozenset(needs)
    *before, question = subject.span.messages_in
    messages = [m for m in before if m.role == "system" and Need.SYSTEM_PROMPT in kept]
    messages += [m for m in before if m.role != "system" and Need.SESSION in kept]
    messages += [question] if Need.INPUT in kept else []
    span = replace(
        subject.span,
        messages_in=tuple(messages),
        output_text=subject.span.output_text if Need.OUTPUT in kept else None,
        tool_calls=subject.span.tool_calls if Need.OUTPUT in kept else (),
        attributes=subject.span.attributes if Need.TOOLS in kept else {},
        session_id=subject.span.session_id if Need.SESSION in kept else None,
    )
    return Subject(
        span,
        subject.context if Need.CONTEXT in kept else (),
        subject.reference if Need.REFERENCE in kept else None,
        subject.judge,
        (span,),
    )


def check_judge_use(make: MakeEvaluator) -> None:
    """It asks a judge as it declares: never, where there is one, or always; it may abstain."""
    evaluator = make()
    judge = ScriptedJudge()
    run(evaluator, full_subject(judge))
    match evaluator.judge_use:
        case JudgeUse.NEVER:
            assert not judge.asked, "it asks a judge, and judge_use is NEVER"
            assert evaluator.kind is EvaluatorKind.HEURISTIC, (
                "judge_use is NEVER; kind should be EvaluatorKind.HEURISTIC"
            )
        case JudgeUse.OPTIONAL:
            check_result(run(evaluator, full_subject()))
        case JudgeUse.REQUIRED:
            assert judge.asked, "judge_use is REQUIRED, and it asks none about a whole subject"
            assert evaluator.kind is not EvaluatorKind.HEURISTIC, (
                "judge_use is REQUIRED; kind should be EvaluatorKind.JUDGE or CASCADE"
            )
    if any(asked.may_abstain for asked in judge.asked):
        check_result(run(make(), full_subject(ScriptedJudge(abstains=True))))
    for asked in judge.asked:
        stable = " ".join([asked.instructions, *(item.question for item in asked.items)])
        assert _CANARY not in stable, "judged text stands in the instructions; it belongs in `data`"


_CHECKS = (
    check_declarations,
    check_determinism,
    check_results,
    check_privacy,
    check_cancellation,
    check_needs,
    check_judge_use,
)


def check_all(make: MakeEvaluator) -> None:
    """Run the whole suite.

    Raises:
        AssertionError: The evaluator breaks the contract; the message says how.
    """
    for check in _CHECKS:
        check(make)


class EvaluatorContract:
    """The suite as test methods; a subclass implements `make`."""

    def make(self) -> Evaluator:
        """Build the evaluator under test, new each time."""
        raise NotImplementedError

    def test_declarations(self) -> None:
        """Declared facts are valid."""
        check_declarations(self.make)

    def test_determinism(self) -> None:
        """The same subject gets the same result."""
        check_determinism(self.make)

    def test_results(self) -> None:
        """Every subject, however odd, gets a valid result."""
        check_results(self.make)

    def test_privacy(self) -> None:
        """No judged text is in what is published unredacted."""
        check_privacy(self.make)

    def test_cancellation(self) -> None:
        """Cancelling a call ends it."""
        check_cancellation(self.make)

    def test_needs(self) -> None:
        """Declared needs are what it needs."""
        check_needs(self.make)

    def test_judge_use(self) -> None:
        """The judge is asked as declared."""
        check_judge_use(self.make)
