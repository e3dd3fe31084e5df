"""What cannot be read is kept with its origin; too much of it stops the worker."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Message
from support.workers import read_topic

from schemas.config import DeadLettersConfig
from schemas.errors import WorkerStopped
from schemas.events import DeadLettered, Event
from schemas.reasons import DeadLetterReason
from workers.dead_letters import DeadLetter, DeadLetters, Limit
from workers.demo.broker import MockCluster
from workers.publisher import Publisher

TOPIC = "dead"


@pytest.fixture
def publisher(mock_cluster: MockCluster) -> Iterator[Publisher]:
    """A publisher of messages of at most 10 kB, on a mock cluster with the topic."""
    mock_cluster.create_topic(TOPIC, 1)
    settings = {
        "bootstrap.servers": mock_cluster.bootstrap_servers,
        "message.max.bytes": 10_000,
        "log_level": 0,
    }
    one = Publisher(settings, lambda _: None, lambda _, __: None)
    yield one
    one.close(1)


def _letter(**changes: Any) -> DeadLetter:
    known: dict[str, Any] = {
        "topic": "otlp_spans",
        "partition": 3,
        "offset": 41,
        "timestamp_s": 1_790_000_000.5,
        "key": b"key",
        "value": b"\xff\x00bytes",
        "reason": DeadLetterReason.UNDECODABLE,
        "detail": "protobuf: truncated",
    }
    return DeadLetter(**(known | changes))


async def _publish(
    publisher: Publisher, cluster: MockCluster, letter: DeadLetter, content: str = "full"
) -> tuple[Message, dict[str, bytes], list[Event]]:
    events: list[Event] = []
    await DeadLetters(publisher, TOPIC, content=content, emit=events.append).publish([letter])
    (found,) = await asyncio.to_thread(read_topic, cluster.bootstrap_servers, TOPIC)
    headers = {
        name: value if isinstance(value, bytes) else str(value).encode()
        for name, value in dict(found.headers() or []).items()
    }
    return found, headers, events


async def test_a_letter_has_the_bytes_and_their_origin(
    publisher: Publisher, mock_cluster: MockCluster
) -> None:
    """Whoever repairs the cause can decode it again, and find the record it came from."""
    found, headers, events = await _publish(publisher, mock_cluster, _letter())
    assert (found.key(), found.value()) == (b"key", b"\xff\x00bytes")
    version = headers.pop("assay.version")
    assert version[:1].isdigit()
    assert headers == {
        "assay.reason": b"undecodable",
        "assay.detail": b"protobuf: truncated",
        "assay.topic": b"otlp_spans",
        "assay.partition": b"3",
        "assay.offset": b"41",
        "assay.timestamp_ms": b"1790000000500",
        "assay.part": b"record",
        "assay.stub": b"false",
    }
    assert events == [
        DeadLettered("otlp_spans", 3, 41, DeadLetterReason.UNDECODABLE, "protobuf: truncated")
    ]


@pytest.mark.parametrize(
    ("letter", "content"),
    [
        pytest.param(_letter(), "none", id="content is not kept"),
        pytest.param(_letter(reason=DeadLetterReason.TOO_LARGE), "full", id="too large to decode"),
        pytest.param(
            _letter(reason=DeadLetterReason.BAD_COMPRESSION, value=None), "full", id="bomb"
        ),
        pytest.param(_letter(value=b"x" * 20_000), "full", id="too large for Kafka"),
        pytest.param(_letter(key=b"k" * 20_000), "full", id="key too large for Kafka"),
        pytest.param(
            _letter(key=b"k" * 20_000, reason=DeadLetterReason.TOO_LARGE), "full", id="both"
        ),
    ],
)
async def test_a_stub_says_where_the_bytes_were(
    publisher: Publisher, mock_cluster: MockCluster, letter: DeadLetter, content: str
) -> None:
    """What may not be kept, or does not fit, leaves a letter without bytes, with its origin."""
    found, headers, events = await _publish(publisher, mock_cluster, letter, content)
    assert not found.value()
    assert headers["assay.stub"] == b"true"
    assert (headers["assay.partition"], headers["assay.offset"]) == (b"3", b"41")
    assert headers["assay.reason"] == letter.reason.encode()
    assert len(events) == 1


async def test_one_span_of_a_record_is_told_from_a_whole_record(
    publisher: Publisher, mock_cluster: MockCluster
) -> None:
    """The bytes of a span alone are no message; the letter says which it is."""
    _, headers, _ = await _publish(publisher, mock_cluster, _letter(is_span=True))
    assert headers["assay.part"] == b"span"


def _limit(**changes: Any) -> Limit:
    return Limit(DeadLettersConfig.model_validate(changes))


def test_too_many_in_a_row_stop_the_worker() -> None:
    """The first above the limit raises, and says what to check."""
    limit = _limit(max_consecutive=3)
    for _ in range(3):
        limit.count(readable=False, what="spans[0]@1")
    with pytest.raises(WorkerStopped, match=r"spans\[0\]@7: the 4th unreadable.*kafka.encoding"):
        limit.count(readable=False, what="spans[0]@7")


def test_a_readable_record_begins_the_row_anew() -> None:
    """Poison here and there is normal."""
    limit = _limit(max_consecutive=3, ratio_window=1000)
    for _ in range(100):
        for _ in range(3):
            limit.count(readable=False, what="bad")
        limit.count(readable=True, what="good")


def test_too_large_a_share_stops_the_worker() -> None:
    """Half of all records unreadable, never two in a row: only the ratio can see that."""
    limit = _limit(max_consecutive=3, max_ratio=0.4, ratio_window=10)
    for index in range(9):
        limit.count(readable=index % 2 == 0, what="x")
    with pytest.raises(WorkerStopped, match="5 of the last 10 records"):
        limit.count(readable=False, what="x")


def test_old_records_leave_the_window() -> None:
    """A bad hour that is over does not count for ever."""
    limit = _limit(max_consecutive=100, max_ratio=0.4, ratio_window=10)
    for _ in range(20):
        for readable in (False, False, False, False, *[True] * 6):
            limit.count(readable=readable, what="x")
