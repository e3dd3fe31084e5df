"""What a plugin starts is known to be its own, and harms nobody else."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from support.samples import span

from evaluators.contract import JudgeUse, Scope, Score, Subject
from schemas.config import EvaluatorConfig
from schemas.events import EvaluationAbandoned, Event, TaskLeft, TaskLeftEnded
from schemas.outcome import EvaluatorKind, Outcome, Source
from schemas.reasons import Reason, Status
from workers.configured import Configured
from workers.engine import Engine, Job, Meter
from workers.router import Selected
from workers.threads import Threads
from workers.wall import EVALUATION, Evaluation, PluginExit, guarded, outside, watch_tasks


class _Plugin:
    version = "1"
    kind = EvaluatorKind.HEURISTIC
    scope = Scope.SPAN
    judge_use = JudgeUse.NEVER
    threshold = 0.5
    content_fingerprint = ""
    needs = frozenset[Any]()
    deadline_s = 0.3

    def __init__(self, evaluate: Callable[[], Awaitable[Any]]) -> None:
        self._evaluate = evaluate

    async def evaluate(self, _: Subject) -> Any:
        return await self._evaluate()


async def _outcome(evaluate: Callable[[], Awaitable[Any]], events: list[Event]) -> Outcome:
    watch_tasks(asyncio.get_running_loop())
    configured = Configured("plugin", EvaluatorConfig(), _Plugin(evaluate), None, None)
    selected = Selected("plugin", ("support",), 1.0, "full", None)
    job = Job(span(), configured, selected, Source("spans", 0, 1))
    (outcome,) = await Engine(events.append).outcomes([job], Meter())
    return outcome


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
async def test_a_task_of_a_plugin_cannot_end_the_loop(error: BaseException) -> None:
    """Asyncio lets these two out of any task; here they stay inside."""
    started: list[asyncio.Task[None]] = []

    async def leave() -> None:
        raise error

    async def evaluate() -> Score:
        started.append(asyncio.create_task(leave()))
        await asyncio.sleep(0.05)
        return Score(1.0)

    outcome = await _outcome(evaluate, [])
    assert outcome.outcome is Status.SCORED
    assert isinstance(started[0].exception(), PluginExit)


async def test_a_task_that_is_left_behind_is_counted_until_it_ends() -> None:
    """Its evaluation has its outcome; the task may be a client's that others use too."""
    events: list[Event] = []
    started: list[asyncio.Task[None]] = []

    async def evaluate() -> Score:
        started.append(asyncio.create_task(asyncio.sleep(0.3)))
        return Score(1.0)

    assert (await _outcome(evaluate, events)).outcome is Status.SCORED
    assert events == [TaskLeft("plugin")]
    await started[0]
    await asyncio.sleep(0)
    assert events == [TaskLeft("plugin"), TaskLeftEnded("plugin")]


async def test_a_swallowed_cancellation_is_counted_until_it_ends() -> None:
    """The evaluation is over, its task is not."""
    events: list[Event] = []
    may_end = asyncio.Event()

    async def evaluate() -> None:
        while not may_end.is_set():
            with suppress(asyncio.CancelledError):
                await may_end.wait()

    assert (await _outcome(evaluate, events)).reason is Reason.EVALUATOR_ERROR
    assert events[:2] == [EvaluationAbandoned("plugin"), TaskLeft("plugin")]
    may_end.set()
    await asyncio.sleep(0.01)
    assert events[-1] == TaskLeftEnded("plugin")


async def test_what_we_start_for_a_plugin_is_not_the_plugins() -> None:
    """A judge keeps tasks of its own, whoever asked it first."""
    watch_tasks(asyncio.get_running_loop())
    evaluation = Evaluation("plugin")

    async def evaluate() -> None:
        with outside():
            await asyncio.create_task(asyncio.sleep(0))
            assert not evaluation.tasks
            assert EVALUATION.get() is None
        assert EVALUATION.get() is evaluation

    assert await guarded(evaluation, evaluate) is None


@pytest.fixture
def threads() -> Iterator[Threads]:
    """The executor of a worker."""
    executor = Threads()
    yield executor
    executor.shutdown(wait=True)


async def test_threads_of_a_plugin_that_hang_leave_ours_alone(threads: Threads) -> None:
    """Forty sleeping threads, and a name is still looked up at once."""
    loop = asyncio.get_running_loop()
    loop.set_default_executor(threads)

    async def sleep_in_threads() -> None:
        for _ in range(40):
            loop.run_in_executor(None, time.sleep, 0.4)  # noqa: TID251  what hangs, hangs for real

    assert await guarded(Evaluation("sleepy"), sleep_in_threads) is None
    EVALUATION.set(None)
    began = time.monotonic()
    await loop.getaddrinfo("127.0.0.1", 80)
    assert await asyncio.to_thread(lambda: 1) == 1
    assert time.monotonic() - began < 0.3
