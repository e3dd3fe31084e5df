"""One judge endpoint as all of its callers share it: who may send now, and is it alive?

All requests to one (base_url, model) pass through one queue, by turns of their routes. What may
leave it is decided by four things: the breaker (nothing, or one probe at a time), the gate that a
429 closes, the limit of requests in flight, and what the endpoint says it has left.

Requests are numbered in the order of their start. "Has another call succeeded since this one
failed?" is then a comparison of numbers: only a call that *started* after the failure says that
the endpoint is up; one that was under way when it went down says nothing.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from schemas.errors import JudgeFailure
from schemas.events import Emit, LimiterMoved
from schemas.reasons import Reason

from .breaker import Breaker
from .limiter import Limiter, RetryBudget
from .rates import Rates
from .waiting import Waiter, Waiting

_FAILURES_IN_A_ROW = 5
_LONGEST_WAIT_S = 3600.0
"""A wait that is longer than this is a slip of the endpoint's: it is asked again."""
_MIN_TIMER_S = 0.001


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast an endpoint is tried again, in seconds."""

    first_probe_s: float = 1.0
    max_probe_s: float = 30.0
    evidence_s: float = 1.0
    """How long a failed evaluation waits for another call's success before it asks for a probe."""
    backoff_s: float = 0.5
    max_backoff_s: float = 8.0


@dataclass(slots=True, eq=False)
class Permit:
    """The right to send one request; give it back with `release`."""

    sequence: int
    is_probe: bool = False
    is_neutral: bool = False
    """A probe with a question of our own."""
    is_open: bool = True


class Endpoint:
    """Limiter, breaker and queue of one endpoint and model. Belongs to one event loop.

    Args:
        label: Name for events.
        max_concurrency: Requests in flight at most.
        emit: Told of changes.
        clock: Monotonic clock, in seconds.
        pace: How fast to try again.
    """

    def __init__(
        self,
        label: str,
        max_concurrency: int,
        *,
        emit: Emit,
        clock: Callable[[], float],
        pace: Pace,
    ) -> None:
        self.label = label
        self.pace = pace
        self.retries = RetryBudget(clock)
        self._emit = emit
        self._clock = clock
        self._limiter = Limiter(max_concurrency, clock)
        self._breaker = Breaker(
            label, emit, clock, first_probe_s=pace.first_probe_s, max_probe_s=pace.max_probe_s
        )
        self._rates = Rates(clock)
        self._queue: Waiting[Permit] = Waiting()
        self._witnesses: set[tuple[int, asyncio.Event]] = set()
        self._on_blocked: list[Callable[[bool, str], None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0
        self._alive = -1
        self._failures = 0
        self._neutrals_turn: bool | None = None
        self._neutral: Callable[[Permit], Awaitable[None]] | None = None
        self._probing: asyncio.Task[None] | None = None

    # What the evaluations ask.

    @property
    def is_closed(self) -> bool:
        """Whether the breaker lets calls pass."""
        return self._breaker.is_closed

    @property
    def confirmations(self) -> int:
        """Neutral probes that failed, ever."""
        return self._breaker.confirmations

    def mark(self) -> int:
        """This moment, for `alive_since`."""
        return self._next

    def alive_since(self, mark: int) -> bool:
        """Whether a call that started after the mark has succeeded."""
        return self._alive >= mark

    async def acquire(
        self,
        *,
        route: str = "",
        tokens: float = 0.0,
        held: bool = False,
        patience_s: float | None = None,
    ) -> Permit:
        """Wait for the right to send one request, however long it takes.

        Args:
            route: The evaluation's; routes are served by turns.
            tokens: Upper guess of what the request will use.
            held: The caller has failed in the outage at hand: others probe before it.
            patience_s: Seconds that the endpoint may be down before the caller gives up.

        Raises:
            JudgeFailure: `judge_unavailable`, after the patience.
        """
        if self.is_closed and self._queue.first() is None and self._start_s(tokens) <= 0:
            return self._permit(tokens)
        granted: asyncio.Future[Permit] = asyncio.get_running_loop().create_future()
        self._queue.push(Waiter(granted, route, tokens, held, patience_s))
        self._dispatch()
        try:
            return await granted
        except asyncio.CancelledError:
            # Granted and cancelled in the same turn of the loop: the right would be lost.
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self.release(granted.result())
            raise

    async def witnessed(self, mark: int) -> bool:
        """Wait a moment for another call's success since the mark; False if none came."""
        if not self.alive_since(mark) and self.is_closed:
            witness = (mark, asyncio.Event())
            self._witnesses.add(witness)
            try:
                async with asyncio.timeout(self.pace.evidence_s):
                    await witness[1].wait()
            except TimeoutError:
                pass  # nobody came
            finally:
                self._witnesses.discard(witness)
        return self.alive_since(mark)

    def told(self, headers: Mapping[str, str], sent_at: float, unused: float) -> None:
        """An answer came, with whatever its headers say about rates; see `Rates.tell`."""
        self._rates.tell(headers, sent_at, unused)

    def set_share(self, lane: str, share: float) -> None:
        """This replica has a share of a lane's partitions, and so of the endpoint's limits."""
        self._rates.set_share(lane, share)
        self._limiter.is_shared = self._rates.share < 1
        self._dispatch()

    # What became of a request; each also gives the permit back.

    def succeeded(self, permit: Permit) -> None:
        """The endpoint answered as an endpoint of its kind does, whatever the model said."""
        self._failures = 0
        self._alive = max(self._alive, permit.sequence)
        self._wake_witnesses()
        before = int(self._limiter.limit)
        self._limiter.succeeded()
        self._tell_limit(before)
        if not self.is_closed and permit.sequence >= self._breaker.opened_before:
            self._close()
        self.release(permit)

    def failed(
        self, permit: Permit, why: str, *, overloaded: bool = False, for_all: bool = False
    ) -> None:
        """The endpoint failed; enough of that without a success between opens the breaker.

        Args:
            permit: The request's.
            why: A few words for logs.
            overloaded: The endpoint said that it has too much to do.
            for_all: The failure must hit every call: open at once. Here and not in a call of its
                own, or the permit that this gives back would let one more call out before.
        """
        self._failures += 1
        if overloaded:
            self._cut(permit)
        if permit.is_probe and permit.is_open and not self.is_closed:
            permit.is_probe = False
            self._breaker.probe_failed(why, is_neutral=permit.is_neutral)
        elif for_all or self._failures >= _FAILURES_IN_A_ROW:
            self.open(why)
        self.release(permit)

    def limited(self, permit: Permit, wait_s: float | None) -> None:
        """The endpoint wants fewer requests; it is up, though."""
        first = self._cut(permit)
        if wait_s is not None:
            self._limiter.close_gate(min(wait_s, _LONGEST_WAIT_S))
        if first:
            # Also where a time was named: one that is too short would be named again and again.
            self._limiter.pause(is_named=wait_s is not None)
        if permit.is_probe and not self.is_closed:
            self._close()
        self.release(permit)

    def release(self, permit: Permit) -> None:
        """Give a permit back; harmless where it was given back before."""
        if not permit.is_open:
            return
        permit.is_open = False
        self._limiter.released()
        if permit.is_probe and not self.is_closed:
            self._breaker.probe_abandoned()
        self._dispatch()

    # The breaker.

    def open(self, why: str) -> None:
        """Open the breaker, if it is closed."""
        if not self.is_closed:
            return
        self._breaker.open(why, self._next)
        self._neutrals_turn = None
        self._wake_witnesses()
        for callback in self._on_blocked:
            callback(True, why)
        self._dispatch()

    def _close(self) -> None:
        self._failures = 0
        self._breaker.close()
        before = int(self._limiter.limit)
        self._limiter.restart()
        self._tell_limit(before)
        for callback in self._on_blocked:
            callback(False, "")

    def on_blocked(self, callback: Callable[[bool, str], None]) -> None:
        """Call it when the breaker opens (True, why) and when it closes (False, "")."""
        self._on_blocked.append(callback)
        if not self.is_closed:
            callback(True, self._breaker.why)

    def probe_with(self, neutral: Callable[[Permit], Awaitable[None]]) -> None:
        """Set how to probe with a question of our own; it must report what became of it.

        Without it a single evaluation that the endpoint always fails on could keep the breaker
        open for ever: intake is paused, so that no other call comes to show that it is up.
        """
        if self._neutral is None:
            self._neutral = neutral

    async def aclose(self) -> None:
        """Stop the timer and the probe."""
        self._neutral = None
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.wait([self._probing])
        if self._timer is not None:
            self._timer.cancel()

    # The queue.

    def _start_s(self, tokens: float) -> float:
        """Seconds until a request may start; infinite where that depends on one that ends."""
        start_s = self._limiter.start_s()
        if start_s == math.inf:
            return start_s
        return max(start_s, min(self._rates.wait_s(tokens), _LONGEST_WAIT_S))

    def _permit(
        self, tokens: float = 0.0, *, is_probe: bool = False, is_neutral: bool = False
    ) -> Permit:
        permit = Permit(self._next, is_probe, is_neutral)
        self._next += 1
        self._limiter.in_use += 1
        self._rates.charge(tokens)
        return permit

    def _dispatch(self) -> None:
        """Let go whoever may go now, and set the timer for when that changes by itself."""
        if self.is_closed:
            while (waiter := self._queue.first()) and self._start_s(waiter.tokens) <= 0:
                self._queue.remove(waiter)
                waiter.granted.set_result(self._permit(waiter.tokens))
        else:
            self._lose_patience()
            self._probe()
        self._set_timer()

    def _lose_patience(self) -> None:
        down_s = self._clock() - self._breaker.opened_at
        for waiter in tuple(self._queue):
            if waiter.patience_s is not None and down_s >= waiter.patience_s:
                self._queue.remove(waiter)
                waiter.granted.set_exception(
                    JudgeFailure(Reason.JUDGE_UNAVAILABLE, self._breaker.why)
                )

    def _probe(self) -> None:
        due_s = self._breaker.probe_due_s()
        if due_s is None or due_s > 0 or self._limiter.gated_s() > 0:
            return
        fresh = next((waiter for waiter in self._queue if not waiter.held), None)
        chosen = fresh or self._queue.first()
        # By turns: a real question costs nothing extra, but those that wait may be the very ones
        # that cannot be answered; so a neutral one goes next, or first where all have failed.
        is_neutrals = fresh is None if self._neutrals_turn is None else self._neutrals_turn
        if self._neutral is not None and (is_neutrals or chosen is None):
            self._neutrals_turn = False
            self._breaker.probe_started()
            permit = self._permit(is_probe=True, is_neutral=True)
            self._probing = asyncio.ensure_future(self._run_neutral(self._neutral, permit))
        elif chosen is not None:
            self._neutrals_turn = True
            self._breaker.probe_started()
            self._queue.remove(chosen)
            chosen.granted.set_result(self._permit(chosen.tokens, is_probe=True))

    async def _run_neutral(
        self, neutral: Callable[[Permit], Awaitable[None]], permit: Permit
    ) -> None:
        try:
            await neutral(permit)
        finally:
            # Cancelled, or a fault of ours: without an answer the next probe is not due at once.
            if permit.is_open:
                self.failed(permit, self._breaker.why)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        first = self._queue.first()
        waits: list[float] = []
        if self.is_closed:
            if first is not None and (start_s := self._start_s(first.tokens)) < math.inf:
                waits.append(start_s)
        else:
            due_s = self._breaker.probe_due_s()
            if due_s is not None and (first is not None or self._neutral is not None):
                waits.append(max(due_s, self._limiter.gated_s()))
            down_s = self._clock() - self._breaker.opened_at
            waits += [
                waiter.patience_s - down_s
                for waiter in self._queue
                if waiter.patience_s is not None
            ]
        if waits:
            loop = asyncio.get_running_loop()
            # Never less: rounding may leave a wait so short that the clock cannot show it passing.
            self._timer = loop.call_later(max(_MIN_TIMER_S, min(waits)), self._dispatch)

    def _wake_witnesses(self) -> None:
        for mark, seen in self._witnesses:
            if self.alive_since(mark) or not self.is_closed:
                seen.set()

    def _cut(self, permit: Permit) -> bool:
        before = int(self._limiter.limit)
        first = self._limiter.cut(permit.sequence, self._next)
        self._tell_limit(before)
        return first

    def _tell_limit(self, before: int) -> None:
        if int(self._limiter.limit) != before:
            self._emit(LimiterMoved(self.label, self._limiter.limit, self._limiter.in_use))
