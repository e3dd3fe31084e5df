"""Scores where the trace is: through a real collector they come back, and nothing judges them."""

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from support.collector import Collector
from support.conservation import JudgeProcess
from support.kafka import KafkaServer
from support.spans import llm_span, message, produce, traces
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    WorkerProcess,
    config_yaml,
    read_outcomes,
    read_topic,
    until,
    worker_process,
)

from schemas.outcome import Outcome
from workers.sinks.evaluation_result import span_id

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

EVALUATORS = ("answer_relevance", "pii")
CALLS = 20
OUTCOMES = CALLS * len(EVALUATORS)
SETTLE_S = 3.0
EVERY_SPAN = [
    # It names the kind, so it would select spans of any kind, and those of every service.
    {"name": "all", "when": 'span.name != ""', "evaluators": list(EVALUATORS)}
]


def _sample(worker: WorkerProcess, sample: str) -> float:
    lines = worker.get("/metrics")[1].splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{sample} "))


def _sent(worker: WorkerProcess, output: str) -> float:
    return _sample(worker, f'assay_output_outcomes_total{{output="{output}",result="sent"}}')


def _exports(servers: str, topic: str) -> list[ExportTraceServiceRequest]:
    values = (record.value() for record in read_topic(servers, topic))
    return [ExportTraceServiceRequest.FromString(value) for value in values if value]


def _scoped(exports: list[ExportTraceServiceRequest]) -> list[tuple[ResourceSpans, ScopeSpans]]:
    return [
        (resource, scope)
        for export in exports
        for resource in export.resource_spans
        for scope in resource.scope_spans
    ]


def _own(exports: list[ExportTraceServiceRequest]) -> list[Span]:
    return [
        span for _, scope in _scoped(exports) if scope.scope.name == "assay" for span in scope.spans
    ]


def _rebatched(own: list[Span], call: Span) -> tuple[bytes, int]:
    """Score spans, their ids new, amid those of an application: once with our scope, once without.

    The second half is what something that knows no scopes would make of them.
    """
    copies = []
    for span in own * 2:
        copy = Span()
        copy.CopyFrom(span)
        copy.span_id = secrets.token_bytes(8)
        copies.append(copy)
    export = ExportTraceServiceRequest.FromString(message([call]))
    (resource,) = export.resource_spans
    resource.scope_spans[0].spans.extend(copies[: len(own)])
    resource.scope_spans.append(
        ScopeSpans(scope=InstrumentationScope(name="assay"), spans=copies[len(own) :])
    )
    return export.SerializeToString(), len(copies)


def _explained(trace: str, config: Path) -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("assay")), "explain", trace, "--json"]
    done = subprocess.run([*command, "--config", str(config)], capture_output=True, check=True)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def test_scores_stand_in_the_trace_and_nothing_judges_them(
    kafka: KafkaServer, collector: Callable[[str], Collector], tmp_path: Path
) -> None:
    """20 calls get 40 outcomes and 40 spans; the spans come back, and there are still 40."""
    suffix = f"-{uuid4().hex[:8]}"
    servers, spans, scores = kafka.bootstrap_servers, SPANS + suffix, SCORES + suffix
    logs = f"otlp_scores{suffix}"
    kafka.create_topics({spans: 3, scores: 1, DEAD + suffix: 1, logs: 2})
    endpoint = collector(spans).endpoint
    produce(servers, spans, traces(CALLS))
    with JudgeProcess(latency_s=0.05) as judge:
        config = config_yaml(
            servers,
            judge_url=judge.url,
            suffix=suffix,
            kafka={"otlp_scores": logs},
            routes=EVERY_SPAN,
            outputs={"otlp": {"endpoint": endpoint, "as": ["span"]}},
        )
        with worker_process(tmp_path, config, name="worker") as worker:
            until(lambda: _sent(worker, "otlp_span") == OUTCOMES, 60, worker.died)
            until(lambda: _sent(worker, "kafka_log") == OUTCOMES, 10, worker.died)
            until(lambda: worker.metric("assay_own_spans_total") == OUTCOMES, 30, worker.died)
            own = _own(_exports(servers, spans))
            # Amid spans of an application, with one call more that shows that they were read.
            value, copies = _rebatched(own, llm_span())
            produce(servers, spans, [(None, value)])
            total = OUTCOMES + len(EVALUATORS)
            came_back = total + copies
            until(lambda: worker.metric("assay_own_spans_total") >= came_back, 30, worker.died)
            time.sleep(SETTLE_S)  # noqa: TID251  what must not come has time to come
            assert worker.metric("assay_outcomes_total") == total
            assert worker.metric("assay_llm_calls_total") == CALLS + 1
            assert worker.metric("assay_llm_tokens_total") == (CALLS + 1) * (25 + 12)
            assert worker.metric("assay_own_spans_total") == came_back
            assert worker.metric("assay_spans_total") == 2 * CALLS + 1 + came_back
            assert worker.metric("assay_dead_letters_total") == 0
            assert judge.calls() == CALLS + 1
            assert worker.stop() == 0
    outcomes = read_outcomes(servers, scores)
    assert len(outcomes) == total
    _check_spans(own, outcomes)
    _check_logs(read_topic(servers, logs), outcomes)
    trace = own[0].trace_id.hex()
    said = _explained(trace, tmp_path / "worker.yaml")
    judged = {outcome.span_id for outcome in outcomes if outcome.trace_id == trace}
    assert len(said["spans"]) == 2
    assert judged <= {span["span_id"] for span in said["spans"]}


def _check_spans(own: list[Span], outcomes: list[Outcome]) -> None:
    """Each outcome is one span below the judged one, in its trace."""
    found = {(span.trace_id.hex(), span.parent_span_id.hex(), span.span_id) for span in own}
    wanted = {(o.trace_id, o.span_id, span_id(o.evaluation_id)) for o in outcomes}
    assert len(own) == len(found) == OUTCOMES
    assert found <= wanted


def _check_logs(records: list[Message], outcomes: list[Outcome]) -> None:
    """Each outcome is one record, its key the trace id, its event linked to the judged span."""
    found = set()
    for record in records:
        export = ExportLogsServiceRequest.FromString(record.value() or b"")
        (event,) = export.resource_logs[0].scope_logs[0].log_records
        assert event.event_name == "gen_ai.evaluation.result"
        assert record.key() == event.trace_id.hex().encode()
        values = {pair.key: pair.value.string_value for pair in event.attributes}
        name = values["gen_ai.evaluation.name"]
        found.add((event.trace_id.hex(), event.span_id.hex(), name))
    assert len(records) == len(outcomes)
    assert found == {(o.trace_id, o.span_id, o.evaluator.name) for o in outcomes}
