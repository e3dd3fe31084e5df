"""A thread that notices when the event loop stands still, and names the evaluator that blocks it.

Where an evaluator blocks the loop, no evaluation of this worker goes on, no deadline is kept and
no commit is decided; only threads still move: this one, the poll threads and the metrics server.
What holds Python's interpreter lock (a hostile regular expression, say) stops threads as well; it
is seen when it lets go. `evaluators.<name>.isolate: process` is the remedy for both.
"""

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import PurePath
from traceback import walk_stack
from types import FrameType

from schemas.events import Emit, Event, LoopBlocked, LoopFreed, TaskLeft, TaskLeftEnded

from .health import Health
from .wall import EVALUATION

_LOOK_EVERY_S = 0.25
_BLOCKED_S = 5.0
_STACK_LINES = 12
_MAX_TASKS_LEFT = 100
"""A guess: each keeps its span in memory, which no bound of the pipeline counts."""


class Watchdog:
    """Watches the loop that it is made in, and counts what evaluators leave behind in it.

    Args:
        health: Told why the loop's heartbeat may be late, and when too much was left behind.
        emit: Where events go.
        blocked_s: Silence after which the loop counts as blocked.
        max_tasks_left: So many tasks left behind make the worker not live.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        health: Health,
        emit: Emit,
        *,
        blocked_s: float = _BLOCKED_S,
        max_tasks_left: int = _MAX_TASKS_LEFT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._health = health
        self._emit = emit
        self._blocked_s = blocked_s
        self._max_tasks_left = max_tasks_left
        self._clock = clock
        self._loop_thread = threading.get_ident()
        self._beat_at = clock()
        self._tasks_left: Counter[str] = Counter()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Start watching; from here on `beat` has to be called all the time."""
        self.beat()
        self._thread.start()

    def beat(self) -> None:
        """The loop says that it moves."""
        self._beat_at = self._clock()
        self._health.beat("loop")

    def close(self) -> None:
        """Stop watching; the loop need not beat any more."""
        self._closing.set()
        self._thread.join()
        self._health.retire("loop")

    def note(self, event: Event) -> None:
        """Look at an event for tasks that an evaluation left behind. Called by the loop."""
        match event:
            case TaskLeft(evaluator):
                self._tasks_left[evaluator] += 1
            case TaskLeftEnded(evaluator):
                self._tasks_left[evaluator] -= 1
            case _:
                return
        left = self._tasks_left.total()
        name, most = self._tasks_left.most_common(1)[0]
        self._health.set_alive(
            "evaluators",
            left < self._max_tasks_left,
            f'{left} tasks were left behind by evaluators, {most} of them by "{name}"',
        )

    # --- everything below runs in the watchdog's thread ---

    def _watch(self) -> None:
        looked_at, cpu_s = self._clock(), time.process_time()
        while not self._closing.wait(_LOOK_EVERY_S):
            pause_s, used_s = self._clock() - looked_at, time.process_time() - cpu_s
            looked_at, cpu_s = self._clock(), time.process_time()
            if pause_s > self._blocked_s > used_s:
                continue  # we stood still too, at no cost: the process was stopped, not the loop
            if looked_at - self._beat_at > self._blocked_s:
                self._wait_until_freed(self._beat_at)

    def _wait_until_freed(self, since: float) -> None:
        evaluator, stack = blocker(self._loop_thread)
        why = "something blocks it" if evaluator is None else f'evaluator "{evaluator}" blocks it'
        place = f" in {stack[-1]}" if stack else ""
        self._health.note("loop", why + place)
        self._emit(LoopBlocked(self._clock() - since, evaluator, stack))
        while self._beat_at == since:
            if self._closing.wait(_LOOK_EVERY_S):
                return
        self._health.note("loop", "")
        self._emit(LoopFreed(self._beat_at - since, evaluator))


def blocker(thread: int) -> tuple[str | None, tuple[str, ...]]:
    """Whose code a loop's thread runs, None where no evaluator's, and its stack, innermost last.

    The loop runs every step of a task, and every callback, by a `Handle` with the context in which
    it was asked for: so it is known whose it is, also where a plugin has started a task.
    """
    innermost = sys._current_frames().get(thread)  # noqa: SLF001
    frames = [] if innermost is None else [frame for frame, _ in walk_stack(innermost)]
    evaluator = None
    for frame in frames:
        if frame.f_code is asyncio.Handle._run.__code__:  # noqa: SLF001
            evaluation = frame.f_locals["self"]._context.get(EVALUATION)  # noqa: SLF001
            evaluator = None if evaluation is None else evaluation.evaluator
            break
    return evaluator, tuple(_line(frame) for frame in reversed(frames[:_STACK_LINES]))


def _line(frame: FrameType) -> str:
    code = frame.f_code
    return f"{PurePath(code.co_filename).name}:{frame.f_lineno} in {code.co_qualname}"
