"""One trace from Kafka to committed offsets, on one screen.

    consumer → trace intake → traces → (whole) → gate → engine → publisher → claims

The hops from the gate on are those of `pipeline.py`, where a trace is one piece of work. Before it
a trace waits outside of what is in flight, and holds the claims of all its records: while it does,
nothing of it is committed, and after a stop its next owner reads all of it again.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from schemas.errors import WorkerStopped

from .configured import Configured
from .consumer import Record
from .flight import Work
from .offsets import Offsets
from .pipeline import Pipeline
from .trace import SharedClaim, Trace
from .trace_intake import TraceIntake
from .traces import Traces

_LOOK_S = 0.1
_STEP_S = 1.0
"""Time that a look may let pass: one that waited at the gate, or for a blocked loop, passes none
of it, for the lane did not read meanwhile."""
_CROWDED_EVERY = 5
"""Looks from one to the next at the commits' room, which changes with the commits."""


@dataclass(frozen=True, slots=True)
class TracePipeline:
    """The hops of the trace lane, in order."""

    hops: Pipeline
    """What it has in common with the other lanes: consumer, gate, engine, publisher, flight."""
    intake: TraceIntake
    traces: Traces
    evaluators: Mapping[str, Configured]
    offsets: Offsets
    clock: Callable[[], float] = time.monotonic
    is_reading: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Carry every trace to committed offsets, until the consumer has stopped.

        Raises:
            WorkerStopped: As `Pipeline.run`.
        """
        failures: list[BaseException] = []
        self.is_reading.set()
        concluding = asyncio.create_task(self.conclude(failures))
        concluding.add_done_callback(lambda _: self.hops.consumer.stop())  # a lane is both halves
        try:
            async for record in self.hops.consumer:
                await self.is_reading.wait()
                if failures or not record.claim.may_start():
                    continue  # its partition is leaving: the next owner reads it
                try:
                    self.hold(record)
                except WorkerStopped as error:
                    failures.append(error)
                    self.hops.consumer.stop()
        finally:
            concluding.cancel()
            await asyncio.wait({concluding})
        if not concluding.cancelled():
            concluding.result()
        if failures:
            raise failures[0]

    def hold(self, record: Record) -> None:
        """Let the record's traces hold its claim; without any it is done."""
        share = SharedClaim(record.claim)
        for part in self.intake.read(record):
            self.traces.add(part, share)
        share.let_go()

    async def conclude(self, failures: list[BaseException]) -> None:
        """Start the evaluation of traces that are whole, and of those that must give way."""
        seen_at, looks = self.clock(), 0
        while True:
            looks += 1
            crowded = self.offsets.crowded()
            if crowded and looks % _CROWDED_EVERY == 0:
                watermarks = self.offsets.positions()
                for partition in crowded & watermarks.keys():
                    self.traces.make_room(partition, watermarks[partition])
            while (trace := self.traces.take()) is not None:
                await self.start(trace, failures)
            await asyncio.sleep(_LOOK_S)
            now = self.clock()
            if not crowded:  # else a partition is paused
                self.traces.advance(min(now - seen_at, _STEP_S))
            seen_at = now

    async def start(self, trace: Trace, failures: list[BaseException]) -> None:
        """Start one trace; while it waits for room intake stands still, so that memory is bounded.

        Nor does the time of the traces pass: what they wait for is not read.
        """
        jobs = trace.jobs(self.evaluators)
        if not jobs:
            trace.claim.release()
            return
        self.is_reading.clear()
        try:
            await self.hops.start(Work(trace, jobs=jobs), failures)
        finally:
            self.is_reading.set()
