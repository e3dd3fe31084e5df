"""Several spans of one call are one call; several calls stay several."""

from collections.abc import Callable
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from schemas.duplicates import mark_duplicates
from schemas.span import Message, Span, SpanKind, ToolCall

ASKED = (Message("user", "Where is 4711?"),)


def call(span_id: str, start: int = 0, end: int = 100, **fields: Any) -> Span:
    """Make a call's span from `start` to `end` in trace `t`, under the root `r`."""
    values: dict[str, Any] = {
        "trace_id": "t",
        "parent_span_id": "r",
        "kind": SpanKind.LLM,
        "request_model": "gpt-4o",
        "scope": "client",
    } | fields
    return Span(
        span_id=span_id,
        name="chat",
        convention="gen_ai",
        start_unix_nano=start,
        end_unix_nano=end,
        **values,
    )


def marks(*spans: Span) -> dict[str, str | None]:
    """Give what each span is a duplicate of; the same in every order of arrival."""
    found = [
        {span.span_id: span.duplicate_of for span in mark_duplicates(order)}
        for order in permutations(spans)
    ]
    assert all(marked == found[0] for marked in found)
    return found[0]


def parallel(count: int) -> list[Span]:
    """Calls under one parent, at one time, each traced by two libraries."""
    return [
        call(f"{number:04}", output_text=f"Answer {number // 2}.", scope="ab"[number % 2])
        for number in range(count)
    ]


def failed(count: int) -> list[Span]:
    """Calls that failed, of two libraries, each in a trace of its own."""
    known = {"parent_span_id": None, "error": True}
    return [
        call("a", number, number + 5, trace_id=f"{number}", scope="ab"[number % 2], **known)
        for number in range(count)
    ]


def nested(count: int) -> list[Span]:
    """Calls within calls."""
    return [call(f"{number}", parent_span_id=f"{number - 1}") for number in range(count)]


def streamed(count: int) -> list[Span]:
    """Requests under one parent without their answers, and then answers to others."""
    return [
        call(
            f"{number:04}",
            number,
            messages_in=(Message("user", f"{number}"),),
            output_text="Yes." if number > count // 2 else None,
        )
        for number in range(count)
    ]


def test_a_response_id_joins_across_traces() -> None:
    """Where context was lost, neither parent nor trace joins the two; the id does."""
    framework = call("a", response_id="x", output_text="On its way.", messages_in=ASKED)
    client = call("b", response_id="x", trace_id="u", parent_span_id=None)
    assert marks(framework, client) == {"a": None, "b": "a"}


def test_different_response_ids_are_different_calls() -> None:
    """Even nested, asked the same, at the same time."""
    outer = call("a", response_id="x", messages_in=ASKED)
    inner = call("b", response_id="y", messages_in=ASKED, parent_span_id="a")
    assert marks(outer, inner) == {"a": None, "b": None}


def test_the_primary_gets_what_only_copies_know() -> None:
    """Tokens, models, id and finish reason are taken over; copies keep what they had."""
    text = call("a", request_model=None, messages_in=ASKED, output_text="On its way.")
    bare = call(
        "b",
        parent_span_id="a",
        response_id="x",
        response_model="gpt-4o-2026-08-01",
        input_tokens=12,
        output_tokens=0,
        cost_usd=0.01,
        finish_reason="stop",
        session_id="s",
    )
    primary, copy = mark_duplicates([text, bare])
    assert copy == replace(bare, duplicate_of="a")
    names = ("request_model", "response_model", "response_id", "input_tokens", "output_tokens")
    assert [getattr(primary, name) for name in names] == [
        "gpt-4o",
        "gpt-4o-2026-08-01",
        "x",
        12,
        0,
    ]
    assert (primary.cost_usd, primary.finish_reason, primary.session_id) == (0.01, "stop", "s")
    assert (primary.output_text, primary.duplicate_of) == ("On its way.", None)


def test_what_the_primary_knows_is_kept() -> None:
    """Where two spans disagree, the one with the content is right about itself."""
    rich = call("a", response_id="x", output_text="Yes.", input_tokens=12)
    poor = call("b", response_id="x", input_tokens=13, output_text=None)
    assert mark_duplicates([poor, rich])[1].input_tokens == 12


def test_most_content_wins_not_position() -> None:
    """A copy without content never wins: an outer span may be the empty one."""
    outer = call("a", input_tokens=1)
    inner = call("b", 10, 90, parent_span_id="a", messages_in=ASKED, output_text="Yes.")
    assert marks(outer, inner) == {"a": "b", "b": None}


def test_nesting_goes_through_spans_between() -> None:
    """A chain between wrapper and client changes nothing; a tool or agent makes two calls."""
    outer = call("a", messages_in=ASKED, output_text="Yes.")
    inner = call("b", 10, 90, parent_span_id="m")
    between = replace(call("m", 5, 95, parent_span_id="a"), kind=SpanKind.CHAIN)
    assert marks(outer, between, inner)["b"] == "a"
    assert marks(outer, replace(between, kind=SpanKind.TOOL), inner)["b"] is None


def test_nested_calls_of_different_models_are_two() -> None:
    """A small model inside a big one's call is a call; a dated name is the same model."""
    outer = call("a", output_text="Yes.")
    inner = call("b", 10, 90, parent_span_id="a", request_model="gpt-4o-mini")
    assert marks(outer, inner)["b"] is None
    same = replace(inner, request_model=None, response_model="openai/gpt-4o-2026-08-01")
    assert marks(outer, same)["b"] == "a"


def test_a_model_is_the_same_with_and_without_its_vendor() -> None:
    """On Bedrock some libraries write vendor and region before the name; a dot may be its own."""
    model = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
    outer = call("a", output_text="Yes.", request_model=model)
    inner = call("b", 10, 90, parent_span_id="a", request_model="claude-sonnet-4-5-20250929-v1:0")
    assert marks(outer, inner)["b"] == "a"
    other = replace(inner, request_model="eu.anthropic.claude-haiku-4-5-20251001-v1:0")
    assert marks(outer, other)["b"] is None
    numbered = replace(outer, request_model="gpt-4.1"), replace(inner, request_model="gpt-3.1")
    assert marks(*numbered)["b"] is None


def test_nested_calls_that_do_not_overlap_are_two() -> None:
    """A child that starts after its parent has ended was started by it, no more."""
    outer = call("a", 0, 50, output_text="Yes.")
    assert marks(outer, call("b", 60, 90, parent_span_id="a"))["b"] is None


def test_a_wrapper_of_several_calls_is_its_last_one() -> None:
    """A client that runs tools itself makes two requests under one span: two calls, not one."""
    outer = call("a", 0, 100, messages_in=ASKED, output_text="On its way.")
    first = call("b", 10, 30, parent_span_id="a", messages_in=ASKED)
    last = call("c", 50, 90, parent_span_id="a", output_text="On its way.")
    assert marks(outer, first, last) == {"a": None, "b": None, "c": "a"}


def test_siblings_of_two_libraries_that_say_the_same() -> None:
    """A wrapper whose span is not the current one; of parallel calls each is one."""
    said: dict[str, Any] = {"messages_in": ASKED, "output_text": "On its way."}
    wrapper = call("a", 0, 99, scope="wrapper", input_tokens=3, output_tokens=4, **said)
    client = call("b", 1, 100, **said)  # a stream: the client's span may end last
    assert marks(wrapper, client) == {"a": None, "b": "a"}
    parallel = replace(wrapper, span_id="c", start_unix_nano=2), replace(client, span_id="d")
    marked = marks(wrapper, client, *parallel)
    assert list(marked.values()).count(None) == 2
    for other in (
        replace(client, start_unix_nano=120, end_unix_nano=130),
        replace(client, scope="wrapper"),
        replace(client, parent_span_id="s"),
        call("b", 1, 100, messages_in=ASKED, output_text="Delayed."),
    ):
        assert marks(wrapper, other) == {"a": None, "b": None}


def test_a_stream_told_by_two_siblings() -> None:
    """A request without an answer and a later sibling with it are one call, pair by pair."""
    request = call("a", 0, 10, messages_in=ASKED)
    answer = call("b", 50, 50, messages_in=ASKED, output_text="On its way.", output_tokens=4)
    again = call("c", 60, 70, messages_in=ASKED)
    answer_again = call("d", 90, 90, messages_in=ASKED, output_text="Still.", output_tokens=2)
    found = marks(request, answer, again, answer_again)
    assert found == {"a": "b", "b": None, "c": "d", "d": None}


def test_asking_the_same_twice_is_two_calls() -> None:
    """Samples of one prompt each have an answer; a retry follows an error."""
    one = call("a", 0, 10, messages_in=ASKED, output_text="Yes.")
    two = call("b", 20, 30, messages_in=ASKED, output_text="Yes.")
    failed = call("c", 40, 45, messages_in=ASKED, error=True)
    retried = call("d", 50, 60, messages_in=ASKED, output_text="Yes.")
    assert set(marks(one, two, failed, retried).values()) == {None}


def test_three_spans_of_one_call() -> None:
    """A request, the SDK's own span under it, and the answer as a sibling."""
    request = call("a", 0, 10, messages_in=ASKED)
    own = call("b", 1, 9, parent_span_id="a", response_id="x", input_tokens=12, scope="sdk")
    answer = call("c", 50, 50, messages_in=ASKED, tool_calls=(ToolCall("get", {}),))
    assert marks(request, own, answer) == {"a": "c", "b": "c", "c": None}


def test_a_failed_call_whose_context_was_lost() -> None:
    """Without an id only time joins the SDK's span with the call around it, and only surely."""
    known = {"error": True, "service": "shop"}
    outer = call("a", 0, 100, messages_in=ASKED, parent_span_id=None, **known)
    lost = call("b", 10, 90, trace_id="u", parent_span_id=None, scope="sdk", **known)
    assert marks(outer, lost) == {"a": None, "b": "a"}
    other = replace(outer, span_id="c", trace_id="v")
    assert marks(outer, lost, other)["b"] is None


def test_only_calls_are_joined() -> None:
    """An agent repeats its calls' messages; a prepared request made no call."""
    inner = call("a", 10, 90, messages_in=ASKED, output_text="Yes.", response_id="x")
    agent = replace(call("r", response_id="x"), kind=SpanKind.AGENT, parent_span_id=None)
    prepared = call("p", 5, 95, parent_span_id="a", is_call=False)
    assert set(marks(inner, agent, prepared).values()) == {None}


def test_a_span_delivered_twice_is_no_duplicate_of_itself() -> None:
    """An exporter that got no reply sends again: both copies are read alike."""
    text = call("a", response_id="x", output_text="Yes.")
    bare = call("b", response_id="x", input_tokens=3)
    found = mark_duplicates([text, bare, text, bare])
    assert [span.duplicate_of for span in found] == [None, "a", None, "a"]
    assert found[0] == found[2]


def test_parents_in_a_circle_end() -> None:
    """Nonsense from the wire must not hang a worker."""
    one = replace(call("a", parent_span_id="b"), kind=SpanKind.CHAIN)
    two = replace(call("b", parent_span_id="a"), kind=SpanKind.CHAIN)
    found = mark_duplicates([one, two, call("c", parent_span_id="a"), call("d", 200, 300)])
    assert [span.duplicate_of for span in found] == [None, None, None, None]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("crowd", [parallel, failed, nested, streamed])
def test_thousands_at_a_time_do_not_hold_up_a_worker(crowd: Callable[[int], list[Span]]) -> None:
    """A batch job has thousands of calls under one parent, and an outage fails as many at once."""
    assert len(mark_duplicates(crowd(10_000))) == 10_000
