"""`assay scores`: the outcomes that stand on the scores topic."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import uuid4

from confluent_kafka import Consumer, KafkaException, TopicPartition
from rich.console import Console
from rich.table import Table

from schemas.config import Config
from schemas.errors import AssayError, ConfigError
from schemas.outcome import Outcome
from schemas.reasons import Status
from workers import kafka_settings

from .common import cell, print_json, progress_bar
from .kafka_client import check_client

_TIMEOUT_S = 10.0
_BATCH = 1000
_QUIET_POLLS = 10
_SLACK = 1000
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SINCE = re.compile(r"(\d+)([smhd])")


class ScoresUnreadable(AssayError):  # noqa: N818  named for what happened
    """The scores topic cannot be read."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which outcomes to show."""

    evaluator: str | None
    failed: bool
    trace_id: str | None

    def takes(self, outcome: Outcome) -> bool:
        """Whether an outcome is shown; `failed` means not passed, or without a score."""
        if self.evaluator is not None and outcome.evaluator.name != self.evaluator:
            return False
        if self.trace_id is not None and outcome.trace_id != self.trace_id:
            return False
        if not self.failed:
            return True
        if outcome.outcome is Status.SCORED:
            return outcome.score is not None and outcome.score.passed is False
        return outcome.outcome is Status.FAILED


def seconds(since: str) -> float:
    """Read a duration such as `15m`.

    Raises:
        ConfigError: It is none.
    """
    found = _SINCE.fullmatch(since)
    if found is None:
        raise ConfigError(f'--since "{since}": is no duration; write 30s, 15m, 24h or 7d')
    return int(found[1]) * _UNITS[found[2]]


def run(config: Config, *, since_s: float, only: Filter, limit: int, as_lines: bool) -> None:
    """Print the outcomes of the last `since_s` seconds, the newest `limit` of them.

    Raises:
        ConfigError: `kafka.client` is wrong.
        ScoresUnreadable: The topic is not there, or no broker answers.
    """
    check_client(config)
    newest = Newest(only, limit)
    with progress_bar() as progress:
        bar = progress.add_task("reading", total=None)
        for value, done, total in _values(config, since_s):
            progress.update(bar, completed=done, total=total)
            try:
                newest.add(Outcome.from_json(value))
            except ValueError:
                continue  # written by something else, or by a newer major version
    shown = newest.outcomes
    if as_lines:
        print_json(outcome.to_json() for outcome in shown)
        return
    console = Console(highlight=False)
    console.print(_table(shown))
    if newest.matched > len(shown):
        console.print(f"{newest.matched - len(shown)} older ones match; --limit shows more")


class Newest:
    """The newest outcomes that a filter takes, in bounded memory.

    Of several outcomes with one `evaluation_id` the highest revision holds, then the last.

    Attributes:
        matched: Outcomes that the filter took, repeated ones included.
    """

    def __init__(self, only: Filter, limit: int) -> None:
        self._only = only
        self._limit = limit
        self._kept: dict[str, Outcome] = {}
        self.matched = 0

    def add(self, outcome: Outcome) -> None:
        """Take one outcome into account, in the order of its partition."""
        known = self._kept.get(outcome.evaluation_id)
        if known is not None and known.revision > outcome.revision:
            return
        if not self._only.takes(outcome):
            self._kept.pop(outcome.evaluation_id, None)  # a later try turned out otherwise
            return
        self.matched += 1
        self._kept[outcome.evaluation_id] = outcome
        if len(self._kept) > 2 * self._limit + _SLACK:
            self._kept = {kept.evaluation_id: kept for kept in self.outcomes}

    @property
    def outcomes(self) -> list[Outcome]:
        """The newest, the newest last."""
        return sorted(self._kept.values(), key=lambda kept: kept.evaluated_at)[-self._limit :]


def _table(shown: list[Outcome]) -> Table:
    table = Table(
        "evaluated at", "service", "evaluator", "outcome", "value", "explanation", "trace"
    )
    for outcome in shown:
        score = outcome.score
        table.add_row(
            cell(outcome.evaluated_at),
            cell(outcome.subject.service),
            cell(outcome.evaluator.name),
            outcome.outcome + (f" ({outcome.reason})" if outcome.reason else ""),
            "" if score is None else f"{score.value:.2f} {'pass' if score.passed else 'fail'}",
            cell(score.explanation if score else outcome.detail),
            cell(outcome.trace_id),
        )
    return table


def _values(config: Config, since_s: float) -> Iterator[tuple[bytes, int, int]]:
    """Values that are young enough, up to the topic's end now; how many are read, of how many."""
    topic, since_ms = config.kafka.scores, int((time.time() - since_s) * 1000)
    settings = kafka_settings.lookup(config.kafka, f"assay-scores-{uuid4()}")
    consumer = Consumer({**settings, "auto.offset.reset": "earliest"})
    try:
        left = _ranges(consumer, topic, since_ms)
        total, done, quiet = sum(high - begin for begin, high in left.values()), 0, 0
        consumer.assign([TopicPartition(topic, index, left[index][0]) for index in left])
        while left and quiet < _QUIET_POLLS:  # a log may end in a gap: its last offset never comes
            messages = consumer.consume(_BATCH, 1.0)
            quiet = 0 if messages else quiet + 1
            for message in messages:
                index, offset, value = message.partition(), message.offset(), message.value()
                if message.error() is not None or index is None or offset is None:
                    continue
                done += 1
                if isinstance(value, bytes) and message.timestamp()[1] >= since_ms:
                    yield value, done, total
                if index in left and offset + 1 >= left[index][1]:
                    del left[index]
    except KafkaException as error:
        raise ScoresUnreadable(
            f"{config.kafka.bootstrap_servers}: cannot read {topic} ({error.args[0].str()}); "
            "check kafka.bootstrap_servers and kafka.client, and that the cluster is up"
        ) from error
    finally:
        consumer.close()


def _ranges(consumer: Consumer, topic: str, since_ms: int) -> dict[int, tuple[int, int]]:
    """First and last offset, the last exclusive, of each partition that has something to read."""
    metadata = consumer.list_topics(timeout=_TIMEOUT_S).topics.get(topic)
    if metadata is None or metadata.error is not None:
        raise ScoresUnreadable(f"{topic}: no such topic; assay topics --create makes it")
    wanted = [TopicPartition(topic, index, since_ms) for index in metadata.partitions]
    ranges = {}
    for found in consumer.offsets_for_times(wanted, _TIMEOUT_S):
        low, high = consumer.get_watermark_offsets(
            TopicPartition(topic, found.partition), _TIMEOUT_S
        )
        # A negative offset: no record is that young.
        if 0 <= found.offset < high:
            ranges[found.partition] = max(low, found.offset), high
    return ranges
