"""Tests of the before/after sums, against figures worked out by hand."""

import pytest

from workers.demo.comparison import Sample, Score


def _scores(passed: int, failed: int, weight: float = 1.0) -> list[Score]:
    return [Score(1.0, True, weight)] * passed + [Score(0.0, False, weight)] * failed


def test_equal_weights_change_nothing() -> None:
    """A sample at one probability has the plain mean."""
    sample = Sample.of(_scores(30, 10, weight=20.0))
    assert sample.count == 40
    assert sample.mean == sample.pass_rate == pytest.approx(0.75)


def test_weights_undo_uneven_sampling() -> None:
    """Ten failures kept whole and ten passes kept at a tenth stand for 110 calls, 100 passed."""
    sample = Sample.of([*_scores(10, 0, weight=10.0), *_scores(0, 10)])
    assert sample.pass_rate == pytest.approx(100 / 110)


def test_means_are_of_values_and_rates_of_passes() -> None:
    """A grade of 0.6 that passes adds 0.6 to the mean and a whole pass to the rate."""
    sample = Sample.of([Score(0.6, True, 1.0), Score(0.2, False, 1.0)])
    assert sample.mean == pytest.approx(0.4)
    assert sample.pass_rate == pytest.approx(0.5)


def test_no_scores_have_no_mean() -> None:
    """Nothing is never zero: an empty sample has no mean and no rate."""
    assert Sample.of([]) == Sample(0, None, None)
