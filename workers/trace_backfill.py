"""Whole traces of a time: those that begin in it, each evaluated once, when it has ended.

A partition is read by itself, and the time of its traces is that of its records:

    begins before ...... | begins in the time ...... | goes on ......
    passed over            waits in `Traces`           only what waits already
    max_age_s before       `begin` to `end`            `until`, max_age_s later at most

All between is the trace lane's own: intake, assembly, when a trace has ended, what gives way where
there is no room. Only the checkpoint differs. A lane commits offsets, and names in the commit which
records behind a waiting trace are done; here traces are named, for which a file has room.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from schemas.config import Config
from schemas.events import Emit

from .backfill import Reading, Stretched, TraceStretch
from .configured import Configured
from .consumer import Record
from .engine import Job
from .flight import Work
from .offsets import Offsets, Partition
from .pipeline import Pipeline
from .replay import NoLimit, Tally, begun, trace_intake
from .replay_source import NO_BEGINNING
from .router import Router
from .topic_reader import Read, Stretch, Stretches, TopicReader
from .trace import SharedClaim, TraceClaim
from .traces import Traces


class Progress:
    """How far the traces of one partition are. The event loop tells it, another thread asks.

    Args:
        stretch: What is read, as it stood at the start.
    """

    def __init__(self, stretch: TraceStretch) -> None:
        self._end = stretch.end
        self._position = stretch.offset
        self._open: dict[str, int] = {}
        self._done = dict(stretch.done)
        self._lock = threading.Lock()

    def reach(self, offset: int) -> None:
        """All traces that begin below this offset have begun."""
        with self._lock:
            self._position = offset

    def begin(self, trace_id: str, first: int) -> None:
        """A trace begins with the record at this offset; harmless where it is known."""
        with self._lock:
            self._open.setdefault(trace_id, first)

    def settle(self, trace_id: str, *, has_outcome: bool) -> None:
        """A trace needs nothing more; without an outcome a later span may begin it anew."""
        with self._lock:
            first = self._open.pop(trace_id)
            if has_outcome:
                self._done[trace_id] = first

    def write(self, stretch: TraceStretch) -> bool:
        """Bring a checkpoint up to date; whether anything is new."""
        with self._lock:
            offset = min(self._end, self._position, *self._open.values())
            self._done = {key: first for key, first in self._done.items() if first >= offset}
            done = dict(self._done)
        is_new = (offset, done) != (stretch.offset, stretch.done)
        stretch.offset, stretch.done = offset, done
        return is_new


@dataclass(slots=True)
class _NotedClaim(TraceClaim):
    """The claims of a trace; who releases them also says that the trace is done."""

    note: Callable[[], object] = field(kw_only=True)

    def release(self) -> None:
        """Let go of every record."""
        TraceClaim.release(self)
        self.note()


class TraceBackfill:
    """Carries the traces of some stretches to acknowledged outcomes. Used from one event loop.

    Args:
        stretches: What to read; brought up to date by `write` alone.
        config: Routes, limits, bounds on what waits.
        evaluators: The trace evaluators.
        takes: Whether an evaluation is asked for.
        tally: Where what is begun is counted.
        emit: Where events go.

    Attributes:
        unreadable: Records of the time that cannot be read.
        lost: Offsets that retention took meanwhile: topic, partition, from, to.
    """

    def __init__(
        self,
        stretches: Sequence[TraceStretch],
        *,
        config: Config,
        evaluators: Mapping[str, Configured],
        takes: Callable[[Job], bool],
        tally: Tally,
        emit: Emit,
    ) -> None:
        self._stretches = stretches
        self._begun_with = {_key(each): each.model_copy(deep=True) for each in stretches}
        self._progress = {key: Progress(each) for key, each in self._begun_with.items()}
        self._config = config.traces
        self._evaluators = evaluators
        self._takes = takes
        self._tally = tally
        self._emit = emit
        self._router = Router(config.routes, emit)
        self._limit = NoLimit()
        self._intake = trace_intake(
            config,
            evaluators,
            self._router,
            knows=self._knows,
            limit=self._limit,
        )
        self._partition: Partition | None = None
        self._traces = self._none_waiting()
        self._at_s = 0.0
        self._over: set[Partition] = set()
        self.unreadable = 0
        self.lost: list[tuple[str, int, int, int]] = []

    def assign(self, offsets: Offsets) -> None:
        """Let the claims of all partitions begin; they only say whether work may go on."""
        for key in self._begun_with:
            offsets.assign(key, 0, NO_BEGINNING, None)

    def write(self) -> bool:
        """Bring the stretches up to date, from any thread; whether anything is new."""
        is_new = False
        for each in self._stretches:
            is_new = self._progress[_key(each)].write(each) or is_new
        return is_new

    def reads(self, reader: TopicReader, look: Callable[[int], object]) -> Iterator[Read]:
        """The records, partition by partition; `look` is called at every poll.

        Behind those of a partition comes one that does not exist, at which its traces end.
        """
        for key, each in self._begun_with.items():
            if each.offset >= each.end:
                continue
            begin = _look_back(reader, each, self._config.max_age_s)
            topic, index, end = each.topic, each.partition, each.until
            part = Stretched(topic=topic, partition=index, begin=begin, end=end, offset=begin)
            reading = Reading(reader, [part])
            for read in reading.reads(look):
                yield read
                if key in self._over:
                    break
            self.lost += [lost for lost in reading.lost if lost[3] > each.offset]
            yield Read(topic, index, end, 0, None, None)

    async def carry(self, hops: Pipeline) -> None:
        """Take all records through the hops, as the trace lane does.

        Raises:
            AssayError: As `Pipeline.run`.
        """
        failures: list[BaseException] = []
        async for record in hops.consumer:
            if failures or not record.claim.may_start():
                continue
            self._let_time_pass(record)
            await self._start_ended(hops, failures)
            hops.intake.read(record)
            record.claim.release()  # nothing is committed: the progress knows what is open
            await self._start_ended(hops, failures)
            # Only now: what gave way at once was not open, and a checkpoint is written at any time.
            if record.offset >= self._begun_with[_key(record)].offset:
                self._progress[_key(record)].reach(record.offset + 1)
        if failures:
            raise failures[0]

    def read(self, record: Record) -> Work:
        """Take in what a record says of each trace."""
        key = _key(record)
        ours, progress = self._begun_with[key], self._progress[key]
        unreadable = self._limit.unreadable
        parts = [] if record.offset >= ours.until else self._intake.read(record)
        if record.offset < ours.offset:
            for part in parts:
                if part.spans:  # as only they begin a trace
                    self._traces.pass_over(key, part.trace_id)
            return Work(record)
        share = SharedClaim(record.claim)
        for part in parts:
            if record.offset < ours.end or self._traces.waits(key, part.trace_id):
                self._traces.add(part, share)
            if self._traces.waits(key, part.trace_id):
                progress.begin(part.trace_id, record.offset)
        if record.offset < ours.end:
            self.unreadable += self._limit.unreadable - unreadable
        if record.offset + 1 >= ours.end and not self._traces.waiting:
            self._over.add(key)
        return Work(record)

    async def _start_ended(self, hops: Pipeline, failures: list[BaseException]) -> None:
        """Start the evaluation of traces that have ended, and of those that must give way."""
        while (trace := self._traces.take()) is not None:
            progress = self._progress[trace.claim.partition]
            progress.begin(trace.trace_id, trace.sources[0].offset)
            jobs = begun(filter(self._takes, trace.jobs(self._evaluators)), self._tally)
            if not jobs:
                progress.settle(trace.trace_id, has_outcome=False)
                continue
            done = partial(progress.settle, trace.trace_id, has_outcome=True)
            trace.claim = _NotedClaim(trace.claim.partition, trace.claim.shares, note=done)
            await hops.start(Work(trace, jobs=jobs), failures)

    def _let_time_pass(self, record: Record) -> None:
        """The time of what waits is that of the records; behind the last one all time passes."""
        key = _key(record)
        ours = self._begun_with[key]
        if key != self._partition:
            self._partition, self._at_s = key, record.timestamp_s
            self._traces = self._none_waiting()
            for trace_id in ours.done:
                self._traces.pass_over(key, trace_id)
        if record.offset >= ours.until:
            self._traces.advance(self._config.max_age_s)
        elif record.timestamp_s > self._at_s:
            self._traces.advance(record.timestamp_s - self._at_s)
            self._at_s = record.timestamp_s

    def _knows(self, partition: Partition, trace_id: str) -> bool:
        return self._traces.knows(partition, trace_id)

    def _none_waiting(self) -> Traces:
        return Traces(self._config, combine=self._router.combine, emit=self._emit)


def _key(place: TraceStretch | Record) -> Partition:
    return place.topic, place.partition


def _look_back(reader: TopicReader, stretch: TraceStretch, max_age_s: float) -> int:
    """The offset from which traces are known that have begun before, and may still go on.

    Where a run goes on, these are also its own: what began below its offset is done.
    """
    ahead = Stretch(stretch.partition, stretch.offset, stretch.until, is_all=False)
    found = Stretches(stretch.topic, -1, 1, (ahead,), knows_times=True)
    first = next(reader.read(found, (ahead,)), None)
    if first is None:
        return stretch.offset
    since_ms = max(0, first.timestamp_ms - int(max_age_s * 1000))
    offsets = reader.offsets_at(stretch.topic, [stretch.partition], since_ms) or {}
    begin = offsets.get(stretch.partition)
    return stretch.offset if begin is None else min(begin, stretch.offset)
