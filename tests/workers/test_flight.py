"""How what is in flight ends when its partitions leave."""

import asyncio
from collections.abc import Coroutine

from support.samples import span

from schemas.outcome import Source
from workers.consumer import Record
from workers.engine import Job
from workers.flight import Flight, Work
from workers.offset_metadata import Beginning
from workers.offsets import Offsets
from workers.router import Selected

_HOUR = 3600.0


def _work(partition: int = 0, jobs: int = 1) -> Work:
    offsets = Offsets()
    key = ("spans", partition)
    offsets.assign(key, 7, Beginning(1, 0, "c"), None)
    claim = offsets.deliver(key, 7, 0.0)
    assert claim is not None
    record = Record("spans", partition, 7, None, b"value", 0.0, claim)
    selected = Selected("pii", ("support",), 1.0, "full", None)
    job = Job(span(), None, selected, Source("spans", partition, 7))  # type: ignore[arg-type]  # it is only counted
    return Work(record, jobs=[job] * jobs)


def _start(flight: Flight, work: Work, running: Coroutine[None, None, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(running)
    flight.add(task, work)
    return task


async def test_what_ends_in_time_is_not_cut_off() -> None:
    """A drain returns as soon as the partition's work has ended."""
    flight = Flight(drain_s=_HOUR, flush_s=_HOUR)
    task = _start(flight, _work(), asyncio.sleep(0.05))
    assert await asyncio.wait_for(flight.drain([("spans", 0)]), 5) == 0
    assert task.done()
    assert not task.cancelled()


async def test_what_takes_too_long_is_cancelled_and_counted() -> None:
    """Its evaluations are made again by the next owner, so each of them counts."""
    flight = Flight(drain_s=0.05, flush_s=_HOUR)
    task = _start(flight, _work(jobs=3), asyncio.sleep(_HOUR))
    assert await asyncio.wait_for(flight.drain([("spans", 0)]), 5) == 3
    assert task.cancelled()


async def test_what_is_being_published_is_never_cut_off() -> None:
    """Some of its outcomes may be on the broker: without their commit they would come twice."""
    flight = Flight(drain_s=0.05, flush_s=_HOUR)
    work = _work()
    work.is_publishing = True
    task = _start(flight, work, asyncio.sleep(0.3))
    assert await asyncio.wait_for(flight.drain([("spans", 0)]), 5) == 0
    assert task.done()
    assert not task.cancelled()


async def test_a_broker_that_does_not_acknowledge_is_not_waited_for_for_ever() -> None:
    """The drain is bounded even while outcomes wait for their acknowledgement."""
    flight = Flight(drain_s=0.05, flush_s=0.05)
    work = _work()
    work.is_publishing = True
    task = _start(flight, work, asyncio.sleep(_HOUR))
    assert await asyncio.wait_for(flight.drain([("spans", 0)]), 5) == 0
    assert not task.done()
    task.cancel()


async def test_other_partitions_go_on() -> None:
    """Only what leaves is drained."""
    flight = Flight(drain_s=0.05, flush_s=_HOUR)
    leaving = _start(flight, _work(0), asyncio.sleep(_HOUR))
    staying = _start(flight, _work(1), asyncio.sleep(_HOUR))
    assert await asyncio.wait_for(flight.drain([("spans", 0)]), 5) == 1
    assert leaving.cancelled()
    assert not staying.done()
    staying.cancel()


async def test_a_task_that_ignores_its_cancellation_is_left_behind() -> None:
    """A stubborn evaluator must not hold up the rebalance; the fence keeps its result out."""
    flight = Flight(drain_s=0.05, flush_s=0.05)
    release = asyncio.Event()

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    task = _start(flight, _work(), stubborn())
    assert await asyncio.wait_for(flight.drain([("spans", 0)]), 5) == 1
    assert not task.done()
    release.set()
    await task


async def test_a_task_that_never_began_is_cut_off_like_the_others() -> None:
    """A task can be cancelled before its first step; the drain must not wait for it."""
    flight = Flight(drain_s=0, flush_s=_HOUR)
    _start(flight, _work(), asyncio.sleep(_HOUR))
    assert await asyncio.wait_for(flight.drain([("spans", 0)]), 5) == 1
