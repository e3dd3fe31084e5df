"""Whatever the message, the decoder gives what parsing everything would, or says it cannot."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.full_parse import full_parse
from support.odd_messages import KEYS, OddMessages
from support.wire import block, message

from schemas.errors import Undecodable
from schemas.limits import Limits
from schemas.otlp import Encoding, decode
from schemas.plan import BadSpan, Decoded, Plan

SPANS = Path(__file__).parent.parent / "data" / "spans"
SMALL = sorted(path for path in SPANS.glob("*/*.pb") if path.stat().st_size < 6_000)[:60:5]

LIMITS = Limits(attributes_per_span=6)
MARKERS = (b"gen_ai.", b"litellm")

modest = settings(max_examples=60, deadline=None)
thorough = settings(max_examples=400, deadline=None)
seeds = st.integers(0, 2**32)

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


@thorough
@given(seeds, st.booleans(), plans)
def test_valid_messages_are_read_as_by_a_full_parse(seed: int, strange: bool, plan: Plan) -> None:
    """Whatever the order of fields, those that come again, and ids that name nothing."""
    value = OddMessages(seed, strange=strange).message()
    read = without_details(decode(value, Encoding.OTLP_PROTO, LIMITS, plan))
    assert read == full_parse(value, LIMITS, plan)


@thorough
@given(seeds, st.sampled_from([1, 2**55, 2**56 - 1]))
def test_sampling_decides_as_by_a_full_parse(seed: int, threshold: int) -> None:
    """Many spans of one scope: ids that come again in one span, explicit randomness in another."""
    plan = Plan(threshold=threshold, markers=(b"",), usage_keys=frozenset())
    spans = [OddMessages(seed + index, strange=seed % 2 == 0).span() for index in range(5)]
    value = message(*spans)
    read = without_details(decode(value, Encoding.OTLP_PROTO, LIMITS, plan))
    assert read == full_parse(value, LIMITS, plan)


@modest
@given(st.integers(1, 2**56 - 1), st.lists(st.integers(-300, 300), min_size=1, max_size=40))
def test_sampling_is_exact_around_the_threshold(threshold: int, distances: list[int]) -> None:
    """The row of trace ids decides as number by number, also where only the last byte differs."""
    plan = Plan(threshold=threshold, markers=(b"",), usage_keys=frozenset())
    numbers = [min(max(threshold + distance, 0), 2**56 - 1) for distance in distances]
    ids = [block(1, b"\x01" * 9 + number.to_bytes(7, "big")) for number in numbers]
    spans = [trace_id + block(2, b"\x02" * 8) for trace_id in ids]
    read = decode(message(*spans), Encoding.OTLP_PROTO, LIMITS, plan)
    kept = [number for number in numbers if number >= threshold]
    assert [int(span.trace_id[-14:], 16) for span in read.spans] == kept


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
