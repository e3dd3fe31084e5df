"""What a span is to Assay, whichever library recorded it: plain data, unknown is `None`."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import Any


class SpanKind(StrEnum):
    """What a span stands for in an LLM application (not OTLP's client/server kind)."""

    LLM = "llm"
    AGENT = "agent"
    TOOL = "tool"
    RETRIEVER = "retriever"
    EMBEDDING = "embedding"
    CHAIN = "chain"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """An event on a span, as OTLP has it."""

    name: str
    attributes: Mapping[str, Any]


@dataclass(slots=True)
class RawSpan:
    """One OTLP span, parsed in full but not yet understood: the input of every convention.

    Attribute values are Python values: str, bool, int, float, bytes, list, dict or None. Ids are
    lower-case hex. Not frozen because the decoder makes many of them (`bench/decode.py`).
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    trace_state: str
    name: str
    start_unix_nano: int
    end_unix_nano: int
    attributes: dict[str, Any]
    events: tuple[SpanEvent, ...]
    links: tuple[tuple[str, str], ...]
    """(trace id, span id) pairs."""
    status_code: int
    """0 unset, 1 ok, 2 error."""
    status_message: str
    scope_name: str
    scope_version: str
    resource: Mapping[str, Any]
    size_bytes: int = 0
    """Size of the serialised span; what the in-flight byte bound counts."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that the model asked for. `arguments` is an object wherever it could be parsed."""

    name: str | None
    arguments: Any
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation; non-text parts are placeholders such as `[image]`.

    `role` is system, user, assistant or tool (`developer` and `model` are mapped).
    """

    role: str
    content: str | None
    tool_calls: tuple[ToolCall, ...] = ()


ReadContent = Callable[[], dict[str, Any]]
"""Gives those of a span's content fields that are not their defaults; never raises."""

CONTENT_FIELDS = (
    "messages_in",
    "output_text",
    "tool_calls",
    "other_choices",
    "finish_reason",
    "truncated",
    "content_setting",
    "request_model",
    "response_model",
)
"""What `Span.made` may leave unread; a model where nothing but the content names it."""

_UNREAD = "_unread"


@dataclass
class Span:
    """One span of an LLM application, normalised from any convention. Unknown is `None`.

    Nobody changes a span once it is made. It is neither frozen nor has it slots, because the
    conventions make spans by `made`, which leaves content unread until somebody asks for it.

    Token counts are those on the span: most libraries add cache reads and writes to the input.
    `cost_usd` is what the producer gave, never an estimate of ours.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    name: str
    kind: SpanKind
    convention: str | None
    """The convention that was read, such as `openinference`; None: no convention matched."""
    scope: str
    """Instrumentation scope name."""
    start_unix_nano: int
    end_unix_nano: int
    service: str | None = None
    environment: str | None = None
    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    operation: str | None = None
    """The convention's own word for the operation, such as `chat`."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    finish_reason: str | None = None
    error: bool = False
    error_type: str | None = None
    messages_in: tuple[Message, ...] = ()
    output_text: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    other_choices: tuple[str, ...] = ()
    """Texts of the second and further choices, where the request asked for several."""
    documents: tuple[str, ...] = ()
    """Texts of retrieved documents (retriever spans)."""
    tool_name: str | None = None
    tool_arguments: Any = None
    tool_result: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    prompt_name: str | None = None
    prompt_version: str | None = None
    trace_state: str = ""
    links: tuple[tuple[str, str], ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    resource: Mapping[str, Any] = field(default_factory=dict)
    duplicate_of: str | None = None
    """Span id of the span that stands for the same call and is evaluated in this one's place."""
    is_call: bool = True
    """False for a span of kind llm that made no call (a prepared request, a prompt template)."""
    truncated: bool = False
    """Content was cut, by the producer (JSON that ends in the middle) or by `limits.text_chars`."""
    content_setting: str | None = None
    """Where text is missing: the setting of that instrumentation which turns it on."""
    size_bytes: int = 0

    @classmethod
    def made(
        cls,
        fields: dict[str, Any],
        content: ReadContent | None = None,
        events: tuple[SpanEvent, ...] = (),
    ) -> "Span":
        """A span whose attributes are these, all that have no default among them.

        They are taken over and not copied: for one in ten thousand spans `Span(...)` would do, but
        to go through 45 parameters takes longer than to find out what most of them are.

        Args:
            fields: The attributes.
            content: Reads those of `CONTENT_FIELDS` that are not given; called once, when the first
                of them is asked for. Most spans are routed without, and to read messages takes
                longer than all else (`bench/decode.py`).
            events: The span's events, which it may read beside the attributes.
        """
        span = object.__new__(cls)
        span.__dict__ = fields
        if content is not None:
            fields[_UNREAD] = (content, events)
        return span

    @property
    def is_unread(self) -> bool:
        """Whether the content is still to be read, all of it from `unread_values`."""
        return _UNREAD in self.__dict__

    @property
    def unread_values(self) -> Iterable[Any]:
        """What unread content is in: values of attributes, the span's own and its events'."""
        _, events = self.__dict__.get(_UNREAD, (None, ()))
        if not events:  # as nearly all
            return self.attributes.values()
        return chain(self.attributes.values(), *(event.attributes.values() for event in events))

    @property
    def has_content(self) -> bool:
        """Whether there is anything to judge: text or tool calls, in or out."""
        return bool(
            self.output_text
            or self.tool_calls
            or any(message.content for message in self.messages_in)
        )

    @property
    def duration_s(self) -> float:
        """Seconds from start to end, never negative."""
        return max(0, self.end_unix_nano - self.start_unix_nano) / 1e9


class _ContentField:
    """Stands in a content field's place on the class: found only where a span has no value yet."""

    def __init__(self, name: str, default: Any) -> None:
        self._name = name
        self._default = default

    def __get__(self, span: Span | None, _: type[Span]) -> Any:
        if span is None:
            return self._default
        values = span.__dict__
        unread = values.pop(_UNREAD, None)
        if unread is not None:
            values.update(unread[0]())
        return values.setdefault(self._name, self._default)


for _name in CONTENT_FIELDS:
    setattr(Span, _name, _ContentField(_name, getattr(Span, _name)))


@dataclass
class Usage:
    """What one LLM call cost, read without its content: the input of cost attribution.

    Neither frozen nor with slots for the reason that `Span` is neither.
    """

    trace_id: str
    span_id: str
    parent_span_id: str | None
    service: str | None
    environment: str | None
    start_unix_nano: int
    end_unix_nano: int
    provider: str | None = None
    request_model: str | None = None
    response_model: str | None = None
    response_id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    prompt_name: str | None = None
    prompt_version: str | None = None
    groups: tuple[str | None, ...] = ()
    """Values of `cost.group_by.attributes`, first the span's own, else the resource's."""

    @classmethod
    def made(cls, fields: dict[str, Any]) -> "Usage":
        """The usage with these attributes, all that have no default among them; not copied."""
        usage = object.__new__(cls)
        usage.__dict__ = fields
        return usage
