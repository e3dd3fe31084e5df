"""From a record's bytes to the evaluations that it asks for."""

from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan
from support.samples import outcome, span
from support.spans import llm_span, message, plain_span

from evaluators.contract import Settings
from evaluators.heuristics.pii import Pii
from evaluators.heuristics.secrets import Secrets
from schemas.config import DeadLettersConfig, EvaluatorConfig, RouteConfig
from schemas.errors import Undecodable, WorkerStopped
from schemas.events import Event, SpanRedelivered
from schemas.limits import Limits
from schemas.otlp import Encoding
from schemas.outcome import Source
from schemas.own import PREAMBLE, SCOPE
from schemas.reasons import DeadLetterReason
from schemas.span import Message, SpanKind
from workers.configured import Configured
from workers.consumer import Record
from workers.dead_letters import Limit
from workers.intake import Counted, Intake, context_of
from workers.offset_metadata import Beginning
from workers.offsets import Offsets
from workers.router import Router
from workers.sinks.evaluation_result import span as result_span

_PII = Configured("pii", EvaluatorConfig(), Pii(Settings("pii")), None, None)
_SECRETS = Configured("secrets", EvaluatorConfig(), Secrets(Settings("secrets")), None, None)


def _never(event: Event) -> None:
    raise AssertionError(event)


def _intake(
    *,
    emit: Callable[[Event], None] = _never,
    count: Callable[[Counted], None] = lambda _: None,
    counts: bool = True,
    count_all: bool = True,
    sample: float = 1.0,
    evaluators: tuple[Configured, ...] = (_PII, _SECRETS),
    limits: Limits | None = None,
    when: str = 'span.service == "support-bot"',
    **dead_letters: Any,
) -> Intake:
    route = RouteConfig.model_validate(
        {
            "name": "support",
            "when": when,
            "sample": sample,
            "evaluators": ["pii", "secrets"],
        }
    )
    return Intake(
        "code",
        router=Router([route], _never),
        evaluators={one.name: one for one in evaluators},
        limits=limits or Limits(),
        encoding=Encoding.AUTO,
        limit=Limit(DeadLettersConfig.model_validate(dead_letters)),
        counts=counts,
        count_all=count_all,
        group_attributes=(),
        count=count,
        emit=emit,
    )


def _record(value: bytes | None, offset: int = 0, problem: Undecodable | None = None) -> Record:
    offsets = Offsets()
    offsets.assign(("spans", 3), offset, Beginning(1, 0, "c"), None)
    claim = offsets.deliver(("spans", 3), offset, 12.5)
    assert claim is not None
    return Record("spans", 3, offset, b"key", value, 12.5, claim, problem)


def test_each_llm_span_gets_each_evaluator_of_its_route() -> None:
    """One job for each; spans that are no LLM calls, and other services' spans, get none."""
    intake = _intake()
    value = message([llm_span(), plain_span(), llm_span()])
    work = intake.read(_record(value, 7))
    assert [job.evaluator.name for job in work.jobs] == ["pii", "secrets"] * 2
    assert {job.source for job in work.jobs} == {Source("spans", 3, 7)}
    assert len({job.span.span_id for job in work.jobs}) == 2
    assert not work.letters
    assert intake.read(_record(message([llm_span()], service="other"))).jobs == []


def test_evaluators_of_another_lane_are_left_to_it() -> None:
    """The route names two; this lane has one of them."""
    work = _intake(evaluators=(_PII,)).read(_record(message([llm_span()])))
    assert [job.evaluator.name for job in work.jobs] == ["pii"]


@pytest.mark.parametrize("value", [None, b""])
def test_a_tombstone_is_nothing(value: bytes | None) -> None:
    """A record without a value asks for nothing and is no dead letter."""
    work = _intake().read(_record(value))
    assert (work.jobs, work.letters) == ([], [])


def test_what_the_client_could_not_unpack_is_a_dead_letter_without_bytes() -> None:
    """A compression bomb reaches us as an error with an offset."""
    problem = Undecodable(DeadLetterReason.BAD_COMPRESSION, "Local: Invalid compressed data")
    (letter,) = _intake().read(_record(None, 9, problem=problem)).letters
    assert (letter.reason, letter.value) == (DeadLetterReason.BAD_COMPRESSION, None)
    assert (letter.topic, letter.partition, letter.offset) == ("spans", 3, 9)
    assert (letter.key, letter.timestamp_s, letter.is_span) == (b"key", 12.5, False)


def test_a_record_that_cannot_be_read_is_a_dead_letter_with_its_bytes() -> None:
    """The whole record goes, and nothing of it is evaluated."""
    value = message([llm_span()])[:-5]
    work = _intake().read(_record(value))
    assert work.jobs == []
    assert [(letter.value, letter.reason) for letter in work.letters] == [
        (value, DeadLetterReason.UNDECODABLE)
    ]


def test_a_bad_span_costs_itself_alone() -> None:
    """Its neighbours are evaluated; its letter has the bytes of that span."""
    value = message([llm_span(), llm_span(answer="MARK")]).replace(b"MARK", b"\xff\xfe\xff\xfe")
    work = _intake().read(_record(value))
    assert len(work.jobs) == 2
    (letter,) = work.letters
    assert (letter.reason, letter.is_span) == (DeadLetterReason.INVALID_UTF8, True)
    assert b"\xff\xfe" in (letter.value or b"")


def test_too_much_that_cannot_be_read_stops_the_worker() -> None:
    """The error says which record it was."""
    intake = _intake(max_consecutive=2)
    intake.read(_record(b"rubbish"))
    intake.read(_record(b"rubbish"))
    with pytest.raises(WorkerStopped, match=r"spans\[3\]@5"):
        intake.read(_record(b"rubbish", 5))


def test_a_span_that_comes_again_in_another_record_is_left_out() -> None:
    """Its outcome exists or is on its way; the same record again is read again."""
    events: list[Event] = []
    intake = _intake(emit=events.append)
    value = message([llm_span()])
    assert len(intake.read(_record(value, 1)).jobs) == 2
    assert intake.read(_record(value, 2)).jobs == []
    assert events == [SpanRedelivered("code", 1)]
    assert len(intake.read(_record(value, 1)).jobs) == 2


def test_the_same_call_under_another_span_id_is_a_duplicate() -> None:
    """Two libraries trace one call: the second span's jobs say which span stands for it."""
    first = llm_span()
    second = ProtoSpan()
    second.CopyFrom(first)
    second.span_id = b"12345678"
    intake = _intake()
    intake.read(_record(message([first]), 1))
    jobs = intake.read(_record(message([second]), 2)).jobs
    wanted = f"the same call as span {first.span_id.hex()}"
    assert [job.duplicate for job in jobs] == [wanted, wanted]


def test_calls_of_our_own_judges_are_never_evaluated() -> None:
    """A judge that judges its judges never ends."""
    judged = llm_span(system=f"{PREAMBLE} Say whether the output is polite.")
    assert _intake().read(_record(message([judged]))).jobs == []


def test_usage_is_counted_once_for_each_call() -> None:
    """Every LLM call is paid for, sampled or not; a span that is no call costs nothing."""
    seen: list[Counted] = []
    value = message([llm_span(input_tokens=10), llm_span(input_tokens=20), plain_span()])
    work = _intake(count=seen.append, sample=0.0).read(_record(value))
    assert work.jobs == []
    (counted,) = seen
    assert counted.spans == 3
    found = [(call.usage.input_tokens, call.probability) for call in counted.calls]
    assert found == [(10, 1.0), (20, 1.0)]


def test_calls_that_are_counted_by_sample_stand_for_the_others() -> None:
    """With `cost: {count: sampled}` only what a route keeps is counted, at its probability."""
    seen: list[Counted] = []
    ids = [b"\x01" + bytes(8) + bytes([256 * number // 40]) + bytes(6) for number in range(40)]
    for number, trace_id in enumerate(ids):
        intake = _intake(count=seen.append, sample=0.25, count_all=False)
        intake.read(_record(message([llm_span(trace_id=trace_id)]), number))
    counted = [call.probability for one in seen for call in one.calls]
    assert counted == [0.25] * 10
    assert sum(1 / probability for probability in counted) == len(ids)


@pytest.mark.parametrize("sample", [0.0, 1.0])
def test_a_failed_call_is_told_from_one_that_ended_well(sample: float) -> None:
    """However much of its span is read: how long it took is then no latency."""
    seen: list[Counted] = []
    value = message([llm_span(), llm_span(error_type="timeout")])
    _intake(count=seen.append, sample=sample).read(_record(value))
    assert [call.is_error for call in seen[0].calls] == [False, True]


@pytest.mark.parametrize("sample", [0.0, 1.0])
def test_our_own_spans_cost_nothing(sample: float) -> None:
    """Scores that come back as spans name the judged call's model and are no calls."""
    seen: list[Counted] = []
    value = message([llm_span()], scope=SCOPE)
    _intake(count=seen.append, sample=sample).read(_record(value))
    assert seen[0].calls == []


@pytest.mark.parametrize("sample", [0.0, 1.0])
@pytest.mark.parametrize("scope", [SCOPE, "lost"])
def test_a_score_that_comes_back_is_counted_and_left_alone(scope: str, sample: float) -> None:
    """Also amid spans of an application: its call is evaluated and priced, and nothing else is."""
    call = llm_span()
    score = result_span(outcome(trace_id=call.trace_id.hex(), span_id=call.span_id.hex()))
    export = ExportTraceServiceRequest.FromString(message([call]))
    export.resource_spans[0].scope_spans.append(
        ScopeSpans(scope=InstrumentationScope(name=scope), spans=[score])
    )
    seen: list[Counted] = []
    intake = _intake(count=seen.append, sample=sample, when='span.name != ""')
    work = intake.read(_record(export.SerializeToString()))
    assert {job.span.span_id for job in work.jobs} <= {call.span_id.hex()}
    assert len(work.jobs) == 2 * sample
    (counted,) = seen
    assert [each.usage.span_id for each in counted.calls] == [call.span_id.hex()]
    # Of what is not sampled only what a call costs is read, so there the scope is the only sign.
    assert counted.own == (0 if scope == "lost" and not sample else 1)


def test_a_lane_that_does_not_count_still_evaluates() -> None:
    """Only the code lane prices calls: two lanes that did would double every cost."""
    seen: list[Counted] = []
    work = _intake(count=seen.append, counts=False).read(_record(message([llm_span()])))
    assert len(work.jobs) == 2
    assert seen == [Counted("code")]


def test_what_was_seen_is_counted_with_its_routes() -> None:
    """One entry for each selected span, whichever routes and evaluators it got."""
    seen: list[Counted] = []
    _intake(count=seen.append).read(_record(message([llm_span(), plain_span()])))
    assert [(counted.spans, counted.conventions, counted.routes) for counted in seen] == [
        (2, ["gen_ai"], [("support",)])
    ]


def test_context_is_what_the_retrievers_of_the_trace_found() -> None:
    """Documents of earlier retriever spans of the same trace; not of later ones or other traces."""
    answer = span(start_unix_nano=100, end_unix_nano=200)
    found = [
        span(kind=SpanKind.RETRIEVER, documents=("a", "b"), start_unix_nano=50),
        span(kind=SpanKind.RETRIEVER, documents=("other",), trace_id="f" * 32, start_unix_nano=50),
        span(kind=SpanKind.RETRIEVER, documents=("late",), start_unix_nano=300),
    ]
    assert context_of(answer, [answer, *found]) == ("a", "b")


def test_context_without_retrievers_stands_in_the_prompt() -> None:
    """Documents on the span itself, else the results of its tools."""
    tools = (Message("user", "q"), Message("tool", "result"))
    assert context_of(span(documents=("d",), messages_in=tools), []) == ("d",)
    assert context_of(span(messages_in=tools), []) == ("result",)
    assert context_of(span(), []) == ()
