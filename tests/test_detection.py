"""The simulation behind the figures on detection: its sums, counts and bound, by brute force."""

import math

import numpy as np
import pytest

from bench.simulation.alarms import episodes, first_alarms, lorden_min, too_many
from bench.simulation.detectors import BY
from bench.simulation.history import TICKS_PER_EVALUATION, History
from bench.simulation.streams import CLEAN, CLUSTERED, DAY_TICKS, SEASONAL, simulate
from workers import signals
from workers.signals import Sums, Window


def test_arrays_give_what_floats_give() -> None:
    """The simulation asks the very functions that the demo asks, number by number."""
    rng = np.random.default_rng(1)
    count, day_count = rng.integers(0, 300, 50) * 1.0, rng.integers(0, 3000, 50) * 1.0
    passed, day_passed = (
        rng.binomial(count.astype(int), 0.8),
        rng.binomial(day_count.astype(int), 0.9),
    )
    window, day = (
        Sums(count, passed, passed, count),
        Sums(day_count, day_passed, day_passed, day_count),
    )
    together = signals.regression_evidence(Window(5), window, day, (day,), by=BY)
    for index in range(50):
        one, of_day = (
            Sums(*(float(array[index]) for array in (n, x, x, n)))
            for n, x in ((count, passed), (day_count, day_passed))
        )
        alone = signals.regression_evidence(Window(5), one, of_day, (of_day,))
        assert together[index] == pytest.approx(alone)
    assert (together > 0.5).any()


def test_windows_hold_what_increase_would_give() -> None:
    """A window of 2 minutes has the scores between its 8 scrapes, stretched to its length."""
    scores = simulate(CLEAN, 40, 2, 1, np.random.default_rng(2))
    history = History(scores, 0)
    ends = np.array([2000, 4000])
    sums = history.window(2, ends)
    for series in range(2):
        for column, end in enumerate(ends):
            seen = scores.count[series, end - 7 : end].sum()
            assert sums.weight[series, column] == pytest.approx(seen * 8 / 7)


def test_a_day_is_the_mean_of_its_hours() -> None:
    """The trailing day is 1440 hourly sums, a minute apart, over 60, and ends an hour ago."""
    scores = simulate(CLEAN, 10, 1, 2, np.random.default_rng(3))
    now = DAY_TICKS * 5 // 4
    found = History(scores, 0).trailing(np.array([now])).weight[0, 0]
    hours = [
        scores.count[0, max(end - 239, 0) : end].sum() * 240 / 239
        for end in range(now - 240 - 4 * 1439, now - 239, 4)
    ]
    assert found == pytest.approx(sum(hours) / 60)


def test_scores_of_a_trace_are_counted_together() -> None:
    """Five scores a trace are five in the weights, and twenty-five in their squares."""
    scores = simulate(CLUSTERED, 10, 1, 1, np.random.default_rng(4))
    sums = History(scores, 0).window(60, np.array([1000]))
    assert sums.weight_squares == pytest.approx(5 * sums.weight)
    assert signals.effective_count(sums, by=BY) == pytest.approx(sums.weight / 5)


def test_a_drop_lowers_the_pass_rate_and_nothing_before() -> None:
    """From its tick on, the pass rate is lower by the drop; the past is left as it was."""
    scores = simulate(SEASONAL, 100, 4, 2, np.random.default_rng(5))
    fallen = scores.drop(0.1, DAY_TICKS, np.random.default_rng(6))
    assert (fallen.passed[:, :DAY_TICKS] == scores.passed[:, :DAY_TICKS]).all()
    lost = (scores.passed - fallen.passed).sum() / scores.count[:, DAY_TICKS:].sum()
    assert lost == pytest.approx(0.1, abs=0.005)


def test_alarms_within_an_hour_are_one() -> None:
    """Two alarms of one series an hour apart are one, two hours apart are two."""
    is_alarm = np.zeros((2, 1000), dtype=bool)
    is_alarm[0, [10, 20, 130]] = True
    is_alarm[1, [10, 400]] = True
    assert episodes(is_alarm) == 3


def test_delays_run_from_the_drop_to_the_evaluation() -> None:
    """The first evaluation above the level counts, and no alarm is an infinite delay."""
    ends = np.arange(100, 120, TICKS_PER_EVALUATION)
    statistic = np.zeros((2, len(ends)))
    statistic[0, 3:] = 1.5
    assert first_alarms(statistic, ends, 99).tolist() == [(106 - 99) / 4, math.inf]


def test_the_bound_is_that_of_the_books() -> None:
    """From 0.95 at 10 a minute, a drop of 0.05 needs ln(43.2 million) / KL(.90 ‖ .95) scores."""
    divergence = 0.9 * math.log(0.9 / 0.95) + 0.1 * math.log(0.1 / 0.05)
    assert lorden_min(CLEAN, 10, 0.05) == pytest.approx(math.log(43.2e6) / divergence / 10)
    assert lorden_min(CLEAN, 10, 0.05) == pytest.approx(85.1, abs=0.05)


@pytest.mark.parametrize(
    ("alarms", "months", "contradicts"),
    [(0, 48, False), (2, 48, False), (4, 48, True), (9, 384, False), (12, 384, True)],
)
def test_a_count_contradicts_the_goal_only_beyond_chance(
    alarms: int, months: int, contradicts: bool
) -> None:
    """Few false alarms in few months prove nothing against one in 100 months; many do."""
    assert too_many(alarms, months) is contradicts
