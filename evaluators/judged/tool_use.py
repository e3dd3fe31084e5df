"""Does the model call the right tools rightly? Names, schemas and repeats in code, then a judge."""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import jsonschema_rs
import orjson
import re2  # type: ignore[import-untyped]
from pydantic import Field

from evaluators.cascade import Cascade, code_score
from evaluators.contract import Need, Score, Settings, Skip, Subject
from evaluators.options import Options, read_options
from evaluators.tool_definitions import tools_of
from schemas.span import Message, Span, ToolCall

_FAILED = re2.compile(
    r"(?i)^\s*(?:\W{0,3}(?:tool |internal |unhandled )?(?:error|exception|traceback|failed)\b"
    r"|\{\s*\"(?:error|errors|exception)\"\s*:\s*[^nf\s]"
    r"|\{\s*\"(?:is_?error\"\s*:\s*true|(?:ok|success)\"\s*:\s*false"
    r"|status\"\s*:\s*\"(?:error|failed)\"))"
)
"""How a tool's result begins that says that the tool failed."""
_LEAST_RESULTS = 2


class ToolOptions(Options):
    """Options of `tool_use`."""

    max_repeats: int = Field(default=3, ge=2)
    """The same call, with the same arguments, so often since the user spoke: it is stuck."""
    max_error_rate: float = Field(default=0.5, ge=0, le=1)
    """Share of failed tool results since the user spoke (of at least 2), above which it fails."""


class ToolUse(Cascade):
    """Value 0 for a fault of a tool call, else what the judge says, else 1 with the label `ok`.

    Code finds, in this order: `unknown_tool` (not among the tools that the span says were offered),
    `bad_arguments` (not an object, or against the tool's JSON Schema), `repeated`, and `errors`
    (too many results say that the tool failed). Items count each. Where the span does not say which
    tools were offered, the first two cannot be found: `definitions` is 0. The judge says whether it
    was the right tool with arguments from the conversation, and whether failures were noticed.
    """

    def __init__(self, settings: Settings) -> None:
        self._options = read_options(ToolOptions, settings.options)
        super().__init__(settings, "tool_use", "1")

    def _decide(self, subject: Subject) -> Score | Skip | None:
        span = subject.span
        if not span.tool_calls:
            return Skip("the model called no tool", missing=Need.TOOLS)
        counts = self._counts(span)
        fault = next((name for name in _EXPLANATIONS if counts[name]), None)
        if fault is None:
            return None
        return code_score(0.0, fault, _EXPLANATIONS[fault], items=counts)

    def _alone(self, subject: Subject) -> Score:
        return code_score(1.0, "ok", items=self._counts(subject.span))

    def _counts(self, span: Span) -> dict[str, int]:
        tools = tools_of(span)
        turn = _turn(span.messages_in)
        calls = [*(call for message in turn for call in message.tool_calls), *span.tool_calls]
        results = [m.content for m in turn if m.role == "tool" and m.content]
        failed = sum(1 for text in results if _has_failed(text))
        is_failing = len(results) >= _LEAST_RESULTS and (
            failed / len(results) > self._options.max_error_rate
        )
        most = max(Counter(map(_key, calls)).values())
        return {
            "definitions": len(tools),
            "unknown_tool": sum(1 for call in span.tool_calls if tools and call.name not in tools),
            "bad_arguments": sum(1 for call in span.tool_calls if _is_bad(call, tools)),
            "repeated": most if most >= self._options.max_repeats else 0,
            "errors": failed if is_failing else 0,
        }


_EXPLANATIONS: Mapping[str, str] = {
    "unknown_tool": "A tool was called that was not offered.",
    "bad_arguments": "The arguments of a call do not fit the tool's schema.",
    "repeated": "The same call was made again and again.",
    "errors": "Most of the tools' results are errors.",
}


def _turn(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """What came after the last message of the user."""
    for place in range(len(messages), 0, -1):
        if messages[place - 1].role == "user":
            return messages[place:]
    return messages


def _key(call: ToolCall) -> tuple[str | None, str]:
    return call.name, _json(call.arguments)


def _json(value: Any) -> str:
    try:
        options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
        return orjson.dumps(value, default=repr, option=options).decode()
    except (orjson.JSONEncodeError, RecursionError):
        return repr(value)


def _has_failed(text: str) -> bool:
    return _FAILED.search(text[:500].encode("utf-8", "replace")) is not None


def _is_bad(call: ToolCall, tools: Mapping[str, Mapping[str, Any] | None]) -> bool:
    schema = tools.get(call.name or "")
    if schema is None:
        return False
    arguments = {} if call.arguments is None else call.arguments
    if not isinstance(arguments, dict):
        return True
    validator = _validator(_json(schema))
    try:
        return validator is not None and not validator.is_valid(arguments)
    except (ValueError, TypeError, RecursionError):
        return False  # no JSON: which arguments a library records so is not the model's fault


@lru_cache(maxsize=512)
def _validator(schema: str) -> jsonschema_rs.Validator | None:
    """A tool's schema, compiled; None for what is no schema, which is not the model's fault."""
    try:
        return jsonschema_rs.validator_for(
            schema, pattern_options=jsonschema_rs.RegexOptions(), offline=True
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError):
        return None
