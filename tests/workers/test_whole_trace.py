"""A trace as one call: what was asked at its beginning, what was answered at its end."""

from typing import Any

from support.waiting import call, trace_id

from schemas.span import Message, Span, SpanKind, ToolCall
from workers.whole_trace import Head, as_one_call, in_order, root_of


def _asking(number: int, text: str, **fields: Any) -> Span:
    return call(number, messages_in=(Message("user", text),), **fields)


def _view(*spans: Span, root: Head | None = None) -> Span:
    ordered = in_order(spans)
    return as_one_call(ordered, root or root_of([Head.of(span) for span in ordered]))


def test_input_is_the_first_calls_and_output_the_last_ones() -> None:
    """Under a root that no convention knows, whose ids, name and times it has."""
    root = Head("f" * 16, None, "POST /run", 5, 10**19)
    calls = (
        _asking(2, "order 7: cancelled", output_text="Done."),
        _asking(1, "Cancel order 7.", output_text=None, tool_calls=(ToolCall("cancel", {}),)),
    )
    view = _view(*calls, root=root)
    assert (view.span_id, view.name, view.kind) == ("f" * 16, "POST /run", SpanKind.OTHER)
    assert view.messages_in == (Message("user", "Cancel order 7."),)
    assert view.output_text == "Done."
    assert view.tool_calls == (ToolCall("cancel", {}),)
    assert (view.service, view.trace_id) == ("support-bot", trace_id(1))


def test_an_agent_around_the_calls_says_what_was_asked_and_answered() -> None:
    """A call for a title, the last one, is not what the user was told."""
    agent = _asking(0, "Cancel it.", kind=SpanKind.AGENT, parent=None, output_text="Cancelled.")
    title = _asking(9, "Find a title.", output_text="A cancelled order")
    view = _view(agent, _asking(1, "system talk"), title)
    assert (view.messages_in[0].content, view.output_text) == ("Cancel it.", "Cancelled.")
    assert (view.span_id, view.kind) == (agent.span_id, SpanKind.AGENT)


def test_a_run_that_ends_in_a_tool_call_has_no_output() -> None:
    """What an earlier call said is not the end of the run."""
    last = _asking(2, "q", output_text=None, tool_calls=(ToolCall("cancel", {}),))
    assert _view(_asking(1, "q", output_text="Let me see."), last).output_text is None


def test_tokens_and_cost_are_sums_over_the_calls_and_unknown_stays_unknown() -> None:
    """Of calls alone: an agent's span often repeats the sum."""
    agent = call(0, kind=SpanKind.AGENT, parent=None, input_tokens=30)
    view = _view(agent, call(1, input_tokens=10, cost_usd=0.5), call(2, input_tokens=20))
    assert (view.input_tokens, view.output_tokens, view.cost_usd) == (30, None, 0.5)


def test_what_the_root_does_not_know_comes_from_its_calls() -> None:
    """Model and prompt are the first call's; attributes are the root's where both have one."""
    agent = call(0, kind=SpanKind.AGENT, parent=None, attributes={"tenant.id": "a"})
    first = call(1, request_model="m-1", attributes={"tenant.id": "b", "x": 1})
    view = _view(agent, first, call(2, request_model="m-2"))
    assert view.request_model == "m-1"
    assert view.attributes == {"tenant.id": "a", "x": 1}


def test_of_several_roots_the_earliest_stands_for_the_trace() -> None:
    """A library that loses context makes roots of its own."""
    heads = [Head.of(call(n, parent=None)) for n in (3, 1)] + [Head.of(call(0))]
    assert root_of(heads).span_id == call(1).span_id
