"""OpenTelemetry's GenAI semantic conventions, content in span attributes.

Written by OpenTelemetry's own instrumentation, OpenLLMetry since 0.6, OpenLIT, Logfire, Pydantic AI
2, Microsoft's Agent Framework and Semantic Kernel, AG2, Google's ADK, the Vercel AI SDK 7 and
Anthropic's SDK. Their dialects differ in older attribute names, JSON where an array belongs, and
where content is off.

Source: https://github.com/open-telemetry/semantic-conventions-genai (status: development).
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from schemas.span import Message, RawSpan, Span, SpanKind, Usage

from .fields import (
    GEN_AI_USAGE_KEYS,
    Attributes,
    Convention,
    common,
    dump,
    first,
    gen_ai_call,
    gen_ai_content,
    gen_ai_kind,
    gen_ai_tool,
    label,
    load,
    object_or_value,
    read_documents,
    read_message,
    read_messages,
    usage_of,
)

_NAME = "gen_ai"
_SIGN = "gen_ai.operation.name"

_OFFICIAL = (
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY (versions before 2026: "
    "=true with OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental)"
)
_SETTINGS = (
    ("opentelemetry.instrumentation.genai", _OFFICIAL),
    ("opentelemetry.instrumentation.openai_v2", _OFFICIAL),
    ("opentelemetry.instrumentation.google_genai", _OFFICIAL),
    ("opentelemetry.instrumentation.", "TRACELOOP_TRACE_CONTENT=true"),
    ("openlit", "openlit.init(capture_message_content=True)"),
    ("pydantic-ai", "InstrumentationSettings(include_content=True)"),
    ("agent_framework", "ENABLE_SENSITIVE_DATA=true"),
    ("gcp.vertex.agent", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY"),
    ("gen_ai", "telemetry: { recordInputs: true, recordOutputs: true }"),
    ("semantic_kernel", "an instrumentation of the client: Semantic Kernel logs content"),
    ("com.anthropic.sdk", "an instrumentation of the client: the SDK's own spans have no content"),
)
"""Scope name's beginning → what turns content on; the first that fits."""
_BEGINNING_CHARS = max(len(beginning) for beginning, _ in _SETTINGS)


def _read(raw: RawSpan) -> Span:
    attributes = raw.attributes
    kind = gen_ai_kind(attributes)
    fields = gen_ai_call(attributes)
    content = None
    if kind is SpanKind.LLM:
        content = gen_ai_content
    elif kind is SpanKind.AGENT:
        content = _agent
    elif kind is SpanKind.TOOL:
        fields.update(_tool(attributes))
    elif kind is SpanKind.RETRIEVER:
        documents = first(attributes, "gen_ai.retrieval.documents", "traceloop.entity.output")
        fields["documents"] = read_documents(documents)
    fields["operation"] = label(attributes.get(_SIGN))
    return common(
        raw,
        _NAME,
        kind,
        fields,
        content_setting=_setting(raw.scope_name[:_BEGINNING_CHARS]),
        content=content,
    )


def _agent(attributes: Attributes) -> dict[str, Any]:
    """Read an agent's run; Pydantic AI has it as one list that ends in the answer."""
    fields = gen_ai_content(attributes)
    conversation = attributes.get("pydantic_ai.all_messages")
    if conversation is None or "gen_ai.input.messages" in attributes:
        return fields
    messages = list(fields["messages_in"]) + list(read_messages(conversation))
    if messages and messages[-1].role == "assistant":
        answer: Message = messages.pop()
        fields.update(output_text=answer.content, tool_calls=answer.tool_calls)
    fields["messages_in"] = tuple(messages)
    return fields


def _tool(attributes: Attributes) -> dict[str, Any]:
    """Read a tool's run; OpenLLMetry may have it under its own entity names alone."""
    fields = gen_ai_tool(attributes)
    if fields["tool_name"] is None:
        fields["tool_name"] = label(attributes.get("traceloop.entity.name"))
    if fields["tool_arguments"] is None:
        fields["tool_arguments"] = object_or_value(attributes.get("traceloop.entity.input"))
    if fields["tool_result"] is None:
        fields["tool_result"] = dump(attributes.get("traceloop.entity.output"))
    given = fields["tool_arguments"]
    if isinstance(given, Mapping) and "input_str" in given and given.get("inputs") is not None:
        fields["tool_arguments"] = given["inputs"]  # OpenLLMetry: LangChain's whole callback
        result = load(fields["tool_result"])
        if isinstance(result, Mapping) and isinstance(output := result.get("output"), Mapping):
            texts = [message.content for message in read_message(output) if message.content]
            fields["tool_result"] = "\n".join(texts) or fields["tool_result"]
    return fields


@lru_cache(maxsize=256)
def _setting(scope: str) -> str:  # remembered, so it gets no more of a name than it looks at
    for beginning, setting in _SETTINGS:
        if scope.startswith(beginning):
            return setting
    return _OFFICIAL


def _read_usage(raw: RawSpan) -> Usage | None:
    if gen_ai_kind(raw.attributes) is not SpanKind.LLM:
        return None
    return usage_of(raw, gen_ai_call(raw.attributes))


CONVENTION = Convention(
    name=_NAME,
    markers=(b"gen_ai.",),
    sign=_SIGN,
    read=_read,
    usage_keys=GEN_AI_USAGE_KEYS,
    read_usage=_read_usage,
)
