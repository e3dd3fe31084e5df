"""How what is in flight ends when its partitions leave."""

import asyncio
from collections.abc import Coroutine

from support.samples import span

from evaluators.contract import Settings
from evaluators.judge.client import JudgeClient
from evaluators.judge.evaluation import CallRecord, Deadline
from evaluators.registry import load
from schemas.config import EvaluatorConfig, JudgeConfig
from schemas.outcome import Source
from workers.configured import Configured
from workers.consumer import Record
from workers.engine import Job
from workers.flight import Flight, Work
from workers.offset_metadata import Beginning
from workers.offsets import Offsets
from workers.router import Selected

_HOUR = 3600.0


def _work(partition: int = 0, jobs: int = 1, judge: JudgeClient | None = None) -> Work:
    offsets = Offsets()
    key = ("spans", partition)
    offsets.assign(key, 7, Beginning(1, 0, "c"), None)
    claim = offsets.deliver(key, 7, 0.0)
    assert claim is not None
    record = Record("spans", partition, 7, None, b"value", 0.0, claim)
    selected = Selected("pii", ("support",), 1.0, "full", None)
    pii = Configured("pii", EvaluatorConfig(), load(Settings("pii")), judge, None)
    job = Job(span(), pii, selected, Source("spans", partition, 7))
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


async def test_what_only_waits_for_its_judge_is_cut_at_once() -> None:
    """Nothing was sent, so nothing is lost; what has sent a request may end."""
    config = JudgeConfig(model="judge-1", base_url="http://127.0.0.1:9/v1")
    judge = JudgeClient("default", config, emit=lambda _: None)
    flight = Flight(drain_s=_HOUR, flush_s=_HOUR)
    waits, asks = _work(judge=judge), _work(judge=judge)
    deadlines = [Deadline(60), Deadline(60)]
    waits.meter.evaluations.append((deadlines[0], CallRecord()))
    asks.meter.evaluations.append((deadlines[1], CallRecord()))
    asks.meter.evaluations[0][1].sent += 1
    with deadlines[0].paused(), deadlines[1].paused():
        waiting = _start(flight, waits, asyncio.sleep(_HOUR))
        asking = _start(flight, asks, asyncio.sleep(0.05))
        assert await asyncio.wait_for(flight.drain([("spans", 0)]), 5) == 0
    assert waiting.cancelled()
    assert not asking.cancelled()
    await judge.aclose()


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
