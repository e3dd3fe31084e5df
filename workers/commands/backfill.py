"""`assay backfill`: evaluate what the spans topics hold of a time, beside the live workers."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from schemas.config import Config
from schemas.errors import ConfigError
from schemas.outcome import Origin, Source
from workers.backfill import Checkpoint, Reading, StateFile, measure, measure_traces
from workers.configured import TRACE, Configured
from workers.engine import Job
from workers.flight import Work
from workers.offsets import Commit
from workers.replay import Replay, Tally, by_offset, span_intake
from workers.topic_reader import Read, TopicReader
from workers.trace_backfill import TraceBackfill

from .common import check_evaluators
from .kafka_client import check_client
from .replaying import BATCH, Tools, carry_out, finish, opened, result_lines, results, tell

_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked for.

    Attributes:
        begin: The first moment.
        end: The moment at which it ends.
        routes: Only what these select; empty: all.
        evaluators: Only these; empty: all.
        judge_share: Share of each judge's `max_concurrency`.
        state: The file that holds how far it is; None: beside the config.
    """

    begin: datetime
    end: datetime
    routes: tuple[str, ...]
    evaluators: tuple[str, ...]
    judge_share: float
    state: Path | None

    def state_beside(self, config: Path) -> Path:
        """The state's file; without `--state` its name is made of the task, so that it is found."""
        task = repr((self.begin, self.end, self.routes, self.evaluators)).encode()
        name = f"{config.stem}.backfill-{blake2b(task, digest_size=4).hexdigest()}.json"
        return self.state or config.with_name(name)

    def takes(self, job: Job) -> bool:
        """Whether an evaluation is asked for, by the routes that select it."""
        return not self.routes or not set(self.routes).isdisjoint(job.selected.routes)


@dataclass(slots=True)
class _Findings:
    """What there is to do, and what became of it."""

    state: Path
    checkpoint: Checkpoint
    resumed_at: int = 0
    reading: Reading | None = None
    traces: TraceBackfill | None = None
    unreadable_spans: int = 0
    tally: Tally = field(default_factory=Tally)
    replay: Replay | None = None

    @property
    def lost(self) -> list[tuple[str, int, int, int]]:
        """What retention took before it was read: topic, partition, from, to."""
        lost = set() if self.reading is None else set(self.reading.lost)
        return sorted(lost | (set() if self.traces is None else set(self.traces.lost)))

    @property
    def unreadable(self) -> int:
        """Records, or spans, that cannot be read."""
        if self.reading is not None or self.traces is None:
            return self.unreadable_spans
        return self.traces.unreadable


def moment(option: str, text: str) -> datetime:
    """Read a time.

    Raises:
        ConfigError: It is none, or has no time zone.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f'{option} "{text}": is no time; write 2026-11-01T00:00:00Z') from None
    if found.tzinfo is None:
        raise ConfigError(f'{option} "{text}": has no time zone; write {text}Z for UTC')
    return found


def run(config: Config, asked: Asked, state: Path, *, as_lines: bool) -> None:
    """Evaluate a time's spans, or go on with it, and say what became of them.

    Raises:
        ConfigError: The config, an argument or the state's file is wrong.
        NoTimes: The broker looks up no times.
        TopicUnreadable: A topic is not there, or no broker answers.
    """
    _check(config, asked)
    check_client(config)
    file = StateFile(state)
    with TopicReader(config.kafka, "backfill", batch=BATCH) as reader:
        checkpoint = _checkpoint(config, asked, file, state, reader)
        found = _Findings(state, checkpoint, checkpoint.done)
        if not checkpoint.is_finished:
            file.write(checkpoint)  # before anything is judged: it may not be writable
            asyncio.run(_backfill(config, asked, found, file, reader))
    tell(_report(found), _lines(found), as_lines=as_lines)
    finish(found.replay)


def _check(config: Config, asked: Asked) -> None:
    if asked.begin >= asked.end:
        raise ConfigError("--to: is not after --from; exchange them")
    routes = {route.name: route for route in config.routes}
    for name in asked.routes:
        if name not in routes:
            raise ConfigError(f'--route "{name}": no such route; one of {", ".join(routes)}')
    named = {
        evaluator
        for route in config.routes
        if not asked.routes or route.name in asked.routes
        for evaluator in route.evaluators
    }
    check_evaluators(asked.evaluators, named)


def _checkpoint(
    config: Config, asked: Asked, file: StateFile, state: Path, reader: TopicReader
) -> Checkpoint:
    wanted = Checkpoint(
        begin=asked.begin, end=asked.end, routes=asked.routes, evaluators=asked.evaluators
    )
    known = file.read()
    if known is None:
        measure(reader, config.kafka.spans, wanted)
        return wanted
    if not known.same_task(wanted):
        raise ConfigError(
            f"{state}: is the state of another backfill (--from {known.begin.isoformat()} "
            f"--to {known.end.isoformat()}); move it away, or name another --state"
        )
    return known


async def _backfill(
    config: Config, asked: Asked, found: _Findings, file: StateFile, reader: TopicReader
) -> None:
    checkpoint = found.checkpoint
    async with opened(config, asked.judge_share) as tools:
        named = {
            name: each
            for name, each in tools.evaluators.items()
            if not asked.evaluators or name in asked.evaluators
        }
        traces = {name: each for name, each in named.items() if each.lane == TRACE}
        spans = {name: each for name, each in named.items() if name not in traces}
        if traces and checkpoint.traces is None:
            checkpoint.traces = await asyncio.to_thread(
                measure_traces, reader, checkpoint, config.traces.max_age_s
            )
            file.write(checkpoint)
        # Both at once: a judge that is out has told it to who listened, not to who comes later.
        stages = [
            *([_of_spans(tools, asked, found, spans, reader)] if spans else ()),
            *([_of_traces(tools, asked, found, traces, reader)] if traces else ()),
        ]
        if not spans:
            checkpoint.finish_spans()
        for stage in stages:
            found.replay = stage.replay
            await carry_out(
                stage.replay,
                stage.reads(stage.replay.look),
                by_offset,
                tools=tools,
                progress=stage.done,
                total=checkpoint.records,
                checkpoint=partial(_keep, stage, checkpoint, file),
            )
            if stage.replay.was_stopped:
                return
            checkpoint.finish_spans()
    checkpoint.finish()
    file.write(checkpoint)


@dataclass(frozen=True, slots=True)
class _Stage:
    """A backfill of spans, or one of whole traces; each reads the topics once.

    Attributes:
        replay: What carries it.
        reads: What it has left to read.
        keep: Brings the checkpoint up to date; whether anything is new.
        done: How many records are done.
    """

    replay: Replay
    reads: Callable[[Callable[[int], object]], Iterator[Read]]
    keep: Callable[[Sequence[Commit]], bool]
    done: Callable[[], int]


def _keep(
    stage: _Stage, checkpoint: Checkpoint, file: StateFile, commits: Sequence[Commit]
) -> None:
    if stage.keep(commits):
        file.write(checkpoint)


def _of_spans(
    tools: Tools,
    asked: Asked,
    found: _Findings,
    evaluators: Mapping[str, Configured],
    reader: TopicReader,
) -> _Stage:
    checkpoint = found.checkpoint
    choice = _choice(asked, found)
    intake = span_intake(tools.config, evaluators, tools.emit, choice, remembers=_REMEMBERED)
    replay = tools.replay(evaluators, intake, Origin.BACKFILL, tally=found.tally)
    reading = found.reading = Reading(reader, [p.model_copy() for p in checkpoint.parts])
    checkpoint.assign(replay.offsets)
    return _Stage(replay, reading.reads, checkpoint.note, lambda: checkpoint.done_of_spans)


def _of_traces(
    tools: Tools,
    asked: Asked,
    found: _Findings,
    evaluators: Mapping[str, Configured],
    reader: TopicReader,
) -> _Stage:
    checkpoint = found.checkpoint
    traces = found.traces = TraceBackfill(
        checkpoint.traces or (),
        config=tools.config,
        evaluators=evaluators,
        takes=asked.takes,
        tally=found.tally,
        emit=tools.emit,
    )
    replay = tools.replay(
        evaluators, traces, Origin.BACKFILL, tally=found.tally, carry=traces.carry
    )
    traces.assign(replay.offsets)
    return _Stage(
        replay,
        partial(traces.reads, reader),
        lambda _: traces.write(),
        lambda: checkpoint.done_of_traces,
    )


def _choice(asked: Asked, found: _Findings) -> Callable[[Source, Work], list[Job]]:
    def choose(_: Source, work: Work) -> list[Job]:
        found.unreadable_spans += len(work.letters)
        return [job for job in work.jobs if asked.takes(job)]

    return choose


def _report(found: _Findings) -> dict[str, Any]:
    checkpoint, replay = found.checkpoint, found.replay
    return {
        "state": str(found.state),
        "records": checkpoint.records,
        "resumed_at": found.resumed_at,
        "done": checkpoint.done,
        "finished": checkpoint.is_finished,
        **({} if replay is None else results(replay.tally)),
        "unreadable": found.unreadable,
        "begins_after_retention": [
            {"topic": topic, "partition": partition, "first_offset": first}
            for topic, partition, first in checkpoint.taken
        ],
        "lost_to_retention": [
            {"topic": topic, "partition": partition, "from": begin, "to": end}
            for topic, partition, begin, end in found.lost
        ],
        "stopped": replay is not None and replay.was_stopped,
    }


def _lines(found: _Findings) -> Iterator[str]:
    checkpoint, replay = found.checkpoint, found.replay
    for topic, partition, first in checkpoint.taken:
        yield (
            f"{topic}[{partition}]: retention has taken what stood before offset {first}, which "
            "may have been of this time"
        )
    for topic, partition, begin, end in found.lost:
        offsets = f"{begin}-{end - 1}"
        yield f"{topic}[{partition}]: retention took offsets {offsets} before they were read"
    if replay is None:
        yield f"finished before; {found.state} says so: move it away to do it again"
        return
    if found.resumed_at:
        yield f"went on after {found.resumed_at} of {checkpoint.records} records"
    yield from result_lines(replay)
    if found.unreadable:
        yield f"{found.unreadable} records or spans cannot be read: assay dead-letters list"
    yield f"{checkpoint.done} of {checkpoint.records} records are done; {found.state} keeps it"
