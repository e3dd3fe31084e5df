"""The bound on what is in flight in one lane: evaluations and bytes; closed in a judge outage."""

import asyncio


class Gate:
    """Room for evaluations and their bytes. Used from the event loop only.

    A record that is larger than the whole room enters alone, so that it cannot block for ever.
    """

    def __init__(self, max_items: int, max_bytes: int) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._items = 0
        self._bytes = 0
        self._closed_by: set[str] = set()
        self._moved = asyncio.Event()
        self._is_abandoned = False

    @property
    def items(self) -> int:
        """Evaluations in flight."""
        return self._items

    @property
    def size_bytes(self) -> int:
        """Bytes of the spans in flight."""
        return self._bytes

    async def enter(self, items: int, size_bytes: int) -> None:
        """Wait until there is room, then take it. One caller at a time: the lane's intake."""
        while not self._is_abandoned and (self._closed_by or not self._has_room(items, size_bytes)):
            self._moved.clear()
            await self._moved.wait()
        self._items += items
        self._bytes += size_bytes

    def leave(self, items: int, size_bytes: int) -> None:
        """Give room back."""
        self._items -= items
        self._bytes -= size_bytes
        self._moved.set()

    def close(self, reason: str) -> None:
        """Let nothing in until `open` is called with the same reason."""
        self._closed_by.add(reason)

    def open(self, reason: str) -> None:
        """Take one reason to be closed away."""
        self._closed_by.discard(reason)
        self._moved.set()

    def abandon(self) -> None:
        """Hold nobody any more: the lane has ended, and no claim that waits here is still good."""
        self._is_abandoned = True
        self._moved.set()

    def _has_room(self, items: int, size_bytes: int) -> bool:
        if not self._items:
            return True
        return (
            self._items + items <= self._max_items and self._bytes + size_bytes <= self._max_bytes
        )
