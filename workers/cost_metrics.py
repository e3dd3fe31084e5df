"""What the observed LLM calls cost, and who pays: spend and tokens by service, model and group."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter

from schemas.config import Config
from schemas.errors import ConfigError
from schemas.span import Usage

from .label_sets import LabelSets
from .prices import Prices
from .tallies import Family, Tallies

_LABELS = ("environment", "service", "model", "prompt_version")


class TokenType(StrEnum):
    """What a token was used for; cached ones are part of input, reasoning is part of output."""

    INPUT = "input"
    OUTPUT = "output"
    CACHED = "cached"
    CACHE_CREATION = "cache_creation"
    REASONING = "reasoning"


@dataclass(slots=True)
class _Tally:
    """What the counters of one label set say; tokens by their type's value."""

    calls: float = 0.0
    cost: float = 0.0
    priced: float = 0.0
    unpriced: float = 0.0
    input: float = 0.0
    output: float = 0.0
    cached: float = 0.0
    cache_creation: float = 0.0
    reasoning: float = 0.0


_FAMILIES = (
    Family(
        "assay_llm_calls",
        "Observed LLM calls, failed ones too, weighted by 1 / probability where only sampled ones "
        "are counted.",
        "calls",
    ),
    Family(
        "assay_llm_cost_usd",
        "Cost of observed LLM calls in US dollars, weighted: as the producer says, else by the "
        "public price list.",
        "cost",
    ),
    Family(
        "assay_llm_cost_weight",
        "Weights of observed LLM calls that have a price; cost divided by this is the mean cost of "
        "a call.",
        "priced",
    ),
    Family(
        "assay_llm_unpriced_calls",
        "Weights of observed LLM calls that ended well and have no price: the price list does not "
        "know the model, or the span tells no tokens.",
        "unpriced",
    ),
    Family(
        "assay_llm_tokens",
        "Tokens of observed LLM calls, weighted; cached and cache_creation are part of input, "
        "reasoning is part of output.",
        {kind.value: kind.value for kind in TokenType},
        label="type",
    ),
)


class CostMetrics:
    """Counts the cost of observed calls; called by one thread.

    Args:
        registry: Where the metrics are registered.
        config: For `cost.group_by` and `metrics.max_label_sets`.
        overflow: Counts label values that became `other`.
        clock: Unix seconds.

    Raises:
        ConfigError: `cost.group_by.name` is a label that the metrics have already.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        config: Config,
        overflow: Counter,
        clock: Callable[[], float] = time.time,
    ) -> None:
        group = config.cost.group_by.name
        if group in (*_LABELS, "type"):
            raise ConfigError(
                f'cost.group_by.name: "{group}" is a label of the cost metrics already; '
                "choose another name",
                key="cost.group_by.name",
            )
        labels = (*_LABELS, group)
        self.prices = Prices()
        self._tallies = Tallies(registry, labels, _Tally, _FAMILIES, clock)
        # The group goes last: who pays is what this is for.
        self._label_sets = LabelSets(
            labels,
            ("prompt_version", "model", "service", "environment", group),
            config.metrics.max_label_sets,
            overflow,
        )
        self._known: dict[tuple[str | None, ...], _Tally] = {}

    def observe(self, usage: Usage, weight: float, *, is_error: bool = False) -> float | None:
        """Count one LLM call that stands for `weight` calls.

        Args:
            usage: The call.
            weight: 1 / probability.
            is_error: A failed call without a price is none whose price is missing.

        Returns:
            What it cost in US dollars; None: nobody knows.
        """
        tally = self._tally(usage)
        tally.calls += weight
        if usage.input_tokens:
            tally.input += weight * max(0, usage.input_tokens)
        if usage.output_tokens:
            tally.output += weight * max(0, usage.output_tokens)
        if usage.cached_input_tokens:
            tally.cached += weight * max(0, usage.cached_input_tokens)
        if usage.cache_creation_input_tokens:
            tally.cache_creation += weight * max(0, usage.cache_creation_input_tokens)
        if usage.reasoning_tokens:
            tally.reasoning += weight * max(0, usage.reasoning_tokens)
        cost_usd = self.prices.cost_usd(usage)
        if cost_usd is not None and cost_usd >= 0:
            tally.cost += weight * cost_usd
            tally.priced += weight
            return cost_usd
        if not is_error:
            tally.unpriced += weight
        return None

    def _tally(self, usage: Usage) -> _Tally:
        values = (
            usage.environment,
            usage.service,
            usage.request_model or usage.response_model,
            usage.prompt_version,
            next((value for value in usage.groups if value is not None), None),
        )
        tally = self._known.get(values)
        if tally is None:
            labels = self._label_sets.admit(values)
            tally = self._tallies.at(labels)
            if labels == tuple(value or "" for value in values):
                self._known[values] = tally  # none was replaced or cut: there is an end to these
        return tally
