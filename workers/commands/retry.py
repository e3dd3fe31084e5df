"""`assay retry`: make failed and skipped evaluations again, from the records they came from."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from schemas.config import Config
from schemas.errors import ConfigError
from schemas.outcome import Origin, Source
from schemas.reasons import Reason
from workers.replay import InOrder, Replay, Tally, span_intake, trace_intake
from workers.retries import RETRIED, Choice, Leavings, Places, Unsettled, Wanted, choose, spans_of
from workers.router import Router
from workers.seams import Reader
from workers.topic_reader import TopicReader
from workers.trace_retries import Again, TraceRecords, WholeTraces, gathered

from .common import check_evaluators, progress_bar
from .kafka_client import check_client
from .replaying import BATCH, Tools, carry_out, finish, opened, result_lines, results, tell


@dataclass(frozen=True, slots=True)
class Asked:
    """What the user asked for.

    Attributes:
        since_s: How old an outcome may be, in seconds.
        evaluators: Only of these; empty: of all.
        reasons: Only with these; empty: those that another try may change.
        limit: At most so many evaluations, the oldest.
        judge_share: Share of each judge's `max_concurrency`.
        is_dry: Only say what would be done.
    """

    since_s: float
    evaluators: Sequence[str]
    reasons: Collection[Reason]
    limit: int
    judge_share: float
    is_dry: bool


@dataclass(slots=True)
class _Findings:
    """What there was to try again, and what became of it."""

    matched: int = 0
    asked: list[Wanted] = field(default_factory=list)
    tried: list[Wanted] = field(default_factory=list)
    leavings: Leavings = field(default_factory=Leavings)
    replay: Replay | None = None


def reasons(names: Sequence[str]) -> frozenset[Reason]:
    """Read `--reason` options.

    Raises:
        ConfigError: One of them is none.
    """
    known = {reason.value: reason for reason in Reason}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f'--reason "{unknown[0]}": no such reason; one of {", ".join(known)}')
    return frozenset(known[name] for name in names)


def run(config: Config, asked: Asked, *, as_lines: bool) -> None:
    """Try outcomes again and say what became of them.

    Raises:
        ConfigError: The config or an argument is wrong.
        TopicUnreadable: A topic is not there, or no broker answers.
    """
    check_client(config)
    check_evaluators(asked.evaluators, config.named_evaluators)
    unsettled = _scan(config, asked)
    found = _Findings(len(unsettled), unsettled.oldest(asked.limit))
    asyncio.run(_retry(config, asked, found))
    tell(_report(found, asked), _lines(found, asked), as_lines=as_lines)
    finish(found.replay)


def _scan(config: Config, asked: Asked) -> Unsettled:
    unsettled = Unsettled(asked.reasons or RETRIED, asked.evaluators)
    with progress_bar() as progress, TopicReader(config.kafka, "retry") as reader:
        found = reader.stretches(config.kafka.scores, time.time() - asked.since_s)
        bar = progress.add_task("reading outcomes", total=found.records)
        for record in reader.read(found, found.parts, partial(progress.advance, bar)):
            unsettled.add_value(record.value)
    return unsettled


async def _retry(config: Config, asked: Asked, found: _Findings) -> None:
    async with opened(config, asked.judge_share) as tools:
        wanted = choose(found.asked, tools.evaluators, found.leavings)
        spans = [each for each in wanted if not each.is_whole]
        traces = gathered(each for each in wanted if each.is_whole)
        wanted = [*spans, *(each for trace in traces for each in trace.wanted)]
        choice = Choice(wanted)
        with TopicReader(config.kafka, "retry", batch=BATCH) as reader:
            there = await asyncio.to_thread(_There.find, reader, config, spans, traces)
            gone = there.gone
            found.tried = [each for each in wanted if gone.isdisjoint(each.sources)]
            if not asked.is_dry:
                await _replay(tools, found, choice, traces, there)
            if found.replay is None:
                for each in wanted:
                    if lost := gone.intersection(each.sources):
                        found.leavings.lose(each, lost)
            elif not found.replay.was_stopped:
                choice.account(found.leavings, there.gone)


@dataclass(frozen=True, slots=True)
class _There:
    """The records that there are, of single spans and of whole traces."""

    spans: Places
    traces: TraceRecords

    @classmethod
    def find(
        cls, reader: TopicReader, config: Config, spans: Sequence[Wanted], traces: Sequence[Again]
    ) -> "_There":
        """Ask the broker which of them stand still."""
        return cls(
            Places(reader, [each.first for each in spans]),
            TraceRecords(reader, traces, max_bytes=config.traces.max_bytes),
        )

    @property
    def gone(self) -> set[Source]:
        """Those that do not, as far as is known by now."""
        return self.spans.gone | self.traces.gone


async def _replay(
    tools: Tools, found: _Findings, choice: Choice, traces: Sequence[Again], there: _There
) -> None:
    """Make the evaluations again: those of spans, then those of traces."""
    tally = Tally()
    spans = span_intake(tools.config, tools.evaluators, tools.emit, choice)
    whole = _whole_traces(tools, choice, traces)
    # Both at once: a judge that is out has told it to those who listened, not to who comes later.
    stages: Sequence[tuple[Replay, Places | TraceRecords]] = [
        (tools.replay(tools.evaluators, spans, Origin.RETRY, tally=tally), there.spans),
        (tools.replay(tools.evaluators, whole, Origin.RETRY, tally=tally), there.traces),
    ]
    for replay, records in stages:
        if not records.count or (found.replay is not None and found.replay.was_stopped):
            continue
        found.replay = replay
        await carry_out(
            replay,
            records.reads(replay.look),
            InOrder(),
            tools=tools,
            progress=lambda: tally.published,
            total=len(found.tried),
        )


def _whole_traces(tools: Tools, choice: Choice, traces: Sequence[Again]) -> Reader:
    router = Router(tools.config.routes, tools.emit)
    return WholeTraces(
        traces,
        choice,
        intake=trace_intake(tools.config, tools.evaluators, router),
        combine=router.combine,
        evaluators=tools.evaluators,
    )


def _report(found: _Findings, asked: Asked) -> dict[str, Any]:
    return {
        "dry_run": asked.is_dry,
        "matched": found.matched,
        "to_retry": len(found.tried),
        "by_evaluator": _by_evaluator(found.tried),
        **({} if found.replay is None else results(found.replay.tally)),
        "left": dict(found.leavings.counts),
        "gone": [
            {"topic": topic, "partition": partition, "offsets": sorted(offsets)}
            for (topic, partition), offsets in sorted(found.leavings.gone.items())
        ],
        "stopped": found.replay is not None and found.replay.was_stopped,
    }


def _by_evaluator(tried: Iterable[Wanted]) -> dict[str, dict[str, int]]:
    counted: dict[str, Counter[str]] = {}
    for each in tried:
        counted.setdefault(each.evaluator, Counter())[each.reason.value] += 1
    return {name: dict(counts) for name, counts in sorted(counted.items())}


def _lines(found: _Findings, asked: Asked) -> Iterator[str]:
    yield f"{found.matched} outcomes match, {len(found.tried)} can be tried again"
    if found.matched > len(found.asked):
        yield f"only the oldest {len(found.asked)} of them now: --limit"
    for name, counts in _by_evaluator(found.tried).items():
        yield f"  {name}: " + ", ".join(f"{count} {reason}" for reason, count in counts.items())
    for why, count in found.leavings.counts.items():
        yield f"{count} are left: {why}"
    for (topic, partition), offsets in sorted(found.leavings.gone.items()):
        yield f"  gone from {topic}[{partition}]: {', '.join(spans_of(offsets))}"
    if found.replay is not None:
        yield from result_lines(found.replay)
    elif asked.is_dry:
        yield "a dry run: nothing was evaluated"
