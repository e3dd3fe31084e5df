"""Poison on a real Kafka: it costs itself alone, leaves its origin, and the next record is judged.

One worker reads everything that must not be read, each poison with a good record behind it in the
same partition; the tests then look at what it left on the topics.
"""

import gzip
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, Message, Producer
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.conservation import committed, ends, peak_rss_mb
from support.kafka import KafkaServer
from support.spans import llm_span, message, plain_span
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    config_yaml,
    read_outcomes,
    read_topic,
    until,
    worker_process,
)

from schemas.outcome import Outcome
from schemas.reasons import DeadLetterReason, Status

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

EVALUATORS = ("pii", "secrets")
MESSAGE_BYTES = 8 * 1024 * 1024
"""`limits.message_bytes`."""
PEAK_RSS_MB = 400
"""What a worker of this test may have resident at most."""

ODD_TEXT = "NUL \x00, \x1b[31mred\x1b[0m, \u202eright to left\u202c, \ufeff, \U0001f600"


@dataclass(frozen=True)
class Poison:
    """A record, and what must become of it; a reason of None: it is no dead letter."""

    value: bytes | None = field(repr=False)
    reason: DeadLetterReason | None
    part: str = "record"
    is_stub: bool = False
    key: bytes | None = field(default=None, repr=False)
    headers: Mapping[str, bytes] = field(default_factory=dict)
    compression: str = "none"
    judged: int = 0
    """Spans of it that are evaluated all the same."""


def _extended(span_fields: bytes) -> bytes:
    """A message with one good LLM span that has further fields, as they are on the wire."""
    request = ExportTraceServiceRequest.FromString(message([llm_span()]))
    serialised = request.resource_spans[0].scope_spans[0].spans[0].SerializeToString()
    del request.resource_spans[0].scope_spans[0].spans[:]
    resource = request.resource_spans[0].resource.SerializeToString()
    scope = request.resource_spans[0].scope_spans[0].scope.SerializeToString()
    scope_spans = _field(1, scope) + _field(2, serialised + span_fields)
    return _field(1, _field(1, resource) + _field(2, scope_spans))


def _field(number: int, data: bytes) -> bytes:
    length = len(data)
    out = bytearray([number << 3 | 2])
    while length >= 0x80:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out) + data


def _nested(levels: int) -> bytes:
    """A message with an attribute of arrays in arrays, deeper than protobuf would build it."""
    value = _field(1, b"deep")
    for _ in range(levels):
        value = _field(5, _field(1, value))
    return _extended(_field(9, _field(1, b"deep") + _field(2, value)))


def _bad_text() -> bytes:
    good = message([llm_span(), llm_span(answer="MARK"), plain_span()])
    return good.replace(b"MARK", b"\xff\xfe\xff\xfe")


def _bad_id() -> bytes:
    zero = llm_span()
    zero.trace_id = bytes(16)
    return message([zero, llm_span()])


def _as_json() -> bytes:
    request = ExportTraceServiceRequest.FromString(message([llm_span()]))
    return json.dumps(MessageToDict(request)).encode()


def _many_spans() -> bytes:
    small = _field(2, _field(1, b"t" * 16) + _field(2, b"s" * 8))
    return _field(1, _field(2, small * 100_000))


def _deep_json() -> bytes:
    return message([llm_span(attributes={"gen_ai.input.messages": "[" * 100_000})])


def _odd_text() -> bytes:
    # A lone surrogate is no UTF-8, but JSON inside an attribute can spell it.
    answer = [{"role": "assistant", "parts": [{"type": "text", "content": f"{ODD_TEXT} \ud800"}]}]
    attributes = {
        "gen_ai.output.messages": json.dumps(answer),
        "gen_ai.conversation.id": ODD_TEXT,
    }
    return message([llm_span(attributes=attributes)])


R = DeadLetterReason
POISONS: dict[str, Callable[[], Poison]] = {
    "truncated": lambda: Poison(message([llm_span()])[:-7], R.UNDECODABLE),
    "text": lambda: Poison(b"hello, world", R.UNDECODABLE),
    "gzip inside the value": lambda: Poison(gzip.compress(message([llm_span()])), R.WRONG_FORMAT),
    "json where protobuf is configured": lambda: Poison(_as_json(), R.WRONG_FORMAT),
    "json with a byte-order mark": lambda: Poison(b"\xef\xbb\xbf" + _as_json(), R.WRONG_FORMAT),
    "jaeger": lambda: Poison(b'[{"traceId":"abc","spans":[]}]', R.WRONG_FORMAT),
    "zipkin": lambda: Poison(b'[{"traceId":"abc","id":"1"}]', R.WRONG_FORMAT),
    "invalid utf-8 in one span": lambda: Poison(_bad_text(), R.INVALID_UTF8, "span", judged=1),
    "trace id of zeros": lambda: Poison(_bad_id(), R.INVALID_ID, "span", judged=1),
    "a million attributes": lambda: Poison(
        _extended(b"\x4a\x00" * 1_000_000), R.TOO_MANY, "span", is_stub=True
    ),
    "a hundred thousand spans": lambda: Poison(_many_spans(), R.TOO_MANY, is_stub=True),
    "values nested 40 deep": lambda: Poison(_nested(40), R.TOO_DEEP, "span"),
    "values nested 500 deep": lambda: Poison(_nested(500), R.TOO_DEEP, "span"),
    "an unreadable prompt": lambda: Poison(_deep_json(), None, judged=1),
    "larger than the limit": lambda: Poison(bytes(MESSAGE_BYTES + 1), R.TOO_LARGE, is_stub=True),
    "gzip bomb": lambda: Poison(bytes(60_000_000), R.TOO_LARGE, is_stub=True, compression="gzip"),
    "zstd bomb": lambda: Poison(
        bytes(300_000_000), R.BAD_COMPRESSION, is_stub=True, compression="zstd"
    ),
    "odd characters": lambda: Poison(_odd_text(), None, judged=1),
    "tombstone": lambda: Poison(None, None, key=b"key"),
    "empty value": lambda: Poison(b"", None),
    "huge headers": lambda: Poison(b"rubbish", R.UNDECODABLE, headers={"h": b"x" * 900_000}),
    "huge key": lambda: Poison(b"rubbish", R.UNDECODABLE, is_stub=True, key=b"k" * 2_000_000),
}


@dataclass(frozen=True)
class Sent:
    """Where a poison stands, what it was, and the trace of the good record behind it."""

    poison: Poison
    offset: int
    good_trace: str


@dataclass(frozen=True)
class Aftermath:
    """What the worker left."""

    sent: dict[str, Sent]
    letters: dict[int, list[Message]]
    """Dead letters by the offset of their record."""
    outcomes: list[Outcome]
    peak_rss_mb: float
    metrics: str


@pytest.fixture(scope="module")
def aftermath(kafka: KafkaServer, tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    """Send every poison, let one worker read them all, and look at what it left."""
    kafka.start()
    suffix = f"-{uuid4().hex[:8]}"
    servers = kafka.bootstrap_servers
    kafka.create_topics({SPANS + suffix: 1}, {"max.message.bytes": "20000000"})
    kafka.create_topics({SCORES + suffix: 1, DEAD + suffix: 1})
    sent = _send_all(servers, SPANS + suffix)
    end = ends(servers, SPANS + suffix)
    config = config_yaml(
        servers, evaluators=EVALUATORS, suffix=suffix, kafka={"encoding": "otlp_proto"}
    )
    with worker_process(tmp_path_factory.mktemp("poison"), config) as worker:
        until(
            lambda: committed(servers, f"assay{suffix}.code", SPANS + suffix) == end,
            60,
            worker.died,
        )
        metrics = worker.get("/metrics")[1]
        peak = peak_rss_mb(worker)
        assert worker.stop() == 0
    letters: dict[int, list[Message]] = {}
    for letter in read_topic(servers, DEAD + suffix):
        letters.setdefault(int(_headers(letter)["assay.offset"]), []).append(letter)
    return Aftermath(
        sent,
        letters,
        read_outcomes(servers, SCORES + suffix),
        peak,
        metrics,
    )


def _send_all(servers: str, topic: str) -> dict[str, Sent]:
    return {
        name: Sent(
            poison := make(),
            _send(servers, topic, poison),
            _send_good(servers, topic),
        )
        for name, make in POISONS.items()
    }


def _send_good(servers: str, topic: str) -> str:
    span = llm_span()
    _send(servers, topic, Poison(message([span]), None))
    return span.trace_id.hex()


def _send(servers: str, topic: str, poison: Poison) -> int:
    """Put one record on the topic, in a batch of its own; its offset."""
    offsets: list[int | None] = []

    def note(error: KafkaError | None, delivered: Message) -> None:
        assert error is None, error
        offsets.append(delivered.offset())

    producer = Producer(
        {
            "bootstrap.servers": servers,
            "message.max.bytes": 400_000_000,
            "compression.type": poison.compression,
        }
    )
    producer.produce(
        topic, poison.value, poison.key, headers=dict(poison.headers), on_delivery=note
    )
    assert producer.flush(30) == 0
    (offset,) = offsets
    assert offset is not None
    return offset


def _headers(letter: Message) -> dict[str, bytes]:
    return {name: _bytes(value) for name, value in dict(letter.headers() or []).items()}


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""


@pytest.mark.parametrize("name", POISONS)
def test_poison_costs_itself_alone(aftermath: Aftermath, name: str) -> None:
    """It is dead-lettered with origin, reason and bytes, or stepped over; the next is judged."""
    sent = aftermath.sent[name]
    poison = sent.poison
    followed = [o for o in aftermath.outcomes if o.trace_id == sent.good_trace]
    assert {o.evaluator.name for o in followed} == set(EVALUATORS)
    assert {o.outcome for o in followed} == {Status.SCORED}
    judged = [o for o in aftermath.outcomes if o.sources[0].offset == sent.offset]
    assert len(judged) == poison.judged * len(EVALUATORS)
    letters = aftermath.letters.get(sent.offset, [])
    if poison.reason is None:
        assert letters == []
        return
    (letter,) = letters
    headers = _headers(letter)
    assert headers["assay.reason"] == poison.reason.encode()
    assert headers["assay.detail"]
    assert headers["assay.topic"].startswith(SPANS.encode())
    assert headers["assay.partition"] == b"0"
    if poison.reason is not R.BAD_COMPRESSION:  # the client cannot read its time either
        assert abs(int(headers["assay.timestamp_ms"]) / 1000 - time.time()) < 600
    assert headers["assay.part"] == poison.part.encode()
    assert headers["assay.stub"] == (b"true" if poison.is_stub else b"false")
    if poison.is_stub:
        assert not letter.value()
    elif poison.part == "record":
        assert letter.value() == poison.value
    else:
        assert letter.value()
        assert _bytes(letter.value()) in _bytes(poison.value)


def test_odd_characters_are_kept_intact(aftermath: Aftermath) -> None:
    """Control characters, bidirectional marks and emoji come out as they went in, as valid JSON."""
    offset = aftermath.sent["odd characters"].offset
    odd = [o for o in aftermath.outcomes if o.sources[0].offset == offset]
    assert {o.subject.session_id for o in odd} == {ODD_TEXT}
    assert {o.outcome for o in odd} == {Status.SCORED}
    assert all(json.loads(o.to_json().decode("utf-8")) for o in odd)


def test_memory_stays_bounded(aftermath: Aftermath) -> None:
    """No bomb, and no message of empty fields, makes the worker grow beyond all measure."""
    assert aftermath.peak_rss_mb < PEAK_RSS_MB


def test_every_dead_letter_is_counted_by_its_reason(aftermath: Aftermath) -> None:
    """The metric says the same as the topic."""
    for reason in {one.poison.reason for one in aftermath.sent.values()} - {None}:
        count = sum(one.poison.reason is reason for one in aftermath.sent.values())
        lines = aftermath.metrics.splitlines()
        (line,) = (
            line
            for line in lines
            if line.startswith("assay_dead_letters_total") and f'reason="{reason}"' in line
        )
        assert float(line.rsplit(" ", 1)[1]) == count
