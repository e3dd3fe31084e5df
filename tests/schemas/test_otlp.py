"""Decoding: what is kept, what a light read gives, and where each kind of bad input ends."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.wire import attribute, block, integer, message

from schemas import otlp_protobuf
from schemas.errors import Undecodable
from schemas.limits import Limits
from schemas.otlp import Encoding, decode, randomness, upstream_threshold
from schemas.plan import Decoded, Plan
from schemas.reasons import DeadLetterReason

HALF = 2**55
LOW, HIGH = b"\x01" * 16, b"\x01" * 9 + b"\xff" * 7
KEYS = frozenset({"gen_ai.system"})
MARKERS = (b"gen_ai.", b"litellm")


def a_plan(threshold: int = 0, *, usage: bool = False) -> Plan:
    """A plan with two markers."""
    return Plan(threshold=threshold, usage=usage, markers=MARKERS, usage_keys=KEYS)


def a_span(trace_id: bytes = HIGH, *, state: str = "", name: str = "chat") -> bytes:
    """A serialised span of an LLM application."""
    span = Span(trace_id=trace_id, span_id=b"\x02" * 8, trace_state=state, name=name)
    span.attributes.add(key="gen_ai.system", value=AnyValue(string_value="openai"))
    span.attributes.add(key="url.path", value=AnyValue(string_value="/chat"))
    return span.SerializeToString()


def read(value: bytes, plan: Plan | None = None, limits: Limits | None = None) -> Decoded:
    """Decode, with the encoding told by the value."""
    return decode(value, Encoding.AUTO, limits or Limits(), plan or a_plan())


def as_json(*spans: dict[str, Any], **scope: Any) -> bytes:
    """An export in JSON, with one resource and one scope."""
    scope_spans = {"scope": scope, "spans": list(spans)}
    return json.dumps({"resourceSpans": [{"scopeSpans": [scope_spans]}]}).encode()


def a_json_span(**fields: Any) -> dict[str, Any]:
    """A span of an LLM application, as JSON."""
    pair = {"key": "gen_ai.system", "value": {"stringValue": "openai"}}
    return {"traceId": HIGH.hex(), "spanId": "02" * 8, "attributes": [pair], **fields}


def reason_of(value: bytes, encoding: Encoding = Encoding.AUTO, **limits: int) -> DeadLetterReason:
    """Why a whole message is refused."""
    with pytest.raises(Undecodable) as caught:
        decode(value, encoding, Limits(**limits), a_plan())
    assert caught.value.detail
    return caught.value.reason


def bad_reasons(value: bytes, **limits: int) -> list[DeadLetterReason]:
    """Why single spans of a message are refused."""
    return [bad.reason for bad in read(value, limits=Limits(**limits)).bad]


def test_sampling_keeps_by_the_last_seven_bytes_of_the_trace_id() -> None:
    """A span is kept where its 56 random bits are at least the threshold; all are counted."""
    decoded = read(message(a_span(LOW), a_span(HIGH), a_span(LOW)), a_plan(HALF))
    assert [span.trace_id for span in decoded.spans] == [HIGH.hex()]
    assert (decoded.light, decoded.bad, decoded.span_count) == ([], [], 3)


@pytest.mark.parametrize("threshold", [0, 1, 2**56 - 1, 2**56])
def test_the_ends_of_the_threshold_range(threshold: int) -> None:
    """At 0 everything is kept, at 2**56 nothing."""
    full = b"\x01" * 9 + b"\xff" * 7
    none = b"\x01" * 9 + bytes(7)
    decoded = read(message(a_span(full), a_span(none)), a_plan(threshold))
    kept = {span.trace_id for span in decoded.spans}
    assert kept == {
        trace_id.hex()
        for trace_id in (full, none)
        if int.from_bytes(trace_id[-7:], "big") >= threshold
    }


def test_explicit_randomness_overrides_the_trace_id() -> None:
    """A tracestate with `rv` decides about its span, and about no other span of the message."""
    spans = (a_span(LOW, state="a=1,ot=rv:ffffffffffffff"), a_span(LOW), a_span(HIGH))
    decoded = read(message(*spans), a_plan(HALF))
    assert [span.trace_id for span in decoded.spans] == [LOW.hex(), HIGH.hex()]


@pytest.mark.parametrize("first", [LOW, HIGH])
def test_a_repeated_trace_id_counts_by_its_last(first: bytes) -> None:
    """The last of several fields holds, as protobuf says."""
    last = HIGH if first == LOW else LOW
    twice = a_span(first) + block(1, last)
    decoded = read(message(twice, a_span(LOW)), a_plan(HALF))
    assert [span.trace_id for span in decoded.spans] == ([HIGH.hex()] if last == HIGH else [])


def test_spans_without_a_marker_are_only_counted() -> None:
    """What no convention can match is dropped, and may hold anything."""
    other = Span(trace_id=HIGH, span_id=b"\x02" * 8, name="GET /").SerializeToString()
    decoded = read(message(other, b"\xff\xff", a_span()))
    assert (len(decoded.spans), decoded.bad, decoded.span_count) == (1, [], 3)


@pytest.mark.parametrize("scope", [block(1, b"litellm"), block(2, b"gen_ai.1")])
def test_a_marker_in_the_scope_marks_all_of_its_spans(scope: bytes) -> None:
    """Scope name and version are searched too."""
    plain = Span(trace_id=HIGH, span_id=b"\x02" * 8, name="GET /").SerializeToString()
    assert len(read(message(plain, plain, scope=scope)).spans) == 2


def test_a_marker_in_the_resource_marks_nothing() -> None:
    """A resource says nothing about the convention of its spans."""
    plain = Span(trace_id=HIGH, span_id=b"\x02" * 8).SerializeToString()
    resource = block(1, attribute("gen_ai.system", "openai"))
    assert not read(message(plain, resource=resource)).spans


def test_a_marker_in_an_event_name_is_found() -> None:
    """Some conventions write span events only."""
    span = Span(trace_id=HIGH, span_id=b"\x02" * 8)
    span.events.add(name="gen_ai.choice")
    (found,) = read(message(span.SerializeToString())).spans
    assert [event.name for event in found.events] == ["gen_ai.choice"]


def test_a_light_read_gives_wanted_attributes_of_spans_that_are_not_kept() -> None:
    """With `usage`, each LLM span comes once: in full where it is kept, else light."""
    plan = a_plan(HALF, usage=True)
    decoded = read(message(a_span(LOW), a_span(HIGH), resource=block(1, attribute("a", "b"))), plan)
    (light,), (full,) = decoded.light, decoded.spans
    assert light.attributes == {"gen_ai.system": "openai"}
    assert full.attributes == {"gen_ai.system": "openai", "url.path": "/chat"}
    assert light.resource == full.resource == {"a": "b"}


def test_empty_value_has_no_spans() -> None:
    """An empty request is serialised as nothing."""
    for encoding in Encoding:
        assert decode(b"", encoding, Limits(), a_plan()) == Decoded()


@pytest.mark.parametrize("value", [b"{}", b'{"resourceSpans": null}', b' {"resourceSpans": []}'])
def test_json_without_spans_is_valid(value: bytes) -> None:
    """An empty request may be written in several ways."""
    assert read(value) == Decoded()


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        (a_span() + block(5, b"\xff\xfe"), DeadLetterReason.INVALID_UTF8),
        (a_span() + block(9, block(2, block(1, b"\xed\xa0\x80"))), DeadLetterReason.INVALID_UTF8),
        (a_span()[:-3], DeadLetterReason.UNDECODABLE),
        (a_span(b"\x01" * 15), DeadLetterReason.INVALID_ID),
        (a_span(bytes(16)), DeadLetterReason.INVALID_ID),
        (block(5, b"gen_ai.x"), DeadLetterReason.INVALID_ID),
        (a_span() + block(2, bytes(8)), DeadLetterReason.INVALID_ID),
        (a_span() + block(2, b"\x01"), DeadLetterReason.INVALID_ID),
        (a_span() + block(9, attribute("a", "b")) * 1001, DeadLetterReason.TOO_MANY),
        (a_span() + block(9, b"") * 1001, DeadLetterReason.TOO_MANY),
        (a_span() + block(11, b"") * 1001, DeadLetterReason.TOO_MANY),
        (a_span() + block(13, b"") * 1001, DeadLetterReason.TOO_MANY),
    ],
)
@pytest.mark.parametrize("plan", [a_plan(), a_plan(HALF), a_plan(HALF, usage=True)])
def test_one_bad_span_costs_that_span_alone(
    span: bytes, reason: DeadLetterReason, plan: Plan
) -> None:
    """The rest of its message is read, and its own bytes are handed on."""
    decoded = read(message(a_span(), span, a_span()), plan)
    assert [(bad.data, bad.reason) for bad in decoded.bad] == [(span, reason)]
    assert len(decoded.spans) == 2


def test_a_large_span_that_repeats_too_much_is_bad_like_a_small_one() -> None:
    """It is counted before it is read in full; the one beside it, as large, is read."""
    large = attribute("gen_ai.x", "x" * 100_000)
    fine, bad = a_span() + block(9, large), a_span() + block(9, large) + block(9, b"") * 1001
    decoded = read(message(fine, bad))
    assert [(each.data, each.reason) for each in decoded.bad] == [(bad, DeadLetterReason.TOO_MANY)]
    assert [span.size_bytes for span in decoded.spans] == [len(fine)]


def nested(levels: int) -> bytes:
    """A serialised value inside that many arrays; the library would not write 60."""
    value = block(1, b"x")
    for _ in range(levels):
        value = block(5, block(1, value))
    return value


def nested_json(levels: int) -> bytes:
    """An export with such a value, as JSON."""
    before, after = b'{"arrayValue": {"values": [' * levels, b"]}}" * levels
    span = a_json_span(attributes=[{"key": "gen_ai.x", "value": "HERE"}])
    value = before + b'{"stringValue": "x"}' + after
    return as_json(a_json_span(), span).replace(b'"HERE"', value)


@pytest.mark.parametrize(("levels", "fits"), [(32, True), (33, False), (47, False), (60, False)])
def test_values_may_be_nested_32_levels_deep(levels: int, fits: bool) -> None:
    """A deeper value costs its span, whether we or the parser gives up first."""
    pair = attribute("gen_ai.x", "") + block(2, nested(levels))
    expected = [] if fits else [DeadLetterReason.TOO_DEEP]
    assert bad_reasons(message(a_span() + block(9, pair))) == expected
    assert bad_reasons(nested_json(levels)) == expected


def test_a_json_span_deeper_than_orjson_writes_is_one_bad_span() -> None:
    """It reads 1,024 levels and writes 254."""
    decoded = read(nested_json(100))
    assert [bad.reason for bad in decoded.bad] == [DeadLetterReason.TOO_DEEP]
    assert json.loads(decoded.bad[0].data)["spanId"] == "02" * 8
    assert len(decoded.spans) == 1


def test_a_json_span_deeper_than_python_writes_refuses_the_message() -> None:
    """Between what can be written and what can be read its bytes cannot be handed on alone."""
    assert reason_of(nested_json(335)) is DeadLetterReason.TOO_DEEP


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (message(a_span())[:-1], DeadLetterReason.UNDECODABLE),
        (b"\x1f\x8b\x08\x00\x00", DeadLetterReason.WRONG_FORMAT),
        (b"\x00", DeadLetterReason.UNDECODABLE),
        (b'{"resourceSpans": [', DeadLetterReason.UNDECODABLE),
        (b'{"resourceSpans": {}}', DeadLetterReason.UNDECODABLE),
        (b'{"resourceSpans": [NaN]}', DeadLetterReason.UNDECODABLE),
        (b"\xef\xbb\xbf{}", DeadLetterReason.WRONG_FORMAT),
        (b'[{"traceId": "01", "id": "02"}]', DeadLetterReason.WRONG_FORMAT),
        (b'{"data": [{"traceID": "01", "spans": []}]}', DeadLetterReason.WRONG_FORMAT),
        (b"\n\x10" + LOW + b"\x12\x08\x02" + b"\x03" * 7, DeadLetterReason.WRONG_FORMAT),
        (block(1, block(1, b"\x7f" * 16) + block(3, b"\x01" * 8)), DeadLetterReason.WRONG_FORMAT),
        (block(2, b"x") + integer(3, 1), DeadLetterReason.WRONG_FORMAT),
        (b"[" * 100_000, DeadLetterReason.TOO_DEEP),
        (b'{"a":' * 100_000, DeadLetterReason.TOO_DEEP),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_message_that_cannot_be_read_is_refused_whole(
    value: bytes, reason: DeadLetterReason
) -> None:
    """Each kind of poison has one reason, with words that help."""
    assert reason_of(value) is reason


def test_the_other_format_than_configured_is_named() -> None:
    """A topic whose exporter was switched says so, instead of "undecodable"."""
    assert reason_of(as_json(a_json_span()), Encoding.OTLP_PROTO) is DeadLetterReason.WRONG_FORMAT
    assert reason_of(message(a_span()), Encoding.OTLP_JSON) is DeadLetterReason.WRONG_FORMAT


def test_json_may_start_with_the_byte_that_protobuf_starts_with() -> None:
    """A leading newline is 0x0a, the first byte of every export in protobuf."""
    assert len(read(b"\n" + as_json(a_json_span())).spans) == 1


def test_too_large_and_too_many() -> None:
    """Bounds on the whole message refuse it whole."""
    value = message(a_span(), a_span(), a_span())
    assert reason_of(value, message_bytes=len(value) - 1) is DeadLetterReason.TOO_LARGE
    assert reason_of(value, spans_per_message=2) is DeadLetterReason.TOO_MANY
    assert reason_of(block(1, b"") * 3, spans_per_message=2) is DeadLetterReason.TOO_MANY
    empty_scopes = block(1, block(2, b"") * 3)
    assert reason_of(empty_scopes, spans_per_message=2) is DeadLetterReason.TOO_MANY
    in_json = as_json(*[a_json_span()] * 3)
    assert reason_of(in_json, spans_per_message=2) is DeadLetterReason.TOO_MANY
    assert len(read(value, limits=Limits(spans_per_message=3)).spans) == 3


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        (block(1, block(1, b"\xff")), DeadLetterReason.INVALID_UTF8),
        (b"\x0a\x7f", DeadLetterReason.UNDECODABLE),
        (block(1, b"") * 1001, DeadLetterReason.TOO_MANY),
    ],
)
def test_an_unreadable_resource_costs_its_own_spans(
    resource: bytes, reason: DeadLetterReason
) -> None:
    """Spans of the message's other resources are read."""
    value = message(a_span(), a_span(), resource=resource) + message(a_span())
    decoded = read(value)
    assert [bad.reason for bad in decoded.bad] == [reason] * 2
    assert len(decoded.spans) == 1


def test_what_spans_share_is_remembered_whether_it_can_be_read_or_not() -> None:
    """The second message with the same resource, or the same scope, is read as the first was."""
    good, bad = block(1, attribute("service.name", "shop")), block(1, block(1, b"\xff"))
    for resource, scope in ((good, block(1, b"lib")), (bad, b""), (b"", block(1, b"\xff"))):
        value = message(a_span(), resource=resource, scope=scope)
        assert read(value) == read(value)


def test_only_so_much_is_remembered() -> None:
    """Resources that differ from message to message, or are large, take no memory for good."""
    memory = otlp_protobuf._usual_resource
    for number in range(2 * memory.cache_parameters()["maxsize"]):
        read(message(a_span(), resource=block(1, attribute("host.id", str(number)))))
    assert memory.cache_info().currsize == memory.cache_parameters()["maxsize"]
    missed = memory.cache_info().misses
    read(message(a_span(), resource=block(1, attribute("host.id", "x" * 5000))))
    assert memory.cache_info().misses == missed


def test_json_ids_are_hex_or_base64() -> None:
    """OTLP writes hex in either case, other writers of protobuf JSON base64."""
    base64_span = a_json_span(
        traceId="AQEBAQEBAQEB/////////w==", spanId="AgICAgICAgI=", parentSpanId="AwMDAwMDAwM="
    )
    upper = a_json_span(traceId=HIGH.hex().upper(), parentSpanId="03" * 8)
    spans = read(as_json(base64_span, upper)).spans
    assert {span.trace_id for span in spans} == {HIGH.hex()}
    assert {span.span_id for span in spans} == {"02" * 8}
    assert {span.parent_span_id for span in spans} == {"03" * 8}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"stringValue": "a\x00\u202e"}, "a\x00\u202e"),
        ({"boolValue": False}, False),
        ({"intValue": "-9223372036854775808"}, -(2**63)),
        ({"intValue": 7}, 7),
        ({"doubleValue": "Infinity"}, float("inf")),
        ({"doubleValue": 1}, 1.0),
        ({"bytesValue": "_-8="}, b"\xff\xef"),
        ({"arrayValue": {"values": [{"intValue": 1}, {}]}}, [1, None]),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"boolValue": True}}]}}, {"a": True}),
        ({"string_value": "snake"}, "snake"),
        ({"arrayValue": {}}, []),
        ({}, None),
        (None, None),
    ],
)
def test_json_attribute_values(given: Any, expected: Any) -> None:
    """Each kind of value, in each of the ways that it may be written."""
    pairs = [{"key": "gen_ai.x", "value": given}]
    (span,) = read(as_json(a_json_span(attributes=pairs))).spans
    assert span.attributes == {"gen_ai.x": expected}
    assert type(span.attributes["gen_ai.x"]) is type(expected)


@pytest.mark.parametrize(
    "fields",
    [
        {"attributes": [{"key": "a", "value": {"intValue": "x"}}]},
        {"attributes": [{"key": "a", "value": {"intValue": 2**63}}]},
        {"attributes": [{"key": "a", "value": {"intValue": True}}]},
        {"attributes": [{"key": "a", "value": {"bytesValue": "?"}}]},
        {"attributes": {}},
        {"startTimeUnixNano": -1},
        {"startTimeUnixNano": 1.5},
        {"name": 1},
        {"status": {"code": "BROKEN"}},
        {"events": [1]},
    ],
)
def test_a_json_span_with_a_wrong_type_is_bad_alone(fields: dict[str, Any]) -> None:
    """The others of its message are read."""
    marked = as_json(a_json_span(), a_json_span(**fields), name="litellm")
    assert bad_reasons(marked) == [DeadLetterReason.UNDECODABLE]
    assert len(read(marked).spans) == 1


def test_json_status_is_a_name_or_a_number() -> None:
    """Collectors write numbers, protobuf's own JSON names."""
    codes: list[Any] = [2, "STATUS_CODE_ERROR", None]
    spans = read(as_json(*[a_json_span(status={"code": code}) for code in codes])).spans
    assert [span.status_code for span in spans] == [2, 2, 0]


def test_json_sampling_and_light_reads_work_as_in_protobuf() -> None:
    """Trace id, tracestate and wanted keys decide in either encoding."""
    low = a_json_span(traceId=LOW.hex())
    lifted = {**low, "traceState": "ot=rv:ffffffffffffff"}
    value = as_json(low, lifted, a_json_span())
    assert len(read(value, a_plan(HALF)).spans) == 2
    decoded = read(value, a_plan(HALF, usage=True))
    assert (len(decoded.spans), len(decoded.light)) == (2, 1)
    assert decoded.light[0].attributes == {"gen_ai.system": "openai"}


def test_json_bytes_that_are_no_utf8_cost_one_span() -> None:
    """The bad span is handed on as it came, the others are read."""
    good, bad = a_json_span(name="größe"), a_json_span(name="BAD")
    value = as_json(good, bad, name="x").replace(b"BAD", b"\xff\xfe")
    decoded = read(value)
    assert [span.name for span in decoded.spans] == ["größe"]
    (found,) = decoded.bad
    assert found.reason is DeadLetterReason.INVALID_UTF8
    assert b"\xff\xfe" in found.data


def test_a_lone_surrogate_in_json_is_kept() -> None:
    """JSON can escape half a character; it is text like any other, not poison."""
    decoded = read(as_json(a_json_span(name="a\ud800b")))
    assert [span.name for span in decoded.spans] == ["a\ud800b"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"traceId": "zz" * 16}, DeadLetterReason.INVALID_ID),
        ({"traceId": "00" * 16}, DeadLetterReason.INVALID_ID),
        ({"spanId": None}, DeadLetterReason.INVALID_ID),
        ({"spanId": 5}, DeadLetterReason.INVALID_ID),
        ({"links": [{}] * 1001}, DeadLetterReason.TOO_MANY),
    ],
)
@pytest.mark.parametrize("plan", [a_plan(), a_plan(HALF), a_plan(HALF, usage=True)])
def test_one_bad_json_span_costs_that_span_alone(
    fields: dict[str, Any], reason: DeadLetterReason, plan: Plan
) -> None:
    """The same reasons as in protobuf, with the span's own JSON."""
    decoded = read(as_json(a_json_span(), a_json_span(**fields)), plan)
    assert [bad.reason for bad in decoded.bad] == [reason]
    assert json.loads(decoded.bad[0].data) == a_json_span(**fields)
    assert len(decoded.spans) == 1


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("", int("01" * 7, 16)),
        ("ot=rv:6e6d1a75832a2f", 0x6E6D1A75832A2F),
        ("a=b, ot=th:8;rv:00000000000001", 1),
        ("ot=rv:6E6D1A75832A2F", int("01" * 7, 16)),
        ("ot=rv:123", int("01" * 7, 16)),
        ("xot=rv:00000000000001", int("01" * 7, 16)),
    ],
)
def test_randomness(state: str, expected: int) -> None:
    """An explicit value of 14 hex digits, else the last 56 bits of the trace id."""
    assert randomness(LOW.hex(), state) == expected


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("", None),
        ("ot=th:8", HALF),
        ("ot=rv:6e6d1a75832a2f;th:c", 3 * 2**54),
        ("a=th:8", None),
        ("ot=th:0", 0),
        ("ot=th:", None),
        ("ot=th:123456789abcdef", None),
        ("ot=th:g", None),
        ("a=1,ot=th:00000000000001", 1),
    ],
)
def test_upstream_threshold(state: str, expected: int | None) -> None:
    """Up to 14 hex digits, trailing zeros left out."""
    assert upstream_threshold(state) == expected


@pytest.mark.parametrize("make", [lambda: message(a_span()), lambda: as_json(a_json_span())])
def test_size_is_that_of_the_serialised_span(make: Callable[[], bytes]) -> None:
    """The in-flight bound counts what came over the wire."""
    (span,) = read(make()).spans
    assert 0 < span.size_bytes < len(make())
