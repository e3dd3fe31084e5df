"""An evaluator's own time."""

import asyncio

from workers.stopwatch import Stopwatch

LIMIT_S = 0.05
LONG_S = 4 * LIMIT_S


async def test_a_task_that_ends_in_time_is_waited_for() -> None:
    """One that ends before its time is up has ended."""
    assert await Stopwatch(LIMIT_S).until_done(asyncio.ensure_future(asyncio.sleep(0)))


async def test_a_task_that_takes_too_long_is_not() -> None:
    """One that goes on past its time has not ended, and is left as it is."""
    task = asyncio.ensure_future(asyncio.sleep(LONG_S))
    assert not await Stopwatch(LIMIT_S).until_done(task)
    await task


async def test_paused_time_does_not_count() -> None:
    """Time stands still until the last of two pauses that overlap is over."""
    watch = Stopwatch(LIMIT_S)

    async def pause(seconds: float) -> None:
        with watch.paused():
            await asyncio.sleep(seconds)

    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(pause(LONG_S / 2))
            tasks.create_task(pause(LONG_S))

    assert await watch.until_done(asyncio.ensure_future(both()))


async def test_time_goes_on_after_a_pause() -> None:
    """What hangs once its judge has answered is not waited for any longer."""
    watch = Stopwatch(LIMIT_S)

    async def hang() -> None:
        with watch.paused():
            await asyncio.sleep(0)
        await asyncio.sleep(LONG_S)

    task = asyncio.ensure_future(hang())
    assert not await watch.until_done(task)
    await task


async def test_time_before_a_pause_counts() -> None:
    """Two stretches that are in time, each by itself, are not so together."""
    watch = Stopwatch(LIMIT_S)

    async def work() -> None:
        await asyncio.sleep(LIMIT_S * 0.7)
        with watch.paused():
            await asyncio.sleep(0)
        await asyncio.sleep(LIMIT_S * 0.7)

    task = asyncio.ensure_future(work())
    assert not await watch.until_done(task)
    await task
