"""Where a lane begins to read a partition.

A committed offset always wins. Without one:

- the topic's partitions are new to the whole group → `kafka.start` (latest, earliest, a time);
- the group began before this partition existed → its first record;
- the lane is younger than the code lane → where the code lane stands.

What is decided is committed at once, so that a crash before the first commit loses nothing; how the
group began travels in the commit's metadata, so that two workers that start together decide alike.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, TypeVar

from confluent_kafka import OFFSET_INVALID, Consumer, KafkaError, KafkaException, TopicPartition

from . import offset_metadata
from .offset_metadata import Beginning
from .offsets import Partition

_TIMEOUT_S = 10.0
_CODE_LANE_WAIT_S = 5.0
_POLL_S = 0.25
_MOVES = frozenset(
    {
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError._WAIT_COORD,  # noqa: SLF001  the client's own codes begin so
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
    }
)

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True)
class Start:
    """Where one partition begins.

    `metadata` is that of the committed offset; `is_fresh` says that nothing was committed yet.
    """

    partition: Partition
    offset: int
    beginning: Beginning
    metadata: str | None
    is_fresh: bool


class Starts:
    """Decides where a lane begins.

    Args:
        start: `kafka.start` of the config.
        lanes: Initials of all lanes that the config needs, such as `cj`.
        lane: Initial of this lane.
        partitions_of: Looks up the partitions of a topic, by a client of its own: asked inside a
            callback of the lane's consumer, `list_topics` of that consumer leaves it in a state in
            which its next callback aborts the process (confluent-kafka 2.16).
        code_group: Opens a consumer of the code lane's group, that joins nothing, to look up its
            commits; None where this lane is the code lane.
    """

    def __init__(
        self,
        start: Literal["latest", "earliest"] | datetime,
        *,
        lanes: str,
        lane: str,
        partitions_of: Callable[[str], Sequence[int]],
        code_group: Callable[[], Consumer] | None,
    ) -> None:
        self._start = start
        self._lanes = lanes
        self._lane = lane
        self._partitions_of = partitions_of
        self._code_group = code_group

    def resolve(self, consumer: Consumer, assigned: Sequence[TopicPartition]) -> list[Start]:
        """Where each assigned partition begins. Blocks on the broker; called by the poll thread.

        Raises:
            KafkaException: The broker did not answer.
        """
        starts: list[Start] = []
        for topic in sorted({partition.topic for partition in assigned}):
            wanted = [partition.partition for partition in assigned if partition.topic == topic]
            every = sorted({*_patiently(partial(self._partitions_of, topic)), *wanted})
            committed = _committed(consumer, topic, every)
            fresh = [partition for partition in wanted if committed[partition][0] < 0]
            stands = self._code_lane_stands(topic, fresh)
            starts.extend(
                self._one(consumer, topic, partition, committed, stands.get(partition))
                for partition in wanted
            )
        return starts

    def _one(
        self,
        consumer: Consumer,
        topic: str,
        partition: int,
        committed: dict[int, tuple[int, str | None]],
        stands: int | None,
    ) -> Start:
        key = (topic, partition)
        offset, metadata = committed[partition]
        known = {
            index: offset_metadata.decode(text, position)[0]
            for index, (position, text) in committed.items()
            if position >= 0
        }
        if offset >= 0:
            beginning = known[partition] or Beginning(len(committed), offset, self._lanes)
            return Start(key, offset, beginning, metadata, is_fresh=False)
        low, high = _patiently(
            lambda: consumer.get_watermark_offsets(TopicPartition(topic, partition), _TIMEOUT_S)
        )
        if known and not any(b is not None and partition < b.partitions for b in known.values()):
            return self._fresh(key, low, len(committed))
        if stands is not None:
            return self._fresh(key, min(max(stands, low), high), len(committed))
        return self._fresh(
            key, self._configured(consumer, topic, partition, low, high), len(committed)
        )

    def _fresh(self, key: Partition, offset: int, partitions: int) -> Start:
        return Start(key, offset, Beginning(partitions, offset, self._lanes), None, is_fresh=True)

    def _configured(
        self, consumer: Consumer, topic: str, partition: int, low: int, high: int
    ) -> int:
        if self._start == "earliest":
            return low
        if self._start == "latest":
            return high
        milliseconds = int(self._start.timestamp() * 1000)
        wanted = [TopicPartition(topic, partition, milliseconds)]
        found = _patiently(lambda: consumer.offsets_for_times(wanted, _TIMEOUT_S))[0].offset
        return found if found >= 0 else high

    def _code_lane_stands(self, topic: str, partitions: Sequence[int]) -> dict[int, int]:
        """Where the code lane stands, or where it began if this lane was there from the beginning.

        Without the second half, a worker's code lane that starts a moment before its judge lane
        would have spans behind it that no judge evaluator ever sees. A code lane that starts at the
        same moment is waited for, once for all partitions; without one this lane decides alone.
        """
        if self._code_group is None or not partitions:
            return {}
        consumer = self._code_group()
        try:
            until = time.monotonic() + _CODE_LANE_WAIT_S
            while True:
                committed = _committed(consumer, topic, partitions)
                known = {
                    index: self._stand(offset, text)
                    for index, (offset, text) in committed.items()
                    if offset >= 0
                }
                if len(known) == len(committed) or time.monotonic() >= until:
                    return known
                time.sleep(_POLL_S)  # noqa: TID251  the poll thread, waiting for a peer
        finally:
            consumer.close()

    def _stand(self, offset: int, metadata: str | None) -> int:
        beginning, _ = offset_metadata.decode(metadata, offset)
        if beginning is not None and self._lane in beginning.lanes:
            return beginning.start
        return offset


def _committed(
    consumer: Consumer, topic: str, partitions: Sequence[int]
) -> dict[int, tuple[int, str | None]]:
    wanted = [TopicPartition(topic, index) for index in partitions]
    found = _patiently(lambda: consumer.committed(wanted, _TIMEOUT_S))
    for item in found:
        if item.error is not None:  # else "unknown" would read as "nothing was committed"
            raise KafkaException(item.error)
    return {
        item.partition: (item.offset if item.offset != OFFSET_INVALID else -1, item.metadata)
        for item in found
    }


def _patiently(ask: Callable[[], _Answer]) -> _Answer:
    """Ask again while a coordinator or leader is on the move, as after a broker's restart."""
    until = time.monotonic() + 3 * _TIMEOUT_S
    while True:
        try:
            return ask()
        except KafkaException as error:
            if error.args[0].code() not in _MOVES or time.monotonic() >= until:
                raise
        time.sleep(_POLL_S)  # noqa: TID251  the poll thread has nothing else to do
