"""The queue of one endpoint: order, and rights that must not be lost."""

import asyncio

import pytest
from opentelemetry import context

from evaluators.judge.endpoint import Endpoint, Pace
from evaluators.judge.exchange import not_traced

from .conftest import now


def endpoint(max_concurrency: int = 1) -> Endpoint:
    """An endpoint that nobody has asked yet."""
    return Endpoint("m@h", max_concurrency, emit=lambda _: None, clock=now, pace=Pace())


async def test_first_come_first_served() -> None:
    """Requests leave in the order in which they came."""
    shared = endpoint()
    order: list[int] = []

    async def work(number: int) -> None:
        permit = await shared.acquire()
        order.append(number)
        await asyncio.sleep(1)
        shared.succeeded(permit)

    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(work(number))

    assert order == list(range(10))


async def test_right_that_is_granted_to_a_cancelled_caller_is_not_lost() -> None:
    """Granted and cancelled in one turn of the loop: the next one in the queue gets it."""
    shared = endpoint()
    permit = await shared.acquire()
    waiting = asyncio.ensure_future(shared.acquire())
    await asyncio.sleep(0)

    shared.release(permit)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

    async with asyncio.timeout(1):
        await shared.acquire()


async def test_caller_that_is_cancelled_in_the_queue_is_passed_over() -> None:
    """Those behind a cancelled caller do not wait for it."""
    shared = endpoint()
    permit = await shared.acquire()
    gone, next_one = [asyncio.ensure_future(shared.acquire()) for _ in range(2)]
    await asyncio.sleep(0)
    gone.cancel()

    shared.release(permit)

    async with asyncio.timeout(1):
        await next_one


async def test_permit_given_back_twice_counts_once() -> None:
    """A second release does not let more requests out than the limit."""
    shared = endpoint()
    permit = await shared.acquire()
    shared.succeeded(permit)
    shared.release(permit)
    await shared.acquire()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await shared.acquire()


async def test_success_that_began_before_a_failure_says_nothing() -> None:
    """A call that was under way when the endpoint went down does not show that it is up."""
    shared = endpoint(max_concurrency=2)
    old = await shared.acquire()
    mark = shared.mark()

    shared.succeeded(old)
    assert not shared.alive_since(mark)
    shared.succeeded(await shared.acquire())
    assert shared.alive_since(mark)


async def test_old_success_does_not_close_the_breaker() -> None:
    """Only a call that began after the breaker opened can close it."""
    shared = endpoint(max_concurrency=2)
    old = await shared.acquire()
    shared.open("down")

    shared.succeeded(old)

    assert not shared.is_closed
    await shared.aclose()


def test_judge_calls_are_hidden_from_instrumentation() -> None:
    """While a judge is called, instrumentations in this process are told to look away."""
    with not_traced():
        assert context.get_value("suppress_instrumentation") is True
        assert context.get_value(context._SUPPRESS_INSTRUMENTATION_KEY) is True
    assert context.get_value("suppress_instrumentation") is None


async def test_flood_of_one_route_starves_no_other() -> None:
    """One evaluation of a quiet route waits for two of the flood at most, not for all before it."""
    shared = endpoint()
    order: list[str] = []

    async def work(route: str) -> None:
        permit = await shared.acquire(route=route)
        order.append(route)
        await asyncio.sleep(1)
        shared.succeeded(permit)

    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(work("flood"))
        await asyncio.sleep(5)
        before = len(order)
        group.create_task(work("quiet"))

    assert order.index("quiet") <= before + 2


async def test_routes_take_turns() -> None:
    """Two routes that both have work waiting get every second request."""
    shared = endpoint()
    order: list[str] = []

    async def work(route: str) -> None:
        permit = await shared.acquire(route=route)
        order.append(route)
        await asyncio.sleep(1)
        shared.succeeded(permit)

    async with asyncio.TaskGroup() as group:
        for route in ["a"] * 10 + ["b"] * 10:
            group.create_task(work(route))

    assert 9 <= order[:19].count("a") <= 11


async def test_what_the_endpoint_has_left_holds_requests_back() -> None:
    """Told that nothing is left and that one flows in each second, one leaves each second."""
    shared = endpoint(max_concurrency=50)
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m",
    }
    shared.told(headers, now(), 0.0)
    began = now()

    for _ in range(10):
        shared.succeeded(await shared.acquire())

    assert now() - began == pytest.approx(10, abs=0.5)
