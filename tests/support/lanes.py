"""One lane's consumer in the test's own process: what it reads, finishes, commits and gives up."""

import asyncio
import ctypes
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.config import KafkaConfig
from schemas.events import Event, PartitionsAssigned
from workers import kafka_settings
from workers.consumer import Drain, LaneConsumer, Record
from workers.demo.broker import MockCluster
from workers.offsets import Offsets, Partition
from workers.starts import Starts

TOPIC = "spans"


def hasten(cluster: MockCluster) -> None:
    """Let groups of the new protocol rebalance at once, and forget a killed member after 6 s."""
    for what, ms in (("heartbeat_interval_ms", 300), ("session_timeout_ms", 6000)):
        setting = getattr(cluster._library, f"rd_kafka_mock_set_group_consumer_{what}")
        setting.argtypes = (ctypes.c_void_p, ctypes.c_int)
        setting.restype = None
        setting(cluster._open_cluster(), ms)


def fill(cluster: MockCluster, partitions: int, records: int) -> None:
    """Make the topic, with so many records in each partition, on a cluster that is quick."""
    hasten(cluster)
    cluster.create_topic(TOPIC, partitions)
    add(cluster, partitions, records)


def add(cluster: MockCluster, partitions: int, records: int) -> None:
    """Put so many records more into each partition."""
    producer = Producer({"bootstrap.servers": cluster.bootstrap_servers})
    for partition in range(partitions):
        for _ in range(records):
            producer.produce(TOPIC, b"x" * 100, partition=partition)
    assert producer.flush(10) == 0


def group_offsets(bootstrap_servers: str, group: str, partitions: int) -> dict[int, int]:
    """Committed offset of each partition that has one."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, "log_level": 0})
    try:
        wanted = [TopicPartition(TOPIC, index) for index in range(partitions)]
        return {p.partition: p.offset for p in consumer.committed(wanted, 10) if p.offset >= 0}
    finally:
        consumer.close()


@dataclass
class Reader:
    """A running consumer.

    Attributes:
        taken: Records that it handed over, in order.
        opened: Group protocols that it opened a client for, in order.
        joined: Set when the group has taken it in.
        is_reading: Clear it, and records stay where they are: the lane fills up.
    """

    consumer: LaneConsumer
    offsets: Offsets
    events: list[Event]
    opened: list[str]
    joined: threading.Event
    taken: list[Record] = field(default_factory=list)
    is_reading: asyncio.Event = field(default_factory=asyncio.Event)

    def owned(self) -> set[int]:
        """Partitions that it has now."""
        return {partition for _, partition in self.offsets.assigned()}

    def read(self) -> dict[int, list[int]]:
        """Offsets that were handed over, by partition."""
        found: dict[int, list[int]] = {}
        for record in self.taken:
            found.setdefault(record.partition, []).append(record.offset)
        return found

    async def take(self, *, release: bool) -> None:
        """Hand over until the consumer has stopped."""
        async for record in self.consumer:
            await self.is_reading.wait()
            self.taken.append(record)
            if release:
                record.claim.release()


@asynccontextmanager
async def reading(
    cluster: MockCluster,
    *,
    group: str = "group",
    start: str = "earliest",
    drain: Drain | None = None,
    buffer_bytes: int = 10_000_000,
    release: bool = True,
    settings: Mapping[str, Any] | None = None,
    lane: str = "c",
    code_group: str | None = None,
) -> AsyncIterator[Reader]:
    """Run a consumer; at the end it is stopped, and what it raised is raised."""
    kafka = KafkaConfig.model_validate(
        {"bootstrap_servers": cluster.bootstrap_servers, "spans": [TOPIC], "start": start}
    )
    events: list[Event] = []
    opened: list[str] = []
    offsets = Offsets()
    joined = threading.Event()

    def open_consumer(protocol: str, callbacks: Mapping[str, Any]) -> Consumer:
        opened.append(protocol)
        known = kafka_settings.consumer(kafka, group, protocol=protocol)
        return Consumer({**known, **(settings or {}), **callbacks})

    def partitions_of(topic: str) -> Sequence[int]:
        client = Consumer(kafka_settings.lookup(kafka, group))
        try:
            return tuple(client.list_topics(topic, 10).topics[topic].partitions)
        finally:
            client.close()

    async def nothing(_: Sequence[Partition], __: bool) -> int:
        return 0

    consumer = LaneConsumer(
        "code",
        open_consumer=open_consumer,
        topics=[TOPIC],
        offsets=offsets,
        starts=Starts(
            kafka.start,
            lanes="cj",
            lane=lane,
            partitions_of=partitions_of,
            code_group=None
            if code_group is None
            else lambda: Consumer(kafka_settings.lookup(kafka, code_group)),
        ),
        drain=drain or nothing,
        drain_limit_s=5,
        buffer_bytes=buffer_bytes,
        message_bytes=1_000_000,
        emit=events.append,
        observe=lambda _: None,
        beat=lambda: None,
        joined=joined.set,
    )
    reader = Reader(consumer, offsets, events, opened, joined)
    reader.is_reading.set()
    taking = asyncio.create_task(reader.take(release=release))
    running = asyncio.create_task(consumer.run())
    try:
        yield reader
    finally:
        reader.is_reading.set()
        consumer.stop()
        await running
        with suppress(asyncio.CancelledError):
            await taking


async def eventually(condition: Callable[[], bool], timeout_s: float = 15) -> None:
    """Wait until it holds.

    Raises:
        AssertionError: It does not in time.
    """
    async with asyncio.timeout(timeout_s + 1):
        for _ in range(int(timeout_s / 0.05)):
            if condition():
                return
            await asyncio.sleep(0.05)
    raise AssertionError(f"not so within {timeout_s:g} s")


def was_assigned(reader: Reader) -> bool:
    """Whether it got partitions, or was told that there are none for it."""
    return any(isinstance(event, PartitionsAssigned) for event in reader.events)
