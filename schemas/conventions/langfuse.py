"""The Langfuse SDK (scope `langfuse-sdk`): `langfuse.observation.*`, no `gen_ai.*` of its own.

Read from the SDK's attribute names (github.com/langfuse/langfuse-python, `_client/attributes.py`)
and from what its OpenAI wrapper, LangChain handler and decorators put into them.
"""

import re
from collections.abc import Mapping
from typing import Any

from schemas.payloads import (
    is_cut_json,
    read_arguments,
    read_input,
    read_output,
    read_response,
    read_result,
)
from schemas.span import RawSpan, Span, SpanKind, Usage

from .fields import (
    PLAIN_KINDS,
    Convention,
    answer_fields,
    common,
    environment,
    finish_reason,
    first_int,
    first_label,
    float_or_none,
    int_or_none,
    label,
    load,
    provider_name,
    read_documents,
    unquoted,
    usage_of,
)

NAME = "langfuse"
_TYPE = "langfuse.observation.type"
_INPUT, _OUTPUT = "langfuse.observation.input", "langfuse.observation.output"
_KINDS = {
    "generation": SpanKind.LLM,
    "agent": SpanKind.AGENT,
    "tool": SpanKind.TOOL,
    "retriever": SpanKind.RETRIEVER,
    "embedding": SpanKind.EMBEDDING,
}
_ID = re.compile(r'"(?:id|response_id|responseId)"')
_SETTING = "LANGFUSE_OBSERVE_DECORATOR_IO_CAPTURE_ENABLED=true (or capture_input, capture_output)"
_CACHE_READ = ("input_cached_tokens", "input_cache_read", "cache_read_input_tokens")
_CACHE_WRITE = ("input_cache_creation", "cache_creation_input_tokens")
_REASONING = ("output_reasoning", "output_reasoning_tokens", "reasoning_tokens")


def _kind(attributes: Mapping[str, Any]) -> SpanKind:
    kind = attributes.get(_TYPE)
    return _KINDS.get(kind.lower(), SpanKind.CHAIN) if isinstance(kind, str) else SpanKind.CHAIN


def _is_error(raw: RawSpan) -> bool:
    level = raw.attributes.get("langfuse.observation.level")
    return raw.status_code == 2 or level == "ERROR"  # noqa: PLR2004  OTLP's STATUS_CODE_ERROR


def _read(raw: RawSpan) -> Span:
    attributes = raw.attributes
    kind = _kind(attributes)
    place = label(attributes.get("langfuse.environment"))
    fields = {
        "operation": label(attributes.get(_TYPE)),
        "environment": place if place not in (None, "default") else environment(raw.resource),
        "session_id": first_label(attributes, "session.id", "langfuse.session.id"),
        "user_id": first_label(attributes, "user.id", "langfuse.user.id"),
        "error": _is_error(raw),
        **_prompt(attributes),
        **_fields(raw, kind),
    }
    content = None if kind in PLAIN_KINDS else _content
    return common(raw, NAME, kind, fields, content_setting=_SETTING, content=content)


def _prompt(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "prompt_name": label(attributes.get("langfuse.observation.prompt.name")),
        "prompt_version": label(attributes.get("langfuse.observation.prompt.version")),
    }


def _fields(raw: RawSpan, kind: SpanKind) -> dict[str, Any]:
    attributes = raw.attributes
    if kind is SpanKind.LLM:
        return {**_call(raw), "response_id": _response_id(attributes.get(_OUTPUT))}
    if kind is SpanKind.RETRIEVER:
        return {"documents": read_documents(attributes.get(_OUTPUT))}
    if kind is SpanKind.EMBEDDING:
        return {**_call(raw), "truncated": _is_truncated(attributes)}
    if kind is SpanKind.TOOL:
        return {
            "tool_name": raw.name,
            "tool_arguments": read_arguments(attributes.get(_INPUT)),
            "tool_result": read_result(attributes.get(_OUTPUT)),
            "truncated": _is_truncated(attributes),
        }
    return {}


def _response_id(output: Any) -> str | None:
    """Read the response's id: most answers are the message alone, which has none."""
    if isinstance(output, str) and _ID.search(output) is None:
        return None
    return read_response(output).id


def _content(attributes: Mapping[str, Any]) -> dict[str, Any]:
    answer = read_output(attributes.get(_OUTPUT))
    fields = {
        "messages_in": read_input(attributes.get(_INPUT)),
        "truncated": _is_truncated(attributes),
        **answer_fields(answer.choices),
    }
    if _kind(attributes) is SpanKind.LLM:
        reason = _metadata(attributes, "finish_reason")
        fields["finish_reason"] = finish_reason(reason or answer.finish_reason)
    return fields


def _is_truncated(attributes: Mapping[str, Any]) -> bool:
    return is_cut_json(attributes.get(_INPUT)) or is_cut_json(attributes.get(_OUTPUT))


def _call(raw: RawSpan) -> dict[str, Any]:
    """Read what a call's usage and the span have in common."""
    attributes = raw.attributes
    model = label(attributes.get("langfuse.observation.model.name"))
    asked = label(_metadata(attributes, "ls_model_name"))
    answered = None
    if _is_error(raw):
        asked = asked or model
    else:
        answered = model  # the answer overwrites the name that was asked for
    return {
        "provider": provider_name(_metadata(attributes, "ls_provider")),
        "request_model": asked,
        "response_model": answered,
        "cost_usd": _cost(attributes, failed=answered is None),
        **_tokens(load(attributes.get("langfuse.observation.usage_details"))),
    }


def _metadata(attributes: Mapping[str, Any], key: str) -> Any:
    """Read one value of the metadata: version 5 of the SDK writes it as JSON, text in quotes."""
    return unquoted(attributes.get("langfuse.observation.metadata." + key))


def _cost(attributes: Mapping[str, Any], *, failed: bool) -> float | None:
    details = load(attributes.get("langfuse.observation.cost_details"))
    if not isinstance(details, dict):
        return None
    total = float_or_none(details.get("total"))
    if total is None:
        parts = [cost for cost in map(float_or_none, details.values()) if cost is not None]
        total = sum(parts) if parts else None
    return None if failed and total == 0 else total  # zeros stand for unknown on a failed call


def _tokens(details: Any) -> dict[str, Any]:
    if not isinstance(details, dict):
        return {}
    inside, beside = _nested(details, "prompt", "input"), _nested(details, "completion", "output")
    cached = first_int(details, _CACHE_READ)
    written = first_int(details, _CACHE_WRITE)
    reasoning = first_int(details, _REASONING)
    input_tokens = int_or_none(details.get("prompt_tokens"))
    output_tokens = int_or_none(details.get("completion_tokens"))
    if input_tokens is None:
        input_tokens, output_tokens = _sums(details, cached or 0, written or 0)
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cached_input_tokens": _known(cached, inside, "cached_tokens", "cache_read"),
        "cache_creation_input_tokens": _known(written, inside, "cache_creation"),
        "reasoning_tokens": _known(reasoning, beside, "reasoning_tokens", "reasoning"),
    }


def _nested(details: Mapping[str, Any], *sides: str) -> Mapping[str, Any]:
    for side in sides:
        for key in (f"{side}_tokens_details", f"{side}_token_details"):
            if isinstance(found := details.get(key), dict):
                return found
    return {}


def _known(count: int | None, nested: Mapping[str, Any], *keys: str) -> int | None:
    return first_int(nested, keys) if count is None else count


def _sums(details: Mapping[str, Any], cached: int, written: int) -> tuple[int | None, int | None]:
    """Add the parts up: Langfuse's usage types exclude each other, so `input` is without cache.

    Where the given total is input plus output alone, the parts were counted in already.
    """
    input_tokens = first_int(details, ("input", "input_tokens"))
    output_tokens = first_int(details, ("output", "output_tokens"))
    total = first_int(details, ("total", "total_tokens"))
    if total is not None and total == (input_tokens or 0) + (output_tokens or 0):
        return input_tokens, output_tokens
    if input_tokens is not None:
        others = _side(details, "input_", ("input_tokens",))
        input_tokens += others or cached + written
    if output_tokens is not None:
        output_tokens += _side(details, "output_", ("output_tokens",))
    return input_tokens, output_tokens


def _side(details: Mapping[str, Any], prefix: str, totals: tuple[str, ...]) -> int:
    return sum(
        (int_or_none(count) or 0)
        for key, count in details.items()
        if key.startswith(prefix) and key not in totals
    )


def _read_usage(raw: RawSpan) -> Usage | None:
    if _kind(raw.attributes) is not SpanKind.LLM:
        return None
    return usage_of(raw, {**_prompt(raw.attributes), **_call(raw)})


CONVENTION = Convention(
    name=NAME,
    markers=(b"langfuse.observation.type",),
    sign=_TYPE,
    read=_read,
    usage_keys=frozenset(
        {
            _TYPE,
            "langfuse.observation.level",
            "langfuse.observation.model.name",
            "langfuse.observation.metadata.ls_model_name",
            "langfuse.observation.metadata.ls_provider",
            "langfuse.observation.usage_details",
            "langfuse.observation.cost_details",
            "langfuse.observation.prompt.name",
            "langfuse.observation.prompt.version",
        }
    ),
    read_usage=_read_usage,
)
