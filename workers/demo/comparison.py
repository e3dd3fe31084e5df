"""Whether a pass rate fell from one stretch of time to the next: pure arithmetic.

A before/after test needs a moment to compare around. The demo has one, its rollout; a running
system has none, so this is no substitute for alerts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import erfc, sqrt

_MIN_COUNT = 10.0
"""Below this effective number the normal approximation of a proportion is not worth its name."""


@dataclass(frozen=True, slots=True)
class Score:
    """One score as the arithmetic needs it; `weight` is 1 / its sampling probability."""

    value: float
    passed: bool
    weight: float


@dataclass(frozen=True, slots=True)
class Sample:
    """Scores of one stretch of time.

    Attributes:
        count: How many there are.
        effective_count: Kish's effective sample size, (sum of weights)² / sum of their squares:
            as many equally weighted scores would tell as much. Scores are taken as independent of
            each other, so give at most one for each trace.
        mean: Weighted mean of the values (Hájek's estimate); None without scores.
        pass_rate: Weighted share that passed; None without scores.
    """

    count: int
    effective_count: float
    mean: float | None
    pass_rate: float | None

    @classmethod
    def of(cls, scores: Iterable[Score]) -> "Sample":
        """Sum up scores."""
        count = 0
        weight = squares = values = passes = 0.0
        for score in scores:
            count += 1
            weight += score.weight
            squares += score.weight**2
            values += score.weight * score.value
            passes += score.weight * score.passed
        if not count:
            return cls(0, 0.0, None, None)
        return cls(count, weight**2 / squares, values / weight, passes / weight)


@dataclass(frozen=True, slots=True)
class Change:
    """What a two-proportion z-test says about two pass rates.

    Attributes:
        drop: Pass rate before minus pass rate after.
        z: Drop in standard errors, under the hypothesis that both rates are one.
        p_value: Probability of such a drop, or a larger one, if nothing had changed (one-sided).
    """

    drop: float
    z: float
    p_value: float


def compare(before: Sample, after: Sample) -> Change | None:
    """Test whether the pass rate fell; None where there are too few scores to tell.

    The pooled two-proportion z-test, with effective counts in the place of counts.
    """
    if before.pass_rate is None or after.pass_rate is None:
        return None
    n, m = before.effective_count, after.effective_count
    if min(n, m) < _MIN_COUNT:
        return None
    drop = before.pass_rate - after.pass_rate
    pooled = (n * before.pass_rate + m * after.pass_rate) / (n + m)
    variance = pooled * (1 - pooled) * (1 / n + 1 / m)
    # All passed or none did, on both sides: no variance, and no drop either.
    z = drop / sqrt(variance) if variance > 0 else 0.0
    return Change(drop, z, erfc(z / sqrt(2)) / 2)


def is_regression(change: Change | None, *, comparisons: int, level: float = 0.01) -> bool:
    """Whether a drop is one that chance does not explain.

    Args:
        change: The change, or None where nothing can be said.
        comparisons: How many changes are looked at together; the level is shared among them
            (Bonferroni), so that looking at more of them finds no more by accident.
        level: Probability of seeing any regression where there is none.
    """
    return change is not None and change.drop > 0 and change.p_value < level / max(1, comparisons)
