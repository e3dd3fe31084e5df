"""A loop that stands still is noticed from outside, and whose code stands in it."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import orjson
import pytest
from prometheus_client import CollectorRegistry
from support.lanes import eventually

from schemas.events import Event, LoopBlocked, LoopFreed, TaskLeft, TaskLeftEnded
from workers.health import Health, HealthServer, serve
from workers.wall import Evaluation, guarded
from workers.watchdog import Watchdog

_BLOCKED_S = 0.4
_SILENCE_S = 0.8


class _Watched:
    """A watchdog over the test's own loop, with probes."""

    def __init__(self, server: HealthServer, health: Health) -> None:
        self.events: list[Event] = []
        self.health = health
        self.probes: list[tuple[int, dict[str, Any]]] = []
        self._server = server
        self.watchdog = Watchdog(health, self.events.append, blocked_s=_BLOCKED_S, max_tasks_left=3)

    async def during(self, work: Callable[[], Awaitable[object]]) -> None:
        """Run a plugin's code while the loop beats and a thread probes."""
        self.watchdog.start()
        beating = asyncio.create_task(self._beat())
        closing = threading.Event()
        prober = threading.Thread(target=self._probe, args=(closing,))
        prober.start()
        try:
            await work()
            await eventually(lambda: bool(self.freed))
        finally:
            closing.set()
            prober.join()
            beating.cancel()
            self.watchdog.close()

    @property
    def blocked(self) -> list[LoopBlocked]:
        return [event for event in self.events if isinstance(event, LoopBlocked)]

    @property
    def freed(self) -> list[LoopFreed]:
        return [event for event in self.events if isinstance(event, LoopFreed)]

    async def _beat(self) -> None:
        while True:
            self.watchdog.beat()
            await asyncio.sleep(0.05)

    def _probe(self, closing: threading.Event) -> None:
        while not closing.wait(0.1):
            self.probes.append(self.livez())

    def livez(self) -> tuple[int, dict[str, Any]]:
        connection = HTTPConnection("127.0.0.1", self._server.port, timeout=5)
        try:
            connection.request("GET", "/livez")
            response = connection.getresponse()
            return response.status, orjson.loads(response.read())
        finally:
            connection.close()


@pytest.fixture
def watched() -> Iterator[_Watched]:
    """A watchdog that is quick to notice."""
    health = Health(max_silence_s=_SILENCE_S)
    server = serve("127.0.0.1", 0, CollectorRegistry(), health)
    yield _Watched(server, health)
    server.close()


async def _block() -> None:
    time.sleep(2)  # noqa: ASYNC251, TID251  what a plugin must not do


async def _block_in_a_task() -> None:
    await asyncio.create_task(_block())


async def _block_in_a_callback() -> None:
    asyncio.get_running_loop().call_soon(time.sleep, 2)  # noqa: TID251  as above
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("work", [_block, _block_in_a_task, _block_in_a_callback])
async def test_the_evaluator_that_blocks_is_named(
    watched: _Watched, work: Callable[[], Awaitable[None]]
) -> None:
    """Also where it does so in a task or a callback that it has started."""
    await watched.during(lambda: guarded(Evaluation("culprit"), work))
    (blocked,) = watched.blocked
    assert blocked.evaluator == "culprit"
    assert _BLOCKED_S < blocked.seconds < 1.5
    (freed,) = watched.freed
    assert freed.evaluator == "culprit"
    assert 1.9 < freed.seconds < 4


async def test_the_stack_says_where_and_holds_no_values(watched: _Watched) -> None:
    """File, line and function of each call, the innermost last."""
    await watched.during(lambda: guarded(Evaluation("culprit"), _block))
    (blocked,) = watched.blocked
    assert blocked.stack[-1].startswith("test_watchdog.py:")
    assert blocked.stack[-1].endswith(" in _block")
    assert any("wall.py" in line for line in blocked.stack)


async def test_liveness_fails_while_the_loop_stands_still_and_recovers(watched: _Watched) -> None:
    """The reason names the evaluator; once the loop moves, all is well again."""
    await watched.during(lambda: guarded(Evaluation("culprit"), _block))
    (failing, *_) = [body["failing"] for status, body in watched.probes if status == 503]
    (check,) = failing
    assert check["check"] == "loop"
    assert 'evaluator "culprit" blocks it in test_watchdog.py:' in check["why"]
    assert watched.livez() == (200, {"status": "ok", "failing": []})


async def test_what_is_no_evaluators_is_not_blamed_on_one(watched: _Watched) -> None:
    """Our own code may be slow as well."""
    await watched.during(_block)
    (blocked,) = watched.blocked
    assert blocked.evaluator is None


async def test_a_loop_that_moves_is_not_reported(watched: _Watched) -> None:
    """Short steps, however many, block nobody."""
    watched.watchdog.start()
    for _ in range(20):
        watched.watchdog.beat()
        time.sleep(0.03)  # noqa: ASYNC251, TID251  a short step
        await asyncio.sleep(0)
    watched.watchdog.close()
    assert watched.events == []
    assert watched.health.liveness() == {}


def test_too_many_tasks_left_behind_are_a_fault_that_only_a_restart_repairs(
    watched: _Watched,
) -> None:
    """Three are too many here; when one ends after all, the worker is live again."""
    for evaluator in ("leaky", "other", "leaky"):
        assert watched.health.liveness() == {}
        watched.watchdog.note(TaskLeft(evaluator))
    why = '3 tasks were left behind by evaluators, 2 of them by "leaky"'
    assert watched.health.liveness() == {"evaluators": why}
    watched.watchdog.note(TaskLeftEnded("leaky"))
    assert watched.health.liveness() == {}
