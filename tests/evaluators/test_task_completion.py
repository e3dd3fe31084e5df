"""The `task_completion` evaluator: what its judge is shown of a run, and what its answers mean.

The traces are made: the same order and the same claim, with tools that did it, that failed without
a word, or that were never called. What their label is, follows from how they were made.
"""

from dataclasses import replace

import orjson
import pytest

from evaluators import Message, Question, Score, Settings, Skip, Span, Subject, ToolCall, Verdict
from evaluators.judged.task_completion import TaskCompletion
from evaluators.testing import ScriptedJudge, make_span, run
from schemas.span import SpanKind

_ORDERS = {
    "cancel_order": ("Cancel order {0}.", "Order {0} is cancelled."),
    "book_train": ("Book the train at {0} to Lyon.", "Your seat on the train at {0} is booked."),
    "send_mail": ("Tell customer {0} that we are late.", "I have written to customer {0}."),
    "refund": ("Give {0} euros back to the buyer.", "The refund of {0} euros is on its way."),
    "save_note": ("Note that room {0} is free.", "Saved: room {0} is free."),
}
_KINDS = {"success": "done", "silent failure": "unbacked", "claimed only": "unbacked"}
_ALL_GOOD = {"goal_reached", "part_reached", "claims_backed", "failures_told"}


def _tool(name: str, argument: int, *, is_ok: bool) -> Span:
    return make_span(
        None,
        None,
        name=f"execute_tool {name}",
        kind=SpanKind.TOOL,
        span_id=f"{argument:016x}",
        tool_name=name,
        tool_arguments={"id": argument},
        tool_result="done" if is_ok else "connection refused",
        error=not is_ok,
    )


def _trace(kind: str, tool: str, number: int) -> Subject:
    asked, told = (text.format(number) for text in _ORDERS[tool])
    call = make_span(asked, None, tool_calls=(ToolCall("look_up", {"id": number}),))
    spans = [call, _tool("look_up", number, is_ok=True)]
    if kind != "claimed only":
        spans.append(_tool(tool, number, is_ok=kind == "success"))
    spans.append(make_span(asked, told, span_id="f" * 16))
    calls = tuple(ToolCall(s.tool_name, s.tool_arguments) for s in spans[1:-1])
    return Subject(make_span(asked, told, tool_calls=calls), spans=tuple(spans))


def _looks_up(question: Question) -> Verdict:
    """A judge that does no more than to look for the claimed action among what succeeded."""
    results = orjson.loads(question.data["tool_results"])
    succeeded = {(r["tool"], r["arguments"]["id"]) for r in results if r["status"] == "ok"}
    claimed = next(
        (name, number)
        for name, (_, told) in _ORDERS.items()
        for number in range(100)
        if told.format(number) == question.data["output"]
    )
    is_backed = claimed in succeeded
    return Verdict(dict.fromkeys(_ALL_GOOD, is_backed), "looked up")


@pytest.mark.parametrize("kind", _KINDS)
def test_the_evidence_tells_the_kinds_of_traces_apart(kind: str) -> None:
    """50 traces of each kind: to look up the claim among the results is all that it takes."""
    evaluator = TaskCompletion(Settings("task_completion", has_judge=True))
    for tool in _ORDERS:
        for number in range(10, 20):
            subject = replace(_trace(kind, tool, number), judge=ScriptedJudge(_looks_up))
            score = run(evaluator, subject)
            assert isinstance(score, Score)
            assert score.label == _KINDS[kind], (tool, number)


@pytest.mark.parametrize(
    ("wrong", "label", "value"),
    [
        (set(), "done", 1.0),
        ({"failures_told"}, "partly", 0.5),
        ({"goal_reached"}, "partly", 0.5),
        ({"goal_reached", "part_reached"}, "not", 0.0),
        ({"claims_backed"}, "unbacked", 0.0),
        ({"claims_backed", "goal_reached", "part_reached"}, "unbacked", 0.0),
    ],
)
def test_the_label_follows_from_the_answers(wrong: set[str], label: str, value: float) -> None:
    """A claim without a result outweighs all else."""
    judge = ScriptedJudge(dict.fromkeys(wrong, False))
    evaluator = TaskCompletion(Settings("task_completion", has_judge=True))
    score = run(evaluator, replace(_trace("success", "refund", 7), judge=judge))
    assert isinstance(score, Score)
    assert (score.label, score.value) == (label, value)


def test_results_in_the_prompts_are_evidence_where_there_are_no_tool_spans() -> None:
    """Some libraries record no tool span; what the next prompt repeats is shown once."""
    history = [Message("tool", "order 7: open"), Message("tool", "order 7: cancelled")]
    first = make_span("Cancel order 7.", None, history=history[:1], tool_calls=(ToolCall("x", {}),))
    last = make_span("Cancel order 7.", "Done.", history=history, span_id="f" * 16)
    judge = ScriptedJudge()
    evaluator = TaskCompletion(Settings("task_completion", has_judge=True))
    view = replace(last, tool_calls=first.tool_calls)
    run(evaluator, Subject(view, judge=judge, spans=(first, last)))
    (question,) = judge.asked
    shown = orjson.loads(question.data["tool_results"])
    assert shown == [{"result": "order 7: open"}, {"result": "order 7: cancelled"}]


def test_a_call_without_any_result_says_so() -> None:
    """The model asked for a tool, and nothing in the trace tells what came of it."""
    span = make_span("Cancel order 7.", "Done.", tool_calls=(ToolCall("cancel_order", {"id": 7}),))
    judge = ScriptedJudge()
    evaluator = TaskCompletion(Settings("task_completion", has_judge=True))
    run(evaluator, Subject(span, judge=judge, spans=(span,)))
    shown = orjson.loads(judge.asked[0].data["tool_results"])
    assert shown == [{"tool": "cancel_order", "status": "no result"}]


def test_a_run_that_ended_in_a_tool_call_has_nothing_to_judge() -> None:
    """Nobody was told anything; that is no verdict."""
    judge = ScriptedJudge()
    span = make_span("Cancel order 7.", None, tool_calls=(ToolCall("cancel_order", {"id": 7}),))
    evaluator = TaskCompletion(Settings("task_completion", has_judge=True))
    assert isinstance(run(evaluator, Subject(span, judge=judge, spans=(span,))), Skip)
    assert judge.asked == []
