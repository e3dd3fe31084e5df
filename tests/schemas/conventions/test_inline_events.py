"""Content in the span attribute `events`: Logfire's OpenAI Agents, Pydantic AI 1."""

import json
from typing import Any

import pytest
from support.captures import raw_span

from schemas.conventions import normalise, usage
from schemas.span import Message, SpanKind, ToolCall

AGENTS = "logfire.openai_agents"
CALL = {"id": "c1", "type": "function", "function": {"name": "get", "arguments": '{"id": 1}'}}
EVENTS = [
    {"event.name": "gen_ai.system.message", "content": "Be brief.", "role": "system"},
    {"event.name": "gen_ai.user.message", "content": "Where is 4711?", "role": "user"},
    {"event.name": "gen_ai.assistant.message", "role": "assistant", "tool_calls": [CALL]},
    {"event.name": "gen_ai.tool.message", "role": "tool", "id": "c1", "content": '{"eta": 1}'},
    {
        "event.name": "gen_ai.choice",
        "index": 0,
        "message": {"role": "assistant", "content": "On its way."},
    },
]
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2026-08-01",
    "response_id": "resp_1",
    "gen_ai.usage.input_tokens": 12,
    "gen_ai.usage.output_tokens": 3,
}


@pytest.mark.parametrize("events", [EVENTS, json.dumps(EVENTS)], ids=["native", "json"])
def test_logfires_agents(events: Any) -> None:
    """Messages come from the list of events; the response's id has a name of its own."""
    raw = raw_span(CHAT | {"events": events}, scope=AGENTS)
    span = normalise(raw)
    assert (span.kind, span.convention) == (SpanKind.LLM, "inline_events")
    assert span.messages_in == (
        Message("system", "Be brief."),
        Message("user", "Where is 4711?"),
        Message("assistant", None, (ToolCall("get", {"id": 1}, "c1"),)),
        Message("tool", '{"eta": 1}'),
    )
    assert (span.output_text, span.response_id) == ("On its way.", "resp_1")


def test_logfires_chat_calls_are_known_by_name() -> None:
    """They have no operation; messages, cached and reasoning tokens are in other attributes."""
    answer = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    details = {"input_tokens_details": {"cached_tokens": 8}}
    raw = raw_span(
        {
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.input_tokens": 12,
            "usage": json.dumps(details | {"output_tokens": 3}),
            "input": json.dumps([{"role": "user", "content": "Where is 4711?"}]),
            "output": json.dumps([answer]),
        },
        scope=AGENTS,
        name="Chat completion with {gen_ai.request.model!r}",
    )
    span, read = normalise(raw), usage(raw)
    assert span.kind is SpanKind.LLM
    assert span.messages_in == (Message("user", "Where is 4711?"),)
    assert span.tool_calls == (ToolCall("get", {"id": 1}, "c1"),)
    assert read is not None
    for found in (span, read):
        counts = (found.input_tokens, found.output_tokens, found.cached_input_tokens)
        assert counts == (12, 3, 8)


def test_logfires_failed_responses_are_calls() -> None:
    """What was asked is not on the span; that no response came is written as text."""
    attributes = {"gen_ai.request.model": "gpt-4o", "response_id": "null", "usage": "null"}
    name = "Responses API with {gen_ai.request.model!r}"
    span = normalise(raw_span(attributes, scope=AGENTS, name=name, status_code=2))
    assert (span.kind, span.error, span.has_content) == (SpanKind.LLM, True, False)
    assert (span.response_id, span.content_setting) == (None, None)


def test_parallel_calls_are_one_answer() -> None:
    """Each call of OpenAI's Responses is an event of its own, after what was asked."""
    second = {**CALL, "id": "c2"}
    calls = [{"event.name": "gen_ai.assistant.message", "tool_calls": [c]} for c in (CALL, second)]
    span = normalise(raw_span(CHAT | {"events": EVENTS[:2] + calls}, scope=AGENTS))
    assert [call.id for call in span.tool_calls] == ["c1", "c2"]
    assert len(span.messages_in) == 2


def test_usage_is_read_without_the_events() -> None:
    """The list of events is content: cost attribution does not get it."""
    read = usage(raw_span(CHAT, scope=AGENTS))
    assert read is not None
    assert (read.response_id, read.input_tokens, read.output_tokens) == ("resp_1", 12, 3)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Agent run: {name!r}", SpanKind.AGENT),
        ("Function: {name}", SpanKind.TOOL),
        ("Turn {turn} of {agent_name}", SpanKind.CHAIN),
        ("OpenAI Agents trace: {name}", SpanKind.CHAIN),
    ],
)
def test_logfires_other_spans_are_known_by_name(name: str, kind: SpanKind) -> None:
    """Without an operation, the template of the span's name says what it is."""
    raw = raw_span({"gen_ai.system": "openai"}, name=name, scope=AGENTS)
    assert (normalise(raw).kind, usage(raw)) == (kind, None)


def test_logfires_function() -> None:
    """A tool's run has plain attribute names."""
    tool = {"name": "get_order", "input": '{"id": 1}', "output": "shipped"}
    span = normalise(raw_span(tool, name="Function: {name}", scope=AGENTS))
    assert (span.tool_name, span.tool_arguments) == ("get_order", {"id": 1})
    assert span.tool_result == "shipped"


def test_pydantic_ais_agent_run() -> None:
    """The run is one list of events; its last message is the answer."""
    answer = {
        "event.name": "gen_ai.assistant.message",
        "role": "assistant",
        "content": "On its way.",
    }
    run = {"all_messages_events": json.dumps([*EVENTS[:2], answer])}
    span = normalise(raw_span(run, name="agent run", scope="pydantic-ai"))
    assert span.kind is SpanKind.AGENT
    assert [m.role for m in span.messages_in] == ["system", "user"]
    assert span.output_text == "On its way."


def test_the_last_messages_of_a_run_are_its_answer() -> None:
    """Several items in a row that the assistant said, in their order."""
    said = [{"role": "assistant", "content": text} for text in ("Found.", "On its way.")]
    talk = json.dumps([{"role": "user", "content": "Where is 4711?"}, *said])
    raw = raw_span({"pydantic_ai.all_messages": talk}, name="agent run", scope="pydantic-ai")
    span = normalise(raw)
    assert [message.role for message in span.messages_in] == ["user"]
    assert span.output_text == "Found.\nOn its way."


def test_events_that_were_cut() -> None:
    """A list cut at a length limit gives no message, and the span says so."""
    span = normalise(raw_span(CHAT | {"events": json.dumps(EVENTS)[:80]}))
    assert (span.convention, span.truncated) == ("inline_events", True)
    assert span.messages_in == ()


def test_an_attribute_named_events_alone_is_no_sign() -> None:
    """Any application may have an attribute of that name."""
    for events in ("3", [1, 2], [{"name": "x"}], {"event.name": 1}, None):
        assert normalise(raw_span({"events": events})).convention is None
