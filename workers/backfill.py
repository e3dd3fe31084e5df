"""What a backfill reads, and how far it is: a file that a later run goes on from.

The checkpoint is a file and no consumer group: a group would need rights of its own, the broker
forgets it after a week without members, and it has no place for where the backfill ends, which is
decided once, at its start.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, NonNegativeInt, ValidationError

from schemas.errors import AssayError, ConfigError

from .offsets import Commit, Offsets
from .replay_source import NO_BEGINNING
from .topic_reader import Read, Stretch, Stretches, TopicReader


class Stretched(BaseModel):
    """What a backfill reads of one partition, and how far it is.

    Attributes:
        begin: Its first offset.
        end: The offset at which it ends; not read.
        offset: All below it is done: the outcomes are acknowledged.
        metadata: What is done above it, as in the metadata of a commit.
    """

    model_config = ConfigDict(extra="forbid")

    topic: str
    partition: NonNegativeInt
    begin: NonNegativeInt
    end: NonNegativeInt
    offset: NonNegativeInt
    metadata: str = ""


class TraceStretch(BaseModel):
    """Where the whole traces of one partition begin, and how far they are.

    Attributes:
        begin: A trace that begins at this offset, or behind it, is evaluated.
        end: Unless it begins at this one, or behind it.
        until: What is read at most, for the rest of those that began before `end`.
        offset: All that began below it are done: their outcomes are acknowledged.
        done: Those that are done and began above it, by trace id, with their first offset.
    """

    model_config = ConfigDict(extra="forbid")

    topic: str
    partition: NonNegativeInt
    begin: NonNegativeInt
    end: NonNegativeInt
    until: NonNegativeInt
    offset: NonNegativeInt
    done: dict[str, NonNegativeInt] = {}


class Checkpoint(BaseModel):
    """The whole state of a backfill, as its file holds it.

    Attributes:
        version: Of this format.
        begin: `--from`.
        end: `--to`.
        routes: `--route`.
        evaluators: `--evaluator`.
        parts: What it reads of single spans.
        traces: What it reads of whole traces; None: nobody asked for it so far.
        taken: Where retention may have taken records of this time before it began: topic,
            partition, and the first offset that was left.
        is_finished: Whether all of it is done.
    """

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = 1
    begin: AwareDatetime
    end: AwareDatetime
    routes: tuple[str, ...]
    evaluators: tuple[str, ...]
    parts: list[Stretched] = []
    traces: list[TraceStretch] | None = None
    taken: list[tuple[str, int, int]] = []
    is_finished: bool = False

    @property
    def records(self) -> int:
        """How many records there are at most: a log may have gaps."""
        return sum(part.end - part.begin for part in self.parts)

    @property
    def done(self) -> int:
        """How many of them are done for certain, of spans and of traces."""
        if self.traces is None:
            return self.done_of_spans
        return min(self.done_of_spans, self.done_of_traces)

    @property
    def done_of_spans(self) -> int:
        """How many of them have no span left to evaluate."""
        return sum(part.offset - part.begin for part in self.parts)

    @property
    def done_of_traces(self) -> int:
        """How many of them begin no trace that is left to evaluate."""
        return sum(part.offset - part.begin for part in self.traces or ())

    def note(self, commits: Sequence[Commit]) -> bool:
        """Take in what was finished of the spans; whether anything was."""
        parts = {(part.topic, part.partition): part for part in self.parts}
        for commit in commits:
            part = parts[commit.partition]
            part.offset, part.metadata = min(commit.offset, part.end), commit.metadata
        return bool(commits)

    def finish_spans(self) -> None:
        """All spans are done: what is left of offsets are gaps in the logs."""
        for part in self.parts:
            part.offset, part.metadata = part.end, ""

    def finish(self) -> None:
        """All is done."""
        self.finish_spans()
        for part in self.traces or ():
            part.offset, part.done = part.end, {}
        self.is_finished = True

    def assign(self, offsets: Offsets) -> None:
        """Let the claims begin where this stands."""
        for part in self.parts:
            key = (part.topic, part.partition)
            offsets.assign(key, part.offset, NO_BEGINNING, part.metadata)

    def same_task(self, other: "Checkpoint") -> bool:
        """Whether both are about the same records and evaluations."""
        mine = (self.begin, self.end, self.routes, self.evaluators)
        return mine == (other.begin, other.end, other.routes, other.evaluators)


class StateFile:
    """The file of a checkpoint; replaced as a whole, so that a crash leaves the old or the new.

    Args:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Checkpoint | None:
        """The checkpoint; None where there is no file.

        Raises:
            ConfigError: It cannot be read, or is none.
        """
        try:
            return Checkpoint.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(f"{self._path}: cannot be read ({error.strerror})") from error
        except ValidationError as error:
            raise ConfigError(
                f"{self._path}: is no state of a backfill; move it away, or name another --state"
            ) from error

    def write(self, checkpoint: Checkpoint) -> None:
        """Write it, and return when it is on disk.

        Raises:
            ConfigError: It cannot be written.
        """
        new = self._path.with_name(f"{self._path.name}.new")
        try:
            with new.open("wb") as file:
                file.write(checkpoint.model_dump_json(indent=1).encode())
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
        except OSError as error:
            raise ConfigError(
                f"{self._path}: cannot be written ({error.strerror}); name another --state"
            ) from error


class NoTimes(AssayError):  # noqa: N818  a property of the broker
    """The broker does not say which offset belongs to a time."""


def measure(reader: TopicReader, topics: Sequence[str], checkpoint: Checkpoint) -> None:
    """Find out what the topics hold of a backfill's time, up to their end now.

    A partition's stretch goes from its first record at or after `begin` to its first one at or
    after `end`; where producers set the timestamps, records in between may be of other times.

    Raises:
        NoTimes: The broker looks up no times.
        TopicUnreadable: A topic is not there, or no broker answers.
    """
    for topic in topics:
        bounds = reader.bounds(topic)
        filled = [index for index, (low, high) in bounds.items() if high > low]
        first = reader.offsets_at(topic, filled, _ms(checkpoint.begin))
        last = reader.offsets_at(topic, filled, _ms(checkpoint.end))
        if first is None or last is None:
            raise NoTimes(
                f"{topic}: its broker looks up no times, so nobody can say where "
                f"{checkpoint.begin.isoformat()} begins; a Kafka broker does"
            )
        for index, (low, high) in bounds.items():
            start, stop = first.get(index), last.get(index)
            if low and low in {high, start}:
                checkpoint.taken.append((topic, index, low))
            if start is None:
                continue  # nothing is so young
            start, stop = max(low, start), high if stop is None else min(high, stop)
            if start < stop:
                checkpoint.parts.append(
                    Stretched(topic=topic, partition=index, begin=start, end=stop, offset=start)
                )


def measure_traces(
    reader: TopicReader, checkpoint: Checkpoint, max_age_s: float
) -> list[TraceStretch]:
    """Where whole traces begin, and how far they may go on: `max_age_s` after the time's end.

    Raises:
        TopicUnreadable: A topic is not there, or no broker answers.
    """
    until_ms = _ms(checkpoint.end) + int(max_age_s * 1000)
    traces = []
    for topic in dict.fromkeys(part.topic for part in checkpoint.parts):
        parts = [part for part in checkpoint.parts if part.topic == topic]
        bounds = reader.bounds(topic)
        last = reader.offsets_at(topic, [part.partition for part in parts], until_ms) or {}
        for part in parts:
            until = last.get(part.partition)
            until = bounds[part.partition][1] if until is None else until
            traces.append(
                TraceStretch(
                    topic=topic,
                    partition=part.partition,
                    begin=part.begin,
                    end=part.end,
                    until=max(part.end, until),
                    offset=part.begin,
                )
            )
    return traces


class Reading:
    """Reads what a backfill has left to read, and notices what retention takes meanwhile.

    Attributes:
        lost: Offsets that were there at the start and are gone: topic, partition, from, to.
    """

    def __init__(self, reader: TopicReader, parts: Sequence[Stretched]) -> None:
        self._reader = reader
        self._parts = parts
        self.lost: list[tuple[str, int, int, int]] = []

    def reads(self, look: Callable[[int], object]) -> Iterator[Read]:
        """The records, topic by topic; `look` is called at every poll."""
        for topic in dict.fromkeys(part.topic for part in self._parts):
            parts = [
                Stretch(part.partition, part.offset, part.end, is_all=False)
                for part in self._parts
                if part.topic == topic and part.offset < part.end
            ]
            if not parts:
                continue
            expected = {part.partition: part.begin for part in parts}
            stretches = Stretches(topic, -1, len(parts), tuple(parts), knows_times=True)
            for read in self._reader.read(stretches, parts, look):
                awaited = expected[read.partition]
                if read.offset > awaited:
                    self._look_for_loss(topic, read.partition, awaited, read.offset)
                expected[read.partition] = read.offset + 1
                yield read
            for part in parts:
                awaited = expected[part.partition]
                if awaited < part.end:
                    self._look_for_loss(topic, part.partition, awaited, part.end)

    def _look_for_loss(self, topic: str, partition: int, begin: int, end: int) -> None:
        """A gap: markers of a transaction, or retention that was faster than we."""
        low, _ = self._reader.bounds_of(topic, partition)
        if low > begin:
            self.lost.append((topic, partition, begin, min(low, end)))


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
