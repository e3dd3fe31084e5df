"""What a call cost, by the tokens it used and the public price list of genai-prices.

The list's own calculation takes about 200 microseconds a call; every LLM call on the topic is
priced, so the rates of a model are taken from the list once an hour and applied here (the test
compares the two over the list).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from schemas.span import Usage

_MAX_MODELS = 2000
"""Models to know at once: the names come from spans, so there is no end to them."""

_HOUR_NANO = 3_600_000_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """US dollars for one token, and from which number of input tokens on it is another."""

    usd: float
    tiers: tuple[tuple[int, float], ...] = ()

    def at(self, input_tokens: int) -> float:
        """The rate of a call with so many input tokens; a tier holds for all of its tokens."""
        usd = self.usd
        for start, tier_usd in self.tiers:
            if input_tokens > start:
                usd = tier_usd
        return usd


@dataclass(frozen=True, slots=True)
class Rates:
    """What one model charges; a kind of token without a rate of its own costs as its like does."""

    input: Rate
    output: Rate
    cached: Rate
    cache_creation: Rate
    reasoning: Rate
    request_usd: float

    def price(self, usage: Usage) -> float:
        """US dollars for one call.

        Most libraries count cache reads and writes as input. Where they are more than the input,
        the library cannot have done so, and they are added.
        """
        cached = usage.cached_input_tokens or 0
        created = usage.cache_creation_input_tokens or 0
        total = usage.input_tokens or 0
        if cached + created > total:
            total += cached + created
        output = usage.output_tokens or 0
        reasoning = min(usage.reasoning_tokens or 0, output)
        return (
            (total - cached - created) * self.input.at(total)
            + cached * self.cached.at(total)
            + created * self.cache_creation.at(total)
            + (output - reasoning) * self.output.at(total)
            + reasoning * self.reasoning.at(total)
            + self.request_usd
        )


class Prices:
    """Prices calls; not for use by two threads."""

    def __init__(self) -> None:
        self._known: dict[tuple[str | None, str, int], Rates | None] = {}

    def cost_usd(self, usage: Usage) -> float | None:
        """What a call cost: as its producer says, else by the list; None: nobody knows.

        The model that answered decides; where the list does not have it, the one asked for does.
        """
        if usage.cost_usd is not None:
            return usage.cost_usd
        if usage.input_tokens is None and usage.output_tokens is None:
            return None
        hour = usage.start_unix_nano // _HOUR_NANO
        for model in (usage.response_model, usage.request_model):
            rates = self._rates(usage.provider, model, hour) if model else None
            if rates is not None:
                return rates.price(usage)
        return None

    def load(self) -> None:
        """Read the price list now; it takes up to a second, so call it from a thread at start."""
        _find(None, "", 0)

    def _rates(self, provider: str | None, model: str, hour: int) -> Rates | None:
        key = (provider, model, hour)
        if key not in self._known:
            if len(self._known) >= _MAX_MODELS:
                self._known.clear()
            self._known[key] = _find(provider, model, hour)
        return self._known[key]


def _find(provider: str | None, model: str, hour: int) -> Rates | None:
    # Imported late: a command that prices nothing must not wait for the list.
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415
    from genai_prices.types import ModelPrice  # noqa: PLC0415

    find = partial(get_snapshot().find_provider_model, model, None)
    try:
        _, info = find(provider, None)
    except LookupError:
        try:
            _, info = find(None, None)
        except LookupError:
            return None
    if not isinstance(info.prices, ModelPrice) and not info.prices:
        return None
    price: Any = info.get_prices(datetime.fromtimestamp(hour * 3600, UTC))
    read, written = _rate(price.input_mtok), _rate(price.output_mtok)
    if read is None and written is None:
        return None
    read, written = read or Rate(0.0), written or Rate(0.0)
    return Rates(
        input=read,
        output=written,
        cached=_rate(price.cache_read_mtok) or read,
        cache_creation=_rate(price.cache_write_mtok) or read,
        reasoning=_rate(price.output_reasoning_mtok) or written,
        request_usd=float(price.requests_kcount or 0) / 1000,
    )


def _rate(price: Any) -> Rate | None:
    if price is None:
        return None
    tiers: Sequence[Any] = getattr(price, "tiers", ())
    return Rate(
        float(getattr(price, "base", price)) / 1e6,
        tuple((tier.start, float(tier.price) / 1e6) for tier in tiers),
    )
