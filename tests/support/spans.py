"""Make the OTLP spans that an instrumented LLM application exports, and put them on a topic.

Attribute names are those of the OpenTelemetry GenAI semantic conventions, content included
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/).
"""

import json
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

Attribute = str | bool | int | float | list[str]
KeyedMessage = tuple[bytes | None, bytes]
"""Key and value of a Kafka record."""

_SECOND_NS = 1_000_000_000
_DELIVERY_TIMEOUT_S = 30


def llm_span(
    question: str | None = "How do I reset my password?",
    answer: str | None = "Choose “Forgot password” on the sign-in page.",
    *,
    system: str | None = None,
    trace_id: bytes | None = None,
    parent_span_id: bytes = b"",
    model: str = "gpt-5-mini",
    input_tokens: int = 25,
    output_tokens: int = 12,
    error_type: str | None = None,
    duration_s: float = 1.0,
    attributes: Mapping[str, Attribute] | None = None,
) -> Span:
    """Make the span of one chat call that has just ended.

    Args:
        question: What the user asked; None: content was not captured.
        answer: What the model answered; None: not captured, or there was none.
        system: The system instructions.
        trace_id: 16 bytes; None: a trace of its own.
        parent_span_id: 8 bytes, or empty for a root.
        model: The model asked, and the one that answered.
        input_tokens: Usage as the provider counts it.
        output_tokens: Usage as the provider counts it.
        error_type: Such as `timeout`; makes the call a failed one.
        duration_s: Seconds from start to end.
        attributes: More attributes; they win over the ones made here.
    """
    known: dict[str, Attribute] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
    }
    if system is not None:
        known["gen_ai.system_instructions"] = json.dumps([_text(system)])
    if question is not None:
        known["gen_ai.input.messages"] = json.dumps([{"role": "user", "parts": [_text(question)]}])
    if answer is not None:
        said = {"role": "assistant", "parts": [_text(answer)], "finish_reason": "stop"}
        known["gen_ai.output.messages"] = json.dumps([said])
    if error_type is None:
        known["gen_ai.response.id"] = f"chatcmpl-{secrets.token_hex(12)}"
        known["gen_ai.response.model"] = model
        known["gen_ai.response.finish_reasons"] = ["stop"]
        known["gen_ai.usage.input_tokens"] = input_tokens
        known["gen_ai.usage.output_tokens"] = output_tokens
    else:
        known["error.type"] = error_type
    span = plain_span(
        f"chat {model}",
        trace_id=trace_id,
        parent_span_id=parent_span_id,
        duration_s=duration_s,
        attributes=known | dict(attributes or {}),
    )
    if error_type is not None:
        span.status.code = Status.STATUS_CODE_ERROR
    return span


def plain_span(
    name: str = "GET /orders",
    *,
    trace_id: bytes | None = None,
    parent_span_id: bytes = b"",
    duration_s: float = 1.0,
    attributes: Mapping[str, Attribute] | None = None,
) -> Span:
    """Make a span that is no LLM call and has just ended, such as an HTTP request."""
    end = time.time_ns()
    return Span(
        trace_id=trace_id or secrets.token_bytes(16),
        span_id=secrets.token_bytes(8),
        parent_span_id=parent_span_id,
        name=name,
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=end - int(duration_s * _SECOND_NS),
        end_time_unix_nano=end,
        attributes=_key_values(attributes or {}),
    )


def keyed_trace(*calls: tuple[str, str]) -> list[KeyedMessage]:
    """Make a trace, a record for each call (question, answer) and for the request around them."""
    root = plain_span("POST /run")
    spans = [
        llm_span(asked, answer, trace_id=root.trace_id, parent_span_id=root.span_id)
        for asked, answer in calls
    ]
    key = root.trace_id.hex().encode()
    return [(key, message([span])) for span in (*spans, root)]


def message(
    spans: Iterable[Span],
    *,
    service: str = "support-bot",
    environment: str = "production",
    scope: str = "opentelemetry.instrumentation.genai.openai",
) -> bytes:
    """Serialise spans of one service as the `ExportTraceServiceRequest` that a collector writes."""
    resource = {"service.name": service, "deployment.environment.name": environment}
    scoped = ScopeSpans(scope=InstrumentationScope(name=scope, version="1.0"), spans=spans)
    return ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(resource=Resource(attributes=_key_values(resource)), scope_spans=[scoped])
        ]
    ).SerializeToString()


def traces(count: int, *, service: str = "support-bot") -> Iterator[KeyedMessage]:
    """Make traces of an HTTP request with one LLM call in it, one message each.

    The key is the trace id in hex, as the official collector writes it.
    """
    for number in range(count):
        root = plain_span("POST /chat")
        call = llm_span(
            f"What is the status of order {number}?",
            f"Order {number} has been shipped.",
            trace_id=root.trace_id,
            parent_span_id=root.span_id,
        )
        yield root.trace_id.hex().encode(), message([root, call], service=service)


def produce(bootstrap_servers: str, topic: str, messages: Iterable[KeyedMessage]) -> int:
    """Put messages on a topic; returns how many, once the broker has acknowledged them all.

    Raises:
        KafkaException: One was not delivered.
        TimeoutError: Some were not acknowledged in time.
    """
    failures: list[KafkaError] = []

    def note(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer({"bootstrap.servers": bootstrap_servers, "enable.idempotence": True})
    count = 0
    for key, value in messages:
        while True:
            try:
                producer.produce(topic, value, key, on_delivery=note)
                break
            except BufferError:  # its queue is full: let some be acknowledged
                producer.poll(0.1)
        count += 1
    if unacknowledged := producer.flush(_DELIVERY_TIMEOUT_S):
        raise TimeoutError(f"{unacknowledged} of {count} messages were not acknowledged")
    if failures:
        raise KafkaException(failures[0])
    return count


def _text(content: str) -> dict[str, str]:
    return {"type": "text", "content": content}


def _key_values(attributes: Mapping[str, Attribute]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any_value(value)) for key, value in attributes.items()]


def _any_value(value: Attribute) -> AnyValue:
    match value:
        case bool():  # before int, which it is a kind of
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case list():
            return AnyValue(array_value=ArrayValue(values=[_any_value(item) for item in value]))
