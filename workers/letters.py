"""Which dead letters to read again, and what there is of their records by now."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace

from schemas.outcome import Outcome, Source
from schemas.reasons import DeadLetterReason

from .engine import Job
from .flight import Work
from .topic_reader import Read, Stretch

BOMB = DeadLetterReason.BAD_COMPRESSION.value

_SLACK_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, without its bytes.

    Attributes:
        source: The record that could not be read, or holds the span that could not.
        place: Where the letter itself stands: partition and offset.
        written_ms: When it was written, milliseconds since 1970.
        record_ms: When the record was; 0: it does not say.
        is_span: Whether it is about one span of the record.
        size_bytes: Of what it holds; None: it is a stub, which only says where the bytes are.
    """

    source: Source
    place: tuple[int, int]
    written_ms: int
    record_ms: int
    reason: str
    detail: str
    is_span: bool
    size_bytes: int | None

    @classmethod
    def of(cls, record: Read) -> "Letter | None":
        """Read a record of the dead-letter topic; None where it is no dead letter."""
        said = {name: (value or b"").decode("utf-8", "replace") for name, value in record.headers}
        try:
            source = Source(
                said["assay.topic"], int(said["assay.partition"]), int(said["assay.offset"])
            )
            reason = said["assay.reason"]
        except (KeyError, ValueError):
            return None  # something else wrote it
        record_ms = said.get("assay.timestamp_ms", "")
        is_stub = said.get("assay.stub") == "true"
        return cls(
            source,
            (record.partition, record.offset),
            record.timestamp_ms,
            int(record_ms) if record_ms.isdecimal() else 0,
            reason,
            said.get("assay.detail", ""),
            said.get("assay.part") == "span",
            None if is_stub else len(record.value or b""),
        )

    @property
    def has_record(self) -> bool:
        """Whether it holds the whole record, not a span or nothing."""
        return not self.is_span and self.size_bytes is not None


@dataclass(slots=True)
class Index:
    """The letters to read again: one for each record, however often it was dead-lettered.

    Attributes:
        letters: By the record that they are about.
        bombs: Records left out because reading them again may be the end of this process too.
    """

    letters: dict[Source, Letter] = field(default_factory=dict)
    bombs: set[Source] = field(default_factory=set)

    def add(self, letter: Letter, *, also_bombs: bool) -> None:
        """Take one letter into account; one that holds the whole record wins."""
        if letter.reason == BOMB and not also_bombs:
            self.bombs.add(letter.source)
            return
        known = self.letters.get(letter.source)
        if known is None or letter.has_record or not known.has_record:
            self.letters[letter.source] = letter

    @property
    def held(self) -> dict[tuple[int, int], Letter]:
        """Letters with their record's bytes, by where they stand on the dead-letter topic."""
        return {each.place: each for each in self.letters.values() if each.has_record}

    @property
    def to_fetch(self) -> list[Source]:
        """Records of which only the source offset is known, or a span alone.

        A span is read with its record: without it nobody knows its service and scope, and routes
        would decide otherwise.
        """
        return [source for source, each in self.letters.items() if not each.has_record]

    @property
    def since_ms(self) -> int:
        """No outcome of these records is older, also where its writer's clock was ahead of ours."""
        oldest = min((each.record_ms for each in self.letters.values()), default=0)
        return max(0, oldest - _SLACK_MS)

    def bytes_of(self, records: Iterable[Read]) -> Iterator[Read]:
        """The dead-lettered records as they stood on their own topic.

        Args:
            records: The dead-letter topic, read again.
        """
        held = self.held
        for record in records:
            letter = held.get((record.partition, record.offset))
            if letter is not None:
                source = letter.source
                yield replace(
                    record,
                    topic=source.topic,
                    partition=source.partition,
                    offset=source.offset,
                    timestamp_ms=letter.record_ms or record.timestamp_ms,
                    headers=(),
                )

    def stretches(self) -> list[Stretch]:
        """What to read of the dead-letter topic."""
        bounds: dict[int, tuple[int, int]] = {}
        for partition, offset in self.held:
            low, high = bounds.get(partition, (offset, offset + 1))
            bounds[partition] = (min(low, offset), max(high, offset + 1))
        return [Stretch(index, low, high, is_all=False) for index, (low, high) in bounds.items()]


class Published:
    """The evaluations of some records whose outcomes stand on the scores topic already."""

    def __init__(self, sources: Collection[Source]) -> None:
        self._sources = sources
        self._ids: set[str] = set()

    def add_value(self, value: bytes | None) -> None:
        """Take a record of the scores topic into account."""
        try:
            outcome = Outcome.from_json(value or b"")
        except ValueError:
            return
        if any(source in self._sources for source in outcome.sources):
            self._ids.add(outcome.evaluation_id)

    def __contains__(self, job: Job) -> bool:
        return job.evaluation_id in self._ids


@dataclass(slots=True)
class Readings:
    """Makes the evaluations that have no outcome yet, and keeps what became of the letters.

    Attributes:
        published: What has one.
        readable: Records that can be read now, every span of them that matters.
        unreadable: Why the others cannot, by record.
        had_outcomes: Evaluations that were left out because their outcome exists.
    """

    published: Published
    readable: set[Source] = field(default_factory=set)
    unreadable: dict[Source, tuple[str, str]] = field(default_factory=dict)
    had_outcomes: int = 0

    def __call__(self, source: Source, work: Work) -> list[Job]:
        """The evaluations of one record that are still to be made."""
        if work.letters:
            first = work.letters[0]
            self.unreadable[source] = (first.reason.value, first.detail)
        else:
            self.readable.add(source)
        todo = [job for job in work.jobs if job not in self.published]
        self.had_outcomes += len(work.jobs) - len(todo)
        return todo

    @property
    def done(self) -> int:
        """Records that were read."""
        return len(self.readable) + len(self.unreadable)

    def by_reason(self) -> Counter[str]:
        """How many records are still unreadable, by reason."""
        return Counter(reason for reason, _ in self.unreadable.values())
