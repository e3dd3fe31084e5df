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

_HALF = 0.5
"""Of a label, for each way to answer."""

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
    """A corrected rate and its interval as functions of the raw rate, whatever the method.

    With the raw rate p of n independent verdicts, and p' = (n p + Z²/2) / (n + Z²), which is never
    0 or 1 (Agresti and Coull 1998):

        rate = intercept + slope p
        centre = centre_intercept + centre_slope p'
        variance = centre_slope² p' (1 - p') / (n + Z²) + constant
                   + (1 - centre)² of_fails + centre² of_passes
    """

    intercept: float
    slope: float
    centre_intercept: float
    centre_slope: float
    constant: float
    of_passes: float
    of_fails: float

    def correct(self, rate: float, effective: float) -> Estimate:
        """The corrected rate of `effective` independent verdicts, within 0 and 1."""
        value = _clip(self.intercept + self.slope * rate)
        count = effective + Z**2
        drawn_in = (effective * rate + Z**2 / 2) / count
        centre = self.centre_intercept + self.centre_slope * drawn_in
        variance = (
            self.centre_slope**2 * drawn_in * (1 - drawn_in) / count
            + self.constant
            + (1 - centre) ** 2 * self.of_fails
            + centre**2 * self.of_passes
        )
        half = Z * math.sqrt(variance)
        return Estimate(value, _clip(centre - half), _clip(centre + half))


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

    (p + specificity - 1) / (sensitivity + specificity - 1), Rogan and Gladen 1978. The interval is
    that of Lang and Reiczigel 2014: of a judge that was never wrong in n tries it takes one of the
    next two to be, and its centre is moved for the skew; the variance is taken at that centre, and
    holds the errors of labels and verdicts. None where the judge tells too little.
    """
    right, wrong = sensitivity(pairs), specificity(pairs)
    if right is None or wrong is None:
        return None
    informed = right.value + wrong.value - 1
    if informed <= MIN_INFORMED:
        return None
    right_near, of_passes = _plus_two(right.value, _count(pairs, True))
    wrong_near, of_fails = _plus_two(wrong.value, _count(pairs, False))
    near = right_near + wrong_near - 1
    skew = 1 + 2 * Z**2 * (of_passes + of_fails)
    return Terms(
        intercept=(wrong.value - 1) / informed,
        slope=1 / informed,
        centre_intercept=(wrong_near - 1) / near * skew - 2 * Z**2 * of_fails,
        centre_slope=skew / near,
        constant=0.0,
        of_passes=of_passes / near**2,
        of_fails=of_fails / near**2,
    )


def prediction_powered(pairs: Sequence[Pair], population: Population) -> Terms:
    """PPI++ with power tuning, for labels that are a random sample of the population.

    Mean label + slope (mean verdict of all - mean verdict of the labelled); the slope makes the
    variance smallest, and is 0 where the judge tells nothing (Angelopoulos and others 2023, arXiv
    2311.01453). The interval is that of the same mean with half a label added for each way in which
    a person and the judge may answer, as Agresti and Min (2005) do for two rates of one sample: the
    plain one is too narrow where one of these ways is rare, and that is so of most judges.
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
    centre, constant = _with_rare_answers(pairs, slope)
    return Terms(
        intercept=_average(left),
        slope=slope,
        centre_intercept=centre,
        centre_slope=slope,
        constant=constant,
        of_passes=0.0,
        of_fails=0.0,
    )


def _with_rare_answers(pairs: Sequence[Pair], slope: float) -> tuple[float, float]:
    """Mean of label - slope verdict with half a label more of each kind, and its variance.

    What is added weighs as the labelled items with its verdict do: they may be drawn by verdict.
    """
    items = [(1.0, pair.weight, pair.human - slope * pair.judge) for pair in pairs]
    for judge in (False, True):
        weights = [pair.weight for pair in pairs if pair.judge == judge]
        weight = _average(weights or [pair.weight for pair in pairs])
        items += [(_HALF, weight, human - slope * judge) for human in (False, True)]
    total = math.fsum(share * weight for share, weight, _ in items)
    mean = math.fsum(share * weight * value for share, weight, value in items) / total
    squares = math.fsum(share * (weight * (value - mean)) ** 2 for share, weight, value in items)
    return mean, squares / total**2


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


def _plus_two(share: float, count: float) -> tuple[float, float]:
    """A share with one more of either kind, and its variance."""
    near = (share * count + 1) / (count + 2)
    return near, near * (1 - near) / (count + 2)


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
