"""What workers spend together stays within the cap, whoever comes, goes or dies."""

import asyncio
from typing import Any

import pytest
from support.money import DAY_MS, MARCH, MemoryTopic, spender

from evaluators.judge.budget import NANOS, BudgetPaused, BudgetSpent, Charge
from schemas.config import BudgetConfig
from schemas.events import BudgetReached, Event
from workers.spend import Spend

CENT = NANOS // 100


def daily(**changes: Any) -> BudgetConfig:
    """A dollar a day, of which a worker holds two cents at most."""
    settings = {"name": "daily", "usd": 1.0, "per": "day", "at_cap": "skip", "lease": 0.02}
    return BudgetConfig.model_validate({**settings, **changes})


async def spend_all(spend: Spend, most: int, cost: int) -> int:
    """Make calls one after the other until the cap is reached; what they cost."""
    spent = 0
    while True:
        try:
            charge = await spend.open_budget(["any"]).reserve(most)
        except BudgetSpent:
            return spent
        await asyncio.sleep(0)
        charge.settle(cost)
        spent += cost


async def is_refused(spend: Spend, nanos: int = CENT) -> bool:
    """Whether a cap is reached for a call of that size."""
    try:
        charge = await spend.open_budget(["any"]).reserve(nanos)
    except BudgetSpent:
        return True
    charge.settle(0)
    return False


async def test_workers_together_spend_nearly_all_and_never_more() -> None:
    """Three workers with three calls at a time each reach the cap to within their last calls."""
    topic = MemoryTopic()
    workers = [await spender(topic, daily()) for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(spend_all(worker, CENT // 2, CENT // 5))
            for worker in workers
            for _ in range(3)
        ]
    assert 0.97 * NANOS <= sum(task.result() for task in tasks) <= NANOS


async def test_a_killed_worker_costs_one_lease_at_most() -> None:
    """Its lease counts as spent for everybody, and no more than that is lost."""
    topic = MemoryTopic()
    spent = 0
    for number in range(20):
        victim = await spender(topic, daily())
        for _ in range(1 + number % 4):
            charge = await victim.open_budget(["any"]).reserve(CENT)
            charge.settle(CENT // 4)
            spent += CENT // 4
    survivor = await spender(topic, daily())
    spent += await spend_all(survivor, CENT, CENT // 4)
    assert (1 - 21 * 0.02) * NANOS <= spent <= NANOS


async def test_a_call_whose_cost_is_not_known_costs_all_that_was_set_aside() -> None:
    """Without usage the bound is what can be relied on."""
    topic = MemoryTopic()
    worker = await spender(topic, daily(lease=1.0))
    for _ in range(100):
        (await worker.open_budget(["any"]).reserve(CENT)).settle(None)
    assert await is_refused(worker)


async def test_a_call_that_cost_more_than_it_could_is_made_up_for() -> None:
    """An endpoint that ignores the token limit makes the next calls fewer."""
    topic = MemoryTopic()
    worker = await spender(topic, daily())
    (await worker.open_budget(["any"]).reserve(CENT)).settle(30 * CENT)
    assert await spend_all(worker, CENT, CENT) == 70 * CENT


async def test_what_is_held_is_one_lease_at_most() -> None:
    """A third call waits until one of two that fill the lease has ended."""
    topic = MemoryTopic()
    worker = await spender(topic, daily())
    budget = worker.open_budget(["any"])
    first = await budget.reserve(CENT)
    await budget.reserve(CENT)
    third = asyncio.ensure_future(budget.reserve(CENT))
    await asyncio.sleep(0.01)
    assert worker.spent_ratio("daily") == 0.02
    assert not third.done()
    first.settle(CENT // 2)
    await asyncio.wait_for(third, 1)
    assert worker.spent_ratio("daily") == pytest.approx(0.025)


async def test_a_call_dearer_than_a_lease_is_made_alone() -> None:
    """Else a lease that is too small would stop all work."""
    topic = MemoryTopic()
    worker = await spender(topic, daily())
    charge = await worker.open_budget(["any"]).reserve(10 * CENT)
    another = asyncio.ensure_future(worker.open_budget(["any"]).reserve(10 * CENT))
    await asyncio.sleep(0.01)
    assert not another.done()
    charge.settle(CENT)
    await asyncio.wait_for(another, 1)


async def test_a_clean_stop_gives_the_rest_back() -> None:
    """The next worker can spend it."""
    topic = MemoryTopic()
    worker = await spender(topic, daily(lease=1.0))
    (await worker.open_budget(["any"]).reserve(CENT)).settle(CENT)
    other = await spender(topic, daily())
    assert await is_refused(other)
    await worker.close()
    assert not await is_refused(other)
    assert other.spent_ratio("daily") == pytest.approx(0.03)


async def test_a_new_period_begins_with_the_whole_cap() -> None:
    """At midnight UTC by the broker's clock, and not a moment before."""
    topic = MemoryTopic(MARCH + DAY_MS - 60_000)
    worker = await spender(topic, daily())
    await spend_all(worker, CENT, CENT)
    topic.now_ms += 1000
    assert await is_refused(worker)
    topic.now_ms = MARCH + DAY_MS
    assert worker.spent_ratio("daily") == 0
    assert await spend_all(worker, CENT, CENT) == NANOS


async def test_a_lease_is_worth_nothing_after_its_period() -> None:
    """What was leased at the end of a day is not spent on top of the next day's cap."""
    topic = MemoryTopic(MARCH + DAY_MS - 1000)
    worker = await spender(topic, daily(lease=0.5))
    (await worker.open_budget(["any"]).reserve(CENT)).settle(0)
    topic.now_ms += 2000
    assert await spend_all(worker, CENT, CENT) == NANOS


async def test_a_lease_that_is_given_back_too_late_is_not_given_to_the_next_period() -> None:
    """Money of one day would else be spent on the next."""
    topic = MemoryTopic(MARCH + DAY_MS - 1000)
    slow = await spender(topic, daily(lease=0.5))
    (await slow.open_budget(["any"]).reserve(CENT)).settle(0)
    other = await spender(topic, daily(lease=0.5))
    back, period = slow._purses["daily"].close()
    assert period is not None
    topic.now_ms += 2000
    spent = await spend_all(other, CENT, CENT)
    entry = slow._entry(slow._purses["daily"], returns=back, period=period.begin_ms)
    topic.append(entry.model_dump_json().encode())
    assert spent + await spend_all(other, CENT, CENT) == NANOS


async def test_a_record_that_was_appended_twice_counts_once() -> None:
    """A producer that sends again does not make the cap smaller."""
    topic = MemoryTopic(copies=2)
    worker = await spender(topic, daily())
    assert await spend_all(worker, CENT, CENT) == NANOS


async def test_a_record_of_somebody_else_changes_nothing() -> None:
    """What is no entry is passed over by all alike."""
    topic = MemoryTopic()
    worker = await spender(topic, daily())
    topic.append(b"what is this?")
    assert await spend_all(worker, CENT, CENT) == NANOS


async def test_each_budget_that_names_a_route_is_charged() -> None:
    """The tighter one ends the calls of its route, and the other pays for the rest."""
    topic = MemoryTopic()
    support = daily(name="support", usd=0.1, routes=["support"], lease=0.2)
    worker = await spender(topic, daily(), support)
    both = worker.open_budget(["support", "errors"])
    for _ in range(10):
        (await both.reserve(CENT)).settle(CENT)
    with pytest.raises(BudgetSpent, match='"support"'):
        await both.reserve(CENT)
    for _ in range(90):
        (await worker.open_budget(["errors"]).reserve(CENT)).settle(CENT)
    with pytest.raises(BudgetSpent, match='"daily"'):
        await worker.open_budget(["errors"]).reserve(CENT)


async def test_a_paused_budget_says_so_and_goes_on_in_the_next_period() -> None:
    """Calls wait, whoever asked to be told is told, and the next day they go on."""
    events: list[Event] = []
    told: list[tuple[str, bool]] = []
    topic = MemoryTopic(MARCH + DAY_MS - 60_000)
    worker = await spender(topic, daily(at_cap="pause"), events=events)
    worker.on_blocked(lambda budget, is_blocked, _: told.append((budget, is_blocked)))
    budget = worker.open_budget(["any"])
    for _ in range(100):
        (await budget.reserve(CENT)).settle(CENT)
    with pytest.raises(BudgetPaused):
        await budget.reserve(CENT)
    waiting = asyncio.ensure_future(budget.reopened())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    topic.now_ms += 60_000
    await asyncio.wait_for(waiting, 3)
    (await budget.reserve(CENT)).settle(CENT)
    assert told == [("daily", True), ("daily", False)]
    assert BudgetReached("daily", "pause") in events
    await worker.close()


async def test_a_cancelled_request_is_not_lost() -> None:
    """What the log grants to an evaluation that was cut off, the next one spends."""
    topic = MemoryTopic()
    worker = await spender(topic, daily())
    cut = asyncio.ensure_future(worker.open_budget(["any"]).reserve(CENT))
    await asyncio.sleep(0)
    cut.cancel()
    await asyncio.wait({cut})
    assert await spend_all(worker, CENT, CENT) >= 0.98 * NANOS


async def test_the_last_cents_are_those_that_calls_give_back() -> None:
    """A call waits for one that is under way rather than to be refused too soon."""
    topic = MemoryTopic()
    worker = await spender(topic, daily(usd=0.02, lease=1.0))
    budget = worker.open_budget(["any"])
    first: Charge = await budget.reserve(2 * CENT)
    second = asyncio.ensure_future(budget.reserve(CENT))
    await asyncio.sleep(0.01)
    first.settle(CENT // 2)
    (await asyncio.wait_for(second, 1)).settle(CENT)
