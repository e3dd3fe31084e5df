"""What the observed LLM calls cost, and who pays: spend and tokens by service, model and group."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter

from schemas.config import Config
from schemas.errors import ConfigError
from schemas.span import Usage

from .label_sets import LabelSets
from .prices import Prices

_LABELS = ("environment", "service", "model", "prompt_version")


class TokenType(StrEnum):
    """What a token was used for; cached ones are part of input, reasoning is part of output."""

    INPUT = "input"
    OUTPUT = "output"
    CACHED = "cached"
    CACHE_CREATION = "cache_creation"
    REASONING = "reasoning"


class CostMetrics:
    """Counts the cost of observed calls; called by one thread.

    Args:
        registry: Where the metrics are registered.
        config: For `cost.group_by` and `metrics.max_label_sets`.
        overflow: Counts label values that became `other`.

    Raises:
        ConfigError: `cost.group_by.name` is a label that the metrics have already.
    """

    def __init__(self, registry: CollectorRegistry, config: Config, overflow: Counter) -> None:
        group = config.cost.group_by.name
        if group in (*_LABELS, "type"):
            raise ConfigError(
                f'cost.group_by.name: "{group}" is a label of the cost metrics already; '
                "choose another name",
                key="cost.group_by.name",
            )
        labels = (*_LABELS, group)
        self._calls = Counter(
            "assay_llm_calls",
            "Observed LLM calls, weighted by 1 / probability where only sampled ones are counted.",
            labels,
            registry=registry,
        )
        self._cost = Counter(
            "assay_llm_cost_usd",
            "Cost of observed LLM calls in US dollars, weighted: as the producer says, else by the "
            "public price list.",
            labels,
            registry=registry,
        )
        self._weight = Counter(
            "assay_llm_cost_weight",
            "Weights of observed LLM calls that have a price; cost divided by this is the mean "
            "cost of a call.",
            labels,
            registry=registry,
        )
        self._tokens = Counter(
            "assay_llm_tokens",
            "Tokens of observed LLM calls, weighted; cached and cache_creation are part of input, "
            "reasoning is part of output.",
            (*labels, "type"),
            registry=registry,
        )
        self.prices = Prices()
        # The group goes last: who pays is what this is for.
        self._label_sets = LabelSets(
            labels,
            ("prompt_version", "model", "service", "environment", group),
            config.metrics.max_label_sets,
            overflow,
        )
        self._series: dict[tuple[str, ...], _Series] = {}

    def observe(self, usage: Usage, weight: float) -> None:
        """Count one LLM call that stands for `weight` calls."""
        labels = self._label_sets.admit(
            (
                usage.environment,
                usage.service,
                usage.request_model or usage.response_model,
                usage.prompt_version,
                next((value for value in usage.groups if value is not None), None),
            )
        )
        series = self._series.get(labels)
        if series is None:
            series = self._series[labels] = self._start(labels)
        series.calls.inc(weight)
        cost_usd = self.prices.cost_usd(usage)
        if cost_usd is not None and cost_usd >= 0:
            series.cost.inc(weight * cost_usd)
            series.weight.inc(weight)
        for kind, tokens in _tokens(usage):
            if tokens:
                series.tokens[kind].inc(weight * max(0, tokens))

    def _start(self, labels: tuple[str, ...]) -> "_Series":
        return _Series(
            self._calls.labels(*labels),
            self._cost.labels(*labels),
            self._weight.labels(*labels),
            {kind: self._tokens.labels(*labels, kind.value) for kind in TokenType},
        )


@dataclass(frozen=True, slots=True)
class _Series:
    calls: Counter
    cost: Counter
    weight: Counter
    tokens: Mapping[TokenType, Counter]


def _tokens(usage: Usage) -> tuple[tuple[TokenType, int | None], ...]:
    return (
        (TokenType.INPUT, usage.input_tokens),
        (TokenType.OUTPUT, usage.output_tokens),
        (TokenType.CACHED, usage.cached_input_tokens),
        (TokenType.CACHE_CREATION, usage.cache_creation_input_tokens),
        (TokenType.REASONING, usage.reasoning_tokens),
    )
