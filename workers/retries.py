"""Which outcomes to try again, and where the records that they came from stand."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from evaluators.contract import Scope
from schemas.outcome import Outcome, Source, evaluation_id
from schemas.reasons import Reason, Status

from .configured import Configured
from .engine import Job
from .flight import Work
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


@dataclass(frozen=True, slots=True)
class Wanted:
    """One evaluation to make again."""

    evaluation_id: str
    trace_id: str
    span_id: str
    evaluator: str
    version: str
    fingerprint: str
    reason: Reason
    sources: tuple[Source, ...]

    @classmethod
    def of(cls, outcome: Outcome, reason: Reason) -> "Wanted":
        """What has to be known of an outcome to make it again."""
        return cls(
            outcome.evaluation_id,
            outcome.trace_id,
            outcome.span_id,
            outcome.evaluator.name,
            outcome.evaluator.version,
            outcome.evaluator.fingerprint,
            reason,
            outcome.sources,
        )


class Unsettled:
    """The outcomes that hold, as far as they are to be tried again.

    Of several with one `evaluation_id` the highest revision holds, then the last.
    """

    def __init__(self, reasons: Collection[Reason], evaluators: Collection[str]) -> None:
        self._reasons = reasons
        self._evaluators = evaluators
        self._kept: dict[str, Wanted] = {}
        self._revisions: dict[str, int] = {}

    def add_value(self, value: bytes | None) -> None:
        """Take a record of the scores topic into account; what is no outcome is passed over."""
        try:
            outcome = Outcome.from_json(value or b"")
        except ValueError:
            return
        key = outcome.evaluation_id
        if outcome.revision < self._revisions.get(key, 1):
            return
        if outcome.revision > 1:
            self._revisions[key] = outcome.revision
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
    OF_A_TRACE = "they are of a whole trace, which cannot be read again by offsets"
    NOT_SELECTED = "their record asks for no such evaluation any more: routes or sampling changed"
    UNREADABLE = "their record cannot be read any more"
    GONE = "retention has taken their record"

    def lose(self, source: Source) -> None:
        """Count one whose record is gone."""
        self.counts[self.GONE] += 1
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
        elif configured.evaluator.scope is not Scope.SPAN or len(wanted.sources) != 1:
            leavings.counts[Leavings.OF_A_TRACE] += 1
        elif (wanted.version, wanted.fingerprint) not in _identities(configured):
            leavings.counts[Leavings.CHANGED] += 1
        else:
            kept.append(wanted)
    return kept


def _identities(configured: Configured) -> set[tuple[str, str]]:
    refs = (configured.ref(policy) for policy in _POLICIES)
    return {(ref.version, ref.fingerprint) for ref in refs}


class Choice:
    """Picks the wanted evaluations out of what a record asks for, and remembers which are left."""

    def __init__(self, wanted: Iterable[Wanted]) -> None:
        self._left = {each.evaluation_id: each for each in wanted}
        self._spans: dict[Source, dict[tuple[str, str, str], str]] = defaultdict(dict)
        for each in self._left.values():
            key = (each.trace_id, each.span_id, each.evaluator)
            self._spans[each.sources[0]][key] = each.evaluation_id
        self._changed: set[str] = set()
        self._read: set[Source] = set()

    def __call__(self, source: Source, work: Work) -> list[Job]:
        """The wanted evaluations of one record."""
        here = self._spans.get(source, {})
        if not work.letters or work.jobs:
            self._read.add(source)
        picked = []
        for job in work.jobs:
            key = id_of(job)
            if self._left.pop(key, None) is not None:
                picked.append(job)
                continue
            was = here.get((job.span.trace_id, job.span.span_id, job.evaluator.name))
            if was is not None:
                self._changed.add(was)
        return picked

    def account(self, leavings: Leavings, gone: Collection[Source]) -> None:
        """Say why what is left was not made again."""
        for each in self._left.values():
            source = each.sources[0]
            if source in gone:
                leavings.lose(source)
            elif each.evaluation_id in self._changed:
                leavings.counts[Leavings.CHANGED] += 1
            elif source in self._read:
                leavings.counts[Leavings.NOT_SELECTED] += 1
            else:
                leavings.counts[Leavings.UNREADABLE] += 1


def id_of(job: Job) -> str:
    """The `evaluation_id` that the outcome of a job will have."""
    ref = job.evaluator.ref(job.selected.content)
    return evaluation_id(job.span.trace_id, job.span.span_id, ref)


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
        self.gone: set[Source] = set()
        for source in sources:
            self._wanted[source.topic][source.partition].add(source.offset)
        for topic in list(self._wanted):
            self._leave_out_gone(topic)

    @property
    def count(self) -> int:
        """How many there are to read."""
        return sum(len(each) for parts in self._wanted.values() for each in parts.values())

    def reads(self, look: Callable[[int], object] = lambda _: None) -> Iterator[Read]:
        """The records, in the order of their partitions; `look` is called at every poll."""
        for topic, parts in self._wanted.items():
            unread = {index: set(offsets) for index, offsets in parts.items()}
            runs = {index: _runs(offsets) for index, offsets in parts.items() if offsets}
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

    def _leave_out_gone(self, topic: str) -> None:
        try:
            bounds = self._reader.bounds(topic)
        except TopicMissing:
            bounds = {}
        for index, offsets in list(self._wanted[topic].items()):
            low, high = bounds.get(index, (0, 0))
            there = {offset for offset in offsets if low <= offset < high}
            self.gone |= {Source(topic, index, offset) for offset in offsets - there}
            self._wanted[topic][index] = there


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
