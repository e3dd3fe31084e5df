"""How many requests an endpoint bears at once, found by trying, and how many may be repeated."""

import math
import secrets
from collections.abc import Callable

_START = 4.0
_CUT = 0.75
_CAREFUL = 0.15
_BEYOND = 0.5
_HOLD_S = 10.0
_PAUSE_S = 1.0
_NAMED_SHARE = 0.1
_CROWDED_S = 3.0
_ALONE_S = 15.0
_MAX_DOUBLINGS = 16
_JITTER_SHARE = 0.25
_LULL_S = _CROWDED_S * (1 + _JITTER_SHARE)
_JITTER = secrets.SystemRandom()
_RETRY_SHARE = 0.2
_RETRY_RESERVE = 10.0
_RETRIES_PER_S = 10.0


class Limiter:
    """Additive increase, multiplicative decrease of the number of requests in flight.

    Up to the threshold each success adds one (doubling per round trip), beyond it each round trip
    adds one; only while the limit is what holds requests back. A 429 cuts to three quarters, once
    for all requests that were under way when the first of a burst came back, and closes the gate
    for as long as the endpoint wants. Just below the limit that was too much the last time it
    stays for some seven round trips, and ten seconds at least, before it tries again; once it is
    past that, it doubles again.

    Replicas cannot see each other. One that asks for more and is refused knows that the endpoint is
    full, and that others may have no place at all: it leaves one of its own free, be it the only
    one, for as long as those pause at most who find none. So a small endpoint goes round, where its
    first clients would otherwise keep it for ever.

    The constants are those that did best in `bench/judge_traffic.py`. State only: `endpoint.py` has
    the queue.

    Args:
        ceiling: Requests in flight at most.
        clock: Monotonic clock, in seconds.
    """

    def __init__(self, ceiling: int, clock: Callable[[], float]) -> None:
        self._ceiling = float(ceiling)
        self._clock = clock
        self._threshold = self._ceiling
        self._too_much = math.inf
        self._cut_before = 0
        self._hold_until = -math.inf
        self._kept = 0
        """So many places may be used again at once after the last cut; one more after the lull."""
        self._lull_until = -math.inf
        """Infinite until that place is free."""
        self.limit = min(_START, self._ceiling)
        self.in_use = 0
        self.opens_at = -math.inf
        """When the gate opens again, by the clock."""
        self.bursts = 0
        """Cuts since the last success."""
        self.is_shared = False
        """Whether there are other replicas, for which to leave a place free."""

    def start_s(self) -> float:
        """Seconds until one more request may start; infinite where one must end before."""
        if self.in_use >= int(self.limit):
            return math.inf
        if self.in_use < self._kept:
            return self.gated_s()
        return max(self.opens_at, self._lull_until) - self._clock()

    def gated_s(self) -> float:
        """Seconds until the gate opens; zero or less when it is open."""
        return self.opens_at - self._clock()

    def released(self) -> None:
        """A request is no longer in use."""
        self.in_use -= 1
        if self._lull_until == math.inf and self.in_use <= self._kept:
            self._lull_until = self._clock() + _LULL_S

    def succeeded(self) -> None:
        """A request was answered; it is still counted as in use."""
        if self.bursts:
            self.bursts = 0
            self._hold_until = self._clock() + _HOLD_S
        if self.in_use < int(self.limit):
            return  # the limit was not what held it back, so this says nothing about more
        is_free = self.limit < self._threshold or self._too_much == math.inf
        step = 1.0 if is_free else 1.0 / self.limit
        if int(self.limit) + 1 == self._too_much:
            step = min(step, _CAREFUL / self.limit)
            if self.limit + step >= self._too_much and self._clock() < self._hold_until:
                step = 0.0
        self.limit = min(self._ceiling, self.limit + step)
        if self.limit > self._too_much + _BEYOND:
            self._too_much = math.inf  # it has more room now

    def cut(self, sequence: int, next_sequence: int) -> bool:
        """The endpoint was overloaded by a request.

        Args:
            sequence: Number of that request.
            next_sequence: Number that the next request will get.

        Returns:
            Whether it is the first of its burst, so that the limit was cut.
        """
        if sequence < self._cut_before:
            return False
        self._cut_before = next_sequence
        borne = int(self.limit) - 1
        self._too_much = max(borne, 1) + 1  # one at a time is not too much: others have the place
        if self.is_shared and borne:
            self._kept, self._lull_until = borne - 1, math.inf
        self.limit = max(1.0, min(self.limit * _CUT, borne - 1.0))
        self._threshold = self.limit
        self.bursts += 1
        return True

    def close_gate(self, seconds: float) -> None:
        """Let nothing start for so long."""
        self.opens_at = max(self.opens_at, self._clock() + seconds)

    def pause(self, *, is_named: bool) -> None:
        """Let nothing start for a while after a burst: twice as long with each in a row.

        Not for long where there are other replicas: an endpoint that they fill has a place free at
        times.

        Args:
            is_named: The endpoint said how long to wait; this is far less then, at first.
        """
        seconds = _PAUSE_S * (_NAMED_SHARE if is_named else 1.0)
        seconds *= 2.0 ** min(self.bursts - 1, _MAX_DOUBLINGS)
        # Jitter, so that the replicas do not come back in step.
        spread = 1 + _JITTER_SHARE * _JITTER.random()
        self.close_gate(min(seconds, _CROWDED_S if self.is_shared else _ALONE_S) * spread)

    def restart(self) -> None:
        """Start slowly, after an outage."""
        self._threshold = max(self._threshold, self.limit)
        self.limit = 1.0


class RetryBudget:
    """Retries may add a fifth to the requests, and ten a second whatever their number.

    Without it an endpoint that fails half of its calls gets more of them, not fewer. A retry that
    has no budget waits for it, so that none is lost.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._balance = _RETRY_RESERVE
        self._at = clock()

    def deposit(self) -> None:
        """A request other than a retry was sent."""
        self._balance = min(_RETRY_RESERVE * 2, self._balance + _RETRY_SHARE)

    def withdraw(self) -> float:
        """Take one retry.

        Returns:
            Seconds to wait before it may be sent.
        """
        now = self._clock()
        refill = (now - self._at) * _RETRIES_PER_S
        self._balance = min(_RETRY_RESERVE * 2, self._balance + refill)
        self._at = now
        self._balance -= 1
        return max(0.0, -self._balance / _RETRIES_PER_S)
