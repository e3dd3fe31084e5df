"""Prices of calls."""

import subprocess
import sys
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


def test_price_list_is_read_before_the_first_call() -> None:
    """Reading it takes long: it must not happen while calls wait for their answers."""
    code = (
        "import sys\n"
        "from evaluators.judge.price import Price\n"
        "from schemas.config import JudgeConfig\n"
        "assert 'genai_prices' not in sys.modules\n"
        "Price(JudgeConfig(model='gpt-5-mini', base_url='https://api.openai.com/v1'))\n"
        "assert 'genai_prices' in sys.modules\n"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_that_endpoints_make_up_are_not_kept_for_ever() -> None:
    """An endpoint that answers with a new model name each time fills no memory."""
    listed = price(base_url="https://api.openai.com/v1")
    for number in range(250):
        listed.rates(f"made-up-{number}")

    assert len(listed._known) <= 101
