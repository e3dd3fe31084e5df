"""The official collector with the config that ships, where ASSAY_OTELCOL names one.

It is in no package that tests could install; docs/collector.md says what must be in it.
"""

import os
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.applications import Traffic
from support.conservation import JudgeProcess
from support.kafka import KafkaServer
from support.processes import free_ports, last_lines, spawn, stop
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    config_yaml,
    count_topic,
    read_outcomes,
    read_topic,
    until,
    worker_process,
)

from schemas.reasons import Status

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(
        "ASSAY_OTELCOL" not in os.environ, reason="ASSAY_OTELCOL names no collector"
    ),
]

CONFIG = Path(__file__).parents[2] / "deploy" / "collector" / "config.yaml"
SERVICES = ("support-bot", "shop-assistant")
CALLS = 50


def test_it_accepts_the_config() -> None:
    """`otelcol validate` finds no fault."""
    command = [os.environ["ASSAY_OTELCOL"], "validate", "--config", str(CONFIG)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 0, ended.stderr


def test_each_trace_is_a_record_with_its_id_as_key(kafka: KafkaServer, tmp_path: Path) -> None:
    """100 calls of two services, while no Jaeger is there: each is on the topic, once, keyed."""
    topic = f"otlp_spans-{uuid4().hex[:8]}"
    kafka.create_topics({topic: 3})
    with _collector(kafka, topic, tmp_path) as (endpoint, metrics):
        traces = _calls(endpoint, SERVICES)
        until(lambda: count_topic(kafka.bootstrap_servers, topic) >= len(traces), 30)
        assert "otelcol_exporter_sent_spans" in _metrics(metrics)
    found: list[str] = []
    for record in read_topic(kafka.bootstrap_servers, topic):
        ids = {
            span.trace_id.hex()
            for resource in ExportTraceServiceRequest.FromString(
                record.value() or b""
            ).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }
        assert {(record.key() or b"").decode()} == ids
        found += ids
    assert sorted(found) == sorted(traces)


def test_scores_that_come_back_are_no_part_of_a_trace(kafka: KafkaServer, tmp_path: Path) -> None:
    """Scores go into the topic of spans, some while their trace still waits: nothing changes."""
    suffix = f"-{uuid4().hex[:8]}"
    kafka.create_topics({SPANS + suffix: 3, SCORES + suffix: 3, DEAD + suffix: 1})
    with (
        _collector(kafka, SPANS + suffix, tmp_path) as (endpoint, _),
        JudgeProcess(latency_s=0.05) as judge,
    ):
        config = config_yaml(
            kafka.bootstrap_servers,
            judge_url=judge.url,
            evaluators=["pii", "task_completion"],
            suffix=suffix,
            traces={"idle_s": 5, "max_age_s": 60},
            outputs={"otlp": {"endpoint": endpoint, "as": ["span"]}},
        )
        with worker_process(tmp_path, config) as worker:
            worker.wait_ready()
            traces = _calls(endpoint, SERVICES[:1])
            until(lambda: worker.metric("assay_own_spans_total") >= CALLS, 30, worker.died)
            assert worker.metric("assay_traces_concluded_total") == 0, "too late to be of use"
            until(lambda: worker.metric("assay_own_spans_total") >= 2 * CALLS, 30, worker.died)
            asked = judge.calls()
            time.sleep(8)  # noqa: TID251  longer than a trace that they had begun would wait
            assert worker.metric("assay_trace_late_spans_total") == 0
            assert judge.calls() == asked
            assert worker.stop() == 0
    outcomes = read_outcomes(kafka.bootstrap_servers, SCORES + suffix)
    assert Counter((o.trace_id, o.evaluator.name, o.revision) for o in outcomes) == {
        (trace, name, 1): 1 for trace in traces for name in ("pii", "task_completion")
    }
    assert {o.outcome for o in outcomes} == {Status.SCORED}


def _calls(endpoint: str, services: Sequence[str]) -> list[str]:
    """Make calls of each service by the SDK and export them; the ids of their traces."""
    traffic = Traffic(endpoint, dict.fromkeys(services, 1.0), 60)
    for _ in range(CALLS):
        for service in services:
            traffic.call(service)
    traffic.stop()
    return traffic.traces


@contextmanager
def _collector(kafka: KafkaServer, topic: str, folder: Path) -> Iterator[tuple[str, int]]:
    """It runs with the config that ships; its endpoint, and the port of its metrics."""
    grpc, http, metrics, nobody = free_ports(4)
    text = CONFIG.read_text()
    for shipped, here in (
        ("kafka:19092", kafka.bootstrap_servers),
        ("topic: otlp_spans", f"topic: {topic}"),
        ("0.0.0.0:4317", f"127.0.0.1:{grpc}"),
        ("0.0.0.0:4318", f"127.0.0.1:{http}"),
        ("host: 0.0.0.0, port: 8888", f"host: 127.0.0.1, port: {metrics}"),
        ("jaeger:4317", f"127.0.0.1:{nobody}"),
    ):
        assert shipped in text, shipped
        text = text.replace(shipped, here)
    config, log = folder / "config.yaml", folder / "otelcol.log"
    config.write_text(text)
    process = spawn([os.environ["ASSAY_OTELCOL"], "--config", str(config)], log=log)
    try:
        until(lambda: _metrics(metrics) != "", 30, lambda: _died(process, log))
        yield f"http://127.0.0.1:{http}", metrics
    finally:
        stop(process)


def _metrics(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
            text: str = reply.read().decode()
            return text
    except OSError:
        return ""


def _died(process: subprocess.Popen[bytes], log: Path) -> str | None:
    return None if process.poll() is None else last_lines(log)
