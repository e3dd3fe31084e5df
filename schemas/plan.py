"""What the decoder is asked for, and what it answers with."""

from dataclasses import dataclass, field

from .reasons import DeadLetterReason
from .span import RawSpan


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which spans of a message are worth reading; everything else is stepped over."""

    threshold: int = 0
    """0..2**56: a span is kept when its 56-bit randomness is at least this (`schemas.tracestate`).

    A span without a valid trace id has no randomness: it is kept, to be reported.
    """
    usage: bool = False
    """Also give a light read of every span of an LLM application that is not kept."""
    markers: tuple[bytes, ...]
    """At least one stands in a serialised span, or in its scope, where a convention matches."""
    usage_keys: frozenset[str]
    """The attributes that a light read gives."""


@dataclass(frozen=True, slots=True)
class BadSpan:
    """One span that cannot be read although the rest of its message can.

    `data` is the serialised span: protobuf, or its JSON.
    """

    data: bytes
    reason: DeadLetterReason
    detail: str


@dataclass(slots=True)
class Decoded:
    """What was read of one message, each list in the message's order.

    Spans that no convention marks, and spans that sampling drops, are counted and no more.
    """

    spans: list[RawSpan] = field(default_factory=list)
    """The kept spans, in full."""
    light: list[RawSpan] = field(default_factory=list)
    """The others, with `Plan.usage`: `usage_keys` only, without events, links, status message."""
    bad: list[BadSpan] = field(default_factory=list)
    span_count: int = 0
    """All spans of the message."""
