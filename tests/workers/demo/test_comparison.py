"""Tests of the before/after arithmetic, against figures worked out by hand."""

import math
import random

import pytest

from workers.demo.comparison import Change, Sample, Score, compare, is_regression


def _scores(passed: int, failed: int, weight: float = 1.0) -> list[Score]:
    return [Score(1.0, True, weight)] * passed + [Score(0.0, False, weight)] * failed


def test_equal_weights_change_nothing() -> None:
    """A sample at one probability has the plain mean and as many effective scores as scores."""
    sample = Sample.of(_scores(30, 10, weight=20.0))
    assert sample.count == 40
    assert sample.effective_count == pytest.approx(40)
    assert sample.mean == sample.pass_rate == pytest.approx(0.75)


def test_weights_undo_uneven_sampling() -> None:
    """Ten failures kept whole and ten passes kept at a tenth stand for 110 calls, 100 passed."""
    sample = Sample.of([*_scores(10, 0, weight=10.0), *_scores(0, 10)])
    assert sample.pass_rate == pytest.approx(100 / 110)
    assert sample.effective_count == pytest.approx(110**2 / (10 * 100 + 10))


def test_no_scores_have_no_mean() -> None:
    """Nothing is never zero: an empty sample has no mean and no rate."""
    assert Sample.of([]) == Sample(0, 0.0, None, None)


def test_z_is_that_of_the_textbook() -> None:
    """95 of 100 against 80 of 100: pooled .875, standard error .04677, z 3.207, p .00067."""
    change = compare(Sample.of(_scores(95, 5)), Sample.of(_scores(80, 20)))
    assert change is not None
    assert change.drop == pytest.approx(0.15)
    assert change.z == pytest.approx(3.2071, abs=1e-4)
    assert change.p_value == pytest.approx(0.000670, abs=1e-5)


@pytest.mark.parametrize(("passed", "failed"), [(50, 0), (0, 50)])
def test_constant_scores_are_no_change(passed: int, failed: int) -> None:
    """Where all pass, or none does, on both sides, there is no variance and nothing to see."""
    sample = Sample.of(_scores(passed, failed))
    assert compare(sample, sample) == Change(0.0, 0.0, 0.5)


@pytest.mark.parametrize(
    "small", [[], _scores(4, 5), _scores(1, 0, weight=1e6) * 1 + _scores(50, 0)]
)
def test_too_few_scores_say_nothing(small: list[Score]) -> None:
    """Fewer than ten effective scores on one side are no ground for a test."""
    large = Sample.of(_scores(50, 50))
    assert compare(Sample.of(small), large) is None
    assert compare(large, Sample.of(small)) is None


def test_a_rise_is_no_regression() -> None:
    """A pass rate that rises, however far, is never noticed as a regression."""
    change = compare(Sample.of(_scores(50, 50)), Sample.of(_scores(100, 0)))
    assert change is not None
    assert change.p_value == pytest.approx(1.0)
    assert not is_regression(change, comparisons=1)


def test_looking_at_more_asks_for_more() -> None:
    """A drop at p = .005 is one where it alone is looked at, and none among ten."""
    change = Change(0.1, 2.576, 0.005)
    assert is_regression(change, comparisons=1)
    assert not is_regression(change, comparisons=10)
    assert not is_regression(None, comparisons=1)


def test_chance_alone_is_seldom_noticed() -> None:
    """Of 2,000 pairs with one true rate, about a hundredth fall below the level of a hundredth."""
    source = random.Random(11)  # noqa: S311  made-up scores
    found = 0
    for _ in range(2000):
        draws = [Score(1.0, source.random() < 0.8, source.choice((1.0, 2.0))) for _ in range(300)]
        change = compare(Sample.of(draws[:150]), Sample.of(draws[150:]))
        found += is_regression(change, comparisons=1)
    assert found / 2000 == pytest.approx(0.01, abs=0.008)


def test_effective_count_never_exceeds_the_count() -> None:
    """Uneven weights only ever lose information."""
    source = random.Random(5)  # noqa: S311  made-up scores
    draws = [Score(0.5, True, math.exp(source.gauss(0, 1))) for _ in range(200)]
    assert Sample.of(draws).effective_count < 200
