"""A judge endpoint's circuit breaker: when to stop calling, and when to try again."""

import secrets
from collections.abc import Callable

from schemas.events import BreakerMoved, BreakerState, Emit

_JITTER = secrets.SystemRandom()
_JITTER_SHARE = 0.25


class Breaker:
    """Closed, open, or half open while a probe is under way. State only, no waiting.

    Args:
        endpoint: Label for events.
        emit: Told of each change of state.
        clock: Monotonic clock, in seconds.
        first_probe_s: Seconds from opening to the first probe.
        max_probe_s: The interval between probes doubles up to this.
    """

    def __init__(
        self,
        endpoint: str,
        emit: Emit,
        clock: Callable[[], float],
        *,
        first_probe_s: float,
        max_probe_s: float,
    ) -> None:
        self._endpoint = endpoint
        self._emit = emit
        self._clock = clock
        self._first_probe_s = first_probe_s
        self._max_probe_s = max_probe_s
        self._interval_s = first_probe_s
        self._probe_at = 0.0
        self.state = BreakerState.CLOSED
        self.why = ""
        self.opened_at = 0.0
        self.opened_before = 0
        """Number of the first request that can tell that the endpoint is back."""
        self.confirmations = 0
        """Neutral probes that failed, ever: what is down then is down for all."""

    @property
    def is_closed(self) -> bool:
        """Whether calls pass."""
        return self.state is BreakerState.CLOSED

    def open(self, why: str, next_sequence: int) -> None:
        """Stop all calls."""
        self.why = why
        self.opened_at = self._clock()
        self.opened_before = next_sequence
        self._interval_s = self._first_probe_s
        self._move(BreakerState.OPEN)
        self._schedule()

    def probe_due_s(self) -> float | None:
        """Seconds until the next probe; None while there is none to be sent."""
        return self._probe_at - self._clock() if self.state is BreakerState.OPEN else None

    def probe_started(self) -> None:
        """One call passes."""
        self._move(BreakerState.HALF_OPEN)

    def probe_failed(self, why: str, *, is_neutral: bool) -> None:
        """The endpoint is still down; the next probe comes later than this one did.

        Only a neutral probe makes the outage certain: a real one may have failed for a fault of
        its own, as the call that opened the breaker may have.
        """
        self.why = why
        self.confirmations += is_neutral
        self._interval_s = min(self._max_probe_s, self._interval_s * 2)
        self._move(BreakerState.OPEN)
        self._schedule()

    def probe_abandoned(self) -> None:
        """The probe said nothing (cancelled, or sent again in another shape): the next is due."""
        self._probe_at = self._clock()
        self._move(BreakerState.OPEN)

    def close(self) -> None:
        """Calls pass again."""
        self._move(BreakerState.CLOSED)

    def _schedule(self) -> None:
        # Jitter, so that the workers of a group do not probe in step.
        spread = 1 - _JITTER_SHARE * _JITTER.random()
        self._probe_at = self._clock() + self._interval_s * spread

    def _move(self, state: BreakerState) -> None:
        if state is not self.state:
            self.state = state
            self._emit(BreakerMoved(self._endpoint, state, self.why))
