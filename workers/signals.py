"""The statistic of the alert rules: how sure one can be that scores fell. Pure arithmetic.

The rules look at five windows at once, the last 2 minutes up to the last 6 hours. For each they ask
how much better two means explain the scores than one mean does: one for the window, another for a
baseline. That is a likelihood ratio, in nats; it is divided by a threshold that allows a stated
number of false alarms per series and month. The result is the *evidence ratio*: above 1 it counts.

All follows from four sums, each a counter that workers export, so that nothing has to remember a
score. With weights w = 1 / sampling probability and scores x in 0..1, of a window or a baseline:

    mean        m = Σwx / Σw                                   (Hájek 1971)
    effective n n = (Σw)² / Σ(weight of a trace)²              (Kish 1965)
    dispersion  φ = (Σwx²/Σw - m²) / (m (1 - m))               1 for pass/fail, less for grades
    entropy     H(m) = m ln m + (1 - m) ln(1 - m)              negative, in nats
    pooled      μ = (n m + n₀ m₀) / (n + n₀)
    surprise    E = (n H(m) + n₀ H(m₀) - (n + n₀) H(μ)) / φ    quasi-binomial likelihood ratio
    threshold   h = ln(windows · 3 · 43200 / minutes / a)      a: false alarms per series-month

The quasi-likelihood is McCullagh and Nelder's (1989, chapter 9). A scan of geometric windows is a
window-limited generalised likelihood ratio test, which finds a change nearly as fast as any test
with as few false alarms can (Lai 1998, IEEE Trans. Inf. Theory 44(7)). How fast that is, is
Lorden's bound (1971). `bench/detection.py` measures both, with this code.

Every number may be a float, or an array of floats if `by` says how: `by=numpy`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

Number: TypeAlias = Any
"""A float, or an array of floats; all arrays of a call have one shape."""

FALSE_ALARMS_PER_MONTH = 0.01
"""What is allowed on one series with all its windows, if its scores are independent."""

MONTH_MINUTES = 43_200

LOOKS_PER_WINDOW = 3
"""Evaluations within a window length share most scores; this many count as separate looks.

Found by simulation: with it, `bench/detection.py` sees no more false alarms than are allowed.
"""

SCRAPE_S = 15.0
"""How far apart scrapes are, at most: the shortest window needs several."""

MIN_BASELINE_COUNT = 100.0
"""Effective scores that the trailing day, or the other versions, must hold to be compared with."""

MIN_SEASON_COUNT = 300.0
"""Effective scores that a time of day must hold, over a week, to be compared with."""

NOISE_QUANTILE = 0.9
"""Of the surprise over seven days: up to 16 hours of a regression do not dull the detector."""

PAGE_DROP = 0.05
TICKET_DROP = 0.02
VERSION_DROP = 0.02
"""Smallest falls of a mean that are worth a page, a ticket, and holding a rollout, however sure."""

CHI_SQUARED_QUANTILE = 2.706
"""Of twice the surprise of independent scores, one degree of freedom, at `NOISE_QUANTILE`."""

MIN_DISPERSION = 0.02
"""Scores that hardly vary are not taken to vary less."""

WINDOW_MARGIN = 1e-9
BASELINE_MARGIN = 1e-6
"""How far means stay from 0 and 1: a baseline without a failure is no proof that none can be."""

_TINY = 1e-300  # what is divided by; only ever under a sum that is 0 as well


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time that ends now."""

    minutes: int

    @property
    def name(self) -> str:
        """As Prometheus writes it, such as `15m`; the value of the label `window`."""
        hours, rest = divmod(self.minutes, 60)
        return f"{self.minutes}m" if rest else f"{hours}h"

    @property
    def completeness(self) -> float:
        """Share of the window that lies between two scrapes, on average.

        Prometheus' `increase()` extrapolates to the whole window. Means do not care; a count
        would claim scores that nobody saw.
        """
        return 1 - SCRAPE_S / (60 * self.minutes)

    @property
    def baseline_gap_minutes(self) -> int:
        """How long ago the trailing day ends: a window within its baseline would hide itself."""
        return max(60, self.minutes)

    def threshold(self, false_alarms_per_month: float = FALSE_ALARMS_PER_MONTH) -> float:
        """Surprise, in nats, that counts: P(surprise > h) ≈ e⁻ʰ at each look, over all looks."""
        looks = LOOKS_PER_WINDOW * MONTH_MINUTES / self.minutes
        return math.log(len(WINDOWS) * looks / false_alarms_per_month)


WINDOWS = (Window(2), Window(5), Window(15), Window(60), Window(360))
"""What is looked at for a drop against the past, and against an objective."""

VERSION_WINDOWS = (Window(5), Window(15), Window(60))
"""What is looked at of a new version."""


class Arithmetic(Protocol):
    """What there is besides operators; the module numpy has it all for arrays."""

    log: Any
    maximum: Any
    minimum: Any


class _Floats:
    log = staticmethod(math.log)
    maximum = staticmethod(max)
    minimum = staticmethod(min)


_FLOATS = _Floats()


@dataclass(frozen=True, slots=True)
class Sums:
    """What counters tell about the scores of one stretch of time.

    Attributes:
        weight: Σw, the calls that the scores stand for.
        weighted: Σwx.
        weighted_squares: Σwx².
        weight_squares: Σ over traces of (Σw of the trace)²: scores of one trace share their fate
            and count once. For one score a trace it is Σw².
    """

    weight: Number
    weighted: Number
    weighted_squares: Number
    weight_squares: Number

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(
            self.weight + other.weight,
            self.weighted + other.weighted,
            self.weighted_squares + other.weighted_squares,
            self.weight_squares + other.weight_squares,
        )

    def __sub__(self, other: "Sums") -> "Sums":
        return Sums(
            self.weight - other.weight,
            self.weighted - other.weighted,
            self.weighted_squares - other.weighted_squares,
            self.weight_squares - other.weight_squares,
        )


NOTHING = Sums(0.0, 0.0, 0.0, 0.0)


def mean(sums: Sums, by: Arithmetic = _FLOATS) -> Number:
    """Weighted mean of the scores; 0 where there are none."""
    return sums.weighted / by.maximum(sums.weight, _TINY)


def effective_count(sums: Sums, baseline: Sums | None = None, by: Arithmetic = _FLOATS) -> Number:
    """How many equally weighted, independent scores would tell as much.

    Args:
        sums: The scores that are counted.
        baseline: What they are compared with. Its mean squared weight is a floor for theirs: a
            window that by chance saw no heavily weighted score would look precise, and false.
        by: See the module.
    """
    squares = sums.weight_squares
    if baseline is not None:
        usual = baseline.weight_squares / by.maximum(baseline.weight, _TINY)
        squares = by.maximum(squares, sums.weight * usual)
    return sums.weight * sums.weight / by.maximum(squares, _TINY)


def dispersion(baseline: Sums, by: Arithmetic = _FLOATS) -> Number:
    """Variance of the scores over that of pass/fail scores with their mean, 0.02 to 1."""
    m = _inside(mean(baseline, by), BASELINE_MARGIN, by)
    variance = baseline.weighted_squares / by.maximum(baseline.weight, _TINY) - m * m
    return by.minimum(by.maximum(variance / (m * (1 - m)), MIN_DISPERSION), 1.0)


def surprise(
    sums: Sums, baseline: Sums, *, completeness: float = 1.0, by: Arithmetic = _FLOATS
) -> Number:
    """How much better two means explain the scores than one, in nats; 0 where there are none.

    It is as large for a rise as for a drop.

    Args:
        sums: The window.
        baseline: What it is compared with.
        completeness: The window's, where its sums were extrapolated.
        by: See the module.
    """
    n = effective_count(sums, baseline, by) * completeness
    n0 = effective_count(baseline, by=by)
    m = _inside(mean(sums, by), WINDOW_MARGIN, by)
    m0 = _inside(mean(baseline, by), BASELINE_MARGIN, by)
    pooled = (n * m + n0 * m0) / by.maximum(n + n0, _TINY)
    pooled = _inside(pooled, WINDOW_MARGIN, by)
    gain = n * _entropy(m, by) + n0 * _entropy(m0, by) - (n + n0) * _entropy(pooled, by)
    return gain / dispersion(baseline, by)


def drop(sums: Sums, baseline: Sums, by: Arithmetic = _FLOATS) -> Number:
    """How far the mean lies below the baseline's; negative for a rise."""
    return mean(baseline, by) - mean(sums, by)


def drop_evidence(
    window: Window,
    sums: Sums,
    baseline: Sums,
    *,
    min_count: float = MIN_BASELINE_COUNT,
    completeness: float = 1.0,
    by: Arithmetic = _FLOATS,
) -> Number:
    """Evidence ratio that scores are worse than a baseline; above 1 it counts.

    The baseline is the trailing day, or the other versions that ran within a day. It is 0 where the
    mean is no lower, or where the baseline holds less than `min_count` effective scores.

    Args:
        window: Which threshold applies.
        sums: The window's.
        baseline: What it is compared with.
        min_count: Effective scores that the baseline must hold.
        completeness: The window's, where its sums were extrapolated.
        by: See the module.
    """
    found = surprise(sums, baseline, completeness=completeness, by=by) / window.threshold()
    is_lower = mean(sums, by) < mean(baseline, by)
    return found * is_lower * (effective_count(baseline, by=by) >= min_count)


def regression_evidence(
    window: Window,
    sums: Sums,
    trailing: Sums,
    seasons: Sequence[Sums] = (),
    *,
    noise: Number = 1.0,
    completeness: float = 1.0,
    by: Arithmetic = _FLOATS,
) -> Number:
    """Evidence ratio that scores are worse than the past, whatever the time of day.

    They must be worse than the trailing day *and* than each season that holds enough scores: the
    least evidence is the one that counts.

    Args:
        window: Which threshold applies.
        sums: The window's.
        trailing: Those of the day before the last hour.
        seasons: Those of the last seven days about this time of day: the hour before and the hour
            after it, apart, because a nightly job begins at the minute; for 6 hours the same six.
        noise: `noise_factor` of the series.
        completeness: The window's, where its sums were extrapolated.
        by: See the module.
    """
    ratio = drop_evidence(window, sums, trailing, completeness=completeness, by=by)
    for season in seasons:
        against = drop_evidence(
            window, sums, season, min_count=MIN_SEASON_COUNT, completeness=completeness, by=by
        )
        # Too few scores about this time of day say nothing, neither for nor against.
        is_unknown = effective_count(season, by=by) < MIN_SEASON_COUNT
        ratio = by.minimum(ratio, against + is_unknown * ratio)
    return ratio / noise


def least_surprise(
    sums: Sums,
    trailing: Sums,
    seasons: Sequence[Sums] = (),
    *,
    completeness: float = 1.0,
    by: Arithmetic = _FLOATS,
) -> Number:
    """The least surprise, in nats, of the trailing day and each season that holds enough scores.

    It counts in both directions: what is recorded of it tells how much a series wanders.
    """
    least = surprise(sums, trailing, completeness=completeness, by=by)
    for season in seasons:
        found = surprise(sums, season, completeness=completeness, by=by)
        is_known = effective_count(season, by=by) >= MIN_SEASON_COUNT
        least = by.minimum(least, found * is_known + least * (1 - is_known))
    return least


def version_evidence(
    window: Window,
    sums: Sums,
    others_day: Sums,
    others_hour: Sums,
    *,
    completeness: float = 1.0,
    by: Arithmetic = _FLOATS,
) -> Number:
    """Evidence ratio that a version is worse than the others, of their day *and* of their hour.

    The day has the numbers. The hour has the same time of day and the same users: without it, a
    service whose scores swing by a few hundredths a day would stop most of its rollouts. Where the
    others hold too few scores in an hour, nothing is said.

    Args:
        window: Which threshold applies.
        sums: Those of the version, in the window.
        others_day: Those of all other versions, in the last day.
        others_hour: The same in the last hour.
        completeness: The window's, where its sums were extrapolated.
        by: See the module.
    """
    day, hour = (
        drop_evidence(window, sums, others, completeness=completeness, by=by)
        for others in (others_day, others_hour)
    )
    return by.minimum(day, hour)


def noise_factor(quantile: Number, by: Arithmetic = _FLOATS) -> Number:
    """How much more the evidence of a series spreads than that of independent scores; at least 1.

    Args:
        quantile: The `NOISE_QUANTILE` of the least surprise of the last seven days, in both
            directions. Twice the surprise of independent scores is χ² with one degree of freedom
            (Wilks 1938).
        by: See the module.
    """
    return by.maximum(2 * quantile / CHI_SQUARED_QUANTILE, 1.0)


def objective_evidence(
    window: Window,
    sums: Sums,
    objective: float,
    *,
    usual: Sums | None = None,
    completeness: float = 1.0,
    by: Arithmetic = _FLOATS,
) -> Number:
    """Evidence ratio that the mean is below a promised one: n·KL(m ‖ objective) / h.

    It needs no history. Grades count as if they were pass or fail, which is the careful side.

    Args:
        window: Which threshold applies.
        sums: The window's.
        objective: The promised mean, 0 < objective < 1.
        usual: The trailing day, if there is one: a floor for weights, see `effective_count`.
        completeness: The window's, where its sums were extrapolated.
        by: See the module.
    """
    n = effective_count(sums, usual, by) * completeness
    m = _inside(mean(sums, by), WINDOW_MARGIN, by)
    divergence = m * by.log(m / objective) + (1 - m) * by.log((1 - m) / (1 - objective))
    return n * divergence / window.threshold() * (m < objective)


def _entropy(m: Number, by: Arithmetic) -> Number:
    return m * by.log(m) + (1 - m) * by.log(1 - m)


def _inside(m: Number, margin: float, by: Arithmetic) -> Number:
    """Clamp a mean, so that its logarithms exist."""
    return by.minimum(by.maximum(m, margin), 1 - margin)
