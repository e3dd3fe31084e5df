"""The series that alerts are made of."""

from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from support.samples import TRACE_ID, config
from support.samples import outcome as plain_outcome

from schemas.outcome import Origin, Outcome
from schemas.reasons import Reason
from workers import score_metrics
from workers.metrics import Metrics
from workers.score_metrics import evaluator_version

_LABELS = {
    "environment": "production",
    "service": "support-bot",
    "evaluator": "toxicity",
    "evaluator_version": "1.0+abcdef01",
    "model": "gpt-5-mini",
    "prompt_version": "v1",
}

_NOW_S = 1_790_000_010.0
"""Some seconds after the calls of `support.samples`."""


@pytest.fixture
def registry() -> CollectorRegistry:
    """An empty registry."""
    return CollectorRegistry()


def _metrics(registry: CollectorRegistry, now_s: float = _NOW_S, **sections: Any) -> Metrics:
    return Metrics(registry, config(**sections), clock=lambda: now_s)


def outcome(value: float = 1.0, *, label: str | None = None, **fields: Any) -> Outcome:
    """Make an outcome whose score may have a label."""
    made = plain_outcome(value, **fields)
    return made if made.score is None else replace(made, score=replace(made.score, label=label))


def _value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(name, _LABELS | labels)


def test_scores_are_weighted_by_their_probability(registry: CollectorRegistry) -> None:
    """Two scores, one of them kept at a quarter, stand for five."""
    _metrics(registry).observe_outcomes(
        [
            outcome(1.0, probability=1.0, trace_id="1" * 32),
            outcome(0.4, probability=0.25, trace_id="2" * 32),
        ]
    )
    assert _value(registry, "assay_scores_total") == 2
    assert _value(registry, "assay_scores_passed_total") == 1
    assert _value(registry, "assay_score_weight_total") == 5
    assert _value(registry, "assay_score_weighted_total") == pytest.approx(1 + 4 * 0.4)
    assert _value(registry, "assay_score_weighted_squares_total") == pytest.approx(1 + 4 * 0.16)
    assert _value(registry, "assay_score_weighted_passed_total") == 1
    assert _value(registry, "assay_score_weight_squares_total") == 1 + 16
    assert _value(registry, "assay_critical_findings_total") == 0


def test_scores_of_one_trace_are_one_piece_of_evidence(registry: CollectorRegistry) -> None:
    """Squared weights add up to the square of the trace's weight, not to a sum of squares."""
    metrics = _metrics(registry)
    metrics.observe_outcomes([outcome(probability=0.5), outcome(probability=0.25)])
    metrics.observe_outcomes([outcome(probability=0.5)])
    assert _value(registry, "assay_score_weight_squares_total") == (2 + 4 + 2) ** 2
    metrics.observe_outcomes([outcome(prompt_version="v2")])
    assert _value(registry, "assay_score_weight_squares_total", prompt_version="v2") == 1


def test_memory_of_traces_is_bounded(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forgotten trace counts as a new one."""
    monkeypatch.setattr(score_metrics, "_MAX_TRACES", 2)
    metrics = _metrics(registry)
    for trace in ("1", "2", "3", "1"):
        metrics.observe_outcomes([outcome(trace_id=trace * 32)])
    assert _value(registry, "assay_score_weight_squares_total") == 4


@pytest.mark.parametrize("origin", [Origin.RETRY, Origin.BACKFILL])
def test_only_live_scores_feed_the_series(registry: CollectorRegistry, origin: Origin) -> None:
    """A backfill of yesterday is counted by itself and alerts nobody today."""
    _metrics(registry).observe_outcomes([outcome(0.0, origin=origin)])
    assert _value(registry, "assay_scores_total") is None
    of_evaluator = {"evaluator": "toxicity", "outcome": "scored", "reason": ""}
    assert registry.get_sample_value("assay_outcomes_total", of_evaluator) == 0
    of_origin = {"origin": origin.value, "outcome": "scored"}
    assert registry.get_sample_value("assay_second_chance_outcomes_total", of_origin) == 1


def test_what_is_not_scored_has_no_score(registry: CollectorRegistry) -> None:
    """A failed evaluation is an outcome and never a score of zero."""
    _metrics(registry).observe_outcomes([outcome(reason=Reason.TIMEOUT)])
    assert _value(registry, "assay_scores_total") is None
    labels = {"evaluator": "toxicity", "outcome": "failed", "reason": "timeout"}
    assert registry.get_sample_value("assay_outcomes_total", labels) == 1


def test_critical_findings_count_where_the_config_pages_on_any(
    registry: CollectorRegistry,
) -> None:
    """The same finding of an evaluator without `page_on` is a low score, not a page."""
    settings = {"toxicity": {"page_on": "any"}, "pii": {}}
    _metrics(registry, evaluators=settings).observe_outcomes(
        [outcome(0.0, critical=True), outcome(0.0, critical=True, evaluator="pii"), outcome(1.0)]
    )
    assert _value(registry, "assay_critical_findings_total") == 1
    assert _value(registry, "assay_critical_findings_total", evaluator="pii") == 0


def test_whatever_changes_the_meaning_of_a_score_is_in_its_version() -> None:
    """The model that answered and a degraded answer are series boundaries."""
    assert evaluator_version(outcome()) == "1.0+abcdef01"
    assert evaluator_version(outcome(model_answered="gpt-5-mini-2026")) == (
        "1.0+abcdef01/gpt-5-mini-2026"
    )
    assert evaluator_version(outcome(degraded=True)) == "1.0+abcdef01/degraded"


def test_a_bucket_links_to_a_trace(registry: CollectorRegistry) -> None:
    """A low score's bucket carries its trace id as exemplar, and ids are never labels."""
    _metrics(registry).observe_outcomes([outcome(0.05)])
    lines = _openmetrics(registry, "assay_score_bucket")
    (shown,) = (line for line in lines if 'le="0.1"' in line)
    assert f'# {{trace_id="{TRACE_ID}"}} 0.05' in shown
    assert not any(TRACE_ID in line.partition(" # ")[0] for line in lines)


def test_objectives_of_the_config_are_shown(registry: CollectorRegistry) -> None:
    """An evaluator with an objective has the gauge, one without has not."""
    _metrics(registry, evaluators={"toxicity": {"objective": 0.93}, "pii": {}})
    name = "assay_evaluator_objective_ratio"
    assert registry.get_sample_value(name, {"evaluator": "toxicity"}) == 0.93
    assert registry.get_sample_value(name, {"evaluator": "pii"}) is None


def test_label_sets_are_bounded(registry: CollectorRegistry) -> None:
    """Endless prompt versions end in `other`, counted, with the service still told apart."""
    metrics = _metrics(registry, metrics={"max_label_sets": 18})
    metrics.observe_outcomes([outcome(prompt_version=f"v{number}") for number in range(100)])
    metrics.observe_outcomes([outcome(service="late", prompt_version="v1")])
    assert _value(registry, "assay_scores_total", prompt_version="v7") == 1
    assert _value(registry, "assay_scores_total", prompt_version="v8") is None
    assert _value(registry, "assay_scores_total", prompt_version="other") == 92
    assert _value(registry, "assay_scores_total", prompt_version="other", service="late") == 1
    overflow = {"label": "prompt_version"}
    assert registry.get_sample_value("assay_label_overflow_total", overflow) == 93


def test_what_ended_an_hour_ago_says_nothing_about_now(registry: CollectorRegistry) -> None:
    """The backlog of an outage is counted as late, and as outcomes, and moves no window."""
    metrics = _metrics(registry, now_s=_NOW_S + 3600)
    metrics.observe_outcomes([outcome(0.0), outcome(0.0, label="leak")])
    assert _value(registry, "assay_scores_total") == 0
    assert _value(registry, "assay_score_weight_total") == 0
    of_evaluator = {"evaluator": "toxicity"}
    assert registry.get_sample_value("assay_score_count", of_evaluator) is None
    assert registry.get_sample_value("assay_scores_late_total", of_evaluator) == 2
    assert registry.get_sample_value("assay_scores_late_total", {"evaluator": "pii"}) == 0
    scored = of_evaluator | {"outcome": "scored", "reason": ""}
    assert registry.get_sample_value("assay_outcomes_total", scored) == 2


def test_a_long_call_is_as_old_as_its_end(registry: CollectorRegistry) -> None:
    """An agent that ran for two hours and has just ended is news."""
    found = outcome()
    began = found.subject.start_unix_nano - 7_200_000_000_000
    subject = replace(found.subject, start_unix_nano=began, duration_s=7202.0)
    _metrics(registry).observe_outcomes([replace(found, subject=subject)])
    assert _value(registry, "assay_scores_total") == 1


def test_a_critical_finding_is_never_too_late(registry: CollectorRegistry) -> None:
    """Nobody has been told of it; its trace is the counter's exemplar."""
    metrics = _metrics(registry, now_s=_NOW_S + 7200, evaluators={"toxicity": {"page_on": "any"}})
    metrics.observe_outcomes([outcome(0.0, critical=True)])
    assert _value(registry, "assay_critical_findings_total") == 1
    (line,) = _openmetrics(registry, "assay_critical_findings_total")
    assert f'# {{trace_id="{TRACE_ID}"}} 1.0' in line


def test_words_of_evaluators_are_counted_and_weighted(registry: CollectorRegistry) -> None:
    """The share of leaks in all traffic follows from the weights."""
    _metrics(registry).observe_outcomes(
        [
            outcome(0.0, label="leak", probability=0.25),
            outcome(1.0, label="clean"),
            outcome(1.0, label="clean"),
            outcome(1.0),
        ]
    )
    assert _words(registry, "assay_score_labels_total") == {"leak": 1, "clean": 2}
    assert _words(registry, "assay_score_label_weight_total") == {"leak": 4, "clean": 2}


def test_an_evaluator_cannot_fill_the_page_with_words(registry: CollectorRegistry) -> None:
    """After twenty words of one evaluator the rest is `other`; another keeps its own."""
    metrics = _metrics(registry)
    metrics.observe_outcomes([outcome(label=f"word {number}") for number in range(100)])
    metrics.observe_outcomes([outcome(label="leak", evaluator="pii")])
    found = _words(registry, "assay_score_labels_total")
    assert len(found) == 22
    assert (found["other"], found["leak"]) == (80, 1)
    assert registry.get_sample_value("assay_label_overflow_total", {"label": "label"}) == 80


def _words(registry: CollectorRegistry, name: str) -> dict[str, float]:
    found = (sample for family in registry.collect() for sample in family.samples)
    return {each.labels["label"]: each.value for each in found if each.name == name}


def _openmetrics(registry: CollectorRegistry, name: str) -> list[str]:
    encode, _ = choose_encoder("application/openmetrics-text;version=1.0.0")
    lines = encode(registry).decode().splitlines()
    return [line for line in lines if line.startswith(f"{name}{{")]
