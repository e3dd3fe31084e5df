"""Which outcomes to try again, and where the records that they came from stand."""

import sys
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from schemas.outcome import Outcome, Source, evaluation_id
from schemas.reasons import Reason, Status

from .configured import TRACE, Configured
from .engine import Job
from .flight import Work
from .revisions import Revisions
from .topic_reader import Read, Stretch, Stretches, TopicMissing, TopicReader

RETRIED = frozenset(
    {
        *(reason for reason in Reason if reason.status is Status.FAILED),
        Reason.BUDGET,
        Reason.EXPIRED,
    }
)
"""Reasons that another try may change: every failure, and skips for want of money or time."""

_NEAR = 500
_POLICIES = ("full", "redacted", "none")
_IN_PARTS = frozenset({Reason.TRACE_SPLIT, Reason.TRACE_EVICTED})
"""Of a trace that was not read to its end: the records that its outcome names are a part of it."""

Stands = tuple[tuple[str, int, "array[int]"], ...]
"""Where records stand: topic, partition, offsets. A trace may have thousands of them."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One evaluation to make again; `span_id` is empty for that of a whole trace, as in its id."""

    evaluation_id: str
    trace_id: str
    span_id: str
    evaluator: str
    version: str
    fingerprint: str
    reason: Reason
    revision: int
    stands: Stands

    @classmethod
    def of(cls, outcome: Outcome, reason: Reason) -> "Wanted":
        """What has to be known of an outcome to make it again."""
        ref = outcome.evaluator
        is_whole = outcome.evaluation_id == evaluation_id(outcome.trace_id, "", ref)
        return cls(
            outcome.evaluation_id,
            outcome.trace_id,
            "" if is_whole else outcome.span_id,
            sys.intern(ref.name),  # the same in many outcomes
            sys.intern(ref.version),
            sys.intern(ref.fingerprint),
            reason,
            outcome.revision,
            packed(outcome.sources),
        )

    @property
    def is_whole(self) -> bool:
        """Whether it is of a whole trace."""
        return not self.span_id

    @property
    def sources(self) -> list[Source]:
        """The records that it was made from."""
        return [
            Source(topic, partition, offset)
            for topic, partition, offsets in self.stands
            for offset in offsets
        ]

    @property
    def first(self) -> Source:
        """The first of these records."""
        topic, partition, offsets = self.stands[0]
        return Source(topic, partition, offsets[0])


def packed(sources: Iterable[Source]) -> Stands:
    """Where these stand, each once, in ascending order: eight bytes for each of a partition."""
    found: dict[tuple[str, int], set[int]] = defaultdict(set)
    for source in sources:
        found[sys.intern(source.topic), source.partition].add(source.offset)
    return tuple(
        (topic, partition, array("q", sorted(offsets)))
        for (topic, partition), offsets in found.items()
    )


class Unsettled:
    """The outcomes that hold, as far as they are to be tried again."""

    def __init__(self, reasons: Collection[Reason], evaluators: Collection[str]) -> None:
        self._reasons = reasons
        self._evaluators = evaluators
        self._kept: dict[str, Wanted] = {}
        self._revisions = Revisions()

    def add_value(self, value: bytes | None) -> None:
        """Take a record of the scores topic into account; what is no outcome is passed over."""
        try:
            outcome = Outcome.from_json(value or b"")
        except ValueError:
            return
        if not self._revisions.holds(outcome):
            return
        key = outcome.evaluation_id
        self._kept.pop(key, None)  # a later one holds, and stands behind the others
        is_named = not self._evaluators or outcome.evaluator.name in self._evaluators
        if is_named and outcome.reason is not None and outcome.reason in self._reasons:
            self._kept[key] = Wanted.of(outcome, outcome.reason)

    def oldest(self, limit: int) -> list[Wanted]:
        """Those that were published first, at most so many."""
        return list(self._kept.values())[:limit]

    def __len__(self) -> int:
        return len(self._kept)


@dataclass(slots=True)
class Leavings:
    """What is not tried again, and why.

    Attributes:
        counts: How many, by the reason in words.
        gone: Offsets that do not stand on their topic any more, by topic and partition.
    """

    counts: Counter[str] = field(default_factory=Counter)
    gone: dict[tuple[str, int], set[int]] = field(default_factory=lambda: defaultdict(set))

    NOT_CONFIGURED = "the config does not name their evaluator any more"
    CHANGED = "their evaluator has changed since, so its outcome would have another evaluation_id"
    IN_PARTS = "they name a part of their trace, which must not stand for the whole"
    NOT_SELECTED = "their record asks for no such evaluation any more: routes or sampling changed"
    UNREADABLE = "their record cannot be read any more"
    GONE = "retention has taken their record"
    GONE_OF_A_TRACE = "retention has taken some of their trace, and the rest must not stand for it"

    def lose(self, wanted: Wanted, gone: Collection[Source]) -> None:
        """Count one of which records are gone."""
        self.counts[self.GONE_OF_A_TRACE if wanted.is_whole else self.GONE] += 1
        for source in gone:
            self.gone[source.topic, source.partition].add(source.offset)


def choose(
    found: Iterable[Wanted], evaluators: Mapping[str, Configured], leavings: Leavings
) -> list[Wanted]:
    """Those that can be made again under their own id; the others are counted."""
    kept = []
    for wanted in found:
        configured = evaluators.get(wanted.evaluator)
        if configured is None:
            leavings.counts[Leavings.NOT_CONFIGURED] += 1
        elif wanted.is_whole != (configured.lane == TRACE) or (
            (wanted.version, wanted.fingerprint) not in _identities(configured)
        ):
            leavings.counts[Leavings.CHANGED] += 1
        elif wanted.reason in _IN_PARTS:
            leavings.counts[Leavings.IN_PARTS] += 1
        elif not wanted.stands:
            leavings.counts[Leavings.UNREADABLE] += 1
        else:
            kept.append(wanted)
    return kept


def _identities(configured: Configured) -> set[tuple[str, str]]:
    refs = (configured.ref(policy) for policy in _POLICIES)
    return {(ref.version, ref.fingerprint) for ref in refs}


class Choice:
    """Picks the wanted evaluations out of what records ask for, and remembers which are left."""

    def __init__(self, wanted: Iterable[Wanted]) -> None:
        self._left = {each.evaluation_id: each for each in wanted}
        self._ids = {
            (each.trace_id, each.span_id, each.evaluator): each.evaluation_id
            for each in self._left.values()
        }
        self._changed: set[str] = set()
        self._read: set[Source] = set()

    def __call__(self, source: Source, work: Work) -> list[Job]:
        """The wanted evaluations of the spans of one record."""
        return self.pick(source, work.jobs, is_read=not work.letters or bool(work.jobs))

    def pick(self, first: Source, jobs: Iterable[Job], *, is_read: bool) -> list[Job]:
        """Those that are wanted.

        Args:
            first: The record that they are of; of a trace the first one.
            jobs: What it asks for.
            is_read: Whether it, and all that belongs to it, could be read.
        """
        if is_read:
            self._read.add(first)
        picked = []
        for job in jobs:
            if self._left.pop(job.evaluation_id, None) is not None:
                picked.append(job)
                continue
            span_id = job.span.span_id if job.whole is None else ""
            was = self._ids.get((job.span.trace_id, span_id, job.evaluator.name))
            if was is not None:
                self._changed.add(was)
        return picked

    def account(self, leavings: Leavings, gone: Collection[Source]) -> None:
        """Say why what is left was not made again."""
        for each in self._left.values():
            lost = [source for source in each.sources if source in gone]
            if lost:
                leavings.lose(each, lost)
            elif each.evaluation_id in self._changed:
                leavings.counts[Leavings.CHANGED] += 1
            elif each.first in self._read:
                leavings.counts[Leavings.NOT_SELECTED] += 1
            else:
                leavings.counts[Leavings.UNREADABLE] += 1


class Standing:
    """Knows which records stand on their topics still, by each topic's bounds at the first look."""

    def __init__(self, reader: TopicReader) -> None:
        self._reader = reader
        self._bounds: dict[str, dict[int, tuple[int, int]]] = {}

    def gone(self, sources: Iterable[Source]) -> set[Source]:
        """Those that do not stand there any more."""
        return {source for source in sources if not self._has(source)}

    def _has(self, source: Source) -> bool:
        if source.topic not in self._bounds:
            try:
                self._bounds[source.topic] = self._reader.bounds(source.topic)
            except TopicMissing:
                self._bounds[source.topic] = {}
        low, high = self._bounds[source.topic].get(source.partition, (0, 0))
        return low <= source.offset < high


class Places:
    """Reads records at known offsets, near ones together.

    Args:
        reader: Reads the topics.
        sources: What to read.

    Attributes:
        gone: Those that do not stand there any more.
    """

    def __init__(self, reader: TopicReader, sources: Iterable[Source]) -> None:
        self._reader = reader
        self._wanted: dict[str, dict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
        wanted = set(sources)
        self.gone = Standing(reader).gone(wanted)
        for source in wanted - self.gone:
            self._wanted[source.topic][source.partition].add(source.offset)

    @property
    def count(self) -> int:
        """How many there are to read."""
        return sum(len(each) for parts in self._wanted.values() for each in parts.values())

    def reads(self, look: Callable[[int], object] = lambda _: None) -> Iterator[Read]:
        """The records, in the order of their partitions; `look` is called at every poll."""
        for topic, parts in self._wanted.items():
            unread = {index: set(offsets) for index, offsets in parts.items()}
            runs = {index: _runs(offsets) for index, offsets in parts.items()}
            while runs:
                now = [Stretch(index, *found.pop(0), is_all=False) for index, found in runs.items()]
                runs = {index: found for index, found in runs.items() if found}
                stretches = Stretches(topic, -1, len(now), tuple(now), knows_times=True)
                for read in self._reader.read(stretches, now, look):
                    if read.offset in unread[read.partition]:
                        unread[read.partition].remove(read.offset)
                        yield read
            # Retention may have taken some since their partition's bounds were asked for.
            self.gone |= {Source(topic, index, o) for index, left in unread.items() for o in left}


def _runs(offsets: Collection[int]) -> list[tuple[int, int]]:
    """Stretches `[begin, end)` that hold all offsets; what is near is in one."""
    runs: list[tuple[int, int]] = []
    for offset in sorted(offsets):
        if runs and offset < runs[-1][1] + _NEAR:
            runs[-1] = (runs[-1][0], offset + 1)
        else:
            runs.append((offset, offset + 1))
    return runs


def spans_of(offsets: Iterable[int]) -> Sequence[str]:
    """Offsets for people: `3-7`, `9`."""
    runs: list[list[int]] = []
    for offset in sorted(offsets):
        if runs and offset == runs[-1][1] + 1:
            runs[-1][1] = offset
        else:
            runs.append([offset, offset])
    return [str(begin) if begin == end else f"{begin}-{end}" for begin, end in runs]
