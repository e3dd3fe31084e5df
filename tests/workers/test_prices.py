"""What a call costs by the public price list."""

from datetime import UTC, datetime

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from support.samples import usage

from workers.prices import Prices

_STEP = 23
"""Every so-many-th model of the list is compared: all would take a minute."""

_MODELS = [
    (provider.id, model.id) for provider in get_snapshot().providers for model in provider.models
][::_STEP]


@pytest.mark.parametrize("scale", [1, 1000], ids=["small", "beyond every tier"])
def test_rates_give_what_the_list_itself_calculates(scale: int) -> None:
    """Over the list, with caches, reasoning, tiers and prices that depend on the time."""
    prices = Prices()
    compared = 0
    for provider, model in _MODELS:
        call = usage(
            provider=provider,
            request_model=model,
            input_tokens=1000 * scale,
            output_tokens=300 * scale,
            cached_input_tokens=400 * scale,
            cache_creation_input_tokens=100 * scale,
            reasoning_tokens=50 * scale,
        )
        ours = prices.cost_usd(call)
        if ours is None:
            continue
        listed = genai_prices.calc_price(
            genai_prices.Usage(
                input_tokens=call.input_tokens,
                output_tokens=call.output_tokens,
                cache_read_tokens=call.cached_input_tokens,
                cache_write_tokens=call.cache_creation_input_tokens,
                output_reasoning_tokens=call.reasoning_tokens,
            ),
            model,
            provider_id=provider,
            genai_request_timestamp=datetime.fromtimestamp(call.start_unix_nano / 1e9, UTC),
        )
        assert ours == pytest.approx(float(listed.total_price)), (provider, model)
        compared += 1
    assert compared > len(_MODELS) / 2


def test_the_producer_knows_best() -> None:
    """A cost on the span is taken as it is."""
    assert Prices().cost_usd(usage(cost_usd=0.25, request_model="nobody-knows")) == 0.25


def test_the_model_that_answered_decides() -> None:
    """An alias is priced by what answered it; an unknown answer by what was asked for."""
    prices = Prices()
    mini = prices.cost_usd(usage())
    assert mini == pytest.approx((1000 * 0.25 + 100 * 2) / 1e6)
    assert prices.cost_usd(usage(request_model="my-alias", response_model="gpt-5-mini")) == mini
    assert prices.cost_usd(usage(response_model="my-deployment")) == mini


def test_a_provider_that_the_list_does_not_have_is_ignored() -> None:
    """A gateway's own name for itself does not make a known model unpriced."""
    assert Prices().cost_usd(usage(provider="our-gateway")) == Prices().cost_usd(usage())


def test_unknown_models_and_calls_without_tokens_have_no_price() -> None:
    """No price is None, never zero."""
    prices = Prices()
    assert prices.cost_usd(usage(request_model="nobody-knows")) is None
    assert prices.cost_usd(usage(request_model=None)) is None
    assert prices.cost_usd(usage(input_tokens=None, output_tokens=None)) is None


def test_a_cache_larger_than_the_input_is_added_to_it() -> None:
    """A library that does not count cache reads as input is priced right, too."""
    prices = Prices()
    inside = prices.cost_usd(usage(input_tokens=5000, cached_input_tokens=4000))
    beside = prices.cost_usd(usage(input_tokens=1000, cached_input_tokens=4000))
    assert inside == beside
