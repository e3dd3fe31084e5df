"""Second chances: records that were read before go through the same hops as live ones.

    replay source → intake → gate → engine → publisher → claim

`retry`, `dead-letters retry` and `backfill` differ in which records they read and which of their
evaluations they make. All else is the pipeline of a lane: what is in flight is bounded, a judge's
outage is waited for, and a claim is released when the outcomes are acknowledged. There is no
consumer group: nothing here can move what live workers have committed.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from schemas.config import Config
from schemas.events import Emit
from schemas.otlp import Encoding
from schemas.outcome import Origin, Outcome, Source
from schemas.reasons import Reason, Status

from .configured import Configured, judges_of
from .consumer import Record
from .dead_letters import Limit
from .engine import Engine, Job
from .flight import Flight, Work
from .gate import Gate
from .intake import Counted, Intake
from .offsets import Claim, Offsets, Partition
from .pipeline import Pipeline
from .publisher import Publisher
from .replay_source import NO_BEGINNING, ReplaySource
from .router import Router
from .seams import Reader
from .spend import Spend
from .topic_reader import Read
from .trace_intake import TraceIntake

LANE = "replay"
"""In the place of a lane's name, in events."""

Choose = Callable[[Source, Work], Iterable[Job]]
"""Which of a record's evaluations to make; it may also note what could not be read."""
MakeClaim = Callable[[Offsets, Read], Claim | None]
"""Claims a record that was read; None where it is done already."""


@dataclass(slots=True)
class Tally:
    """What a replay has come to so far."""

    planned: int = 0
    """Evaluations that were begun or are done."""
    outcomes: Counter[tuple[Status, Reason | None]] = field(default_factory=Counter)
    """What was published and acknowledged."""

    @property
    def published(self) -> int:
        """Outcomes that the broker has acknowledged."""
        return self.outcomes.total()


class Replay:
    """Makes chosen evaluations of given records once more. Used from one event loop, once.

    Args:
        config: Limits, topics.
        evaluators: Those to use.
        intake: Reads the records, and says which evaluations to make.
        origin: What asks for it; goes on every outcome.
        publisher: Writes the outcomes.
        emit: Where events go.
        observe: Told of outcomes that are acknowledged.
        spend: What pays for judges; None: nobody counts it.
        tally: Where it counts, if it is one of several that belong together.
        carry: Takes the records through the hops, if not as a lane of spans does.

    Attributes:
        tally: What it has come to so far.
        offsets: Claims and watermarks of what it reads.
        waiting_for: Why nothing goes on, by judge or budget; empty while nothing is waited for.
    """

    def __init__(
        self,
        config: Config,
        evaluators: Mapping[str, Configured],
        *,
        intake: Reader,
        origin: Origin,
        publisher: Publisher,
        emit: Emit,
        observe: Callable[[Sequence[Outcome]], None],
        spend: Spend | None = None,
        tally: Tally | None = None,
        carry: Callable[[Pipeline], Awaitable[None]] = Pipeline.run,
    ) -> None:
        self.tally = tally or Tally()
        self.offsets = Offsets()
        self.waiting_for: dict[str, str] = {}
        self._gate = Gate(config.limits.in_flight, config.limits.in_flight_bytes)
        self._flight = Flight(config.stop.drain_s, config.stop.flush_s)
        self._source = ReplaySource(self.offsets, self._flight, self._gate)
        self._observe = observe
        self._carry = carry
        for judge in judges_of(evaluators.values()):
            judge.on_blocked(_Switch(f'judge "{judge.name}"', self._gate, self.waiting_for))
        if spend is not None:
            spend.on_blocked(self._blocked_by_budget)
        self._pipeline = Pipeline(
            lane=LANE,
            consumer=self._source,
            intake=_Begun(intake, self.tally),
            gate=self._gate,
            engine=Engine(
                emit,
                group_attributes=config.cost.group_by.attributes,
                origin=origin,
                concurrency=config.limits.in_flight,
                open_budget=None if spend is None else spend.open_budget,
            ),
            publisher=publisher,
            dead_letters=None,  # they are there already: the code lane reads the same records
            scores_topic=config.kafka.scores,
            flight=self._flight,
            observe=self._count,
            emit=emit,
        )

    @property
    def in_flight(self) -> int:
        """Evaluations under way."""
        return self._gate.items

    @property
    def cut(self) -> int:
        """Evaluations that a stop has cut off."""
        return self._source.cut

    @property
    def was_stopped(self) -> bool:
        """Whether it was told to stop before its end."""
        return self._source.was_stopped

    async def run(self, reads: Iterable[Read], claim: MakeClaim) -> None:
        """Carry all records to acknowledged outcomes, or until `stop`.

        Args:
            reads: What to read, taken in a thread; it may block for a second at a time.
            claim: How a record is claimed.

        Raises:
            AssayError: What `reads` raised, or the producer failed for good.
        """
        self._source.open(reads, claim)
        try:
            await self._carry(self._pipeline)
        finally:
            await self._flight.abandon()

    def stop(self) -> None:
        """Begin nothing more, drain what is in flight; `run` returns then."""
        self._source.stop()

    def look(self, count: int) -> None:
        """Whoever reads for `run` calls it at every poll: a stop ends the read, wherever it is."""
        self._source.look(count)

    def _blocked_by_budget(self, budget: str, is_blocked: bool, why: str) -> None:
        _Switch(f'budget "{budget}"', self._gate, self.waiting_for)(is_blocked, why)

    def _count(self, outcomes: Sequence[Outcome]) -> None:
        self.tally.outcomes.update((o.outcome, o.reason) for o in outcomes)
        self._observe(outcomes)


def by_offset(offsets: Offsets, read: Read) -> Claim | None:
    """Claim a record of a partition that is read in order: its watermark says what is done."""
    return offsets.deliver((read.topic, read.partition), read.offset, read.timestamp_ms / 1000)


class InOrder:
    """Claims records in the order in which they are read, wherever they stand."""

    _PLACE = ("", 0)

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, offsets: Offsets, read: Read) -> Claim | None:
        """Claim a record."""
        if not self._next:
            offsets.assign(self._PLACE, 0, NO_BEGINNING, None)
        self._next += 1
        return offsets.deliver(self._PLACE, self._next - 1, read.timestamp_ms / 1000)


@dataclass(frozen=True, slots=True)
class _Switch:
    """Lets a replay stand still while one of its judges is out, or its money is spent."""

    what: str
    gate: Gate
    waiting_for: dict[str, str]

    def __call__(self, is_blocked: bool, why: str) -> None:
        if is_blocked:
            self.waiting_for[self.what] = why
            self.gate.close(self.what)
        else:
            self.waiting_for.pop(self.what, None)
            self.gate.open(self.what)


@dataclass(frozen=True, slots=True)
class _Begun:
    """Counts what is begun, and leaves letters alone: they are on their topic already."""

    intake: Reader
    tally: Tally

    def read(self, record: Record) -> Work:
        work = self.intake.read(record)
        work.jobs = begun(work.jobs, self.tally)
        work.letters.clear()
        return work


def begun(jobs: Iterable[Job], tally: Tally) -> list[Job]:
    """Evaluations that are about to begin, counted.

    Somebody asks for them now: that they are old is no reason to skip them.
    """
    found = [replace(job, selected=replace(job.selected, max_age_s=None)) for job in jobs]
    tally.planned += len(found)
    return found


@dataclass(frozen=True, slots=True)
class ChosenSpans:
    """Reads records as a lane does, and leaves of their evaluations those that are wanted."""

    intake: Intake
    choose: Choose

    def read(self, record: Record) -> Work:
        """Decode a record; those of its evaluations that are chosen."""
        work = self.intake.read(record)
        source = Source(record.topic, record.partition, record.offset)
        work.jobs = list(self.choose(source, work))
        return work


class NoLimit(Limit):
    """Counts what cannot be read, and stops nothing.

    It is dead letters already, however much: nothing can drain here.
    """

    def __init__(self) -> None:
        self.unreadable = 0

    def count(self, *, readable: bool, what: str) -> None:  # noqa: ARG002  as it is in a lane
        """Take one record into account."""
        self.unreadable += not readable


def span_intake(
    config: Config,
    evaluators: Mapping[str, Configured],
    emit: Emit,
    choose: Choose,
    *,
    remembers: int = 0,
) -> ChosenSpans:
    """What reads the records of a replay of spans.

    Args:
        config: Routes, limits.
        evaluators: Those to use.
        emit: Where events go.
        choose: Which evaluations to make.
        remembers: As `Intake`; 0 where the records are not all of a stretch: what stood between
            them is not known, so that none of two copies of a call might be evaluated.
    """
    intake = Intake(
        LANE,
        router=Router(config.routes, emit),
        evaluators=evaluators,
        limits=config.limits.of_message(),
        encoding=Encoding(config.kafka.encoding),
        limit=NoLimit(),
        counts=False,
        count_all=False,
        group_attributes=config.cost.group_by.attributes,
        count=_ignore,
        emit=emit,
        remembers=remembers,
    )
    return ChosenSpans(intake, choose)


def trace_intake(
    config: Config,
    evaluators: Mapping[str, Configured],
    router: Router,
    *,
    knows: Callable[[Partition, str], bool] = lambda _, __: True,
    limit: Limit | None = None,
) -> TraceIntake:
    """What says of the records of whole traces what is in them; `knows` as in `TraceIntake`."""
    return TraceIntake(
        router=router,
        evaluators=evaluators,
        limits=config.limits.of_message(),
        encoding=Encoding(config.kafka.encoding),
        limit=limit or NoLimit(),
        knows=knows,
        count=_ignore,
    )


def _ignore(_: Counted) -> None:
    pass
