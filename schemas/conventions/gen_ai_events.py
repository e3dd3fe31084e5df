"""GenAI semantic conventions with the content in span events.

Two forms: one event per message (`gen_ai.user.message`, `gen_ai.choice`, …), as Strands writes by
default and Azure's SDKs with the body in one attribute; or events named
`gen_ai.client.inference.operation.details` that carry the attributes of the newer conventions, as
Strands writes when asked to, in three events of that name on one span.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from schemas.span import RawSpan, Span, SpanEvent, SpanKind, Usage

from .fields import (
    GEN_AI_USAGE_KEYS,
    Attributes,
    Convention,
    EventLog,
    answer_fields,
    common,
    content_text,
    dump,
    finish_reason,
    gen_ai_call,
    gen_ai_content,
    gen_ai_kind,
    gen_ai_tool,
    label,
    load,
    load_blocks,
    object_or_value,
    usage_of,
)

_NAME = "gen_ai_events"
_DETAILS = "gen_ai.client.inference.operation.details"
_MESSAGES = frozenset(
    {
        "gen_ai.system.message",
        "gen_ai.user.message",
        "gen_ai.assistant.message",
        "gen_ai.tool.message",
        "gen_ai.choice",
    }
)
_EVENTS = _MESSAGES | {_DETAILS}


def _is_one(raw: RawSpan) -> bool:
    return bool(raw.events) and any(event.name in _EVENTS for event in raw.events)


def _read(raw: RawSpan) -> Span:
    attributes = raw.attributes
    kind = gen_ai_kind(attributes)
    fields = gen_ai_call(attributes)
    content = None
    if kind is SpanKind.TOOL:
        fields.update(_tool(raw))
    elif kind in (SpanKind.LLM, SpanKind.AGENT):
        content = partial(_content, raw.events)
    fields["operation"] = label(attributes.get("gen_ai.operation.name"))
    return common(raw, _NAME, kind, fields, content=content)


def _content(events: tuple[SpanEvent, ...], attributes: Attributes) -> dict[str, Any]:
    fields = gen_ai_content(_details(events, attributes))
    log = EventLog()
    for event in events:
        if event.name in _MESSAGES:
            log.read(event.name, _body(event.attributes))
    fields["messages_in"] += tuple(log.messages_in)
    fields["truncated"] = fields["truncated"] or log.cut
    if log.choices:
        fields.update(answer_fields(log.choices))
        fields["finish_reason"] = fields["finish_reason"] or finish_reason(log.finish_reason)
    return fields


def _details(events: tuple[SpanEvent, ...], attributes: Attributes) -> Attributes:
    """Give the attributes, with those of the events that carry such."""
    details = dict(attributes)
    for event in events:
        if event.name == _DETAILS:
            details.update(event.attributes)
    return details


def _body(attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give an event's body: its attributes, or the one attribute that holds all of it as JSON."""
    body = load(attributes.get("gen_ai.event.content"))
    return body if isinstance(body, Mapping) else attributes


def _tool(raw: RawSpan) -> dict[str, Any]:
    """Read a tool's run: what goes in is its `tool` message, what comes out its `choice`."""
    fields = gen_ai_tool(_details(raw.events, raw.attributes))
    for event in raw.events:
        if event.name == "gen_ai.tool.message" and fields["tool_arguments"] is None:
            fields["tool_arguments"] = object_or_value(event.attributes.get("content"))
        elif event.name == "gen_ai.choice" and fields["tool_result"] is None:
            message = event.attributes.get("message")
            fields["tool_result"] = content_text(load_blocks(message)) or dump(message)
    return fields


def _read_usage(raw: RawSpan) -> Usage | None:
    if gen_ai_kind(raw.attributes) is not SpanKind.LLM:
        return None
    return usage_of(raw, gen_ai_call(raw.attributes))


CONVENTION = Convention(
    name=_NAME,
    markers=(b"gen_ai.",),
    sign=_is_one,
    read=_read,
    usage_keys=GEN_AI_USAGE_KEYS,
    read_usage=_read_usage,
)
