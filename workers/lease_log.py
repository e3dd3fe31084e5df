"""The leases topic as a log: append an entry, and get every entry in the order of the log."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from confluent_kafka import (
    TIMESTAMP_LOG_APPEND_TIME,
    Consumer,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)

from schemas.config import KafkaConfig
from schemas.errors import AssayError, ConfigError
from schemas.events import Emit
from schemas.events import KafkaError as KafkaProblem

from . import kafka_settings
from .publisher import Outgoing, Publisher

_CLIENT = "leases"
_TIMEOUT_S = 15.0
_POLL_S = 0.1

Deliver = Callable[[int, bytes | None], None]
"""Gets (moment of the append in Unix milliseconds, value) of a record."""


class LogUnavailable(AssayError):  # noqa: N818  named for what happened
    """The leases topic could not be read or written at start."""


@dataclass(frozen=True, slots=True)
class Opened:
    """Where a log was when it was opened.

    Attributes:
        at_ms: The broker's time.
        sent_s: Our own monotonic time, a little earlier.
    """

    at_ms: int
    sent_s: float


class Log(Protocol):
    """An append-only log that all workers read in the same order; used from one event loop."""

    async def open(
        self, greeting: bytes, begin_ms: Callable[[int], int], deliver: Deliver
    ) -> Opened:
        """Append a greeting, and deliver all that was appended since a moment, and from now on.

        Args:
            greeting: Says nothing; the broker stamps it, and that is the time.
            begin_ms: From which moment on, by what the broker's time is.
            deliver: Gets each record, on the loop. The greeting was delivered when this returns.

        Raises:
            ConfigError: The topic's records are not stamped by the broker.
            LogUnavailable: The broker does not answer, or refuses.
        """
        ...

    async def append(self, value: bytes) -> None:
        """Return when the broker has it; it may come twice where the network is bad."""
        ...

    async def close(self) -> None:
        """Deliver nothing more."""
        ...


class KafkaLog:
    """The topic `kafka.leases`.

    Args:
        kafka: Where it is.
        emit: Told of problems.
        on_health: Told (False, why) when the topic cannot be used, and (True, "") when it can.
    """

    def __init__(
        self, kafka: KafkaConfig, emit: Emit, on_health: Callable[[bool, str], None]
    ) -> None:
        self._topic = kafka.leases
        self._emit = emit
        self._on_health = on_health
        # Without idempotence there is no error that a producer cannot recover from, and a copy of
        # an entry counts once.
        self._settings = {
            **kafka_settings.producer(kafka),
            "enable.idempotence": False,
            "linger.ms": 0,
        }
        self._publisher = Publisher(self._settings, emit, on_health)
        self._consumer = Consumer(kafka_settings.lookup(kafka, f"{kafka.group_id}.leases"))
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    async def open(
        self, greeting: bytes, begin_ms: Callable[[int], int], deliver: Deliver
    ) -> Opened:
        """See `Log.open`."""
        loop = asyncio.get_running_loop()
        opened, begin, offset = await asyncio.to_thread(self._place, greeting, begin_ms)
        caught_up = asyncio.Event()

        def hand_over(message: Message) -> None:
            deliver(message.timestamp()[1], _bytes(message.value()))
            if (message.offset() or 0) >= offset:
                caught_up.set()

        def receive(message: Message) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(hand_over, message)

        follow = partial(self._follow, begin, receive)
        self._thread = threading.Thread(target=follow, name="leases", daemon=True)
        self._thread.start()
        try:
            await asyncio.wait_for(caught_up.wait(), _TIMEOUT_S)
        except TimeoutError:
            raise LogUnavailable(
                f"{self._topic}: could not be read to its end within {_TIMEOUT_S:g} s; "
                "check that the cluster is up, and that this user may read the topic"
            ) from None
        return opened

    async def append(self, value: bytes) -> None:
        """See `Log.append`."""
        await self._publisher.send([Outgoing(self._topic, None, value)])

    async def close(self) -> None:
        """See `Log.close`."""
        self._stopping.set()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join, _TIMEOUT_S)
        await asyncio.to_thread(self._consumer.close)
        self._publisher.close(0)

    def _place(self, greeting: bytes, begin_ms: Callable[[int], int]) -> tuple[Opened, int, int]:
        """The time, the offset to read from, and that of the greeting. Blocks."""
        try:
            sent_s = time.monotonic()
            offset = self._greet(greeting)
            message = self._read_one(offset)
            kind, at_ms = message.timestamp()
            if kind != TIMESTAMP_LOG_APPEND_TIME:
                raise ConfigError(
                    f'topic "{self._topic}": its message.timestamp.type is CreateTime, and workers '
                    "could not agree on when a period ends; set it to LogAppendTime",
                    key="kafka.leases",
                )
            at = TopicPartition(self._topic, 0, begin_ms(at_ms))
            (found,) = self._consumer.offsets_for_times([at], _TIMEOUT_S)
        except KafkaException as error:
            raise LogUnavailable(
                f"{self._topic}: cannot be used ({error.args[0].str()}); check that the topic is "
                "there, and that this user may read and write it"
            ) from error
        begin = found.offset if 0 <= found.offset <= offset else offset
        return Opened(at_ms, sent_s), begin, offset

    def _greet(self, greeting: bytes) -> int:
        offsets: list[int] = []
        errors: list[KafkaException] = []

        def delivered(error: object, message: Message) -> None:
            if error is None:
                offsets.append(message.offset() or 0)
            else:
                errors.append(KafkaException(error))

        producer = Producer({**self._settings, "message.timeout.ms": int(_TIMEOUT_S * 1000)})
        producer.produce(self._topic, greeting, partition=0, on_delivery=delivered)
        producer.flush(_TIMEOUT_S * 2)
        if errors:
            raise errors[0]
        if not offsets:
            raise LogUnavailable(
                f"{self._topic}: the broker did not take a record within {_TIMEOUT_S * 2:g} s; "
                "check that the cluster is up"
            )
        return offsets[0]

    def _read_one(self, offset: int) -> Message:
        self._consumer.assign([TopicPartition(self._topic, 0, offset)])
        until = time.monotonic() + _TIMEOUT_S
        while time.monotonic() < until:
            message = self._consumer.poll(_POLL_S)
            if message is not None and message.error() is None and message.offset() == offset:
                return message
        raise LogUnavailable(
            f"{self._topic}: the record at {offset} could not be read within {_TIMEOUT_S:g} s; "
            "check that the cluster is up, and that this user may read the topic"
        )

    def _follow(self, begin: int, receive: Callable[[Message], None]) -> None:
        """Read for ever. Nothing is skipped: without a record the books would be wrong."""
        self._consumer.assign([TopicPartition(self._topic, 0, begin)])
        while not self._stopping.is_set():
            message = self._consumer.poll(_POLL_S)
            if message is None:
                continue
            error = message.error()
            if error is None:
                receive(message)
            else:
                self._emit(KafkaProblem(_CLIENT, error.str()))
                self._on_health(False, error.str())


def _bytes(value: bytes | str | None) -> bytes | None:
    return value if isinstance(value, bytes) else None
