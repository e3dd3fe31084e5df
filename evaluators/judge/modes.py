"""What an endpoint understands: learnt from its errors and answers, never from a model's name."""

import re
from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from schemas.events import Emit, StructuredModeChanged

_TTL_S = 24 * 3600.0
_WINDOW = 5
_INVALID_IN_WINDOW = 2
_TOOL = "submit_verdict"
_LENGTH = re.compile(r"context.{0,12}length|context_length|maximum context|too (?:long|large)")
_OPTIONAL = ("temperature", "reasoning_effort")
_TOKEN_NAMES = ("max_completion_tokens", "max_tokens")


class Mode(StrEnum):
    """How an answer's structure is asked for, from the strictest down."""

    JSON_SCHEMA = "json_schema"
    JSON_OBJECT = "json_object"
    TOOL = "tool"
    TEXT = "text"


_ORDER = tuple(Mode)
_NAMED_BY = {
    Mode.JSON_SCHEMA: re.compile(
        r"response_format|json_schema|schema|grammar|structured", re.IGNORECASE
    ),
    Mode.JSON_OBJECT: re.compile(r"response_format|json_object|json", re.IGNORECASE),
    Mode.TOOL: re.compile(r"tool|function", re.IGNORECASE),
}


class Modes:
    """The request's shape for one endpoint and model; forgotten after a day, then learnt anew.

    Args:
        endpoint: Label for events.
        model: Model that is asked.
        emit: Told when a mode or parameter is dropped.
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, endpoint: str, model: str, emit: Emit, clock: Callable[[], float]) -> None:
        self._endpoint = endpoint
        self._model = model
        self._emit = emit
        self._clock = clock
        self._forget()

    def _forget(self) -> None:
        self._mode = Mode.JSON_SCHEMA
        self._dropped: set[str] = set()
        self._valid: deque[bool] = deque(maxlen=_WINDOW)
        self._learnt_at = self._clock()

    @property
    def mode(self) -> Mode:
        """The mode to ask in now."""
        if self._clock() - self._learnt_at > _TTL_S:
            self._forget()
        return self._mode

    def parameters(self, schema: Mapping[str, Any], max_tokens: int) -> dict[str, Any]:
        """The request's parameters besides model and messages."""
        mode = self.mode
        wanted: dict[str, Any] = {"temperature": 0, "reasoning_effort": "low"}
        if mode is Mode.JSON_SCHEMA:
            named = {"name": "verdict", "strict": True, "schema": schema}
            wanted["response_format"] = {"type": "json_schema", "json_schema": named}
        elif mode is Mode.JSON_OBJECT:
            wanted["response_format"] = {"type": "json_object"}
        elif mode is Mode.TOOL:
            # One tool and "required": some servers turn a tool chosen by name into "auto".
            function = {"name": _TOOL, "description": "Give the answer.", "parameters": schema}
            wanted["tools"] = [{"type": "function", "function": function}]
            wanted["tool_choice"] = "required"
        return self.known(wanted, max_tokens)

    def known(self, wanted: Mapping[str, Any], max_tokens: int) -> dict[str, Any]:
        """Of these parameters those that the endpoint knows, and the token limit in its words."""
        unknown = {*self._dropped, *_TOKEN_NAMES}
        sent = {name: value for name, value in wanted.items() if name not in unknown}
        tokens = next((name for name in _TOKEN_NAMES if name not in self._dropped), None)
        return {**sent, tokens: max_tokens} if tokens else sent

    def adapt(self, sent: Mapping[str, Any], param: str | None, text: str) -> str | None:
        """Learn from a rejected request.

        Args:
            sent: The parameters that were sent.
            param: The parameter that the error names, if it does.
            text: What the error says.

        Returns:
            What is no longer sent, or None where the error is about something else.
        """
        if _LENGTH.search(text):
            return None  # names a token parameter, but dropping it makes nothing fit
        dropped = self.drop(sent, param, text)
        if dropped is not None:
            return dropped
        mode = _mode_of(sent)
        named = _NAMED_BY.get(mode)
        if named is not None and named.search(f"{param} {text}"):
            self._step_down(mode)
            return mode
        return None

    def drop(self, sent: Mapping[str, Any], param: str | None, text: str) -> str | None:
        """As `adapt`, but the structure of the answer stays as it was asked for."""
        if _LENGTH.search(text):
            return None
        for name in (*_OPTIONAL, *_TOKEN_NAMES):
            if name in sent and _names(name, param, text):
                self._drop(name)
                return name
        return None

    def answered(self, mode: Mode, *, valid: bool) -> None:
        """Take note whether an answer in a mode could be read; two bad ones of five are enough."""
        if mode is not self._mode:
            return
        self._valid.append(valid)
        if self._valid.count(False) >= _INVALID_IN_WINDOW:
            self._step_down(mode)

    def _drop(self, name: str) -> None:
        # Calls in flight learn the same thing at the same time; told once is enough.
        if name in self._dropped:
            return
        self._dropped.add(name)
        self._emit(StructuredModeChanged(self._endpoint, self._model, self._mode, name))

    def _step_down(self, mode: Mode) -> None:
        if mode is not self._mode or mode is Mode.TEXT:
            return
        self._mode = _ORDER[_ORDER.index(mode) + 1]
        self._valid.clear()
        self._emit(StructuredModeChanged(self._endpoint, self._model, self._mode))


def _names(name: str, param: str | None, text: str) -> bool:
    if param is not None and param.rpartition(".")[2] == name:
        return True
    if name == "reasoning_effort" and re.search(r"support\w* (?:thinking|reasoning)", text):
        return True
    # `max_tokens` is not named by a text that tells to use `max_completion_tokens` in its place.
    first = re.search(r"max_completion_tokens|max_tokens", text)
    if name in _TOKEN_NAMES:
        return first is not None and first.group() == name
    return re.search(rf"\b{name}\b", text) is not None


def _mode_of(sent: Mapping[str, Any]) -> Mode:
    if "tools" in sent:
        return Mode.TOOL
    return Mode(sent["response_format"]["type"]) if "response_format" in sent else Mode.TEXT
