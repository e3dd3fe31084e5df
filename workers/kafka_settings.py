"""The librdkafka properties that keep the promise, and the user's own beside them."""

from collections.abc import Mapping
from typing import Any

from schemas.config import KafkaConfig

SESSION_TIMEOUT_MS = 10_000
"""Classic protocol only: how long a killed worker's partitions stand still (the default is 45 s).

Heartbeats come from librdkafka's own thread, so a busy worker keeps its session.
"""

BEST_EFFORT_S = 5.0
"""After this a message of the best-effort producer is given up."""

FETCH_BYTES = 65_536
"""Packed bytes that the broker sends at a time: as one round trip takes, so the worst case is one
bomb in memory, and a rate of some 60 MB/s at 1 ms (`tests/acceptance/test_memory.py`)."""

_CLASSIC_ONLY = ("session.timeout.ms", "heartbeat.interval.ms", "group.protocol.type")


def common(kafka: KafkaConfig) -> dict[str, Any]:
    """What every client of ours shares: where the cluster is, and `kafka.client`."""
    return {
        "bootstrap.servers": kafka.bootstrap_servers,
        "client.id": "assay",
        # What goes wrong reaches us as an event; librdkafka would also write it to stderr, twenty
        # times a second while a broker is down.
        "log_level": 0,
        **kafka.client,
    }


def consumer(kafka: KafkaConfig, group_id: str, *, protocol: str) -> dict[str, Any]:
    """A lane's consumer. Offsets are committed by hand, and out of range is an error."""
    settings: dict[str, Any] = {
        # Prefetch is memory that no bound of ours sees: keep it small.
        "queued.max.messages.kbytes": 4_096,
        # A response is unpacked whole, and these count packed bytes: 64 KiB of gzip may become
        # 64 MiB, as 64 KiB of lz4 may become 16. A batch that is larger comes all the same, alone.
        "fetch.message.max.bytes": FETCH_BYTES,
        "fetch.max.bytes": FETCH_BYTES,
        "receive.message.max.bytes": 100_000_000,
        **common(kafka),
        "group.id": group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": False,
        # Of the producer's config this says how large a message may be; a consumer raises its
        # fetch.max.bytes to it, and to a default of 1 MB.
        "message.max.bytes": FETCH_BYTES,
    }
    if protocol == "consumer":
        for name in _CLASSIC_ONLY:  # the broker decides these, and librdkafka refuses them
            settings.pop(name, None)
        return {**settings, "group.protocol": "consumer"}
    settings.setdefault("session.timeout.ms", SESSION_TIMEOUT_MS)
    return {
        **settings,
        "group.protocol": "classic",
        "partition.assignment.strategy": "cooperative-sticky",
    }


def lookup(kafka: KafkaConfig, group_id: str) -> dict[str, Any]:
    """A consumer that joins nothing: it reads another group's commits, or a topic from anywhere."""
    return {
        **common(kafka),
        "group.id": group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "group.protocol": "classic",
    }


def producer(kafka: KafkaConfig) -> Mapping[str, Any]:
    """The worker's producer: idempotent, acknowledged by all replicas in sync."""
    return {
        "linger.ms": 10,
        "compression.type": "lz4",
        "queue.buffering.max.kbytes": 65_536,
        **common(kafka),
        "acks": "all",
        "enable.idempotence": True,
    }


def best_effort_producer(kafka: KafkaConfig) -> Mapping[str, Any]:
    """The producer of what may be lost: it shares no queue with that of the outcomes."""
    return {
        **producer(kafka),
        "acks": "1",
        "enable.idempotence": False,
        "linger.ms": 10,
        "message.timeout.ms": int(BEST_EFFORT_S * 1000),
        "queue.buffering.max.messages": 10_000,
        "queue.buffering.max.kbytes": 65_536,
    }
