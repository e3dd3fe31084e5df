"""GenAI conventions in span attributes, in the dialects that have no capture."""

import json
from typing import Any

import pytest
from support.captures import raw_span

from schemas.conventions import normalise, usage
from schemas.span import Message, SpanKind, ToolCall

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "gen_ai.response.model": "gpt-5-mini-2026-08-01",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.usage.input_tokens": 30,
    "gen_ai.usage.output_tokens": 7,
}
ASKED = [{"role": "user", "parts": [{"type": "text", "content": "Where is 4711?"}]}]
ANSWERED = [
    {
        "role": "assistant",
        "parts": [{"type": "text", "content": "On its way."}],
        "finish_reason": "stop",
    }
]
INSTRUCTIONS = [{"type": "text", "content": "Be brief."}]
CONTENT = {
    "gen_ai.input.messages": ASKED,
    "gen_ai.output.messages": ANSWERED,
    "gen_ai.system_instructions": INSTRUCTIONS,
}


def as_json(attributes: dict[str, Any]) -> dict[str, Any]:
    """Write structured values as JSON, as most libraries do."""
    return {
        key: json.dumps(value) if isinstance(value, list | dict) else value
        for key, value in attributes.items()
    }


@pytest.mark.parametrize("content", [CONTENT, as_json(CONTENT)], ids=["native", "json"])
def test_instructions_come_first_and_native_values_read_like_json(content: dict[str, Any]) -> None:
    """The specification's type is `any`: a list is read like the JSON that libraries send today."""
    span = normalise(raw_span(CHAT | content))
    assert span.kind is SpanKind.LLM
    assert span.messages_in == (Message("system", "Be brief."), Message("user", "Where is 4711?"))
    assert (span.output_text, span.finish_reason) == ("On its way.", "stop")
    assert (span.truncated, span.content_setting) == (False, None)


def test_agent_framework_writes_json_inside_json() -> None:
    """Finish reasons and arguments are JSON strings; a response's id is no session."""
    call = {"type": "tool_call", "id": "c1", "name": "get", "arguments": '{"id": 4711}'}
    result = {"type": "tool_call_response", "id": "c1", "result": [{"text": "shipped"}]}
    span = normalise(
        raw_span(
            CHAT
            | {
                "gen_ai.conversation.id": "resp_0123",
                "gen_ai.response.finish_reasons": '["tool_calls"]',
                "gen_ai.input.messages": json.dumps([{"role": "tool", "parts": [result]}]),
                "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [call]}]),
            },
            scope="agent_framework",
        )
    )
    assert span.tool_calls == (ToolCall("get", {"id": 4711}, "c1"),)
    assert span.messages_in == (Message("tool", "shipped"),)
    assert (span.finish_reason, span.session_id) == ("tool_calls", None)


def test_parts_that_are_no_text_become_placeholders() -> None:
    """Media are named where they stood, unknown parts by their type; thoughts are left out."""
    parts = [
        {"type": "reasoning", "content": "hm"},
        {"type": "text", "content": "Look:"},
        {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"},
        {"type": "blob", "mime_type": "audio/wav", "content": "UklGRg=="},
        {"type": "file", "file_id": "f-1"},
        {"type": "hologram"},
    ]
    asked = [{"role": "developer", "parts": parts}]
    span = normalise(raw_span(CHAT | {"gen_ai.input.messages": asked}))
    text = "Look:\n[image]\n[audio]\n[file]\n[hologram]"
    assert span.messages_in == (Message("system", text),)


def test_results_of_parallel_tools_are_messages_of_their_own() -> None:
    """Anthropic sends tool results as the user's: each becomes a message of role tool."""
    parts = [
        {"type": "tool_call_response", "id": "a", "response": {"temp": 18}},
        {"type": "tool_call_response", "id": "b", "response": "31"},
        {"type": "text", "content": "Which is warmer?"},
    ]
    asked = [{"role": "user", "parts": parts}]
    span = normalise(raw_span(CHAT | {"gen_ai.input.messages": asked}))
    assert span.messages_in == (
        Message("tool", '{"temp":18}'),
        Message("tool", "31"),
        Message("user", "Which is warmer?"),
    )


def test_each_choice_is_kept() -> None:
    """The first choice is the answer, further ones stand beside it."""
    choices = [ANSWERED[0], ANSWERED[0] | {"parts": [{"type": "text", "content": "Shipped."}]}]
    span = normalise(raw_span(CHAT | {"gen_ai.output.messages": choices}))
    assert (span.output_text, span.other_choices) == ("On its way.", ("Shipped.",))


@pytest.mark.parametrize(
    ("attributes", "field", "value"),
    [
        ({"gen_ai.usage.cache_read.input_tokens": 8}, "cached_input_tokens", 8),
        ({"gen_ai.usage.cache_read_input_tokens": 8}, "cached_input_tokens", 8),
        ({"gen_ai.usage.details.cache_read_tokens": 8}, "cached_input_tokens", 8),
        ({"gen_ai.usage.cache_creation.input_tokens": 5}, "cache_creation_input_tokens", 5),
        ({"gen_ai.usage.cache_write.input_tokens": 5}, "cache_creation_input_tokens", 5),
        ({"gen_ai.usage.reasoning.output_tokens": 3}, "reasoning_tokens", 3),
        ({"gen_ai.usage.reasoning_tokens": 3}, "reasoning_tokens", 3),
        ({"gen_ai.usage.thinking_tokens": 3}, "reasoning_tokens", 3),
        ({"gen_ai.usage.cost": 0.25}, "cost_usd", 0.25),
        ({"operation.cost": 0.5}, "cost_usd", 0.5),
        ({"gen_ai.prompt.name": "greet"}, "prompt_name", "greet"),
        ({"gen_ai.prompt.version": 3}, "prompt_version", "3"),
    ],
)
def test_older_and_dialect_names_mean_the_same(
    attributes: dict[str, Any], field: str, value: object
) -> None:
    """Each spelling of a count is read, by the whole span and by its usage alike."""
    raw = raw_span(CHAT | attributes)
    read = usage(raw)
    assert read is not None
    assert getattr(normalise(raw), field) == getattr(read, field) == value


def test_older_names_of_the_basic_counts() -> None:
    """Before 2025 tokens were prompt and completion, and a provider was a system."""
    raw = raw_span(
        {
            "gen_ai.operation.name": "text_completion",
            "gen_ai.system": "OpenAI",
            "gen_ai.usage.prompt_tokens": 4,
            "gen_ai.usage.completion_tokens": 0,
        }
    )
    span = normalise(raw)
    assert (span.provider, span.input_tokens, span.output_tokens) == ("openai", 4, 0)


def test_logfires_raw_usage_fills_what_it_names_nowhere_else() -> None:
    """Cached and reasoning tokens stand only in the provider's own usage."""
    own = {"prompt_tokens": 99, "prompt_tokens_details": {"cached_tokens": 16}}
    read = usage(raw_span(CHAT | {"gen_ai.usage.raw": json.dumps(own)}))
    assert read is not None
    assert (read.input_tokens, read.cached_input_tokens) == (30, 16)


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("invoke_agent", SpanKind.AGENT),
        ("create_agent", SpanKind.AGENT),
        ("execute_tool", SpanKind.TOOL),
        ("retrieval", SpanKind.RETRIEVER),
        ("embeddings", SpanKind.EMBEDDING),
        ("invoke_workflow", SpanKind.CHAIN),
        ("agent_step", SpanKind.CHAIN),
        ("search_memory", SpanKind.CHAIN),
    ],
)
def test_only_calls_have_usage(operation: str, kind: SpanKind) -> None:
    """An agent repeats its calls' tokens: they stay on its span and are not counted again."""
    raw = raw_span(CHAT | {"gen_ai.operation.name": operation})
    span = normalise(raw)
    assert (span.kind, span.operation, span.input_tokens) == (kind, operation, 30)
    assert usage(raw) is None


def test_an_agents_run_ends_in_its_answer() -> None:
    """Pydantic AI has the run as one conversation; its last message is what came out."""
    run = {"gen_ai.operation.name": "invoke_agent", "pydantic_ai.all_messages": ASKED + ANSWERED}
    span = normalise(raw_span(run))
    assert span.messages_in == (Message("user", "Where is 4711?"),)
    assert span.output_text == "On its way."


def test_a_tools_run() -> None:
    """Arguments are an object, the result is text."""
    tool = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "get_order",
        "gen_ai.tool.call.arguments": '{"id": 4711}',
        "gen_ai.tool.call.result": {"status": "shipped"},
    }
    span = normalise(raw_span(tool))
    assert (span.tool_name, span.tool_arguments) == ("get_order", {"id": 4711})
    assert span.tool_result == '{"status":"shipped"}'


def test_retrieved_documents_may_have_content() -> None:
    """The specification makes a document's content optional: one without has no text to give."""
    documents = [{"id": "1", "content": "Returns: 30 days."}, {"id": "2", "score": 0.4}]
    attributes = {"gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": documents}
    assert normalise(raw_span(attributes)).documents == ("Returns: 30 days.",)


@pytest.mark.parametrize("key", list(CONTENT))
def test_json_that_was_cut_is_said_to_be(key: str) -> None:
    """An attribute cut at a length limit gives no message, and the span says so."""
    span = normalise(raw_span(CHAT | as_json(CONTENT) | {key: json.dumps(CONTENT[key])[:40]}))
    assert span.truncated


@pytest.mark.parametrize(
    ("scope", "setting"),
    [
        ("opentelemetry.instrumentation.genai.openai", "=SPAN_ONLY"),
        ("opentelemetry.instrumentation.openai_v2", "gen_ai_latest_experimental"),
        ("opentelemetry.instrumentation.openai.v1", "TRACELOOP_TRACE_CONTENT=true"),
        ("openlit.instrumentation.openai", "capture_message_content=True"),
        ("pydantic-ai", "include_content=True"),
        ("agent_framework", "ENABLE_SENSITIVE_DATA=true"),
        ("gcp.vertex.agent", "CAPTURE_MESSAGE_CONTENT"),
        ("semantic_kernel.utils.telemetry", "an instrumentation of the client"),
        ("gen_ai", "recordInputs"),
        ("someone.else", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"),
    ],
)
def test_a_span_without_content_names_the_setting_that_captures_it(
    scope: str, setting: str
) -> None:
    """Each instrumentation has its own switch; a span with text needs none."""
    span = normalise(raw_span(CHAT, scope=scope))
    assert not span.has_content
    assert setting in (span.content_setting or "")
    assert normalise(raw_span(CHAT | CONTENT, scope=scope)).content_setting is None


def test_semantic_kernel_has_one_finish_reason() -> None:
    """Its attribute is singular, its value an enum's."""
    reason = {"gen_ai.response.finish_reason": "FinishReason.TOOL_CALLS"}
    assert normalise(raw_span(CHAT | reason)).finish_reason == "tool_calls"


def test_the_skeleton_of_content_is_no_content() -> None:
    """Pydantic AI with content off sends parts without text and calls without arguments."""
    skeleton = {
        "gen_ai.input.messages": [{"role": "user", "parts": [{"type": "text"}]}],
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "get"}]}
        ],
    }
    span = normalise(raw_span(CHAT | skeleton, scope="pydantic-ai"))
    assert not span.has_content
    assert span.content_setting is not None


def test_an_error_has_its_type_from_attribute_or_event() -> None:
    """Official libraries write `error.type` alone, others only an exception event."""
    event = ("exception", {"exception.type": "openai.RateLimitError"})
    with_attribute = raw_span(CHAT | {"error.type": "429"}, status_code=2)
    with_event = raw_span(CHAT, events=[event], status_code=2)
    assert [(s.error, s.error_type) for s in map(normalise, (with_attribute, with_event))] == [
        (True, "429"),
        (True, "openai.RateLimitError"),
    ]


def test_service_environment_session_and_user() -> None:
    """Who ran it stands on the resource, who asked on the span, under present or older names."""
    resource = {"service.name": "shop", "deployment.environment": "staging"}
    people = {"gen_ai.conversation.id": "s-1", "enduser.id": "u-1"}
    span = normalise(raw_span(CHAT | people, resource=resource))
    assert (span.service, span.environment) == ("shop", "staging")
    assert (span.session_id, span.user_id) == ("s-1", "u-1")
