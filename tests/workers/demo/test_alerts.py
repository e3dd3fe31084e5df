"""Which alerts a run would fire, from its outcomes alone."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.samples import outcome

from schemas.outcome import Outcome
from workers.demo.alerts import OBJECTIVE_MISSED, VERSION_REGRESSED, find_alerts

START_S = 1_790_000_000


def _outcomes(
    passes: list[bool],
    version: str,
    *,
    since_s: float = 0.0,
    per_second: float = 10.0,
    probability: float = 1.0,
    traces: int | None = None,
) -> list[Outcome]:
    """Scores of one version at a steady rate; `traces` puts them all into so few traces."""
    made = []
    for index, is_good in enumerate(passes):
        at = datetime.fromtimestamp(START_S + since_s + index / per_second, UTC)
        one = outcome(
            1.0 if is_good else 0.0, evaluator="answer_relevance", probability=probability
        )
        trace = index % traces if traces else index
        made.append(
            replace(
                one,
                trace_id=f"{version:0<8}{trace:024x}".replace("v", "a"),
                subject=replace(one.subject, prompt_version=version),
                evaluated_at=at.isoformat().replace("+00:00", "Z"),
            )
        )
    return made


def _every(number: int, count: int) -> list[bool]:
    """Of `count` scores, each `number`th fails."""
    return [index % number > 0 for index in range(1, count + 1)]


GOOD, BAD = _every(25, 200), _every(2, 200)


def test_a_worse_version_is_told_soon() -> None:
    """Half of v8's answers fail beside 4 % of v7's: seconds after it began, with all figures."""
    run = _outcomes(GOOD, "v7") + _outcomes(BAD, "v8", since_s=20)
    (alert,) = find_alerts(run, {})
    assert (alert.name, alert.service) == (VERSION_REGRESSED, "support-bot")
    assert (alert.evaluator, alert.prompt_version) == ("answer_relevance", "v8")
    assert alert.mean == pytest.approx(0.5)
    assert alert.expected == pytest.approx(0.96)
    assert alert.drop == pytest.approx(0.46)
    assert alert.count == pytest.approx(200)
    assert alert.evidence > 2
    assert START_S + 20 < alert.fired_s <= START_S + 30


def test_a_version_that_is_as_good_is_silent() -> None:
    """A rollout that changes nothing, and one that is better, fire nothing."""
    for after in (GOOD, [True] * 200):
        assert find_alerts(_outcomes(GOOD, "v7") + _outcomes(after, "v8", since_s=20), {}) == []


def test_too_few_scores_beside_it_are_silent() -> None:
    """With 99 scores of the other version there is nothing to compare with; with 100 there is."""
    for count, fires in ((99, False), (100, True)):
        run = _outcomes(_every(25, count), "v7") + _outcomes(BAD, "v8", since_s=20)
        assert bool(find_alerts(run, {})) is fires


def test_scores_of_few_traces_are_little_evidence() -> None:
    """Two hundred scores in ten traces are ten pieces of evidence, and fire nothing."""
    run = _outcomes(GOOD, "v7") + _outcomes(BAD, "v8", since_s=20, traces=10)
    assert find_alerts(run, {}) == []


def test_a_broken_promise_needs_no_second_version() -> None:
    """A mean far below the objective fires by itself; one above it never does."""
    run = _outcomes(BAD, "v7")
    (alert,) = find_alerts(run, {"answer_relevance": 0.9})
    assert (alert.name, alert.prompt_version) == (OBJECTIVE_MISSED, None)
    assert alert.mean == pytest.approx(0.5)
    assert alert.expected == 0.9
    assert find_alerts(_outcomes(GOOD, "v7"), {"answer_relevance": 0.9}) == []
    assert find_alerts(run, {"toxicity": 0.9}) == []


def test_an_objective_is_about_all_versions_together() -> None:
    """Good scores of another version weigh in: by their sampling, not by their number."""
    bad = _outcomes(BAD, "v8")
    rare = _outcomes([True] * 50, "v7", probability=0.01)
    assert find_alerts(bad, {"answer_relevance": 0.9})
    names = {alert.name for alert in find_alerts(bad + rare, {"answer_relevance": 0.9})}
    assert OBJECTIVE_MISSED not in names


def test_what_left_the_window_no_longer_counts() -> None:
    """The figures are of the window with the most evidence, not of the whole run."""
    run = _outcomes([True] * 400, "v7") + _outcomes(BAD, "v7", since_s=200)
    (alert,) = find_alerts(run, {"answer_relevance": 0.9})
    assert alert.window == "2m"
    assert alert.mean == pytest.approx(0.5)


def test_another_evaluator_version_is_another_series() -> None:
    """A harsher rubric is no worse prompt: its scores are compared with none of the old one's."""
    harsh = [
        replace(one, evaluator=replace(one.evaluator, version="2"))
        for one in _outcomes(BAD, "v8", since_s=20)
    ]
    assert find_alerts(_outcomes(GOOD, "v7") + harsh, {}) == []


def test_nothing_scored_fires_nothing() -> None:
    """A run without a score has no alert."""
    assert find_alerts([], {"answer_relevance": 0.9}) == []
    assert find_alerts([replace(outcome(), score=None)], {"toxicity": 0.9}) == []
