"""Cost attribution, and what calls cost and take as scores."""

from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from support.samples import TRACE_ID, config, outcome, usage

from schemas.config_file import RESERVED_EVALUATORS
from schemas.errors import ConfigError
from workers.call_scores import RESERVED
from workers.metrics import Metrics
from workers.usages import Call

_LABELS = {
    "environment": "production",
    "service": "support-bot",
    "model": "gpt-5-mini",
    "prompt_version": "",
    "tenant": "",
}
_NOW_S = 1_790_000_010.0
"""Some seconds after the calls of `support.samples`."""

_SCORE_LABELS = {
    "environment": "production",
    "service": "support-bot",
    "model": "gpt-5-mini",
    "prompt_version": "",
}
_COST = {"evaluator": "cost", "evaluator_version": "1+0.01usd"}
_LATENCY = {"evaluator": "latency", "evaluator_version": "1+2s"}


def _observe(
    registry: CollectorRegistry, *calls: Call, now_s: float = _NOW_S, **sections: Any
) -> None:
    Metrics(registry, config(**sections), clock=lambda: now_s).observe_calls(calls)


def _score(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"assay_score{name}_total", _SCORE_LABELS | labels)


def test_spend_and_tokens_are_told_by_who_pays() -> None:
    """The first value that is there names the group."""
    registry = CollectorRegistry()
    _observe(
        registry,
        Call(usage(cost_usd=0.5, groups=(None, "acme"))),
        Call(usage(cost_usd=0.25, groups=("acme", None))),
        Call(usage(cost_usd=9.0, groups=(None, None))),
    )
    labels = _LABELS | {"tenant": "acme"}
    assert registry.get_sample_value("assay_llm_calls_total", labels) == 2
    assert registry.get_sample_value("assay_llm_cost_usd_total", labels) == 0.75
    assert registry.get_sample_value("assay_llm_cost_weight_total", labels) == 2
    tokens = {
        kind: registry.get_sample_value("assay_llm_tokens_total", labels | {"type": kind})
        for kind in ("input", "output", "cached", "cache_creation", "reasoning")
    }
    assert tokens == {
        "input": 2000,
        "output": 200,
        "cached": 0,
        "cache_creation": 0,
        "reasoning": 0,
    }


def test_sampled_calls_are_weighted() -> None:
    """One call counted at a quarter stands for four."""
    registry = CollectorRegistry()
    _observe(registry, Call(usage(cost_usd=0.5), 0.25))
    assert registry.get_sample_value("assay_llm_cost_usd_total", _LABELS) == 2.0
    assert registry.get_sample_value("assay_llm_cost_weight_total", _LABELS) == 4
    labels = _LABELS | {"type": "input"}
    assert registry.get_sample_value("assay_llm_tokens_total", labels) == 4000


def test_a_call_without_a_price_is_counted_as_such() -> None:
    """It adds no weight, so it does not pull the mean cost down."""
    registry = CollectorRegistry()
    _observe(registry, Call(usage(request_model="nobody-knows"), 0.5))
    labels = _LABELS | {"model": "nobody-knows"}
    assert registry.get_sample_value("assay_llm_calls_total", labels) == 2
    assert registry.get_sample_value("assay_llm_unpriced_calls_total", labels) == 2
    assert registry.get_sample_value("assay_llm_cost_weight_total", labels) == 0


def test_a_failed_call_without_tokens_misses_no_price() -> None:
    """A provider that is down makes no model look as if it had no price."""
    registry = CollectorRegistry()
    _observe(registry, Call(usage(input_tokens=None, output_tokens=None), is_error=True))
    assert registry.get_sample_value("assay_llm_calls_total", _LABELS) == 1
    assert registry.get_sample_value("assay_llm_unpriced_calls_total", _LABELS) == 0
    assert registry.get_sample_value("assay_llm_cost_weight_total", _LABELS) == 0


def test_numbers_below_zero_do_not_break_a_counter() -> None:
    """A producer's nonsense is left out and the rest of its call is counted."""
    registry = CollectorRegistry()
    _observe(registry, Call(usage(cost_usd=-1.0, input_tokens=-5)))
    assert registry.get_sample_value("assay_llm_cost_weight_total", _LABELS) == 0
    tokens = {
        kind: registry.get_sample_value("assay_llm_tokens_total", _LABELS | {"type": kind})
        for kind in ("input", "output")
    }
    assert tokens == {"input": 0, "output": 100}


def test_a_group_needs_a_label_of_its_own() -> None:
    """A name that the metrics have already is refused with the key."""
    with pytest.raises(ConfigError, match='"service" is a label of the cost metrics already'):
        Metrics(CollectorRegistry(), config(cost={"group_by": {"name": "service"}}))


def test_each_call_is_a_score_of_its_cost_and_of_its_latency() -> None:
    """One cent and two seconds are one half each; the call stands for four."""
    registry = CollectorRegistry()
    _observe(registry, Call(usage(cost_usd=0.01), 0.25))
    for labels in (_COST, _LATENCY):
        assert _score(registry, "s", **labels) == 1
        assert _score(registry, "_weight", **labels) == 4
        assert _score(registry, "_weighted", **labels) == 2
        assert _score(registry, "_weighted_squares", **labels) == 1
        assert _score(registry, "_weight_squares", **labels) == 16
        assert _score(registry, "_weighted_passed", **labels) is None


def test_calls_of_one_trace_are_one_piece_of_evidence() -> None:
    """Squared weights add up by trace, apart for cost and latency, for labels and traces."""
    registry = CollectorRegistry()
    _observe(
        registry,
        Call(usage(cost_usd=0.01)),
        Call(usage(cost_usd=0.01), is_error=True),
        Call(usage(cost_usd=0.01, trace_id="1" * 32)),
        Call(usage(cost_usd=0.01, prompt_version="v2")),
    )
    assert _score(registry, "_weight_squares", **_COST) == 2**2 + 1
    assert _score(registry, "_weight_squares", **_LATENCY) == 1 + 1
    assert _score(registry, "_weight_squares", **_COST, prompt_version="v2") == 1


def test_what_is_not_known_of_a_call_is_no_score() -> None:
    """No price, no score of cost; a failed call or one without a length, none of latency."""
    registry = CollectorRegistry()
    end = usage().end_unix_nano
    _observe(
        registry,
        Call(usage(input_tokens=None, output_tokens=None)),
        Call(usage(), is_error=True),
        Call(usage(start_unix_nano=end)),
        Call(usage(start_unix_nano=end + 1)),
    )
    assert _score(registry, "s", **_COST) == 3
    assert _score(registry, "s", **_LATENCY) == 1


def test_old_calls_are_paid_for_and_are_no_news() -> None:
    """The backlog of an outage is in the spend of all time and moves no window of the scores."""
    registry = CollectorRegistry()
    _observe(registry, Call(usage(cost_usd=0.5)), now_s=_NOW_S + 3600)
    assert registry.get_sample_value("assay_llm_cost_usd_total", _LABELS) == 0.5
    assert _score(registry, "s", **_COST) is None
    for evaluator in ("cost", "latency"):
        labels = {"evaluator": evaluator}
        assert registry.get_sample_value("assay_scores_late_total", labels) == 1


def test_another_reference_is_another_series() -> None:
    """Whoever changes `cost.reference_usd` sees no regression."""
    registry = CollectorRegistry()
    _observe(registry, Call(usage(cost_usd=0.25)), cost={"reference_usd": 0.25})
    labels = _COST | {"evaluator_version": "1+0.25usd"}
    assert _score(registry, "_weighted", **labels) == 0.5
    assert _score(registry, "_weighted", **_COST) is None


def test_slow_calls_link_to_their_traces() -> None:
    """The histogram's lowest buckets have the traces to look at."""
    registry = CollectorRegistry()
    end = usage().end_unix_nano
    _observe(registry, Call(usage(start_unix_nano=end - 38_000_000_000)))
    encode, _ = choose_encoder("application/openmetrics-text;version=1.0.0")
    lines = encode(registry).decode().splitlines()
    (shown,) = (
        line
        for line in lines
        if line.startswith("assay_score_bucket")
        and 'evaluator="latency"' in line
        and 'le="0.1"' in line
    )
    assert f'# {{trace_id="{TRACE_ID}"}} 0.05' in shown


def test_calls_that_nobody_judges_leave_evaluators_room() -> None:
    """Endless services take a third of the label sets; what is judged later has its own."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, config(metrics={"max_label_sets": 30}), clock=lambda: _NOW_S)
    metrics.observe_calls(Call(usage(service=f"service-{number}")) for number in range(100))
    metrics.observe_outcomes([outcome()])
    labels = {
        sample.labels["service"]
        for family in registry.collect()
        for sample in family.samples
        if sample.name == "assay_scores_total"
    }
    assert {"support-bot", "service-0", "other"} <= labels
    assert len(labels) == 1 + 5


def test_no_evaluator_can_have_the_name_of_a_score_of_calls() -> None:
    """Its scores would be mixed up with those of calls."""
    assert set(RESERVED) == RESERVED_EVALUATORS
