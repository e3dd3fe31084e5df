"""Kafka out: produce, and return only when the broker has acknowledged.

One producer for all lanes, idempotent, `acks=all`. What the broker does not take is produced again
until it does: nothing that hangs on an outcome may be committed before.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.errors import AssayError, WorkerStopped
from schemas.events import Emit
from schemas.events import KafkaError as KafkaProblem
from schemas.outcome import Outcome

_AGAIN_AFTER_S = 0.5
_QUEUE_FULL_WAIT_S = 0.05
_SERVE_S = 0.1


class TooLarge(AssayError):  # noqa: N818  a property of the message
    """A message is larger than the producer or the topic takes."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to be produced."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = field(default=())


class Publisher:
    """Produces messages and waits for their acknowledgements. Used from one event loop.

    Args:
        settings: librdkafka properties of the producer (`kafka_settings.producer`).
        emit: Where problems go.
        on_health: Told False when the broker does not take messages, and True when it does again.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        emit: Emit,
        on_health: Callable[[bool, str], None],
    ) -> None:
        self._emit = emit
        self._on_health = on_health
        self._producer = Producer({**settings, "error_cb": self._on_error})
        self._fatal: str | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="producer", daemon=True)
        self._thread.start()

    async def send(self, messages: Sequence[Outgoing]) -> None:
        """Return when the broker has acknowledged every message.

        Raises:
            TooLarge: A message cannot be sent at its size; the others may have been.
            WorkerStopped: The producer met an error that it cannot recover from.
        """
        waiting = list(messages)
        while waiting:
            refused = await self._attempt(waiting)
            if refused and refused[0][1].code() == KafkaError.MSG_SIZE_TOO_LARGE:
                raise TooLarge(refused[0][1].str())
            if refused:
                why = refused[0][1].str()
                self._on_health(False, why)
                self._emit(KafkaProblem("producer", why))
                await asyncio.sleep(_AGAIN_AFTER_S)
            else:
                self._on_health(True, "")
            waiting = [message for message, _ in refused]

    async def _attempt(self, messages: list[Outgoing]) -> list[tuple[Outgoing, KafkaError]]:
        """Produce all once; those that were refused, and why, the too large first."""
        loop = asyncio.get_running_loop()
        acknowledged: asyncio.Future[None] = loop.create_future()
        refused: list[tuple[Outgoing, KafkaError]] = []
        left = len(messages)
        lock = threading.Lock()

        def settled() -> None:  # on the loop
            if not acknowledged.done():
                acknowledged.set_result(None)

        def report(outgoing: Outgoing, error: KafkaError | None) -> None:
            # On the serving thread, or here where a message is refused at once: both take one off,
            # and `left -= 1` alone could lose one of two.
            nonlocal left
            with lock:
                if error is not None:
                    refused.append((outgoing, error))
                left -= 1
                is_last = left == 0
            if is_last and not loop.is_closed():
                loop.call_soon_threadsafe(settled)

        for outgoing in messages:
            await self._produce(outgoing, report)
        await acknowledged
        refused.sort(key=lambda pair: pair[1].code() != KafkaError.MSG_SIZE_TOO_LARGE)
        return refused

    async def _produce(
        self, outgoing: Outgoing, report: Callable[[Outgoing, KafkaError | None], None]
    ) -> None:
        def on_delivery(error: KafkaError | None, message: Message) -> None:
            report(outgoing, refusal(error, message))

        while True:
            if self._fatal is not None:
                raise WorkerStopped(f"the Kafka producer failed: {self._fatal}; start again")
            try:
                self._producer.produce(
                    outgoing.topic,
                    value=outgoing.value,
                    key=outgoing.key,
                    headers=list(outgoing.headers) or None,
                    on_delivery=on_delivery,
                )
            except BufferError:  # the queue is full: the broker is slow, wait for room
                await asyncio.sleep(_QUEUE_FULL_WAIT_S)
            except KafkaException as error:  # refused at once: no report will come
                report(outgoing, error.args[0])
                return
            else:
                return

    def close(self, flush_s: float) -> int:
        """Wait for what is on its way, at most `flush_s`; how many messages were left behind."""
        left = self._producer.flush(flush_s)
        self._closing.set()
        self._thread.join(2 * _SERVE_S)
        return int(left)

    def _serve(self) -> None:
        while not self._closing.is_set():
            self._producer.poll(_SERVE_S)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error.str()
        self._emit(KafkaProblem("producer", error.str()))


def refusal(error: KafkaError | None, message: Message) -> KafkaError | None:
    """Why a message is not certain to be on its topic, by its delivery report; None: it is there.

    An acknowledgement without an offset says that the broker knows a later sequence number, which
    the client takes for a delivery. Where batches overtook each other, the message is nowhere.
    """
    if error is None and message.offset() is None:
        return KafkaError(KafkaError.DUPLICATE_SEQUENCE_NUMBER)
    return error


def outcome_message(topic: str, outcome: Outcome) -> Outgoing:
    """An outcome as it stands on the scores topic: key = trace id."""
    return Outgoing(topic, outcome.trace_id.encode(), outcome.to_json())
