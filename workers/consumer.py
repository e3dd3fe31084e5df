"""One lane's Kafka consumer: a thread that polls, pauses, commits, and hands records to the loop.

The thread never stops polling, paused or not, so that the group keeps this member. It is the only
one that commits: between polls, explicitly and asynchronously, partitions that are assigned at that
moment; synchronously when partitions leave. No other thread may: the broker *accepts* a commit of a
partition that was taken away, and it moves the new owner's offset.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import WorkerStopped
from schemas.events import (
    CommitFailed,
    Emit,
    IntakePaused,
    PartitionsAssigned,
    PartitionsRevoked,
)
from schemas.events import KafkaError as KafkaProblem

from .offsets import Claim, Commit, Offsets, Partition
from .starts import Starts

_POLL_S = 0.1
_BATCH = 500
_COMMIT_EVERY_S = 0.2
_OBSERVE_EVERY_S = 1.0
_BUFFER_ITEMS = 2_000
_YIELD_EVERY = 64
_POISON = frozenset(
    {KafkaError._BAD_COMPRESSION, KafkaError._BAD_MSG, KafkaError.INVALID_MSG}  # noqa: SLF001
)
_NO_KIP_848 = frozenset(
    {KafkaError.UNSUPPORTED_VERSION, KafkaError._UNSUPPORTED_FEATURE}  # noqa: SLF001
)


@dataclass(slots=True)
class Record:
    """One Kafka record and the claim that must be released for it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    timestamp_s: float
    claim: Claim
    problem: str | None = None
    """The client could not read the record (a compression bomb, say); `value` is None then."""

    @property
    def size_bytes(self) -> int:
        """Bytes of the value."""
        return len(self.value or b"")


Drain = Callable[[Sequence[Partition]], Awaitable[int]]
"""Lets the work of these partitions end, cancels what does not; how many evaluations were cut."""


class LaneConsumer:
    """The source of one lane's records.

    Args:
        lane: The lane's name, for events.
        open_consumer: Builds the client for `consumer` or `classic` group protocol.
        topics: The span topics.
        drain_limit_s: The longest that `drain` may take; then the partitions leave all the same.
        buffer_bytes: Most bytes that may wait between the thread and the pipeline.
        observe: Gets (watermark, high watermark) of each partition, once a second.
        beat: Called at every poll: the thread lives.
        joined: Called after the first poll: the lane reads what it gets, or stands by.
    """

    def __init__(
        self,
        lane: str,
        *,
        open_consumer: Callable[[str, Mapping[str, Any]], Consumer],
        topics: Sequence[str],
        offsets: Offsets,
        starts: Starts,
        drain: Drain,
        drain_limit_s: float,
        buffer_bytes: int,
        emit: Emit,
        observe: Callable[[Mapping[Partition, tuple[int, int]]], None],
        beat: Callable[[], None],
        joined: Callable[[], None],
    ) -> None:
        self._lane = lane
        self._open_consumer = open_consumer
        self._topics = list(topics)
        self._offsets = offsets
        self._starts = starts
        self._drain = drain
        self._drain_limit_s = drain_limit_s
        self._buffer_bytes = buffer_bytes
        self._emit = emit
        self._observe = observe
        self._beat = beat
        self._joined = joined
        self._stopping = threading.Event()
        self._ended = False
        self._loop: asyncio.AbstractEventLoop
        self._consumer: Consumer
        self._buffer: deque[Record] = deque()
        self._arrived = asyncio.Event()
        # Written by the poll thread only, and by the loop only: their difference is what waits.
        self._given_items = self._given_bytes = 0
        self._taken_items = self._taken_bytes = 0
        self._is_full = False
        self._paused: set[Partition] = set()
        self._was_assigned = False
        self._failures_seen: set[int] = set()

    def stop(self) -> None:
        """Ask the thread to drain, commit and leave the group; `run` returns when it has."""
        self._stopping.set()

    async def run(self) -> None:
        """Poll until `stop`, then drain, commit and leave.

        Raises:
            WorkerStopped: An offset is out of range, or the client met a fatal error.
            KafkaException: The broker refused what cannot be retried.
        """
        self._loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix=f"poll-{self._lane}") as executor:
            polling = self._loop.run_in_executor(executor, self._poll_until_stopped)
            try:
                await asyncio.shield(polling)
            except asyncio.CancelledError:
                # The thread drains on this loop before it ends. Left now, the executor would block
                # the loop until the thread has ended, and each would wait for the other.
                self._stopping.set()
                await polling
                raise
            finally:
                self._stopping.set()
                self._ended = True
                self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[Record]:
        """Records in the order of their partition, until the consumer has stopped."""
        handed = 0
        while True:
            while self._buffer:
                record = self._buffer.popleft()
                self._taken_items += 1
                self._taken_bytes += record.size_bytes
                yield record
                handed += 1
                if handed % _YIELD_EVERY == 0:  # records without work must not starve the loop
                    await asyncio.sleep(0)
            if self._ended:
                return
            self._arrived.clear()
            await self._arrived.wait()

    # --- everything below runs in the poll thread ---

    def _poll_until_stopped(self) -> None:
        self._consumer = self._subscribe("consumer")
        committed_at = observed_at = time.monotonic()
        try:
            self._hand_over(self._consumer.consume(_BATCH, _POLL_S))
            self._joined()
            while not self._stopping.is_set():
                self._beat()
                self._regulate()
                self._hand_over(self._consumer.consume(_BATCH, _POLL_S))
                now = time.monotonic()
                if now - committed_at >= _COMMIT_EVERY_S:
                    self._commit_what_changed()
                    committed_at = now
                if now - observed_at >= _OBSERVE_EVERY_S:
                    self._look_at_lag()
                    observed_at = now
            self._leave(self._offsets.assigned(), lost=False)
        finally:
            self._consumer.close()

    def _subscribe(self, protocol: str) -> Consumer:
        consumer = self._open_consumer(
            protocol, {"on_commit": self._on_commit, "error_cb": self._on_error}
        )
        consumer.subscribe(
            self._topics,
            on_assign=self._on_assign,
            on_revoke=lambda _, partitions: self._on_revoke(partitions, lost=False),
            on_lost=lambda _, partitions: self._on_revoke(partitions, lost=True),
        )
        return consumer

    def _hand_over(self, messages: Sequence[Message]) -> None:
        records = [record for message in messages if (record := self._record(message)) is not None]
        if records:
            self._given_items += len(records)
            self._given_bytes += sum(record.size_bytes for record in records)
            self._loop.call_soon_threadsafe(self._receive, records)

    def _receive(self, records: list[Record]) -> None:
        self._buffer.extend(records)  # on the loop
        self._arrived.set()

    def _record(self, message: Message) -> Record | None:
        problem = self._problem(message)
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if topic is None or partition is None or offset is None or offset < 0:
            return None
        if message.error() is not None and problem is None:
            return None
        timestamp_s = max(0, message.timestamp()[1]) / 1000
        try:
            claim = self._offsets.deliver((topic, partition), offset, timestamp_s)
        except KeyError:  # prefetched before a revocation that happened in the same poll
            return None
        if problem is not None:
            self._consumer.seek(TopicPartition(topic, partition, offset + 1))
        if claim is None:
            return None
        value = None if problem else message.value()
        return Record(
            topic,
            partition,
            offset,
            _bytes(message.key()),
            _bytes(value),
            timestamp_s,
            claim,
            problem,
        )

    def _problem(self, message: Message) -> str | None:
        """Sort an error event: poison (its text), nothing to do (None), or raise."""
        error = message.error()
        if error is None:
            return None
        if error.code() in _POISON:
            return error.str()
        where = f"{message.topic()}[{message.partition()}]"
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
            raise WorkerStopped(
                f"{where}: the committed offset of lane {self._lane} is out of range "
                f"({error.str()}); retention took the records or the topic was made again: reset "
                "the group's offsets (kafka-consumer-groups --reset-offsets) and start again"
            )
        if error.code() in _NO_KIP_848 and not self._was_assigned:
            self._consumer.close()
            self._consumer = self._subscribe("classic")
            return None
        self._on_error(error)
        return None

    def _regulate(self) -> None:
        """Pause or resume: as a whole by what waits (with hysteresis), and crowded partitions."""
        items = self._given_items - self._taken_items
        size = self._given_bytes - self._taken_bytes
        share = 2 if self._is_full else 1
        is_full = items > _BUFFER_ITEMS // share or size > self._buffer_bytes // share
        if is_full != self._is_full:
            self._is_full = is_full
            self._emit(IntakePaused(self._lane, is_full, "the lane is full" if is_full else ""))
        assigned = set(self._offsets.assigned())
        wanted = assigned if is_full else self._offsets.crowded()
        self._paused &= assigned
        if wanted - self._paused:
            self._consumer.pause([TopicPartition(*key) for key in wanted - self._paused])
        if self._paused - wanted:
            self._consumer.resume([TopicPartition(*key) for key in self._paused - wanted])
        self._paused = set(wanted)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        starts = self._starts.resolve(consumer, partitions)
        for start in starts:
            self._offsets.assign(start.partition, start.offset, start.beginning, start.metadata)
            self._paused.discard(start.partition)  # partitions arrive unpaused
        consumer.incremental_assign([TopicPartition(*s.partition, s.offset) for s in starts])
        fresh = [start.partition for start in starts if start.is_fresh]
        if fresh:
            self._commit_now(self._offsets.commits(fresh, also_unchanged=True))
        self._was_assigned = True
        self._emit(PartitionsAssigned(self._lane, tuple((*s.partition, s.offset) for s in starts)))

    def _on_revoke(self, partitions: list[TopicPartition], *, lost: bool) -> None:
        left = set(self._offsets.assigned())  # none where `stop` has drained them already
        leaving = [key for item in partitions if (key := (item.topic, item.partition)) in left]
        self._leave(leaving, lost=lost)
        if partitions:
            self._consumer.incremental_unassign(partitions)

    def _leave(self, partitions: Sequence[Partition], *, lost: bool) -> None:
        """Drain, commit, and only then end the epoch; a partition that is lost is not committed.

        The epoch is moved last: were it first, an outcome that is on its way to the broker would
        not be covered by the commit, and the next owner would publish it again.
        """
        if not partitions:
            return
        if lost:
            self._offsets.revoke(partitions)
        else:
            self._offsets.close(partitions)
        cut = 0
        future = asyncio.run_coroutine_threadsafe(self._drained(partitions), self._loop)
        try:
            cut = future.result(self._drain_limit_s)
        except FutureTimeoutError:  # the loop stands still: leave, the fence keeps late results out
            future.cancel()
            self._emit(KafkaProblem(self._lane, "the drain did not end in time"))
        if not lost:
            self._commit_now(self._offsets.commits(partitions, also_unchanged=True))
            self._offsets.revoke(partitions)
        self._emit(PartitionsRevoked(self._lane, tuple(partitions), lost, cut))

    async def _drained(self, partitions: Sequence[Partition]) -> int:
        return await self._drain(partitions)

    def _commit_what_changed(self) -> None:
        commits = self._offsets.commits()
        if commits:
            self._consumer.commit(offsets=_as_partitions(commits), asynchronous=True)

    def _commit_now(self, commits: Sequence[Commit]) -> None:
        if not commits:
            return
        try:
            result = self._consumer.commit(offsets=_as_partitions(commits), asynchronous=False)
        except KafkaException as error:
            self._emit(CommitFailed(self._lane, error.args[0].str()))
            return
        for item in result or ():
            if item.error is not None:
                self._emit(CommitFailed(self._lane, item.error.str()))

    def _on_commit(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        for item in partitions:
            failure = error or item.error
            if failure is not None:
                self._offsets.refused((item.topic, item.partition))
                self._emit(CommitFailed(self._lane, failure.str()))

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            raise WorkerStopped(f"the Kafka client of lane {self._lane} failed: {error.str()}")
        self._emit(KafkaProblem(self._lane, error.str()))

    def _look_at_lag(self) -> None:
        lag: dict[Partition, tuple[int, int]] = {}
        for (topic, partition), position in self._offsets.positions().items():
            _, high = self._consumer.get_watermark_offsets(
                TopicPartition(topic, partition), cached=True
            )
            if high >= 0:  # -1001: nothing was fetched yet
                lag[topic, partition] = (position, high)
        self._observe(lag)


def _as_partitions(commits: Sequence[Commit]) -> list[TopicPartition]:
    return [TopicPartition(*item.partition, item.offset, item.metadata) for item in commits]


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
