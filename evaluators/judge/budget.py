"""The seam to whoever watches the money: reserve what a request may cost at most, then settle."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from schemas.errors import JudgeFailure
from schemas.reasons import Reason

from .price import Price

NANOS = 1_000_000_000
"""Money is counted in whole billionths of a US dollar, so that sums are exact everywhere."""

TEMPLATE_TOKENS = 512
"""Tokens that an endpoint's chat template, or its description of the answer, may add to a prompt; a
guess on the high side."""


class BudgetSpent(JudgeFailure):
    """A cap is reached: no call, no verdict.

    Attributes:
        may_degrade: Whether code may answer in the judge's place.
    """

    def __init__(self, budget: str, *, may_degrade: bool) -> None:
        super().__init__(Reason.BUDGET, f'the budget "{budget}" is spent')
        self.may_degrade = may_degrade


class BudgetPaused(Exception):  # noqa: N818  a state, not an error: the call is made later
    """A cap is reached, and calls wait until money is there again."""


class Charge(Protocol):
    """Money that is set aside for one request."""

    def settle(self, nanos: int | None) -> None:
        """Say what the request came to; None: not known, so all of it is spent.

        Called once, from the event loop; it neither waits nor raises.
        """
        ...


class Budget(Protocol):
    """The budgets that pay for one evaluation; used from the event loop."""

    async def reserve(self, nanos: int) -> Charge:
        """Set aside what a request may cost at most; waits until that much can be had.

        Raises:
            BudgetSpent: A cap is reached.
            BudgetPaused: A cap is reached, and its calls wait; call `reopened`, then reserve again.
        """
        ...

    async def reopened(self) -> None:
        """Wait until a cap that made calls wait leaves money again, which may take a month."""
        ...


@dataclass(frozen=True, slots=True)
class _Free:
    def settle(self, nanos: int | None) -> None:
        pass


class Unlimited:
    """The budget of whoever has none."""

    async def reserve(self, nanos: int) -> Charge:
        """Set nothing aside."""
        del nanos
        return _Free()

    async def reopened(self) -> None:
        """Nothing is ever closed."""


def most_nanos(price: Price, prompt_bytes: int, max_tokens: int) -> int:
    """What a request may cost at most, or 0 where the judge has no known price.

    A token is one byte at least, so a prompt has no more tokens than bytes.
    """
    usd = price.cost_usd(prompt_bytes + TEMPLATE_TOKENS, max_tokens)
    return 0 if usd is None else nanos_of(usd)


def nanos_of(usd: float) -> int:
    """US dollars as whole billionths, rounded up."""
    return math.ceil(round(usd * NANOS, 3))


@dataclass(slots=True)
class Bill:
    """The charge of one request, settled exactly once whatever becomes of the request."""

    charge: Charge
    nanos: int | None = None
    """What it cost; None: not known."""
    _is_settled: bool = field(default=False)

    def settle(self) -> None:
        """Tell the budget; harmless where it was told."""
        if not self._is_settled:
            self._is_settled = True
            self.charge.settle(self.nanos)


OpenBudget = Callable[[tuple[str, ...]], Budget]
"""The budgets that pay for evaluations on these routes."""
