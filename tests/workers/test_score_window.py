"""The sliding window of `assay top`: what counts, for how long, and how much is kept of it."""

from dataclasses import replace
from typing import Any

import pytest
from support.samples import outcome

from schemas.outcome import Origin, Outcome, Sampling
from schemas.reasons import Reason
from workers import score_window
from workers.score_window import ScoreWindow

NOW_S = 1_790_000_000.0


def _outcome(number: int, value: float = 1.0, **fields: Any) -> Outcome:
    return outcome(value, **{"evaluation_id": f"{number:032x}", **fields})


def _filled(*outcomes: Outcome, seconds: float = 60.0) -> ScoreWindow:
    window = ScoreWindow(seconds)
    for each in outcomes:
        window.add(each, NOW_S)
    return window


def test_means_and_pass_rates_are_weighted() -> None:
    """One failing score that stands for nine others outweighs a certain one that passed."""
    window = _filled(_outcome(1, 1.0), _outcome(2, 0.0, probability=1 / 9))
    totals = window.rows(NOW_S)["support", "toxicity"]
    assert totals.scored == 2
    assert totals.mean == pytest.approx(0.1)
    assert totals.pass_rate == pytest.approx(0.1)


def test_reasons_are_counted_beside_scores() -> None:
    """What has no score says why, and moves no mean."""
    window = _filled(
        _outcome(1),
        _outcome(2, reason=Reason.TIMEOUT),
        _outcome(3, reason=Reason.NO_CONTENT),
        _outcome(4, reason=Reason.NO_CONTENT),
    )
    totals = window.rows(NOW_S)["support", "toxicity"]
    assert (totals.outcomes, totals.scored, totals.mean) == (4, 1, 1.0)
    assert dict(totals.reasons) == {"timeout": 1, "no_content": 2}


def test_only_reasons_have_no_mean() -> None:
    """Nothing scored is nothing to average."""
    totals = _filled(_outcome(1, reason=Reason.TIMEOUT)).rows(NOW_S)["support", "toxicity"]
    assert (totals.mean, totals.pass_rate) == (None, None)


def test_an_outcome_of_two_routes_is_in_both_rows_and_once_in_all() -> None:
    """Spend is not doubled by a second route that asks for the same evaluation."""
    window = _filled(_outcome(1, model_answered="m", sampling=Sampling(("a", "b"), 1.0)))
    assert list(window.rows(NOW_S)) == [("a", "toxicity"), ("b", "toxicity")]
    every = window.every(NOW_S)
    assert every.outcomes == 1
    assert every.usd == pytest.approx(0.001)


def test_a_judge_without_a_price_is_counted_as_such() -> None:
    """Unknown spend is not zero."""
    priced = _outcome(1, model_answered="m")
    assert priced.judge is not None
    unpriced = _outcome(2, judge=replace(priced.judge, cost_usd=None))
    every = _filled(priced, unpriced, _outcome(3)).every(NOW_S)
    assert every.unpriced == 1
    assert every.usd == pytest.approx(0.001)


def test_old_outcomes_leave_the_window() -> None:
    """A minute later only what came since is there."""
    window = _filled(_outcome(1, 0.0))
    window.add(_outcome(2, 1.0), NOW_S + 50)
    assert window.every(NOW_S + 50).scored == 2
    assert window.every(NOW_S + 70).mean == 1.0
    assert window.rows(NOW_S + 120) == {}


def test_a_repeated_outcome_counts_once() -> None:
    """After a crash some are published again, under the same id."""
    window = _filled(_outcome(1, 0.2), _outcome(1, 0.2), _outcome(2, 0.4))
    assert window.every(NOW_S).scored == 2
    assert window.every(NOW_S).mean == pytest.approx(0.3)


def test_the_highest_revision_holds_then_the_last() -> None:
    """A fragment that was judged alone never wins over the whole trace."""
    window = _filled(
        _outcome(1, 0.1, revision=1),
        _outcome(1, 0.2, revision=3),
        _outcome(1, 0.3, revision=2),
        _outcome(1, reason=Reason.TIMEOUT, revision=3),
    )
    totals = window.every(NOW_S)
    assert (totals.outcomes, totals.scored, dict(totals.reasons)["timeout"]) == (1, 0, 1)
    assert totals.weight == 0


@pytest.mark.parametrize("origin", [Origin.RETRY, Origin.BACKFILL])
def test_second_chances_say_nothing_about_now(origin: Origin) -> None:
    """They are told apart, as in the metrics."""
    window = _filled(_outcome(1, origin=origin))
    assert (window.rows(NOW_S), window.left_out) == ({}, 1)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever stands on the topic: rows, times and remembered ids each have an end."""
    monkeypatch.setattr(score_window, "_REMEMBERED", 100)
    window = ScoreWindow(60)
    for number in range(5000):
        routes = Sampling((f"route-{number}",), 1.0)
        window.add(_outcome(number, sampling=routes), NOW_S + number)
    rows = window.rows(NOW_S + 4999)
    assert len(rows) == 1, "all rooms were taken long before the last minute"
    assert rows["other", "other"].scored == 60
    assert (len(window._recent), len(window._known), len(window._slots)) == (100, 500, 60)
