"""The loop's default executor: each evaluator has threads of its own.

`asyncio.to_thread` and name look-ups share one small pool of threads. A plugin whose threads hang
would take them all, and no judge could be reached any more, because nobody could look its name up.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from .wall import EVALUATION

P = ParamSpec("P")
T = TypeVar("T")

_OWN_THREADS = 16
_PLUGIN_THREADS = 8


class Threads(ThreadPoolExecutor):
    """Our own threads; what an evaluator hands in goes to that evaluator's threads."""

    def __init__(self) -> None:
        super().__init__(_OWN_THREADS, thread_name_prefix="assay")
        self._lock = threading.Lock()
        self._of_evaluators: dict[str, ThreadPoolExecutor] = {}

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run in a thread of whoever asks, by the evaluation that is current."""
        evaluation = EVALUATION.get()
        if evaluation is None:
            return super().submit(fn, *args, **kwargs)
        return self._pool_of(evaluation.evaluator).submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take nothing more; with `wait`, return when all that runs has ended."""
        with self._lock:
            pools = tuple(self._of_evaluators.values())
        for pool in pools:
            pool.shutdown(wait, cancel_futures=cancel_futures)
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _pool_of(self, evaluator: str) -> ThreadPoolExecutor:
        with self._lock:  # a plugin's thread may hand in work as well
            pool = self._of_evaluators.get(evaluator)
            if pool is None:
                pool = ThreadPoolExecutor(_PLUGIN_THREADS, thread_name_prefix=evaluator)
                self._of_evaluators[evaluator] = pool
            return pool
