"""How far behind each lane is, as Kafka tells it: records that its group has not finished."""

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from confluent_kafka import Consumer, KafkaException, TopicPartition

from schemas.config import Config

from . import kafka_settings
from .configured import LANES
from .lane import group_of

_TIMEOUT_S = 10.0


class LaneLags:
    """Looks at the lanes' groups and joins none; a context manager.

    Args:
        config: For the spans topics and the groups.
    """

    def __init__(self, config: Config) -> None:
        self._topics = config.kafka.spans
        self._lanes = {
            lane: Consumer(kafka_settings.lookup(config.kafka, group_of(config, lane)))
            for lane in LANES
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for consumer in self._lanes.values():
            consumer.close()

    def look(self) -> Mapping[str, int | None]:
        """Records that each lane has not finished, of the partitions in which it has begun.

        None: the broker does not tell us. A lane that has committed nothing is left out.
        """
        found: dict[str, int | None] = {}
        for lane, consumer in self._lanes.items():
            try:
                lag = self._look(consumer)
            except KafkaException:  # no right to see the group: the scores are still worth showing
                found[lane] = None
            else:
                if lag is not None:
                    found[lane] = lag
        return found

    def _look(self, consumer: Consumer) -> int | None:
        partitions = []
        for topic in self._topics:
            metadata = consumer.list_topics(topic, _TIMEOUT_S).topics[topic]
            partitions += [TopicPartition(topic, index) for index in metadata.partitions]
        if not partitions:
            return None
        committed = [
            each
            for each in consumer.committed(partitions, _TIMEOUT_S)
            if each.error is None and each.offset >= 0
        ]
        if not committed:
            return None
        lag = 0
        for each in committed:
            _, high = consumer.get_watermark_offsets(each, _TIMEOUT_S)
            lag += max(0, high - each.offset)
        return lag
