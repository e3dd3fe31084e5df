"""Detectors side by side: each tells at every evaluation how far above its threshold it is."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from workers import signals
from workers.signals import Arithmetic, Sums

from .history import PER_MINUTE, TICKS_PER_EVALUATION, History
from .streams import DAY_TICKS, TICKS_PER_MINUTE, USUAL, Array, Scores

BY = cast("Arithmetic", np)
OBJECTIVE = 0.93
MARGIN = 0.05
LEAST = 0.25
"""Evidence below this share of a threshold is not worked out to its end: it is no alarm."""

_DAY_MINUTES = 1440
_DRIFTS = (0.02, 0.05, 0.1, 0.2)
_LEAD = 6 * 60 * PER_MINUTE
_NOISE_STEP = 120 * TICKS_PER_MINUTE
_NOISE_DAYS = 7

Noise = dict[int, Array]
"""By window length: the noise factor of each series, at each evaluation or for all of them."""


@dataclass(frozen=True, slots=True)
class Detector:
    """What people use, or what we ship.

    Attributes:
        name: As it is printed.
        statistic: At each evaluation of each series: above 1 it alarms.
    """

    name: str
    statistic: Callable[[History, Noise], Array]


def _below(history: History, _: Noise) -> Array:
    """The mean of 5 minutes has been under a threshold for 5 minutes."""
    lead = 5 * PER_MINUTE
    earlier = History(history.scores, history.first - lead)
    low = (USUAL - signals.mean(earlier.window(5, earlier.evaluations), BY)) / MARGIN
    kept = np.lib.stride_tricks.sliding_window_view(low, lead + 1, axis=1)
    return np.asarray(kept.min(axis=2))


def _day_over_day(history: History, _: Noise) -> Array:
    """The mean of 30 minutes is 10 % below that of a day ago."""
    ends = history.evaluations
    now = signals.mean(history.window(30, ends), BY)
    before = signals.mean(history.window(30, ends - DAY_TICKS), BY)
    return np.asarray((before - now) / np.maximum(before, 1e-9) / 0.1)


def _burn(history: History, _: Noise) -> Array:
    """Burn rates of two windows: 14.4 over 1 hour and 5 minutes, 6 over 6 hours and 30 minutes."""
    ends = history.evaluations
    fast, brief, slow, half = (
        (1 - signals.mean(history.window(minutes, ends), BY)) / (1 - OBJECTIVE)
        for minutes in (60, 5, 360, 30)
    )
    return np.asarray(np.maximum(np.minimum(fast, brief) / 14.4, np.minimum(slow, half) / 6))


def _welch(history: History, _: Noise) -> Array:
    """Welch's z of 30 minutes against the trailing day is above 3."""
    window, day = history.window(30, history.evaluations), history.trailing(history.evaluations)
    m, m0 = signals.mean(window, BY), signals.mean(day, BY)
    n, n0 = signals.effective_count(window, by=BY), signals.effective_count(day, by=BY)
    error = np.sqrt(m * (1 - m) / np.maximum(n, 1) + m0 * (1 - m0) / np.maximum(n0, 1))
    return np.asarray((m0 - m) / np.maximum(error, 1e-9) / 3 * (n > 1))


def _cusum(history: History, _: Noise) -> Array:
    """Page's CUSUM against the trailing day, for four drifts; no false alarm in 100 months."""
    earlier = History(history.scores, history.first - _LEAD)
    ends = earlier.evaluations
    p0 = np.clip(signals.mean(earlier.trailing(ends), BY), 0.5, 1 - 1e-6)
    stream, first = earlier.scores.stream, int(ends[0]) - TICKS_PER_EVALUATION
    size = 1 if stream.is_kept_by_trace else stream.per_trace
    count, passed = (
        size * ticks[:, first:].reshape(len(ticks), -1, TICKS_PER_EVALUATION).sum(axis=2)
        for ticks in (earlier.scores.count, earlier.scores.passed)
    )
    months = 100 * signals.MONTH_MINUTES * PER_MINUTE
    threshold = math.log(max(float(count.mean()), 1e-9) * months)
    found = np.zeros_like(p0)
    for drift in _DRIFTS:
        p1 = p0 - drift
        gains = passed * np.log(p1 / p0) + (count - passed) * np.log((1 - p1) / (1 - p0))
        walk = np.cumsum(gains, axis=1)
        walk -= np.minimum.accumulate(np.minimum(walk, 0), axis=1)
        np.maximum(found, walk, out=found)
    return np.asarray(found[:, _LEAD:] / threshold)


def ours(history: History, noise: Noise, least_drop: float = signals.TICKET_DROP) -> Array:
    """The rules that are shipped: their evidence ratio where the drop is worth an alert."""
    ends = history.evaluations
    best = np.zeros((len(history.scores.count), len(ends)))
    whole = ends % TICKS_PER_MINUTE == 0
    minutes = ends[whole]
    index = np.cumsum(whole) - 1  # of the last full minute at each evaluation
    index = np.maximum(index, 0)
    gap = signals.WINDOWS[0].baseline_gap_minutes
    trailing = history.trailing(minutes, gap)
    for window in signals.WINDOWS:
        is_slow = window.minutes >= 60  # noqa: PLR2004  evaluated each minute
        at = minutes if is_slow else ends
        if window.baseline_gap_minutes != gap:
            gap = window.baseline_gap_minutes
            trailing = history.trailing(minutes, gap)
        day = trailing if is_slow else _taken(trailing, index)
        factor = noise[window.minutes]
        if factor.shape[1] > 1 and is_slow:
            factor = factor[:, whole]
        ratio = _ratio(history, window, at, day, noise=factor, least_drop=least_drop)
        np.maximum(best, ratio[:, index] if is_slow else ratio, out=best)
    return best


def _ratio(
    history: History,
    window: signals.Window,
    ends: Array,
    trailing: Sums,
    *,
    noise: Array,
    least_drop: float,
) -> Array:
    sums = history.window(window.minutes, ends)
    known: dict[str, Any] = {"completeness": window.completeness, "by": BY}
    ratio = np.asarray(signals.drop_evidence(window, sums, trailing, **known))
    # Seasons and noise can only lessen it: they are asked only where it matters.
    is_high = (ratio > LEAST) & (signals.drop(sums, trailing, BY) > least_drop)
    found = np.zeros_like(ratio)
    columns = np.flatnonzero(is_high.any(axis=0))
    if columns.size:
        seasons = history.seasons(window.minutes, ends[columns])
        rows, where = np.nonzero(is_high[:, columns])
        factors = np.broadcast_to(noise, ratio.shape)[rows, columns[where]]
        found[rows, columns[where]] = signals.regression_evidence(
            window,
            _picked(sums, rows, columns[where]),
            _picked(trailing, rows, columns[where]),
            [_picked(season, rows, where) for season in seasons],
            noise=factors,
            **known,
        )
    return found


def _picked(sums: Sums, rows: Array, columns: Array) -> Sums:
    return Sums(
        sums.weight[rows, columns],
        sums.weighted[rows, columns],
        sums.weighted_squares[rows, columns],
        sums.weight_squares[rows, columns],
    )


def _taken(sums: Sums, index: Array) -> Sums:
    """What each evaluation finds recorded: the value of the last full minute."""
    return Sums(
        sums.weight[:, index],
        sums.weighted[:, index],
        sums.weighted_squares[:, index],
        sums.weight_squares[:, index],
    )


def noise_of(scores: Scores, first: int) -> Noise:
    """The noise factors of each series at each evaluation since `first`; renewed every two hours.

    The rules renew them every five minutes; of a quantile over seven days that is no difference.
    """
    total = scores.count.shape[1]
    marks = np.arange(0, total + 1, 30 * TICKS_PER_MINUTE)
    history = History(scores, first)
    taken = _NOISE_DAYS * 48
    every = _NOISE_STEP // (30 * TICKS_PER_MINUTE)
    factors: Noise = {}
    for window in signals.WINDOWS:
        least = signals.least_surprise(
            history.window(window.minutes, marks),
            history.trailing(marks, window.baseline_gap_minutes),
            history.seasons(window.minutes, marks),
            completeness=window.completeness,
            by=BY,
        )
        views = np.lib.stride_tricks.sliding_window_view(least, taken, axis=1)[:, ::every]
        quantiles = np.quantile(views, signals.NOISE_QUANTILE, axis=2)
        ends = marks[taken - 1 :: every]
        held = np.maximum(np.searchsorted(ends, history.evaluations, side="right") - 1, 0)
        factors[window.minutes] = signals.noise_factor(quantiles, BY)[:, held]
    return factors


OURS = Detector("Assay's rules", ours)
OURS_PAGE = Detector(
    "Assay's rules, page", lambda history, noise: ours(history, noise, signals.PAGE_DROP)
)
OTHERS = (
    Detector("static threshold, 5m mean, for 5m", _below),
    Detector("10 % below a day ago, 30m mean", _day_over_day),
    Detector(f"burn rate 14.4 and 6, objective {OBJECTIVE}", _burn),
    Detector("Welch z > 3, 30m against the day", _welch),
    Detector("CUSUM, four drifts", _cusum),
)
