"""Claims on records, the watermark of each partition, and what may be committed.

A record comes with a claim: the right to commit its offset. Claims are released in any order; per
partition the watermark is the lowest offset that is still claimed, and it alone is committed. What
is done above it goes into the commit's metadata (`offset_metadata.py`).

Two threads meet here: the poll thread assigns, delivers, commits and revokes; the event loop
releases. Every method takes the one lock, and none of them blocks under it.

Each assignment of a partition has an epoch of its own. A claim of an older epoch is *lost*: its
release changes nothing. Without the epoch, this interleaving would skip records of another worker:
revoke partition 2 → assign it again at a lower offset (the other worker died) → a task of the first
assignment finishes and releases an offset that the second assignment has not finished.
"""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from . import offset_metadata
from .offset_metadata import Beginning

Partition = tuple[str, int]
"""(topic, partition)"""

_PAUSE_BYTES = offset_metadata.MAX_BYTES * 3 // 4


@dataclass(slots=True)
class Claim:
    """The right to commit one record's offset; released when its outcomes are acknowledged."""

    partition: Partition
    offset: int
    epoch: int
    taken_at: float
    """Monotonic seconds at delivery."""
    _offsets: "Offsets"

    @property
    def is_lost(self) -> bool:
        """Whether the partition was taken away since: the next owner does the work again."""
        return not self._offsets.is_current(self)

    def may_start(self) -> bool:
        """Whether work may begin now: the partition is ours and is not being drained."""
        return self._offsets.is_open(self)

    def release(self) -> bool:
        """Mark the record as done. False where the claim is lost and nothing was marked."""
        return self._offsets.release(self)


@dataclass(frozen=True, slots=True)
class Commit:
    """One partition's part of a commit."""

    partition: Partition
    offset: int
    metadata: str


@dataclass(slots=True)
class _Tracker:
    epoch: int
    beginning: Beginning
    position: int
    """The offset after the last one delivered."""
    finished_before: frozenset[int]
    """Done by an earlier owner, above the offset where we began."""
    open: dict[int, float] = field(default_factory=dict)
    """Claimed offsets in ascending order, with their record's Kafka timestamp in seconds."""
    done: set[int] = field(default_factory=set)
    """Done offsets at or above the watermark."""
    changed: bool = False
    is_closed: bool = False
    """No further work may start: the partition is about to leave."""
    sent: tuple[int, str] | None = None
    """Offset and metadata of the last commit that was sent."""
    size: int = 0
    """Bytes of the metadata at the last look."""

    @property
    def watermark(self) -> int:
        return next(iter(self.open), self.position)

    def commit(self) -> tuple[int, str]:
        watermark = self.watermark
        if self.open:
            self.done = {offset for offset in self.done if offset > watermark}
        else:
            self.done.clear()
        # Offsets that an earlier owner finished and that were not delivered yet stay recorded.
        ahead = (offset for offset in self.finished_before if offset >= self.position)
        metadata = offset_metadata.encode(
            self.beginning,
            watermark,
            sorted({*self.done, *ahead} if self.finished_before else self.done),
        )
        self.size = len(metadata)
        return watermark, metadata


class Offsets:
    """All partitions of one consumer: claims, watermarks, epochs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._epoch = 0
        self._trackers: dict[Partition, _Tracker] = {}

    def assign(
        self, partition: Partition, start: int, beginning: Beginning, metadata: str | None
    ) -> None:
        """Begin a new epoch of a partition at `start`: the committed offset, or the first one."""
        _, finished = offset_metadata.decode(metadata, start)
        with self._lock:
            self._epoch += 1
            self._trackers[partition] = _Tracker(self._epoch, beginning, start, finished)

    def deliver(self, partition: Partition, offset: int, timestamp_s: float) -> Claim | None:
        """Claim a record that was just read; None where it was claimed or finished before.

        A seek past poison, or a fetch that was under way, can deliver a record again. Claimed twice
        it would be published twice, and its second claim would stand behind later ones, where the
        watermark does not see it.

        Raises:
            KeyError: The partition is not assigned.
        """
        with self._lock:
            tracker = self._trackers[partition]
            if offset < tracker.position:
                return None
            tracker.position = offset + 1
            tracker.changed = True
            if offset in tracker.finished_before:
                if tracker.open:
                    tracker.done.add(offset)
                return None
            tracker.open[offset] = timestamp_s
            return Claim(partition, offset, tracker.epoch, self._clock(), self)

    def release(self, claim: Claim) -> bool:
        """See `Claim.release`."""
        with self._lock:
            tracker = self._trackers.get(claim.partition)
            if tracker is None or tracker.epoch != claim.epoch or claim.offset not in tracker.open:
                return False
            del tracker.open[claim.offset]
            tracker.done.add(claim.offset)
            tracker.changed = True
            return True

    def is_current(self, claim: Claim) -> bool:
        """Whether the claim belongs to the running epoch of an assigned partition."""
        with self._lock:
            tracker = self._trackers.get(claim.partition)
            return tracker is not None and tracker.epoch == claim.epoch

    def is_open(self, claim: Claim) -> bool:
        """Whether the claim is current and its partition still takes work."""
        with self._lock:
            tracker = self._trackers.get(claim.partition)
            return tracker is not None and tracker.epoch == claim.epoch and not tracker.is_closed

    def close(self, partitions: Iterable[Partition]) -> None:
        """Let no work of these partitions start; what runs may end and be committed.

        Without it: the drain ends → a buffered record of the partition starts and publishes → the
        commit does not cover it → the next owner publishes it again.
        """
        with self._lock:
            for partition in partitions:
                if partition in self._trackers:
                    self._trackers[partition].is_closed = True

    def commits(
        self, partitions: Iterable[Partition] | None = None, *, also_unchanged: bool = False
    ) -> list[Commit]:
        """What changed since the last commit that was sent: to be committed now.

        `also_unchanged` gives the rest too: for the first commit of a partition, and for the last
        one, since an asynchronous commit that is still on its way may yet fail.

        A commit whose metadata would not fit is left without it: the offset is right all the same,
        and intake of that partition pauses long before (`is_crowded`).
        """
        ready: list[Commit] = []
        with self._lock:
            for partition in list(self._trackers if partitions is None else partitions):
                tracker = self._trackers.get(partition)
                if tracker is None or not (tracker.changed or also_unchanged):
                    continue
                offset, metadata = tracker.commit()
                if len(metadata) > offset_metadata.MAX_BYTES:
                    metadata = offset_metadata.encode(tracker.beginning, offset, ())
                tracker.changed = False
                if tracker.sent != (offset, metadata) or also_unchanged:
                    tracker.sent = (offset, metadata)
                    ready.append(Commit(partition, offset, metadata))
        return ready

    def refused(self, partition: Partition) -> None:
        """A commit of this partition failed: send the newest state again."""
        with self._lock:
            tracker = self._trackers.get(partition)
            if tracker is not None:
                tracker.sent = None
                tracker.changed = True

    def revoke(self, partitions: Iterable[Partition]) -> None:
        """End the epoch of these partitions: their claims are lost from now on."""
        with self._lock:
            for partition in partitions:
                self._trackers.pop(partition, None)

    def has_changed(self) -> bool:
        """Whether there is something to commit that was not sent yet, or was refused."""
        with self._lock:
            return any(tracker.changed for tracker in self._trackers.values())

    def crowded(self) -> set[Partition]:
        """Partitions whose metadata is three quarters full: their intake must pause.

        Only while a record is open, for the pause ends when it is finished. Where none is, an
        earlier owner's metadata fills it, and only reading on makes room.
        """
        with self._lock:
            return {
                key
                for key, tracker in self._trackers.items()
                if tracker.open and tracker.size >= _PAUSE_BYTES
            }

    def assigned(self) -> list[Partition]:
        """The partitions that have an epoch now."""
        with self._lock:
            return list(self._trackers)

    def positions(self) -> dict[Partition, int]:
        """The watermark of each partition, for the lag metric."""
        with self._lock:
            return {key: tracker.watermark for key, tracker in self._trackers.items()}

    def open_count(self, partitions: Iterable[Partition]) -> int:
        """How many records of these partitions are claimed."""
        with self._lock:
            return sum(
                len(tracker.open)
                for key in partitions
                if (tracker := self._trackers.get(key)) is not None
            )

    def oldest_timestamp_s(self) -> float | None:
        """Kafka timestamp (Unix seconds) of the oldest unfinished record, None if there is none."""
        with self._lock:
            oldest = [
                next(iter(tracker.open.values()))
                for tracker in self._trackers.values()
                if tracker.open
            ]
            return min(oldest, default=None)
