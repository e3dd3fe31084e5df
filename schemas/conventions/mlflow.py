"""MLflow Tracing (scope `mlflow.tracing.provider`): `mlflow.spanType`, every value as JSON.

Text stands in quotes (`"CHAT_MODEL"`), inputs and outputs are the provider's request and response.
Read from MLflow's tracing constants (`mlflow/tracing/constant.py`) and what its autologging sends.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import orjson

from schemas.payloads import (
    Answer,
    find_response_id,
    is_cut_json,
    read_arguments,
    read_input,
    read_output,
)
from schemas.span import Message, RawSpan, Span, SpanEvent, SpanKind, ToolCall, Usage

from .fields import (
    PLAIN_KINDS,
    Convention,
    answer_fields,
    common,
    dump,
    finish_reason,
    float_or_none,
    int_or_none,
    label,
    load,
    object_or_value,
    provider_name,
    read_documents,
    session_id,
    usage_of,
)

NAME = "mlflow"
_TYPE = "mlflow.spanType"
_INPUTS, _OUTPUTS = "mlflow.spanInputs", "mlflow.spanOutputs"
_KINDS = {
    "CHAT_MODEL": SpanKind.LLM,
    "LLM": SpanKind.LLM,
    "AGENT": SpanKind.AGENT,
    "TOOL": SpanKind.TOOL,
    "RETRIEVER": SpanKind.RETRIEVER,
    "EMBEDDING": SpanKind.EMBEDDING,
}
_FORMATS = frozenset({"openai", "anthropic", "gemini", "bedrock", "groq", "mistral"})
"""Message formats that name a provider; the others (`langchain`, `dspy`, …) name a framework."""
_CHUNK = "mlflow.chunk.item."


def _is_one(raw: RawSpan) -> bool:
    # On a shared provider, MLflow marks the spans of other libraries too: with no type.
    kind: object = raw.attributes.get(_TYPE, "null")
    return kind != "null"


def _value(value: Any) -> Any:
    """Read a value that is JSON; what is not is taken as it stands."""
    if not isinstance(value, str):
        return value
    if value[:1] == '"':
        try:
            return orjson.loads(value)
        except ValueError:
            return value[1:]  # cut off: the closing quote is missing
    return None if value == "null" else load(value)


def _is_cut(value: Any) -> bool:
    if isinstance(value, str) and value[:1] == '"':
        return len(value) == 1 or value[-1] != '"'
    return is_cut_json(value)


def _kind(attributes: Mapping[str, Any]) -> SpanKind:
    kind = _value(attributes.get(_TYPE))
    return _KINDS.get(kind.upper(), SpanKind.CHAIN) if isinstance(kind, str) else SpanKind.CHAIN


def _read(raw: RawSpan) -> Span:
    attributes = raw.attributes
    kind = _kind(attributes)
    session = label(_value(attributes.get("mlflow.trace.session")))
    fields = {
        "operation": label(_value(attributes.get(_TYPE))),
        "session_id": session or session_id(attributes),
        "user_id": label(_value(attributes.get("mlflow.trace.user") or attributes.get("user.id"))),
        **_prompt(attributes),
        **_fields(raw, kind),
    }
    content = None if kind in PLAIN_KINDS else partial(_content, raw.events)
    return common(raw, NAME, kind, fields, content=content)


def _prompt(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Read the first of the linked prompts: `[{"name": …, "version": …}]`, once or twice JSON."""
    linked = load(_value(attributes.get("mlflow.linkedPrompts")))
    prompt = linked[0] if isinstance(linked, list) and linked else None
    if not isinstance(prompt, dict):
        return {}
    return {
        "prompt_name": label(prompt.get("name")),
        "prompt_version": label(prompt.get("version")),
    }


def _fields(raw: RawSpan, kind: SpanKind) -> dict[str, Any]:
    attributes = raw.attributes
    if kind is SpanKind.LLM:
        call = _call(attributes)
        if call["request_model"] is None:
            del call["request_model"]  # the request may name it
        return call
    if kind is SpanKind.RETRIEVER:
        return {"documents": read_documents(_value(attributes.get(_OUTPUTS)))}
    if kind is SpanKind.EMBEDDING:
        return {**_call(attributes), "truncated": _is_truncated(attributes)}
    if kind is SpanKind.TOOL:
        return {
            "tool_name": raw.name,
            "tool_arguments": read_arguments(_value(attributes.get(_INPUTS))),
            "tool_result": dump(_value(attributes.get(_OUTPUTS))),
            "truncated": _is_truncated(attributes),
        }
    return {}


def _content(events: tuple[SpanEvent, ...], attributes: Mapping[str, Any]) -> dict[str, Any]:
    value = _value(attributes.get(_INPUTS))
    answer = read_output(_value(attributes.get(_OUTPUTS)))
    fields: dict[str, Any] = {
        "messages_in": read_input(value),
        "truncated": _is_truncated(attributes),
    }
    if _kind(attributes) is SpanKind.LLM:
        if answer.is_empty:
            answer = _from_chunks(events) or answer
        fields["finish_reason"] = finish_reason(answer.finish_reason)
        asked = value.get("model") if isinstance(value, dict) else None
        fields["request_model"] = label(_value(attributes.get("model"))) or label(asked)
    return {**fields, **answer_fields(answer.choices)}


def _is_truncated(attributes: Mapping[str, Any]) -> bool:
    return _is_cut(attributes.get(_INPUTS)) or _is_cut(attributes.get(_OUTPUTS))


def _call(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a call's usage and the span have in common."""
    get = attributes.get
    usage = _value(get("mlflow.chat.tokenUsage"))
    usage = usage if isinstance(usage, dict) else {}
    costs = _value(get("mlflow.llm.cost"))
    outputs = get(_OUTPUTS)
    return {
        "provider": _provider(attributes),
        "request_model": label(_value(get("model"))),
        "response_model": label(_value(get("mlflow.llm.model"))),
        "response_id": find_response_id(outputs) if isinstance(outputs, str) else None,
        "input_tokens": int_or_none(usage.get("input_tokens")),
        "output_tokens": int_or_none(usage.get("output_tokens")),
        "cached_input_tokens": int_or_none(usage.get("cache_read_input_tokens")),
        "cache_creation_input_tokens": int_or_none(usage.get("cache_creation_input_tokens")),
        "cost_usd": float_or_none(costs.get("total_cost")) if isinstance(costs, dict) else None,
    }


def _provider(attributes: Mapping[str, Any]) -> str | None:
    name = _value(attributes.get("mlflow.llm.provider"))
    if name is None:
        name = _value(attributes.get("mlflow.message.format"))
        name = name if isinstance(name, str) and name in _FORMATS else None
    return provider_name(name)


def _from_chunks(events: tuple[SpanEvent, ...]) -> Answer | None:
    """Put a streamed answer together again: the span's own summary of it loses tool calls."""
    texts: list[str] = []
    calls: dict[Any, list[str | None]] = {}
    reason: str | None = None
    for event in events:
        choice = _chunk_choice(event)
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            continue
        reason = label(choice.get("finish_reason")) or reason
        if isinstance(text := delta.get("content"), str):
            texts.append(text)
        calls_found = delta.get("tool_calls")
        for part in calls_found if isinstance(calls_found, list) else ():
            _add_call(calls, part)
    found = tuple(
        ToolCall(name, object_or_value(arguments), call_id)
        for name, arguments, call_id in calls.values()
        if name
    )
    message = Message("assistant", "".join(texts) or None, found)
    return Answer([[message]], finish_reason=reason) if message.content or found else None


def _chunk_choice(event: SpanEvent) -> Mapping[str, Any]:
    """Give the first choice of the chunk that an event records; none is an empty one."""
    chunk = (
        _value(event.attributes.get("mlflow.chunk.value"))
        if event.name.startswith(_CHUNK)
        else None
    )
    choices = chunk.get("choices") if isinstance(chunk, dict) else None
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


def _add_call(calls: dict[Any, list[str | None]], part: Any) -> None:
    function = part.get("function") if isinstance(part, dict) else None
    if not isinstance(function, dict):
        return
    call = calls.setdefault(str(part.get("index")), [None, "", None])
    call[0] = label(function.get("name")) or call[0]
    call[1] = (call[1] or "") + (label(function.get("arguments")) or "")
    call[2] = label(part.get("id")) or call[2]


def _read_usage(raw: RawSpan) -> Usage | None:
    if _kind(raw.attributes) is not SpanKind.LLM:
        return None
    return usage_of(raw, {**_prompt(raw.attributes), **_call(raw.attributes)})


CONVENTION = Convention(
    name=NAME,
    markers=(b"mlflow.spanType",),
    sign=_is_one,
    read=_read,
    usage_keys=frozenset(
        {
            _TYPE,
            _OUTPUTS,
            "model",
            "mlflow.llm.model",
            "mlflow.llm.provider",
            "mlflow.message.format",
            "mlflow.chat.tokenUsage",
            "mlflow.llm.cost",
            "mlflow.linkedPrompts",
        }
    ),
    read_usage=_read_usage,
)
