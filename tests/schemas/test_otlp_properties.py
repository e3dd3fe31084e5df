"""Whatever the message, the decoder gives what parsing everything would, or says it cannot."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    KeyValue,
    KeyValueList,
)
from support.full_parse import full_parse
from support.wire import block, fixed32, fixed64, integer

from schemas.errors import Undecodable
from schemas.limits import Limits
from schemas.otlp import Encoding, decode
from schemas.plan import BadSpan, Decoded, Plan

SPANS = Path(__file__).parent.parent / "data" / "spans"
SMALL = sorted(path for path in SPANS.glob("*/*.pb") if path.stat().st_size < 6_000)[:60:5]

LIMITS = Limits(attributes_per_span=6)
MARKERS = (b"gen_ai.", b"litellm")
KEYS = ("gen_ai.operation.name", "gen_ai.system", "http.status_code", "k", "", "größe")

modest = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.sampled_from(["", "litellm", "chat", "a gen_ai.x", "\x00\u202e", "1A\x1a\x10"])
keys = st.sampled_from(KEYS)
any_values = st.recursive(
    st.one_of(
        st.builds(AnyValue),
        st.builds(AnyValue, string_value=texts),
        st.builds(AnyValue, bool_value=st.booleans()),
        st.builds(AnyValue, int_value=st.integers(-(2**63), 2**63 - 1) | st.just(0)),
        st.builds(AnyValue, double_value=st.floats(allow_nan=False)),
        st.builds(AnyValue, bytes_value=st.binary(max_size=3)),
    ),
    lambda inner: st.one_of(
        st.builds(AnyValue, array_value=st.builds(ArrayValue, values=st.lists(inner, max_size=3))),
        st.builds(
            AnyValue,
            kvlist_value=st.builds(
                KeyValueList,
                values=st.lists(st.builds(KeyValue, key=keys, value=inner), max_size=2),
            ),
        ),
    ),
    max_leaves=4,
)


def shuffled(*groups: st.SearchStrategy[list[bytes]]) -> st.SearchStrategy[bytes]:
    """A message whose fields come in any order."""
    return (
        st.tuples(*groups)
        .map(lambda parts: [field for part in parts for field in part])
        .flatmap(st.permutations)
        .map(b"".join)
    )


def some(number: int, payloads: st.SearchStrategy[bytes], *, most: int = 1) -> Any:
    """A length-delimited field, up to `most` times."""
    padding = st.sampled_from([0, 0, 0, 1])
    return st.lists(st.builds(block, st.just(number), payloads, padding), max_size=most)


encoded_texts = texts.map(str.encode)
serialised_values = any_values.map(AnyValue.SerializeToString)
# A field of a KeyValue may come twice, too: the last key holds, the values merge.
key_values = shuffled(some(1, keys.map(str.encode), most=2), some(2, serialised_values, most=2))
attributes = some(9, key_values, most=8)
unknown = st.lists(
    st.sampled_from(
        [block(50, b"gen_ai.?"), integer(51, 1), fixed64(52, 2), fixed32(53, 3), block(54, b"")]
    ),
    max_size=2,
)
trace_ids = st.sampled_from(
    [b"\x01" * 16, b"\x01" * 9 + b"\x80" + bytes(6), b"\xff" * 16, b"\n\x10" * 8]
)
rare_trace_ids = trace_ids | st.sampled_from([bytes(16), b"", b"\xff" * 8, b"\xff" * 17])
span_ids = st.sampled_from([b"\x02" * 8, b"\x03" * 8])
rare_span_ids = span_ids | st.sampled_from([bytes(8), b"\x02" * 7])
trace_states = st.sampled_from(
    [
        b"",
        b"a=1",
        b"ot=rv:ffffffffffffff",
        b"ot=rv:00000000000000",
        b"a=1, ot=th:8;rv:80000000000000",
        b"ot=rv:xyz",
        b"b=rv:ffffffffffffff",
        b"ot=th:8",
    ]
)


def spans(ids: Any, own_ids: Any, *, most_ids: int) -> st.SearchStrategy[bytes]:
    """Serialised spans, in the usual order or in any."""
    mandatory = st.builds(block, st.just(1), ids).map(lambda field: [field])
    groups = (
        some(1, ids, most=most_ids - 1),
        some(2, own_ids).map(lambda fields: fields or [block(2, b"\x04" * 8)]),
        some(3, trace_states, most=most_ids),
        some(4, rare_span_ids),
        some(5, encoded_texts, most=2),
        st.sampled_from([[], [fixed64(7, 5), fixed64(8, 2**63)], [fixed64(7, 1), fixed64(7, 2)]]),
        attributes,
        some(11, shuffled(some(2, encoded_texts), some(3, key_values, most=2)), most=2),
        some(13, shuffled(some(1, rare_trace_ids), some(2, rare_span_ids)), most=2),
        some(15, shuffled(some(2, encoded_texts), st.sampled_from([[], [integer(3, 2)]])), most=2),
        unknown,
    )
    usual = st.tuples(mandatory, *groups).map(lambda parts: b"".join(b"".join(p) for p in parts))
    return usual | shuffled(mandatory, *groups)


def messages(span: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Serialised exports of several resources and scopes."""
    scopes = shuffled(some(1, encoded_texts), some(2, encoded_texts), unknown)
    scope_spans = shuffled(some(1, scopes, most=2), some(2, span, most=4), unknown)
    resources = shuffled(some(1, key_values, most=2), unknown)
    resource_spans = shuffled(some(1, resources, most=2), some(2, scope_spans, most=2), unknown)
    # At least one field 1: a message of unknown fields alone is taken for another format.
    return st.builds(
        lambda first, rest: block(1, first) + rest,
        resource_spans,
        shuffled(some(1, resource_spans, most=2), unknown),
    )


plans = st.builds(
    Plan,
    threshold=st.sampled_from([0, 1, 2**55, 2**56 - 1, 2**56]),
    usage=st.booleans(),
    markers=st.sampled_from([MARKERS, (b"",), ()]),
    usage_keys=st.just(frozenset(KEYS[:2])),
)


def without_details(decoded: Decoded) -> Decoded:
    """The same; details are words for people."""
    decoded.bad = [BadSpan(bad.data, bad.reason, "") for bad in decoded.bad]
    return decoded


@modest
@given(messages(spans(trace_ids, span_ids, most_ids=1)), plans)
def test_usual_messages_are_read_as_by_a_full_parse(value: bytes, plan: Plan) -> None:
    """Spans with one trace id each, most of them decided without being parsed."""
    read = without_details(decode(value, Encoding.OTLP_PROTO, LIMITS, plan))
    assert read == full_parse(value, LIMITS, plan)


@modest
@given(messages(spans(rare_trace_ids, rare_span_ids, most_ids=3)), plans)
def test_strange_messages_are_read_as_by_a_full_parse(value: bytes, plan: Plan) -> None:
    """Fields come again, in any order, and ids that name nothing are reported."""
    read = without_details(decode(value, Encoding.OTLP_PROTO, LIMITS, plan))
    assert read == full_parse(value, LIMITS, plan)


@modest
@given(st.binary(max_size=300), st.sampled_from(Encoding), plans)
def test_arbitrary_bytes_raise_nothing_but_undecodable(
    value: bytes, encoding: Encoding, plan: Plan
) -> None:
    """Bytes that are anything at all are read or refused."""
    _read_or_refuse(value, encoding, plan)


@modest
@given(
    st.sampled_from(SMALL),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 50),
    plans,
)
def test_damaged_captures_raise_nothing_but_undecodable(
    path: Path, changes: list[tuple[int, int]], cut: int, plan: Plan
) -> None:
    """A real message with a few wrong bytes, or without its end, is read or refused."""
    value = bytearray(path.read_bytes())
    for position, byte in changes:
        value[position % len(value)] = byte
    _read_or_refuse(bytes(value[: len(value) - cut]), Encoding.AUTO, plan)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@modest
@given(st.sampled_from(SMALL), st.data(), json_values, plans)
def test_json_with_a_wrong_type_raises_nothing_but_undecodable(
    path: Path, data: st.DataObject, wrong: Any, plan: Plan
) -> None:
    """A real JSON message in which one value is replaced by any other is read or refused."""
    document = json.loads(path.with_suffix(".json").read_bytes())
    place: Any = document
    while True:
        options = sorted(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(list(options)))
        if not isinstance(place[key], dict | list) or not place[key] or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = wrong
    _read_or_refuse(json.dumps(document).encode(), Encoding.AUTO, plan)


def _read_or_refuse(value: bytes, encoding: Encoding, plan: Plan) -> None:
    try:
        decoded = decode(value, encoding, LIMITS, plan)
    except Undecodable:
        return
    read = len(decoded.spans) + len(decoded.light) + len(decoded.bad)
    assert read <= decoded.span_count


@pytest.mark.parametrize(
    "path", sorted(SPANS.glob("*/*.pb")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_captures_are_read_as_by_a_full_parse(path: Path) -> None:
    """What real libraries sent, under every plan, in protobuf; and the same in JSON."""
    value = path.read_bytes()
    for threshold, usage in ((0, False), (2**55, False), (2**55, True), (2**56, True)):
        plan = Plan(
            threshold=threshold, usage=usage, markers=MARKERS, usage_keys=frozenset(KEYS[:2])
        )
        read = decode(value, Encoding.AUTO, Limits(), plan)
        assert without_details(read) == full_parse(value, Limits(), plan)
        in_json = decode(path.with_suffix(".json").read_bytes(), Encoding.AUTO, Limits(), plan)
        for span in (*read.spans, *read.light, *in_json.spans, *in_json.light):
            span.size_bytes = 0
        assert in_json == read
