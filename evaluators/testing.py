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
from collections.abc import Callable, Iterable, Mapping
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
    Question,
    Scope,
    Score,
    Skip,
    Subject,
    Verdict,
)

_CANARY = "zanzibarquokka"
"""A word in every field of the subjects; it must not come back in what is published unredacted."""
_LABEL_CHARS = 64
_GRACE_S = 5.0
_HUGE_CHARS = 1_000_000

MakeEvaluator = Callable[[], Evaluator]
Result = Score | Skip


class ScriptedJudge:
    """A judge that answers by script and keeps the questions.

    Attributes:
        asked: Every question, in order.
    """

    def __init__(
        self,
        answers: Mapping[str, bool] | Callable[[Question], Verdict] | None = None,
        *,
        severities: Mapping[str, int] | None = None,
        reason: str = "as scripted",
        abstains: bool = False,
        raises: Exception | None = None,
        hangs: bool = False,
    ) -> None:
        """Set the script.

        Args:
            answers: Item id to answer, the others speak for the output; or a function that is
                asked; None: every answer speaks for the output.
            severities: Item id to 0..5, where the item asks for it; 0 for the others.
            reason: The reason of every verdict.
            abstains: Answer that every question is not applicable.
            raises: What to raise in the place of a verdict, such as a `JudgeFailure`.
            hangs: Never answer.
        """
        self.asked: list[Question] = []
        self._answers = answers or {}
        self._severities = severities or {}
        self._reason = reason
        self._abstains = abstains
        self._raises = raises
        self._hangs = hangs

    async def ask(self, question: Question) -> Verdict:
        """Answer by script."""
        self.asked.append(question)
        await asyncio.sleep(0)
        if self._hangs:
            await asyncio.Event().wait()
        if self._raises is not None:
            raise self._raises
        if callable(self._answers):
            return self._answers(question)
        if self._abstains:
            return Verdict({}, self._reason, abstained=True)
        answers = {item.id: self._answers.get(item.id, item.good) for item in question.items}
        severe = [item.id for item in question.items if item.severity]
        return Verdict(
            answers, self._reason, {name: self._severities.get(name, 0) for name in severe}
        )


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
    assert isinstance(one.version, str), "version is a text"
    assert one.version, "version is not empty"
    assert isinstance(one.kind, EvaluatorKind)
    assert isinstance(one.scope, Scope)
    assert isinstance(one.judge_use, JudgeUse)
    assert isinstance(one.needs, frozenset)
    assert all(isinstance(need, Need) for need in one.needs)
    assert 0 <= one.threshold <= 1, "threshold is in 0..1"
    assert 0 < one.deadline_s < float("inf"), "deadline_s is finite"
    facts = ("version", "content_fingerprint", "threshold", "kind", "needs")
    for fact in facts:
        assert getattr(one, fact) == getattr(other, fact), f"{fact} differs from object to object"


def check_determinism(make: MakeEvaluator) -> None:
    """The same subject gets the same result: again, in a new object, and beside others."""
    evaluator = make()
    subject = full_subject(_judge_for(evaluator))
    first = run(evaluator, subject)
    assert run(evaluator, subject) == first, "a second call differs"
    assert run(make(), subject) == first, "a new object differs"
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
    assert isinstance(result, Score | Skip), f"{type(result).__name__} is neither Score nor Skip"
    if isinstance(result, Skip):
        assert result.detail, "a skip says why"
        return
    assert isfinite(result.value), "value is finite"
    assert 0 <= result.value <= 1, "value is in 0..1"
    assert result.label is None or 0 < len(result.label) <= _LABEL_CHARS, "label is a word"
    assert result.severity is None or result.severity in range(6), "severity is 0..5"
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
        assert _CANARY not in published, "the result repeats text of the subject"


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
        assert result.missing in captured - evaluator.needs, f"{result.missing} is not declared"
    for need in evaluator.needs:
        result = run(evaluator, _with_only(full, evaluator.needs - {need}))
        check_result(result)
        is_skipped = isinstance(result, Skip)
        assert is_skipped or need in _CHECKED_BY_WORKER, f"{need} is declared and not needed"


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
    """It asks a judge as it declares: never, where there is one, or always."""
    evaluator = make()
    judge = ScriptedJudge()
    run(evaluator, full_subject(judge))
    match evaluator.judge_use:
        case JudgeUse.NEVER:
            assert not judge.asked, "it asks a judge and declares never to"
            assert evaluator.kind is EvaluatorKind.HEURISTIC, "without a judge it is a heuristic"
        case JudgeUse.OPTIONAL:
            check_result(run(evaluator, full_subject()))
        case JudgeUse.REQUIRED:
            assert judge.asked, "it declares that it needs a judge and asks none"
            assert evaluator.kind is not EvaluatorKind.HEURISTIC, "with a judge it is no heuristic"
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
