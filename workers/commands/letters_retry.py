"""`assay dead-letters retry`: read dead letters again, and judge what can be read by now."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

from rich.progress import Progress

from schemas.config import Config
from schemas.outcome import Origin, Source
from workers.letters import BOMB, Index, Letter, Published, Readings
from workers.replay import InOrder, Replay, span_intake
from workers.retries import Places
from workers.topic_reader import Read, Stretches, TopicReader

from .common import progress_bar
from .kafka_client import check_client
from .replaying import BATCH, carry_out, finish, opened, result_lines, results, tell

_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked for.

    Attributes:
        since_s: How old a letter may be, in seconds.
        reason: Only with this one.
        origin: Only from this record.
        judge_share: Share of each judge's `max_concurrency`.
    """

    since_s: float
    reason: str | None
    origin: Source | None
    judge_share: float

    def takes(self, letter: Letter) -> bool:
        """Whether a letter is to be read again."""
        return self.reason in (None, letter.reason) and self.origin in (None, letter.source)


@dataclass(slots=True)
class _Findings:
    index: Index
    readings: Readings
    gone: list[Source] = field(default_factory=list)
    replay: Replay | None = None


def run(config: Config, asked: Asked, *, as_lines: bool) -> None:
    """Read dead letters again, publish what they ask for, and say what became of them.

    Raises:
        ConfigError: The config is wrong.
        TopicUnreadable: A topic is not there, or no broker answers.
    """
    check_client(config)
    index = Index()
    with progress_bar() as progress, TopicReader(config.kafka, "dead-letters") as reader:
        _scan(
            reader,
            config.kafka.dead_letters,
            time.time() - asked.since_s,
            progress,
            partial(_index, index, asked),
        )
        published = Published(index.letters)
        if index.letters:  # what has an outcome is not judged twice
            _scan(
                reader,
                config.kafka.scores,
                index.since_ms / 1000,
                progress,
                lambda record: published.add_value(record.value),
            )
    found = _Findings(index, Readings(published))
    if index.letters:
        asyncio.run(_retry(config, asked, found))
    tell(_report(found), _lines(found), as_lines=as_lines)
    finish(found.replay)


def _scan(
    reader: TopicReader,
    topic: str,
    since_s: float,
    progress: Progress,
    take: Callable[[Read], None],
) -> None:
    found = reader.stretches(topic, since_s)
    bar = progress.add_task(f"reading {topic}", total=found.records)
    for record in reader.read(found, found.parts, partial(progress.advance, bar)):
        take(record)


def _index(index: Index, asked: Asked, record: Read) -> None:
    letter = Letter.of(record)
    if letter is not None and asked.takes(letter):
        index.add(letter, also_bombs=asked.reason == BOMB)


async def _retry(config: Config, asked: Asked, found: _Findings) -> None:
    async with opened(config, asked.judge_share) as tools:
        with TopicReader(config.kafka, "dead-letters", batch=BATCH) as reader:
            places = await asyncio.to_thread(Places, reader, found.index.to_fetch)
            intake = span_intake(tools.config, tools.evaluators, tools.emit, found.readings)
            replay = found.replay = tools.replay(tools.evaluators, intake, Origin.RETRY)
            await carry_out(
                replay,
                chain(
                    _held(reader, config.kafka.dead_letters, found.index, replay.look),
                    places.reads(replay.look),
                ),
                InOrder(),
                tools=tools,
                progress=lambda: found.readings.done,
                total=len(found.index.letters) - len(places.gone),
            )
            found.gone = sorted(places.gone, key=str)


def _held(
    reader: TopicReader, topic: str, index: Index, look: Callable[[int], object]
) -> Iterator[Read]:
    parts = index.stretches()
    if parts:
        stretches = Stretches(topic, -1, len(parts), tuple(parts), knows_times=True)
        yield from index.bytes_of(reader.read(stretches, parts, look))


def _report(found: _Findings) -> dict[str, Any]:
    readings, replay = found.readings, found.replay
    return {
        "records": len(found.index.letters),
        "readable": len(readings.readable),
        "had_outcomes": readings.had_outcomes,
        **({} if replay is None else results(replay.tally)),
        "unreadable": [
            {"origin": str(source), "reason": reason, "detail": detail}
            for source, (reason, detail) in sorted(readings.unreadable.items(), key=str)
        ],
        "gone": [str(source) for source in found.gone],
        "bombs": [str(source) for source in sorted(found.index.bombs, key=str)],
        "stopped": replay is not None and replay.was_stopped,
    }


def _lines(found: _Findings) -> Iterator[str]:
    readings = found.readings
    yield f"{len(found.index.letters)} dead-lettered records, {len(readings.readable)} can be read"
    if readings.had_outcomes:
        yield f"{readings.had_outcomes} evaluations of them have an outcome already"
    if found.replay is not None:
        yield from result_lines(found.replay)
    for reason, count in readings.by_reason().items():
        yield f"{count} cannot be read, still or in part, and stay where they are: {reason}"
    yield from _listed([f"{s}: {r}, {d}" for s, (r, d) in readings.unreadable.items()])
    if found.gone:
        yield (
            f"{len(found.gone)} are gone: retention has taken the record, and the letter is a stub "
            "or a span alone"
        )
        yield from _listed([str(source) for source in found.gone])
    if found.index.bombs:
        yield (
            f"{len(found.index.bombs)} are compression bombs and were left alone; "
            f"--reason {BOMB} fetches them all the same"
        )


def _listed(items: Sequence[str]) -> Iterator[str]:
    yield from (f"  {item}" for item in items[:_SHOWN])
    if len(items) > _SHOWN:
        yield f"  and {len(items) - _SHOWN} more; --json has them all"
