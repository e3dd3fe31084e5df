"""Every captured export of a real library is read as what really happened."""

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from support.captures import Capture, captures

from schemas.conventions import MARKERS, USAGE_KEYS, convention_of, normalise, usage
from schemas.duplicates import mark_duplicates
from schemas.own import is_own
from schemas.span import RawSpan, Span, SpanKind

CAPTURES = captures()
EXPECTED = [capture for capture in CAPTURES if capture.expected is not None]

EQUAL = (
    "provider",
    "request_model",
    "response_model",
    "response_id",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "session_id",
    "user_id",
    "prompt_version",
    "cost_usd",
)
ROUTED = (
    *("provider", "response_id", "operation", "service", "environment", "session_id", "user_id"),
    *("input_tokens", "output_tokens", "cost_usd", "error", "error_type", "is_call"),
    *("prompt_name", "prompt_version"),
)
NO_ANSWER = {
    "openllmetry_langchain/agent": "0ba5853149140fd3",
    "otel_openai_v2_legacy/image": "a820b2a1b971bbd9",
}
"""Calls whose answer the library did not put on the span, although the model gave one."""

IN_OWN_WORDS = {"openinference_smolagents"}
"""Libraries that write what tools said in other words than they send to the model."""

PLACEHOLDER = re.compile(r"\[(image|audio|file)\]")
MEANING = {"end_turn": "stop", "tool_use": "tool_calls"}


def read(capture: Capture) -> dict[str, Span]:
    """Read a capture as a worker does: span id to span."""
    marked = mark_duplicates([normalise(raw) for raw in capture.spans()])
    return {span.span_id: span for span in marked}


def each(found: Iterable[Capture]) -> pytest.MarkDecorator:
    """Make a test run once for each capture, under its name."""
    return pytest.mark.parametrize("capture", list(found), ids=lambda capture: capture.name)


def expected(capture: Capture) -> dict[str, Any]:
    """Give what a capture must be read as."""
    assert capture.expected is not None
    return capture.expected


def primary(call: dict[str, Any], spans: dict[str, Span]) -> Span:
    """Give the span that is evaluated for a call."""
    found = [spans[i] for i in call["span_ids"] if spans[i].duplicate_of is None]
    assert len(found) == 1
    return found[0]


@each(EXPECTED)
def test_every_call_is_one_span_of_kind_llm(capture: Capture) -> None:
    """Each call is found once: its other spans name the one that is evaluated."""
    spans = read(capture)
    for call in expected(capture)["llm_calls"]:
        kept = primary(call, spans)
        assert kept.kind is SpanKind.LLM
        assert kept.is_call
        others = [spans[i] for i in call["span_ids"] if i != kept.span_id]
        assert all(span.duplicate_of == kept.span_id for span in others)


@each(EXPECTED)
def test_no_other_span_is_a_call(capture: Capture) -> None:
    """Nothing that made no call is evaluated as one."""
    known = {i for call in expected(capture)["llm_calls"] for i in call["span_ids"]}
    extra = [
        span.name
        for span in read(capture).values()
        if span.kind is SpanKind.LLM and span.duplicate_of is None and span.span_id not in known
    ]
    assert extra == []


@each(EXPECTED)
def test_fields_of_a_call_are_those_of_the_model(capture: Capture) -> None:
    """Models, tokens, ids and cost are what the model's own log says, where the span has them."""
    spans = read(capture)
    for call in expected(capture)["llm_calls"]:
        span = primary(call, spans)
        wrong = {
            name: (getattr(span, name), call[name])
            for name in EQUAL
            if call.get(name) is not None and (getattr(span, name) or 0) != call[name]
        }
        assert wrong == {}
        assert span.error == call["error"]
        finish = call["finish_reason"]
        if finish is not None:
            assert span.finish_reason == MEANING.get(finish, finish)


@each(EXPECTED)
def test_nothing_is_read_that_the_span_does_not_say(capture: Capture) -> None:
    """A value that no span of the call has is None, not a guess; 0 cached tokens mean none."""
    spans = read(capture)
    for call in expected(capture)["llm_calls"]:
        span = primary(call, spans)
        names = ("input_tokens", "output_tokens", "cost_usd", "prompt_version", "output_text")
        guessed = {n: getattr(span, n) for n in names if n in call and call[n] is None}
        assert not any(guessed.values())


@each(EXPECTED)
def test_content_of_a_call_is_what_was_said(capture: Capture) -> None:
    """Messages come in order with their roles; text, tool calls and choices are the answer's."""
    spans = read(capture)
    if "not recoverable" in (expected(capture).get("note") or ""):
        assert not any(span.has_content for span in spans.values())
        return
    for call in expected(capture)["llm_calls"]:
        span = primary(call, spans)
        asked = [(m["role"], m["content"].strip()) for m in call["messages_in"] if m["content"]]
        found = [(m.role, m.content.strip()) for m in span.messages_in if m.content]
        found = [item for item in found if not PLACEHOLDER.search(item[1])]
        if capture.path.parent.name in IN_OWN_WORDS:
            found = [item for item in found if item in asked]
        assert found == asked
        if NO_ANSWER.get(f"{capture.path.parent.name}/{capture.path.stem}") == span.span_id:
            continue
        assert (span.output_text or "").strip() == (call["output_text"] or "").strip()
        assert [(c.name, c.arguments) for c in span.tool_calls] == [
            (c["name"], c["arguments"]) for c in call["tool_calls"]
        ]
        assert [text.strip() for text in span.other_choices] == call.get("other_choices", [])


@each(EXPECTED)
def test_kinds_tools_and_documents(capture: Capture) -> None:
    """The spans around the calls are what they were in the application."""
    spans = read(capture)
    truth = expected(capture)
    kinds = {i: spans[i].kind.value for i in truth.get("kinds", {})}
    assert kinds == {i: kind for i, (kind, _) in truth.get("kinds", {}).items()}
    for tool in truth["tools"]:
        span = spans[tool["span_id"]]
        assert span.kind is SpanKind.TOOL
        assert tool["name"] in (span.tool_name, span.name)
        if tool["arguments"] is not None and isinstance(span.tool_arguments, dict):
            assert span.tool_arguments == tool["arguments"]
    for retrieval in truth["retrievals"]:
        span = spans[retrieval["span_id"]]
        assert span.kind is SpanKind.RETRIEVER
        assert list(span.documents) == retrieval["documents"]


@each(EXPECTED)
def test_usage_without_content_agrees_with_the_whole_span(capture: Capture) -> None:
    """What cost attribution reads of a stripped span is what the whole span says."""
    for raw in capture.spans():
        span = normalise(raw)
        stripped = strip(raw)
        read_usage = usage(stripped)
        assert (read_usage is not None) == (span.kind is SpanKind.LLM and span.is_call)
        if read_usage is not None:
            names = ("provider", "input_tokens", "output_tokens", "cached_input_tokens", "cost_usd")
            assert {n: getattr(read_usage, n) for n in names} == {
                n: getattr(span, n) for n in names
            }


def strip(raw: RawSpan) -> RawSpan:
    """Leave of a span what a decoder that skips content leaves."""
    kept = {key: value for key, value in raw.attributes.items() if key in USAGE_KEYS}
    return RawSpan(
        **{name: getattr(raw, name) for name in RawSpan.__slots__}
        | {"attributes": kept, "events": ()}
    )


@each(EXPECTED)
def test_what_routes_ask_of_a_call_needs_no_content(capture: Capture) -> None:
    """To route a call and to tell whose it is, its messages stay unread."""
    for raw in capture.spans():
        span = normalise(raw)
        if span.kind is SpanKind.LLM and convention_of(raw) is not None:
            routed = [getattr(span, name) for name in ROUTED]
            assert not is_own(span)
            assert span.is_unread
            assert routed == [getattr(replace(span), name) for name in ROUTED]


@each(EXPECTED)
def test_both_encodings_are_read_alike(capture: Capture) -> None:
    """Protobuf and JSON of one export give the same spans."""
    twin = {".pb": ".json", ".json": ".pb"}[capture.path.suffix]
    other = read(Capture(capture.path.with_suffix(twin), None))
    for span_id, span in read(capture).items():
        assert replace(span, size_bytes=0) == replace(other[span_id], size_bytes=0)


@each(capture for capture in CAPTURES if capture.expected is None)
def test_what_needs_judgement_breaks_nothing(capture: Capture) -> None:
    """Content cut off or lost by a library still gives spans, and JSON that was cut says so."""
    spans = read(capture)
    calls = [span for span in spans.values() if span.kind is SpanKind.LLM]
    assert calls
    if "truncated" in capture.path.name:
        assert any(span.truncated for span in calls)


@each(CAPTURES)
def test_no_span_with_a_convention_lacks_a_marker(capture: Capture) -> None:
    """A decoder that steps over spans without a marker misses none that a convention reads."""
    found = {raw.span_id for raw in capture.marked_spans(MARKERS)}
    missed = [raw.name for raw in capture.spans() if is_known(raw) and raw.span_id not in found]
    assert missed == []


def is_known(raw: RawSpan) -> bool:
    """Whether any convention matches a span."""
    return convention_of(raw) is not None
