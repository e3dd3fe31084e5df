"""Attack: a commit that the broker refuses, at the two moments at which nobody asks again."""

import asyncio

import pytest
from confluent_kafka import Consumer, KafkaError, TopicPartition
from support.lanes import TOPIC, add, eventually, fill, group_offsets, reading

from schemas.errors import WorkerStopped
from schemas.events import CommitFailed
from workers.demo.broker import MockCluster

pytestmark = pytest.mark.timeout(60)

COMMIT, FETCH = 8, 9
"""Kafka's numbers of OffsetCommit and OffsetFetch."""
CLASSIC = {
    "group.protocol": "classic",
    "partition.assignment.strategy": "cooperative-sticky",
    "session.timeout.ms": 6000,
}


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    """A topic of two partitions with five records each."""
    fill(mock_cluster, 2, 5)
    return mock_cluster


async def test_the_first_commit_of_a_group_is_sent_until_it_is_taken(cluster: MockCluster) -> None:
    """Start at the latest → the commit is refused → a crash → what came meanwhile would be lost."""
    cluster.push_errors(COMMIT, *[KafkaError.REBALANCE_IN_PROGRESS] * 8)
    async with reading(cluster, start="latest") as reader:
        await eventually(lambda: len(reader.owned()) == 2)
        await eventually(lambda: any(isinstance(e, CommitFailed) for e in reader.events))
        await asyncio.sleep(3)
        found = await asyncio.to_thread(group_offsets, cluster.bootstrap_servers, "group", 2)
        assert found == {0: 5, 1: 5}


async def test_the_last_commit_is_sent_until_it_is_taken(cluster: MockCluster) -> None:
    """What was published while the lane drained would be published again by the next owner."""
    async with reading(cluster, release=False) as reader:
        await eventually(lambda: len(reader.taken) == 10)
        await asyncio.sleep(0.5)  # the commits that say that something was delivered
        for record in reader.taken:
            record.claim.release()
        cluster.push_errors(COMMIT, *[KafkaError.REBALANCE_IN_PROGRESS] * 3)
        reader.consumer.stop()
    found = await asyncio.to_thread(group_offsets, cluster.bootstrap_servers, "group", 2)
    assert found == {0: 5, 1: 5}


async def test_commits_go_on_while_other_partitions_drain(cluster: MockCluster) -> None:
    """A drain may take long; a crash in the middle must repeat no more than any other crash."""
    may_end = asyncio.Event()

    async def drain(_: object, __: object) -> int:
        async with asyncio.timeout(5):
            await may_end.wait()
        return 0

    async with reading(cluster, release=False, drain=drain) as first:
        await eventually(lambda: len(first.taken) == 10)
        async with reading(cluster) as second:
            # The second joins: the first drains one partition, and finishes work of the other.
            await eventually(lambda: _is_draining(first.offsets), 20)
            for record in first.taken:
                record.claim.release()
            await asyncio.sleep(1)
            found = await asyncio.to_thread(group_offsets, cluster.bootstrap_servers, "group", 2)
            assert found == {0: 5, 1: 5}
            may_end.set()
            await eventually(lambda: len(second.owned()) == 1, 20)
        assert second.taken == []


async def test_a_commit_that_crosses_a_rebalance_is_sent_again(cluster: MockCluster) -> None:
    """The client rebalances, so it takes the refusal for old news and keeps the partition.

    The partition falls idle then: no later commit would cover what this one was for.
    """
    may_end = asyncio.Event()

    async def drain(_: object, __: object) -> int:
        async with asyncio.timeout(5):
            await may_end.wait()
        return 0

    async with reading(cluster, release=False, drain=drain, settings=CLASSIC) as first:
        await eventually(lambda: len(first.taken) == 10)
        await asyncio.sleep(0.5)  # the commits that say that something was delivered
        async with reading(cluster, settings=CLASSIC) as second:
            await eventually(lambda: _is_draining(first.offsets), 20)
            cluster.push_errors(COMMIT, KafkaError.ILLEGAL_GENERATION)
            for record in first.taken:
                record.claim.release()
            await asyncio.sleep(0.5)
            may_end.set()
            await eventually(lambda: len(second.owned()) == 1, 20)
            await eventually(lambda: any(isinstance(e, CommitFailed) for e in first.events))
            (kept,) = first.owned()
            await asyncio.sleep(1)
            found = await asyncio.to_thread(group_offsets, cluster.bootstrap_servers, "group", 2)
            assert found[kept] == 5


def _is_draining(offsets: object) -> bool:
    return any(tracker.is_closed for tracker in offsets._trackers.values())  # type: ignore[attr-defined]


async def test_a_group_whose_offsets_cannot_be_read_does_not_start_anew(
    cluster: MockCluster,
) -> None:
    """Start at the latest would then skip all that was not read yet."""
    async with reading(cluster) as reader:
        await eventually(lambda: len(reader.taken) == 10)
    add(cluster, 2, 5)
    cluster.push_errors(FETCH, *[KafkaError.COORDINATOR_NOT_AVAILABLE] * 4)
    async with reading(cluster, start="latest") as again:
        await eventually(lambda: len(again.taken) == 10, 20)
    assert again.read() == {0: [5, 6, 7, 8, 9], 1: [5, 6, 7, 8, 9]}


async def test_offsets_that_may_not_be_read_end_the_lane(cluster: MockCluster) -> None:
    """The client raises inside its callback; what comes out is a message, and the lane has left."""
    cluster.push_errors(FETCH, *[KafkaError.GROUP_AUTHORIZATION_FAILED] * 4)
    with pytest.raises(WorkerStopped, match="Group authorization failed"):
        async with reading(cluster) as reader:
            await eventually(lambda: reader.consumer._ended, 20)
    assert reader.taken == []


async def test_an_offset_that_is_gone_ends_the_lane(cluster: MockCluster) -> None:
    """Retention took what was to be read: to jump would be a loss that nobody hears of."""
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": "group"})
    beyond = TopicPartition(TOPIC, 0, 1_000)
    await asyncio.to_thread(consumer.commit, offsets=[beyond], asynchronous=False)
    consumer.close()
    with pytest.raises(WorkerStopped, match="out of range"):
        async with reading(cluster) as reader:
            await eventually(lambda: reader.consumer._ended, 20)
    found = await asyncio.to_thread(group_offsets, cluster.bootstrap_servers, "group", 1)
    assert found == {0: 1_000}


async def test_what_is_done_is_committed_within_half_a_second(cluster: MockCluster) -> None:
    """A crash then repeats what was in flight, and what passes in that time."""
    async with reading(cluster, release=False) as reader:
        await eventually(lambda: len(reader.taken) == 10)
        for record in reader.taken:
            record.claim.release()
        await asyncio.sleep(0.5)
        found = await asyncio.to_thread(group_offsets, cluster.bootstrap_servers, "group", 2)
        assert found == {0: 5, 1: 5}
