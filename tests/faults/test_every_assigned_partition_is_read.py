"""Attack: a partition that is ours stands still for ever, although nothing holds it up."""

import pytest
from support.lanes import TOPIC, add, eventually, fill, reading

from workers import offset_metadata
from workers.demo.broker import MockCluster
from workers.offset_metadata import Beginning
from workers.offsets import Offsets

pytestmark = pytest.mark.timeout(60)

PARTITIONS = 4


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    """A topic of four partitions with 50 records each."""
    fill(mock_cluster, PARTITIONS, 50)
    return mock_cluster


async def test_a_partition_that_left_while_paused_is_read_when_it_comes_back(
    cluster: MockCluster,
) -> None:
    """The client remembers a pause over a rebalance, and nobody else remembers to end it.

    A is full and has paused all it owns → B joins, two partitions go → B leaves, they come back to
    A, still paused → A is not full any more and resumes what it paused: the two are not among that.
    """
    async with reading(cluster, buffer_bytes=1) as first:
        first.is_reading.clear()
        await eventually(lambda: first.owned() == set(range(PARTITIONS)))
        await eventually(lambda: first.consumer._is_full)
        async with reading(cluster, release=False) as second:
            await eventually(lambda: len(second.owned()) == 2)
            await eventually(lambda: len(first.owned()) == 2)
            first.is_reading.set()
            await eventually(lambda: not first.consumer._is_full)
            first.consumer._buffer_bytes = 10_000_000  # never full again: that would hide it
        await eventually(lambda: first.owned() == set(range(PARTITIONS)))
        add(cluster, PARTITIONS, 10)
        await eventually(
            lambda: all(59 in first.read().get(index, []) for index in range(PARTITIONS))
        )


def test_metadata_of_an_earlier_owner_cannot_crowd_a_partition_for_ever() -> None:
    """A pause ends when open work does; where none is open, only reading on makes room.

    An owner with a slow record leaves metadata that is three quarters full → the next one finishes
    that record, and all it has read → what is ahead alone fills the metadata: pausing would last
    for ever.
    """
    key = (TOPIC, 0)
    beginning = Beginning(1, 0, "c")
    metadata = offset_metadata.encode(beginning, 0, range(1, 24_000, 2))
    assert len(metadata) > offset_metadata.MAX_BYTES * 3 / 4
    offsets = Offsets()
    offsets.assign(key, 0, beginning, metadata)
    claim = offsets.deliver(key, 0, 0.0)
    assert claim is not None
    offsets.commits()
    assert offsets.crowded() == {key}
    claim.release()
    offsets.commits()
    assert offsets.crowded() == set()


def test_a_record_that_comes_twice_is_claimed_once() -> None:
    """A seek past poison, or a fetch that was under way, can deliver again what is claimed.

    Claimed twice, it would be published twice; and delivered again after its release it would stand
    behind later offsets in the order of claims, and a commit could pass an open record.
    """
    key = (TOPIC, 0)
    offsets = Offsets()
    offsets.assign(key, 5, Beginning(1, 0, "c"), None)
    fifth, sixth = offsets.deliver(key, 5, 0.0), offsets.deliver(key, 6, 0.0)
    assert fifth is not None
    assert sixth is not None
    assert offsets.deliver(key, 6, 0.0) is None
    fifth.release()
    assert offsets.deliver(key, 5, 0.0) is None
    assert [commit.offset for commit in offsets.commits()] == [6]
