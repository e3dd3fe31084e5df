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

_LOOKS = 20
"""So often it looks in the time after which the loop counts as blocked."""
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
        self._look_every_s = blocked_s / _LOOKS
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
        while not self._closing.wait(self._look_every_s):
            pause_s, used_s = self._clock() - looked_at, time.process_time() - cpu_s
            looked_at, cpu_s = self._clock(), time.process_time()
            if pause_s > self._blocked_s > used_s:
                continue  # we stood still too, at no cost: the process was stopped, not the loop
            since = self._beat_at
            if looked_at - since > self._blocked_s / 2:
                self._wait_until_freed(since)

    def _wait_until_freed(self, since: float) -> None:
        """See which step of the loop does not end, and tell once it has lasted too long.

        A loop that is short of CPU is late as well: then thousands of short steps come between two
        beats, and whichever is looked at is to blame for none of it.
        """
        step, began = running_step(self._loop_thread), self._clock()
        blocked: LoopBlocked | None = None
        while self._beat_at == since:
            now = self._clock()
            if blocked is None and now - since > self._blocked_s:
                blocked = self._told(
                    now - since, step if now - began > self._blocked_s / 4 else None
                )
            if self._closing.wait(self._look_every_s):
                return
            if (current := running_step(self._loop_thread)) is not step:
                step, began = current, self._clock()
        if blocked is not None:
            self._health.note("loop", "")
            self._emit(LoopFreed(self._beat_at - since, blocked.evaluator))

    def _told(self, seconds: float, step: asyncio.Handle | None) -> LoopBlocked:
        if step is None:
            blocked = LoopBlocked(seconds, None, ())
            self._health.note("loop", "it has more to do than it can")
        else:
            blocked = LoopBlocked(seconds, owner(step), stack_of(self._loop_thread))
            who = f'evaluator "{blocked.evaluator}"' if blocked.evaluator else "something"
            place = f" in {blocked.stack[-1]}" if blocked.stack else ""
            self._health.note("loop", f"{who} blocks it{place}")
        self._emit(blocked)
        return blocked


def running_step(thread: int) -> asyncio.Handle | None:
    """The callback, or the step of a task, that a loop's thread runs."""
    for frame in _frames(thread):
        if frame.f_code is asyncio.Handle._run.__code__:  # noqa: SLF001
            step: asyncio.Handle = frame.f_locals["self"]
            return step
    return None


def owner(step: asyncio.Handle) -> str | None:
    """The evaluator whose code a step is, None where it is no evaluator's.

    Each step runs in the context in which it was asked for: so it is known whose it is, also where
    a plugin has started a task.
    """
    evaluation = step._context.get(EVALUATION)  # type: ignore[attr-defined]  # noqa: SLF001
    return None if evaluation is None else evaluation.evaluator


def stack_of(thread: int) -> tuple[str, ...]:
    """Where a thread is, the innermost call last."""
    return tuple(_line(frame) for frame in reversed(_frames(thread)[:_STACK_LINES]))


def _frames(thread: int) -> list[FrameType]:
    innermost = sys._current_frames().get(thread)  # noqa: SLF001
    return [] if innermost is None else [frame for frame, _ in walk_stack(innermost)]


def _line(frame: FrameType) -> str:
    code = frame.f_code
    return f"{PurePath(code.co_filename).name}:{frame.f_lineno} in {code.co_qualname}"
