"""A leases log in memory, with a clock of its own: what the broker is to a budget."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from schemas.config import BudgetConfig
from schemas.events import Event
from workers.lease_log import Deliver, Opened
from workers.spend import Spend

MARCH = 1_772_323_200_000
"""The first moment of March 2026, in UTC, in Unix milliseconds."""
DAY_MS = 86_400_000


@dataclass
class MemoryTopic:
    """One partition; every open log gets each record."""

    now_ms: int = MARCH
    records: list[tuple[int, bytes]] = field(default_factory=list)
    readers: list[Deliver] = field(default_factory=list)
    copies: int = 1
    """How often each record is appended, as where the network is bad."""

    def append(self, value: bytes) -> None:
        """Stamp a record and hand it to everybody."""
        for _ in range(self.copies):
            self.records.append((self.now_ms, value))
            for deliver in self.readers:
                deliver(self.now_ms, value)

    def clock(self) -> float:
        """Monotonic seconds, in step with the topic's time."""
        return self.now_ms / 1000


@dataclass
class MemoryLog:
    """A worker's way to the topic."""

    topic: MemoryTopic
    deliver: Deliver | None = None

    async def open(
        self, greeting: bytes, begin_ms: Callable[[int], int], deliver: Deliver
    ) -> Opened:
        """Read what is there, then the greeting."""
        begin = begin_ms(self.topic.now_ms)
        for at_ms, value in self.topic.records:
            if at_ms >= begin:
                deliver(at_ms, value)
        self.deliver = deliver
        self.topic.readers.append(deliver)
        self.topic.append(greeting)
        return Opened(self.topic.now_ms, self.topic.clock())

    async def append(self, value: bytes) -> None:
        """Append after a moment in which others may be quicker."""
        await asyncio.sleep(0)
        self.topic.append(value)

    async def close(self) -> None:
        """Read no more."""
        if self.deliver in self.topic.readers:
            self.topic.readers.remove(self.deliver)


async def spender(
    topic: MemoryTopic, *budgets: BudgetConfig, events: list[Event] | None = None
) -> Spend:
    """One worker's budgets, started."""
    emit = (lambda _: None) if events is None else events.append
    spend = Spend(budgets, MemoryLog(topic), emit, topic.clock)
    await spend.start()
    return spend
