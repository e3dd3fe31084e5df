"""The statistic of the alert rules, against figures worked out by hand and against chance."""

import math
import random

import pytest

from workers import signals
from workers.signals import NOTHING, WINDOWS, Sums, Window

FIVE, HOUR = Window(5), Window(60)


def _scores(passed: float, failed: float, weight: float = 1.0) -> Sums:
    """Pass/fail scores of one weight, one a trace."""
    count = passed + failed
    return Sums(weight * count, weight * passed, weight * passed, weight**2 * count)


@pytest.mark.parametrize(
    ("window", "name", "threshold", "completeness"),
    [
        (WINDOWS[0], "2m", 17.29, 0.875),
        (WINDOWS[1], "5m", 16.38, 0.95),
        (WINDOWS[2], "15m", 15.28, 0.9833),
        (WINDOWS[3], "1h", 13.89, 0.9958),
        (WINDOWS[4], "6h", 12.10, 0.9993),
    ],
)
def test_thresholds_follow_from_the_false_alarms(
    window: Window, name: str, threshold: float, completeness: float
) -> None:
    """Each window has the threshold ln(5 · 3 · 43200 / minutes / 0.01)."""
    assert window.name == name
    assert window.threshold() == pytest.approx(threshold, abs=0.005)
    assert window.completeness == pytest.approx(completeness, abs=5e-5)


def test_a_hundred_times_fewer_false_alarms_cost_the_logarithm() -> None:
    """Asking for fewer false alarms raises every threshold by the same few nats."""
    assert FIVE.threshold(1e-4) - FIVE.threshold() == pytest.approx(math.log(100))


def test_no_window_lies_in_its_baseline() -> None:
    """The day that a window is compared with has ended when the window begins."""
    assert [window.baseline_gap_minutes for window in WINDOWS] == [60, 60, 60, 60, 360]


def test_surprise_is_the_likelihood_ratio() -> None:
    """60 of 100 against 190 of 200: the log-likelihoods of two rates minus that of one, 250/300."""
    expected = (
        (60 * math.log(0.6) + 40 * math.log(0.4))
        + (190 * math.log(0.95) + 10 * math.log(0.05))
        - (250 * math.log(250 / 300) + 50 * math.log(50 / 300))
    )
    assert signals.surprise(_scores(60, 40), _scores(190, 10)) == pytest.approx(expected)
    assert expected == pytest.approx(28.2, abs=0.05)


def test_equal_weights_change_nothing() -> None:
    """Scores that all stand for twenty calls tell as much as scores that stand for one."""
    for weight in (1.0, 20.0):
        sums = _scores(30, 10, weight)
        assert signals.mean(sums) == pytest.approx(0.75)
        assert signals.effective_count(sums) == pytest.approx(40)


def test_uneven_weights_lose_information() -> None:
    """100 scores of weight 1 and one of weight 100 are worth no more than four."""
    sums = _scores(90, 10) + _scores(1, 0, 100.0)
    assert signals.effective_count(sums) == pytest.approx(200**2 / (100 + 100**2))


def test_a_window_without_heavy_scores_is_no_more_precise() -> None:
    """By chance no heavy score fell into the window: it counts as if its share of them had."""
    baseline = _scores(90, 10) + _scores(1, 0, 100.0)
    window = _scores(18, 2)
    assert signals.effective_count(window) == pytest.approx(20)
    assert signals.effective_count(window, baseline) == pytest.approx(20**2 / (20 * 10100 / 200))


def test_scores_of_a_trace_count_once() -> None:
    """Five agreeing scores a trace, squared weights kept by trace: the evidence of one a trace."""
    window, day = _scores(60, 40), _scores(1900, 100)
    five = [
        Sums(5 * s.weight, 5 * s.weighted, 5 * s.weighted_squares, 25 * s.weight)
        for s in (window, day)
    ]
    assert signals.surprise(*five) == pytest.approx(signals.surprise(window, day))


def test_grades_are_sharper_than_passes() -> None:
    """Scores of 0.5 to 1 vary less than pass/fail with that mean: the same drop tells more."""
    day = Sums(1000.0, 750.0, 500 * 1 + 500 * 0.25, 1000.0)
    assert signals.dispersion(day) == pytest.approx(0.0625 / (0.75 * 0.25))
    grades = Sums(100.0, 65.0, 44.0, 100.0)
    passes = Sums(1000.0, 750.0, 750.0, 1000.0)
    assert signals.surprise(grades, day) == pytest.approx(3 * signals.surprise(grades, passes))


def test_dispersion_stays_in_its_bounds() -> None:
    """Scores that never vary are not taken for certain, nor passes for more than passes."""
    assert signals.dispersion(Sums(100.0, 50.0, 25.0, 100.0)) == 0.02
    assert signals.dispersion(_scores(50, 50)) == pytest.approx(1.0)
    assert signals.dispersion(_scores(100, 0)) <= 1.0


def test_nothing_is_no_evidence() -> None:
    """An empty window, an empty baseline and both are quiet, and raise nothing."""
    day = _scores(950, 50)
    for sums, baseline in ((NOTHING, day), (day, NOTHING), (NOTHING, NOTHING)):
        assert signals.drop_evidence(FIVE, sums, baseline) == 0
    assert signals.objective_evidence(FIVE, NOTHING, 0.9) == 0
    assert signals.version_evidence(FIVE, NOTHING, NOTHING, NOTHING) == 0


def test_a_rise_is_no_evidence() -> None:
    """Better scores surprise as much as worse ones, and are no reason to page."""
    day = _scores(800, 200)
    assert signals.surprise(_scores(100, 0), day) > FIVE.threshold()
    assert signals.drop_evidence(FIVE, _scores(100, 0), day) == 0
    assert signals.drop_evidence(FIVE, _scores(0, 100), day) > 1


def test_a_short_baseline_is_not_compared_with() -> None:
    """Below 100 effective scores a day says nothing."""
    bad = _scores(10, 90)
    assert signals.drop_evidence(FIVE, bad, _scores(94, 5)) == 0
    assert signals.drop_evidence(FIVE, bad, _scores(95, 5)) > 1


def test_two_failures_of_three_are_silent() -> None:
    """No minimum of scores in a window is needed: a few failures are too little evidence."""
    assert signals.drop_evidence(FIVE, _scores(1, 2), _scores(950, 50)) < 0.5


def test_a_season_explains_a_drop() -> None:
    """A night that is as bad as every night pages nobody; one that is worse does."""
    day, night = _scores(13_300, 700), _scores(3_500, 700)
    for before, after in ((night, night), (day, night), (night, day)):
        usual = signals.regression_evidence(HOUR, _scores(500, 100), day, (before, after))
        assert usual < 0.1
    worse = signals.regression_evidence(HOUR, _scores(380, 220), day, (night, night))
    assert worse > 1


def test_a_short_season_is_not_asked() -> None:
    """A time of day with fewer than 300 effective scores speaks neither for nor against."""
    bad, day = _scores(70, 30), _scores(950, 50)
    alone = signals.regression_evidence(FIVE, bad, day)
    assert alone > 1
    assert signals.regression_evidence(FIVE, bad, day, (_scores(200, 99),)) == alone
    assert signals.regression_evidence(FIVE, bad, day, (_scores(210, 90),)) == 0


def test_noise_divides_the_evidence() -> None:
    """A series whose surprise is four times that of chance needs four times the evidence."""
    assert signals.noise_factor(1.0) == 1
    factor = signals.noise_factor(4 * 2.706 / 2)
    assert factor == pytest.approx(4)
    bad, day = _scores(60, 40), _scores(950, 50)
    alone = signals.regression_evidence(FIVE, bad, day)
    assert signals.regression_evidence(FIVE, bad, day, noise=factor) == pytest.approx(alone / 4)


def test_least_surprise_counts_both_directions() -> None:
    """Noise is measured on rises and drops, against whichever baseline explains more."""
    day, season = _scores(9500, 500), _scores(850, 150)
    for window in (_scores(99, 1), _scores(80, 20)):
        least = signals.least_surprise(window, day, (season, _scores(1, 1)))
        assert least == min(signals.surprise(window, day), signals.surprise(window, season))
        assert least > 0


def test_objective_evidence_is_a_divergence() -> None:
    """120 scores with mean 0.6 against 0.9: n·KL over the threshold, and 0 above the objective."""
    expected = 120 * (0.6 * math.log(0.6 / 0.9) + 0.4 * math.log(0.4 / 0.1)) / FIVE.threshold()
    assert signals.objective_evidence(FIVE, _scores(72, 48), 0.9) == pytest.approx(expected)
    assert signals.objective_evidence(FIVE, _scores(109, 11), 0.9) == 0


def test_a_version_must_be_worse_than_its_hour_too() -> None:
    """At a bad hour of all versions a new one is not blamed; nor where the hour is empty."""
    new, day = _scores(240, 60), _scores(9500, 500)
    assert signals.drop_evidence(FIVE, new, day) > 1
    assert signals.version_evidence(FIVE, new, day, _scores(950, 50)) > 1
    assert signals.version_evidence(FIVE, new, day, _scores(800, 200)) == 0
    assert signals.version_evidence(FIVE, new, day, _scores(80, 5)) == 0


def test_chance_surprises_as_often_as_it_says() -> None:
    """Of windows without a change, a tenth surprises more than half of χ²'s upper tenth."""
    source = random.Random(3)  # noqa: S311  made-up scores
    day = _scores(90_000, 10_000)
    found = 0
    for _ in range(2000):
        passed = sum(source.random() < 0.9 for _ in range(200))
        found += signals.surprise(_scores(passed, 200 - passed), day) > 2.706 / 2
    assert found / 2000 == pytest.approx(0.1, abs=0.025)
