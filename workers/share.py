"""A worker's share of a lane's partitions, which is its share of what judges allow all workers."""

import asyncio
from collections.abc import Callable, Collection

from confluent_kafka import KafkaException

from .offsets import Offsets, Partition

_LOOK_EVERY_S = 1.0


class Share:
    """Tells a lane's judges whenever partitions came or left.

    The shares of a group add up to one at most: a partition leaves its owner before another gets
    it. For the second until this looks again they may add up to more; what is sent too much then is
    bounded by the next answer, which tells what is left.

    Args:
        offsets: Knows the partitions that are assigned.
        count: How many partitions the lane's topics have. Blocks; raises `KafkaException`.
        tell: Each is told of the share, 0 to 1.
    """

    def __init__(
        self,
        offsets: Offsets,
        *,
        count: Callable[[], int],
        tell: Collection[Callable[[float], None]],
    ) -> None:
        self._offsets = offsets
        self._count = count
        self._tell = tell

    async def watch(self) -> None:
        """Look once a second, until cancelled."""
        known: set[Partition] = set()
        while self._tell:
            assigned = set(self._offsets.assigned())
            if assigned != known and await self._told(len(assigned)):
                known = assigned
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _told(self, assigned: int) -> bool:
        try:
            total = await asyncio.to_thread(self._count)
        except KafkaException:
            return False  # no broker answers: the old share holds, and is looked at again
        for tell in self._tell:
            tell(min(1.0, assigned / max(1, total)))
        return True
