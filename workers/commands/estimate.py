"""`assay estimate`: what a config comes to in a day, by the last minutes of the spans topics."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.progress import Progress

from schemas.config import Config, JudgeConfig
from schemas.errors import AssayError
from workers.configured import Configured, build, judges_of
from workers.estimation import (
    BYTES_PER_TOKEN,
    OUTPUT_TOKENS,
    JudgeCost,
    PromptMeter,
    Tally,
    amount,
)
from workers.topic_reader import TopicReader

from .common import print_json, progress_bar
from .estimate_text import DAY_S, Estimate, EvaluatorRow, RouteRow, as_object, show
from .kafka_client import check_client

_SHORTEST_S = 60.0
"""A topic that is seconds old says nothing about a day; its rate is not taken to be higher."""


class NoTraffic(AssayError):  # noqa: N818  named for what was found
    """Nothing stands on the spans topics to estimate by: exit code 1."""


def run(config: Config, *, minutes: int, as_lines: bool) -> None:
    """Print what the config would come to in a day.

    Args:
        config: The config to estimate.
        minutes: How far back to read the spans topics.
        as_lines: One JSON object instead of tables.

    Raises:
        ConfigError: The config is wrong.
        PluginError: An evaluator cannot be found, imported or built.
        TopicUnreadable: A topic is not there, or no broker answers.
        NoTraffic: Nothing was written to the spans topics in that time.
    """
    check_client(config)
    meters: list[PromptMeter] = []
    evaluators = asyncio.run(_evaluators(config, meters))
    tally = Tally(config, evaluators)
    reading = _Reading(minutes)
    with progress_bar() as progress, TopicReader(config.kafka, "estimate") as reader:
        for topic in config.kafka.spans:
            reading.read(topic, reader, tally, progress)
    if not reading.records:
        topics = ", ".join(config.kafka.spans)
        raise NoTraffic(
            f"{topics}: no record in the last {minutes} minutes; "
            "take more --minutes, or see whether the collector writes there"
        )
    # Not while reading: a loop that is kept busy would not be told of Ctrl-C.
    costs = asyncio.run(_costs(tally, meters))
    found = _estimate(config, evaluators, tally, reading, costs)
    if as_lines:
        print_json([as_object(found)])
    else:
        show(found, config.kafka.spans)


async def _evaluators(config: Config, meters: list[PromptMeter]) -> dict[str, Configured]:
    """The evaluators as a worker builds them, with judges that are asked nothing."""

    def open_meter(name: str, judge: JudgeConfig) -> PromptMeter:
        meters.append(PromptMeter(name, judge, config.limits.text_chars))
        return meters[-1]

    try:
        return build(config, open_meter)
    finally:
        for meter in meters:
            await meter.aclose()


async def _costs(tally: Tally, meters: Sequence[PromptMeter]) -> dict[str, JudgeCost]:
    return await tally.judge_costs() if meters else {}


@dataclass(slots=True)
class _Reading:
    """Reads topics, and sees for how long what it read stands.

    Attributes:
        minutes: How far back to read.
        records: Records that were read.
        seconds: The longest time that a topic was seen to cover.
        notes: What was special.
    """

    minutes: int
    records: int = 0
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    def read(self, topic: str, reader: TopicReader, tally: Tally, progress: Progress) -> None:
        """Count one topic."""
        now_s = time.time()
        found = reader.stretches(topic, now_s - 60 * self.minutes)
        bar = progress.add_task(topic, total=found.records)
        passed = kept = 0
        oldest_s = now_s

        def advance(count: int) -> None:
            nonlocal passed
            passed += count
            progress.advance(bar, count)

        for record in reader.read(found, found.parts, advance):
            kept += 1
            oldest_s = min(oldest_s, record.timestamp_ms / 1000)
            tally.add(record)
        self.records += kept
        if not found.knows_times:
            self.notes.append(
                f"{topic}: the broker looks up no times, so it was read from its beginning"
            )
        if not kept:
            self.notes.append(f"{topic}: no record in the last {self.minutes} minutes")
        elif found.has_older or passed > kept:
            self.seconds = max(self.seconds, 60.0 * self.minutes)
        else:
            age_s = max(now_s - oldest_s, _SHORTEST_S)
            self.seconds = max(self.seconds, age_s)
            self.notes.append(
                f"{topic}: its oldest record is {(now_s - oldest_s) / 60:.1f} minutes old, so "
                f"that it stands for {age_s / 60:.1f} minutes"
            )


def _estimate(
    config: Config,
    evaluators: Mapping[str, Configured],
    tally: Tally,
    reading: _Reading,
    costs: Mapping[str, JudgeCost],
) -> Estimate:
    days = DAY_S / reading.seconds
    routes = [
        RouteRow(
            route.name,
            route.sample,
            amount(tally.matched[route.name]).times(days),
            amount(tally.kept[route.name], route.sample).times(days),
            tally.failures[route.name],
        )
        for route in config.routes
    ]
    rows = [
        EvaluatorRow(
            name,
            amount(
                tally.evaluations[name],
                max(route.sample for route in config.routes if name in route.evaluators),
            ).times(days),
            costs.get(name),
        )
        for name in sorted(evaluators)
    ]
    notes = [*reading.notes, *_notes(tally, routes, rows, evaluators)]
    return Estimate(reading.seconds, reading.records, tally, routes, rows, notes)


def _notes(
    tally: Tally,
    routes: Sequence[RouteRow],
    rows: Sequence[EvaluatorRow],
    evaluators: Mapping[str, Configured],
) -> list[str]:
    notes = [
        f'judge model "{model}" has no known price, so that it is in no sum; '
        f"set judges.{judge}.price"
        for judge, model in sorted(
            {
                (judge.name, judge.model)
                for judge in judges_of(evaluators.values())
                if judge.price.rates() is None
            }
        )
    ]
    if tally.unreadable:
        notes.append(f"{tally.unreadable} records cannot be read: they are dead letters")
    for row in routes:
        if row.failures:
            notes.append(
                f'route "{row.route}": its `when` failed on {row.failures} spans, which then do '
                "not match; assay explain TRACE_ID says why"
            )
        elif not row.matches.value:
            notes.append(f'route "{row.route}": no span matched')
    if any(row.judge is not None for row in rows):
        notes.append(
            f"assumed of judges: {BYTES_PER_TOKEN:g} bytes of a prompt are a token, an answer has "
            f"{OUTPUT_TOKENS} tokens; `at most`: every byte is one, and an answer is as long as "
            "max_output_tokens allows; no repeated calls"
        )
    return notes
