"""An evaluator's own time, which stands still while its judge is asked."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from evaluators.contract import ChatJudge, Question, Verdict

from .wall import outside


class Stopwatch:
    """Counts an evaluator's own time down. Belongs to one event loop, and is waited for once."""

    def __init__(self, limit_s: float) -> None:
        self._left_s = limit_s
        self._since = time.monotonic()
        self._pauses = 0
        self._over: asyncio.Future[None] | None = None
        """Ends when the task did, or when no time is left; None before anybody waits."""
        self._timer: asyncio.TimerHandle | None = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still inside the block; blocks may overlap."""
        if not self._pauses:
            self._left_s -= time.monotonic() - self._since
            self._stop()
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses:
                self._since = time.monotonic()
                self._start()

    async def until_done(self, task: asyncio.Future[Any]) -> bool:
        """Wait for a task within the time that is left; True when it ended."""
        self._over = asyncio.get_running_loop().create_future()
        task.add_done_callback(self._end)
        if not self._pauses:
            self._start()
        try:
            await self._over
        finally:
            task.remove_done_callback(self._end)
            self._stop()
        return task.done()

    def _start(self) -> None:
        if self._over is not None and not self._over.done():
            self._timer = self._over.get_loop().call_later(self._left_s, self._end)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self, _: object = None) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)


@dataclass(frozen=True, slots=True)
class TimedJudge:
    """A judge whose time, and whose tasks, are not the evaluator's own."""

    judge: ChatJudge
    watch: Stopwatch

    async def ask(self, question: Question) -> Verdict:
        """Ask while the evaluator's time stands still."""
        with self.watch.paused(), outside():
            return await self.judge.ask(question)

    async def evidence(self, data: Mapping[str, str]) -> tuple[dict[str, str], bool]:
        """Texts as the judge may see them."""
        return await self.judge.evidence(data)

    async def complete(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send another library's request while the evaluator's time stands still."""
        with self.watch.paused(), outside():
            return await self.judge.complete(request)
