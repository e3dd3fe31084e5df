"""Agreement and corrected rates, held against scikit-learn and ppi-python."""

import importlib
import math
import os
import random
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from bench.coverage import Judge, Labels, coverage
from workers.agreement import (
    Pair,
    Population,
    ac1,
    agreement,
    kappa,
    prediction_powered,
    rogan_gladen,
    sensitivity,
    specificity,
    wilson,
)


def _library(name: str) -> Any:
    """A library to compare with; without it a test is skipped, and fails where CI=true."""
    try:
        return importlib.import_module(name)
    except ImportError:
        missing = f"{name} is missing: python -m pip install --group reference"
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)


def _draw(
    rng: random.Random, count: int, *, good: float, right: float, wrong: float
) -> list[tuple[bool, bool]]:
    """Labels with a judge's verdicts: pass rate, sensitivity and specificity are given."""
    drawn = []
    for _ in range(count):
        human = rng.random() < good
        drawn.append((human, rng.random() < (right if human else 1 - wrong)))
    return drawn


def _pairs(drawn: Sequence[tuple[bool, bool]]) -> list[Pair]:
    return [Pair(human, judge) for human, judge in drawn]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("is_weighted", [False, True])
def test_agreement_is_that_of_scikit_learn(seed: int, is_weighted: bool) -> None:
    """Sensitivity, specificity and kappa, weights included."""
    metrics = _library("sklearn.metrics")
    rng = random.Random(seed)  # noqa: S311  a simulation
    drawn = _draw(rng, 300, good=0.8, right=0.9, wrong=0.75)
    weights = [rng.choice((1.0, 20.0)) if is_weighted else 1.0 for _ in drawn]
    pairs = [Pair(h, j, w) for (h, j), w in zip(drawn, weights, strict=True)]
    human, judge = zip(*drawn, strict=True)
    right, wrong = sensitivity(pairs), specificity(pairs)
    assert right is not None
    assert wrong is not None
    assert right.value == pytest.approx(metrics.recall_score(human, judge, sample_weight=weights))
    expected = metrics.recall_score(human, judge, pos_label=False, sample_weight=weights)
    assert wrong.value == pytest.approx(expected)
    assert kappa(pairs) == pytest.approx(
        metrics.cohen_kappa_score(human, judge, sample_weight=weights)
    )


@pytest.mark.parametrize(
    ("bad", "expected_kappa", "expected_ac1"), [(0.5, 0.80, 0.80), (0.05, 0.58, 0.94)]
)
def test_kappa_falls_with_the_prevalence_and_ac1_does_not(
    bad: float, expected_kappa: float, expected_ac1: float
) -> None:
    """One judge (0.95 of the good, 0.85 of the bad) on items of which more or fewer are bad."""
    pairs = [
        Pair(True, True, (1 - bad) * 0.95),
        Pair(True, False, (1 - bad) * 0.05),
        Pair(False, False, bad * 0.85),
        Pair(False, True, bad * 0.15),
    ]
    assert kappa(pairs) == pytest.approx(expected_kappa, abs=0.005)
    assert ac1(pairs) == pytest.approx(expected_ac1, abs=0.005)


def test_ac1_and_agreement_of_a_worked_example() -> None:
    """118 pass by both, 2 by neither, 5 by one only: Gwet's first table (2008)."""
    pairs = [Pair(True, True)] * 118 + [Pair(False, False)] * 2 + [Pair(True, False)] * 5
    mean = (123 / 125 + 118 / 125) / 2
    chance = 2 * mean * (1 - mean)
    assert agreement(pairs) == pytest.approx(0.96)
    assert ac1(pairs) == pytest.approx((0.96 - chance) / (1 - chance))


def test_the_interval_is_wilsons() -> None:
    """90 of 100: 0.8256 to 0.9448; 0 of 20 ends above 0."""
    found = wilson(0.9, 100)
    assert (found.low, found.high) == pytest.approx((0.8256, 0.9448), abs=1e-4)
    assert wilson(0.0, 20).high == pytest.approx(0.1611, abs=1e-4)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("is_weighted", [False, True])
def test_the_corrected_rate_is_that_of_ppi_python(seed: int, is_weighted: bool) -> None:
    """PPI++ with power tuning, for 200 labels and 5,000 verdicts; the interval is near to it.

    It is that of half a label more for each way to answer. Where items weigh differently it is the
    narrower one: the weights are known, and ppi-python takes them for noise.
    """
    ppi_py = _library("ppi_py")
    rng = random.Random(seed)  # noqa: S311  a simulation
    labelled = _draw(rng, 200, good=0.9, right=0.9, wrong=0.85)
    verdicts = [judge for _, judge in _draw(rng, 5000, good=0.9, right=0.9, wrong=0.85)]
    weights = [rng.choice((1.0, 4.0)) if is_weighted else 1.0 for _ in labelled]
    rate = statistics.fmean(verdicts)
    pairs = [Pair(h, j, w) for (h, j), w in zip(labelled, weights, strict=True)]
    found = prediction_powered(pairs, Population(5000, rate)).correct(rate, 5000)
    human = np.array([float(h) for h, _ in labelled])
    judge = np.array([float(j) for _, j in labelled])
    every = np.array([float(v) for v in verdicts])
    point = ppi_py.ppi_mean_pointestimate(human, judge, every, w=np.array(weights))
    low, high = ppi_py.ppi_mean_ci(human, judge, every, alpha=0.05, w=np.array(weights))
    assert found.value == pytest.approx(float(np.squeeze(point)), abs=1e-9)
    width = float(np.squeeze(high - low))
    if is_weighted:
        assert found.high - found.low < width
    else:
        assert found.high - found.low == pytest.approx(width, rel=0.1)
        assert (found.low + found.high) / 2 == pytest.approx(found.value, abs=width / 10)


@pytest.mark.parametrize(
    ("good", "right", "wrong", "bias"), [(0.95, 0.95, 0.80, -0.0375), (0.90, 0.90, 0.85, -0.075)]
)
@pytest.mark.parametrize("is_random", [True, False])
def test_a_bias_of_four_to_seven_points_is_removed(
    good: float, right: float, wrong: float, bias: float, is_random: bool
) -> None:
    """In 400 runs of 500 labels the mean of the corrected rates is the truth.

    With a fixed set, half of its items are bad, whatever the traffic is like.
    """
    rng = random.Random(7)  # noqa: S311  a simulation
    values = []
    raw = np.random.default_rng(7).binomial(5000, good * right + (1 - good) * (1 - wrong), 400)
    for rate in raw / 5000:
        share = good if is_random else 0.5
        pairs = _pairs(_draw(rng, 500, good=share, right=right, wrong=wrong))
        terms = (
            prediction_powered(pairs, Population(5000, rate)) if is_random else rogan_gladen(pairs)
        )
        assert terms is not None
        values.append(terms.correct(rate, 5000).value)
    assert raw.mean() / 5000 - good == pytest.approx(bias, abs=0.002)
    assert statistics.fmean(values) == pytest.approx(good, abs=0.005)


@pytest.mark.parametrize(
    ("judge", "labels"),
    [
        (Judge(0.95, 0.95, 0.80), Labels("fixed", 100)),
        (Judge(0.99, 0.95, 0.90), Labels("fixed", 100)),
        (Judge(0.90, 0.90, 0.85), Labels("fixed", 500)),
        (Judge(0.95, 0.95, 0.80), Labels("random", 200)),
        (Judge(0.99, 0.95, 0.90), Labels("random", 200)),
        (Judge(0.95, 0.95, 0.80), Labels("by verdict", 400)),
        (Judge(0.99, 0.95, 0.90), Labels("by verdict", 200)),
    ],
    ids=str,
)
def test_the_interval_holds_the_truth_as_often_as_it_says(judge: Judge, labels: Labels) -> None:
    """In 95 of 100 simulated calibrations, less one for chance, at rates near 1 too."""
    held, width = coverage(judge, labels, runs=2000, seed=3)
    assert held >= 0.94
    assert width < 0.12


def test_a_judge_that_tells_nothing_corrects_nothing() -> None:
    """Rogan-Gladen divides by what the judge tells; below 0.3 there is no corrected rate."""
    rng = random.Random(1)  # noqa: S311  a simulation
    pairs = _pairs(_draw(rng, 2000, good=0.5, right=0.6, wrong=0.6))
    assert rogan_gladen(pairs) is None
    assert rogan_gladen([Pair(True, True)] * 100) is None
    assert math.isclose(prediction_powered(pairs, Population(1e6, 0.5)).slope, 0.2, abs_tol=0.06)
