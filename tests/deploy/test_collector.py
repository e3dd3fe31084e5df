"""The official collector with the config that ships, where ASSAY_OTELCOL names one.

It is in no package that tests could install; docs/collector.md says what must be in it.
"""

import os
import subprocess
import urllib.request
from pathlib import Path
from uuid import uuid4

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.applications import Traffic
from support.kafka import KafkaServer
from support.processes import free_ports, last_lines, spawn, stop
from support.workers import count_topic, read_topic, until

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
    config, log = tmp_path / "config.yaml", tmp_path / "otelcol.log"
    config.write_text(text)
    process = spawn([os.environ["ASSAY_OTELCOL"], "--config", str(config)], log=log)
    try:
        until(lambda: _metrics(metrics) != "", 30, lambda: _died(process, log))
        traffic = Traffic(f"http://127.0.0.1:{http}", dict.fromkeys(SERVICES, 1.0), 60)
        for _ in range(CALLS):
            for service in SERVICES:
                traffic.call(service)
        traffic.stop()
        until(lambda: count_topic(kafka.bootstrap_servers, topic) >= len(traffic.traces), 30)
        assert "otelcol_exporter_sent_spans" in _metrics(metrics)
    finally:
        stop(process)
    found: list[str] = []
    for record in read_topic(kafka.bootstrap_servers, topic):
        traces = {
            span.trace_id.hex()
            for resource in ExportTraceServiceRequest.FromString(
                record.value() or b""
            ).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }
        assert {(record.key() or b"").decode()} == traces
        found += traces
    assert sorted(found) == sorted(traffic.traces)


def _metrics(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as reply:
            text: str = reply.read().decode()
            return text
    except OSError:
        return ""


def _died(process: subprocess.Popen[bytes], log: Path) -> str | None:
    return None if process.poll() is None else last_lines(log)
