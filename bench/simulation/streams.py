"""Made-up scores of one series after the other: how many come, and how many of them pass."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

TICKS_PER_MINUTE = 4
"""A tick is one scrape interval, 15 s."""
DAY_TICKS = 24 * 60 * TICKS_PER_MINUTE
USUAL = 0.95
"""Pass rate of every stream, on average over a day."""


def _level(hours: Array) -> Array:
    return np.ones_like(hours)


def _always(hours: Array) -> Array:
    return USUAL * _level(hours)


@dataclass(frozen=True, slots=True)
class Stream:
    """How scores come.

    Attributes:
        name: As it is printed.
        text: What it shows.
        pass_rate: By the hour of the day.
        traffic: By the hour of the day, 1 on average.
        wander_sd: Standard deviation of a pass rate that wanders (Ornstein-Uhlenbeck, two hours).
        per_trace: Scores of a trace, which all agree.
        is_kept_by_trace: Whether squared weights are kept by trace, as workers do, or by score.
    """

    name: str
    text: str
    pass_rate: Callable[[Array], Array] = _always
    traffic: Callable[[Array], Array] = _level
    wander_sd: float = 0.0
    per_trace: int = 1
    is_kept_by_trace: bool = True


CLEAN = Stream("clean", f"passes {USUAL}, day and night")
SEASONAL = Stream(
    "seasonal",
    "the pass rate swings between 0.92 and 0.98 each day, traffic by half",
    pass_rate=lambda hours: USUAL + 0.03 * np.cos(hours * np.pi / 12),
    traffic=lambda hours: 1 + 0.5 * np.sin(hours * np.pi / 12),
)
NIGHTLY = Stream(
    "nightly",
    "a job from 2 to 4 o'clock each night passes 0.85",
    pass_rate=lambda hours: np.where((hours >= 2) & (hours < 4), 0.85, USUAL),  # noqa: PLR2004
)
WANDERING = Stream("wandering", "wanders with sd 0.02 over two hours", wander_sd=0.02)
CLUSTERED = Stream("clustered", "5 scores a trace that agree", per_trace=5)
CLUSTERED_BY_SCORE = Stream(
    "clustered, by score",
    "the same, if squared weights were kept by score",
    per_trace=5,
    is_kept_by_trace=False,
)
STREAMS = (CLEAN, SEASONAL, NIGHTLY, WANDERING, CLUSTERED, CLUSTERED_BY_SCORE)


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores by series (rows) and tick (columns).

    Attributes:
        stream: What they are of.
        count: Traces in each tick.
        passed: Of these, how many passed.
        pass_rate: What they were drawn with; one row where all series share it.
    """

    stream: Stream
    count: Array
    passed: Array
    pass_rate: Array

    def stretch(self, rows: Array, starts: Array, ticks: int) -> "Scores":
        """Stretches of `ticks`, one for each row and start."""
        columns = starts[:, None] + np.arange(ticks)
        rates = self.pass_rate[rows[:, None] % len(self.pass_rate), columns]
        return Scores(
            self.stream,
            self.count[rows[:, None], columns],
            self.passed[rows[:, None], columns],
            rates,
        )

    def drop(self, by: float, since: int, rng: np.random.Generator) -> "Scores":
        """The same with a pass rate that is lower by `by` from tick `since` on."""
        share = np.clip(by / self.pass_rate[:, since:], 0, 1)
        passed = self.passed.copy()
        passed[:, since:] -= rng.binomial(passed[:, since:], share).astype(passed.dtype)
        return Scores(self.stream, self.count, passed, self.pass_rate)


def simulate(
    stream: Stream, per_minute: float, series: int, days: int, rng: np.random.Generator
) -> Scores:
    """Draw scores: Poisson traffic, binomial passes.

    Args:
        stream: What to draw.
        per_minute: Scores a minute.
        series: How many series.
        days: For how long.
        rng: Source of randomness.
    """
    ticks = days * DAY_TICKS
    hours = np.arange(ticks) % DAY_TICKS / (60 * TICKS_PER_MINUTE)
    rates = per_minute / TICKS_PER_MINUTE / stream.per_trace * stream.traffic(hours)
    passing = stream.pass_rate(hours)[None, :]
    if stream.wander_sd:
        passing = np.clip(passing + stream.wander_sd * _wander(series, ticks, rng), 0.5, 0.999)
    count = rng.poisson(rates, (series, ticks)).astype(np.int32)
    passed = rng.binomial(count, passing).astype(np.int32)
    return Scores(stream, count, passed, passing.astype(np.float32))


def _wander(series: int, ticks: int, rng: np.random.Generator) -> Array:
    """Unit variance, correlation 1/e after two hours; one step a minute."""
    keep = np.exp(-1 / 120)
    steps = rng.normal(scale=np.sqrt(1 - keep**2), size=(series, ticks // TICKS_PER_MINUTE))
    values = np.empty_like(steps)
    now = rng.normal(size=series)
    for index in range(steps.shape[1]):
        now = keep * now + steps[:, index]
        values[:, index] = now
    return np.repeat(values, TICKS_PER_MINUTE, axis=1)
