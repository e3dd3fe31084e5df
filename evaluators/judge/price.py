"""What a judge call costs."""

from dataclasses import dataclass

from schemas.config import JudgeConfig

_SAMPLE = 1000
_MAX_MODELS = 100
"""Names of models that answered come from the endpoint: their number must have a bound."""


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars for one token."""

    input_usd: float
    cached_input_usd: float
    output_usd: float


class Price:
    """Prices of one judge: the config's, else those of `genai-prices` for the endpoint and model.

    An endpoint that the list does not know is priced by the model's name alone.
    """

    def __init__(self, config: JudgeConfig) -> None:
        self._base_url = config.base_url
        self._model = config.model
        self._configured: Rates | None = None
        if config.price is not None:
            input_usd = config.price.input_usd_per_mtok / 1e6
            output_usd = config.price.output_usd_per_mtok / 1e6
            self._configured = Rates(input_usd, input_usd, output_usd)
        self._known: dict[str | None, Rates | None] = {}
        # Now, not with the first answer: reading the list blocks the loop for so long that calls
        # which are under way would miss their deadlines.
        self.rates()

    def cost_usd(
        self,
        input_tokens: int,
        output_tokens: int,
        *,
        cached_tokens: int = 0,
        model_answered: str | None = None,
    ) -> float | None:
        """Price of one call, or None where the model has no known price.

        Args:
            input_tokens: All input tokens, cached ones included.
            output_tokens: All output tokens, reasoning included.
            cached_tokens: Input tokens that came from the provider's cache.
            model_answered: The model that answered; it is priced if the list knows it.
        """
        rates = self.rates(model_answered)
        if rates is None:
            return None
        cached = min(cached_tokens, input_tokens)
        return (
            (input_tokens - cached) * rates.input_usd
            + cached * rates.cached_input_usd
            + output_tokens * rates.output_usd
        )

    def rates(self, model_answered: str | None = None) -> Rates | None:
        """Prices per token of the model that answered, else of the one that is asked."""
        if self._configured is not None:
            return self._configured
        if model_answered not in self._known:
            if len(self._known) >= _MAX_MODELS:
                self._known.clear()
            rates = _listed(model_answered, self._base_url) if model_answered else None
            self._known[model_answered] = rates or _listed(self._model, self._base_url)
        return self._known[model_answered]


def _listed(model: str, base_url: str) -> Rates | None:
    # Here, because the price list takes half a second to import.
    from genai_prices import Usage, calc_price  # noqa: PLC0415

    for url in (base_url, None):
        try:
            fresh = calc_price(
                Usage(input_tokens=_SAMPLE, output_tokens=_SAMPLE), model, provider_api_url=url
            )
            cached = calc_price(
                Usage(input_tokens=_SAMPLE, cache_read_tokens=_SAMPLE), model, provider_api_url=url
            )
        except LookupError:
            continue
        return Rates(
            float(fresh.input_price) / _SAMPLE,
            float(cached.input_price) / _SAMPLE,
            float(fresh.output_price) / _SAMPLE,
        )
    return None
