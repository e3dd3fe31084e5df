"""The table of conventions as a whole: order, no match, and values of any type."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.captures import captures, raw_span

from schemas.conventions import MARKERS, TABLE, USAGE_KEYS, normalise, usage
from schemas.duplicates import mark_duplicates
from schemas.span import SpanKind

ORDER = [
    ({"langfuse.observation.type": "generation"}, "langfuse"),
    ({"langsmith.span.kind": "llm"}, "langsmith"),
    ({"openinference.span.kind": "LLM"}, "openinference"),
    ({"mlflow.spanType": '"CHAT_MODEL"'}, "mlflow"),
    ({"ai.operationId": "ai.generateText.doGenerate"}, "vercel_ai"),
    ({"llm.request.type": "chat"}, "openllmetry"),
    ({"events": '[{"event.name": "gen_ai.choice"}]'}, "inline_events"),
    ({"gen_ai.operation.name": "chat"}, "gen_ai"),
    ({"traceloop.span.kind": "task"}, "traceloop"),
]


@pytest.mark.parametrize("place", range(len(ORDER)))
def test_the_first_sign_wins(place: int) -> None:
    """A span with this sign and all later ones is read by this convention."""
    attributes: dict[str, Any] = {}
    for sign, _ in ORDER[place:]:
        attributes |= sign
    assert normalise(raw_span(attributes)).convention == ORDER[place][1]


def test_names_are_unique_and_every_convention_has_markers() -> None:
    """A convention without a marker would never be decoded."""
    assert len({convention.name for convention in TABLE}) == len(TABLE)
    assert all(convention.markers and all(convention.markers) for convention in TABLE)
    assert {marker for convention in TABLE for marker in convention.markers} == set(MARKERS)


def test_a_span_of_no_convention_is_other() -> None:
    """A web request is kept with its service and ids, and is no call."""
    raw = raw_span({"http.request.method": "POST"}, resource={"service.name": "shop"})
    span = normalise(raw)
    assert (span.kind, span.convention, span.service) == (SpanKind.OTHER, None, "shop")
    assert usage(raw) is None


def test_groups_are_the_spans_own_value_else_the_resources() -> None:
    """Cost is grouped by any attribute; what neither has is None, numbers are text."""
    raw = raw_span(
        {"gen_ai.operation.name": "chat", "tenant": "acme", "tier": 2},
        resource={"tenant": "other", "region": "eu"},
    )
    read = usage(raw, ("tenant", "region", "tier", "nothing"))
    assert read is not None
    assert read.groups == ("acme", "eu", "2", None)


KEYS = sorted(
    {key for capture in captures() for raw in capture.spans() for key in raw.attributes}
    | USAGE_KEYS
    | {key for sign, _ in ORDER for key in sign}
    | {
        "all_messages_events",
        "gen_ai.completion",
        "gen_ai.prompt",
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.observation.usage_details",
        "mlflow.spanInputs",
        "mlflow.spanOutputs",
        "ai.prompt",
        "ai.prompt.messages",
        "ai.response.toolCalls",
    }
)
EVENTS = [
    "gen_ai.user.message",
    "gen_ai.choice",
    "gen_ai.client.inference.operation.details",
    "exception",
]
SCOPES = ["litellm", "pydantic-ai", "logfire.openai_agents", "openinference", ""]
WORDS = [
    *("role", "content", "parts", "type", "text", "tool_call", "tool_calls", "arguments", "name"),
    *("user", "assistant", "choices", "message", "messages", "generations", "kwargs", "id", "args"),
    *("chat", "LLM", "llm", "generation", '"LLM"', "event.name", "gen_ai.choice", "usage", "input"),
    *("[", "{", '[{"role": "us', "{'a': 1}", "NaN", '"\\ud800"', "Infinity", "", "1e999", "٣"),
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.binary(max_size=8)
    | st.text(max_size=8)
    | st.sampled_from(WORDS)
)
natives = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5)
    ),
    max_leaves=12,
)
values = natives | natives.map(lambda value: json.dumps(value, default=str))
bodies = st.dictionaries(st.sampled_from(WORDS), values, max_size=4)
attributes = st.dictionaries(st.sampled_from(KEYS), values, max_size=12)


@settings(max_examples=250, deadline=None)
@given(
    sign=st.sampled_from([sign for sign, _ in ORDER] + [{}]),
    others=attributes,
    events=st.lists(st.tuples(st.sampled_from(EVENTS), attributes | bodies), max_size=3),
    scope=st.sampled_from(SCOPES),
    status=st.integers(0, 2),
)
def test_no_value_of_any_type_raises(
    sign: dict[str, Any],
    others: dict[str, Any],
    events: list[tuple[str, dict[str, Any]]],
    scope: str,
    status: int,
) -> None:
    """Whatever other people's code puts into attributes, a well-typed span comes out."""
    raw = raw_span(others | sign, scope=scope, events=events, status_code=status)
    span = normalise(raw)
    mark_duplicates([span, normalise(raw_span(others, scope=scope))])
    usage(raw, ("session.id",))
    for name in ("provider", "request_model", "response_model", "response_id", "finish_reason"):
        assert isinstance(getattr(span, name), str | None)
    for name in ("session_id", "user_id", "output_text", "tool_name", "tool_result", "error_type"):
        assert isinstance(getattr(span, name), str | None)
    for name in ("input_tokens", "output_tokens", "cached_input_tokens", "reasoning_tokens"):
        count = getattr(span, name)
        assert count is None or (type(count) is int and count >= 0)
    assert all(isinstance(message.content, str | None) for message in span.messages_in)
    assert {message.role for message in span.messages_in} <= {"system", "user", "assistant", "tool"}
    assert all(isinstance(text, str) for text in (*span.documents, *span.other_choices))
    assert all(isinstance(call.name, str | None) for call in span.tool_calls)


def test_deep_nesting_is_given_up() -> None:
    """Ten thousand brackets are no conversation, and no stack overflow."""
    deep = "[" * 10_000 + "]" * 10_000
    native: Any = "x"
    for _ in range(900):
        native = [native]
    for value in (deep, native, json.dumps([{"role": "user", "parts": native}])):
        raw = raw_span({"gen_ai.operation.name": "chat", "gen_ai.input.messages": value})
        assert normalise(raw).kind is SpanKind.LLM
