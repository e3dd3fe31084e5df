"""The slow, obviously right way to read a protobuf message: parse everything, then choose."""

import struct
from collections.abc import Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from schemas.limits import Limits
from schemas.plan import BadSpan, Decoded, Plan
from schemas.reasons import DeadLetterReason
from schemas.span import RawSpan, SpanEvent
from schemas.tracestate import randomness


def full_parse(value: bytes, limits: Limits, plan: Plan) -> Decoded:
    """What `decode` must give for a valid message; details of bad spans are left empty."""
    request = ExportTraceServiceRequest.FromString(value)
    decoded = Decoded()
    resources = [part for number, part in wire_fields(value) if number == 1]
    for resource_spans, resource_part in zip(request.resource_spans, resources, strict=True):
        scopes = [part for number, part in wire_fields(resource_part) if number == 2]
        for scope_spans, scope_part in zip(resource_spans.scope_spans, scopes, strict=True):
            parts = [part for number, part in wire_fields(scope_part) if number == 2]
            scope_data = b"".join(part for number, part in wire_fields(scope_part) if number == 1)
            for span, data in zip(scope_spans.spans, parts, strict=True):
                assert span == Span.FromString(data)
                decoded.span_count += 1
                if any(marker in data or marker in scope_data for marker in plan.markers):
                    source = resource_spans.resource, scope_spans.scope
                    _choose(span, data, source, decoded, plan=plan, limits=limits)
    return decoded


def wire_fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and payload of each length-delimited field of a serialised message."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        match tag & 7:
            case 0:
                _, position = _varint(data, position)
            case 1:
                position += 8
            case 2:
                size, position = _varint(data, position)
                yield tag >> 3, data[position : position + size]
                position += size
            case 5:
                position += 4
            case other:
                raise AssertionError(f"wire type {other} is not generated")


def _varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        (byte,) = struct.unpack_from("B", data, position)
        number |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return number, position


def _choose(
    span: Any, data: bytes, source: tuple[Any, Any], decoded: Decoded, *, plan: Plan, limits: Limits
) -> None:
    has_trace_id = _named(span.trace_id, 16) is not None
    kept = not has_trace_id or randomness(span.trace_id.hex(), span.trace_state) >= plan.threshold
    if not kept and not plan.usage:
        return
    most = limits.attributes_per_span
    if any(len(items) > most for items in (span.attributes, span.events, span.links)):
        decoded.bad.append(BadSpan(data, DeadLetterReason.TOO_MANY, ""))
    elif not has_trace_id or _named(span.span_id, 8) is None:
        decoded.bad.append(BadSpan(data, DeadLetterReason.INVALID_ID, ""))
    else:
        raw = _raw_span(span, data, source)
        if kept:
            decoded.spans.append(raw)
        else:
            raw.attributes = {k: v for k, v in raw.attributes.items() if k in plan.usage_keys}
            raw.events, raw.links, raw.status_message = (), (), ""
            decoded.light.append(raw)


def _raw_span(span: Any, data: bytes, source: tuple[Any, Any]) -> RawSpan:
    resource, scope = source
    return RawSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=_named(span.parent_span_id, 8),
        trace_state=span.trace_state,
        name=span.name,
        start_unix_nano=span.start_time_unix_nano,
        end_unix_nano=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        events=tuple(SpanEvent(event.name, _attributes(event.attributes)) for event in span.events),
        links=tuple(
            (trace_id, span_id)
            for link in span.links
            if (trace_id := _named(link.trace_id, 16)) and (span_id := _named(link.span_id, 8))
        ),
        status_code=span.status.code,
        status_message=span.status.message,
        scope_name=scope.name,
        scope_version=scope.version,
        resource=_attributes(resource.attributes),
        size_bytes=len(data),
    )


def _named(identifier: bytes, size: int) -> str | None:
    return identifier.hex() if len(identifier) == size and any(identifier) else None


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: _python(pair.value) for pair in pairs}


def _python(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_python(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind)
