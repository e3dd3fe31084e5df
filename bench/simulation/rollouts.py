"""The two rules that need no history: a new version beside the others, and a promised mean."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from workers import signals

from .alarms import MONTH_DAYS, WARM_UP_DAYS, episodes, first_alarms
from .detectors import BY
from .history import TICKS_PER_EVALUATION, History
from .streams import DAY_TICKS, TICKS_PER_MINUTE, Array, Scores, Stream, simulate

_BEFORE = 26 * 60 * TICKS_PER_MINUTE


@dataclass(slots=True)
class Rollouts:
    """Minutes from a rollout to the alarm on the new version, infinite without one in its day."""

    minutes: list[float] = field(default_factory=list)

    @property
    def alarms(self) -> int:
        """How many had one."""
        return int(np.isfinite(self.minutes).sum())

    def delay(self, quantile: float = 0.5) -> float:
        """Minutes; infinite where fewer had an alarm."""
        return float(np.quantile(self.minutes, quantile, method="higher"))


def roll_out(
    stream: Stream,
    per_minute: float,
    share: float,
    drop: float,
    *,
    count: int,
    rng: np.random.Generator,
    beside: bool,
) -> Rollouts:
    """Roll out a version that is worse by `drop`, to a share of the traffic, at any time of day.

    Args:
        stream: What comes, of all versions together.
        per_minute: Scores a minute, of all versions.
        share: Of the traffic that the new version gets at once.
        drop: By how much it is worse.
        count: How many rollouts.
        rng: Source of randomness.
        beside: Whether it must be worse than the last hour of the others, too, as the rules ask.
    """
    days = simulate(stream, per_minute, count, 5, rng)
    starts = rng.integers(DAY_TICKS // TICKS_PER_MINUTE, 2 * DAY_TICKS // TICKS_PER_MINUTE, count)
    traffic = days.stretch(np.arange(count), starts * TICKS_PER_MINUTE, _BEFORE + DAY_TICKS)
    since = _BEFORE + int(rng.integers(TICKS_PER_MINUTE))
    new_count, new_passed = np.zeros_like(traffic.count), np.zeros_like(traffic.passed)
    new_count[:, since:] = rng.binomial(traffic.count[:, since:], share)
    new_passed[:, since:] = rng.hypergeometric(
        traffic.passed[:, since:],
        (traffic.count - traffic.passed)[:, since:],
        new_count[:, since:],
    )
    new = Scores(stream, new_count, new_passed, traffic.pass_rate).drop(drop, since, rng)
    others = Scores(
        stream, traffic.count - new_count, traffic.passed - new_passed, traffic.pass_rate
    )
    first = since // TICKS_PER_EVALUATION + 1
    ratio = _version_ratio(History(new, first), History(others, first), beside=beside)
    ends = History(new, first).evaluations
    return Rollouts(first_alarms(ratio, ends, since).tolist())


def _version_ratio(new: History, others: History, *, beside: bool) -> Array:
    """The rule's evidence ratio where the drop is worth an alert."""
    ends = new.evaluations
    day, hour = others.last_day(ends), others.window(60, ends)
    best = np.zeros((len(new.scores.count), len(ends)))
    for window in signals.VERSION_WINDOWS:
        sums = new.window(window.minutes, ends)
        known: dict[str, Any] = {"completeness": window.completeness, "by": BY}
        ratio = (
            signals.version_evidence(window, sums, day, hour, **known)
            if beside
            else signals.drop_evidence(window, sums, day, **known)
        )
        ratio = ratio * (signals.drop(sums, day, BY) > signals.VERSION_DROP)
        np.maximum(best, ratio, out=best)
    return best


def objective_alarms(
    stream: Stream, per_minute: float, objective: float, series: int, rng: np.random.Generator
) -> int:
    """Alarms of the objective rule in one month of each series."""
    scores = simulate(stream, per_minute, series, WARM_UP_DAYS + MONTH_DAYS, rng)
    history = History(scores, WARM_UP_DAYS * DAY_TICKS // TICKS_PER_EVALUATION)
    return episodes(_objective_ratio(history, objective) > 1)


def objective_delays(
    stream: Stream,
    per_minute: float,
    objective: float,
    drop: float,
    *,
    series: int,
    rng: np.random.Generator,
) -> Rollouts:
    """Minutes until the rule tells a drop, a day and a bit after the series began."""
    scores = simulate(stream, per_minute, series, 3, rng)
    since = DAY_TICKS + DAY_TICKS // 2 + int(rng.integers(TICKS_PER_MINUTE))
    fallen = scores.drop(drop, since, rng)
    end = since + DAY_TICKS
    fallen = Scores(stream, fallen.count[:, :end], fallen.passed[:, :end], fallen.pass_rate)
    history = History(fallen, since // TICKS_PER_EVALUATION + 1)
    ratio = _objective_ratio(history, objective)
    return Rollouts(first_alarms(ratio, history.evaluations, since).tolist())


def _objective_ratio(history: History, objective: float) -> Array:
    ends = history.evaluations
    usual = history.trailing(ends)
    best = np.zeros((len(history.scores.count), len(ends)))
    for window in signals.WINDOWS:
        ratio = signals.objective_evidence(
            window,
            history.window(window.minutes, ends),
            objective,
            usual=usual,
            completeness=window.completeness,
            by=BY,
        )
        np.maximum(best, ratio, out=best)
    return best
