"""A judge endpoint whose capacity nobody knows, and workers that share it; by a virtual clock."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evaluators.judge.endpoint import Endpoint, Pace
from evaluators.judge.faults import wanted_wait_s

MEAN_S = 2.0
_SIGMA = 0.6
_REFUSED_S = 0.05
_NOTED_S = 0.5
_WINDOW = 20
"""Notes, ten seconds: that much of a phase must be well used to call it recovered."""
GOOD = 0.85
FLOOD, QUIET = "flood", "quiet"
_FLOOD_TASKS = 100


@dataclass(frozen=True, slots=True)
class Phase:
    """For some seconds the endpoint serves so many requests at a time."""

    capacity: int
    seconds: float


@dataclass(slots=True)
class Result:
    """What a run came to.

    Attributes:
        used: Share of the endpoint's capacity that was busy, over the whole run.
        refused: Share of all calls that were 429s.
        recovered_s: For each phase, seconds from its begin until ten seconds are well used.
        by_client: Calls served, for each client.
        longest_quiet_s: Longest time that a call of the quiet route waited to be served, or waits
            at the end.
        quiet: Calls of the quiet route that were served.
    """

    used: float
    refused: float
    recovered_s: list[float]
    by_client: list[int]
    longest_quiet_s: float
    quiet: int


@dataclass(slots=True)
class _Server:
    """Serves as many as it can and refuses the rest at once, with or without a word why.

    Args:
        headers: Of a 429.
        per_s: Requests that flow in each second, up to a minute's worth; None is no such limit.
    """

    headers: Mapping[str, str]
    chance: random.Random
    per_s: float | None = None
    capacity: int = 0
    busy: int = 0
    refused: int = 0
    served: int = 0
    left: float = 0.0
    at: float = 0.0
    notes: list[tuple[int, int]] = field(default_factory=list)

    def admits(self) -> bool:
        """Whether one more request is served now."""
        if self.busy >= self.capacity:
            return False
        if self.per_s is None:
            return True
        self._flow()
        if self.left < 1:
            return False
        self.left -= 1
        return True

    def _flow(self) -> None:
        now, per_s = asyncio.get_running_loop().time(), self.per_s or 0.0
        self.left = min(per_s * 60, self.left + (now - self.at) * per_s)
        self.at = now

    def rates(self) -> dict[str, str]:
        """What every answer says about requests; nothing where there is no such limit."""
        if self.per_s is None:
            return {}
        self._flow()
        limit = self.per_s * 60
        return {
            "x-ratelimit-limit-requests": f"{limit:.0f}",
            "x-ratelimit-remaining-requests": f"{int(self.left)}",
            "x-ratelimit-reset-requests": f"{(limit - self.left) / self.per_s:.3f}s",
        }

    async def note(self, phases: Sequence[Phase]) -> None:
        """Play the phases, and note how many requests are being served."""
        for phase in phases:
            self.capacity = phase.capacity
            for _ in range(int(phase.seconds / _NOTED_S)):
                await asyncio.sleep(_NOTED_S)
                self.notes.append((min(self.busy, self.capacity), self.capacity))


@dataclass(slots=True)
class _Client:
    """One worker: asks as fast as its limiter lets it, for two routes."""

    server: _Server
    endpoint: Endpoint
    served: int = 0
    quiet: int = 0
    longest_quiet_s: float = 0.0
    quiet_since: float = 0.0

    def note_quiet(self) -> None:
        """The quiet route's call is served now, or waits still."""
        waited_s = asyncio.get_running_loop().time() - self.quiet_since
        self.longest_quiet_s = max(self.longest_quiet_s, waited_s)

    async def ask_for(self, route: str) -> None:
        """One evaluation after the other; a 429 stands in the queue again."""
        loop, server = asyncio.get_running_loop(), self.server
        while True:
            if route == QUIET:
                self.quiet_since = loop.time()
            while True:
                permit = await self.endpoint.acquire(route=route, tokens=1000)
                if server.admits():
                    break
                sent_at = loop.time()
                server.refused += 1
                await asyncio.sleep(_REFUSED_S)
                headers = {**server.headers, **server.rates()}
                self.endpoint.told(headers, sent_at, 0.0)
                self.endpoint.limited(permit, wanted_wait_s(headers))
            if route == QUIET:
                self.quiet += 1
                self.note_quiet()
            server.busy += 1
            sent_at, rates = loop.time(), server.rates()
            seconds = server.chance.lognormvariate(0, _SIGMA) * MEAN_S
            await asyncio.sleep(seconds / 1.197)  # the mean of that distribution
            server.busy -= 1
            server.served += 1
            self.served += 1
            self.endpoint.told(rates, sent_at, 0.0)
            self.endpoint.succeeded(permit)


async def run(
    phases: Sequence[Phase],
    *,
    headers: Mapping[str, str],
    clients: int = 3,
    per_s: float | None = None,
    seed: int = 1,
) -> Result:
    """Let clients with a flooded and a quiet route share one endpoint through all phases."""
    loop = asyncio.get_running_loop()
    chance = random.Random(seed)  # noqa: S311  a simulation
    server = _Server(headers, chance, per_s, at=loop.time())
    workers = []
    for _ in range(clients):
        endpoint = Endpoint("m@h", 200, emit=lambda _: None, clock=loop.time, pace=Pace())
        endpoint.set_share("judge", 1 / clients)
        workers.append(_Client(server, endpoint))
    server.capacity = phases[0].capacity
    routes = [FLOOD] * _FLOOD_TASKS + [QUIET]
    tasks = [asyncio.create_task(one.ask_for(route)) for one in workers for route in routes]
    await server.note(phases)
    for one in workers:
        one.note_quiet()
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for one in workers:
        await one.endpoint.aclose()
    return Result(
        used=_used(server.notes, per_s),
        refused=server.refused / (server.refused + server.served),
        recovered_s=_recoveries(server.notes, phases, per_s),
        by_client=[one.served for one in workers],
        longest_quiet_s=max(one.longest_quiet_s for one in workers),
        quiet=sum(one.quiet for one in workers),
    )


def _used(notes: Sequence[tuple[int, int]], per_s: float | None) -> float:
    possible = [
        capacity if per_s is None else min(capacity, per_s * MEAN_S) for _, capacity in notes
    ]
    return sum(busy for busy, _ in notes) / sum(possible)


def _recoveries(
    notes: Sequence[tuple[int, int]], phases: Sequence[Phase], per_s: float | None
) -> list[float]:
    found, begin = [], 0
    for phase in phases:
        count = int(phase.seconds / _NOTED_S)
        mine = notes[begin : begin + count]
        begin += count
        good = (
            index
            for index in range(len(mine) - _WINDOW)
            if _used(mine[index : index + _WINDOW], per_s) >= GOOD
        )
        found.append(next(good, len(mine)) * _NOTED_S)
    return found
