"""Read an `ExportTraceServiceRequest` in protobuf, and pay only for the spans that are wanted.

On most topics 1 span in 100 is wanted: a sampled one, of an LLM application. The order of the steps
is the order of their prices (`bench/decode.py` prints what they save). Identical to parsing
everything for each valid message, whatever the order of its fields: `tests/schemas` shows it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import InstrumentationScope
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as FullSpan

from .checks import (
    NO_SPAN_ID,
    NO_TRACE_ID,
    MarkerSearch,
    check_count,
    check_levels,
    hex_id,
    is_kept,
    marker_search,
    too_deep,
    valid_ids,
)
from .envelope import Counts, LightSpan, Request
from .errors import Undecodable
from .head_sampling import Block, head_fields, kept_blocks
from .limits import Limits
from .plan import BadSpan, Decoded, Plan
from .reasons import DeadLetterReason
from .span import RawSpan, SpanEvent

_LARGE_BYTES = 65_536
"""A larger span is counted before it is read in full, which takes up to 27 times its size."""

_LIKE_JSON = re.compile(rb"(\xef\xbb\xbf)?[ \t\r\n]*[\[{][ \t\r\n]*[\[\]{}\"]")


class _Resource(NamedTuple):
    attributes: Mapping[str, Any]
    failure: Undecodable | None
    """Why it cannot be read."""


class _Scope(NamedTuple):
    name: str
    version: str
    is_marked: bool
    failure: Undecodable | None
    """Why it cannot be read."""


_Source = tuple[_Resource, _Scope]
"""What the spans of one scope share."""

_Found = tuple[bytes, _Source]
"""A span to be read."""


def decode_protobuf(value: bytes, limits: Limits, plan: Plan) -> Decoded:
    """Read one message; see `schemas.otlp.decode`.

    Raises:
        Undecodable: The envelope cannot be read, or holds more spans than `limits` allow.
    """
    sampling = plan.threshold > 0 and not plan.usage
    heads = head_fields(value) if sampling else None
    blocks, count = _blocks(value, limits)
    if not count:
        _check_format(value)
    if sampling:
        blocks = kept_blocks(heads, blocks, count, plan.threshold)
    decoded = Decoded(span_count=count)
    found = _wanted_spans(blocks, limits, marker_search(plan.markers))
    if not (plan.usage and plan.threshold and _read_together(found, limits, plan, decoded)):
        for data, source in found:
            _read(data, source, limits, plan, decoded)
    return decoded


def _wanted_spans(blocks: list[Block], limits: Limits, search: MarkerSearch) -> list[_Found]:
    """The spans with a marker, with what their scope and resource say."""
    owner = resource = None
    found: list[_Found] = []
    for resource_spans, scope_spans, spans in blocks:
        scope = _scope(b"".join(scope_spans.scope[:]), search)
        marked = spans[:] if scope.is_marked else _marked(spans[:], search)
        if not marked:
            continue
        if resource is None or owner is not resource_spans:
            owner = resource_spans
            resource = _resource(b"".join(owner.resource[:]), limits)
        source = resource, scope
        found += [(data, source) for data in marked]
    return found


def _blocks(value: bytes, limits: Limits) -> tuple[list[Block], int]:
    """All blocks of a message, and how many spans they hold."""
    try:
        request = Request.FromString(value)
    except DecodeError as error:
        raise _foreign(value) or _unreadable(error) from error
    most = limits.spans_per_message
    if len(request.resource_spans) > most:
        raise _too_many("resources", len(request.resource_spans), limits)
    blocks: list[Block] = []
    count = 0
    for resource_spans in request.resource_spans[:]:
        scopes = resource_spans.scope_spans
        if len(blocks) + len(scopes) > most:
            raise _too_many("scopes", len(blocks) + len(scopes), limits)
        for scope_spans in scopes[:]:
            spans = scope_spans.spans
            count += len(spans)
            blocks.append((resource_spans, scope_spans, spans))
    if count > most:
        raise _too_many("spans", count, limits)
    return blocks, count


def _too_many(what: str, count: int, limits: Limits) -> Undecodable:
    detail = (
        f"{count} {what} in one message; limits.spans_per_message is {limits.spans_per_message}"
    )
    return Undecodable(DeadLetterReason.TOO_MANY, detail)


def _marked(spans: Sequence[bytes], search: MarkerSearch) -> Sequence[bytes]:
    """The spans with a marker.

    One library wrote them all, so mostly either none or every one has it: all are searched at once.
    """
    if len(spans) > 1 and not search(b"".join(spans)):
        return ()
    return [data for data in spans if search(data)]


def _resource(data: bytes, limits: Limits) -> _Resource:
    read = _usual_resource if len(data) <= _USUAL_BYTES else _parse_resource
    return read(data, limits)


def _parse_resource(data: bytes, limits: Limits) -> _Resource:
    try:
        resource = Resource.FromString(data)
        check_count("resource attributes", len(resource.attributes), limits)
        return _Resource(_attributes(resource.attributes, limits), None)
    except DecodeError as error:
        return _Resource({}, _unreadable(error, "the span's resource"))
    except Undecodable as error:
        return _Resource({}, Undecodable(error.reason, error.detail))


def _scope(data: bytes, search: MarkerSearch) -> _Scope:
    read = _usual_scope if len(data) <= _USUAL_BYTES else _parse_scope
    return read(data, search)


def _parse_scope(data: bytes, search: MarkerSearch) -> _Scope:
    try:
        scope = InstrumentationScope.FromString(data)
    except DecodeError as error:
        return _Scope("", "", search(data), _unreadable(error, "the span's scope"))
    return _Scope(scope.name, scope.version, search(data), None)


# The same few services and libraries stand in message after message. Nobody changes what is shared.
# Of each 256 are remembered, none of more than 4 kB: some 20 MB where somebody sends different ones
# of the smallest attributes, 1 MB of what is usual.
_USUAL_BYTES = 4096
_usual_resource = lru_cache(maxsize=256)(_parse_resource)
_usual_scope = lru_cache(maxsize=256)(_parse_scope)


def _read_together(found: list[_Found], limits: Limits, plan: Plan, decoded: Decoded) -> bool:
    """Read all spans, those that are not kept lightly; False, and nothing read, if one is bad.

    Each step for all spans before the next step: so little code at a time stays in the processor's
    cache, and 20 spans take 263 instead of 294 µs.
    """
    try:
        _check_all_counts([data for data, _ in found], limits)
        lights = [LightSpan.FromString(data) for data, _ in found]
        kept = [is_kept(light.trace_id, light.trace_state, plan.threshold) for light in lights]
        attributes = [_wanted(light.attributes, plan.usage_keys, limits) for light in lights]
        spans = [
            _full(data, source, limits)
            for (data, source), is_full in zip(found, kept, strict=True)
            if is_full
        ]
        decoded.light = [
            _light(light, wanted, data, source)
            for (data, source), light, wanted, is_full in zip(
                found, lights, attributes, kept, strict=True
            )
            if not is_full
        ]
    except (DecodeError, Undecodable):
        return False
    decoded.spans = spans
    return True


def _light(light: Any, attributes: dict[str, Any], data: bytes, source: _Source) -> RawSpan:
    resource, scope = source
    return RawSpan(
        *_ids(light.trace_id, light.span_id, source),
        hex_id(light.parent_span_id, NO_SPAN_ID),
        light.trace_state,
        light.name,
        light.start_time_unix_nano,
        light.end_time_unix_nano,
        attributes,
        (),
        (),
        light.status.code,
        "",
        scope.name,
        scope.version,
        resource.attributes,
        len(data),
    )


def _read(data: bytes, source: _Source, limits: Limits, plan: Plan, decoded: Decoded) -> None:
    try:
        if plan.usage and plan.threshold:
            _check_counts(Counts.FromString(data), limits)
            light = LightSpan.FromString(data)
            if not is_kept(light.trace_id, light.trace_state, plan.threshold):
                attributes = _wanted(light.attributes, plan.usage_keys, limits)
                decoded.light.append(_light(light, attributes, data, source))
                return
        decoded.spans.append(_full(data, source, limits))
    except DecodeError as error:
        failure = _unreadable(error)
        decoded.bad.append(BadSpan(data, failure.reason, failure.detail))
    except Undecodable as error:
        decoded.bad.append(BadSpan(data, error.reason, error.detail))


def _check_counts(span: Any, limits: Limits) -> None:
    check_count("attributes", len(span.attributes), limits)
    check_count("events", len(span.events), limits)
    check_count("links", len(span.links), limits)


def _check_all_counts(spans: list[bytes], limits: Limits) -> None:
    try:  # what all have together, no single one exceeds
        _check_counts(Counts.FromString(b"".join(spans)), limits)
    except Undecodable:
        for data in spans:
            _check_counts(Counts.FromString(data), limits)


def _wanted(values: Mapping[str, Any], keys: frozenset[str], limits: Limits) -> dict[str, Any]:
    attributes = {}
    for key in keys.intersection(values):
        value = values[key]
        attributes[key] = value.string_value or value.int_value or _python(value, limits.nesting)
    return attributes


def _ids(trace_id: bytes, span_id: bytes, source: _Source) -> tuple[str, str]:
    ids = valid_ids(trace_id, span_id)
    resource, scope = source
    failure = scope.failure or resource.failure
    if failure is not None:
        # A new one each time: a raised exception gathers a traceback entry with every raise.
        raise Undecodable(failure.reason, failure.detail)
    return ids


def _full(data: bytes, source: _Source, limits: Limits) -> RawSpan:
    if len(data) > _LARGE_BYTES:
        _check_counts(Counts.FromString(data), limits)
    span = FullSpan.FromString(data)
    attributes, events, links = span.attributes, span.events, span.links
    if max(len(attributes), len(events), len(links)) > limits.attributes_per_span:
        _check_counts(span, limits)
    trace_id, span_id = _ids(span.trace_id, span.span_id, source)
    resource, scope = source
    status = span.status
    return RawSpan(
        trace_id,
        span_id,
        hex_id(span.parent_span_id, NO_SPAN_ID),
        span.trace_state,
        span.name,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(attributes, limits),
        tuple([_event(event, limits) for event in events]) if events else (),
        tuple(_links(links)) if links else (),
        status.code,
        status.message,
        scope.name,
        scope.version,
        resource.attributes,
        len(data),
    )


def _event(event: Any, limits: Limits) -> SpanEvent:
    check_count("attributes of one event", len(event.attributes), limits)
    return SpanEvent(event.name, _attributes(event.attributes, limits))


def _links(links: Iterable[Any]) -> Iterable[tuple[str, str]]:
    for link in links:
        trace_id = hex_id(link.trace_id, NO_TRACE_ID)
        span_id = hex_id(link.span_id, NO_SPAN_ID)
        if trace_id and span_id:
            yield trace_id, span_id


def _attributes(pairs: Sequence[Any], limits: Limits) -> dict[str, Any]:
    attributes = {}
    for pair in pairs[:]:
        value = pair.value
        # Non-empty text and numbers, nearly all there is, without asking which one it is:
        # 18 instead of 22 µs for an LLM span.
        attributes[pair.key] = (
            value.string_value or value.int_value or _python(value, limits.nesting)
        )
    return attributes


def _python(value: Any, levels: int) -> Any:
    kind = value.WhichOneof("value")
    match kind:
        case "array_value":
            check_levels(levels)
            items = value.array_value.values[:]
            return [item.string_value or _python(item, levels - 1) for item in items]
        case "kvlist_value":
            check_levels(levels)
            pairs = value.kvlist_value.values[:]
            return {pair.key: _python(pair.value, levels - 1) for pair in pairs}
        case "string_value" | "bool_value" | "int_value" | "double_value" | "bytes_value":
            return getattr(value, kind)
        case _:  # nothing set, or a reference into a table that only profiles have
            return None


_GZIP = b"\x1f\x8b"


def _unreadable(error: DecodeError, what: str = "protobuf") -> Undecodable:
    text = str(error)
    # upb says which of its checks failed in words only.
    if "UTF-8" in text:
        return Undecodable(DeadLetterReason.INVALID_UTF8, f"{what}: a string is not UTF-8")
    if "MaxDepth" in text or "depth" in text:
        return too_deep(what)
    return Undecodable(DeadLetterReason.UNDECODABLE, f"{what}: {text.rpartition(': ')[2].lower()}")


def _check_format(value: bytes) -> None:
    """A message without any span is valid, but is it one of ours at all?"""
    if foreign := _foreign(value):
        raise foreign
    try:
        request = ExportTraceServiceRequest.FromString(value)
    except DecodeError as error:
        raise Undecodable(
            DeadLetterReason.WRONG_FORMAT,
            "no spans, and resources that cannot be read: not an OTLP trace export (Zipkin?); "
            "set the collector's Kafka exporter to encoding otlp_proto or otlp_json",
        ) from error
    if value and not request.resource_spans:
        raise Undecodable(
            DeadLetterReason.WRONG_FORMAT,
            "protobuf without any resource_spans: not an OTLP trace export; "
            "set the collector's Kafka exporter to encoding otlp_proto or otlp_json",
        )


def _foreign(value: bytes) -> Undecodable | None:
    """What else the value looks like, once it is known to be no readable OTLP protobuf."""
    if _LIKE_JSON.match(value):
        return Undecodable(
            DeadLetterReason.WRONG_FORMAT,
            "looks like JSON, not protobuf; set kafka.encoding to auto or otlp_json",
        )
    if value.startswith(_GZIP):
        return Undecodable(
            DeadLetterReason.WRONG_FORMAT,
            "looks packed by gzip, which is not undone; let the Kafka producer compress "
            "(compression.type), not its value",
        )
    if value.startswith(b"\n\x10") and value[18:20] == b"\x12\x08":
        return Undecodable(
            DeadLetterReason.WRONG_FORMAT,
            "looks like one Jaeger span; set the collector's Kafka exporter to encoding "
            "otlp_proto or otlp_json",
        )
    return None
