"""LiteLLM's OpenTelemetry callback: a mix of GenAI attributes, its own and Python notation.

One span per call, `litellm_request`; a child `raw_gen_ai_request` repeats it in the provider's
terms and in Python's notation, so it is no call of its own. Answers that are tool calls have empty
parts; the calls stand under older, indexed names.
"""

from typing import Any

from schemas.span import RawSpan, Span, SpanKind, ToolCall, Usage

from .fields import (
    GEN_AI_USAGE_KEYS,
    Attributes,
    Convention,
    common,
    gen_ai_call,
    gen_ai_content,
    indexed,
    label,
    read_tool_call,
    usage_of,
)

_NAME = "litellm"
_CALL = "litellm_request"
_SETTING = "litellm.turn_off_message_logging = False"


def _is_one(raw: RawSpan) -> bool:
    return raw.scope_name == "litellm" or raw.name == _CALL


def _kind(raw: RawSpan) -> SpanKind:
    if raw.name != _CALL:
        return SpanKind.OTHER
    request = raw.attributes.get("llm.request.type")
    is_embedding = isinstance(request, str) and "embedding" in request
    return SpanKind.EMBEDDING if is_embedding else SpanKind.LLM


def _read(raw: RawSpan) -> Span:
    attributes = raw.attributes
    kind = _kind(raw)
    if kind is SpanKind.OTHER:
        return common(raw, _NAME, kind, {})
    fields = gen_ai_call(attributes)
    fields["operation"] = label(attributes.get("gen_ai.operation.name"))
    content = _content if kind is SpanKind.LLM else None
    return common(raw, _NAME, kind, fields, content_setting=_SETTING, content=content)


def _content(attributes: Attributes) -> dict[str, Any]:
    fields = gen_ai_content(attributes)
    if not fields.get("output_text") and not fields.get("tool_calls"):
        fields["tool_calls"] = _indexed_calls(attributes)
    return fields


def _indexed_calls(attributes: Attributes) -> tuple[ToolCall, ...]:
    calls = []
    for choice in indexed(attributes, "gen_ai.completion."):
        call = read_tool_call(
            {
                "name": choice.get("function_call.name"),
                "arguments": choice.get("function_call.arguments"),
            }
        )
        if call is not None:
            calls.append(call)
    return tuple(calls)


def _read_usage(raw: RawSpan) -> Usage | None:
    if _kind(raw) is not SpanKind.LLM:
        return None
    return usage_of(raw, gen_ai_call(raw.attributes))


CONVENTION = Convention(
    name=_NAME,
    markers=(b"litellm",),
    sign=_is_one,
    read=_read,
    usage_keys=GEN_AI_USAGE_KEYS | {"llm.request.type"},
    read_usage=_read_usage,
)
