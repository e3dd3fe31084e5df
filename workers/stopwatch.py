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
    """Counts an evaluator's own time down. Belongs to one event loop."""

    def __init__(self, limit_s: float) -> None:
        self._left_s = limit_s
        self._since = time.monotonic()
        self._pauses = 0
        self._went_on = asyncio.Event()

    @property
    def left_s(self) -> float | None:
        """Seconds left, None while it stands still."""
        if self._pauses:
            return None
        return self._left_s - (time.monotonic() - self._since)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still inside the block; blocks may overlap."""
        if not self._pauses:
            self._left_s -= time.monotonic() - self._since
        self._pauses += 1
        self._went_on.clear()
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses:
                self._since = time.monotonic()
                self._went_on.set()

    async def until_done(self, task: asyncio.Future[Any]) -> bool:
        """Wait for a task within the time that is left; True when it ended."""
        while not task.done():
            left_s = self.left_s
            if left_s is None:
                went_on = asyncio.create_task(self._went_on.wait())
                try:
                    await asyncio.wait((task, went_on), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    went_on.cancel()
                continue
            if left_s <= 0:
                return False
            await asyncio.wait({task}, timeout=left_s)
        return True


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
