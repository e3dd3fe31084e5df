"""What one record says of the traces in it."""

import secrets
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from support.spans import llm_span, message, plain_span
from support.waiting import EVALUATORS

from schemas.config import DeadLettersConfig, RouteConfig
from schemas.errors import WorkerStopped
from schemas.events import Event
from schemas.limits import TEXT_CHARS, Limits
from schemas.otlp import Encoding
from schemas.own import PREAMBLE, SCOPE
from workers.consumer import Record
from workers.dead_letters import Limit
from workers.offset_metadata import Beginning
from workers.offsets import Offsets
from workers.router import Router
from workers.trace import Part
from workers.trace_intake import TraceIntake, trace_id_of

TRACE = bytes(range(16))
KEY = TRACE.hex().encode()


def _never(event: Event) -> None:
    raise AssertionError(event)


def _intake(known: frozenset[str] = frozenset(), **dead_letters: Any) -> TraceIntake:
    routes = [
        {"name": "bot", "when": 'span.service == "support-bot"', "sample": 0.25},
        {"name": "errors", "when": "span.error", "sample": 1.0},
    ]
    evaluators = {"evaluators": ["task_completion"]}
    return TraceIntake(
        router=Router([RouteConfig.model_validate(r | evaluators) for r in routes], _never),
        evaluators=EVALUATORS,
        limits=Limits(),
        encoding=Encoding.AUTO,
        limit=Limit(DeadLettersConfig.model_validate(dead_letters)),
        knows=lambda _, trace_id: trace_id in known,
        count=lambda _: None,
    )


def _record(value: bytes | None, key: bytes | None = KEY) -> Record:
    offsets = Offsets()
    offsets.assign(("spans", 0), 7, Beginning(1, 0, "c"), None)
    claim = offsets.deliver(("spans", 0), 7, 0.0)
    assert claim is not None
    return Record("spans", 0, 7, key, value, 0.0, claim)


def _call(trace_id: bytes = TRACE, **fields: Any) -> ProtoSpan:
    return llm_span(trace_id=trace_id, parent_span_id=b"parent..", **fields)


def _only(parts: list[Part]) -> Part:
    (part,) = parts
    return part


def test_of_spans_that_no_convention_knows_only_the_heads_are_read() -> None:
    """The request around a call is its root, and counts for the revision."""
    root = plain_span("POST /run", trace_id=TRACE)
    part = _only(_intake().read(_record(message([_call(), root]))))
    assert len(part.spans) == 1
    assert [head.parent_span_id is None for head in part.heads] == [False, True]
    assert (part.count, part.is_keyed) == (2, True)


def test_giant_texts_are_cut_while_their_trace_waits() -> None:
    """As those of spans that are judged at once, and the span says so."""
    value = message([_call(answer="x" * (TEXT_CHARS + 1))])
    (span,) = _only(_intake().read(_record(value))).spans
    assert (span.output_text, span.truncated) == ("x" * TEXT_CHARS, True)


def test_a_record_without_a_span_of_an_llm_application_begins_no_trace() -> None:
    """Most records of most topics: they are not read a second time, and hold no claim."""
    root = message([plain_span("POST /run", trace_id=TRACE)])
    assert _intake().read(_record(root)) == []
    part = _only(_intake(frozenset({TRACE.hex()})).read(_record(root)))
    assert (part.spans, len(part.heads)) == ([], 1)


def test_a_trace_is_selected_with_the_largest_probability_of_its_routes() -> None:
    """One span matches the narrow route, another one the wide route."""
    kept = b"\xff" * 16
    value = message([_call(kept), _call(kept, error_type="timeout")])
    part = _only(_intake().read(_record(value, kept.hex().encode())))
    selected = part.selected["task_completion"]
    assert (selected.probability, selected.routes) == (1.0, ("bot", "errors"))


@pytest.mark.parametrize("key", [None, b"", b"support-bot", b"f" * 32])
def test_a_record_with_another_key_tells_of_a_split_trace(key: bytes | None) -> None:
    """Another trace's id is none of this one's: the partition was chosen for that one."""
    part = _only(_intake().read(_record(message([_call(error_type="x")]), key)))
    assert not part.is_keyed
    assert set(part.selected) == {"task_completion"}


@pytest.mark.parametrize(
    ("key", "wanted"),
    [(KEY, TRACE.hex()), (KEY.upper(), TRACE.hex()), (TRACE, TRACE.hex()), (b"x" * 32, None)],
)
def test_a_key_is_a_trace_id_in_hex_or_as_bytes(key: bytes, wanted: str | None) -> None:
    """The collector writes hex; other producers may write the bytes."""
    assert trace_id_of(key) == wanted


def test_our_own_spans_are_no_part_of_a_trace() -> None:
    """Neither scores that come back, nor a judge's call that some library traced."""
    own = plain_span("evaluation", trace_id=TRACE)
    intake = _intake(frozenset({TRACE.hex()}))
    assert intake.read(_record(message([own], scope=SCOPE))) == []
    judged = _call(system=f"{PREAMBLE} Say whether the output is polite.")
    assert intake.read(_record(message([judged]))) == []


def test_what_cannot_be_read_stops_this_lane_where_it_stops_the_code_lane() -> None:
    """It is not published here, but a bad deploy must not make this lane run ahead."""
    intake = _intake(max_consecutive=2)
    assert intake.read(_record(secrets.token_bytes(40))) == []
    assert intake.read(_record(secrets.token_bytes(40))) == []
    with pytest.raises(WorkerStopped, match=r"spans\[0\]@7"):
        intake.read(_record(secrets.token_bytes(40)))
