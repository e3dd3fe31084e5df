"""One span from Kafka to committed offset, on one screen.

    consumer → intake → gate → engine → publisher → claim → (consumer commits)

`consumer.py` reads records and commits offsets, and lets nothing begin while no commit is
acknowledged; `intake.py` decodes, routes and samples; `gate.py` bounds what is in flight;
`engine.py` turns jobs into outcomes; `publisher.py` and `dead_letters.py` wait for the broker's
acknowledgement; `offsets.py` holds the claims; `flight.py` drains.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from schemas.errors import WorkerStopped
from schemas.events import Emit, LateResultDropped
from schemas.outcome import Outcome

from .dead_letters import DeadLetters
from .engine import Engine
from .flight import Flight, Work
from .gate import Gate
from .publisher import Publisher, outcome_message
from .seams import Reader, Records


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The hops of one lane, in order. Delivery is at least once; records finish in any order."""

    lane: str
    consumer: Records
    intake: Reader
    gate: Gate
    engine: Engine
    publisher: Publisher
    dead_letters: DeadLetters | None
    """None in every lane but the code lane, which alone publishes dead letters."""
    scores_topic: str
    flight: Flight
    observe: Callable[[Sequence[Outcome]], None]
    emit: Emit

    async def run(self) -> None:
        """Carry every record to a committed offset, until the consumer has stopped.

        Raises:
            WorkerStopped: Too much is unreadable, or the producer failed for good. What was in
                flight has been drained: one that fails takes no other along.
        """
        failures: list[BaseException] = []
        async for record in self.consumer:
            if failures or not record.claim.may_start():
                continue  # its partition is leaving: the next owner reads it
            try:
                work = self.intake.read(record)
            except WorkerStopped as error:
                failures.append(error)
                self.consumer.stop()
                continue
            if not work.items:
                record.claim.release()
                continue
            await self.start(work, failures)
        if failures:
            raise failures[0]

    async def start(self, work: Work, failures: list[BaseException]) -> None:
        """Wait for room, then let the work begin, unless its partition has left meanwhile."""
        await self.consumer.covered()
        await self.gate.enter(work.items, work.size_bytes)
        if not work.record.claim.may_start():
            self.gate.leave(work.items, work.size_bytes)
            return
        task = asyncio.create_task(self.settle(work))
        self.flight.add(task, work)
        task.add_done_callback(partial(self.leave, work, failures))  # also if it never started

    async def settle(self, work: Work) -> None:
        """Conclude one record: all its outcomes together, then its claim."""
        outcomes = await self.engine.outcomes(work.jobs, work.meter)
        if work.record.claim.is_lost:  # the partition has a new owner, who publishes them
            self.emit(LateResultDropped(self.lane, len(outcomes)))
            return
        work.is_publishing = True
        if self.dead_letters is not None:
            await self.dead_letters.publish(work.letters)
        await self.publisher.send([outcome_message(self.scores_topic, o) for o in outcomes])
        self.observe(outcomes)
        work.record.claim.release()

    def leave(self, work: Work, failures: list[BaseException], task: asyncio.Task[None]) -> None:
        """Give the room back; what failed ends the lane."""
        self.gate.leave(work.items, work.size_bytes)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            failures.append(error)
            self.consumer.stop()
