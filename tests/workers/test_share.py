"""A worker's judges know its share of the partitions."""

import asyncio
from collections.abc import Iterator

from confluent_kafka import KafkaError, KafkaException

from workers.offset_metadata import Beginning
from workers.offsets import Offsets
from workers.share import Share

BEGINNING = Beginning(6, 0, "c")


def assign(offsets: Offsets, *partitions: int) -> None:
    """Assign partitions of one topic, from their first record on."""
    for partition in partitions:
        offsets.assign(("spans", partition), 0, BEGINNING, None)


async def test_share_moves_with_each_rebalance() -> None:
    """Two of six partitions are a third; when one leaves, a sixth is left."""
    offsets, told = Offsets(), list[float]()
    assign(offsets, 0, 1)
    watching = asyncio.create_task(Share(offsets, count=lambda: 6, tell=[told.append]).watch())
    await asyncio.sleep(0.5)
    offsets.revoke([("spans", 1)])
    await asyncio.sleep(1.5)
    watching.cancel()

    assert told == [2 / 6, 1 / 6]


async def test_share_is_asked_for_again_where_no_broker_answered() -> None:
    """A lookup that failed neither ends the lane nor is forgotten."""
    answers: Iterator[int | None] = iter([None, 4])

    def count() -> int:
        found = next(answers)
        if found is None:
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return found

    offsets, told = Offsets(), list[float]()
    assign(offsets, 0)
    watching = asyncio.create_task(Share(offsets, count=count, tell=[told.append]).watch())
    await asyncio.sleep(1.5)
    watching.cancel()

    assert told == [0.25]
