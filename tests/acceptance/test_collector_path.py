"""The way that users have: OpenTelemetry SDK, OTLP, a real collector, Kafka, worker, scores."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer, format_span_id, format_trace_id
from support.collector import Collector
from support.conservation import JudgeProcess
from support.kafka import KafkaServer
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    WorkerProcess,
    config_yaml,
    count_topic,
    read_outcomes,
    until,
    worker_process,
)

from schemas.outcome import Outcome
from schemas.reasons import Status

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

EVALUATORS = ("answer_relevance", "pii", "secrets")
CALLS = 20
LEAKS = 2
METRICS = {
    "assay_spans_total": 2 * CALLS,
    "assay_outcomes_total": 3 * CALLS,
    "assay_llm_calls_total": CALLS,
    "assay_llm_tokens_total": CALLS * (25 + 12),
    "assay_judge_requests_total": CALLS,
    "assay_dead_letters_total": 0,
}
"""What the worker's metrics add up to, over all labels."""
SCORE_METRICS = {
    "assay_scores_total": 3 * CALLS,
    "assay_scores_passed_total": 3 * CALLS - LEAKS,
    "assay_score_weight_total": 3 * CALLS,
}
"""The same over these evaluators; cost and latency, which nobody configures, are scores too."""


def _call(tracer: Tracer, answer: str) -> tuple[str, str]:
    """Record a request with one LLM call in it, as an instrumented application does; its ids."""
    with (
        tracer.start_as_current_span("POST /chat"),
        tracer.start_as_current_span("chat gpt-5-mini") as span,
    ):
        span.set_attribute("gen_ai.operation.name", "chat")
        span.set_attribute("gen_ai.provider.name", "openai")
        span.set_attribute("gen_ai.request.model", "gpt-5-mini")
        span.set_attribute("gen_ai.usage.input_tokens", 25)
        span.set_attribute("gen_ai.usage.output_tokens", 12)
        for side, role, text in (
            ("input", "user", "Where is my order?"),
            ("output", "assistant", answer),
        ):
            said = {"role": role, "parts": [{"type": "text", "content": text}]}
            span.set_attribute(f"gen_ai.{side}.messages", json.dumps([said]))
        context = span.get_span_context()
        return format_trace_id(context.trace_id), format_span_id(context.span_id)


def _record(endpoint: str) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """Record calls and export them; ids of the good ones, and of those that leak an address."""
    provider = TracerProvider(
        resource=Resource(
            {"service.name": "support-bot", "deployment.environment.name": "production"}
        ),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(
        BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=10))
    )
    tracer = provider.get_tracer("opentelemetry.instrumentation.openai_v2")
    good = {_call(tracer, "It has been shipped.") for _ in range(CALLS - LEAKS)}
    leaking = {_call(tracer, "Write to jane.doe@example.com.") for _ in range(LEAKS)}
    provider.shutdown()
    return good, leaking


def test_spans_of_the_sdk_become_scores(
    kafka: KafkaServer, collector: Callable[[str], Collector], tmp_path: Path
) -> None:
    """20 calls are recorded; within seconds each has its three outcomes, and the metrics say so."""
    suffix = f"-{uuid4().hex[:8]}"
    servers, scores = kafka.bootstrap_servers, SCORES + suffix
    kafka.create_topics({SPANS + suffix: 3, scores: 1, DEAD + suffix: 1})
    good, leaking = _record(collector(SPANS + suffix).endpoint)
    with JudgeProcess(latency_s=0.05) as judge:
        config = config_yaml(servers, judge_url=judge.url, evaluators=EVALUATORS, suffix=suffix)
        with worker_process(tmp_path, config) as worker:
            until(lambda: count_topic(servers, scores) >= CALLS * 3, 60, worker.died)
            until(lambda: worker.metric("assay_outcomes_total") >= CALLS * 3, 10, worker.died)
            assert {name: worker.metric(name) for name in METRICS} == METRICS
            assert {name: _of_evaluators(worker, name) for name in SCORE_METRICS} == SCORE_METRICS
            assert worker.stop() == 0
    outcomes = read_outcomes(servers, scores)
    assert Counter((o.trace_id, o.span_id) for o in outcomes) == dict.fromkeys(good | leaking, 3)
    assert {o.outcome for o in outcomes} == {Status.SCORED}
    assert {o.subject.service for o in outcomes} == {"support-bot"}
    assert {o.subject.input_tokens for o in outcomes} == {25}
    assert _failed(outcomes, "pii") == leaking
    assert _failed(outcomes, "secrets") == set()
    assert b"jane.doe" not in b"".join(outcome.to_json() for outcome in outcomes)
    assert count_topic(servers, DEAD + suffix) == 0


def _of_evaluators(worker: WorkerProcess, name: str) -> float:
    return sum(worker.metric(name, evaluator=evaluator) for evaluator in EVALUATORS)


def _failed(outcomes: list[Outcome], evaluator: str) -> set[tuple[str, str]]:
    return {
        (o.trace_id, o.span_id)
        for o in outcomes
        if o.evaluator.name == evaluator and o.score is not None and not o.score.passed
    }
