"""How a judge agrees with people, and what follows for the rate that it reports.

"Positive" is a pass: sensitivity is the share of what people pass that the judge passes too, and
specificity the share of what people fail that it fails.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

Z = 1.959963984540054
"""Standard errors on either side of a 95 % interval."""

MIN_LABELS = 50
"""Of what people pass, and of what they fail: a rate of 0.9 is then known to ± 0.08."""

MIN_INFORMED = 0.3
"""Sensitivity + specificity - 1 below which a rate cannot be corrected: it says too little."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One labelled item. `weight` is 1 / probability of being in the sample."""

    human: bool
    judge: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Population:
    """What the labelled items were drawn from: verdicts of the judge, and the share that passed."""

    count: float
    pass_rate: float


@dataclass(frozen=True, slots=True)
class Terms:
    """A corrected rate as a function of the raw one, p, whatever the method.

    rate = intercept + slope p, and its variance = slope² var(p) + constant
    + (1 - rate)² of_fails + rate² of_passes.
    """

    intercept: float
    slope: float
    constant: float
    of_passes: float
    of_fails: float

    def correct(self, rate: float, effective: float) -> Estimate:
        """The corrected rate of `effective` independent verdicts, within 0 and 1."""
        value = _clip(self.intercept + self.slope * rate)
        variance = (
            self.slope**2 * rate * (1 - rate) / effective
            + self.constant
            + (1 - value) ** 2 * self.of_fails
            + value**2 * self.of_passes
        )
        half = Z * math.sqrt(variance)
        return Estimate(value, _clip(value - half), _clip(value + half))


def wilson(share: float, count: float) -> Estimate:
    """A share of `count` observations with Wilson's score interval (1927)."""
    spread = Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    scale = 1 + Z**2 / count
    centre = share + Z**2 / (2 * count)
    return Estimate(share, _clip((centre - spread) / scale), _clip((centre + spread) / scale))


def sensitivity(pairs: Sequence[Pair]) -> Estimate | None:
    """Share of what people pass that the judge passes; None where people pass nothing."""
    return _share([pair for pair in pairs if pair.human], verdict=True)


def specificity(pairs: Sequence[Pair]) -> Estimate | None:
    """Share of what people fail that the judge fails; None where people fail nothing."""
    return _share([pair for pair in pairs if not pair.human], verdict=False)


def agreement(pairs: Sequence[Pair]) -> float:
    """Share of the items on which judge and people agree."""
    return _mean(pairs, [float(pair.human == pair.judge) for pair in pairs])


def kappa(pairs: Sequence[Pair]) -> float | None:
    """Cohen's kappa (1960); None where both always say the same one thing.

    The same judge has a lower kappa where few items are bad: compare it only at one prevalence.
    """
    human = _mean(pairs, [float(pair.human) for pair in pairs])
    judge = _mean(pairs, [float(pair.judge) for pair in pairs])
    chance = human * judge + (1 - human) * (1 - judge)
    return None if chance >= 1 else (agreement(pairs) - chance) / (1 - chance)


def ac1(pairs: Sequence[Pair]) -> float:
    """Gwet's AC1 (2008), which depends on the prevalence less than kappa does."""
    human = _mean(pairs, [float(pair.human) for pair in pairs])
    judge = _mean(pairs, [float(pair.judge) for pair in pairs])
    mean = (human + judge) / 2
    chance = 2 * mean * (1 - mean)
    return (agreement(pairs) - chance) / (1 - chance)


def rogan_gladen(pairs: Sequence[Pair]) -> Terms | None:
    """The correction by sensitivity and specificity, for labels of any prevalence.

    (p + specificity - 1) / (sensitivity + specificity - 1), Rogan and Gladen 1978; the interval is
    by the delta method and holds the errors of both (Lee 2026, arXiv 2511.21140). None where the
    judge tells too little.
    """
    right, wrong = sensitivity(pairs), specificity(pairs)
    if right is None or wrong is None:
        return None
    informed = right.value + wrong.value - 1
    if informed <= MIN_INFORMED:
        return None
    passes, fails = (
        _smoothed(right.value, _count(pairs, True)),
        _smoothed(wrong.value, _count(pairs, False)),
    )
    return Terms(
        intercept=(wrong.value - 1) / informed,
        slope=1 / informed,
        constant=0.0,
        of_passes=passes / informed**2,
        of_fails=fails / informed**2,
    )


def prediction_powered(pairs: Sequence[Pair], population: Population) -> Terms:
    """PPI++ with power tuning, for labels that are a random sample of the population.

    Mean label + slope (mean verdict of all - mean verdict of the labelled); the slope makes the
    variance smallest, and is 0 where the judge tells nothing (Angelopoulos and others 2023, arXiv
    2311.01453).
    """
    weights = _unit_weights(pairs)
    count = len(pairs)
    human = [float(pair.human) for pair in pairs]
    judge = [float(pair.judge) for pair in pairs]
    plain = population.pass_rate + _average(
        [w * (h - j) for w, h, j in zip(weights, human, judge, strict=True)]
    )
    of_labels = [w * (h - plain) for w, h in zip(weights, human, strict=True)]
    of_verdicts = [w * (j - plain) for w, j in zip(weights, judge, strict=True)]
    covariance = _average(
        [a * b for a, b in zip(_centred(of_labels), _centred(of_verdicts), strict=True)]
    )
    variance = _variance_with(of_verdicts, population, plain)
    slope = 0.0
    if variance > 0:
        slope = _clip(covariance / ((1 + count / population.count) * variance))
    left = [w * (h - slope * j) for w, h, j in zip(weights, human, judge, strict=True)]
    return Terms(
        intercept=_average(left),
        slope=slope,
        constant=_average([one**2 for one in _centred(left)]) / count,
        of_passes=0.0,
        of_fails=0.0,
    )


def _variance_with(verdicts: Sequence[float], population: Population, plain: float) -> float:
    """Variance of the labelled items' verdicts and all others together, less `plain` each."""
    rate, size = population.pass_rate, population.count
    total = sum(verdicts) + size * (rate - plain)
    squares = sum(one**2 for one in verdicts)
    squares += size * (rate * (1 - plain) ** 2 + (1 - rate) * plain**2)
    count = len(verdicts) + size
    return (squares - total**2 / count) / (count - 1)


def _share(pairs: Sequence[Pair], *, verdict: bool) -> Estimate | None:
    if not pairs:
        return None
    share = _mean(pairs, [float(pair.judge == verdict) for pair in pairs])
    return wilson(share, _effective(pairs))


def _smoothed(share: float, count: float) -> float:
    """Variance of a share; one that was never wrong in n tries may be wrong in the next two."""
    smooth = (share * count + 1) / (count + 2)
    return smooth * (1 - smooth) / count


def _count(pairs: Sequence[Pair], human: bool) -> float:
    return _effective([pair for pair in pairs if pair.human == human])


def _effective(pairs: Sequence[Pair]) -> float:
    """Kish's effective number: how many items of one weight would tell as much."""
    return sum(p.weight for p in pairs) ** 2 / sum(p.weight**2 for p in pairs)


def _unit_weights(pairs: Sequence[Pair]) -> list[float]:
    total = sum(pair.weight for pair in pairs)
    return [pair.weight * len(pairs) / total for pair in pairs]


def _mean(pairs: Sequence[Pair], values: Sequence[float]) -> float:
    weights = _unit_weights(pairs)
    # All are shares, and weights are rounded: a mean of ones may come to a little more than 1.
    return _clip(_average([w * value for w, value in zip(weights, values, strict=True)]))


def _average(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _centred(values: Sequence[float]) -> list[float]:
    mean = _average(values)
    return [value - mean for value in values]


def _clip(value: float) -> float:
    return min(1.0, max(0.0, value))
