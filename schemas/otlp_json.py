"""Read an `ExportTraceServiceRequest` in JSON: protobuf's JSON mapping, with ids in hex.

orjson reads whole messages only, so what it refuses (a lone surrogate, one byte that is not UTF-8)
is read again by the standard library, in order that one bad span does not cost the others.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple, NoReturn

import orjson

from .checks import (
    NO_SPAN_ID,
    NO_TRACE_ID,
    ReadOnce,
    check_count,
    check_levels,
    hex_id,
    is_kept,
    marker_search,
    too_deep,
    valid_ids,
)
from .errors import Undecodable
from .limits import Limits
from .plan import BadSpan, Decoded, Plan
from .reasons import DeadLetterReason
from .span import RawSpan, SpanEvent

Json = dict[str, Any]

# Bytes that are no UTF-8 are read as these, and written back as the same bytes.
_ESCAPED_BYTES = "surrogateescape"
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_STATUS_CODES = {"STATUS_CODE_UNSET": 0, "STATUS_CODE_OK": 1, "STATUS_CODE_ERROR": 2}


def decode_json(value: bytes, limits: Limits, plan: Plan) -> Decoded:
    """Read one message; see `schemas.otlp.decode`.

    Raises:
        Undecodable: It is no OTLP JSON, or holds more spans than `limits` allow.
    """
    document, is_utf8 = _load(value)
    scopes = list(_scopes(_resource_spans(document)))
    count = sum(len(spans) for _, _, spans in scopes)
    if max(count, len(scopes)) > limits.spans_per_message:
        raise Undecodable(
            DeadLetterReason.TOO_MANY,
            f"{count} spans in {len(scopes)} scopes of one message; "
            f"limits.spans_per_message is {limits.spans_per_message}",
        )
    decoded = Decoded(span_count=count)
    search = marker_search(plan.markers)
    owner = resource = None
    for given, scope, spans in scopes:
        if resource is None or owner is not given:
            owner = given
            resource = ReadOnce(partial(_resource, given, limits, is_utf8=is_utf8))
        source = _Source(
            resource,
            ReadOnce(partial(_scope, scope, is_utf8=is_utf8)),
            bool(search(_dump(scope))),
            is_utf8,
        )
        for span in spans:
            kept = _is_kept(span, plan.threshold)
            if not kept and not plan.usage:
                continue
            data = _dump(span)
            if source.scope_has_marker or search(data):
                read = _read(span, data, source, limits, None if kept else plan.usage_keys)
                if isinstance(read, BadSpan):
                    decoded.bad.append(read)
                else:
                    (decoded.spans if kept else decoded.light).append(read)
    return decoded


def _load(value: bytes) -> tuple[Any, bool]:
    """The document, and whether all of it is UTF-8."""
    try:
        return orjson.loads(value), True
    except orjson.JSONDecodeError as error:
        fault = str(error)
    if value.startswith(_BYTE_ORDER_MARK):
        raise Undecodable(
            DeadLetterReason.WRONG_FORMAT,
            "JSON with a byte order mark; the producer must write UTF-8 without one",
        )
    text = value.decode("utf-8", _ESCAPED_BYTES)
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise too_deep("the JSON document") from error
    except ValueError as error:
        if value.lstrip()[:1] not in (b"{", b"["):
            raise Undecodable(
                DeadLetterReason.WRONG_FORMAT,
                "not JSON; set kafka.encoding to auto or otlp_proto if the topic holds protobuf",
            ) from error
        raise Undecodable(DeadLetterReason.UNDECODABLE, f"JSON: {fault}") from error
    return document, _is_utf8(text)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _resource_spans(document: Any) -> list[Any]:
    if isinstance(document, dict):
        for name in ("resourceSpans", "resource_spans"):
            if name in document:
                return _list(document[name], name)
        if not document:
            return []
    raise Undecodable(
        DeadLetterReason.WRONG_FORMAT,
        "JSON without resourceSpans: not an OTLP trace export (Jaeger, Zipkin?); "
        "set the collector's Kafka exporter to encoding otlp_proto or otlp_json",
    )


def _scopes(resource_spans: list[Any]) -> Iterator[tuple[Json, Json, list[Any]]]:
    """The resource, the scope and the spans of each scope."""
    for group in resource_spans:
        outer = _object(group, "resourceSpans")
        resource = _object(outer.get("resource"), "resource")
        for scope_spans in _list(_either(outer, "scopeSpans", "scope_spans"), "scopeSpans"):
            inner = _object(scope_spans, "scopeSpans")
            scope = _object(inner.get("scope"), "scope")
            yield resource, scope, _list(inner.get("spans"), "spans")


class _Source(NamedTuple):
    """What the spans of one scope share."""

    resource: ReadOnce[dict[str, Any]]
    scope: ReadOnce[tuple[str, str]]
    scope_has_marker: bool
    is_utf8: bool
    """Whether that is known of the whole message."""


def _resource(resource: Json, limits: Limits, *, is_utf8: bool) -> dict[str, Any]:
    if not is_utf8:
        _check_utf8(resource, "the span's resource")
    pairs = _list(resource.get("attributes"), "attributes")
    check_count("resource attributes", len(pairs), limits)
    return _attributes(pairs, limits)


def _scope(scope: Json, *, is_utf8: bool) -> tuple[str, str]:
    if not is_utf8:
        _check_utf8(scope, "the span's scope")
    return _text(scope, "name"), _text(scope, "version")


def _check_utf8(part: Json, what: str = "JSON") -> None:
    if _ESCAPED_BYTE.search(json.dumps(part, ensure_ascii=False)):
        raise Undecodable(DeadLetterReason.INVALID_UTF8, f"{what}: a string is not UTF-8")


def _read(
    span: Any, data: bytes, source: _Source, limits: Limits, wanted: frozenset[str] | None
) -> RawSpan | BadSpan:
    try:
        return _raw_span(span, len(data), source, limits, wanted)
    except Undecodable as error:
        return BadSpan(data, error.reason, error.detail)


def _is_kept(span: Any, threshold: int) -> bool:
    if not threshold or not isinstance(span, dict):
        return True
    try:
        trace_id = _id(span, "traceId", "trace_id", NO_TRACE_ID)
        return is_kept(trace_id, _text(span, "traceState", "trace_state"), threshold)
    except Undecodable:  # nothing to sample by: to be reported
        return True


def _raw_span(
    given: Any, size: int, source: _Source, limits: Limits, wanted: frozenset[str] | None
) -> RawSpan:
    """Read one span; only the `wanted` attributes and no parts, if it is a light read."""
    span = _object(given, "span")
    if not source.is_utf8:
        _check_utf8(span)
    pairs = _list(span.get("attributes"), "attributes")
    events = _list(span.get("events"), "events")
    links = _list(span.get("links"), "links")
    for name, items in (("attributes", pairs), ("events", events), ("links", links)):
        check_count(name, len(items), limits)
    trace_id, span_id = valid_ids(
        _id(span, "traceId", "trace_id", NO_TRACE_ID), _id(span, "spanId", "span_id", NO_SPAN_ID)
    )
    is_full = wanted is None
    status = _object(span.get("status"), "status")
    scope_name, scope_version = source.scope.get()
    return RawSpan(
        trace_id=trace_id,
        span_id=span_id,
        parent_span_id=_parent(span),
        trace_state=_text(span, "traceState", "trace_state"),
        name=_text(span, "name"),
        start_unix_nano=_unsigned(span, "startTimeUnixNano", "start_time_unix_nano"),
        end_unix_nano=_unsigned(span, "endTimeUnixNano", "end_time_unix_nano"),
        attributes=_attributes(pairs, limits, wanted),
        events=tuple(_event(event, limits) for event in events) if is_full else (),
        links=tuple(_links(links)) if is_full else (),
        status_code=_status_code(status.get("code")),
        status_message=_text(status, "message") if is_full else "",
        scope_name=scope_name,
        scope_version=scope_version,
        resource=source.resource.get(),
        size_bytes=size,
    )


def _dump(part: Any) -> bytes:
    try:
        return orjson.dumps(part)
    except orjson.JSONEncodeError:  # a lone surrogate, 254 levels, or an integer beyond 64 bits
        pass
    try:
        text = json.dumps(part, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", _ESCAPED_BYTES)
    except UnicodeEncodeError:  # a lone surrogate from an escape: written as one again
        return json.dumps(part, separators=(",", ":")).encode()
    except RecursionError as error:
        raise too_deep("the JSON document") from error


def _attributes(
    pairs: list[Any], limits: Limits, wanted: frozenset[str] | None = None
) -> dict[str, Any]:
    attributes = {}
    for pair in pairs:
        item = _object(pair, "attribute")
        key = _text(item, "key")
        if wanted is None or key in wanted:
            attributes[key] = _python(item.get("value"), limits.nesting)
    return attributes


def _event(given: Any, limits: Limits) -> SpanEvent:
    event = _object(given, "event")
    pairs = _list(event.get("attributes"), "attributes")
    check_count("attributes of one event", len(pairs), limits)
    return SpanEvent(_text(event, "name"), _attributes(pairs, limits))


def _links(links: list[Any]) -> Iterator[tuple[str, str]]:
    for given in links:
        link = _object(given, "link")
        trace_id = hex_id(_id(link, "traceId", "trace_id", NO_TRACE_ID), NO_TRACE_ID)
        span_id = hex_id(_id(link, "spanId", "span_id", NO_SPAN_ID), NO_SPAN_ID)
        if trace_id and span_id:
            yield trace_id, span_id


def _parent(span: Json) -> str | None:
    return hex_id(_id(span, "parentSpanId", "parent_span_id", NO_SPAN_ID), NO_SPAN_ID)


def _python(given: Any, levels: int) -> Any:
    """The Python value of an AnyValue; None where nothing is set."""
    for kind, raw in _object(given, "attribute value").items():
        if raw is None:
            continue
        if reader := _SCALARS.get(kind):
            return reader(raw)
        if kind in ("arrayValue", "array_value"):
            return [_python(item, levels - 1) for item in _values(raw, levels)]
        if kind in ("kvlistValue", "kvlist_value"):
            pairs = [_object(pair, "attribute") for pair in _values(raw, levels)]
            return {_text(pair, "key"): _python(pair.get("value"), levels - 1) for pair in pairs}
    return None


def _values(raw: Any, levels: int) -> list[Any]:
    check_levels(levels)
    return _list(_object(raw, "attribute value").get("values"), "values")


def _string(raw: Any) -> str:
    if not isinstance(raw, str):
        raise _misfit("stringValue", "a string")
    return raw


def _boolean(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise _misfit("boolValue", "true or false")
    return raw


def _integer(raw: Any, low: int = -(1 << 63), high: int = (1 << 63) - 1) -> int:
    try:
        number = int(raw)
    except (TypeError, ValueError, OverflowError) as error:
        raise _misfit("a number", "a 64-bit integer") from error
    is_whole = not isinstance(raw, float | bool) or (isinstance(raw, float) and raw == number)
    if not is_whole or not low <= number <= high:
        raise _misfit("a number", "a 64-bit integer")
    return number


def _double(raw: Any) -> float:
    try:
        return float(raw)  # "Infinity", "-Infinity" and "NaN" included
    except (TypeError, ValueError, OverflowError) as error:
        raise _misfit("doubleValue", "a number") from error


def _bytes(raw: Any) -> bytes:
    try:
        return _base64(raw)
    except (AttributeError, ValueError) as error:
        raise _misfit("bytesValue", "base64") from error


def _base64(text: str) -> bytes:
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "stringValue": _string,
    "string_value": _string,
    "boolValue": _boolean,
    "bool_value": _boolean,
    "intValue": _integer,
    "int_value": _integer,
    "doubleValue": _double,
    "double_value": _double,
    "bytesValue": _bytes,
    "bytes_value": _bytes,
}


def _id(part: Json, name: str, other: str, zero: bytes) -> bytes:
    """An id's bytes: OTLP writes hex, plain protobuf JSON base64; their lengths differ."""
    text = _either(part, name, other) or ""
    try:
        return bytes.fromhex(text) if len(text) == 2 * len(zero) else _base64(text)
    except (AttributeError, TypeError, ValueError, binascii.Error) as error:
        raise Undecodable(
            DeadLetterReason.INVALID_ID, f"{name} is neither hex nor base64"
        ) from error


def _unsigned(part: Json, name: str, other: str) -> int:
    return _integer(_either(part, name, other) or 0, 0, (1 << 64) - 1)


def _status_code(raw: Any) -> int:
    if isinstance(raw, str) and raw in _STATUS_CODES:
        return _STATUS_CODES[raw]
    return _integer(raw or 0, -(1 << 31), (1 << 31) - 1)


def _text(part: Json, name: str, other: str | None = None) -> str:
    text = _either(part, name, other or name)
    if text is None:
        return ""
    if not isinstance(text, str):
        raise _misfit(name, "a string")
    return text


def _either(part: Json, name: str, other: str) -> Any:
    value = part.get(name)
    return part.get(other) if value is None else value


def _object(value: Any, name: str) -> Json:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _misfit(name, "an object")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _misfit(name, "a list")
    return value


def _misfit(name: str, expected: str) -> Undecodable:
    return Undecodable(DeadLetterReason.UNDECODABLE, f"JSON: {name} is not {expected}")
