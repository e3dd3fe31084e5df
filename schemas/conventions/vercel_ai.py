"""The Vercel AI SDK 5 and 6, and 7 with its legacy integration: `ai.operationId` and `ai.*`.

Read from the SDK's telemetry page (ai-sdk.dev, "Telemetry") and its attributes. The spans also
carry `gen_ai.*`, incomplete. Version 7's own integration writes plain GenAI attributes instead.
"""

from collections.abc import Mapping
from typing import Any

from schemas.payloads import read_request
from schemas.span import Message, RawSpan, Span, SpanKind, ToolCall, Usage

from .fields import (
    Convention,
    common,
    dump,
    finish_reason,
    first,
    first_int,
    first_label,
    is_cut,
    label,
    load,
    object_or_value,
    provider_name,
    read_messages,
    read_tool_call,
    unquoted,
    usage_of,
)

NAME = "vercel_ai"
_OPERATION = "ai.operationId"
_METADATA = "ai.telemetry.metadata."
_SESSION = tuple(_METADATA + key for key in ("sessionId", "session_id", "conversationId"))
_USER = tuple(_METADATA + key for key in ("userId", "user_id"))
_PROMPT_NAME = tuple(_METADATA + key for key in ("promptName", "prompt_name"))
_PROMPT_VERSION = tuple(_METADATA + key for key in ("promptVersion", "prompt_version"))
_TOKENS = {
    "input_tokens": ("ai.usage.inputTokens", "ai.usage.promptTokens", "gen_ai.usage.input_tokens"),
    "output_tokens": (
        "ai.usage.outputTokens",
        "ai.usage.completionTokens",
        "gen_ai.usage.output_tokens",
    ),
    "cached_input_tokens": (
        "ai.usage.cachedInputTokens",
        "ai.usage.inputTokenDetails.cacheReadTokens",
    ),
    "cache_creation_input_tokens": ("ai.usage.inputTokenDetails.cacheWriteTokens",),
    "reasoning_tokens": (
        "ai.usage.reasoningTokens",
        "ai.usage.outputTokenDetails.reasoningTokens",
    ),
}
_SETTING = "experimental_telemetry: { recordInputs: true, recordOutputs: true }"


def _kind(attributes: Mapping[str, Any]) -> SpanKind:
    operation = attributes.get(_OPERATION)
    if not isinstance(operation, str):
        return SpanKind.CHAIN
    if operation.startswith("ai.embed"):
        return SpanKind.EMBEDDING
    if operation.endswith((".doGenerate", ".doStream")):
        return SpanKind.LLM
    if operation == "ai.toolCall":
        return SpanKind.TOOL
    # The outer span of a call repeats its steps and sums their tokens up.
    return SpanKind.AGENT if operation.startswith(("ai.generate", "ai.stream")) else SpanKind.CHAIN


def _read(raw: RawSpan) -> Span:
    attributes = raw.attributes
    kind = _kind(attributes)
    content = None
    if kind is SpanKind.TOOL:
        fields = _tool(attributes)
    elif kind is SpanKind.EMBEDDING:
        fields = {**_call(attributes), "input_tokens": first_int(attributes, ("ai.usage.tokens",))}
    else:
        fields, content = _call(attributes) if kind is SpanKind.LLM else {}, _content
    fields["operation"] = label(attributes.get(_OPERATION))
    fields["session_id"] = first_label(attributes, *_SESSION, "session.id")
    fields["user_id"] = first_label(attributes, *_USER, "user.id")
    fields.update(_prompt(attributes))
    return common(raw, NAME, kind, fields, content_setting=_SETTING, content=content)


def _prompt(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "prompt_name": first_label(attributes, *_PROMPT_NAME),
        "prompt_version": first_label(attributes, *_PROMPT_VERSION),
    }


def _call(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a call's usage and the span have in common."""
    return {
        "provider": _provider(first(attributes, "ai.model.provider", "gen_ai.system")),
        "request_model": first_label(attributes, "ai.model.id", "gen_ai.request.model"),
        "response_model": first_label(attributes, "ai.response.model", "gen_ai.response.model"),
        "response_id": first_label(attributes, "ai.response.id", "gen_ai.response.id"),
        **{field: first_int(attributes, keys) for field, keys in _TOKENS.items()},
    }


def _provider(value: Any) -> str | None:
    """Read `openai.chat`, `amazon-bedrock`, `google.vertex.chat`: provider, then its API."""
    if not isinstance(value, str):
        return None
    if value.startswith("google.vertex"):
        return provider_name("vertex_ai")
    return provider_name(value.partition(".")[0].replace("-", "_"))


def _content(attributes: Mapping[str, Any]) -> dict[str, Any]:
    messages = load(attributes.get("ai.prompt.messages"))
    prompt = load(attributes.get("ai.prompt"))
    texts = (attributes.get("ai.response.text"), dump(attributes.get("ai.response.object")))
    calls = load(attributes.get("ai.response.toolCalls"))
    return {
        "messages_in": _messages(messages) or read_request(prompt),
        "output_text": next((text for text in texts if isinstance(text, str) and text), None),
        "tool_calls": _calls(calls),
        "finish_reason": finish_reason(
            first(attributes, "ai.response.finishReason", "gen_ai.response.finish_reasons")
        ),
        "truncated": any(map(is_cut, (messages, prompt, calls))),
    }


def _messages(value: Any) -> tuple[Message, ...]:
    if isinstance(value, list):  # each message may itself be JSON
        value = [load(item) for item in value]
    return read_messages(value) if value is not None else ()


def _calls(value: Any) -> tuple[ToolCall, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(call for item in value if (call := read_tool_call(load(item))) is not None)


def _tool(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "tool_name": label(attributes.get("ai.toolCall.name")),
        "tool_arguments": object_or_value(attributes.get("ai.toolCall.args")),
        "tool_result": dump(unquoted(attributes.get("ai.toolCall.result"))),
    }


def _read_usage(raw: RawSpan) -> Usage | None:
    if _kind(raw.attributes) is not SpanKind.LLM:
        return None
    return usage_of(raw, {**_prompt(raw.attributes), **_call(raw.attributes)})


CONVENTION = Convention(
    name=NAME,
    markers=(b"ai.operationId",),
    sign=_OPERATION,
    read=_read,
    usage_keys=frozenset(
        {
            _OPERATION,
            "ai.model.provider",
            "ai.model.id",
            "ai.response.model",
            "ai.response.id",
            "gen_ai.system",
            "gen_ai.request.model",
            "gen_ai.response.model",
            "gen_ai.response.id",
            *_PROMPT_NAME,
            *_PROMPT_VERSION,
            *(key for keys in _TOKENS.values() for key in keys),
        }
    ),
    read_usage=_read_usage,
)
