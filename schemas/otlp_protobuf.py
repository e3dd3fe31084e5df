"""Read an `ExportTraceServiceRequest` in protobuf, and pay only for the spans that are wanted.

On most topics 1 span in 100 is wanted: a sampled one, of an LLM application. The order of the steps
is the order of their prices (`bench/decode.py` prints what they save). Identical to parsing
everything for each valid message, whatever the order of its fields: `tests/schemas` shows it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
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
    ReadOnce,
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
from .head_sampling import Block, kept_blocks
from .limits import Limits
from .plan import BadSpan, Decoded, Plan
from .reasons import DeadLetterReason
from .span import RawSpan, SpanEvent

_FEW_SPANS = 4
"""Up to here each span of a scope is searched, without a look at all of them at once; a guess."""

_LIKE_JSON = re.compile(rb"(\xef\xbb\xbf)?[ \t\r\n]*[\[{][ \t\r\n]*[\[\]{}\"]")


class _Source(NamedTuple):
    """What the spans of one scope share."""

    resource: Mapping[str, Any]
    scope_name: str
    scope_version: str
    failure: Undecodable | None
    """Why the scope, or else the resource, cannot be read."""


_Found = tuple[bytes, _Source]
"""A span to be read."""


def decode_protobuf(value: bytes, limits: Limits, plan: Plan) -> Decoded:
    """Read one message; see `schemas.otlp.decode`.

    Raises:
        Undecodable: The envelope cannot be read, or holds more spans than `limits` allow.
    """
    blocks = _blocks(value, limits)
    count = sum([len(spans) for _, _, spans in blocks])
    if not count:
        _check_format(value)
    _check_total("spans", count, limits)
    if plan.threshold and not plan.usage:
        blocks = kept_blocks(value, blocks, count, plan.threshold)
    decoded = Decoded(span_count=count)
    search = marker_search(plan.markers)
    owner = resource = None
    found: list[_Found] = []
    for resource_spans, scope_spans, spans in blocks:
        scope_data = b"".join(scope_spans.scope)
        marked = _marked(scope_data, spans, search)
        if not marked:
            continue
        if resource is None or owner is not resource_spans:
            owner = resource_spans
            resource = ReadOnce(partial(_resource, b"".join(owner.resource), limits))
        source = _source(resource, scope_data)
        found += [(data, source) for data in marked]
    if not (plan.usage and plan.threshold and _read_together(found, limits, plan, decoded)):
        for data, source in found:
            _read(data, source, limits, plan, decoded)
    return decoded


def _blocks(value: bytes, limits: Limits) -> list[Block]:
    try:
        request = Request.FromString(value)
    except DecodeError as error:
        raise _foreign(value) or _unreadable(error) from error
    blocks: list[Block] = []
    _check_total("resources", len(request.resource_spans), limits)
    for resource_spans in request.resource_spans:
        scopes = resource_spans.scope_spans
        _check_total("scopes", len(blocks) + len(scopes), limits)
        blocks += [(resource_spans, scope_spans, scope_spans.spans) for scope_spans in scopes]
    return blocks


def _check_total(what: str, count: int, limits: Limits) -> None:
    if count > limits.spans_per_message:
        raise Undecodable(
            DeadLetterReason.TOO_MANY,
            f"{count} {what} in one message; limits.spans_per_message is "
            f"{limits.spans_per_message}",
        )


def _marked(scope: bytes, spans: Sequence[bytes], search: MarkerSearch) -> Sequence[bytes]:
    """The spans with a marker, all of them if their scope has it.

    One library wrote them all: the first mostly tells, else all are searched at once.
    """
    spans = spans[:]  # bytes objects once, and in one go
    is_marked = _is_usual_scope_marked if len(scope) <= _USUAL_BYTES else _is_marked
    if is_marked(scope, search):
        return spans
    if len(spans) > _FEW_SPANS and not search(spans[0]) and not search(b"".join(spans)):
        return ()
    return [data for data in spans if search(data)]


def _is_marked(data: bytes, search: MarkerSearch) -> bool:
    return search(data)


def _source(resource: ReadOnce[Mapping[str, Any]], scope_data: bytes) -> _Source:
    try:
        name, version = _scope(scope_data)
        return _Source(resource.get(), name, version, None)
    except Undecodable as error:
        return _Source({}, "", "", error)


def _resource(data: bytes, limits: Limits) -> Mapping[str, Any]:
    read = _usual_resource if len(data) <= _USUAL_BYTES else _parse_resource
    return read(data, limits)


def _parse_resource(data: bytes, limits: Limits) -> Mapping[str, Any]:
    try:
        resource = Resource.FromString(data)
    except DecodeError as error:
        raise _unreadable(error, "the span's resource") from error
    check_count("resource attributes", len(resource.attributes), limits)
    return _attributes(resource.attributes, limits)


def _scope(data: bytes) -> tuple[str, str]:
    read = _usual_scope if len(data) <= _USUAL_BYTES else _parse_scope
    return read(data)


def _parse_scope(data: bytes) -> tuple[str, str]:
    try:
        scope = InstrumentationScope.FromString(data)
    except DecodeError as error:
        raise _unreadable(error, "the span's scope") from error
    return scope.name, scope.version


# The same few services and libraries stand in message after message. Nobody changes what is shared.
_USUAL_BYTES = 4096
_usual_resource = lru_cache(maxsize=256)(_parse_resource)
_usual_scope = lru_cache(maxsize=256)(_parse_scope)
_is_usual_scope_marked = lru_cache(maxsize=256)(_is_marked)


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
        source.scope_name,
        source.scope_version,
        source.resource,
        len(data),
    )


def _read(data: bytes, source: _Source, limits: Limits, plan: Plan, decoded: Decoded) -> None:
    try:
        _check_counts(data, limits)
        if plan.usage and plan.threshold:
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


def _check_counts(data: bytes, limits: Limits) -> None:
    # The shortest field takes two bytes, so most spans are too small to hold too many.
    if len(data) > 2 * limits.attributes_per_span:
        counts = Counts.FromString(data)
        check_count("attributes", len(counts.attributes), limits)
        check_count("events", len(counts.events), limits)
        check_count("links", len(counts.links), limits)


def _check_all_counts(spans: list[bytes], limits: Limits) -> None:
    try:
        _check_counts(b"".join(spans), limits)  # what all have together, no single one exceeds
    except Undecodable:
        for data in spans:
            _check_counts(data, limits)


def _wanted(values: Mapping[str, Any], keys: frozenset[str], limits: Limits) -> dict[str, Any]:
    attributes = {}
    for key in keys.intersection(values):
        value = values[key]
        attributes[key] = value.string_value or value.int_value or _python(value, limits.nesting)
    return attributes


def _ids(trace_id: bytes, span_id: bytes, source: _Source) -> tuple[str, str]:
    ids = valid_ids(trace_id, span_id)
    if source.failure is not None:
        # A new one each time: a raised exception gathers a traceback entry with every raise.
        raise Undecodable(source.failure.reason, source.failure.detail)
    return ids


def _full(data: bytes, source: _Source, limits: Limits) -> RawSpan:
    span = FullSpan.FromString(data)
    return RawSpan(
        *_ids(span.trace_id, span.span_id, source),
        hex_id(span.parent_span_id, NO_SPAN_ID),
        span.trace_state,
        span.name,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _attributes(span.attributes, limits),
        tuple(_event(event, limits) for event in span.events) if span.events else (),
        tuple(_links(span.links)) if span.links else (),
        span.status.code,
        span.status.message,
        source.scope_name,
        source.scope_version,
        source.resource,
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


def _attributes(pairs: Iterable[Any], limits: Limits) -> dict[str, Any]:
    attributes = {}
    for pair in pairs:
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
            return [_python(item, levels - 1) for item in value.array_value.values]
        case "kvlist_value":
            check_levels(levels)
            pairs = value.kvlist_value.values
            return {pair.key: _python(pair.value, levels - 1) for pair in pairs}
        case "string_value" | "bool_value" | "int_value" | "double_value" | "bytes_value":
            return getattr(value, kind)
        case _:  # nothing set, or a reference into a table that only profiles have
            return None


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
    if value.startswith(b"\n\x10") and value[18:20] == b"\x12\x08":
        return Undecodable(
            DeadLetterReason.WRONG_FORMAT,
            "looks like one Jaeger span; set the collector's Kafka exporter to encoding "
            "otlp_proto or otlp_json",
        )
    return None
