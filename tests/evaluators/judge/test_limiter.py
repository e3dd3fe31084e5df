"""Finding an endpoint's capacity, and keeping retries few."""

import asyncio
import itertools
import math

import pytest

from evaluators.judge.endpoint import Endpoint, Pace
from evaluators.judge.limiter import Limiter, RetryBudget

from .conftest import now


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


def refused(limit: int, clock: Clock, *, is_shared: bool) -> Limiter:
    """A limiter that had so many requests in use when one of them was too much."""
    limiter = Limiter(100, clock)
    limiter.is_shared = is_shared
    limiter.limit = limiter.in_use = limit
    limiter.cut(0, 1)
    return limiter


def full(limiter: Limiter) -> Limiter:
    """As many requests in use as may be."""
    limiter.in_use = int(limiter.limit)
    return limiter


def test_limit_grows_only_while_it_is_what_holds_back() -> None:
    """A success of a half-idle client says nothing about more."""
    limiter = Limiter(100, Clock())
    limiter.in_use = 3
    limiter.succeeded()
    assert limiter.limit == 4

    full(limiter).succeeded()
    assert limiter.limit == 5


def test_limit_never_passes_its_bounds() -> None:
    """It stays between one and the configured ceiling."""
    limiter = Limiter(25, Clock())
    for _ in range(50):
        full(limiter).succeeded()
    assert limiter.limit == 25

    for sequence in range(50):
        limiter.cut(sequence, sequence + 1)
    assert limiter.limit == 1


def test_growth_is_slow_beyond_the_last_cut() -> None:
    """Up to the limit that was cut to it doubles in a round trip; beyond, it adds one."""
    limiter = Limiter(100, Clock())
    limiter.limit = 40
    limiter.cut(0, 1)
    limiter.restart()
    assert limiter.limit == 1

    for _ in range(29):
        full(limiter).succeeded()
    assert limiter.limit == 30
    full(limiter).succeeded()
    assert limiter.limit == pytest.approx(30 + 1 / 30)


def test_growth_is_careful_before_the_limit_that_was_too_much() -> None:
    """One below the limit that was cut, some round trips pass before it is tried again."""
    clock = Clock()
    limiter = Limiter(100, clock)
    limiter.limit = 5
    limiter.cut(0, 1)

    successes = 0
    while limiter.limit < 5:
        clock.now += 1
        full(limiter).succeeded()
        successes += 1
    assert successes > 6 * 4


def test_growth_waits_some_seconds_before_the_limit_that_was_too_much() -> None:
    """An endpoint that answers at once is not asked for too much again at once."""
    clock = Clock()
    limiter = Limiter(100, clock)
    limiter.limit = 5
    limiter.cut(0, 1)

    for _ in range(1000):
        full(limiter).succeeded()
    assert int(limiter.limit) == 4

    clock.now += 10
    full(limiter).succeeded()
    assert int(limiter.limit) == 5


def test_last_place_stays_free_for_others() -> None:
    """What a refused replica held besides may be used at once; its last place after the lull."""
    clock = Clock()
    limiter = refused(4, clock, is_shared=True)
    limiter.limit = 4  # whatever it grows to meanwhile

    limiter.released()  # the one that was refused
    assert limiter.start_s() == math.inf
    limiter.released()
    assert 3 < limiter.start_s() < 4
    limiter.released()
    assert limiter.start_s() <= 0
    limiter.in_use += 1
    clock.now += 4
    assert limiter.start_s() <= 0


def test_only_place_is_left_free_too() -> None:
    """A replica that asked for a second request and was refused gives up its first for a while."""
    limiter = refused(2, Clock(), is_shared=True)
    limiter.released()
    limiter.released()
    assert 3 < limiter.start_s() < 4


def test_lone_replica_leaves_no_place_free() -> None:
    """Without others there is nobody to leave a place to."""
    limiter = refused(2, Clock(), is_shared=False)
    limiter.released()
    limiter.released()
    assert limiter.start_s() <= 0


@pytest.mark.parametrize(("is_shared", "longest_s"), [(True, 3), (False, 15)])
def test_pauses_grow_to_a_few_seconds(is_shared: bool, longest_s: float) -> None:
    """Burst after burst: about 1, 2, 3 and 3 seconds beside others, up to 15 alone."""
    clock = Clock()
    limiter = Limiter(100, clock)
    limiter.is_shared = is_shared

    def paused_s() -> float:
        limiter.cut(limiter.bursts, limiter.bursts + 1)
        limiter.pause(is_named=False)
        seconds = limiter.gated_s()
        clock.now += seconds
        return seconds

    pauses = [paused_s() for _ in range(100)]
    assert 1 <= pauses[0] <= 1.25
    assert 2 <= pauses[1] <= 2.5
    assert longest_s <= pauses[5] <= 1.25 * longest_s
    assert longest_s <= pauses[-1] <= 1.25 * longest_s


def test_cut_leaves_a_place_free() -> None:
    """A limit of four that was too much falls below the three that were borne."""
    limiter = Limiter(100, Clock())
    limiter.cut(0, 1)
    assert limiter.limit == 2


def test_growth_is_eager_once_well_past_what_was_too_much() -> None:
    """An endpoint that has much more room now is found again within some round trips."""
    clock = Clock()
    limiter = Limiter(100, clock)
    limiter.limit = 3
    limiter.cut(0, 1)

    round_trips = 0
    while limiter.limit < 30:
        clock.now += 2
        for _ in range(int(limiter.limit)):
            full(limiter).succeeded()
        round_trips += 1
    assert round_trips < 20


def test_cut_counts_a_burst_once() -> None:
    """Requests that were under way at the cut do not cut again; a later one does."""
    limiter = Limiter(100, Clock())

    cuts = [limiter.cut(sequence, 20) for sequence in range(20)]
    assert cuts == [True] + [False] * 19
    assert limiter.cut(20, 21)


def test_gate_keeps_the_longest_wait() -> None:
    """A shorter wait does not open the gate before a longer one has passed."""
    clock = Clock()
    limiter = Limiter(100, clock)
    limiter.close_gate(600)
    limiter.close_gate(1)

    clock.now += 599
    assert limiter.gated_s() == pytest.approx(1)


def test_retries_are_a_fifth_and_a_small_minimum() -> None:
    """After the reserve a retry waits, unless five requests have paid for it."""
    budget = RetryBudget(Clock())
    assert [budget.withdraw() for _ in range(10)] == [0.0] * 10
    assert budget.withdraw() == pytest.approx(0.1)

    for _ in range(10):
        budget.deposit()
    assert budget.withdraw() == 0.0


def test_retries_come_back_with_time() -> None:
    """Ten retries a second are free, whatever the number of requests."""
    clock = Clock()
    budget = RetryBudget(clock)
    for _ in range(20):
        budget.withdraw()
    clock.now += 1.1

    assert budget.withdraw() == 0.0


class _Simulated:
    """A server that serves so many at a time and refuses the rest at once."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.in_flight = 0
        self.served = 0
        self.refused = 0
        self._latency = itertools.cycle([0.5, 1.0, 2.0, 0.7, 5.0])

    async def call(self, endpoint: Endpoint) -> None:
        """Send one request until it is served."""
        while True:
            permit = await endpoint.acquire()
            if self.in_flight < self.capacity:
                break
            self.refused += 1
            await asyncio.sleep(0.05)
            endpoint.limited(permit, None)
        self.in_flight += 1
        await asyncio.sleep(next(self._latency))
        self.in_flight -= 1
        self.served += 1
        endpoint.succeeded(permit)


@pytest.mark.parametrize("capacity", [5, 40])
async def test_hidden_capacity_is_found_and_used(capacity: int) -> None:
    """Over ten minutes most of a server's capacity is used and few requests are refused."""
    endpoint = Endpoint("m@h", 200, emit=lambda _: None, clock=now, pace=Pace())
    server = _Simulated(capacity)
    end = now() + 600

    async def work() -> None:
        while now() < end:
            await server.call(endpoint)

    async with asyncio.TaskGroup() as group:
        for _ in range(3 * capacity):
            group.create_task(work())

    possible = capacity * 600 / 1.84
    assert server.served >= 0.8 * possible
    assert server.refused <= 0.05 * server.served
