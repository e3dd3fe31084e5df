"""Who waits for an endpoint: in order within a route, and the routes by turns.

One route that suddenly asks a thousand times as much makes its own evaluations wait, nobody
else's: the next of another route is served after one of each, not after all that stand before it.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

Granted = TypeVar("Granted")


@dataclass(slots=True, eq=False)
class Waiter(Generic[Granted]):
    """One evaluation that waits for its right to send."""

    granted: asyncio.Future[Granted]
    route: str
    tokens: float
    """Upper guess of what it will use."""
    held: bool
    """It failed in the outage at hand."""
    patience_s: float | None


class Waiting(Generic[Granted]):
    """The queue of one endpoint; those that were cancelled are passed over."""

    def __init__(self) -> None:
        self._routes: dict[str, deque[Waiter[Granted]]] = {}
        """In the order of their turns: the first is next."""

    def __iter__(self) -> Iterator[Waiter[Granted]]:
        """All that still wait, by route."""
        for waiters in self._routes.values():
            yield from (waiter for waiter in waiters if not waiter.granted.done())

    def push(self, waiter: Waiter[Granted]) -> None:
        """Stand last in its route."""
        self._routes.setdefault(waiter.route, deque()).append(waiter)

    def first(self) -> Waiter[Granted] | None:
        """Whose turn it is."""
        for route, waiters in tuple(self._routes.items()):
            while waiters and waiters[0].granted.done():
                waiters.popleft()
            if waiters:
                return waiters[0]
            del self._routes[route]
        return None

    def remove(self, waiter: Waiter[Granted]) -> None:
        """It is served, or gave up; its route's next turn comes after those of all others."""
        waiters = self._routes.pop(waiter.route)
        waiters.remove(waiter)
        if waiters:
            self._routes[waiter.route] = waiters
