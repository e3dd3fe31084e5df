"""GenAI conventions with the content in span events: Strands' two forms, Azure's bodies."""

import json

from support.captures import raw_span

from schemas.conventions import normalise, usage
from schemas.span import Message, SpanKind, ToolCall

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "strands-agents",
    "gen_ai.request.model": "claude-sonnet-5",
    "gen_ai.usage.prompt_tokens": 20,
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 6,
    "gen_ai.usage.cache_read_input_tokens": 4,
    "session.id": "s-1",
    "user.id": "u-1",
}
DETAILS = "gen_ai.client.inference.operation.details"


def test_strands_default_form() -> None:
    """Each message is an event; its content is a list of Bedrock's blocks as JSON."""
    use = {"toolUse": {"toolUseId": "t1", "name": "get_order", "input": {"id": 4711}}}
    result = {"toolResult": {"toolUseId": "t1", "content": [{"text": "shipped"}]}}
    raw = raw_span(
        CHAT,
        events=[
            ("gen_ai.system.message", {"content": json.dumps([{"text": "Be brief."}])}),
            ("gen_ai.user.message", {"content": json.dumps([{"text": "Where is 4711?"}])}),
            ("gen_ai.assistant.message", {"content": json.dumps([use])}),
            ("gen_ai.tool.message", {"content": json.dumps([result])}),
            (
                "gen_ai.choice",
                {"finish_reason": "end_turn", "message": json.dumps([{"text": "On its way."}])},
            ),
        ],
    )
    span = normalise(raw)
    assert (span.kind, span.convention) == (SpanKind.LLM, "gen_ai_events")
    assert span.messages_in == (
        Message("system", "Be brief."),
        Message("user", "Where is 4711?"),
        Message("assistant", None, (ToolCall("get_order", {"id": 4711}, "t1"),)),
        Message("tool", "shipped"),
    )
    assert (span.output_text, span.finish_reason) == ("On its way.", "stop")
    assert (span.session_id, span.user_id) == ("s-1", "u-1")
    assert (span.provider, span.cached_input_tokens) == ("strands-agents", 4)


def test_strands_with_the_opt_in() -> None:
    """Instructions, input and output come in three events of one name."""
    asked = [{"role": "user", "parts": [{"type": "text", "content": "Where is 4711?"}]}]
    answered = [
        {
            "role": "assistant",
            "parts": [{"type": "text", "content": "On its way."}],
            "finish_reason": "end_turn",
        }
    ]
    instructions = [{"type": "text", "content": "Be brief."}]
    span = normalise(
        raw_span(
            CHAT,
            events=[
                (DETAILS, {"gen_ai.system_instructions": json.dumps(instructions)}),
                (DETAILS, {"gen_ai.input.messages": json.dumps(asked)}),
                (DETAILS, {"gen_ai.output.messages": json.dumps(answered)}),
            ],
        )
    )
    assert span.messages_in == (Message("system", "Be brief."), Message("user", "Where is 4711?"))
    assert (span.output_text, span.finish_reason) == ("On its way.", "stop")


def test_a_tools_run_has_its_arguments_and_result_in_events() -> None:
    """Strands tells a tool's run as the message that it got and the choice that it made."""
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "get_order"}
    events = [
        ("gen_ai.tool.message", {"role": "tool", "content": '{"id": 4711}', "id": "t1"}),
        ("gen_ai.choice", {"message": json.dumps([{"text": "shipped"}]), "id": "t1"}),
    ]
    span = normalise(raw_span(tool, events=events))
    assert (span.kind, span.tool_name) == (SpanKind.TOOL, "get_order")
    assert (span.tool_arguments, span.tool_result) == ({"id": 4711}, "shipped")


def test_azure_has_the_whole_body_in_one_attribute() -> None:
    """The event's body is JSON in `gen_ai.event.content`."""
    call = {"id": "c1", "type": "function", "function": {"name": "get", "arguments": '{"id": 1}'}}
    body = {"index": 0, "finish_reason": "tool_calls", "message": {"tool_calls": [call]}}
    events = [
        ("gen_ai.user.message", {"gen_ai.event.content": '{"content": "Where?"}'}),
        ("gen_ai.choice", {"gen_ai.event.content": json.dumps(body)}),
    ]
    span = normalise(raw_span(CHAT, events=events))
    assert span.messages_in == (Message("user", "Where?"),)
    assert span.tool_calls == (ToolCall("get", {"id": 1}, "c1"),)
    assert span.finish_reason == "tool_calls"


def test_json_in_a_text_stays_text() -> None:
    """A tool's result that is JSON, or text that begins with a bracket, is not taken apart."""
    events = [
        ("gen_ai.tool.message", {"content": '{"temp": 18}'}),
        ("gen_ai.user.message", {"content": "[1, 2] which is more?"}),
    ]
    span = normalise(raw_span(CHAT, events=events))
    assert [m.content for m in span.messages_in] == ['{"temp": 18}', "[1, 2] which is more?"]


def test_an_agents_events_are_read_and_cost_nothing() -> None:
    """Agent spans repeat messages and summed tokens: content yes, a call no."""
    raw = raw_span(
        CHAT | {"gen_ai.operation.name": "invoke_agent"},
        events=[("gen_ai.choice", {"message": "Done.", "finish_reason": "end_turn"})],
    )
    assert (normalise(raw).kind, normalise(raw).output_text) == (SpanKind.AGENT, "Done.")
    assert usage(raw) is None


def test_an_event_loop_is_a_chain() -> None:
    """Strands' own operation around each turn evaluates to nothing."""
    raw = raw_span(
        {"gen_ai.operation.name": "execute_event_loop_cycle"},
        events=[("gen_ai.user.message", {"content": "hi"})],
    )
    assert (normalise(raw).kind, usage(raw)) == (SpanKind.CHAIN, None)


def test_usage_needs_no_events() -> None:
    """Cost attribution gets the span without its events and reads the same tokens."""
    events = [("gen_ai.user.message", {"content": "hi"})]
    with_events, without = usage(raw_span(CHAT, events=events)), usage(raw_span(CHAT))
    assert with_events == without
    assert with_events is not None
    assert with_events.input_tokens == 20
