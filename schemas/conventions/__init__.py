"""Which library wrote a span, and what it says: one file per convention, asked in order.

The first convention that matches reads the span. Several match many spans: processors write
OpenInference on top of what another library wrote, LangSmith and the Vercel AI SDK add GenAI
attributes that are wrong or incomplete. So the more telling sign stands first.
"""

from schemas.span import RawSpan, Span, SpanKind, Usage

from . import (
    gen_ai,
    gen_ai_events,
    inline_events,
    langfuse,
    langsmith,
    litellm,
    mlflow,
    openinference,
    openllmetry,
    traceloop,
    vercel_ai,
)
from .fields import Convention, common, label

__all__ = ["MARKERS", "TABLE", "USAGE_KEYS", "Convention", "normalise", "usage"]

TABLE: tuple[Convention, ...] = (
    langfuse.CONVENTION,
    langsmith.CONVENTION,
    openinference.CONVENTION,
    mlflow.CONVENTION,
    vercel_ai.CONVENTION,
    litellm.CONVENTION,
    openllmetry.CONVENTION,
    inline_events.CONVENTION,
    gen_ai_events.CONVENTION,
    gen_ai.CONVENTION,
    traceloop.CONVENTION,
)
"""Every convention, the most telling first."""

MARKERS: tuple[bytes, ...] = tuple(
    dict.fromkeys(
        marker
        for convention in (gen_ai.CONVENTION, openinference.CONVENTION, *TABLE)
        for marker in convention.markers
    )
)
"""A serialised span that holds none of these is of no convention; the most frequent first."""

USAGE_KEYS: frozenset[str] = frozenset().union(*(convention.usage_keys for convention in TABLE))
"""The only attributes that `usage` looks at, beside its group keys."""


def convention_of(raw: RawSpan) -> Convention | None:
    """The first convention that matches a span."""
    attributes = raw.attributes
    for convention in TABLE:
        sign = convention.sign
        if sign in attributes if isinstance(sign, str) else sign(raw):
            return convention
    return None


def normalise(raw: RawSpan) -> Span:
    """Read a span by the first convention that matches; without one it is kind `other`."""
    convention = convention_of(raw)
    if convention is None:
        return common(raw, None, SpanKind.OTHER, {})
    return convention.read(raw)


def usage(raw: RawSpan, group_keys: tuple[str, ...] = ()) -> Usage | None:
    """Read what a call cost, without its content; None where the span is no LLM call.

    Args:
        raw: The span; attributes outside `USAGE_KEYS` and `group_keys`, and events, may be absent.
        group_keys: Attributes whose values go to `Usage.groups`: the span's own, else the
            resource's.
    """
    convention = convention_of(raw)
    read = None if convention is None else convention.read_usage(raw)
    if read is not None and group_keys:
        attributes, resource = raw.attributes, raw.resource
        read.groups = tuple(  # nobody else has seen it yet
            [label(attributes.get(key)) or label(resource.get(key)) for key in group_keys]
        )
    return read
