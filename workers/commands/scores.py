"""`assay scores`: the outcomes that stand on the scores topic."""

import re
import time
from dataclasses import dataclass
from functools import partial

from rich.table import Table

from schemas.config import Config
from schemas.errors import ConfigError
from schemas.outcome import Origin, Outcome
from schemas.reasons import Status
from workers.revisions import Revisions
from workers.topic_reader import TopicReader

from .common import cell, print_json, progress_bar
from .kafka_client import check_client
from .tables import notes_on, print_table, table_of

_SLACK = 1000
_TO_SECONDS = len("2026-11-01T00:00:00")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SINCE = re.compile(r"(\d+)([smhd])")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which outcomes to show."""

    evaluator: str | None = None
    service: str | None = None
    trace_id: str | None = None
    failed: bool = False

    def takes(self, outcome: Outcome) -> bool:
        """Whether an outcome is shown; `failed` means not passed, or without a score."""
        if self.evaluator is not None and outcome.evaluator.name != self.evaluator:
            return False
        if self.service is not None and outcome.subject.service != self.service:
            return False
        if self.trace_id is not None and outcome.trace_id != self.trace_id:
            return False
        if not self.failed:
            return True
        if outcome.outcome is Status.SCORED:
            return outcome.score is not None and outcome.score.passed is False
        return outcome.outcome is Status.FAILED


def seconds(since: str, option: str = "--since") -> float:
    """Read a duration such as `15m`; `option` says where it was given.

    Raises:
        ConfigError: It is none.
    """
    found = _SINCE.fullmatch(since)
    if found is None:
        raise ConfigError(f'{option} "{since}": is no duration; write 30s, 15m, 24h or 7d')
    return int(found[1]) * _UNITS[found[2]]


def run(config: Config, *, since_s: float, only: Filter, limit: int, as_lines: bool) -> None:
    """Print the outcomes of the last `since_s` seconds, the newest `limit` of them.

    Raises:
        ConfigError: `kafka.client` is wrong.
        TopicUnreadable: The topic is not there, or no broker answers.
    """
    check_client(config)
    newest = Newest(only, limit)
    with progress_bar() as progress, TopicReader(config.kafka, "scores") as reader:
        found = reader.stretches(config.kafka.scores, time.time() - since_s)
        bar = progress.add_task("reading", total=found.records)
        for record in reader.read(found, found.parts, partial(progress.advance, bar)):
            newest.add_value(record.value)
    shown = newest.outcomes
    if as_lines:
        print_json(outcome.to_json() for outcome in shown)
        return
    print_table(_table(shown), *notes_on("outcome", len(shown), newest.matched))


class Newest:
    """The newest outcomes that hold and that a filter takes; only these, and `Revisions`, are kept.

    Attributes:
        matched: Outcomes that the filter took, repeated ones included.
    """

    def __init__(self, only: Filter, limit: int) -> None:
        self._only = only
        self._limit = limit
        self._kept: dict[str, Outcome] = {}
        self._revisions = Revisions()
        self.matched = 0

    def add(self, outcome: Outcome) -> None:
        """Take one outcome into account, in the order of its partition."""
        if not self._revisions.holds(outcome):
            return
        if not self._only.takes(outcome):
            self._kept.pop(outcome.evaluation_id, None)  # a later try turned out otherwise
            return
        self.matched += 1
        self._kept[outcome.evaluation_id] = outcome
        if len(self._kept) > 2 * self._limit + _SLACK:
            self._kept = {kept.evaluation_id: kept for kept in self.outcomes}

    def add_value(self, value: bytes | None) -> None:
        """Take a record's value into account; what is no outcome is passed over.

        Something else may write to the topic, or a newer major version.
        """
        try:
            self.add(Outcome.from_json(value or b""))
        except ValueError:
            return

    @property
    def outcomes(self) -> list[Outcome]:
        """The newest, the newest last."""
        return sorted(self._kept.values(), key=lambda kept: kept.evaluated_at)[-self._limit :]


def _table(shown: list[Outcome]) -> Table:
    table = table_of("evaluated at", "service", "evaluator", "outcome", "explanation", "trace")
    for outcome in shown:
        score = outcome.score
        result = outcome.outcome + (f" ({outcome.reason})" if outcome.reason else "")
        if score is not None:
            result = f"{score.value:.2f} {'pass' if score.passed else 'fail'}"
        if outcome.origin is not Origin.LIVE:
            result += f", {outcome.origin}"
        table.add_row(
            cell(outcome.evaluated_at[:_TO_SECONDS]),
            cell(outcome.subject.service),
            cell(outcome.evaluator.name),
            result,
            cell(score.explanation if score else outcome.detail),
            cell(outcome.trace_id),
        )
    return table
