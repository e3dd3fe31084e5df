"""How many requests an endpoint bears at once, found by trying, and how many may be repeated."""

import math
from collections.abc import Callable

_START = 4.0
_CUT = 0.75
_CAREFUL = 0.15
_EAGER = 0.5
_RETRY_SHARE = 0.2
_RETRY_RESERVE = 10.0
_RETRIES_PER_S = 10.0


class Limiter:
    """Additive increase, multiplicative decrease of the number of requests in flight.

    Up to the threshold each success adds one (doubling per round trip), beyond it each round trip
    adds one; only while the limit is what holds requests back. A 429 cuts to three quarters, once
    for all requests that were under way when the first of a burst came back, and closes the gate
    for as long as the endpoint wants. Just below the limit that was too much the last time it
    stays for some seven round trips before it tries again; once it is well past that, a round trip
    adds half. The constants are those that did best in `bench/judge_traffic.py`. State only:
    `endpoint.py` has the queue.

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
        self.limit = min(_START, self._ceiling)
        self.in_use = 0
        self.opens_at = -math.inf
        """When the gate opens again, by the clock."""
        self.bursts = 0
        """Cuts since the last success."""

    @property
    def has_room(self) -> bool:
        """Whether one more request may start, the gate aside."""
        return self.in_use < int(self.limit)

    def gated_s(self) -> float:
        """Seconds until the gate opens; zero or less when it is open."""
        return self.opens_at - self._clock()

    def succeeded(self) -> None:
        """A request was answered; it is still counted as in use."""
        self.bursts = 0
        if self.in_use < int(self.limit):
            return  # the limit was not what held it back, so this says nothing about more
        step = 1.0 if self.limit < self._threshold else 1.0 / self.limit
        if self._too_much == math.inf:
            step = max(step, _EAGER)
        if int(self.limit) + 1 == self._too_much:
            step = min(step, _CAREFUL / self.limit)
        self.limit = min(self._ceiling, self.limit + step)
        if self.limit > self._too_much + 1:
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
        self._too_much = int(self.limit)
        # One below what it bore, at least: else two clients could hold all of a small endpoint
        # between them for ever, and a third would never find a place free.
        self.limit = max(1.0, min(self.limit * _CUT, self._too_much - 2.0))
        self._threshold = self.limit
        self.bursts += 1
        return True

    def close_gate(self, seconds: float) -> None:
        """Let nothing start for so long."""
        self.opens_at = max(self.opens_at, self._clock() + seconds)

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
