"""From the config's budgets to a `Spend`, and what has to be true of a config that has some."""

from collections.abc import Callable, Iterator, Mapping

from evaluators.judge.budget import NANOS, nanos_of
from schemas.config import BudgetConfig, Config
from schemas.errors import ConfigError
from schemas.events import Emit

from .configured import Configured
from .lease_log import KafkaLog
from .spend import Spend

TYPICAL_PROMPT_BYTES = 8_000
"""A guess, for the concurrency that `assay check` prints: rubric, evidence and answer's schema."""


def open_spend(
    config: Config, emit: Emit, on_health: Callable[[bool, str], None] = lambda *_: None
) -> Spend | None:
    """The config's budgets, not started yet; None where it has none."""
    if not config.budgets:
        return None
    return Spend(config.budgets, KafkaLog(config.kafka, emit, on_health), emit)


def require_prices(config: Config, evaluators: Mapping[str, Configured]) -> None:
    """See to it that every judge that a budget pays for has a price.

    Raises:
        ConfigError: One has none, so nobody could say when the budget is spent.
    """
    for budget in config.budgets:
        for name, one in _paid_by(budget, config, evaluators):
            for judge in (seat.judge for seat in one.seats):
                if judge.price.rates() is None:
                    raise ConfigError(
                        f'judge "{judge.name}": model "{judge.model}" has no known price, but '
                        f'budget "{budget.name}" pays for it (evaluator "{name}"); set '
                        f"judges.{judge.name}.price, or take the budget away",
                        key=f"judges.{judge.name}",
                    )


def concurrency(config: Config, evaluators: Mapping[str, Configured]) -> Iterator[str]:
    """One line for each budget: how many calls one worker may have under way at a time."""
    for budget in config.budgets:
        most = 0
        for _, one in _paid_by(budget, config, evaluators):
            for seat in one.seats:
                tokens = seat.config.max_output_tokens
                usd = seat.judge.price.cost_usd(TYPICAL_PROMPT_BYTES, tokens)
                most = max(most, nanos_of(usd or 0.0))
        if not most:
            yield f"budget {budget.name}: pays for no judge"
            continue
        calls = max(1, int(budget.usd * budget.lease * NANOS) // most)
        yield (
            f"budget {budget.name}: {budget.usd:g} USD a {budget.per}, {budget.at_cap} at the cap; "
            f"a worker holds {budget.usd * budget.lease:.4g} USD at most, enough for {calls} "
            f"{'call' if calls == 1 else 'calls'} at a time (one may cost {most / NANOS:.4g} USD, "
            f"with {TYPICAL_PROMPT_BYTES} bytes of prompt)"
        )


def _paid_by(
    budget: BudgetConfig, config: Config, evaluators: Mapping[str, Configured]
) -> Iterator[tuple[str, Configured]]:
    names = {
        name
        for route in config.routes
        if budget.routes is None or route.name in budget.routes
        for name in route.evaluators
    }
    for name in sorted(names):
        if evaluators[name].seats:
            yield name, evaluators[name]
