"""The way in that users have: OpenTelemetry SDK, OTLP, collector, Kafka."""

import time
import uuid
from collections.abc import Callable

from confluent_kafka import Consumer
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from support.collector import Collector
from support.kafka import KafkaServer

WAIT_S = 20


def test_a_span_of_the_sdk_arrives_on_the_topic(
    kafka: KafkaServer, collector: Callable[[str], Collector]
) -> None:
    """What an application records is on the topic as an `ExportTraceServiceRequest`."""
    topic = f"test-{uuid.uuid4()}"
    kafka.create_topics({topic: 1})
    endpoint = collector(topic).endpoint
    provider = TracerProvider(
        resource=Resource({"service.name": "support-bot"}), shutdown_on_exit=False
    )
    provider.add_span_processor(
        SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=5))
    )
    with provider.get_tracer("tests").start_as_current_span("chat gpt-5-mini") as span:
        span.set_attribute("gen_ai.operation.name", "chat")
        trace_id = span.get_span_context().trace_id
    provider.shutdown()

    request = ExportTraceServiceRequest.FromString(_first_value(kafka.bootstrap_servers, topic))

    (resource_spans,) = request.resource_spans
    resource = {item.key: item.value.string_value for item in resource_spans.resource.attributes}
    assert resource["service.name"] == "support-bot"
    (received,) = resource_spans.scope_spans[0].spans
    assert received.name == "chat gpt-5-mini"
    assert received.trace_id == trace_id.to_bytes(16)
    assert {item.key: item.value.string_value for item in received.attributes} == {
        "gen_ai.operation.name": "chat"
    }


def _first_value(bootstrap_servers: str, topic: str) -> bytes:
    source = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"test-{uuid.uuid4()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    source.subscribe([topic])
    try:
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            record = source.poll(0.5)
            if record is not None:
                assert record.error() is None
                value = record.value()
                assert value is not None
                return value
    finally:
        source.close()
    raise AssertionError("nothing arrived")
