"""The Vercel AI SDK 5 and 6, and 7 with its legacy integration."""

import json
from typing import Any

import pytest
from hypothesis import given
from support.captures import raw_span
from support.odd_values import ODD_JSON, odd_attributes

from schemas.conventions.vercel_ai import CONVENTION
from schemas.span import Message, Span, SpanKind, ToolCall

GENERATE = {
    "operation.name": "ai.generateText.doGenerate support",
    "resource.name": "support",
    "ai.operationId": "ai.generateText.doGenerate",
    "ai.telemetry.functionId": "support",
    "ai.telemetry.metadata.userId": "u-17",
    "ai.telemetry.metadata.sessionId": "s-9",
    "ai.telemetry.metadata.promptVersion": 3,
    "ai.model.provider": "openai.chat",
    "ai.model.id": "gpt-4o",
    "ai.prompt.messages": json.dumps(
        [
            {"role": "system", "content": "Use tools."},
            {"role": "user", "content": [{"type": "text", "text": "Where is order 4711?"}]},
            {
                "role": "assistant",
                "content": [
                    {
                        "type": "tool-call",
                        "toolCallId": "call_1",
                        "toolName": "getOrder",
                        "input": {"orderId": "4711"},
                    }
                ],
            },
            {
                "role": "tool",
                "content": [
                    {
                        "type": "tool-result",
                        "toolCallId": "call_1",
                        "toolName": "getOrder",
                        "output": {"type": "json", "value": {"status": "shipped"}},
                    }
                ],
            },
        ]
    ),
    "ai.response.finishReason": "stop",
    "ai.response.text": "It is on its way.",
    "ai.response.id": "chatcmpl-1",
    "ai.response.model": "gpt-4o-2026-08-01",
    "ai.usage.inputTokens": 34,
    "ai.usage.outputTokens": 12,
    "ai.usage.inputTokenDetails.cacheReadTokens": 8,
    "ai.usage.inputTokenDetails.cacheWriteTokens": 2,
    "ai.usage.outputTokenDetails.reasoningTokens": 5,
    "gen_ai.system": "openai.chat",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.finish_reasons": ["stop"],
}


def read(attributes: dict[str, Any], **more: Any) -> Span:
    """Read a span with these attributes."""
    return CONVENTION.read(raw_span(attributes, scope="ai", **more))


def test_a_call_is_read_whole() -> None:
    """Messages with tool calls and results, answer, tokens and metadata are found."""
    span = read(GENERATE)
    assert (span.kind, span.convention) == (SpanKind.LLM, "vercel_ai")
    assert span.operation == "ai.generateText.doGenerate"
    assert span.messages_in == (
        Message("system", "Use tools."),
        Message("user", "Where is order 4711?"),
        Message("assistant", None, (ToolCall("getOrder", {"orderId": "4711"}, "call_1"),)),
        Message("tool", '{"status":"shipped"}'),
    )
    assert (span.output_text, span.finish_reason) == ("It is on its way.", "stop")
    assert (span.provider, span.request_model) == ("openai", "gpt-4o")
    assert (span.response_model, span.response_id) == ("gpt-4o-2026-08-01", "chatcmpl-1")
    assert (span.input_tokens, span.output_tokens, span.reasoning_tokens) == (34, 12, 5)
    assert (span.cached_input_tokens, span.cache_creation_input_tokens) == (8, 2)
    assert (span.session_id, span.user_id, span.prompt_version) == ("s-9", "u-17", "3")


def test_usage_is_that_of_the_whole_span() -> None:
    """Cost attribution reads the same numbers without the messages."""
    kept = {key: value for key, value in GENERATE.items() if key in CONVENTION.usage_keys}
    usage = CONVENTION.read_usage(raw_span(kept))
    assert usage is not None
    assert (usage.provider, usage.request_model) == ("openai", "gpt-4o")
    assert (usage.response_model, usage.response_id) == ("gpt-4o-2026-08-01", "chatcmpl-1")
    assert (usage.input_tokens, usage.output_tokens, usage.prompt_version) == (34, 12, "3")


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("ai.generateText.doGenerate", SpanKind.LLM),
        ("ai.streamText.doStream", SpanKind.LLM),
        ("ai.generateObject.doGenerate", SpanKind.LLM),
        ("ai.streamObject.doStream", SpanKind.LLM),
        ("ai.generateText", SpanKind.AGENT),
        ("ai.streamText", SpanKind.AGENT),
        ("ai.generateObject", SpanKind.AGENT),
        ("ai.toolCall", SpanKind.TOOL),
        ("ai.embed", SpanKind.EMBEDDING),
        ("ai.embed.doEmbed", SpanKind.EMBEDDING),
        ("ai.embedMany.doEmbed", SpanKind.EMBEDDING),
        ("ai.somethingNew", SpanKind.CHAIN),
        (None, SpanKind.CHAIN),
    ],
)
def test_kind_follows_from_the_operation(operation: str | None, expected: SpanKind) -> None:
    """Only the inner span is a call: the outer one repeats it and sums its tokens up."""
    raw = raw_span({**GENERATE, "ai.operationId": operation})
    assert CONVENTION.read(raw).kind is expected
    assert (CONVENTION.read_usage(raw) is not None) == (expected is SpanKind.LLM)


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("openai.responses", "openai"),
        ("anthropic.messages", "anthropic"),
        ("google.generative-ai", "gemini"),
        ("google.vertex.chat", "gcp.vertex_ai"),
        ("amazon-bedrock", "aws.bedrock"),
        ("azure-openai.chat", "azure.ai.openai"),
        (7, None),
    ],
)
def test_provider_is_the_part_before_the_api(provider: Any, expected: str | None) -> None:
    """The SDK names provider and API in one."""
    assert read({**GENERATE, "ai.model.provider": provider}).provider == expected


def test_the_outer_span_is_an_agent_without_tokens() -> None:
    """System instructions and prompt stand apart there."""
    prompt = {"system": "Be brief.", "messages": [{"role": "user", "content": "Hi"}]}
    span = read(
        {
            "ai.operationId": "ai.generateText",
            "ai.prompt": json.dumps(prompt),
            "ai.response.text": "Hello.",
            "ai.usage.inputTokens": 70,
        }
    )
    assert span.messages_in == (Message("system", "Be brief."), Message("user", "Hi"))
    assert (span.output_text, span.input_tokens) == ("Hello.", None)
    simple = read({"ai.operationId": "ai.streamText", "ai.prompt": '{"prompt": "Hi"}'})
    assert simple.messages_in == (Message("user", "Hi"),)


def test_version_5_names_are_read() -> None:
    """Tokens of generateObject had other names, tool calls had `args`, the object is the answer."""
    span = read(
        {
            "ai.operationId": "ai.generateObject.doGenerate",
            "ai.usage.promptTokens": 16,
            "ai.usage.completionTokens": 9,
            "ai.usage.cachedInputTokens": 4,
            "ai.usage.reasoningTokens": 1,
            "ai.response.text": "",
            "ai.response.object": '{"category": "refund"}',
        }
    )
    assert (span.input_tokens, span.output_tokens) == (16, 9)
    assert (span.cached_input_tokens, span.reasoning_tokens) == (4, 1)
    assert span.output_text == '{"category": "refund"}'


@pytest.mark.parametrize("key", ["input", "args"])
@pytest.mark.parametrize("arguments", [{"city": "Zürich"}, '{"city": "Zürich"}'])
def test_tool_calls_of_an_answer(key: str, arguments: Any) -> None:
    """Arguments are objects, whichever version wrote them."""
    call = {"toolCallType": "function", "toolCallId": "c1", "toolName": "weather", key: arguments}
    span = read(
        {
            "ai.operationId": "ai.streamText.doStream",
            "ai.response.text": "",
            "ai.response.toolCalls": json.dumps([call]),
            "ai.response.finishReason": "tool-calls",
        }
    )
    assert span.tool_calls == (ToolCall("weather", {"city": "Zürich"}, "c1"),)
    assert (span.output_text, span.finish_reason) == (None, "tool_calls")


def test_files_in_a_prompt_are_placeholders() -> None:
    """The content of an image is never taken over."""
    part = {"type": "file", "mediaType": "image/png", "data": {"0": 137}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "See:"}, part]}]
    span = read({**GENERATE, "ai.prompt.messages": json.dumps(messages)})
    assert span.messages_in == (Message("user", "See:\n[image]"),)


@pytest.mark.parametrize(
    ("value", "result"),
    [('{"temp":18}', '{"temp":18}'), ('"18 degrees"', "18 degrees"), (None, None), ('"', '"')],
)
def test_a_tools_arguments_and_result(value: Any, result: str | None) -> None:
    """Both are JSON; a result that is text loses its quotes."""
    span = read(
        {
            "ai.operationId": "ai.toolCall",
            "ai.toolCall.name": "weather",
            "ai.toolCall.args": '{"city":"Bern"}',
            "ai.toolCall.result": value,
        }
    )
    assert (span.tool_name, span.tool_arguments) == ("weather", {"city": "Bern"})
    assert span.tool_result == result


def test_an_embedding_has_its_own_count() -> None:
    """Vectors are not content."""
    span = read(
        {
            "ai.operationId": "ai.embed.doEmbed",
            "ai.model.id": "text-embedding-3-small",
            "ai.values": ['"warranty?"'],
            "ai.embeddings": ["[0.5,0.5]"],
            "ai.usage.tokens": 4,
        }
    )
    assert (span.kind, span.request_model) == (SpanKind.EMBEDDING, "text-embedding-3-small")
    assert (span.input_tokens, span.has_content) == (4, False)


def test_an_error_has_no_answer() -> None:
    """The exception event names the error."""
    attributes = {
        key: value for key, value in GENERATE.items() if not key.startswith("ai.response")
    }
    span = read(
        attributes, status_code=2, events=[("exception", {"exception.type": "AI_APICallError"})]
    )
    assert (span.error, span.error_type) == (True, "AI_APICallError")
    assert (span.output_text, span.response_model) == (None, None)


def test_a_call_without_content_names_the_setting() -> None:
    """`recordInputs: false` and `recordOutputs: false` leave the numbers alone."""
    hidden = ("ai.prompt.messages", "ai.response.text")
    span = read({key: value for key, value in GENERATE.items() if key not in hidden})
    assert not span.has_content
    assert "recordInputs" in (span.content_setting or "")


def test_cut_json_is_flagged() -> None:
    """Half a list of messages is not judged."""
    span = read({**GENERATE, "ai.prompt.messages": '[{"role": "user", "content": [{"ty'})
    assert (span.truncated, span.messages_in) == (True, ())


ODD_KEYS = [
    *GENERATE,
    "ai.prompt",
    "ai.response.object",
    "ai.response.toolCalls",
    "ai.toolCall.args",
    "ai.toolCall.result",
    "ai.toolCall.name",
]
OPERATIONS = ["ai.generateText.doGenerate", "ai.toolCall", "ai.embed", "ai.streamText", None, 5]


@given(odd_attributes(ODD_KEYS, {"ai.operationId": OPERATIONS}))
def test_no_value_breaks_the_reader(attributes: dict[str, Any]) -> None:
    """Whatever stands where text or a number belongs, a span comes out."""
    raw = raw_span(attributes)
    assert "convention='vercel_ai'" in repr(CONVENTION.read(raw))  # which asks for all of it
    CONVENTION.read_usage(raw)


@given(ODD_JSON, ODD_JSON)
def test_no_json_breaks_the_reader(value: str, output: str) -> None:
    """Any JSON, whole or cut, may stand where messages and answers belong."""
    for key in ("ai.prompt.messages", "ai.prompt"):
        found = {"ai.operationId": "ai.generateText", key: value, "ai.response.toolCalls": output}
        assert "convention='vercel_ai'" in repr(read(found))
    read({"ai.operationId": "ai.toolCall", "ai.toolCall.args": value, "ai.toolCall.result": output})
