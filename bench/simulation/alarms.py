"""Counts of false alarms and delays, and the least delay that any detector could have."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from workers import signals

from .detectors import Detector, noise_of
from .history import PER_MINUTE, TICKS_PER_EVALUATION, History
from .streams import DAY_TICKS, TICKS_PER_MINUTE, Array, Stream, simulate

DROPS = (0.02, 0.05, 0.1, 0.2)
WARM_UP_DAYS = 8
MONTH_DAYS = 30
LONGEST_MIN = 1440
"""A drop that is not seen within a day has become the baseline."""

_HOUR = 60 * PER_MINUTE
_PAST = WARM_UP_DAYS * DAY_TICKS
_CHANGES = 4
LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5)
"""Shares of each detector's threshold, for the curves of delay against false alarms."""


@dataclass(slots=True)
class Cell:
    """One detector on one stream at one rate.

    Attributes:
        months: Series-months looked at without a drop.
        alarms: False alarms in them, by level; those less than an hour apart are one.
        delays: By drop and level: minutes to the first alarm, infinite if it took over a day.
    """

    months: int = 0
    alarms: dict[float, int] = field(default_factory=dict)
    delays: dict[tuple[float, float], list[float]] = field(default_factory=dict)

    @property
    def false_alarms(self) -> float:
        """In 100 series-months."""
        return 100 * self.alarms[1.0] / self.months

    def least_delay(self, drop: float) -> float:
        """Below what the median is with 99 % confidence not, by the sign test."""
        found = sorted(self.delays[drop, 1.0])
        rank = math.floor(len(found) / 2 - 2.33 * math.sqrt(len(found)) / 2)
        return found[max(rank - 1, 0)]

    def delay(self, drop: float, quantile: float = 0.5, level: float = 1.0) -> float:
        """Minutes from a drop to the alarm; infinite where more took over a day."""
        found = sorted(self.delays[drop, level])
        return found[min(len(found) - 1, math.ceil(quantile * len(found)) - 1)]


def episodes(is_alarm: Array) -> int:
    """Alarms of all series; those less than an hour apart are one."""
    count = 0
    for row in is_alarm:
        at = np.flatnonzero(row)
        count += int(at.size > 0) + int((np.diff(at) > _HOUR).sum())
    return count


def first_alarms(statistic: Array, ends: Array, since: int, level: float = 1.0) -> Array:
    """Minutes from tick `since` to the first alarm of each series, infinite without one."""
    is_alarm = statistic > level
    minutes = (ends[is_alarm.argmax(axis=1)] - since) / TICKS_PER_MINUTE
    return np.where(is_alarm.any(axis=1), minutes, np.inf)


def measure(
    stream: Stream,
    per_minute: float,
    series: int,
    detectors: Sequence[Detector],
    *,
    rng: np.random.Generator,
    cells: dict[str, Cell],
    drops: Sequence[float] = DROPS,
) -> None:
    """Add one month of each of some series to the cells: false alarms, then drops into the same."""
    scores = simulate(stream, per_minute, series, WARM_UP_DAYS + MONTH_DAYS, rng)
    first = WARM_UP_DAYS * DAY_TICKS // TICKS_PER_EVALUATION
    history = History(scores, first)
    noise = noise_of(scores, first)
    for detector in detectors:
        cell = cells.setdefault(detector.name, Cell())
        statistic = detector.statistic(history, noise)
        cell.months += series
        for level in LEVELS:
            cell.alarms[level] = cell.alarms.get(level, 0) + episodes(statistic > level)
    if not drops:
        return
    days = rng.uniform(WARM_UP_DAYS, WARM_UP_DAYS + MONTH_DAYS - 1, series * _CHANGES)
    changes = (days * DAY_TICKS).astype(int) // TICKS_PER_MINUTE * TICKS_PER_MINUTE
    rows = np.repeat(np.arange(series), _CHANGES)
    known = {
        window: factors[rows, changes // TICKS_PER_EVALUATION - first][:, None]
        for window, factors in noise.items()
    }
    normal = scores.stretch(rows, changes - _PAST, _PAST + DAY_TICKS)
    for drop in drops:
        since = _PAST + int(rng.integers(TICKS_PER_MINUTE))
        fallen = History(normal.drop(drop, since, rng), since // TICKS_PER_EVALUATION + 1)
        for detector in detectors:
            statistic = detector.statistic(fallen, known)
            for level in LEVELS:
                minutes = first_alarms(statistic, fallen.evaluations, since, level)
                found = cells[detector.name].delays.setdefault((drop, level), [])
                found.extend(minutes.tolist())


def lorden_min(stream: Stream, per_minute: float, drop: float) -> float:
    """The least mean delay in minutes of any detector, with one false alarm in 100 series-months.

    ln(scores in 100 months) / KL(after ‖ before) scores (Lorden 1971), as an average over the time
    of day at which the drop comes. Scores of a trace that agree count as one.
    """
    hours = np.arange(0, 24, 0.25)
    before = stream.pass_rate(hours)
    after = before - drop
    divergence = after * np.log(after / before) + (1 - after) * np.log((1 - after) / (1 - before))
    rate = per_minute / stream.per_trace
    needed = math.log(100 * signals.MONTH_MINUTES * rate) / divergence
    return float(np.mean(needed / (rate * stream.traffic(hours))))


def too_many(alarms: int, months: int, per_100: float = 1.0) -> bool:
    """Whether so many alarms contradict the goal: at its rate, they come once in 100 such runs."""
    expected = months * per_100 / 100
    term = below = math.exp(-expected)
    for count in range(1, alarms):
        term *= expected / count
        below += term
    return alarms > 0 and 1 - below < 0.01  # noqa: PLR2004
