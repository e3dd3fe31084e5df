"""`assay dead-letters skip`: step over a record that no worker survives.

There is one kind: a compression bomb that librdkafka unpacks before anybody can look at it. The
workers of a group die of it one after the other, and only from outside can the group go on.
"""

from dataclasses import dataclass

from confluent_kafka import (
    ConsumerGroupState,
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from rich.console import Console

from schemas.config import Config
from schemas.errors import AssayError
from schemas.outcome import Source
from schemas.reasons import DeadLetterReason
from workers import kafka_settings, offset_metadata
from workers.configured import LANES
from workers.dead_letters import DeadLetter, letter_message
from workers.publisher import refusal
from workers.topic_reader import TopicReader

from .kafka_client import check_client

_TIMEOUT_S = 15.0
_MOST = 10_000
_STOPPED = (ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD)


class NotSkipped(AssayError):  # noqa: N818  named for what happened
    """The group cannot be moved; the message says why, and nothing was changed."""


@dataclass(frozen=True, slots=True)
class _Position:
    """Where a lane's group stands on the partition."""

    group: str
    offset: int
    metadata: str | None

    def unfinished(self, end: int) -> list[int]:
        """The offsets below `end` that this lane has not finished."""
        _, done = offset_metadata.decode(self.metadata, self.offset)
        return [offset for offset in range(self.offset, end) if offset not in done]

    def moved(self, end: int) -> str:
        """The metadata of a commit at `end`: what is done above it stays known."""
        beginning, done = offset_metadata.decode(self.metadata, self.offset)
        if beginning is None:
            return ""
        return offset_metadata.encode(beginning, end, sorted(o for o in done if o >= end))


def run(config: Config, origin: Source) -> None:
    """Let every lane go on behind `origin`, with a stub in the dead letters for what it missed.

    What stands before it and is unfinished is stepped over as well: no worker could reach it any
    more. It gets a stub too, so nothing is lost without a trace.

    Raises:
        ConfigError: `kafka.client` is wrong.
        NotSkipped: A worker still runs, no lane waits there, nothing stands there, or no broker
            answers.
        TopicUnreadable: There is no such topic.
    """
    check_client(config)
    try:
        _skip(config, origin, AdminClient(kafka_settings.common(config.kafka)))
    except KafkaException as error:
        raise NotSkipped(f"{origin}: not skipped: {error.args[0].str()}") from error


def _check_there(config: Config, origin: Source) -> None:
    """Refuse an offset that does not exist: what comes there one day would never be read."""
    with TopicReader(config.kafka, "skip") as reader:
        low, high = reader.bounds(origin.topic).get(origin.partition, (0, 0))
    if not low <= origin.offset < high:
        raise NotSkipped(
            f"{origin}: not skipped: the partition holds offsets {low} up to {high}, without the "
            "last; check the offset"
        )


def _skip(config: Config, origin: Source, admin: AdminClient) -> None:
    groups = [f"{config.kafka.group_id}.{lane}" for lane in LANES]
    _check_stopped(admin, groups)
    _check_there(config, origin)
    behind = [found for group in groups if (found := _position(admin, group, origin)) is not None]
    if not behind:
        raise NotSkipped(
            f"{origin}: not skipped: no lane of group {config.kafka.group_id} waits there; "
            "assay dead-letters list shows what was read and refused"
        )
    end = origin.offset + 1
    missed = sorted({offset for position in behind for offset in position.unfinished(end)})
    if len(missed) > _MOST:
        raise NotSkipped(
            f"{origin}: not skipped: {len(missed)} records before it are unfinished; "
            "check the offset"
        )
    # First the stubs: a crash in between writes them twice, and forgets none.
    _publish(config, origin, missed)
    for position in behind:
        _move(admin, position, origin, end)
    Console(highlight=False).print(
        f"{origin}: skipped for {', '.join(position.group for position in behind)}; "
        f"{len(missed)} stubs are in {config.kafka.dead_letters}"
    )


def _check_stopped(admin: AdminClient, groups: list[str]) -> None:
    for group, future in admin.describe_consumer_groups(groups, request_timeout=_TIMEOUT_S).items():
        try:
            state = future.result().state
        except KafkaException as error:
            if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
                continue  # that lane never ran
            raise  # not allowed to look, say: its workers may be running
        if state not in _STOPPED:
            raise NotSkipped(
                f"group {group} has members; stop its workers first, they would go on where they "
                "stand"
            )


def _position(admin: AdminClient, group: str, origin: Source) -> _Position | None:
    """Where a group stands, if that is at the offset or before it."""
    wanted = TopicPartition(origin.topic, origin.partition)
    request = ConsumerGroupTopicPartitions(group, [wanted])
    future = admin.list_consumer_group_offsets([request], request_timeout=_TIMEOUT_S)[group]
    try:
        (found,) = future.result().topic_partitions
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return None  # it never ran
        raise
    if found.offset < 0 or found.offset > origin.offset:
        return None
    return _Position(group, found.offset, found.metadata)


def _move(admin: AdminClient, position: _Position, origin: Source, end: int) -> None:
    target = TopicPartition(origin.topic, origin.partition, end, position.moved(end))
    request = ConsumerGroupTopicPartitions(position.group, [target])
    futures = admin.alter_consumer_group_offsets([request], request_timeout=_TIMEOUT_S)
    (moved,) = futures[position.group].result().topic_partitions
    if moved.error is not None:
        raise KafkaException(moved.error)


def _publish(config: Config, origin: Source, offsets: list[int]) -> None:
    refused: list[KafkaError] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        why = refusal(error, message)
        if why is not None:
            refused.append(why)

    producer = Producer(dict(kafka_settings.producer(config.kafka)))
    for offset in offsets:
        detail = "stepped over by assay dead-letters skip"
        if offset != origin.offset:
            detail += f": it stands before offset {origin.offset}, and no worker can reach it"
        stub = DeadLetter(
            origin.topic,
            origin.partition,
            offset,
            timestamp_s=0,
            key=None,
            value=None,
            reason=DeadLetterReason.BAD_COMPRESSION,
            detail=detail,
        )
        message = letter_message(config.kafka.dead_letters, stub)
        producer.produce(message.topic, b"", headers=list(message.headers), on_delivery=delivered)
    if producer.flush(_TIMEOUT_S) or refused:
        why = refused[0].str() if refused else "no broker acknowledged"
        raise NotSkipped(f"{origin}: not skipped: the stubs could not be written ({why})")
