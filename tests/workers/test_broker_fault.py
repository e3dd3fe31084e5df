"""What is said where no broker answers."""

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from support.processes import free_ports

from workers.broker_fault import BrokerFault


def _why(servers: str) -> str:
    fault = BrokerFault()
    client = Producer({"bootstrap.servers": servers, "log_level": 0, "error_cb": fault})
    with pytest.raises(KafkaException) as raised:
        client.list_topics(timeout=1)
    return fault.why(client, raised.value)


def test_a_port_that_nobody_listens_on_is_told() -> None:
    """The fault of the connection, rather than that all of them failed."""
    (port,) = free_ports(1)
    assert (
        _why(f"127.0.0.1:{port}") == f"Connect to ipv4#127.0.0.1:{port} failed: Connection refused"
    )


def test_a_broker_that_answers_speaks_for_itself() -> None:
    """A connection that was lost before is not why a topic is denied."""
    fault = BrokerFault()
    client = Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
    fault(KafkaError(KafkaError._TRANSPORT, "127.0.0.1:1/1: Disconnected"))
    denied = KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    assert fault.why(client, denied) == "Broker: Topic authorization failed"


def test_a_name_that_nobody_knows_is_told() -> None:
    """So that nobody looks for a broker that is down."""
    assert _why("kafka.invalid:9092").startswith("Failed to resolve 'kafka.invalid:9092'")
