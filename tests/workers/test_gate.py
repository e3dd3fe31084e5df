"""How much may be in flight in one lane."""

import asyncio

from workers.gate import Gate


async def _is_waiting(task: asyncio.Task[None]) -> bool:
    await asyncio.sleep(0.01)
    return not task.done()


async def test_the_gate_lets_in_until_the_room_is_taken() -> None:
    """Evaluations enter up to the bound; the next one waits until some leave."""
    gate = Gate(max_items=5, max_bytes=1000)
    await gate.enter(3, 10)
    await gate.enter(2, 10)
    third = asyncio.create_task(gate.enter(1, 10))
    assert await _is_waiting(third)
    gate.leave(3, 10)
    await asyncio.wait_for(third, 1)
    assert (gate.items, gate.size_bytes) == (3, 20)


async def test_bytes_are_bounded_like_evaluations() -> None:
    """A few large spans fill the room as many small ones do."""
    gate = Gate(max_items=100, max_bytes=1000)
    await gate.enter(1, 900)
    second = asyncio.create_task(gate.enter(1, 101))
    assert await _is_waiting(second)
    gate.leave(1, 900)
    await asyncio.wait_for(second, 1)


async def test_what_is_larger_than_the_room_enters_alone() -> None:
    """A record of more evaluations than the bound waits for an empty room, not for ever."""
    gate = Gate(max_items=5, max_bytes=1000)
    await gate.enter(1, 10)
    large = asyncio.create_task(gate.enter(300, 5000))
    assert await _is_waiting(large)
    gate.leave(1, 10)
    await asyncio.wait_for(large, 1)
    after = asyncio.create_task(gate.enter(1, 10))
    assert await _is_waiting(after)
    gate.leave(300, 5000)
    await asyncio.wait_for(after, 1)


async def test_a_closed_gate_opens_when_every_reason_is_gone() -> None:
    """Two judges are out: the lane goes on only when both are back."""
    gate = Gate(max_items=5, max_bytes=1000)
    gate.close("judge a")
    gate.close("judge b")
    waiting = asyncio.create_task(gate.enter(1, 10))
    assert await _is_waiting(waiting)
    gate.open("judge a")
    assert await _is_waiting(waiting)
    gate.open("judge b")
    await asyncio.wait_for(waiting, 1)


async def test_an_abandoned_gate_holds_nobody() -> None:
    """A lane that ends during a judge outage must not leave its intake standing at the gate."""
    gate = Gate(max_items=5, max_bytes=1000)
    gate.close("judge")
    waiting = asyncio.create_task(gate.enter(1, 10))
    assert await _is_waiting(waiting)
    gate.abandon()
    await asyncio.wait_for(waiting, 1)


async def test_a_cancelled_wait_takes_no_room() -> None:
    """Who is cancelled at the gate was never in flight."""
    gate = Gate(max_items=1, max_bytes=1000)
    await gate.enter(1, 10)
    waiting = asyncio.create_task(gate.enter(1, 10))
    assert await _is_waiting(waiting)
    waiting.cancel()
    await asyncio.wait({waiting})
    assert (gate.items, gate.size_bytes) == (1, 10)
