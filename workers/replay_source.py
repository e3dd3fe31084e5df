"""The records of a replay, as a pipeline takes them: in small batches, read in a thread."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import suppress

from schemas.errors import AssayError, Undecodable
from schemas.reasons import DeadLetterReason

from .consumer import Record
from .flight import Flight
from .gate import Gate
from .offset_metadata import Beginning
from .offsets import Claim, Offsets
from .topic_reader import Read

_BATCH = 100
_BATCH_BYTES = 8_388_608
_CROWDED_WAIT_S = 0.1

NO_BEGINNING = Beginning(partitions=1, start=0, lanes="r")
"""A replay begins where it is told; this only fills the place in the metadata."""


class _Stopped(Exception):  # noqa: N818  no error: it ends a read
    """Nobody wants more records."""


class ReplaySource:
    """Hands out records and their claims, and ends when all that hangs on them is done.

    Used from the event loop; only the reading itself is in a thread.

    Args:
        offsets: Makes the claims.
        flight: What is under way.
        gate: The room for it.

    Attributes:
        cut: Evaluations that `stop` has cut off.
    """

    def __init__(self, offsets: Offsets, flight: Flight, gate: Gate) -> None:
        self._offsets = offsets
        self._flight = flight
        self._gate = gate
        self._stopping = asyncio.Event()
        self._is_stopping = threading.Event()
        self._reads: Iterator[Read] = iter(())
        self._claim: Callable[[Offsets, Read], Claim | None] = lambda _, __: None
        self.cut = 0

    def open(self, reads: Iterable[Read], claim: Callable[[Offsets, Read], Claim | None]) -> None:
        """Say what to read, before the first record is asked for."""
        self._reads = iter(reads)
        self._claim = claim

    @property
    def was_stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopping.is_set()

    def stop(self) -> None:
        """Give no more records; what has not begun does not begin."""
        self._offsets.close(self._offsets.assigned())
        self._stopping.set()
        self._is_stopping.set()
        self._gate.abandon()  # a record may stand there, waiting for a judge that is out

    async def covered(self) -> None:
        """Return at once: a replay commits to no group, and its checkpoint may be some time old."""

    async def __aiter__(self) -> AsyncIterator[Record]:
        """Records, until there are no more and all are done, or until `stop`; then drained."""
        try:
            while not self._stopping.is_set():
                batch = await asyncio.to_thread(self._take)
                if not batch:
                    break
                for read in batch:
                    claim = self._claim(self._offsets, read)
                    if claim is not None:
                        yield _record(read, claim)
                await asyncio.sleep(0)  # records without work must not starve the loop
                await self._until_not_crowded()
        except AssayError:  # the topic cannot be read any further: no waiting for a judge then
            self.stop()
            raise
        finally:
            await self._end()

    def look(self, _: int) -> None:
        """Whoever reads calls it at every poll: a stop ends the read, wherever it stands."""
        if self._is_stopping.is_set():
            raise _Stopped

    def _take(self) -> list[Read]:
        """Some records; none at the end."""
        batch: list[Read] = []
        size = 0
        with suppress(_Stopped):
            while len(batch) < _BATCH and size < _BATCH_BYTES:
                read = next(self._reads, None)
                if read is None:
                    break
                batch.append(read)
                size += len(read.value or b"")
        return batch

    async def _until_not_crowded(self) -> None:
        """Wait while more is done above an unfinished record than a checkpoint can hold."""
        while self._offsets.crowded() and not self._stopping.is_set():  # noqa: ASYNC110  as a lane
            await asyncio.sleep(_CROWDED_WAIT_S)

    async def _end(self) -> None:
        settled = asyncio.create_task(self._flight.settle())
        stopped = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({settled, stopped}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            settled.cancel()
            stopped.cancel()
        if self._stopping.is_set():
            self.cut += await self._flight.drain(self._offsets.assigned())


def _record(read: Read, claim: Claim) -> Record:
    return Record(
        read.topic,
        read.partition,
        read.offset,
        read.key,
        read.value,
        read.timestamp_ms / 1000,
        claim,
        None
        if read.problem is None
        else Undecodable(DeadLetterReason.BAD_COMPRESSION, read.problem),
    )
