"""Whether librdkafka takes what `kafka.client` says; nothing is connected."""

from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer

from schemas.config import Config
from schemas.errors import ConfigError
from workers import kafka_settings


def check_client(config: Config) -> None:
    """Make a consumer and a producer as the worker would, but for the brokers, and drop them.

    Raises:
        ConfigError: A property is unknown, has a value that it cannot have, or lacks another one.
    """
    kafka = config.kafka
    consumer = kafka_settings.consumer(kafka, kafka.group_id, protocol="consumer")
    try:
        Producer(_offline(dict(kafka_settings.producer(kafka))))
        Consumer(_offline(consumer)).close()
    except KafkaException as error:
        fault = error.args[0].str()
        named = [name for name in kafka.client if f'"{name}"' in fault]
        key = f"kafka.client.{named[0]}" if named else "kafka.client"
        fault = fault.removeprefix("Failed to create producer: ")
        fault = fault.removeprefix("Failed to create consumer: ")
        raise ConfigError(
            f"kafka.client: librdkafka says: {fault}; its CONFIGURATION.md lists all properties",
            key=key,
        ) from error


def _offline(properties: dict[str, Any]) -> dict[str, Any]:
    # Without brokers there is nothing to connect to, which librdkafka would also say on stderr.
    properties.pop("bootstrap.servers")
    return {**properties, "log_level": 0}
