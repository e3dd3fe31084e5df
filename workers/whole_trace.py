"""A trace as its evaluators see it: all its spans, and the whole of it as one call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.outcome import Source
from schemas.reasons import Reason
from schemas.span import Span, SpanKind

_SHARED = (
    "service",
    "environment",
    "provider",
    "request_model",
    "response_model",
    "operation",
    "session_id",
    "user_id",
    "prompt_name",
    "prompt_version",
    "content_setting",
)
"""What the trace takes from the first span that knows it: its root, then its calls in order."""

_SUMS = (
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "cost_usd",
)
_AROUND = (SpanKind.AGENT, SpanKind.CHAIN)


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of any span of a trace, one that no convention recognises too."""

    span_id: str
    parent_span_id: str | None
    name: str
    start_unix_nano: int
    end_unix_nano: int
    error: bool = False

    @classmethod
    def of(cls, span: Span) -> "Head":
        """The head of a normalised span."""
        return cls(
            span.span_id,
            span.parent_span_id,
            span.name,
            span.start_unix_nano,
            span.end_unix_nano,
            span.error,
        )


@dataclass(frozen=True, slots=True)
class Whole:
    """What the evaluation of a trace has besides that of a span.

    Attributes:
        spans: Spans of the LLM application in the order of their start; of one call just one.
        sources: All records that the trace was read from.
        revision: Number of spans of every kind: the whole outweighs a fragment of itself.
        cut: Why it is not evaluated, and in which words; None: it is.
    """

    spans: tuple[Span, ...]
    sources: tuple[Source, ...]
    revision: int
    cut: tuple[Reason, str] | None = None


def root_of(heads: Sequence[Head]) -> Head:
    """The span that stands for a trace: its root, else the earliest; of several the earliest."""
    return min(heads, key=lambda head: (head.parent_span_id is not None, *_order(head)))


def in_order(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Spans in the order of their start, whichever came first."""
    return tuple(sorted(spans, key=_order))


def as_one_call(spans: Sequence[Span], root: Head) -> Span:
    """The trace as if it were one call: what was asked at its beginning, answered at its end.

    Ids, name and times are the root's. Input and output are those of the root, or of the agents
    around the calls, where they have them; else the first call's input and the last one's output.
    Tool calls are all that were made; tokens and cost are sums over the calls.

    Args:
        spans: As `Whole` has them, at least one.
        root: What `root_of` found.
    """
    calls = [span for span in spans if span.kind is SpanKind.LLM and span.is_call]
    top = [span for span in spans if span.span_id == root.span_id]
    around = [*(top if root.parent_span_id is None else ()), *_outermost(spans)]
    known = [*top, *calls, *spans]
    asked = next((s for s in (*around, *calls) if any(m.content for m in s.messages_in)), None)
    said = next((s for s in reversed(around) if s.output_text), None)
    last = max(calls, key=lambda span: (span.end_unix_nano, span.span_id), default=None)
    return Span(
        trace_id=spans[0].trace_id,
        span_id=root.span_id,
        parent_span_id=root.parent_span_id,
        name=root.name,
        kind=top[0].kind if top else SpanKind.OTHER,
        scope=known[0].scope,
        convention=known[0].convention,
        start_unix_nano=root.start_unix_nano,
        end_unix_nano=root.end_unix_nano,
        **{name: _first(known, name) for name in _SHARED},
        **{name: _sum(calls, name) for name in _SUMS},
        finish_reason=None if last is None else last.finish_reason,
        error=root.error,
        messages_in=() if asked is None else asked.messages_in,
        output_text=(said or last or known[0]).output_text,
        tool_calls=tuple(call for span in calls for call in span.tool_calls),
        trace_state=known[0].trace_state,
        attributes=_merged([span.attributes for span in known]),
        resource=_merged([span.resource for span in known]),
        truncated=any(span.truncated for span in spans),
        size_bytes=sum(span.size_bytes for span in spans),
    )


def _order(span: Span | Head) -> tuple[int, str]:
    return span.start_unix_nano, span.span_id


def _outermost(spans: Sequence[Span]) -> list[Span]:
    """Agents and chains that no other one of the same trace is around."""
    ids = {span.span_id for span in spans if span.kind in _AROUND}
    return [s for s in spans if s.kind in _AROUND and s.parent_span_id not in ids]


def _first(spans: Sequence[Span], name: str) -> Any:
    return next((value for s in spans if (value := getattr(s, name)) is not None), None)


def _sum(spans: Sequence[Span], name: str) -> Any:
    values = [value for span in spans if (value := getattr(span, name)) is not None]
    return sum(values) if values else None


def _merged(mappings: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for mapping in reversed(mappings):
        merged.update(mapping)
    return merged
