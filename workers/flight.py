"""What a lane has in flight, by partition: how it drains when partitions leave."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from .dead_letters import DeadLetter
from .engine import Job, Meter
from .offsets import Partition


class Right(Protocol):
    """The right to commit: of a record, or of all records of a trace."""

    @property
    def partition(self) -> Partition:
        """Of what may be committed."""
        ...

    @property
    def is_lost(self) -> bool:
        """Whether the partition was taken away since."""
        ...

    def may_start(self) -> bool:
        """Whether work may begin now."""
        ...

    def release(self) -> object:
        """Say that it is done."""
        ...


class Carried(Protocol):
    """What is carried to a committed offset: a record, or a trace."""

    @property
    def claim(self) -> Right:
        """What must be released for it."""
        ...

    @property
    def size_bytes(self) -> int:
        """Bytes that it keeps in memory."""
        ...


@dataclass(slots=True, eq=False)
class Work:
    """One record, or one trace, and all that hangs on it."""

    record: Carried
    jobs: list[Job] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    meter: Meter = field(default_factory=Meter)
    is_publishing: bool = False
    """Its outcomes are on their way to the broker: from here it is not cancelled any more."""
    size_bytes: int = field(init=False)
    """Size of the record's value, which is not kept; its spans are."""

    def __post_init__(self) -> None:
        self.size_bytes = self.record.size_bytes

    @property
    def partition(self) -> Partition:
        """The partition that it came from."""
        return self.record.claim.partition

    @property
    def items(self) -> int:
        """What it has to get done: evaluations and dead letters."""
        return len(self.jobs) + len(self.letters)

    @property
    def is_free(self) -> bool:
        """Whether cutting it costs nothing: it only waits for its judges' turn."""
        return self.meter.is_idle and all(job.evaluator.judge is not None for job in self.jobs)


class Flight:
    """The tasks of one lane. Used from the event loop only.

    Args:
        drain_s: How long evaluations may go on when their partition leaves.
        flush_s: How long after that outcomes may wait for their acknowledgement.
    """

    def __init__(self, drain_s: float, flush_s: float) -> None:
        self._drain_s = drain_s
        self._flush_s = flush_s
        self._tasks: dict[asyncio.Task[None], Work] = {}

    def add(self, task: asyncio.Task[None], work: Work) -> None:
        """Take a task into account until it is done."""
        self._tasks[task] = work
        task.add_done_callback(self._tasks.pop)

    async def settle(self) -> None:
        """Wait until nothing is in flight, however long that takes."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    async def drain(self, partitions: Sequence[Partition], *, at_once: bool = False) -> int:
        """Wait for these partitions' work, cut off what takes too long; how many evaluations.

        What only waits for its judge's turn is cut at once: the next owner can wait as well, and
        may have more room. Work that is publishing is never cut: its outcomes may be on the broker
        already, and without their commit the next owner would publish them again.

        Args:
            partitions: What leaves.
            at_once: Their next owner is at work already, so nothing is worth waiting for.
        """
        leaving = set(partitions)
        tasks = {task: work for task, work in self._tasks.items() if work.partition in leaving}
        if not tasks:
            return 0
        for task, work in tasks.items():
            if work.is_free and not work.is_publishing:
                task.cancel()
        _, late = await asyncio.wait(tasks, timeout=0 if at_once else self._drain_s)
        cut = 0
        for task in late:
            if not tasks[task].is_publishing:
                task.cancel()
                cut += len(tasks[task].jobs)
        if at_once:
            late = {task for task in late if not tasks[task].is_publishing}
        if late:
            await asyncio.wait(late, timeout=self._flush_s)
        return cut

    async def abandon(self) -> None:
        """End what the last drain left behind: no claim is good any more, and nobody waits for it.

        Without it, a broker that acknowledges nothing would keep a worker that was told to stop.
        """
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=self._flush_s)
