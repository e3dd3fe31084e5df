"""The judged text by field, as a judge gets it."""

from collections.abc import Callable, Mapping, Sequence

import orjson

from schemas.span import Message, Span, SpanKind, ToolCall

from .contract import Need, Subject
from .openers import is_blank
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
    """The fields of `inputs` that say something to the eye, in the order of the rubric."""
    fields = {name: _FIELDS[name](subject) for name in inputs}
    return {name.value: text for name, text in fields.items() if not is_blank(text)}


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


def _results(subject: Subject) -> str:
    """Each tool call with what came of it: `ok`, `error`, or `no result` where none is known.

    Tool spans say it best. Where there are none the results stand in the prompts as messages, which
    do not say which of them failed.
    """
    done = [span for span in subject.spans if span.kind is SpanKind.TOOL]
    known: list[dict[str, object]] = [_result(span) for span in done]
    names = {span.tool_name for span in done}
    if not done:
        said = [m for s in (*subject.spans, subject.span) for m in s.messages_in]
        results = [m.content for m in said if m.role == "tool" and m.content]
        known = [{"result": text} for text in dict.fromkeys(results)]
        names = {call.name for call in subject.span.tool_calls} if known else set()
    waiting = [call for call in subject.span.tool_calls if call.name not in names]
    return _json([*known, *({"tool": c.name, "status": "no result"} for c in waiting)])


def _result(span: Span) -> dict[str, object]:
    status = "error" if span.error else "ok" if span.tool_result is not None else "no result"
    return {
        "tool": span.tool_name or span.name,
        "arguments": span.tool_arguments,
        "status": status,
        "result": span.tool_result,
    }


def _json(value: Sequence[Mapping[str, object]]) -> str:
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
    Input.TOOL_RESULTS: _results,
}
