"""The processes of one evaluator: a bounded number, each with room for several evaluations."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from .process import Process

_SPENT = "it had done its share of evaluations"
_CLOSED = "the worker stops"


@dataclass(slots=True, eq=False)
class _Seat:
    """A place for one process after the other, and who is in it."""

    process: Process | None = None
    in_use: int = 0
    given: int = 0
    """Evaluations that this process got."""
    is_exclusive: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Pool:
    """Processes, started when they are needed. Belongs to one event loop.

    Whoever comes first goes first. An evaluation that may have taken a process down is given one
    alone, so that it can harm no other, and is known for certain if it does it again.

    Args:
        start: Starts a process.
        processes: Most processes at a time.
        concurrency: Most evaluations in a process at a time.
        recycle_after: Evaluations after which a process is replaced.
    """

    def __init__(
        self,
        start: Callable[[], Awaitable[Process]],
        *,
        processes: int,
        concurrency: int,
        recycle_after: int,
    ) -> None:
        self._start = start
        self._concurrency = concurrency
        self._recycle_after = recycle_after
        self._seats = [_Seat() for _ in range(processes)]
        self._waiting: deque[tuple[bool, asyncio.Future[_Seat]]] = deque()
        self._is_closed = False

    @asynccontextmanager
    async def process(self, *, alone: bool) -> AsyncIterator[Process]:
        """A running process with room for one more evaluation, or with nobody else in it."""
        seat = await self._seat(alone)
        try:
            yield await self._process_of(seat)
        finally:
            seat.in_use -= 1
            seat.is_exclusive = False
            self._give_seats()

    async def close(self) -> None:
        """End all processes."""
        self._is_closed = True
        for seat in self._seats:
            if seat.process is not None:
                await seat.process.close(_CLOSED)

    async def _seat(self, alone: bool) -> _Seat:
        wanted: asyncio.Future[_Seat] = asyncio.get_running_loop().create_future()
        self._waiting.append((alone, wanted))
        self._give_seats()
        try:
            return await wanted
        except asyncio.CancelledError:
            if wanted.done() and not wanted.cancelled():  # given and cut at the same moment
                wanted.result().in_use -= 1
                wanted.result().is_exclusive = False
                self._give_seats()
            raise

    def _give_seats(self) -> None:
        while self._waiting:
            alone, wanted = self._waiting[0]
            if wanted.done():  # it was cut
                self._waiting.popleft()
                continue
            free = [seat for seat in self._seats if self._has_room(seat, alone)]
            if not free:
                return
            seat = min(free, key=lambda seat: (seat.in_use, seat.process is None))
            seat.in_use += 1
            seat.is_exclusive = alone
            self._waiting.popleft()
            wanted.set_result(seat)

    def _has_room(self, seat: _Seat, alone: bool) -> bool:
        if not seat.in_use:
            return True
        # A process that is spent or dead is replaced when the last one has left it.
        return (
            not alone
            and not seat.is_exclusive
            and seat.in_use < self._concurrency
            and not self._must_go(seat)
        )

    def _must_go(self, seat: _Seat) -> bool:
        process = seat.process
        if process is None:
            return False
        return process.is_dead or process.is_spent or seat.given >= self._recycle_after

    async def _process_of(self, seat: _Seat) -> Process:
        async with seat.lock:  # those who come while it starts wait for it
            if self._is_closed:
                raise asyncio.CancelledError
            if seat.process is not None and self._must_go(seat):
                old, seat.process = seat.process, None
                await old.close(_SPENT)
            if seat.process is None:
                seat.process = await self._start()
                seat.given = 0
                self._give_seats()
            seat.given += 1
            return seat.process
