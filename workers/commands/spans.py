"""`assay spans`: what Assay reads in OTLP exports, of each span that has a convention."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from schemas.limits import Limits
from schemas.span import Span
from workers.offline import read_file

from .common import cell, print_json

_LIMITS = Limits(message_bytes=1 << 30, spans_per_message=10_000_000, attributes_per_span=100_000)
"""A file is read by somebody who asked for it: only nesting keeps its bound."""

_FIELDS = (
    "trace_id",
    "span_id",
    "parent_span_id",
    "kind",
    "convention",
    "service",
    "provider",
    "request_model",
    "response_model",
    "response_id",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "cost_usd",
    "finish_reason",
    "error",
)


def as_json(span: Span) -> dict[str, Any]:
    """A span as `assay spans --json` prints it; unknown is null."""
    return {
        **{name: getattr(span, name) for name in _FIELDS},
        "messages_in": [{"role": m.role, "content": m.content} for m in span.messages_in],
        "output_text": span.output_text,
        "tool_calls": [{"name": c.name, "arguments": c.arguments} for c in span.tool_calls],
        "documents": list(span.documents),
        "session_id": span.session_id,
        "user_id": span.user_id,
        "prompt_name": span.prompt_name,
        "prompt_version": span.prompt_version,
        "duplicate_of": span.duplicate_of,
    }


def run(files: Sequence[Path], *, as_lines: bool) -> None:
    """Print the spans of all files.

    Raises:
        UnreadableFile: A file is no OTLP export.
    """
    spans = [
        span
        for path in files
        for export in read_file(path, _LIMITS)
        for span in export.spans
        if span.convention is not None
    ]
    if as_lines:
        print_json(as_json(span) for span in spans)
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    if not spans:
        console.print("no span of an LLM application by any known convention")
    for span in spans:
        console.print(_lines(span))


def _lines(span: Span) -> Text:
    """What identifies a span, and below it what it gave; a table would not fit 80 columns."""
    tokens = f"{_count(span.input_tokens)} → {_count(span.output_tokens)} tokens"
    model = span.request_model or span.response_model
    facts = [span.span_id, span.kind, span.convention, span.service, model, tokens]
    head = Text(" · ").join(cell(fact) for fact in facts if fact)
    output = cell(_output(span))
    return Text("\n    ").join([head, output]) if output else head


def _output(span: Span) -> str:
    """What the call gave, or why there is nothing to see."""
    if span.duplicate_of:
        return f"(the same call as {span.duplicate_of})"
    if span.output_text or span.tool_calls:
        return span.output_text or ", ".join(f"{call.name}(…)" for call in span.tool_calls)
    if span.content_setting and not span.has_content:
        return f"(no content; {span.content_setting} turns it on)"
    return ""


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)
