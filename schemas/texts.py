"""Giant texts of a span, cut so that what is in flight has a bound: the span says so."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .limits import TEXT_CHARS
from .span import Message, Span, ToolCall


def within_limit(span: Span) -> Span:
    """The span, or one whose texts are cut to `TEXT_CHARS` each and that is `truncated`.

    A message of 4 MB would be held several times over while its evaluations are under way: as
    attribute, as text, and in what is made of it.
    """
    if span.size_bytes <= TEXT_CHARS:
        return span  # so no text of it can be longer
    shorter = {
        "messages_in": tuple(_message(message) for message in span.messages_in),
        "output_text": _cut(span.output_text),
        "tool_calls": tuple(_call(call) for call in span.tool_calls),
        "other_choices": tuple(_cut(text) for text in span.other_choices),
        "documents": tuple(_cut(text) for text in span.documents),
        "tool_arguments": _cut(span.tool_arguments),
        "tool_result": _cut(span.tool_result),
        "attributes": _cut(span.attributes),
    }
    if all(value == getattr(span, name) for name, value in shorter.items()):
        return span
    return replace(span, truncated=True, **shorter)


def _message(message: Message) -> Message:
    return replace(
        message,
        content=_cut(message.content),
        tool_calls=tuple(_call(call) for call in message.tool_calls),
    )


def _call(call: ToolCall) -> ToolCall:
    return replace(call, arguments=_cut(call.arguments))


def _cut(value: Any) -> Any:
    """The value with every text in it cut; its depth is bounded where it is read."""
    match value:
        case str() | bytes():
            return value[:TEXT_CHARS]
        case Mapping():
            return {key: _cut(item) for key, item in value.items()}
        case list():
            return [_cut(item) for item in value]
        case _:
            return value
