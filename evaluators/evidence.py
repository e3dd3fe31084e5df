"""The judged text by field, as a judge gets it."""

from collections.abc import Callable, Mapping

import orjson

from schemas.span import Message, ToolCall

from .contract import Need, Subject
from .rubric_file import Input

NEEDS: Mapping[Input, Need] = {
    Input.INPUT: Need.INPUT,
    Input.OUTPUT: Need.OUTPUT,
    Input.CONTEXT: Need.CONTEXT,
    Input.SYSTEM_PROMPT: Need.SYSTEM_PROMPT,
    Input.REFERENCE: Need.REFERENCE,
    Input.CONVERSATION: Need.INPUT,
}
"""What an input cannot be made without."""


def evidence(subject: Subject, inputs: tuple[Input, ...]) -> dict[str, str]:
    """The fields of `inputs` that the subject has, in the order of the rubric."""
    fields = {name: _FIELDS[name](subject) for name in inputs}
    return {name.value: text for name, text in fields.items() if text}


def _passages(texts: tuple[str, ...]) -> str:
    return "\n\n".join(f"[{number}] {text}" for number, text in enumerate(texts, 1) if text)


def _calls(calls: tuple[ToolCall, ...]) -> str:
    return _json([{"tool": call.name, "arguments": call.arguments} for call in calls])


def _conversation(messages: tuple[Message, ...]) -> str:
    # JSON, so that no message can pretend to be another one by writing "user:".
    turns = []
    for message in messages:
        if message.role == "system" or not (message.content or message.tool_calls):
            continue
        turn: dict[str, object] = {"role": message.role, "content": message.content}
        if message.tool_calls:
            turn["tool_calls"] = [[call.name, call.arguments] for call in message.tool_calls]
        turns.append(turn)
    return _json(turns)


def _json(value: list[dict[str, object]]) -> str:
    if not value:
        return ""
    try:
        return orjson.dumps(value, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except (orjson.JSONEncodeError, RecursionError):
        return repr(value)  # a lone surrogate, or an integer beyond 64 bits


_FIELDS: Mapping[Input, Callable[[Subject], str]] = {
    Input.INPUT: lambda subject: subject.input_text,
    Input.OUTPUT: lambda subject: subject.output_text,
    Input.CONTEXT: lambda subject: _passages(subject.context),
    Input.SYSTEM_PROMPT: lambda subject: subject.system_text,
    Input.REFERENCE: lambda subject: subject.reference or "",
    Input.TOOL_CALLS: lambda subject: _calls(subject.span.tool_calls),
    Input.CONVERSATION: lambda subject: _conversation(subject.span.messages_in),
}
