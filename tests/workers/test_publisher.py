"""Nothing that hangs on a message goes on before the broker has acknowledged it."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError
from support.workers import read_topic

from schemas.events import Event
from workers.demo.broker import MockCluster
from workers.publisher import Outgoing, Publisher, TooLarge

TOPIC = "out"
_PRODUCE = 0  # Kafka's number of that request

Open = Callable[..., Publisher]


@pytest.fixture
def events() -> list[Event]:
    """What publishers of the test emitted."""
    return []


@pytest.fixture
def health() -> list[bool]:
    """What publishers of the test said about the broker."""
    return []


@pytest.fixture
def publisher(mock_cluster: MockCluster, events: list[Event], health: list[bool]) -> Iterator[Open]:
    """Opens a publisher on a mock cluster with one topic; closed after the test."""
    mock_cluster.create_topic(TOPIC, 2)
    opened: list[Publisher] = []

    def start(**settings: Any) -> Publisher:
        named = {name.replace("_", "."): value for name, value in settings.items()}
        one = Publisher(
            {"bootstrap.servers": mock_cluster.bootstrap_servers, "log_level": 0, **named},
            events.append,
            lambda ok, _: health.append(ok),
        )
        opened.append(one)
        return one

    yield start
    for one in opened:
        one.close(1)


def _messages(count: int) -> list[Outgoing]:
    return [Outgoing(TOPIC, b"key", str(i).encode(), (("h", b"1"),)) for i in range(count)]


def _values(cluster: MockCluster) -> list[bytes]:
    found = [message.value() for message in read_topic(cluster.bootstrap_servers, TOPIC)]
    return [value for value in found if isinstance(value, bytes)]


async def test_sent_means_that_it_is_on_the_topic(
    mock_cluster: MockCluster, publisher: Open
) -> None:
    """When `send` returns, a reader finds every message with its key and headers."""
    await publisher().send(_messages(3))
    found = await asyncio.to_thread(read_topic, mock_cluster.bootstrap_servers, TOPIC)
    assert sorted(message.value() or b"" for message in found) == [b"0", b"1", b"2"]
    assert [(message.key(), message.headers()) for message in found] == [
        (b"key", [("h", b"1")])
    ] * 3


async def test_a_broker_that_is_down_is_waited_for(
    mock_cluster: MockCluster, publisher: Open
) -> None:
    """While no broker is there `send` does not return; afterwards each message is there once."""
    one = publisher(reconnect_backoff_max_ms=200)
    await one.send(_messages(1))
    mock_cluster.set_down(1)
    sending = asyncio.create_task(one.send(_messages(5)))
    await asyncio.sleep(0.5)
    assert not sending.done()
    mock_cluster.set_up(1)
    await asyncio.wait_for(sending, 15)
    assert len(await asyncio.to_thread(_values, mock_cluster)) == 6


async def test_what_the_broker_refuses_is_produced_again(
    mock_cluster: MockCluster, publisher: Open, health: list[bool]
) -> None:
    """A message that failed for good is sent anew until it stands on the topic; health says so."""
    one = publisher()
    await one.send(_messages(1))
    health.clear()
    mock_cluster.push_errors(_PRODUCE, KafkaError.INVALID_RECORD)
    await asyncio.wait_for(one.send(_messages(1)), 15)
    assert health == [False, True]
    assert await asyncio.to_thread(_values, mock_cluster) == [b"0", b"0"]


async def test_an_acknowledgement_without_an_offset_is_none(
    mock_cluster: MockCluster, publisher: Open
) -> None:
    """A message that was refused and overtaken is produced again, though the client is content."""
    one = publisher(enable_idempotence=True, linger_ms=0)
    await one.send(_messages(1))
    mock_cluster.set_rtt(1, 300)  # so that a second request leaves before the first is answered
    mock_cluster.push_errors(_PRODUCE, KafkaError.NOT_LEADER_FOR_PARTITION)
    async with asyncio.TaskGroup() as tasks:
        for value in (b"refused", b"overtook"):
            tasks.create_task(one.send([Outgoing(TOPIC, b"key", value)]))
            await asyncio.sleep(0.1)
    values = await asyncio.to_thread(_values, mock_cluster)
    assert sorted(values) == [b"0", b"overtook", b"refused"]


async def test_more_messages_than_the_queue_holds(
    mock_cluster: MockCluster, publisher: Open
) -> None:
    """A record of many outcomes waits for room in the producer's queue and loses none."""
    await publisher(queue_buffering_max_messages=10).send(_messages(100))
    values = await asyncio.to_thread(_values, mock_cluster)
    assert sorted(values) == sorted(str(i).encode() for i in range(100))


async def test_a_message_that_is_too_large_is_said_so(
    mock_cluster: MockCluster, publisher: Open
) -> None:
    """Sending again cannot help, so that is not tried for ever."""
    one = publisher(message_max_bytes=1000)
    with pytest.raises(TooLarge):
        await one.send([Outgoing(TOPIC, None, b"x" * 2000), *_messages(1)])
    assert await asyncio.to_thread(_values, mock_cluster) == [b"0"]


async def test_many_senders_get_their_own_acknowledgements(
    mock_cluster: MockCluster, publisher: Open
) -> None:
    """Hundreds of records conclude at the same time, each when its own messages are there."""
    one = publisher(linger_ms=10)
    async with asyncio.TaskGroup() as tasks:
        for _ in range(200):
            tasks.create_task(one.send(_messages(3)))
    assert len(await asyncio.to_thread(_values, mock_cluster)) == 600


async def test_closing_says_what_was_left_behind(
    mock_cluster: MockCluster, publisher: Open
) -> None:
    """A broker that is down must not hold up the end of the process."""
    one = publisher()
    await one.send(_messages(1))
    mock_cluster.set_down(1)
    sending = asyncio.create_task(one.send(_messages(2)))
    await asyncio.sleep(0.1)
    assert await asyncio.to_thread(one.close, 0.2) == 2
    sending.cancel()
    await asyncio.wait({sending})
