"""Prices of calls."""

from typing import Any

import pytest

from evaluators.judge.price import Price
from schemas.config import JudgeConfig


def price(**config: Any) -> Price:
    """The price of a judge."""
    return Price(JudgeConfig.model_validate({"model": "gpt-5-mini", **config}))


def test_known_model_is_priced_with_its_cache() -> None:
    """Cached input costs what the list says it costs."""
    listed = price(base_url="https://api.openai.com/v1")

    fresh, cached = listed.cost_usd(1000, 0), listed.cost_usd(1000, 0, cached_tokens=1000)

    assert fresh is not None
    assert cached is not None
    assert 0 < cached < fresh
    assert listed.cost_usd(1000, 100) == pytest.approx(0.00025 + 0.0002)


def test_unknown_endpoint_is_priced_by_the_model() -> None:
    """A gateway that the list does not know resells a model that it does."""
    assert price(base_url="https://gateway.example/v1").cost_usd(1000, 100) is not None


def test_model_that_answered_is_priced_first() -> None:
    """A gateway may answer with another model than was asked for."""
    listed = price(base_url="https://api.openai.com/v1")

    assert listed.cost_usd(1000, 0, model_answered="gpt-5") == pytest.approx(0.00125)
    assert listed.cost_usd(1000, 0, model_answered="?") == pytest.approx(0.00025)


def test_config_overrides_the_list() -> None:
    """A configured price holds, for unknown models too."""
    own = price(
        model="mine",
        base_url="http://127.0.0.1/v1",
        price={"input_usd_per_mtok": 2, "output_usd_per_mtok": 4},
    )

    assert own.cost_usd(1_000_000, 500_000, cached_tokens=10) == pytest.approx(4)


def test_unknown_model_has_no_price() -> None:
    """No price is not a price of zero."""
    assert price(model="mine", base_url="http://127.0.0.1/v1").cost_usd(1, 1) is None
