"""What the conventions share: reading values, ids, tokens, finish reasons and errors.

A convention imports this module and no other convention. Its functions run for every LLM span on
the topic (`read_usage`) or for every one that is kept (`read`), and none of them raises.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from schemas.messages import (
    EventLog,
    content_text,
    is_cut_blocks,
    load_blocks,
    read_choices,
    read_documents,
    read_message,
    read_messages,
    read_tool_call,
    role_of,
)
from schemas.span import Message, RawSpan, Span, SpanKind, ToolCall, Usage
from schemas.values import (
    Attributes,
    dump,
    finish_reason,
    first,
    first_int,
    first_label,
    float_or_none,
    indexed,
    int_or_none,
    is_cut,
    label,
    load,
    object_or_value,
    provider_name,
    unquoted,
)

__all__ = [
    "GEN_AI_USAGE_KEYS",
    "PLAIN_KINDS",
    "Attributes",
    "Convention",
    "EventLog",
    "answer_fields",
    "common",
    "content_text",
    "dump",
    "environment",
    "exception_type",
    "finish_reason",
    "first",
    "first_int",
    "first_label",
    "float_or_none",
    "gen_ai_call",
    "gen_ai_content",
    "gen_ai_kind",
    "gen_ai_tool",
    "indexed",
    "int_or_none",
    "is_cut",
    "is_cut_blocks",
    "label",
    "load",
    "load_blocks",
    "object_or_value",
    "provider_name",
    "provider_usage",
    "read_choices",
    "read_documents",
    "read_message",
    "read_messages",
    "read_tool_call",
    "role_of",
    "session_id",
    "unquoted",
    "usage_of",
]


PLAIN_KINDS = (SpanKind.TOOL, SpanKind.EMBEDDING)
"""Those that have no messages; an embedding neither texts nor vectors."""

ContentReader = Callable[[Attributes], dict[str, Any]]
"""Reads a span's content from its attributes; never raises."""


@dataclass(frozen=True, slots=True)
class Convention:
    """One way of writing an LLM application's spans.

    Attributes:
        name: What `Span.convention` says.
        markers: At least one occurs, as bytes, in the serialised form (protobuf or JSON, with scope
            name and event names) of every span that matches: what lacks them all is never parsed.
        sign: What tells that a span is of this convention: an attribute that it has, or a function;
            the first of the table wins.
        read: The span, normalised. Never raises, whatever the values.
        usage_keys: The attributes that `sign` and `read_usage` look at.
        read_usage: The cost of an LLM call, or None where the span is no call. The span that it
            gets may have no attributes but those in `usage_keys`, and no events.
    """

    name: str
    markers: tuple[bytes, ...]
    sign: str | Callable[[RawSpan], bool]
    read: Callable[[RawSpan], Span]
    usage_keys: frozenset[str]
    read_usage: Callable[[RawSpan], Usage | None]


def answer_fields(choices: list[list[Message]]) -> dict[str, Any]:
    """Spread an answer over a span's fields.

    Args:
        choices: The messages of each choice, first the one that counts.
    """
    if not choices:
        return {}
    text, calls = _join(choices[0])
    if len(choices) == 1:
        return {"output_text": text, "tool_calls": calls}
    others = tuple(text or "" for text, _ in map(_join, choices[1:]))
    return {"output_text": text, "tool_calls": calls, "other_choices": others}


def _join(messages: list[Message]) -> tuple[str | None, tuple[ToolCall, ...]]:
    if len(messages) == 1:
        return messages[0].content, messages[0].tool_calls
    messages = [message for message in messages if message.role != "tool"]
    texts = [message.content for message in messages if message.content]
    calls = tuple(call for message in messages for call in message.tool_calls)
    return "\n".join(texts) or None, calls


def exception_type(raw: RawSpan) -> str | None:
    """Give the type of the exception that an event of the span records."""
    for event in raw.events:
        if event.name == "exception":
            return label(event.attributes.get("exception.type"))
    return None


_SESSION = ("session.id", "gen_ai.conversation.id", "traceloop.association.properties.session_id")


def session_id(attributes: Attributes) -> str | None:
    """Read the session. OpenAI's Responses put a response's id where a conversation's belongs."""
    for key in _SESSION:
        session = label(attributes.get(key))
        if session is not None and not (key == _SESSION[1] and session.startswith("resp_")):
            return session
    return None


_USER = ("user.id", "enduser.id", "traceloop.association.properties.user_id", "llm.user")
_PROMPT_NAME = ("gen_ai.prompt.name", "traceloop.prompt.key")
_PROMPT_VERSION = ("gen_ai.prompt.version", "traceloop.prompt.version")
_SELDOM_NAMED = frozenset((*_SESSION, *_USER, *_PROMPT_NAME, *_PROMPT_VERSION))
"""What most calls have none of: asked for together, before each is asked for."""


def common(
    raw: RawSpan,
    convention: str | None,
    kind: SpanKind,
    fields: dict[str, Any],
    *,
    content_setting: str | None = None,
    content: ContentReader | None = None,
) -> Span:
    """Build a span from what every OTLP span has and what a convention has read.

    Args:
        raw: The span.
        convention: The name of the convention that read it, or None.
        kind: What the span stands for.
        fields: Fields of `Span`, which becomes their owner; they win over what is read here:
            service, environment, session, user, prompt, error. `error_type` None on a span in
            error means: look for it.
        content_setting: The setting that turns content on; kept only on an LLM span without any.
        content: Reads `schemas.span.CONTENT_FIELDS` from the attributes (and the events, which it
            has to know), once somebody asks for one of them.
    """
    attributes, resource = raw.attributes, raw.resource
    if not _SELDOM_NAMED.isdisjoint(attributes):
        if "session_id" not in fields:
            fields["session_id"] = session_id(attributes)
        if "user_id" not in fields:
            fields["user_id"] = first_label(attributes, *_USER)
        _add_prompt(fields, attributes)
    if "environment" not in fields:
        fields["environment"] = environment(resource)
    error = fields.setdefault("error", raw.status_code == 2)  # noqa: PLR2004  OTLP's STATUS_CODE_ERROR
    if error and fields.get("error_type") is None:
        fields["error_type"] = label(attributes.get("error.type")) or exception_type(raw)
    setting = content_setting if kind is SpanKind.LLM else None
    if content is None and setting is not None and _is_bare(fields):
        fields["content_setting"] = setting
    fields["trace_id"] = raw.trace_id
    fields["span_id"] = raw.span_id
    fields["parent_span_id"] = raw.parent_span_id
    fields["name"] = raw.name
    fields["kind"] = kind
    fields["convention"] = convention
    fields["scope"] = raw.scope_name
    fields["start_unix_nano"] = raw.start_unix_nano
    fields["end_unix_nano"] = raw.end_unix_nano
    fields["service"] = label(resource.get("service.name"))
    fields["trace_state"] = raw.trace_state
    fields["links"] = raw.links
    fields["attributes"] = attributes
    fields["resource"] = resource
    fields["size_bytes"] = raw.size_bytes
    if content is None:
        return Span.made(fields)
    return Span.made(fields, partial(_read_content, content, attributes, setting), raw.events)


def _add_prompt(fields: dict[str, Any], attributes: Attributes) -> None:
    if "prompt_name" not in fields:
        fields["prompt_name"] = first_label(attributes, *_PROMPT_NAME)
    if "prompt_version" not in fields:
        fields["prompt_version"] = first_label(attributes, *_PROMPT_VERSION)


def _read_content(
    read: ContentReader, attributes: Attributes, setting: str | None
) -> dict[str, Any]:
    fields = read(attributes)
    if setting is not None and _is_bare(fields):
        fields["content_setting"] = setting
    return fields


def _is_bare(fields: dict[str, Any]) -> bool:
    """Whether a span with these fields has no content."""
    return (
        not fields.get("output_text")
        and not fields.get("tool_calls")
        and not any(message.content for message in fields.get("messages_in", ()))
    )


def environment(resource: Attributes) -> str | None:
    """Read the deployment's environment, under its present name or the older one."""
    return first_label(resource, "deployment.environment.name", "deployment.environment")


_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens")
_OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens")
_CACHED = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.details.cache_read_tokens",
)
_CACHE_CREATION = (
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
    "gen_ai.usage.details.cache_write_tokens",
)
_REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.details.reasoning_tokens",
    "gen_ai.usage.thinking_tokens",
)
_RAW = "gen_ai.usage.raw"
"""Logfire: the provider's own usage as JSON, with the cache and reasoning it names nowhere else."""

_COST = ("gen_ai.usage.cost", "gen_ai.cost.total_cost", "operation.cost")
_SELDOM_COUNTED = frozenset((*_CACHED, *_CACHE_CREATION, *_REASONING, *_COST, _RAW))

_NAMES = (
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.system",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.response.id",
)
GEN_AI_USAGE_KEYS: frozenset[str] = frozenset(
    _NAMES
    + (_INPUT + _OUTPUT + _CACHED + _CACHE_CREATION + _REASONING + _COST)
    + (_PROMPT_NAME + _PROMPT_VERSION)
    + (_RAW,)
)
"""The attributes that `gen_ai_call`, `gen_ai_kind` and `usage_of` look at."""

_KINDS = {
    "chat": SpanKind.LLM,
    "generate_content": SpanKind.LLM,
    "text_completion": SpanKind.LLM,
    "invoke_agent": SpanKind.AGENT,
    "create_agent": SpanKind.AGENT,
    "execute_tool": SpanKind.TOOL,
    "retrieval": SpanKind.RETRIEVER,
    "vector_db_retrieve": SpanKind.RETRIEVER,
    "embeddings": SpanKind.EMBEDDING,
}


def gen_ai_kind(attributes: Attributes) -> SpanKind:
    """Give the kind that `gen_ai.operation.name` says; what it does not know is a chain."""
    operation = attributes.get("gen_ai.operation.name")
    return _KINDS.get(operation, SpanKind.CHAIN) if isinstance(operation, str) else SpanKind.CHAIN


def gen_ai_call(attributes: Attributes) -> dict[str, Any]:
    """Read who answered and what it cost, present names of the GenAI conventions before older."""
    get = attributes.get
    call: dict[str, Any] = {
        "provider": provider_name(get("gen_ai.provider.name") or get("gen_ai.system")),
        "request_model": label(get("gen_ai.request.model")),
        "response_model": label(get("gen_ai.response.model")),
        "response_id": label(get("gen_ai.response.id")),
        "input_tokens": first_int(attributes, _INPUT),
        "output_tokens": first_int(attributes, _OUTPUT),
    }
    if not _SELDOM_COUNTED.isdisjoint(attributes):
        call["cached_input_tokens"] = first_int(attributes, _CACHED)
        call["cache_creation_input_tokens"] = first_int(attributes, _CACHE_CREATION)
        call["reasoning_tokens"] = first_int(attributes, _REASONING)
        call["cost_usd"] = float_or_none(first(attributes, *_COST))
        if _RAW in attributes:
            found = provider_usage(load(attributes[_RAW]))
            call.update((name, value) for name, value in found.items() if call[name] is None)
    return call


_USAGE_KEYS = {
    "input_tokens": (("input_tokens",), ("prompt_tokens",)),
    "output_tokens": (("output_tokens",), ("completion_tokens",)),
    "cached_input_tokens": (
        ("cache_read_input_tokens",),
        ("prompt_tokens_details", "cached_tokens"),
        ("input_tokens_details", "cached_tokens"),
    ),
    "cache_creation_input_tokens": (("cache_creation_input_tokens",),),
    "reasoning_tokens": (
        ("completion_tokens_details", "reasoning_tokens"),
        ("output_tokens_details", "reasoning_tokens"),
    ),
}


def provider_usage(usage: Any) -> dict[str, int]:
    """Read the usage object of OpenAI's and Anthropic's answers; what it lacks is left out."""
    found: dict[str, int] = {}
    if not isinstance(usage, dict):
        return found
    for name, paths in _USAGE_KEYS.items():
        for path in paths:
            value: Any = usage
            for key in path:
                value = value.get(key) if isinstance(value, dict) else None
            if (count := int_or_none(value)) is not None:
                found[name] = count
                break
    return found


def gen_ai_content(attributes: Attributes) -> dict[str, Any]:
    """Read what was asked and answered, from attributes of a span or of an event."""
    asked = load(attributes.get("gen_ai.input.messages"))
    answered = load(attributes.get("gen_ai.output.messages"))
    instructions = load(attributes.get("gen_ai.system_instructions"))
    messages = read_messages(asked) if asked is not None else ()
    cut = is_cut(asked) or is_cut(answered) or is_cut(instructions)
    if instructions is not None and not is_cut(instructions):
        text = content_text(instructions)
        if text is not None and messages[:1] != (system := Message("system", text),):
            messages = (system, *messages)
    ended = attributes.get("gen_ai.response.finish_reasons")
    if ended is None:
        ended = attributes.get("gen_ai.response.finish_reason")  # Semantic Kernel
    if ended is None and isinstance(answered, list) and answered and isinstance(answered[0], dict):
        ended = answered[0].get("finish_reason")
    return {
        "messages_in": messages,
        "finish_reason": finish_reason(ended or attributes.get("anthropic.message.stop_reason")),
        "truncated": cut,
        **answer_fields(read_choices(answered) if answered is not None else []),
    }


def gen_ai_tool(attributes: Attributes) -> dict[str, Any]:
    """Read a tool's name, arguments and result."""
    arguments = first(attributes, "gen_ai.tool.call.arguments", "tool_arguments")
    result = first(attributes, "gen_ai.tool.call.result", "tool_response")
    return {
        "tool_name": label(attributes.get("gen_ai.tool.name")),
        "tool_arguments": object_or_value(arguments),
        "tool_result": dump(result),
        "truncated": is_cut(load(arguments)),
    }


def usage_of(raw: RawSpan, fields: dict[str, Any]) -> Usage:
    """Build the usage of a call from its span and what a convention has read.

    Args:
        raw: The span.
        fields: Fields of `Usage`, which becomes their owner; a prompt among them wins over what is
            read here.
    """
    attributes, resource = raw.attributes, raw.resource
    if not _SELDOM_NAMED.isdisjoint(attributes):
        _add_prompt(fields, attributes)
    fields["trace_id"] = raw.trace_id
    fields["span_id"] = raw.span_id
    fields["parent_span_id"] = raw.parent_span_id
    fields["service"] = label(resource.get("service.name"))
    fields["environment"] = environment(resource)
    fields["start_unix_nano"] = raw.start_unix_nano
    fields["end_unix_nano"] = raw.end_unix_nano
    return Usage.made(fields)
