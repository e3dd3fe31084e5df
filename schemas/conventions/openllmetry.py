"""OpenLLMetry up to 0.4x: messages spread over indexed attributes, `gen_ai.prompt.0.content`.

Later versions write the GenAI conventions (`gen_ai.py`), except for the clients of Ollama and
Mistral; the old ones are widely deployed, and AgentOps took the form over. An attribute length
limit shortens a text here but leaves it readable.
"""

from typing import Any

from schemas.span import Message, RawSpan, Span, SpanKind, Usage

from .fields import (
    GEN_AI_USAGE_KEYS,
    Attributes,
    Convention,
    answer_fields,
    common,
    finish_reason,
    gen_ai_call,
    gen_ai_kind,
    indexed,
    is_cut_blocks,
    label,
    load_blocks,
    read_message,
    usage_of,
)

_NAME = "openllmetry"
_SETTING = "TRACELOOP_TRACE_CONTENT=true"
_REQUEST = "llm.request.type"
_AGENTOPS_REQUEST = "gen_ai.request.type"
_SIGNS = (
    _REQUEST,
    _AGENTOPS_REQUEST,
    "gen_ai.prompt.0.role",
    "gen_ai.prompt.0.content",
    "gen_ai.completion.0.role",
    "gen_ai.completion.0.content",
)
_KINDS = {
    "chat": SpanKind.LLM,
    "completion": SpanKind.LLM,
    "embedding": SpanKind.EMBEDDING,
    "rerank": SpanKind.CHAIN,
}


def _is_one(raw: RawSpan) -> bool:
    attributes = raw.attributes
    return (
        _REQUEST in attributes
        or _AGENTOPS_REQUEST in attributes
        or "gen_ai.prompt.0.role" in attributes
        or "gen_ai.prompt.0.content" in attributes
        or "gen_ai.completion.0.role" in attributes
        or "gen_ai.completion.0.content" in attributes
    )


def _kind(raw: RawSpan) -> SpanKind:
    if "gen_ai.operation.name" in raw.attributes:
        return gen_ai_kind(raw.attributes)
    request = raw.attributes.get(_REQUEST) or raw.attributes.get(_AGENTOPS_REQUEST)
    return _KINDS.get(request, SpanKind.LLM) if isinstance(request, str) else SpanKind.LLM


def _read(raw: RawSpan) -> Span:
    attributes = raw.attributes
    kind = _kind(raw)
    fields = gen_ai_call(attributes)
    fields["operation"] = label(attributes.get(_REQUEST))
    content = _content if kind is SpanKind.LLM else None
    return common(raw, _NAME, kind, fields, content_setting=_SETTING, content=content)


def _content(attributes: Attributes) -> dict[str, Any]:
    prompts = indexed(attributes, "gen_ai.prompt.")
    completions = indexed(attributes, "gen_ai.completion.")
    fields: dict[str, Any] = {}
    if completions:
        fields = answer_fields([_messages(item, "assistant") for item in completions])
        fields["finish_reason"] = finish_reason(completions[0].get("finish_reason"))
    fields["messages_in"] = tuple(
        message for item in prompts for message in _messages(item, "user")
    )
    fields["truncated"] = any(is_cut_blocks(load_blocks(item.get("content"))) for item in prompts)
    return fields


def _messages(item: dict[str, Any], role: str) -> list[Message]:
    """Read one prompt or completion from the attributes under its index."""
    message: dict[str, Any] = {
        "role": item.get("role") or role,
        "content": load_blocks(item.get("content")),
    }
    if len(item) > 2:  # noqa: PLR2004  more than role and content: maybe tool calls
        message["tool_calls"] = indexed(item, "tool_calls.")
        message["function_call"] = {
            "name": item.get("function_call.name"),
            "arguments": item.get("function_call.arguments"),
        }
    return read_message(message, role)


def _read_usage(raw: RawSpan) -> Usage | None:
    if _kind(raw) is not SpanKind.LLM:
        return None
    return usage_of(raw, gen_ai_call(raw.attributes))


CONVENTION = Convention(
    name=_NAME,
    markers=(b"gen_ai.", _REQUEST.encode()),
    sign=_is_one,
    read=_read,
    usage_keys=GEN_AI_USAGE_KEYS | frozenset(_SIGNS),
    read_usage=_read_usage,
)
