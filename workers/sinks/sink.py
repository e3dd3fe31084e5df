"""A bounded queue and a thread in front of each output, so that none can hold up the pipeline."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from schemas.events import Emit, OutcomesExported, Output, OutputResult
from schemas.outcome import Outcome

_CAPACITY = 10_000
_BATCH = 256
_LINGER_S = 0.2


class Exporter(Protocol):
    """Brings outcomes to one output. Used by the one thread of its sink, which it may block."""

    @property
    def output(self) -> Output:
        """What it is called in metrics and logs."""

    def export(
        self, outcomes: Sequence[Outcome], closing: threading.Event
    ) -> Iterable[OutcomesExported]:
        """Send outcomes; says what became of each of them, and raises nothing.

        Args:
            outcomes: At least one.
            closing: Set when the worker stops: from then on nothing is waited for.
        """

    def close(self) -> None:
        """Let go of connections."""


class Sink:
    """Takes outcomes without waiting, and hands them to an exporter in its own thread.

    What does not fit into the queue is dropped and counted, so that a receiver that is slow or gone
    costs this output its outcomes and nobody else anything.

    Args:
        exporter: Sends them.
        emit: Where it is told what became of them.
        capacity: Outcomes that may wait.
        batch: Outcomes that are sent at once, at most.
        linger_s: How long the first of a batch waits for others.
    """

    def __init__(
        self,
        exporter: Exporter,
        emit: Emit,
        *,
        capacity: int = _CAPACITY,
        batch: int = _BATCH,
        linger_s: float = _LINGER_S,
    ) -> None:
        self._exporter = exporter
        self._emit = emit
        self._capacity = capacity
        self._batch = batch
        self._linger_s = linger_s
        self._queue: deque[Outcome] = deque()
        self._in_hand = 0
        self._is_abandoned = False
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._thread = threading.Thread(
            target=self._run,
            name=f"output {exporter.output}",
            daemon=True,  # what it waits for at the end of the process is not waited for
        )
        self._thread.start()

    def offer(self, outcomes: Sequence[Outcome]) -> None:
        """Queue outcomes, or drop them where there is no room. Never blocks."""
        with self._changed:
            taken = outcomes[: self._capacity - len(self._queue)]
            self._queue.extend(taken)
            self._changed.notify()
        if dropped := len(outcomes) - len(taken):
            self._tell(OutputResult.QUEUE_FULL, dropped, f"{self._capacity} outcomes wait already")

    def finish(self) -> None:
        """Begin to stop: what waits is sent at once, and what fails is not tried again."""
        self._closing.set()
        with self._changed:
            self._changed.notify()

    def close(self, until: float) -> None:
        """Wait for what is left, after `finish`, and give up on the rest.

        Args:
            until: When to give up, in monotonic seconds.
        """
        self._thread.join(max(0.0, until - time.monotonic()))
        with self._changed:
            # The thread may be in the middle of a request: whatever comes of it is not told, else
            # its outcomes would be counted twice.
            self._is_abandoned = True
            left = len(self._queue) + self._in_hand
            self._queue.clear()
            self._in_hand = 0
        if left:
            self._tell(OutputResult.STOPPED, left, "the worker has stopped")

    def _run(self) -> None:
        try:
            while batch := self._take():
                ended = self._exporter.export(batch, self._closing)
                with self._changed:
                    if self._is_abandoned:
                        return
                    self._in_hand = 0
                for event in ended:
                    self._emit(event)
        finally:
            self._exporter.close()

    def _take(self) -> list[Outcome]:
        """The next batch; empty when all is sent and the sink is closing."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing.is_set())
        if len(self._queue) < self._batch:
            self._closing.wait(self._linger_s)
        with self._changed:
            batch = [self._queue.popleft() for _ in range(min(self._batch, len(self._queue)))]
            self._in_hand = len(batch)
        return batch

    def _tell(self, result: OutputResult, count: int, error: str) -> None:
        self._emit(OutcomesExported(self._exporter.output, result, count, error))
