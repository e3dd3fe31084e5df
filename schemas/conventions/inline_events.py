"""Content as a list of events in the span attribute `events`: Pydantic AI 1, Logfire's agents.

Pydantic AI before 2 (`event_mode="attributes"`) and Logfire's integration with the OpenAI Agents
SDK write each message as an object with `event.name`. The spans around the calls, agent runs and
tools, have no `gen_ai.operation.name`: their names say what they are. So have Logfire's spans of
OpenAI's chat API, with the messages in `input` and `output`, and of Responses that failed.
"""

from collections.abc import Mapping
from typing import Any

from schemas.payloads import is_cut_json, read_request, read_response
from schemas.span import RawSpan, Span, SpanKind, Usage

from .fields import (
    GEN_AI_USAGE_KEYS,
    Attributes,
    Convention,
    EventLog,
    answer_fields,
    common,
    dump,
    finish_reason,
    first,
    gen_ai_call,
    gen_ai_content,
    gen_ai_kind,
    gen_ai_tool,
    is_cut,
    label,
    load,
    object_or_value,
    provider_usage,
    read_messages,
    usage_of,
)

_NAME = "inline_events"
_PYDANTIC = "pydantic-ai"
_LOGFIRE_AGENTS = "logfire.openai_agents"
_SETTING = "InstrumentationSettings(include_content=True)"
_CALLS = ("chat completion with", "responses api with")


def _is_one(raw: RawSpan) -> bool:
    events = raw.attributes.get("events")
    if events is not None and _has_event_names(events):
        return True
    if raw.scope_name == _PYDANTIC:
        return "gen_ai.operation.name" not in raw.attributes
    return raw.scope_name == _LOGFIRE_AGENTS


def _has_event_names(events: Any) -> bool:
    if isinstance(events, str):
        return '"event.name"' in events
    return (
        isinstance(events, list)
        and bool(events)
        and isinstance(events[0], Mapping)
        and "event.name" in events[0]
    )


def _kind(raw: RawSpan) -> SpanKind:
    if "gen_ai.operation.name" in raw.attributes:
        return gen_ai_kind(raw.attributes)
    name = raw.name.lower()
    if name.startswith(_CALLS):
        return SpanKind.LLM
    if name == "running tool" or name.startswith(("function: ", "running tool: ")):
        return SpanKind.TOOL
    if name == "agent run" or name.startswith("agent run: "):
        return SpanKind.AGENT
    return SpanKind.OTHER if name.startswith("running") else SpanKind.CHAIN


def _call(attributes: Attributes) -> dict[str, Any]:
    fields = gen_ai_call(attributes)
    if fields["response_id"] is None:
        response_id = attributes.get("response_id")
        fields["response_id"] = label(response_id) if response_id != "null" else None
    if "usage" in attributes and "gen_ai.request.model" in attributes:
        for name, count in provider_usage(load(attributes["usage"])).items():
            if fields.get(name) is None:
                fields[name] = count
    return fields


def _read(raw: RawSpan) -> Span:
    attributes = raw.attributes
    kind = _kind(raw)
    fields = _call(attributes)
    content = None
    if kind is SpanKind.TOOL:
        fields.update(_tool(attributes))
    elif kind in (SpanKind.LLM, SpanKind.AGENT):
        content = _content
    setting = _SETTING if raw.scope_name == _PYDANTIC else None
    fields["operation"] = label(attributes.get("gen_ai.operation.name"))
    return common(raw, _NAME, kind, fields, content_setting=setting, content=content)


def _content(attributes: Attributes) -> dict[str, Any]:
    fields = gen_ai_content(attributes)
    events = load(first(attributes, "events", "all_messages_events"))
    log = EventLog()
    for event in events if isinstance(events, list) else ():
        if isinstance(event, Mapping) and isinstance(name := event.get("event.name"), str):
            log.read(name, event)
    messages = [*log.messages_in, *read_messages(attributes.get("pydantic_ai.all_messages"))]
    if not log.choices:  # the whole talk, then the answer: several items with parallel calls
        asked = len(messages)
        while asked and messages[asked - 1].role == "assistant":
            asked -= 1
        messages, answer = messages[:asked], messages[asked:]
        log.choices = [answer] if answer else read_response(attributes.get("output")).choices
    fields["messages_in"] += tuple(messages) or read_request(attributes.get("input"))
    if log.choices:
        fields.update(answer_fields(log.choices))
        fields["finish_reason"] = fields["finish_reason"] or finish_reason(log.finish_reason)
    cut = any(is_cut_json(attributes.get(key)) for key in ("input", "output"))
    fields["truncated"] = fields["truncated"] or log.cut or is_cut(events) or cut
    return fields


def _tool(attributes: Attributes) -> dict[str, Any]:
    fields = gen_ai_tool(attributes)
    if fields["tool_name"] is None:
        fields["tool_name"] = label(attributes.get("name"))
    if fields["tool_arguments"] is None:
        fields["tool_arguments"] = object_or_value(attributes.get("input"))
    if fields["tool_result"] is None:
        fields["tool_result"] = dump(attributes.get("output"))
    return fields


def _read_usage(raw: RawSpan) -> Usage | None:
    if _kind(raw) is not SpanKind.LLM:
        return None
    return usage_of(raw, _call(raw.attributes))


CONVENTION = Convention(
    name=_NAME,
    markers=(b"event.name", _PYDANTIC.encode(), _LOGFIRE_AGENTS.encode()),
    sign=_is_one,
    read=_read,
    usage_keys=GEN_AI_USAGE_KEYS | {"response_id", "usage"},
    read_usage=_read_usage,
)
