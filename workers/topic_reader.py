"""Read a topic from a moment on up to its end now, as a bystander: no group, no commits."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.config import KafkaConfig
from schemas.errors import AssayError

from . import kafka_settings
from .broker_fault import BrokerFault

_TIMEOUT_S = 10.0
_BATCH = 1000
_POLL_S = 0.1
_SILENCE_S = 30.0
_FINAL = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001  the client's own codes begin so
        KafkaError._AUTHENTICATION,  # noqa: SLF001
    }
)
POISON = frozenset(
    {KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG, KafkaError.INVALID_MSG}  # noqa: SLF001
)
"""Errors of one record, such as a compression bomb: the client stands still until it is told on."""
_NEWS = POISON | {KafkaError._PARTITION_EOF}  # noqa: SLF001


class TopicUnreadable(AssayError):  # noqa: N818  named for what happened
    """A topic is not there, or no broker answers."""


class TopicMissing(TopicUnreadable):
    """A topic is not there."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """What there is to read of one partition.

    Attributes:
        partition: Its number.
        begin: Offset of the first record to read.
        end: The partition's end when it was asked for; not to be read.
        is_all: Whether it begins with the oldest record that the broker still has.
    """

    partition: int
    begin: int
    end: int
    is_all: bool


@dataclass(frozen=True, slots=True)
class Stretches:
    """What there is to read of a topic.

    Attributes:
        topic: Its name.
        since_ms: The moment asked for, milliseconds since 1970; read records may be older.
        partitions: How many partitions the topic has.
        parts: Those that have something to read.
        knows_times: Whether the broker says which offset belongs to a time; where it does not,
            each partition is read from its beginning.
        has_older: Whether the topic holds older records too; where `knows_times` is false, reading
            tells.
    """

    topic: str
    since_ms: int
    partitions: int
    parts: tuple[Stretch, ...]
    knows_times: bool
    has_older: bool = False

    @property
    def records(self) -> int:
        """How many records there are to read at most: a log may have gaps."""
        return sum(part.end - part.begin for part in self.parts)


@dataclass(frozen=True, slots=True)
class Read:
    """One record.

    Attributes:
        problem: Why the client could not read it; it has no value then.
    """

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]] = ()
    problem: str | None = None


class TopicReader:
    """Reads topics one after the other; a context manager. Not for use by two threads.

    Args:
        kafka: Where the cluster is.
        purpose: Goes into the client's group id, which nothing ever joins.
        batch: Records to take from the client at a time; they are all in memory then.
    """

    def __init__(self, kafka: KafkaConfig, purpose: str, *, batch: int = _BATCH) -> None:
        self._servers = kafka.bootstrap_servers
        self._batch = batch
        self._fault = BrokerFault()
        self._consumer = Consumer(
            {
                **kafka_settings.lookup(kafka, f"assay-{purpose}-{uuid4()}"),
                "auto.offset.reset": "earliest",  # what retention takes meanwhile is passed over
                "error_cb": self._fault,
                "enable.partition.eof": True,  # a log may end in a gap: its last offset never comes
            }
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def stretches(self, topic: str, since_s: float) -> Stretches:
        """What a topic holds since a moment (Unix seconds).

        Raises:
            TopicUnreadable: It is not there, or no broker answers.
        """
        since_ms = max(0, int(since_s * 1000))
        bounds = self.bounds(topic)
        with self._explained(topic):
            filled = [index for index, (low, high) in bounds.items() if high > low]
            # Every record is younger than 1970: a broker that finds none looks up no times.
            knows_times = any(offset >= 0 for offset in self._offsets(topic, filled, 0).values())
            first = self._offsets(topic, filled, since_ms) if knows_times else {}
        parts = []
        for index in filled:
            low, high = bounds[index]
            begin = max(low, first[index]) if knows_times and first[index] >= 0 else low
            if begin < high and not (knows_times and first[index] < 0):  # < 0: none so young
                parts.append(Stretch(index, begin, high, begin == low))
        has_older = any(offset < 0 or offset > bounds[index][0] for index, offset in first.items())
        return Stretches(
            topic, since_ms, len(bounds), tuple(parts), knows_times or not filled, has_older
        )

    def bounds(self, topic: str) -> dict[int, tuple[int, int]]:
        """First offset and end of each partition, as they are now.

        Raises:
            TopicMissing: There is no such topic.
            TopicUnreadable: No broker answers.
        """
        with self._explained(topic):
            metadata = self._consumer.list_topics(timeout=_TIMEOUT_S).topics.get(topic)
            if metadata is None or metadata.error is not None:
                raise TopicMissing(
                    f"{topic}: not there (assay topics --create), or may not be described"
                )
        return {index: self.bounds_of(topic, index) for index in sorted(metadata.partitions)}

    def bounds_of(self, topic: str, partition: int) -> tuple[int, int]:
        """First offset and end of one partition, as they are now.

        Raises:
            TopicUnreadable: No broker answers.
        """
        with self._explained(topic):
            low, high = self._consumer.get_watermark_offsets(
                TopicPartition(topic, partition), _TIMEOUT_S
            )
        return low, high

    def offsets_at(
        self, topic: str, partitions: Sequence[int], at_ms: int
    ) -> dict[int, int | None] | None:
        """The first offset at or after a time in each partition, None where there is none.

        Args:
            topic: The topic.
            partitions: Those that hold something.
            at_ms: Milliseconds since 1970.

        Returns:
            None where the broker looks up no times.

        Raises:
            TopicUnreadable: No broker answers.
        """
        with self._explained(topic):
            # Every record is younger than 1970: a broker that finds none looks up no times.
            if partitions and max(self._offsets(topic, partitions, 0).values()) < 0:
                return None
            found = self._offsets(topic, partitions, at_ms)
        return {index: None if offset < 0 else offset for index, offset in found.items()}

    def read(
        self,
        stretches: Stretches,
        parts: Iterable[Stretch],
        advance: Callable[[int], object] = lambda _: None,
    ) -> Iterator[Read]:
        """Read some parts of a topic, interleaved; what is older than asked for is passed over.

        Args:
            stretches: What was found of the topic.
            parts: What to read: its parts or pieces of them; one of each partition.
            advance: Told how many more records were read, passed over or not.

        Raises:
            TopicUnreadable: The broker refuses, or has said nothing for half a minute.
        """
        topic = stretches.topic
        wanted = {part.partition: part for part in parts}
        ends = {index: part.end for index, part in wanted.items()}
        silent_s = 0.0
        with self._explained(topic):
            self._consumer.assign(
                [TopicPartition(topic, index, part.begin) for index, part in wanted.items()]
            )
            while ends:
                asked = time.monotonic()
                messages = self._consumer.consume(self._batch, _POLL_S)
                # Only time in here counts: whoever gets the records may take a judge's outage long.
                silent_s += time.monotonic() - asked
                silent_s = self._silence(topic, messages, silent_s)
                advance(sum(message.error() is None for message in messages))
                for message in messages:
                    record = _read(message, ends)
                    if record is None:
                        continue
                    if record.problem is not None:
                        self._consumer.seek(
                            TopicPartition(topic, record.partition, record.offset + 1)
                        )
                    if record.problem is not None or record.timestamp_ms >= stretches.since_ms:
                        yield record
            self._consumer.unassign()

    def _offsets(self, topic: str, partitions: Sequence[int], since_ms: int) -> dict[int, int]:
        """First offset at or after a time; -1 where there is none."""
        if not partitions:
            return {}
        wanted = [TopicPartition(topic, index, since_ms) for index in partitions]
        found = self._consumer.offsets_for_times(wanted, _TIMEOUT_S)
        return {each.partition: each.offset for each in found}

    def _silence(self, topic: str, messages: Sequence[Message], silent_s: float) -> float:
        """For how long the broker has not been heard of: 0, if these are news."""
        for message in messages:
            error = message.error()
            if error is None or error.code() in _NEWS:
                silent_s = 0.0
            elif error.code() in _FINAL or error.fatal():
                raise KafkaException(error)
        if silent_s > _SILENCE_S:
            raise TopicUnreadable(
                f"{self._servers}: nothing more of {topic} within {_SILENCE_S:g} s; "
                "check that the cluster is up"
            )
        return silent_s

    @contextmanager
    def _explained(self, topic: str) -> Iterator[None]:
        try:
            yield
        except KafkaException as error:
            raise TopicUnreadable(
                f"{self._servers}: cannot read {topic} ({self._fault.why(self._consumer, error)}); "
                "check kafka.bootstrap_servers and kafka.client, and that the cluster is up"
            ) from error


def _read(message: Message, ends: dict[int, int]) -> Read | None:
    """The record of a message; a partition that is at its end is taken out of `ends`."""
    index, offset, error = message.partition(), message.offset(), message.error()
    if index is None or offset is None:
        return None
    end = ends.get(index)
    is_poison = error is not None and error.code() in POISON
    if error is not None and not is_poison:
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            ends.pop(index, None)
        return None
    if end is None or offset >= end:
        ends.pop(index, None)
        return None
    if offset + 1 == end:
        del ends[index]
    if error is not None:
        timestamp_ms = message.timestamp()[1]
        return Read(
            message.topic() or "", index, offset, timestamp_ms, None, None, problem=error.str()
        )
    key, value = message.key(), message.value()
    headers: Any = message.headers() or []  # a list of pairs, as read from a broker
    return Read(
        message.topic() or "",
        index,
        offset,
        message.timestamp()[1],
        key if isinstance(key, bytes) else None,
        value if isinstance(value, bytes) else None,
        [(name, content) for name, content in headers if not isinstance(content, str)],
    )
