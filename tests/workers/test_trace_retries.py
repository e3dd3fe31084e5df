"""Reading the records of many traces again: each trace's together, within a bound of bytes."""

from collections.abc import Iterator
from itertools import groupby

import pytest
from confluent_kafka import Producer
from support.workers import SPANS

from schemas.config import KafkaConfig
from schemas.outcome import Source
from schemas.reasons import Reason
from workers.demo.broker import MockCluster
from workers.retries import Wanted, packed
from workers.topic_reader import TopicReader
from workers.trace_retries import Again, TraceRecords, gathered

TRACES = 12
RECORDS = 4
SIZE = 100


def _wanted(trace: int, offsets: list[int], *, evaluator: str = "e", revision: int = 4) -> Wanted:
    stands = packed(Source(SPANS, trace % 2, offset) for offset in offsets)
    key = f"{trace}-{evaluator}"
    return Wanted(key, str(trace), "", evaluator, "1", "f", Reason.TIMEOUT, revision, stands)


@pytest.fixture
def reader(mock_cluster: MockCluster) -> Iterator[TopicReader]:
    """Reads a topic of two partitions, in each 48 records of 100 bytes."""
    mock_cluster.create_topic(SPANS, 2)
    producer = Producer({"bootstrap.servers": mock_cluster.bootstrap_servers})
    for number in range(TRACES * RECORDS):
        for partition in range(2):
            producer.produce(SPANS, b"%d" % number + b" " * SIZE, partition=partition)
    assert producer.flush(10) == 0
    kafka = KafkaConfig.model_validate(
        {"bootstrap_servers": mock_cluster.bootstrap_servers, "spans": [SPANS]}
    )
    with TopicReader(kafka, "test") as one:
        yield one


def _mixed() -> list[Again]:
    """Traces of four records each, every one of which begins before the last of them ends."""
    return gathered(
        _wanted(number, [number + TRACES * step for step in range(RECORDS)])
        for number in range(TRACES)
    )


@pytest.mark.parametrize("max_bytes", [1, 5 * SIZE, 10**9])
@pytest.mark.parametrize("at_once", [1, 10, 10**6])
def test_the_records_of_a_trace_come_together_each_once(
    reader: TopicReader, max_bytes: int, at_once: int
) -> None:
    """Whatever may be held: what finds no room is read again later."""
    records = TraceRecords(reader, _mixed(), max_bytes=max_bytes, at_once=at_once)
    assert records.count == TRACES * RECORDS
    places = [(read.partition, read.offset) for read in records.reads()]
    runs = [
        (number, [offset for _, offset in run])
        for number, run in groupby(places, lambda place: (place[0], place[1] % TRACES))
    ]
    expected = [
        ((number % 2, number), [number + TRACES * step for step in range(RECORDS)])
        for number in range(TRACES)
    ]
    assert sorted(runs) == sorted(expected)
    assert records.gone == set()


def test_no_more_is_held_than_may_be(reader: TopicReader) -> None:
    """With room for three records of twelve mixed traces, they come in several sweeps."""
    polls: list[int] = []
    for max_bytes in (10**9, 3 * SIZE):
        records = TraceRecords(reader, _mixed(), max_bytes=max_bytes)
        seen: list[int] = []
        assert len(list(records.reads(seen.append))) == TRACES * RECORDS
        polls.append(sum(seen))
    assert polls[1] > 3 * polls[0]


def test_a_trace_with_a_record_that_is_gone_is_not_read(reader: TopicReader) -> None:
    """Neither its other records; those of the others are."""
    wanted = [_wanted(0, [0, 2, 4]), _wanted(2, [1, 3, 1000])]
    records = TraceRecords(reader, gathered(wanted), max_bytes=10**9)
    assert records.gone == {Source(SPANS, 0, 1000)}
    assert [read.offset for read in records.reads()] == [0, 2, 4]


def test_what_a_trace_is_read_from_is_all_that_its_outcomes_name() -> None:
    """One evaluator saw a fragment: both get the whole, and no outcome of fewer spans counts."""
    (trace,) = gathered(
        [_wanted(0, [1, 2], revision=2), _wanted(0, [2, 3, 4], evaluator="f", revision=7)]
    )
    assert [source.offset for source in trace.sources] == [1, 2, 3, 4]
    assert [each.sources for each in trace.wanted] == [trace.sources] * 2
    assert trace.revision == 7
