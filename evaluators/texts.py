"""What was said in a call, as text for detectors: by whom, and what went to tools."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import orjson

from schemas.span import Span, ToolCall

Result = TypeVar("Result")

_LONG_CHARS = 50_000
"""To search more could hold up the event loop for more than a few milliseconds."""


# One at a time: they would take turns at the interpreter anyway, each with copies of its texts.
_apart = ThreadPoolExecutor(1, "search")


async def search(work: Callable[[], Result], texts: Iterable[str]) -> Result:
    """Do work that reads texts: in a thread where one of them is long, else at once."""
    if any(len(text) > _LONG_CHARS for text in texts):
        return await asyncio.get_running_loop().run_in_executor(_apart, work)
    return work()


def output_text(span: Span) -> str:
    """All that the model said to the user, further choices included."""
    return "\n".join(part for part in (span.output_text, *span.other_choices) if part)


def tool_text(calls: Iterable[ToolCall]) -> str:
    """Arguments of tool calls, as JSON."""
    return "\n".join(_as_text(call.arguments) for call in calls if call.arguments)


def said_by(span: Span, *roles: str) -> str:
    """All messages of these roles before the answer, their tool calls included."""
    return "\n".join(_parts(span, frozenset(roles)))


def _parts(span: Span, roles: frozenset[str]) -> Iterator[str]:
    for message in span.messages_in:
        if message.role not in roles:
            continue
        if message.content:
            yield message.content
        if message.tool_calls:
            yield tool_text(message.tool_calls)


def _as_text(arguments: Any) -> str:
    if isinstance(arguments, str):
        return arguments
    try:
        return orjson.dumps(arguments, default=repr, option=orjson.OPT_NON_STR_KEYS).decode()
    except (orjson.JSONEncodeError, RecursionError):
        return repr(arguments)  # a lone surrogate, or an integer beyond 64 bits
