"""The wall around a plugin's code: what it raises comes back as a value, what it starts is known.

This is the one place in Assay that catches every exception.
"""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from schemas.errors import AssayError


class PluginExit(AssayError):  # noqa: N818  named for what the plugin wanted
    """A task that a plugin started wanted to end the process."""


class EvaluatorFault(AssayError):  # noqa: N818  named for what the outcome says
    """An evaluator did what costs it its outcome, found out by us rather than raised by it.

    Attributes:
        detail: One sentence for the outcome's `detail`; no judged text.
    """

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(slots=True, eq=False)
class Evaluation:
    """One call of an evaluator, known to everything that runs on its behalf.

    Attributes:
        evaluator: Name of the evaluator.
        tasks: Tasks that it started and that have not ended.
    """

    evaluator: str
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)


EVALUATION: ContextVar[Evaluation | None] = ContextVar("evaluation", default=None)
"""Whose code runs: tasks, callbacks and threads that a plugin starts inherit it."""


@contextmanager
def outside() -> Iterator[None]:
    """Our own code, called by a plugin: what it starts inside is not the plugin's."""
    token = EVALUATION.set(None)
    try:
        yield
    finally:
        EVALUATION.reset(token)


async def guarded(evaluation: Evaluation, call: Callable[[], Awaitable[object]]) -> object:
    """Run a plugin's code; what it raises comes back as a value, its cancellation passes."""
    EVALUATION.set(evaluation)
    try:
        return await call()
    except asyncio.CancelledError:
        raise
    except Exception as error:  # noqa: BLE001  the wall
        return error
    except BaseException as error:  # noqa: BLE001  SystemExit of a plugin must not end the worker
        return error


def watch_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """From now on the loop's tasks know the evaluation that started them.

    Without it a task that a plugin starts and that raises `SystemExit` or `KeyboardInterrupt` would
    end the loop: asyncio lets these two pass, whoever raises them.
    """
    loop.set_task_factory(_make_task)


def _make_task(loop: asyncio.AbstractEventLoop, coro: Any, **settings: Any) -> asyncio.Task[Any]:
    evaluation = EVALUATION.get()
    if evaluation is None:
        return asyncio.Task(coro, loop=loop, **settings)
    task = asyncio.Task(_stays_inside(coro), loop=loop, **settings)
    evaluation.tasks.add(task)
    task.add_done_callback(evaluation.tasks.discard)
    task.add_done_callback(lambda _: coro.close())  # cancelled before its first step
    return task


async def _stays_inside(coro: Coroutine[Any, Any, Any]) -> Any:
    try:
        return await coro
    except (SystemExit, KeyboardInterrupt) as error:
        raise PluginExit(f"a task of a plugin raised {type(error).__name__}") from error


def place_of(error: BaseException) -> str:
    """Exception type and the place that raised it; its message may hold judged text."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
