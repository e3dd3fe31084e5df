"""What Prometheus' recording rules know at each evaluation: the sums of windows and baselines."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from workers.signals import Sums

from .streams import TICKS_PER_MINUTE, Array, Scores

TICKS_PER_EVALUATION = 2
"""The rules of the short windows are evaluated every 30 s, the others every minute."""
PER_MINUTE = TICKS_PER_MINUTE // TICKS_PER_EVALUATION
_HOUR = 60
_DAY = 1440


@dataclass(frozen=True)
class _Counters:
    """Cumulative counts by tick, and their hourly increases by minute."""

    ticks: Array

    def increase(self, ends: Array, minutes: int) -> Array:
        """`increase()` over a window that ends at each of these ticks, extrapolation included."""
        length = minutes * TICKS_PER_MINUTE
        seen = self.ticks[:, ends] - self.ticks[:, np.maximum(ends - length + 1, 0)]
        return seen * (length / (length - 1))

    @cached_property
    def hourly(self) -> Array:
        """`increase1h` at each full minute."""
        return self.increase(np.arange(0, self.ticks.shape[1], TICKS_PER_MINUTE), 60)

    @cached_property
    def _hourly_sums(self) -> Array:
        zero = np.zeros((len(self.ticks), 1))
        return np.concatenate([zero, np.cumsum(self.hourly, axis=1)], axis=1)

    def hours(self, minutes: Array, window: int) -> Array:
        """A window of hours, such as six: `sum_over_time(increase1h[5h]) / 60`."""
        return self._over_time(minutes, window - 60)

    def trailing(self, minutes: Array, gap: int) -> Array:
        """`sum_over_time(increase1h[1d] offset <gap>m) / 60`."""
        return self._over_time(minutes - gap, _DAY)

    def last_day(self, minutes: Array) -> Array:
        """`sum_over_time(increase1h[1d]) / 60`."""
        return self._over_time(minutes, _DAY)

    def _over_time(self, minutes: Array, length: int) -> Array:
        last = np.maximum(minutes + 1, 0)
        return (
            self._hourly_sums[:, last] - self._hourly_sums[:, np.maximum(last - length, 0)]
        ) / 60

    def a_week(self, minutes: Array, *, later: int = 0) -> Array:
        """The hour that ended now, or `later` minutes later, on each of the seven days before."""
        days = [np.maximum(minutes - _DAY * day + later, 0) for day in range(1, 8)]
        return sum((self.hourly[:, day] for day in days), np.zeros((1, 1)))

    def hours_a_week(self, minutes: Array, window: int) -> Array:
        """The same hours, on each of the seven days before."""
        days = [np.maximum(minutes - _DAY * day, 0) for day in range(1, 8)]
        return sum((self.hours(day, window) for day in days), np.zeros((1, 1)))


@dataclass(frozen=True)
class History:
    """All that is known of some series, at each of their evaluations.

    Attributes:
        scores: What happened.
        first: The first evaluation that is looked at; those before only fill baselines.
    """

    scores: Scores
    first: int

    @cached_property
    def evaluations(self) -> Array:
        """Ticks of the evaluations, every 30 s."""
        total = self.scores.count.shape[1]
        return np.arange(self.first * TICKS_PER_EVALUATION, total + 1, TICKS_PER_EVALUATION)

    @cached_property
    def _counters(self) -> tuple[_Counters, _Counters]:
        zero = np.zeros((len(self.scores.count), 1))
        return tuple(  # type: ignore[return-value]  # two of them
            _Counters(np.concatenate([zero, np.cumsum(ticks, axis=1, dtype=np.float64)], axis=1))
            for ticks in (self.scores.count, self.scores.passed)
        )

    def _sums(self, count: Array, passed: Array) -> Sums:
        """Sums of pass/fail scores from counts of traces."""
        stream = self.scores.stream
        size = stream.per_trace
        squares = size * size if stream.is_kept_by_trace else size
        return Sums(count * size, passed * size, passed * size, count * squares)

    def window(self, minutes: int, ends: Array) -> Sums:
        """A window that ends at each of these ticks."""
        if minutes > _HOUR:  # built of hours, as the rules do
            at = ends // TICKS_PER_MINUTE
            return self._sums(*(c.hours(at, minutes) for c in self._counters))
        return self._sums(*(c.increase(ends, minutes) for c in self._counters))

    def trailing(self, ends: Array, gap: int = 60) -> Sums:
        """The day that ended `gap` minutes ago."""
        return self._sums(*(c.trailing(ends // TICKS_PER_MINUTE, gap) for c in self._counters))

    def last_day(self, ends: Array) -> Sums:
        """The last day, the last hour included: what a new version is compared with."""
        return self._sums(*(c.last_day(ends // TICKS_PER_MINUTE) for c in self._counters))

    def seasons(self, minutes: int, ends: Array) -> tuple[Sums, ...]:
        """The last seven days about this time of day: one for hours, before and after else."""
        at = ends // TICKS_PER_MINUTE
        if minutes > _HOUR:
            return (self._sums(*(c.hours_a_week(at, minutes) for c in self._counters)),)
        return tuple(
            self._sums(*(c.a_week(at, later=later) for c in self._counters)) for later in (0, 60)
        )
