"""Whole traces to try again: all their records are read once more, and put together as in the lane.

An outcome of a trace names every record that the trace was read from. Where one of them is gone,
or cannot be read any more, the trace is left alone: a part of it must not stand for the whole.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.outcome import Source

from .configured import Configured
from .consumer import Record
from .flight import Work
from .retries import Choice, Places, Standing, Wanted, packed
from .router import Selected
from .topic_reader import Read, TopicReader
from .trace import SharedClaim, Trace, TraceClaim
from .trace_intake import TraceIntake, trace_id_of

_AT_ONCE = 20_000
"""Records of the traces that are looked for in one go; each costs some 200 bytes meanwhile."""


@dataclass(frozen=True, slots=True, eq=False)
class Again:
    """A trace of which evaluations are to be made again.

    Attributes:
        wanted: These; all name the same records.
    """

    wanted: tuple[Wanted, ...]

    @property
    def trace_id(self) -> str:
        """The trace."""
        return self.wanted[0].trace_id

    @property
    def sources(self) -> list[Source]:
        """All its records."""
        return self.wanted[0].sources

    @property
    def records(self) -> int:
        """How many they are."""
        return sum(len(offsets) for _, _, offsets in self.wanted[0].stands)

    @property
    def revision(self) -> int:
        """Number of spans that it has at least: an outcome of fewer would not hold."""
        return max(each.revision for each in self.wanted)


def gathered(wanted: Iterable[Wanted]) -> list[Again]:
    """The traces of these evaluations.

    Where two evaluators of a trace have outcomes of different records, one was judged by a
    fragment; both are made from all of the records.
    """
    by_trace: dict[str, list[Wanted]] = {}
    for each in wanted:
        by_trace.setdefault(each.trace_id, []).append(each)
    return [Again(tuple(_of_the_same_records(mine))) for mine in by_trace.values()]


def _of_the_same_records(wanted: Sequence[Wanted]) -> Sequence[Wanted]:
    if all(each.stands == wanted[0].stands for each in wanted):
        return wanted
    stands = packed(source for each in wanted for source in each.sources)
    return [replace(each, stands=stands) for each in wanted]


class TraceRecords:
    """Reads the records of traces: those of one trace together, if all of them stand.

    The records of many traces lie mixed on the topic, so what is read of a trace is held until the
    rest of it was. Beyond `max_bytes` the traces that began last are put off, to be read again.

    Args:
        reader: Reads the topics.
        traces: What to read.
        max_bytes: Bytes of records to hold. A single trace may have more.
        at_once: Records of the traces to look for in one go.

    Attributes:
        gone: Records that do not stand there any more.
    """

    def __init__(
        self,
        reader: TopicReader,
        traces: Iterable[Again],
        *,
        max_bytes: int,
        at_once: int = _AT_ONCE,
    ) -> None:
        self._reader = reader
        self._max_bytes = max_bytes
        self._at_once = at_once
        self._whole: list[Again] = []
        self.gone: set[Source] = set()
        standing = Standing(reader)
        for each in traces:
            gone = standing.gone(each.sources)
            self.gone |= gone
            if not gone:
                self._whole.append(each)

    @property
    def count(self) -> int:
        """How many records there are to read."""
        return sum(each.records for each in self._whole)

    def reads(self, look: Callable[[int], object] = lambda _: None) -> Iterator[Read]:
        """The records, trace by trace; `look` is called at every poll."""
        left = deque(sorted(self._whole, key=_place))
        while left:
            some: list[Again] = []
            records = 0
            while left and records < self._at_once:
                some.append(left.popleft())
                records += some[-1].records
            put_off = yield from self._sweep(some, look)
            left.extendleft(reversed(put_off))

    def _sweep(
        self, some: Iterable[Again], look: Callable[[int], object]
    ) -> Generator[Read, None, list[Again]]:
        """Read some traces; those that were put off, which never are all."""
        of = {source: each for each in some for source in each.sources}
        places = Places(self._reader, of)
        held: dict[Again, list[Read]] = {}
        put_off: dict[Again, None] = {}
        size_bytes = 0
        for read in places.reads(look):
            trace = of[Source(read.topic, read.partition, read.offset)]
            if trace in put_off:
                continue
            held.setdefault(trace, []).append(read)
            size_bytes += _size(read)
            if len(held[trace]) == trace.records:
                whole = held.pop(trace)
                size_bytes -= sum(map(_size, whole))
                yield from whole
            while size_bytes > self._max_bytes and len(held) > 1:
                last = next(reversed(held))
                size_bytes -= sum(map(_size, held.pop(last)))
                put_off[last] = None
        self.gone |= places.gone
        return sorted(put_off, key=_place)


class WholeTraces:
    """Turns the records of a trace, which come together, into its evaluations: a replay's intake.

    Args:
        traces: What is wanted.
        choice: Picks the wanted evaluations, and remembers which are left.
        intake: Says what is in a record, as in the trace lane.
        combine: Makes one selection of an evaluator out of two, `Router.combine`.
        evaluators: Those to use.
    """

    def __init__(
        self,
        traces: Iterable[Again],
        choice: Choice,
        *,
        intake: TraceIntake,
        combine: Callable[[Selected, Selected], Selected],
        evaluators: Mapping[str, Configured],
    ) -> None:
        self._wanted = {each.trace_id: each for each in traces}
        self._choice = choice
        self._intake = intake
        self._combine = combine
        self._evaluators = evaluators
        self._trace: Trace | None = None
        self._records = 0

    def read(self, record: Record) -> Work:
        """Take in a record; with the last one of its trace, what is asked for of the whole.

        The claims of the others are let go before: a retry has no checkpoint, it goes on by what
        stands on the scores topic.
        """
        wanted = self._wanted.get(trace_id_of(record.key) or "")
        if wanted is None:
            return Work(record)
        trace = self._trace
        if trace is None or trace.trace_id != wanted.trace_id:
            trace = self._trace = Trace(wanted.trace_id, TraceClaim(record.claim.partition))
            self._records = 0
        self._records += 1
        for part in self._intake.read(record):
            if part.trace_id == trace.trace_id:
                trace.take(part, self._combine)
        if self._records < wanted.records:
            return Work(record)
        trace.claim.shares.append(SharedClaim(record.claim))
        is_whole = len(trace.heads) >= wanted.revision
        jobs = trace.jobs(self._evaluators) if is_whole else []
        first = wanted.wanted[0].first
        return Work(trace, jobs=self._choice.pick(first, jobs, is_read=is_whole))


def _place(trace: Again) -> tuple[str, int, int]:
    first = trace.wanted[0].first
    return first.topic, first.partition, first.offset


def _size(read: Read) -> int:
    return len(read.value or b"")
