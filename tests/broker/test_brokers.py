"""The brokers that the other tests stand on do what a Kafka client expects of them."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from support.kafka import KafkaServer
from support.spans import message, plain_span, produce, traces

from schemas.errors import AssayError
from workers.demo.broker import MockCluster

MakeTopic = Callable[[int], str]
WAIT_S = 20

real_and_mock = pytest.mark.parametrize(
    "broker", ["mock_cluster", pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True
)
both_protocols = pytest.mark.parametrize("protocol", ["classic", "consumer"])


@pytest.fixture
def broker(request: pytest.FixtureRequest) -> KafkaServer | MockCluster:
    """The broker that the parameter names."""
    named: KafkaServer | MockCluster = request.getfixturevalue(request.param)
    return named


@pytest.fixture
def make_topic(broker: KafkaServer | MockCluster) -> MakeTopic:
    """Make a topic that no other test uses; called with its number of partitions."""

    def make(partitions: int) -> str:
        name = f"test-{uuid.uuid4()}"
        if isinstance(broker, MockCluster):
            broker.create_topic(name, partitions)
        else:
            broker.create_topics({name: partitions})
        return name

    return make


def consumer(bootstrap_servers: str, **config: Any) -> Consumer:
    """Make a consumer that starts at the first record and commits nothing by itself."""
    return Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": f"test-{uuid.uuid4()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
            "log_level": 0,  # brokers come and go here
        }
        | {name.replace("_", "."): value for name, value in config.items()}
    )


def read(source: Consumer, count: int) -> list[Message]:
    """Poll until `count` records came, or fail after a while."""
    records: list[Message] = []
    deadline = time.monotonic() + WAIT_S
    while len(records) < count and time.monotonic() < deadline:
        for record in source.consume(count - len(records), timeout=0.5):
            assert record.error() is None, record.error()
            records.append(record)
    assert len(records) == count
    return records


def committed(source: Consumer, topic: str) -> tuple[int, str | None]:
    """Return offset and metadata committed for partition 0."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            (found,) = source.committed([TopicPartition(topic, 0)], timeout=WAIT_S)
        except KafkaException as error:
            # A broker that has just started says so until it has read its offsets again.
            if time.monotonic() > deadline or error.args[0].name() != "NOT_COORDINATOR":
                raise
        else:
            return found.offset, found.metadata


@real_and_mock
@both_protocols
def test_a_group_reads_what_was_produced(
    broker: KafkaServer | MockCluster, make_topic: MakeTopic, protocol: str
) -> None:
    """Every record reaches a consumer group once, with its key, under both group protocols."""
    topic = make_topic(3)
    sent = list(traces(30))
    assert produce(broker.bootstrap_servers, topic, sent) == 30
    source = consumer(broker.bootstrap_servers, group_protocol=protocol)
    source.subscribe([topic])
    try:
        received = [(record.key(), record.value()) for record in read(source, 30)]
    finally:
        source.close()
    assert sorted(received) == sorted(sent)


@real_and_mock
def test_commit_metadata_is_kept(broker: KafkaServer | MockCluster, make_topic: MakeTopic) -> None:
    """A commit carries metadata, also new metadata at an offset that was committed before."""
    topic = make_topic(1)
    source = consumer(broker.bootstrap_servers)
    try:
        for metadata in ("first", "second"):
            source.commit(offsets=[TopicPartition(topic, 0, 7, metadata)], asynchronous=False)
            assert committed(source, topic) == (7, metadata)
    finally:
        source.close()


@pytest.mark.slow
@pytest.mark.parametrize("how", ["clean", "crash"])
def test_kafka_keeps_its_data_over_a_restart(kafka: KafkaServer, how: str) -> None:
    """Records and commits are there after a clean restart and after a crash, on the same port."""
    topic = f"test-{uuid.uuid4()}"
    kafka.create_topics({topic: 1})
    span = message([plain_span()])
    produce(kafka.bootstrap_servers, topic, [(b"key", span)])
    source = consumer(kafka.bootstrap_servers)
    try:
        source.commit(offsets=[TopicPartition(topic, 0, 1, "kept")], asynchronous=False)
        if how == "clean":
            kafka.restart()
        else:
            kafka.kill()
            kafka.start()
        assert committed(source, topic) == (1, "kept")
        source.assign([TopicPartition(topic, 0, 0)])
        assert read(source, 1)[0].value() == span
    finally:
        source.close()


def test_a_topic_config_reaches_kafka(kafka: KafkaServer) -> None:
    """A topic is created with the configuration it was asked for: here, records of 100 bytes."""
    topic = f"test-{uuid.uuid4()}"
    kafka.create_topics({topic: 1}, {"max.message.bytes": "100"})
    with pytest.raises(Exception, match="MSG_SIZE_TOO_LARGE"):
        produce(kafka.bootstrap_servers, topic, [(None, b"x" * 1000)])


@pytest.mark.slow
def test_a_topic_that_repacks_as_zstd_bounds_a_gzip_bomb(kafka: KafkaServer) -> None:
    """The remedy that the docs name: 120 MB come as an error with an offset, not as 120 MB."""
    topic = f"test-{uuid.uuid4()}"
    kafka.create_topics({topic: 1}, {"compression.type": "zstd", "max.message.bytes": "1048576"})
    settings = {"compression.type": "gzip", "message.max.bytes": 200_000_000}
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, **settings})
    for value in (bytes(120_000_000), b"behind it"):
        producer.produce(topic, value)
        assert producer.flush(60) == 0
    source = consumer(kafka.bootstrap_servers)
    try:
        source.assign([TopicPartition(topic, 0, 0)])
        bomb = source.poll(WAIT_S)
        assert bomb is not None
        error = bomb.error()
        assert error is not None
        assert (error.name(), bomb.offset()) == ("_BAD_COMPRESSION", 0)
        source.seek(TopicPartition(topic, 0, 1))
        assert read(source, 1)[0].value() == b"behind it"
    finally:
        source.close()


def test_a_mock_broker_that_is_down_delivers_later(mock_cluster: MockCluster) -> None:
    """Nothing is acknowledged while the broker is down, and everything after it is up again."""
    mock_cluster.create_topic("spans", 1)
    outcomes: list[KafkaError | None] = []
    producer = Producer({"bootstrap.servers": mock_cluster.bootstrap_servers, "log_level": 0})
    producer.list_topics("spans", timeout=WAIT_S)
    mock_cluster.set_down(1)
    producer.produce("spans", b"x", on_delivery=lambda error, _: outcomes.append(error))
    producer.flush(1)
    assert outcomes == []
    mock_cluster.set_up(1)
    producer.flush(WAIT_S)
    assert outcomes == [None]


def test_a_slow_mock_broker_is_slow(mock_cluster: MockCluster) -> None:
    """An answer takes at least the round-trip time that was set, until it is set to zero."""
    mock_cluster.create_topic("spans", 1)
    client = Producer({"bootstrap.servers": mock_cluster.bootstrap_servers})
    client.list_topics(timeout=WAIT_S)

    def asking_takes_s() -> float:
        start = time.monotonic()
        client.list_topics(timeout=WAIT_S)
        return time.monotonic() - start

    mock_cluster.set_rtt(1, 400)
    assert asking_takes_s() >= 0.4
    mock_cluster.set_rtt(1, 0)
    assert asking_takes_s() < 0.4


def test_pushed_errors_are_answered_once_each(mock_cluster: MockCluster) -> None:
    """Each pushed error answers one request of its kind; the request after it succeeds."""
    mock_cluster.create_topic("spans", 1)
    producer = Producer({"bootstrap.servers": mock_cluster.bootstrap_servers})
    mock_cluster.push_errors(0, KafkaError.INVALID_RECORD)
    errors: list[KafkaError | None] = []
    for _ in range(2):
        producer.produce("spans", b"x", on_delivery=lambda error, _: errors.append(error))
        producer.flush(WAIT_S)
    assert [error.name() if error else None for error in errors] == ["INVALID_RECORD", None]


def test_leadership_moves_between_mock_brokers() -> None:
    """A partition gets the leader that was set, and clients see it."""
    with MockCluster(brokers=2) as cluster:
        cluster.create_topic("spans", 1)
        client = Producer({"bootstrap.servers": cluster.bootstrap_servers})
        for leader in (1, 2):
            cluster.set_leader("spans", 0, leader)
            topics = client.list_topics("spans", timeout=WAIT_S).topics
            assert topics["spans"].partitions[0].leader == leader


def test_a_fault_of_the_mock_cluster_is_named(mock_cluster: MockCluster) -> None:
    """What librdkafka refuses is an error that says what was asked for."""
    mock_cluster.create_topic("spans", 1)
    with pytest.raises(AssayError, match=r"topic_create\(spans, 1, 1\): TOPIC_ALREADY_EXISTS"):
        mock_cluster.create_topic("spans", 1)
    with pytest.raises(AssayError, match="set_down"):
        mock_cluster.set_down(99)


def test_a_closed_mock_cluster_refuses_calls() -> None:
    """A call after the end is an error, not a crash of the process; closing twice is nothing."""
    with MockCluster() as cluster:
        pass
    cluster.close()
    with pytest.raises(AssayError, match="closed"):
        cluster.set_up(1)
