"""Attack: brokers that do not know the new group protocol leave a worker without partitions."""

import ctypes

import pytest
from confluent_kafka import Consumer, KafkaError
from support.lanes import TOPIC, eventually, fill, reading

from schemas.errors import WorkerStopped
from workers.demo.broker import MockCluster
from workers.membership import Membership

pytestmark = pytest.mark.timeout(60)

HEARTBEAT = 68
"""Kafka's number of ConsumerGroupHeartbeat, which the new protocol consists of."""


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    """A topic of two partitions with five records each."""
    fill(mock_cluster, 2, 5)
    return mock_cluster


def _forget_heartbeat(cluster: MockCluster) -> None:
    forget = cluster._library.rd_kafka_mock_set_apiversion
    forget.argtypes = (ctypes.c_void_p, ctypes.c_int16, ctypes.c_int16, ctypes.c_int16)
    assert forget(cluster._open_cluster(), HEARTBEAT, -1, -1) == 0


async def test_a_broker_without_the_request_is_read_by_the_classic_protocol(
    cluster: MockCluster,
) -> None:
    """Nothing tells of it: the client looks for another coordinator, for ever."""
    _forget_heartbeat(cluster)
    async with reading(cluster) as reader:
        await eventually(lambda: len(reader.taken) == 10, 30)
        assert reader.opened == ["consumer", "classic"]


async def test_a_broker_that_refuses_the_request_is_read_by_the_classic_protocol(
    cluster: MockCluster,
) -> None:
    """A cluster that knows the request may have it switched off; the client calls that fatal."""
    cluster.push_errors(HEARTBEAT, *[KafkaError.UNSUPPORTED_VERSION] * 5)
    async with reading(cluster) as reader:
        await eventually(lambda: len(reader.taken) == 10, 20)
        assert reader.opened == ["consumer", "classic"]


def test_a_refusal_that_is_read_late_is_no_welcome(cluster: MockCluster) -> None:
    """The refused client's generation changes, and only then its error is read.

    Taken for a welcome, the error after it would end the worker on every cluster that has the new
    protocol switched off.
    """
    client = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": "group"})
    membership = Membership(lambda _, __: client)
    membership.open({})
    client.subscribe([TOPIC])
    for _ in range(100):
        client.poll(0.1)
        membership.look(client)  # any change of the generation stands for that of the refused
        if membership.has_joined:
            break
    assert membership.has_joined
    assert membership.note(KafkaError(KafkaError.UNSUPPORTED_VERSION))
    assert membership.must_fall_back(client)
    client.close()


async def test_a_fatal_error_of_the_client_ends_the_lane(cluster: MockCluster) -> None:
    """It comes as an error record that does not call itself fatal; unread, the lane would idle."""
    cluster.push_errors(HEARTBEAT, KafkaError.GROUP_AUTHORIZATION_FAILED)
    with pytest.raises(WorkerStopped, match="Group authorization failed"):
        async with reading(cluster) as reader:
            await eventually(lambda: reader.consumer._ended, 20)


async def test_a_member_without_partitions_stays_in_the_new_protocol(cluster: MockCluster) -> None:
    """More workers than partitions: the third has joined, though nobody assigns it anything."""
    async with (
        reading(cluster) as one,
        reading(cluster) as two,
    ):
        await eventually(lambda: len(one.owned()) == len(two.owned()) == 1, 20)
        async with reading(cluster, settings={"client.id": "standby"}) as standby:
            await eventually(standby.joined.is_set, 20)
            assert standby.opened == ["consumer"]
