"""An outcome in OTLP: names, ids, times and status."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.proto.trace.v1.trace_pb2 import Status as SpanStatus
from support.samples import TRACE_ID, outcome

from schemas import conventions
from schemas.limits import Limits
from schemas.otlp import Encoding, Plan, decode
from schemas.outcome import Flags, JudgeRecord, Origin, Outcome, ScoreRecord
from schemas.own import is_own
from schemas.reasons import Reason, Status
from schemas.span import SpanKind
from workers.sinks.evaluation_result import (
    attributes,
    log_record,
    logs_request,
    span,
    span_id,
    traces_request,
)

EVALUATED = "2026-11-28T12:00:01.250Z"
EVALUATED_NS = 1_795_867_201_250_000_000


def _judged() -> Outcome:
    made = outcome(
        score=ScoreRecord(0.25, "poor", False, "It answers another question.", {"a": 1}),
        judge=JudgeRecord("gpt-5-mini", "gpt-5-mini-2026", 10, 5, 0.001, 1, 0.4),
        probability=0.05,
        evaluator="answer_relevance",
        evaluated_at=EVALUATED,
        evaluation_s=1.25,
        flags=Flags(truncated=True),
        origin=Origin.RETRY,
        revision=3,
    )
    return replace(made, subject=replace(made.subject, response_id="chatcmpl-1"))


def _values(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    found = {}
    for pair in pairs:
        kind = pair.value.WhichOneof("value")
        assert kind is not None
        value = getattr(pair.value, kind)
        if kind == "array_value":
            value = [item.string_value for item in value.values]
        found[pair.key] = value
    return found


def test_a_score_has_the_names_of_the_conventions_and_ours_beside_them() -> None:
    """Every attribute there is, with its value and type."""
    assert _values(log_record(_judged()).attributes) == {
        "gen_ai.evaluation.name": "answer_relevance",
        "gen_ai.evaluation.score.value": 0.25,
        "gen_ai.evaluation.score.label": "poor",
        "gen_ai.evaluation.explanation": "It answers another question.",
        "gen_ai.response.id": "chatcmpl-1",
        "assay.evaluation_id": "0" * 32,
        "assay.outcome": "scored",
        "assay.passed": False,
        "assay.critical": False,
        "assay.evaluator.version": "1.0",
        "assay.evaluator.kind": "judge",
        "assay.evaluator.fingerprint": "abcdef0123456789",
        "assay.judge.model_asked": "gpt-5-mini",
        "assay.judge.model_answered": "gpt-5-mini-2026",
        "assay.judge.cost_usd": 0.001,
        "assay.sampling.probability": 0.05,
        "assay.sampling.routes": ["support"],
        "assay.service": "support-bot",
        "assay.environment": "production",
        "assay.flags": ["truncated"],
        "assay.origin": "retry",
        "assay.revision": 3,
    }


def test_the_page_about_outputs_lists_every_attribute() -> None:
    """Each once, with its type, and none that nobody sends."""
    page = Path(__file__).parents[3] / "docs" / "outputs.md"
    rows = re.findall(r"^\| `([a-z_]+\.[a-z_.]+)` \| ([a-z ]+) \|", page.read_text(), re.MULTILINE)
    types = {"string": str, "double": float, "boolean": bool, "int": int, "array of strings": tuple}
    made = _judged()
    assert made.score is not None
    whole = replace(made, reason=Reason.TIMEOUT, outcome=Status.FAILED, detail="why")
    sent = attributes(replace(whole, score=replace(made.score, severity=2)))
    assert len(rows) == len(dict(rows))
    assert {name: types[kind] for name, kind in rows} == {n: type(v) for n, v in sent.items()}


@pytest.mark.parametrize("reason", Reason)
def test_only_what_failed_is_an_error(reason: Reason) -> None:
    """`error.type` is the reason of a failure; who skips has a reason, no score and no error."""
    ended = outcome(reason=reason, detail="why")
    values = attributes(ended)
    failed = reason.status.value == "failed"
    assert values.get("error.type") == (reason.value if failed else None)
    assert (values["assay.reason"], values["assay.detail"]) == (reason.value, "why")
    assert not any(name.startswith("gen_ai.evaluation.score") for name in values)
    assert span(ended).status == (
        SpanStatus(code=SpanStatus.STATUS_CODE_ERROR, message="why") if failed else SpanStatus()
    )


def test_the_event_is_linked_to_the_judged_span() -> None:
    """Its ids are those of the span, its time that of the evaluation, its name the event's."""
    record = log_record(_judged())
    assert record.event_name == "gen_ai.evaluation.result"
    assert (record.trace_id.hex(), record.span_id.hex()) == (TRACE_ID, _judged().span_id)
    assert record.time_unix_nano == EVALUATED_NS
    assert record.severity_number == SeverityNumber.SEVERITY_NUMBER_INFO


def test_the_span_stands_below_the_judged_one() -> None:
    """A child in the same trace, as long as the evaluation, with what the event says."""
    made = span(_judged())
    assert (made.trace_id.hex(), made.parent_span_id.hex()) == (TRACE_ID, _judged().span_id)
    assert made.name == "evaluate answer_relevance"
    assert made.kind == Span.SPAN_KIND_INTERNAL
    assert made.end_time_unix_nano == EVALUATED_NS
    assert made.end_time_unix_nano - made.start_time_unix_nano == 1_250_000_000
    assert _values(made.attributes) == _values(log_record(_judged()).attributes)


def test_an_evaluation_that_was_never_started_takes_no_time() -> None:
    """Such as a duplicate: the span begins where it ends."""
    made = span(outcome(reason=Reason.DUPLICATE, evaluated_at=EVALUATED))
    assert made.start_time_unix_nano == made.end_time_unix_nano == EVALUATED_NS


def test_an_outcome_that_is_published_again_is_the_same_span() -> None:
    """The span's id comes from the evaluation's alone, and no id is that of no span."""
    first, again = span(_judged()), span(replace(_judged(), evaluated_at="2026-11-29T00:00:00Z"))
    assert first.span_id == again.span_id
    ids = {span_id(f"{number:032x}") for number in range(10_000)}
    assert len(ids) == 10_000
    assert all(len(each) == 8 and any(each) for each in ids)


def test_a_request_names_assay_as_resource_and_scope() -> None:
    """So that nobody takes our spans for the application's."""
    logs = ExportLogsServiceRequest.FromString(logs_request([_judged(), outcome()]))
    spans = ExportTraceServiceRequest.FromString(traces_request([_judged(), outcome()]))
    assert len(logs.resource_logs[0].scope_logs[0].log_records) == 2
    assert len(spans.resource_spans[0].scope_spans[0].spans) == 2
    for resource, scope in (
        (logs.resource_logs[0].resource, logs.resource_logs[0].scope_logs[0].scope),
        (spans.resource_spans[0].resource, spans.resource_spans[0].scope_spans[0].scope),
    ):
        assert _values(resource.attributes)["service.name"] == "assay"
        assert scope.name == "assay"


def test_half_a_surrogate_pair_is_no_hindrance() -> None:
    """A name from a JSON escape that UTF-8 cannot hold is replaced."""
    made = outcome(service="a\ud800b", evaluator="e\udfff", reason=Reason.TIMEOUT, detail="\ud800")
    (read,) = (
        ExportTraceServiceRequest.FromString(traces_request([made]))
        .resource_spans[0]
        .scope_spans[0]
        .spans
    )
    assert _values(read.attributes)["assay.service"] == "a?b"
    assert (read.name, read.status.message) == ("evaluate e?", "?")


@pytest.mark.parametrize("sample_threshold", [0, 1 << 56], ids=["kept", "not_kept"])
@pytest.mark.parametrize("scope", ["assay", ""], ids=["with_scope", "without_scope"])
def test_what_comes_back_is_known_as_our_own(scope: str, sample_threshold: int) -> None:
    """By its scope, and without it by its id; it is a call of no convention, and costs nothing."""
    export = ExportTraceServiceRequest.FromString(traces_request([_judged()]))
    export.resource_spans[0].scope_spans[0].scope.name = scope
    plan = Plan(
        threshold=sample_threshold,
        usage=True,
        markers=conventions.MARKERS,
        usage_keys=conventions.USAGE_KEYS,
    )
    decoded = decode(export.SerializeToString(), Encoding.AUTO, Limits(), plan)
    (raw,) = decoded.spans or decoded.light
    assert conventions.usage(raw) is None
    read = conventions.normalise(raw)
    assert (read.convention, read.kind) == (None, SpanKind.OTHER)
    if decoded.spans:
        assert is_own(read)
