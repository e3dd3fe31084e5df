"""One lane's Kafka consumer: a thread that polls, pauses, commits, and hands records to the loop.

The thread never stops polling, paused or not, so that the group keeps this member. It is the only
one that commits: between polls, explicitly and asynchronously, partitions that are assigned at that
moment; synchronously when partitions leave. See `commits.py` for why no other thread may.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import Undecodable, WorkerStopped
from schemas.events import Emit, IntakePaused, PartitionsAssigned, PartitionsRevoked
from schemas.events import KafkaError as KafkaProblem
from schemas.otlp import too_large
from schemas.reasons import DeadLetterReason

from .commits import Commits
from .membership import Membership, OpenConsumer
from .offsets import Claim, Offsets, Partition
from .starts import Starts
from .topic_reader import POISON

_POLL_S = 0.1
_BATCH = 500
_COMMIT_EVERY_S = 0.1
"""And at the end of a poll: at most 0.2 s lie between what is done and its commit."""
_OBSERVE_EVERY_S = 1.0
_CLOSE_S = 5.0
_BUFFER_ITEMS = 2_000
_YIELD_EVERY = 64
_BUFFER, _COMMITS = "buffer", "commits"
"""What may hold the intake here: `IntakePaused.by`."""


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
    problem: Undecodable | None = None
    """Why there is no value: the client could not read the record, or it is too large."""

    @property
    def size_bytes(self) -> int:
        """Bytes of the value."""
        return len(self.value or b"")


Drain = Callable[[Sequence[Partition], bool], Awaitable[int]]
"""Lets the work of these partitions end, cancels what does not; how many evaluations were cut.

The second argument says that they are lost: another worker has them, so nothing is worth waiting
for.
"""


class LaneConsumer:
    """The source of one lane's records.

    Args:
        lane: The lane's name, for events.
        open_consumer: Builds the client for `consumer` or `classic` group protocol.
        topics: The span topics.
        drain_limit_s: The longest that `drain` may take; then the partitions leave all the same.
        buffer_bytes: Most bytes that may wait between the thread and the pipeline.
        message_bytes: The largest value that is handed on; a larger one is a dead letter.
        observe: Gets (watermark, high watermark) of each partition, once a second.
        beat: Called at every poll: the thread lives.
        joined: Called when the group has taken the lane in: it reads what it gets, or stands by.
    """

    def __init__(
        self,
        lane: str,
        *,
        open_consumer: OpenConsumer,
        topics: Sequence[str],
        offsets: Offsets,
        starts: Starts,
        drain: Drain,
        drain_limit_s: float,
        buffer_bytes: int,
        message_bytes: int,
        emit: Emit,
        observe: Callable[[Mapping[Partition, tuple[int, int]]], None],
        beat: Callable[[], None],
        joined: Callable[[], None],
    ) -> None:
        self._lane = lane
        self._membership = Membership(open_consumer)
        self._topics = list(topics)
        self._offsets = offsets
        self._starts = starts
        self._drain = drain
        self._drain_limit_s = drain_limit_s
        self._buffer_bytes = buffer_bytes
        self._message_bytes = message_bytes
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
        self._commits = Commits(lane, offsets, emit)
        self._covered = asyncio.Event()

    def stop(self) -> None:
        """Ask the thread to drain, commit and leave the group; `run` returns when it has."""
        self._stopping.set()

    async def run(self) -> None:
        """Poll until `stop`, then drain, commit and leave.

        Raises:
            WorkerStopped: An offset is out of range, the broker refuses what cannot be tried again,
                or the client met a fatal error.
        """
        self._loop = asyncio.get_running_loop()
        executor = ThreadPoolExecutor(1, thread_name_prefix=f"poll-{self._lane}")
        polling = self._loop.run_in_executor(executor, self._poll_until_stopped)
        try:
            await asyncio.shield(polling)
        except asyncio.CancelledError:
            # The thread drains on this loop before it ends, so the loop has to go on until then.
            self._stopping.set()
            await asyncio.wait({polling})
            raise
        finally:
            executor.shutdown(wait=False)
            self._stopping.set()
            self._ended = True
            self._arrived.set()
            self._covered.set()

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

    async def covered(self) -> None:
        """Return when commits are acknowledged in time, so that new work may begin."""
        if not self._commits.are_late():
            return
        self._emit(IntakePaused(self._lane, _COMMITS, True, "the broker acknowledges no commit"))
        while self._commits.are_late() and not self._ended:
            self._covered.clear()
            await self._covered.wait()
        self._emit(IntakePaused(self._lane, _COMMITS, False, ""))

    # --- everything below runs in the poll thread ---

    def _poll_until_stopped(self) -> None:
        self._consumer = self._subscribe()
        try:
            try:
                self._poll()
            finally:
                self._drain_and_commit_all()
        except KafkaException as error:
            raise WorkerStopped(
                f"lane {self._lane}: {error.args[0].str()}; check that the brokers are up and what "
                "kafka.client says, then start again"
            ) from error
        finally:
            self._close()

    def _close(self) -> None:
        """Leave the group; where no broker answers, leave without a word.

        The client waits for its last commits, up to 45 s while their coordinator is away.
        """
        closing = threading.Thread(target=self._consumer.close, daemon=True)
        closing.start()
        closing.join(_CLOSE_S)
        if closing.is_alive():
            self._emit(KafkaProblem(self._lane, "the client did not leave its group in time"))

    def _poll(self) -> None:
        committed_at = observed_at = time.monotonic()
        is_ready = False
        while not self._stopping.is_set():
            self._beat()
            self._regulate()
            self._hand_over(self._consumer.consume(_BATCH, _POLL_S))
            now = time.monotonic()
            if now - committed_at >= _COMMIT_EVERY_S:
                self._commits.send(self._consumer)
                committed_at = now
                if not (self._commits.are_late() or self._covered.is_set()):
                    self._loop.call_soon_threadsafe(self._covered.set)
            if now - observed_at >= _OBSERVE_EVERY_S:
                self._look_at_lag()
                observed_at = now
            self._membership.look(self._consumer)
            if self._membership.has_joined and not is_ready:
                is_ready = True
                self._joined()
            elif self._membership.must_fall_back(self._consumer):
                self._consumer.close()
                self._consumer = self._subscribe()

    def _subscribe(self) -> Consumer:
        consumer = self._membership.open(
            {"on_commit": self._commits.answered, "error_cb": self._on_error}
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
        value = None if problem else _bytes(message.value())
        if value is not None and len(value) > self._message_bytes:
            # Dropped here: a bomb that was unpacked must not wait for the loop.
            problem, value = too_large(len(value), self._message_bytes), None
        return Record(
            topic,
            partition,
            offset,
            _bytes(message.key()),
            value,
            timestamp_s,
            claim,
            problem,
        )

    def _problem(self, message: Message) -> Undecodable | None:
        """Sort an error event: poison, nothing to do (None), or raise."""
        error = message.error()
        if error is None:
            return None
        if error.code() in POISON:
            return Undecodable(DeadLetterReason.BAD_COMPRESSION, error.str())
        where = f"{message.topic()}[{message.partition()}]"
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
            raise WorkerStopped(
                f"{where}: the committed offset of lane {self._lane} is out of range "
                f"({error.str()}); retention took the records or the topic was made again: reset "
                "the group's offsets (kafka-consumer-groups --reset-offsets) and start again"
            )
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
            why = "the lane is full" if is_full else ""
            self._emit(IntakePaused(self._lane, _BUFFER, is_full, why))
        assigned = set(self._offsets.assigned())
        wanted = assigned if is_full else self._offsets.crowded()
        self._paused &= assigned
        if wanted - self._paused:
            self._consumer.pause([TopicPartition(*key) for key in wanted - self._paused])
        if self._paused - wanted:
            self._consumer.resume([TopicPartition(*key) for key in self._paused - wanted])
        self._paused = set(wanted)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._stopping.is_set():
            return  # whoever gets them next decides where they begin
        starts = self._starts.resolve(consumer, partitions)
        for start in starts:
            self._offsets.assign(start.partition, start.offset, start.beginning, start.metadata)
        arrived = [TopicPartition(*s.partition, s.offset) for s in starts]
        consumer.incremental_assign(arrived)
        if arrived:
            # The client remembers a pause over a rebalance. Without this: all is paused → some
            # partitions leave → the rest goes on → they come back, paused, and nobody resumes them.
            consumer.resume(arrived)
            self._paused.difference_update(start.partition for start in starts)
        self._commits.send_now(consumer, [start.partition for start in starts if start.is_fresh])
        self._emit(PartitionsAssigned(self._lane, tuple((*s.partition, s.offset) for s in starts)))

    def _on_revoke(self, partitions: list[TopicPartition], *, lost: bool) -> None:
        known = set(self._offsets.assigned())
        leaving = [key for item in partitions if (key := (item.topic, item.partition)) in known]
        if leaving:
            self._leave(leaving, lost=lost)
        if partitions:
            self._consumer.incremental_unassign(partitions)

    def _leave(self, partitions: Sequence[Partition], *, lost: bool) -> None:
        """Drain, commit, and only then end the epoch; a partition that is lost is not committed.

        The epoch is moved last: were it first, an outcome that is on its way to the broker would
        not be covered by the commit, and the next owner would publish it again.
        """
        if lost:
            self._offsets.revoke(partitions)
        else:
            self._offsets.close(partitions)
        cut = self._drained(partitions, lost=lost)
        if not lost:
            self._commits.send_now(self._consumer, partitions)
        self._forget(partitions, lost=lost, cut=cut)

    def _drain_and_commit_all(self) -> None:
        """As `_leave`, at the end and outside of the client's callbacks."""
        self._stopping.set()
        partitions = self._offsets.assigned()
        if not partitions:
            return
        self._offsets.close(partitions)
        cut = self._drained(partitions, lost=False)
        # A rebalance in here finds partitions that are drained already: nothing waits twice. What
        # is still read is not claimed, and so it is not committed.
        self._commits.send_last(self._consumer, lambda: self._consumer.consume(_BATCH, _POLL_S))
        self._forget(self._offsets.assigned(), lost=False, cut=cut)

    def _forget(self, partitions: Sequence[Partition], *, lost: bool, cut: int) -> None:
        self._offsets.revoke(partitions)
        self._emit(PartitionsRevoked(self._lane, tuple(partitions), lost, cut))

    def _drained(self, partitions: Sequence[Partition], *, lost: bool) -> int:
        """Let the loop drain these partitions; commits go on meanwhile, for all others too."""
        future = asyncio.run_coroutine_threadsafe(self._drain_on_loop(partitions, lost), self._loop)
        until = time.monotonic() + self._drain_limit_s
        while not future.done() and time.monotonic() < until:
            self._beat()
            self._commits.send(self._consumer)
            self._commits.trust()
            wait([future], _COMMIT_EVERY_S)
        if future.done():
            return future.result()
        future.cancel()  # the loop stands still: leave, the fence keeps late results out
        self._emit(KafkaProblem(self._lane, "the drain did not end in time"))
        return 0

    async def _drain_on_loop(self, partitions: Sequence[Partition], lost: bool) -> int:
        return await self._drain(partitions, lost)

    def _on_error(self, error: KafkaError) -> None:
        # As a record of the consumer, a fatal error does not call itself fatal.
        if error.fatal() or error.code() == KafkaError._FATAL:  # noqa: SLF001
            if self._membership.note(error):
                return
            raise WorkerStopped(f"lane {self._lane}: the Kafka client failed: {error.str()}")
        denied = error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
        remedy = "; let this user Read the lane's group, <group_id>.<lane>" if denied else ""
        self._emit(KafkaProblem(self._lane, error.str() + remedy))

    def _look_at_lag(self) -> None:
        lag: dict[Partition, tuple[int, int]] = {}
        for (topic, partition), position in self._offsets.positions().items():
            _, high = self._consumer.get_watermark_offsets(
                TopicPartition(topic, partition), cached=True
            )
            if high >= 0:  # -1001: nothing was fetched yet
                lag[topic, partition] = (position, high)
        self._observe(lag)


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
