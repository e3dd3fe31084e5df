"""`assay top`: what the evaluators say of each route just now, from the scores topic alone."""

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.table import Column
from rich.text import Text

from schemas.config import Config
from schemas.errors import ConfigError
from schemas.outcome import Outcome
from schemas.reasons import Reason, Status
from workers.lag import LaneLags
from workers.score_window import Key, ScoreWindow, Totals
from workers.topic_reader import Read, TopicReader

from .common import cell, print_json, progress_bar
from .kafka_client import check_client
from .scores import seconds
from .tables import print_table, table_of

_REFRESH_S = 2.0


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown at one moment.

    Attributes:
        window_s: Length of the window in seconds.
        rows: By route and evaluator.
        every: All evaluations, each once.
        left_out: Outcomes of retries and backfills since the start.
        lags: Records that each lane has not finished; None: the broker does not tell.
    """

    window_s: float
    rows: Mapping[Key, Totals]
    every: Totals
    left_out: int
    lags: Mapping[str, int | None]


def window_seconds(text: str) -> float:
    """Read the length of a window.

    Raises:
        ConfigError: It is none.
    """
    found = seconds(text, "--window")
    if not found:
        raise ConfigError(f'--window "{text}": holds nothing; take 1s or more')
    return found


def run(config: Config, *, window_s: float, once: bool, as_lines: bool) -> None:
    """Show the window, again and again.

    Args:
        config: For the topics.
        window_s: Length of the window in seconds.
        once: Show it once and return; so does an output that is no terminal.
        as_lines: One JSON object for each look instead of a table.

    Raises:
        ConfigError: The config is wrong.
        TopicUnreadable: The scores topic is not there, or no broker answers.
        KeyboardInterrupt: Somebody has seen enough.
    """
    check_client(config)
    with TopicReader(config.kafka, "top") as reader, LaneLags(config) as lags:
        following = _Following(reader, config.kafka.scores, window_s)
        window = ScoreWindow(window_s)

        def look(advance: Callable[[int], object] = lambda _: None) -> Picture:
            for record in following.read(advance):
                _count(window, record)
            now_s = time.time()
            rows, every = window.rows(now_s), window.every(now_s)
            return Picture(window_s, rows, every, window.left_out, lags.look())

        with progress_bar() as progress:
            bar = progress.add_task("reading", total=None)
            picture = look(lambda count: progress.advance(bar, count))
        if as_lines:
            print_json([as_object(picture)])
            while not once:
                _wait()
                print_json([as_object(look())])
        elif once or not sys.stdout.isatty():
            print_table(_drawn(picture))
        else:
            _watch(picture, look)


def _watch(picture: Picture, look: Callable[[], Picture]) -> None:
    with Live(_drawn(picture), console=Console(highlight=False), auto_refresh=False) as live:
        while True:
            _wait()
            live.update(_drawn(look()), refresh=True)


def _wait() -> None:
    threading.Event().wait(_REFRESH_S)  # ends with Ctrl-C at once


class _Following:
    """Reads a topic from a moment on, and at each further look what has come since."""

    def __init__(self, reader: TopicReader, topic: str, window_s: float) -> None:
        self._reader = reader
        self._topic = topic
        self._window_s = window_s
        self._next: dict[int, int] = {}

    def read(self, advance: Callable[[int], object]) -> Iterator[Read]:
        """What has come since the last look, or in the window."""
        found = self._reader.stretches(self._topic, time.time() - self._window_s)
        parts = []
        for part in found.parts:
            seen = self._next.get(part.partition, 0)
            # A topic that was made again begins anew, below what was seen of the old one.
            begin = max(part.begin, seen) if seen <= part.end else part.begin
            if begin < part.end:
                parts.append(replace(part, begin=begin))
            self._next[part.partition] = part.end
        yield from self._reader.read(found, parts, advance)


def _count(window: ScoreWindow, record: Read) -> None:
    try:
        outcome = Outcome.from_json(record.value or b"")
    except ValueError:
        return  # something else may write to the topic, or a newer major version
    window.add(outcome, record.timestamp_ms / 1000)


def _drawn(picture: Picture) -> Group:
    numbers = (Column(name, justify="right") for name in ("scored", "mean", "pass rate"))
    usd = Column("judge USD", justify="right")
    table = table_of("route", "evaluator", *numbers, "skipped", "failed", usd)
    for (route, evaluator), totals in picture.rows.items():
        table.add_row(
            cell(route),
            cell(evaluator),
            f"{totals.scored:,}",
            "" if totals.mean is None else f"{totals.mean:.3f}",
            "" if totals.pass_rate is None else f"{totals.pass_rate:.1%}",
            _reasons(totals, Status.SKIPPED),
            Text(_reasons(totals, Status.FAILED), style="red"),
            _usd(totals),
        )
    return Group(table, *(Text(line) for line in _lines(picture)))


def _lines(picture: Picture) -> Iterator[str]:
    every = picture.every
    minutes = picture.window_s / 60
    yield (
        f"the last {minutes:g} minutes: {every.outcomes:,} outcomes, judges {_usd(every) or '0'} "
        f"USD, {every.usd / picture.window_s * 3600:.2f} an hour"
    )
    behind = ", ".join(
        f"{lane} unknown (may not be described)" if lag is None else f"{lane} {lag:,} records"
        for lane, lag in picture.lags.items()
    )
    yield f"not finished yet: {behind or 'no lane has committed anything'}"
    yield "means and pass rates are weighted by 1 / sampling probability"
    if picture.left_out:
        yield f"not counted: {picture.left_out:,} outcomes of retries and backfills"


def _reasons(totals: Totals, status: Status) -> str:
    return ", ".join(
        f"{reason} {count:,}"
        for reason, count in totals.reasons.most_common()
        if count > 0 and Reason(reason).status is status
    )


def _usd(totals: Totals) -> str:
    """The spend; what has no price is said to be unknown, not nothing."""
    text = f"{totals.usd:.4f}" if totals.usd > 0 else ""
    if totals.unpriced:
        text += f"{' + ' if text else ''}{totals.unpriced:,} without a price"
    return text


def as_object(picture: Picture) -> dict[str, Any]:
    """All of it, for machines."""
    return {
        "window_s": picture.window_s,
        "rows": [
            {"route": route, "evaluator": evaluator, **_totals_object(totals)}
            for (route, evaluator), totals in picture.rows.items()
        ],
        "all": _totals_object(picture.every),
        "left_out": picture.left_out,
        "lag_records": dict(picture.lags),
    }


def _totals_object(totals: Totals) -> dict[str, Any]:
    return {
        "outcomes": totals.outcomes,
        "scored": totals.scored,
        "mean": totals.mean,
        "pass_rate": totals.pass_rate,
        "reasons": {reason: count for reason, count in totals.reasons.items() if count > 0},
        "judge_usd": totals.usd,
        "judge_unpriced": totals.unpriced,
    }
