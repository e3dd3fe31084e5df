"""`assay explain TRACE_ID`: what became of each span of a trace, and why, from the topics alone."""

import asyncio
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing

from confluent_kafka import Consumer, KafkaException, TopicPartition
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from schemas.config import Config
from schemas.errors import AssayError, ConfigError
from schemas.outcome import Outcome, Source
from workers import kafka_settings, offset_metadata
from workers.configured import TRACE, Configured
from workers.explanation import Standing, TraceReader, Unread, evaluations
from workers.lane import group_of
from workers.letters import Letter
from workers.open_evaluators import open_evaluators
from workers.partitioners import likely_partitions
from workers.topic_reader import Read, Stretches, TopicReader, TopicUnreadable

from .common import print_json, progress_bar, safe
from .explain_text import Findings, as_json, lines
from .kafka_client import check_client
from .scores import Filter, Newest

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_TIMEOUT_S = 10.0
_MAX_OUTCOMES = 10_000
_INDENT = 2


class TraceNotFound(AssayError):  # noqa: N818  named for what the caller asked about
    """Nothing on the topics is about this trace: exit code 1."""


def trace_id(text: str) -> str:
    """Read a trace id.

    Raises:
        ConfigError: It is none.
    """
    lowered = text.strip().lower()
    if not _TRACE_ID.fullmatch(lowered) or not int(lowered, 16):
        raise ConfigError(
            f'"{safe(text[:80])}": is no trace id; give its 32 hexadecimal digits, not all zero'
        )
    return lowered


def run(config: Config, trace: str, *, since_s: float, as_lines: bool) -> None:
    """Print what became of a trace.

    Args:
        config: The config that the workers run with.
        trace: What `trace_id` gave.
        since_s: How far back to read, in seconds.
        as_lines: One JSON object instead of text.

    Raises:
        ConfigError: The config is wrong.
        TopicUnreadable: A topic is not there, or no broker answers.
        TraceNotFound: No record since then is about it.
    """
    check_client(config)
    evaluators = asyncio.run(_evaluators(config))
    with progress_bar() as progress, TopicReader(config.kafka, "explain") as reader:
        findings = _Search(config, trace, reader, progress, since_s).run(evaluators)
    if findings.is_empty:
        notes = "".join(f"; {note}" for note in findings.notes)
        raise TraceNotFound(
            f"{trace}: nothing about it in the last {since_s / 3600:g} h{notes}; "
            "look further back with --since, and check the id"
        )
    if as_lines:
        print_json([as_json(findings)])
    else:
        console = Console(highlight=False, markup=False, soft_wrap=True)
        for level, line in lines(findings):
            console.print(Text(" " * _INDENT * level + safe(line)))


class _Search:
    """One search through the topics, each of them in the order that finds the trace soonest."""

    def __init__(
        self, config: Config, trace: str, reader: TopicReader, progress: Progress, since_s: float
    ) -> None:
        self._config = config
        self._trace = trace
        self._reader = reader
        self._progress = progress
        self._since = time.time() - since_s
        self._findings = Findings(trace)

    def run(self, evaluators: Mapping[str, Configured]) -> Findings:
        found, kafka = self._findings, self._config.kafka
        trace = TraceReader(self._trace, self._config, evaluators)
        for topic in kafka.spans:
            known = len(trace.spans) + len(trace.unread)
            for _ in self._stages(topic, trace.read):
                if len(trace.spans) + len(trace.unread) > known and trace.is_keyed:
                    break  # all of a keyed trace lies in this partition
        trace.conclude()
        found.spans = list(trace.spans.values())
        outcomes = self._outcomes()
        by_span: dict[str, list[Outcome]] = {}
        of_trace = {name for name, each in evaluators.items() if each.lane == TRACE}
        for outcome in outcomes:
            # A fragment of the trace may have been judged in the name of another span.
            root = trace.root if outcome.evaluator.name in of_trace else None
            by_span.setdefault(root or outcome.span_id, []).append(outcome)
        lanes = _Lanes(self._config)
        for said in found.spans:
            mine = by_span.pop(said.span.span_id, [])
            found.evaluations[said.span.span_id] = evaluations(said, mine, lanes.standing)
        found.outcomes_only = [outcome for rest in by_span.values() for outcome in rest]
        self._read_letters(trace)
        lettered = {(each.source, each.reason) for each in found.unread}
        found.unread += [
            each for each in trace.unread if (each.source, each.reason) not in lettered
        ]
        return found

    def _outcomes(self) -> list[Outcome]:
        only = Filter(trace_id=self._trace)
        newest, sign = Newest(only, _MAX_OUTCOMES), self._trace.encode()

        def take(record: Read) -> None:
            if record.value is not None and sign in record.value:
                newest.add_value(record.value)

        for _ in self._stages(self._config.kafka.scores, take):
            if newest.matched:
                break  # Assay itself writes them, all with one key
        return newest.outcomes

    def _read_letters(self, trace: TraceReader) -> None:
        records = {source for said in trace.spans.values() for source in said.sources}
        records |= {unread.source for unread in trace.unread}

        def take(record: Read) -> None:
            letter = Letter.of(record)
            about = trace.is_key(record.key) or trace.holds(record.value)
            if letter is not None and (about or letter.source in records):
                part = "a span" if letter.is_span else "a record"
                unread = Unread(letter.source, letter.reason, letter.detail, part)
                self._findings.unread.append(unread)

        try:
            for _ in self._stages(self._config.kafka.dead_letters, take):
                pass
        except TopicUnreadable as error:
            self._findings.notes.append(f"dead letters were not looked through: {error}")

    def _stages(self, topic: str, take: Callable[[Read], None]) -> Iterator[None]:
        """Read a topic, the likeliest partition first; stop where the caller stops."""
        found = self._reader.stretches(topic, self._since)
        self._note(found)
        bar = self._progress.add_task(topic, total=found.records)
        first = likely_partitions(self._trace.encode(), found.partitions)
        one_by_one = [[part] for index in first for part in found.parts if part.partition == index]
        rest = [part for part in found.parts if part.partition not in first]
        for parts in (*one_by_one, rest):
            for record in self._reader.read(
                found, parts, lambda count: self._progress.advance(bar, count)
            ):
                take(record)
            yield

    def _note(self, found: Stretches) -> None:
        if not found.knows_times:
            self._findings.notes.append(
                f"{found.topic}: the broker looks up no times, so it was read from its beginning"
            )
        elif any(part.is_all and part.begin for part in found.parts):
            self._findings.notes.append(
                f"{found.topic}: retention has taken older records, some may be of this time"
            )


class _Lanes:
    """Where the lanes stand; each partition is asked for once."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._known: dict[tuple[str, str, int], Standing] = {}

    def standing(self, lane: str, source: Source) -> Standing:
        key = (lane, source.topic, source.partition)
        if key not in self._known:
            self._known[key] = self._look(lane, source)
        return self._known[key]

    def _look(self, lane: str, source: Source) -> Standing:
        group = group_of(self._config, lane)
        with closing(Consumer(kafka_settings.lookup(self._config.kafka, group))) as consumer:
            wanted = [TopicPartition(source.topic, source.partition)]
            try:
                (found,) = consumer.committed(wanted, _TIMEOUT_S)
            except KafkaException as error:
                raise TopicUnreadable(
                    f"{group}: cannot read its offsets ({error.args[0].str()}); "
                    "give this client the right to describe the group"
                ) from error
        if found.error is not None or found.offset < 0:
            return Standing()
        beginning, done = offset_metadata.decode(found.metadata, found.offset)
        return Standing(found.offset, None if beginning is None else beginning.start, done)


async def _evaluators(config: Config) -> Mapping[str, Configured]:
    """The evaluators as a worker builds them; no judge is asked anything."""
    async with open_evaluators(config) as evaluators:
        return evaluators
