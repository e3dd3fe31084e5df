"""LangSmith's OpenTelemetry exporter (scope `langsmith`): `langsmith.span.kind`.

Its `gen_ai.operation.name` misleads: a prompt template says `chat`, a retriever `embeddings`. So
the kind comes from `langsmith.span.kind` alone. Content is the run's input and output whole: a
provider's request and response, or LangChain's serialised messages.
"""

import re
from collections.abc import Mapping
from typing import Any

from schemas.payloads import (
    find_response_id,
    is_cut_json,
    read_arguments,
    read_input,
    read_output,
    read_result,
)
from schemas.span import RawSpan, Span, SpanKind, Usage

from .fields import (
    PLAIN_KINDS,
    Convention,
    answer_fields,
    common,
    exception_type,
    finish_reason,
    first_int,
    first_label,
    float_or_none,
    int_or_none,
    label,
    load,
    provider_name,
    read_documents,
    usage_of,
)

NAME = "langsmith"
_KIND = "langsmith.span.kind"
_KINDS = {
    "llm": SpanKind.LLM,
    "tool": SpanKind.TOOL,
    "retriever": SpanKind.RETRIEVER,
    "embedding": SpanKind.EMBEDDING,
}
_METADATA = "langsmith.metadata."
_SESSION = tuple(_METADATA + key for key in ("session_id", "thread_id", "conversation_id"))
_USER = (_METADATA + "user_id", "user.id")
_PROMPT_NAME = tuple(_METADATA + key for key in ("prompt_name", "lc_hub_repo"))
_PROMPT_VERSION = tuple(_METADATA + key for key in ("prompt_version", "lc_hub_commit_hash"))
_INPUT, _OUTPUT = "gen_ai.prompt", "gen_ai.completion"
_USAGE = _METADATA + "usage_metadata"
_INPUT_DETAILS = "gen_ai.usage.input_token_details"
_OUTPUT_DETAILS = "gen_ai.usage.output_token_details"
_COUNT = re.compile(r"""["'](\w{1,40})["']\s*:\s*(\d{1,18})\b""")
_DETAILS_CHARS = 1024
_SETTING = "LANGSMITH_HIDE_INPUTS=false and LANGSMITH_HIDE_OUTPUTS=false"


def _kind(attributes: Mapping[str, Any]) -> SpanKind:
    kind = attributes.get(_KIND)
    return _KINDS.get(kind.lower(), SpanKind.CHAIN) if isinstance(kind, str) else SpanKind.CHAIN


def _read(raw: RawSpan) -> Span:
    attributes = raw.attributes
    kind = _kind(attributes)
    fields = {
        "operation": label(attributes.get(_KIND)),
        "session_id": first_label(attributes, *_SESSION, "session.id"),
        "user_id": first_label(attributes, *_USER),
        # The exporter calls a run fine when it begins; OpenTelemetry keeps the first such word.
        "error": raw.status_code == 2 or exception_type(raw) is not None,  # noqa: PLR2004  OTLP's STATUS_CODE_ERROR
        **_prompt(attributes),
        **_fields(raw, kind),
    }
    content = None if kind in PLAIN_KINDS else _content
    return common(raw, NAME, kind, fields, content_setting=_SETTING, content=content)


def _prompt(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "prompt_name": first_label(attributes, *_PROMPT_NAME),
        "prompt_version": first_label(attributes, *_PROMPT_VERSION),
    }


def _fields(raw: RawSpan, kind: SpanKind) -> dict[str, Any]:
    attributes = raw.attributes
    if kind is SpanKind.LLM:
        call = _call(attributes)
        if call["response_model"] is None:
            del call["response_model"]  # the answer may name it
        return call
    if kind is SpanKind.RETRIEVER:
        return {"documents": read_documents(attributes.get(_OUTPUT))}
    if kind is SpanKind.EMBEDDING:
        return {**_call(attributes), "truncated": _is_truncated(attributes)}
    if kind is SpanKind.TOOL:
        return {
            "tool_name": first_label(attributes, "gen_ai.tool.name", "gen_ai.serialized.name")
            or raw.name,
            "tool_arguments": read_arguments(attributes.get(_INPUT)),
            "tool_result": read_result(attributes.get(_OUTPUT)),
            "truncated": _is_truncated(attributes),
        }
    return {}


def _content(attributes: Mapping[str, Any]) -> dict[str, Any]:
    answer = read_output(attributes.get(_OUTPUT))
    fields = {
        "messages_in": read_input(attributes.get(_INPUT)),
        "truncated": _is_truncated(attributes),
        **answer_fields(answer.choices),
    }
    if _kind(attributes) is SpanKind.LLM:
        fields["response_model"] = label(attributes.get("gen_ai.response.model")) or answer.model
        reasons = attributes.get("gen_ai.response.finish_reasons") or answer.finish_reason
        fields["finish_reason"] = finish_reason(reasons)
    return fields


def _is_truncated(attributes: Mapping[str, Any]) -> bool:
    return is_cut_json(attributes.get(_INPUT)) or is_cut_json(attributes.get(_OUTPUT))


def _call(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a call's usage and the span have in common."""
    get = attributes.get
    usage = load(get(_USAGE))
    usage = usage if isinstance(usage, dict) else {}
    inside = _details(usage.get("input_token_details") or get(_INPUT_DETAILS))
    output = get(_OUTPUT)
    beside = _details(usage.get("output_token_details") or get(_OUTPUT_DETAILS))
    return {
        "provider": provider_name(get(_METADATA + "ls_provider") or get("gen_ai.system")),
        "request_model": first_label(
            attributes, "gen_ai.request.model", _METADATA + "ls_model_name"
        ),
        "response_model": label(get("gen_ai.response.model")),
        "response_id": label(get("gen_ai.response.id"))
        or (find_response_id(output) if isinstance(output, str) else None),
        "input_tokens": _count(get("gen_ai.usage.input_tokens"), usage.get("input_tokens")),
        "output_tokens": _count(get("gen_ai.usage.output_tokens"), usage.get("output_tokens")),
        "cached_input_tokens": first_int(inside, ("cache_read", "cached_tokens")),
        "cache_creation_input_tokens": first_int(inside, ("cache_creation",)),
        "reasoning_tokens": first_int(beside, ("reasoning", "reasoning_tokens")),
        "cost_usd": float_or_none(usage.get("total_cost")),
    }


def _count(value: Any, other: Any) -> int | None:
    count = int_or_none(value)
    return int_or_none(other) if count is None else count


def _details(value: Any) -> Mapping[str, Any]:
    """Read token details: an object, JSON, or Python's notation, of which only counts are taken."""
    if isinstance(value, str):
        return dict(_COUNT.findall(value[:_DETAILS_CHARS]))
    return value if isinstance(value, dict) else {}


def _read_usage(raw: RawSpan) -> Usage | None:
    if _kind(raw.attributes) is not SpanKind.LLM:
        return None
    return usage_of(raw, {**_prompt(raw.attributes), **_call(raw.attributes)})


CONVENTION = Convention(
    name=NAME,
    markers=(b".span.kind",),
    sign=_KIND,
    read=_read,
    usage_keys=frozenset(
        {
            _KIND,
            _OUTPUT,
            _USAGE,
            _INPUT_DETAILS,
            _OUTPUT_DETAILS,
            "langsmith.metadata.ls_provider",
            "langsmith.metadata.ls_model_name",
            "gen_ai.system",
            "gen_ai.request.model",
            "gen_ai.response.model",
            "gen_ai.response.id",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            *_PROMPT_NAME,
            *_PROMPT_VERSION,
        }
    ),
    read_usage=_read_usage,
)
