"""Scores of one stretch of time, summed up for the table of before and after."""

from collections.abc import Iterable
from dataclasses import dataclass


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
        mean: Weighted mean of the values (Hájek's estimate); None without scores.
        pass_rate: Weighted share that passed; None without scores.
    """

    count: int
    mean: float | None
    pass_rate: float | None

    @classmethod
    def of(cls, scores: Iterable[Score]) -> "Sample":
        """Sum up scores."""
        count = 0
        weight = values = passes = 0.0
        for score in scores:
            count += 1
            weight += score.weight
            values += score.weight * score.value
            passes += score.weight * score.passed
        if not count:
            return cls(0, None, None)
        return cls(count, values / weight, passes / weight)
