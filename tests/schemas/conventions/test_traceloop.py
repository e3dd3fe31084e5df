"""Traceloop's workflow spans, beyond what the captures show."""

import pytest
from support.captures import raw_span

from schemas.conventions import normalise, usage
from schemas.span import SpanKind


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("workflow", SpanKind.CHAIN),
        ("task", SpanKind.CHAIN),
        ("agent", SpanKind.AGENT),
        ("tool", SpanKind.TOOL),
        ("something new", SpanKind.CHAIN),
    ],
)
def test_kind_is_what_the_sdk_says_and_never_a_call(word: str, kind: SpanKind) -> None:
    """A task may hide a model's call; that is not guessed."""
    raw = raw_span({"traceloop.span.kind": word, "gen_ai.request.model": "gpt-4o"})
    assert (normalise(raw).kind, normalise(raw).convention) == (kind, "traceloop")
    assert usage(raw) is None


def test_a_decorated_tool() -> None:
    """Arguments by name are the object; a text result loses the JSON's quotes."""
    tool = {
        "traceloop.span.kind": "tool",
        "traceloop.entity.name": "get_order",
        "traceloop.entity.input": '{"args": [], "kwargs": {"id": 4711}}',
        "traceloop.entity.output": '"shipped \\"today\\""',
        "traceloop.association.properties.session_id": "s-1",
        "traceloop.prompt.version": 4,
    }
    span = normalise(raw_span(tool))
    assert (span.tool_name, span.tool_arguments) == ("get_order", {"id": 4711})
    assert span.tool_result == 'shipped "today"'
    assert (span.session_id, span.prompt_version) == ("s-1", "4")


def test_openllmetrys_newer_spans_are_the_conventions() -> None:
    """A call under a workflow carries both: the operation says more than the workflow's kind."""
    raw = raw_span({"traceloop.span.kind": "task", "gen_ai.operation.name": "chat"})
    assert (normalise(raw).kind, normalise(raw).convention) == (SpanKind.LLM, "gen_ai")
