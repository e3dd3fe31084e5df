"""Where a lane begins to read: what was committed, else how the group began, else the config."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from support.kafka import KafkaServer
from support.spans import message, plain_span, produce

from workers import offset_metadata
from workers.demo.broker import MockCluster
from workers.offset_metadata import Beginning
from workers.starts import Start, Starts

TOPIC = "spans"
RECORDS = 6
"""In each partition of the topic."""

Open = Callable[[str], Consumer]


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    """A mock cluster whose topic has two partitions of six records."""
    mock_cluster.create_topic(TOPIC, 2)
    producer = Producer({"bootstrap.servers": mock_cluster.bootstrap_servers})
    for partition in (0, 1):
        for _ in range(RECORDS):
            producer.produce(TOPIC, b"x", partition=partition)
    producer.flush(10)
    return mock_cluster


@pytest.fixture
def group(cluster: MockCluster) -> Iterator[Open]:
    """Opens a consumer of a group, which joins nothing; closed after the test."""
    opened: list[Consumer] = []

    def start(name: str) -> Consumer:
        opened.append(_open(cluster.bootstrap_servers, name))
        return opened[-1]

    yield start
    for consumer in opened:
        consumer.close()


def _open(bootstrap_servers: str, name: str) -> Consumer:
    return Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": name, "enable.auto.commit": False}
    )


def _commit(
    consumer: Consumer, partition: int, offset: int, beginning: Beginning | None, *done: int
) -> str | None:
    metadata = None if beginning is None else offset_metadata.encode(beginning, offset, done)
    item = (
        TopicPartition(TOPIC, partition, offset)
        if metadata is None
        else TopicPartition(TOPIC, partition, offset, metadata)
    )
    consumer.commit(offsets=[item], asynchronous=False)
    return metadata


def _resolve(
    consumer: Consumer,
    *partitions: int,
    start: Literal["latest", "earliest"] | datetime = "latest",
    lane: str = "c",
    code_group: Callable[[], Consumer] | None = None,
    of: Sequence[int] = (0, 1),
) -> list[Start]:
    starts = Starts(start, lanes="cj", lane=lane, partitions_of=lambda _: of, code_group=code_group)
    return starts.resolve(consumer, [TopicPartition(TOPIC, index) for index in partitions])


def test_the_first_start_of_a_group_follows_the_config(group: Open) -> None:
    """Nothing is committed yet: `latest` is the end, `earliest` the first record."""
    latest = _resolve(group("new"), 0, 1)
    assert [start.offset for start in latest] == [RECORDS, RECORDS]
    assert all(start.is_fresh for start in latest)
    assert {start.beginning for start in latest} == {Beginning(2, RECORDS, "cj")}
    assert [s.offset for s in _resolve(group("new"), 0, 1, start="earliest")] == [0, 0]


def test_what_was_committed_wins(group: Open) -> None:
    """A restart goes on where the group stands, whatever the config says; metadata comes along."""
    consumer = group("known")
    beginning = Beginning(2, 1, "c")
    metadata = _commit(consumer, 0, 2, beginning, 4)
    (start,) = _resolve(consumer, 0, start="earliest")
    assert start == Start((TOPIC, 0), 2, beginning, metadata, is_fresh=False)


def test_a_commit_of_another_tool_is_a_place_to_begin(group: Open) -> None:
    """Somebody reset the offsets by hand: that offset holds, and counts as the beginning."""
    consumer = group("reset")
    _commit(consumer, 0, 3, None)
    (start,) = _resolve(consumer, 0)
    assert (start.offset, start.beginning, start.is_fresh) == (3, Beginning(2, 3, "cj"), False)


def test_a_partition_that_was_added_later_is_read_from_its_first_record(group: Open) -> None:
    """The group began when there was one partition: the second one holds nothing it may skip."""
    consumer = group("grown")
    _commit(consumer, 0, 2, Beginning(1, 0, "cj"))
    (start,) = _resolve(consumer, 1, start="latest")
    assert (start.offset, start.is_fresh) == (0, True)


def test_a_partition_of_the_beginning_follows_the_config(group: Open) -> None:
    """Two workers start together: the second decides like the first, which has committed."""
    consumer = group("together")
    _commit(consumer, 0, 2, Beginning(2, 2, "cj"))
    (start,) = _resolve(consumer, 1, start="latest")
    assert start.offset == RECORDS


def test_a_lane_that_is_added_later_starts_where_the_code_lane_stands(group: Open) -> None:
    """A first judge in an old config: what is behind the code lane is history."""
    _commit(group("assay.code"), 0, 4, Beginning(2, 0, "c"))
    (start,) = _resolve(
        group("assay.judge"), 0, start="earliest", lane="j", code_group=lambda: group("assay.code")
    )
    assert (start.offset, start.is_fresh) == (4, True)


def test_lanes_that_begin_together_begin_at_the_same_record(group: Open) -> None:
    """The code lane is ahead already; the judge lane still owes what came since the beginning."""
    _commit(group("assay.code"), 0, 4, Beginning(2, 1, "cj"))
    (start,) = _resolve(group("assay.judge"), 0, lane="j", code_group=lambda: group("assay.code"))
    assert (start.offset, start.is_fresh) == (1, True)


def test_a_code_lane_beyond_the_end_is_no_place_to_begin(group: Open) -> None:
    """The topic was made again and is shorter now: start at its end, not out of range."""
    _commit(group("assay.code"), 0, 4_000, Beginning(2, 0, "c"))
    (start,) = _resolve(group("assay.judge"), 0, lane="j", code_group=lambda: group("assay.code"))
    assert start.offset == RECORDS


def test_a_time_is_the_first_record_from_then_on(kafka: KafkaServer) -> None:
    """`kafka.start` as a time: the first record at or after it, the end where there is none."""
    topic = f"test-{uuid4()}"
    kafka.create_topics({topic: 1})
    produce(kafka.bootstrap_servers, topic, [(None, message([plain_span()]))] * 3)
    consumer = _open(kafka.bootstrap_servers, f"test-{uuid4()}")
    try:
        for year, offset in ((2001, 0), (2999, 3)):
            starts = Starts(
                datetime(year, 1, 1, tzinfo=UTC),
                lanes="c",
                lane="c",
                partitions_of=lambda _: (0,),
                code_group=None,
            )
            (start,) = starts.resolve(consumer, [TopicPartition(topic, 0)])
            assert start.offset == offset
    finally:
        consumer.close()
