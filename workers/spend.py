"""The caps: money is leased from the log before a judge is called, and never after.

    evaluation → reserve what the call may cost → (lease from the log) → call → settle by its usage

A worker spends only what it holds, and holds only what the log gave it, so that the sum of what all
workers spend in a period stays within the cap, also where some are killed in between.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

from evaluators.judge.budget import NANOS, Budget, Charge
from schemas.config import BudgetConfig
from schemas.events import Emit, LeaseDecided

from .lease_log import Log
from .leases import Entry, Ledger, Period, read_entry
from .purse import Purse, Reservation

_RETURN_S = 5.0
"""How long a stopping worker tries to give back what it holds."""

_DRIFT = 1.0005
"""How much faster than the broker's our clock may seem to be: it is never the slower one."""

OnBlocked = Callable[[str, bool, str], None]
"""Gets (budget, whether calls wait, why)."""


class Spend:
    """All budgets of a config, as one worker has them. Used from one event loop.

    Args:
        budgets: The config's.
        log: Where leases are taken.
        emit: Told of leases and of caps that are reached.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        budgets: Sequence[BudgetConfig],
        log: Log,
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._emit = emit
        self._clock = clock
        self._worker = uuid4().hex
        self._number = 0
        self._ledger = Ledger()
        self._asking: dict[int, tuple[float, asyncio.Future[None]]] = {}
        self._seen_ms = 0
        self._sent_s = clock()
        self._on_blocked: list[OnBlocked] = []
        self._purses = {budget.name: self._purse(budget) for budget in budgets}

    async def start(self) -> None:
        """Read what is spent already.

        Raises:
            ConfigError: The topic cannot keep these books.
            LogUnavailable: It cannot be read or written.
        """
        first = next(iter(self._purses.values()))
        opened = await self._log.open(
            self._entry(first).model_dump_json().encode(), self._begin_ms, self._deliver
        )
        self._seen_ms, self._sent_s = opened.at_ms, opened.sent_s

    def open_budget(self, routes: Sequence[str]) -> Budget:
        """The budgets that pay for an evaluation on these routes."""
        paying = [
            purse
            for purse in self._purses.values()
            if purse.config.routes is None or not set(routes).isdisjoint(purse.config.routes)
        ]
        return _Shared(paying)

    @property
    def every(self) -> Budget:
        """All budgets at once, for calls that serve all routes."""
        return _Shared(list(self._purses.values()))

    def on_blocked(self, callback: OnBlocked) -> None:
        """Call it when a budget makes calls wait, and when they go on."""
        self._on_blocked.append(callback)

    def spent_ratio(self, budget: str) -> float:
        """Share of a cap that is given away in this period, from any thread."""
        purse = self._purses[budget]
        return (purse.cap - self._left(purse.config, purse.cap)) / purse.cap

    async def close(self) -> None:
        """Give back what was not spent, and end; nothing may be reserved any more."""
        entries = []
        for purse in self._purses.values():
            back, period = purse.close()
            if back and period is not None:
                entries.append(self._entry(purse, returns=back, period=period.begin_ms))
        try:
            async with asyncio.timeout(_RETURN_S):
                for entry in entries:
                    await self._log.append(entry.model_dump_json().encode())
        except TimeoutError:
            pass  # the broker is away: what it held counts as spent
        await self._log.close()

    def _purse(self, budget: BudgetConfig) -> Purse:
        cap = int(budget.usd * NANOS)
        return Purse(
            budget,
            ask=partial(self._ask, budget.name),
            left=partial(self._left, budget, cap),
            now_ms=self._now_ms,
            emit=self._emit,
            blocked=partial(self._tell_blocked, budget.name),
        )

    async def _ask(self, budget: str, wants: int, needs: int) -> None:
        entry = self._entry(self._purses[budget], wants=wants, needs=needs)
        decided = asyncio.get_running_loop().create_future()
        self._asking[entry.number] = (self._clock(), decided)
        await self._log.append(entry.model_dump_json().encode())
        await decided

    def _entry(self, purse: Purse, **fields: int) -> Entry:
        self._number += 1
        return Entry.model_validate(
            {
                "worker": self._worker,
                "number": self._number,
                "budget": purse.config.name,
                "per": purse.config.per,
                "cap": purse.cap,
                **fields,
            }
        )

    def _deliver(self, at_ms: int, value: bytes | None) -> None:
        entry = read_entry(value)
        if entry is None:
            return
        granted = self._ledger.apply(entry, at_ms)
        if entry.worker != self._worker or entry.number not in self._asking:
            return
        sent_s, decided = self._asking.pop(entry.number)
        # It was appended after it was sent: counted from then on, our time runs ahead of the
        # broker's, by a round trip at most, and no lease is spent after its period.
        self._seen_ms, self._sent_s = at_ms, sent_s
        self._emit(LeaseDecided(entry.budget, granted / NANOS))
        period = Period.of(entry.per, at_ms)
        self._purses[entry.budget].decided(entry.wants, granted, period)
        if not decided.done():
            decided.set_result(None)

    def _begin_ms(self, at_ms: int) -> int:
        return min(Period.of(purse.config.per, at_ms).begin_ms for purse in self._purses.values())

    def _left(self, budget: BudgetConfig, cap: int) -> int:
        return max(0, cap - self._ledger.taken(budget.name, budget.per, int(self._now_ms())))

    def _now_ms(self) -> float:
        return self._seen_ms + (self._clock() - self._sent_s) * 1000 * _DRIFT

    def _tell_blocked(self, budget: str, is_blocked: bool, why: str) -> None:
        for callback in self._on_blocked:
            callback(budget, is_blocked, why)


@dataclass(frozen=True, slots=True)
class _Shared:
    """Several budgets that pay for the same call, each the whole of it."""

    purses: Sequence[Purse]

    async def reserve(self, nanos: int) -> Charge:
        """Reserve in all or none, in the order of the config: nobody waits in a circle."""
        taken: list[Reservation] = []
        try:
            for purse in self.purses:
                taken.append(await purse.reserve(nanos))  # noqa: PERF401  kept where one raises
        except BaseException:
            for reservation in taken:
                reservation.settle(0)
            raise
        return _Charges(taken)

    async def reopened(self) -> None:
        """Wait for each that is shut."""
        for purse in self.purses:
            await purse.reopened()


@dataclass(frozen=True, slots=True)
class _Charges:
    reservations: Sequence[Reservation]

    def settle(self, nanos: int | None) -> None:
        """Settle in every budget."""
        for reservation in self.reservations:
            reservation.settle(nanos)
