"""One worker's part of one budget: what it holds of the money, and what its calls set aside."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from evaluators.judge.budget import NANOS, BudgetPaused, BudgetSpent
from schemas.config import BudgetConfig
from schemas.events import BudgetReached, Emit

from .leases import Period

_AGAIN_S = 0.1
"""Until a request is repeated that the broker has stamped with a moment of an earlier period."""
_LOOK_S = 1.0
"""How often a budget that made calls wait is looked at: another worker may give money back."""


class PurseClosed(Exception):  # noqa: N818  a state: the worker stops
    """The worker has given back what it held, and spends nothing more."""


@dataclass(slots=True)
class Reservation:
    """Money that is set aside for one request."""

    purse: "Purse"
    nanos: int
    period: Period | None

    def settle(self, nanos: int | None) -> None:
        """Give back what was not spent; see `Charge`."""
        self.purse.settle(self, self.nanos if nanos is None else nanos)


class Purse:
    """What this worker may spend of one budget. Used from one event loop.

    What it holds, set aside or not, is one lease at most, or one call where that is more: so much
    is lost where the worker is killed.

    Args:
        config: The budget.
        ask: Appends a request (wants, needs) to the log and returns when the log has decided;
            `granted` is called before that.
        left: What the log leaves to be had in this period, as far as it was read.
        now_ms: The broker's time, or a little later, but never earlier.
        emit: Told when a cap is reached.
        blocked: Told (True, why) when calls begin to wait, and (False, "") when they go on.
    """

    def __init__(
        self,
        config: BudgetConfig,
        *,
        ask: Callable[[int, int], Coroutine[Any, Any, None]],
        left: Callable[[], int],
        now_ms: Callable[[], float],
        emit: Emit,
        blocked: Callable[[bool, str], None],
    ) -> None:
        self.config = config
        self.cap = int(config.usd * NANOS)
        self.lease = int(config.usd * config.lease * NANOS)
        self.free = 0
        """What it holds and has not set aside; less than nothing where calls cost more than ever
        they should."""
        self.reserved = 0
        self.period: Period | None = None
        """The period that `free` belongs to."""
        self._asked = 0
        self._ask = ask
        self._left = left
        self._now_ms = now_ms
        self._emit = emit
        self._blocked = blocked
        self._turn = asyncio.Lock()
        self._moved = asyncio.Event()
        self._open = asyncio.Event()
        self._open.set()
        self._waiting: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._is_closed = False

    async def reserve(self, nanos: int) -> Reservation:
        """Set money aside, one caller after the other; see `Budget.reserve`."""
        async with self._turn:
            while not self._has(nanos):
                # Cleared before looking: what moves from here on is not slept through.
                self._moved.clear()
                wants = max(self.lease, nanos) - max(0, self.reserved) - self._asked - self.free
                if self.free + wants < nanos:
                    await self._moved.wait()  # a call that ends gives back, or makes room
                elif self._left() >= nanos - self.free:
                    await self._request(wants, nanos - self.free)
                elif self.reserved or self._asked:
                    await self._moved.wait()  # the last cents are those that calls give back
                else:
                    self._refuse(nanos)
            self.free -= nanos
            self.reserved += nanos
            return Reservation(self, nanos, self.period)

    async def reopened(self) -> None:
        """Wait until there is money again after `BudgetPaused`."""
        await self._open.wait()

    def settle(self, reservation: Reservation, nanos: int) -> None:
        """Take what a call cost; the rest of what was set aside is free again."""
        self.reserved -= reservation.nanos
        if reservation.period == self.period:  # what is left of an earlier period is worth nothing
            self.free += reservation.nanos - nanos
        self._moved.set()

    def decided(self, wants: int, granted: int, period: Period) -> None:
        """The log has decided on a request of this worker."""
        self._asked -= wants
        if period != self.period:
            self.period, self.free = period, 0
        self.free += granted
        self._moved.set()

    def close(self) -> tuple[int, Period | None]:
        """Stop spending; what is to be given back, and of which period."""
        self._is_closed = True
        self._moved.set()
        for task in (self._waiting, self._asking):
            if task is not None:
                task.cancel()
        self._expire()
        back, self.free = max(0, self.free), 0
        return back, self.period

    def _has(self, nanos: int) -> bool:
        if self._is_closed:
            raise PurseClosed
        self._expire()
        return self.period is not None and self.free >= nanos

    def _expire(self) -> None:
        if self.period is not None and self._now_ms() >= self.period.end_ms:
            self.period, self.free = None, 0

    async def _request(self, wants: int, needs: int) -> None:
        self._asked += wants
        before = self.free
        # Shielded: an evaluation that is cut off before its request has left would leave `_asked`
        # behind for ever, and with it no room for anybody's request.
        self._asking = asyncio.create_task(self._ask(wants, needs))
        await asyncio.shield(self._asking)
        if self.free <= before and self._left() >= needs:
            await asyncio.sleep(_AGAIN_S)

    def _refuse(self, nanos: int) -> None:
        budget = self.config
        self._emit(BudgetReached(budget.name, budget.at_cap))
        if budget.at_cap != "pause":
            raise BudgetSpent(budget.name, may_degrade=budget.at_cap == "degrade")
        if self._open.is_set():
            self._open.clear()
            self._blocked(True, f'the budget "{budget.name}" is spent')
            self._waiting = asyncio.create_task(self._wait_for(nanos))
        raise BudgetPaused

    async def _wait_for(self, nanos: int) -> None:
        # Looked at and not told: that a period ends is no event, and a second matters to nobody.
        while self._left() < nanos:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        self._open.set()
        self._blocked(False, "")
