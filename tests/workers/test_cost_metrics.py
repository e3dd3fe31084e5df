"""Cost attribution."""

import pytest
from prometheus_client import CollectorRegistry
from support.samples import config, usage

from schemas.errors import ConfigError
from workers.metrics import Metrics

_LABELS = {
    "environment": "production",
    "service": "support-bot",
    "model": "gpt-5-mini",
    "prompt_version": "",
    "tenant": "",
}


def test_spend_and_tokens_are_told_by_who_pays() -> None:
    """The first value that is there names the group."""
    registry = CollectorRegistry()
    metrics = Metrics(registry, config())
    metrics.observe_usage(
        [
            usage(cost_usd=0.5, groups=(None, "acme")),
            usage(cost_usd=0.25, groups=("acme", None)),
            usage(cost_usd=9.0, groups=(None, None)),
        ]
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
    Metrics(registry, config()).observe_usage([usage(cost_usd=0.5)], 0.25)
    assert registry.get_sample_value("assay_llm_cost_usd_total", _LABELS) == 2.0
    assert registry.get_sample_value("assay_llm_cost_weight_total", _LABELS) == 4
    labels = _LABELS | {"type": "input"}
    assert registry.get_sample_value("assay_llm_tokens_total", labels) == 4000


def test_a_call_without_a_price_is_counted_as_such() -> None:
    """It adds no weight, so it does not pull the mean cost down."""
    registry = CollectorRegistry()
    Metrics(registry, config()).observe_usage([usage(request_model="nobody-knows")])
    labels = _LABELS | {"model": "nobody-knows"}
    assert registry.get_sample_value("assay_llm_calls_total", labels) == 1
    assert registry.get_sample_value("assay_llm_cost_weight_total", labels) == 0


def test_numbers_below_zero_do_not_break_a_counter() -> None:
    """A producer's nonsense is left out and the rest of its call is counted."""
    registry = CollectorRegistry()
    Metrics(registry, config()).observe_usage([usage(cost_usd=-1.0, input_tokens=-5)])
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
