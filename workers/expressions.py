"""The `when` of a route: a CEL expression over the normalised span.

The expression sees `span.<field>` for the fields of `schemas.span.Span` that it can use, a few
derived ones, `span.attributes["key"]` and `span.resource["key"]`. Turning a span into CEL values
costs more than running an expression (6 against 0.5 microseconds for two fields), so the fields
that any of several expressions reads are converted once and shared.
"""

import math
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from operator import attrgetter
from typing import Any, Self

from schemas.errors import AssayError, ConfigError
from schemas.span import Message, Span, SpanKind, ToolCall

from .cel_library import cel
from .expression_names import Names, read_names

_FAILURES = (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
"""What the CEL library raises where an expression cannot be computed."""

_MAPPINGS = ("attributes", "resource")
_UNTYPED = frozenset({*_MAPPINGS, "messages_in", "tool_arguments", "tool_calls"})
"""Fields of which a trial run on a made-up span proves nothing."""

_HIDDEN = frozenset({"links", "content_setting", "is_call", "trace_state"})
"""Fields of a span that are Assay's own business."""


class ExpressionFailed(AssayError):  # noqa: N818  named for what happened on one span
    """An expression could not be computed on one span; the message holds nothing of the span."""


def _tool_call(call: ToolCall) -> dict[str, Any]:
    return {"name": call.name, "arguments": call.arguments, "id": call.id}


def _message(message: Message) -> dict[str, Any]:
    calls = [_tool_call(call) for call in message.tool_calls]
    return {"role": message.role, "content": message.content, "tool_calls": calls}


def _tokens(span: Span) -> int | None:
    if span.input_tokens is None and span.output_tokens is None:
        return None
    return (span.input_tokens or 0) + (span.output_tokens or 0)


_GETTERS: Mapping[str, Callable[[Span], Any]] = {
    **{field.name: attrgetter(field.name) for field in fields(Span) if field.name not in _HIDDEN},
    "kind": lambda span: span.kind.value,
    "model": lambda span: span.request_model or span.response_model,
    "tokens": _tokens,
    "cost_usd": lambda span: None if span.cost_usd is None else float(span.cost_usd),
    "duration_s": lambda span: span.duration_s,
    "has_content": lambda span: span.has_content,
    "messages_in": lambda span: [_message(message) for message in span.messages_in],
    "tool_calls": lambda span: [_tool_call(call) for call in span.tool_calls],
    "other_choices": lambda span: list(span.other_choices),
    "documents": lambda span: list(span.documents),
}

FIELDS = tuple(sorted(_GETTERS))
"""What an expression may read of `span`."""


class SpanView:
    """One span at a time, as the given expressions see it; not for use by two threads."""

    def __init__(self, expressions: Sequence["Expression"]) -> None:
        names = [expression.names for expression in expressions]
        read = {field for each in names for field in each.fields}
        self._getters = [(field, _GETTERS[field]) for field in read if field not in _MAPPINGS]
        self._mappings = [
            (
                field,
                attrgetter(field),
                _union(each.keys[field] for each in names if field in each.keys),
            )
            for field in _MAPPINGS
            if field in read
        ]
        self.context = cel.Context()

    def load(self, span: Span) -> None:
        """Show this span to the expressions, in the place of the last one."""
        values: dict[str, Any] = {field: get(span) for field, get in self._getters}
        for field, get, keys in self._mappings:
            mapping = get(span)
            if keys is not None:
                mapping = {key: mapping[key] for key in keys if key in mapping}
            values[field] = mapping
        try:
            self.context.add_variable("span", values)
        except ValueError:
            # Half of a surrogate pair, from a JSON escape, is a Python string but no CEL one. Nor
            # does CEL have a number of 309 digits, which a model may well call a tool with.
            self.context.add_variable("span", _plain(values))


def _union(sets: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    keys: set[str] = set()
    for each in sets:
        if each is None:
            return None
        keys |= each
    return frozenset(keys)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, int) and abs(value) > sys.float_info.max:
        return math.inf if value > 0 else -math.inf
    return value if value is None or isinstance(value, bool | int | float | bytes) else None


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; `names` says what it reads."""

    source: str
    names: Names
    _program: cel.Program

    @classmethod
    def compile(cls, source: str, *, where: str, key: str | None = None) -> Self:
        """Compile an expression and find out, as far as that is possible, that it works.

        Args:
            source: The expression.
            where: What it belongs to, such as `route "support"`, for the message.
            key: Config key, for the error's attribute.

        Raises:
            ConfigError: It does not compile, reads a field or calls a function that does not
                exist, mixes types, or its result is not true or false.
        """
        try:
            program = cel.compile(source)
        except ValueError as error:
            raise ConfigError(f"{where}: when {_syntax(error)}", key=key) from None
        names = read_names(source)
        expression = cls(source, names, program)
        fault = _unknown_name(program, names) or _trial(expression)
        if fault:
            raise ConfigError(f"{where}: when {fault}", key=key)
        return expression

    def matches(self, view: SpanView) -> bool:
        """Compute the expression on the span that the view shows.

        Raises:
            ExpressionFailed: It cannot be computed on this span: a null was compared, a key is
                missing, types were mixed, or the result is not true or false.
        """
        try:
            result = self._program.execute(view.context)
        except _FAILURES as error:
            raise ExpressionFailed(self._describe(error)) from None
        if result is True or result is False:
            return result
        raise ExpressionFailed("the result is not true or false")

    def _describe(self, error: Exception) -> str:
        # The library's messages may quote values of the span; these never do.
        named = re.search(r"variable or function: '(\w+)'", str(error))
        if isinstance(error, KeyError) and error.args and error.args[0] in self.names.literals:
            return f'there is no key "{error.args[0]}"'
        if named:
            return f'function "{named[1]}" does not take such a value'
        for kind, text in _DESCRIPTIONS:
            if isinstance(error, kind):
                return text
        return "a function cannot read its argument"


_DESCRIPTIONS: tuple[tuple[type[Exception], str], ...] = (
    (LookupError, "there is no such key or index"),
    (TypeError, "types do not fit: a null was compared, or types were mixed (1.0 is not 1)"),
    (ArithmeticError, "a number overflowed, or was divided by zero"),
)

_FUNCTIONS = frozenset(
    {
        *("size", "contains", "startsWith", "endsWith", "matches", "type", "dyn"),
        *("int", "uint", "double", "string", "bytes", "timestamp", "duration"),
        *("getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear"),
        *("getHours", "getMinutes", "getSeconds", "getMilliseconds"),
    }
)
_OPERATORS = {"and": "&&", "or": "||"}
_TYPES = frozenset({"bool", "bytes", "double", "int", "list", "map", "string", "uint"})


def _syntax(error: ValueError) -> str:
    found = re.search(r"ERROR: <input>:(\d+):(\d+): (?:Syntax error: )?(.*)", str(error))
    if not found:
        return "does not compile; see the CEL language definition"
    line, column, fault = found.groups()
    fault = re.sub(r" expecting \{.*", "", fault).replace(
        "mismatched input '<EOF>'", "it ends early"
    )
    found = re.search(r"input '(and|or)'", fault)
    remedy = f"; write {_OPERATORS[found[1]]} for {found[1]}" if found else ""
    remedy = "; compare with ==" if fault.endswith("'= '") else remedy
    return f"does not compile: {fault} (line {line}, column {column}){remedy}"


def _unknown_name(program: cel.Program, names: Names) -> str | None:
    if names.whole:
        return 'uses "span" as a whole; name a field, such as span.kind'
    for field in sorted(names.fields):
        if field not in _GETTERS:
            return f'reads unknown field "span.{field}"' + _nearest(field, FIELDS, "span.")
    for kind in sorted(names.kinds - set(SpanKind)):
        fault = f'compares span.kind with "{kind}", which it never is'
        return fault + _nearest(kind.lower(), list(SpanKind), "")
    references = program.references()
    for name in references["variables"]:
        if name != "span" and name not in names.bound | _TYPES:
            return f'reads unknown name "{name}"' + _nearest(name, FIELDS, "span.")
    for name in references["functions"]:
        if name[0].isalpha() and name not in _FUNCTIONS:
            return f'calls unknown function "{name}"' + _nearest(name, sorted(_FUNCTIONS), "")
    return None


def _nearest(name: str, known: Sequence[str], prefix: str) -> str:
    near = get_close_matches(name, known, n=1)
    if near:
        return f'; did you mean "{prefix}{near[0]}"?'
    return "; known are " + ", ".join(known)


_BARE = Span(
    trace_id="0" * 31 + "1",
    span_id="0" * 15 + "1",
    parent_span_id=None,
    name="",
    kind=SpanKind.OTHER,
    convention=None,
    scope="",
    start_unix_nano=0,
    end_unix_nano=0,
)


def _rich() -> Span:
    text: dict[str, Any] = {
        field.name: "text" for field in fields(Span) if field.type in (str, str | None)
    }
    whole: dict[str, Any] = {
        field.name: 1 for field in fields(Span) if field.type in (int, int | None)
    }
    others: dict[str, Any] = {
        "kind": SpanKind.LLM,
        "cost_usd": 0.5,
        "error": True,
        "documents": ("text",),
        "other_choices": ("text",),
    }
    return Span(**(text | whole | others))


def _trial(expression: Expression) -> str | None:
    view = SpanView([expression])
    typed = not expression.names.fields & _UNTYPED
    for span in (_BARE, _rich()):
        view.load(span)
        try:
            result = expression._program.execute(view.context)  # noqa: SLF001  its own module
        except (TypeError, KeyError) as error:
            # On the bare span a null may be to blame, and only there.
            if typed and span is not _BARE:
                return f"can never be computed: {expression._describe(error)}"  # noqa: SLF001
            continue
        except _FAILURES as error:
            if "regex parse error" in str(error):
                return "has a pattern that is no valid regular expression"
            continue
        if not isinstance(result, bool):
            return "gives no true or false; compare with something"
    return None
