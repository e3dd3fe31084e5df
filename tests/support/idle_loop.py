"""A clock that stands still while anything is being done, for simulations and judges on loopback.

It moves only when nothing is left to do but wait, and then at once to the next timer.
"""

import asyncio
import selectors

_QUIET_S = 0.002
"""Real seconds without a byte on loopback after which nothing more is on its way."""


class _IdleSelector(selectors.DefaultSelector):
    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        has_sockets = len(self.get_map()) > 1  # besides the loop's own
        ready = super().select(_QUIET_S if has_sockets else 0)
        if not ready:
            self.now += timeout
        return ready


class IdleLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock moves only while it has nothing to do."""

    def __init__(self) -> None:
        self._idle = _IdleSelector()
        super().__init__(self._idle)

    def time(self) -> float:
        """Seconds."""
        return self._idle.now
