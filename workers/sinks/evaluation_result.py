"""An outcome in OTLP: a `gen_ai.evaluation.result` event, and a small span in the judged trace.

Names are those of the GenAI semantic conventions (status: development),
https://github.com/open-telemetry/semantic-conventions-genai; what they have no name for is under
`assay.`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache
from hashlib import blake2b
from importlib.metadata import version

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.logs.v1.logs_pb2 import (
    LogRecord,
    ResourceLogs,
    ScopeLogs,
    SeverityNumber,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from schemas.outcome import Outcome
from schemas.own import EVALUATION_ID, SCOPE
from schemas.reasons import Status as OutcomeStatus

EVENT_NAME = "gen_ai.evaluation.result"

_SERVICE = "assay"
_SAMPLED = 1  # of the trace flags: the judged span was exported, so its trace is sampled
_SECOND_NS = 1_000_000_000

Attribute = str | bool | int | float | tuple[str, ...]


def attributes(outcome: Outcome) -> dict[str, Attribute]:
    """What event and span say of an outcome; what is unknown or does not apply is left out."""
    return {name: value for name, value in _attributes(outcome).items() if value is not None}


def _attributes(outcome: Outcome) -> Mapping[str, Attribute | None]:
    score, judge, subject = outcome.score, outcome.judge, outcome.subject
    reason = None if outcome.reason is None else outcome.reason.value
    flags = tuple(name for name, is_set in asdict(outcome.flags).items() if is_set)
    return {
        "gen_ai.evaluation.name": outcome.evaluator.name,
        "gen_ai.evaluation.score.value": None if score is None else float(score.value),
        "gen_ai.evaluation.score.label": None if score is None else score.label,
        "gen_ai.evaluation.explanation": None if score is None else score.explanation,
        "gen_ai.response.id": subject.response_id,
        "error.type": reason if outcome.outcome is OutcomeStatus.FAILED else None,
        EVALUATION_ID: outcome.evaluation_id,
        "assay.outcome": outcome.outcome.value,
        "assay.reason": reason,
        "assay.detail": outcome.detail,
        "assay.passed": None if score is None else score.passed,
        "assay.severity": None if score is None else score.severity,
        "assay.critical": None if score is None else score.critical,
        "assay.evaluator.version": outcome.evaluator.version,
        "assay.evaluator.kind": outcome.evaluator.kind.value,
        "assay.evaluator.fingerprint": outcome.evaluator.fingerprint,
        "assay.judge.model_asked": None if judge is None else judge.model_asked,
        "assay.judge.model_answered": None if judge is None else judge.model_answered,
        "assay.judge.cost_usd": None if judge is None else judge.cost_usd,
        "assay.sampling.probability": float(outcome.sampling.probability),
        "assay.sampling.routes": outcome.sampling.routes,
        "assay.service": subject.service,
        "assay.environment": subject.environment,
        "assay.flags": flags or None,
        "assay.origin": outcome.origin.value,
        "assay.revision": outcome.revision,
    }


def log_record(outcome: Outcome) -> LogRecord:
    """The event, with the judged span's ids."""
    failed = outcome.outcome is OutcomeStatus.FAILED
    evaluated = _unix_nano(outcome.evaluated_at)
    return LogRecord(
        time_unix_nano=evaluated,
        observed_time_unix_nano=evaluated,
        severity_number=SeverityNumber.SEVERITY_NUMBER_WARN
        if failed
        else SeverityNumber.SEVERITY_NUMBER_INFO,
        severity_text="WARN" if failed else "INFO",
        event_name=EVENT_NAME,
        trace_id=bytes.fromhex(outcome.trace_id),
        span_id=bytes.fromhex(outcome.span_id),
        flags=_SAMPLED,
        attributes=_key_values(attributes(outcome)),
    )


def span(outcome: Outcome) -> Span:
    """A child of the judged span that lasts as long as the evaluation took.

    Its id is made of the evaluation's id: an outcome that is published again is the same span.
    """
    end = _unix_nano(outcome.evaluated_at)
    made = Span(
        trace_id=bytes.fromhex(outcome.trace_id),
        span_id=span_id(outcome.evaluation_id),
        parent_span_id=bytes.fromhex(outcome.span_id),
        flags=_SAMPLED,
        name=f"evaluate {_encodable(outcome.evaluator.name)}",
        kind=Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=end - int((outcome.evaluation_s or 0) * _SECOND_NS),
        end_time_unix_nano=end,
        attributes=_key_values(attributes(outcome)),
    )
    if outcome.outcome is OutcomeStatus.FAILED:
        made.status.code = Status.STATUS_CODE_ERROR
        made.status.message = _encodable(outcome.detail or outcome.reason or "")
    return made


def span_id(evaluation_id: str) -> bytes:
    """The id of an evaluation's span; never all zero, which would be none."""
    return blake2b(evaluation_id.encode(), digest_size=8).digest().replace(b"\x00", b"\x01")


def logs_request(outcomes: Sequence[Outcome]) -> bytes:
    """Outcomes as an `ExportLogsServiceRequest`."""
    logs = ScopeLogs(scope=_scope(), log_records=[log_record(outcome) for outcome in outcomes])
    request = ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=_resource(), scope_logs=[logs])]
    )
    return request.SerializeToString()


def traces_request(outcomes: Sequence[Outcome]) -> bytes:
    """Outcomes as an `ExportTraceServiceRequest`, under the scope that marks our own spans."""
    spans = ScopeSpans(scope=_scope(), spans=[span(outcome) for outcome in outcomes])
    request = ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=_resource(), scope_spans=[spans])]
    )
    return request.SerializeToString()


@cache
def _scope() -> InstrumentationScope:
    return InstrumentationScope(name=SCOPE, version=version("assay"))


@cache
def _resource() -> Resource:
    known = {"service.name": _SERVICE, "service.version": version("assay")}
    return Resource(attributes=_key_values(known))


def _unix_nano(time: str) -> int:
    moment = datetime.fromisoformat(time)
    return int(moment.timestamp() * 1000) * (_SECOND_NS // 1000)


def _key_values(values: Mapping[str, Attribute]) -> Iterator[KeyValue]:
    return (KeyValue(key=key, value=_any_value(value)) for key, value in values.items())


def _any_value(value: Attribute) -> AnyValue:
    match value:
        case bool():  # before int, which it is a kind of
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=_encodable(value))
        case tuple():
            return AnyValue(array_value=ArrayValue(values=[_any_value(item) for item in value]))


def _encodable(text: str) -> str:
    # Half a surrogate pair from a JSON escape in the span is valid in Python, not in protobuf.
    return text.encode("utf-8", "replace").decode()
