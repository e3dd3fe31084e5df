"""Outcomes to `kafka.otlp_scores`: each an `ExportLogsServiceRequest`, its key the trace id."""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.config import KafkaConfig
from schemas.events import OutcomesExported, Output, OutputResult
from schemas.outcome import Outcome
from workers import kafka_settings

from .evaluation_result import logs_request

_FLUSH_S = kafka_settings.BEST_EFFORT_S + 1.0


class OtlpTopic:
    """An `Exporter` with a producer of its own: what it cannot deliver holds up no outcome.

    Args:
        kafka: Where the cluster is.
        topic: `kafka.otlp_scores`.
    """

    output = Output.KAFKA_LOG

    def __init__(self, kafka: KafkaConfig, topic: str) -> None:
        self._topic = topic
        self._producer = Producer(dict(kafka_settings.best_effort_producer(kafka)))

    def export(
        self, outcomes: Sequence[Outcome], closing: threading.Event
    ) -> Iterable[OutcomesExported]:
        """Produce outcomes and wait for what the broker says, seconds at most."""
        del closing  # the client itself tries again, and its bound is short
        ended: Counter[str] = Counter()
        for outcome in outcomes:
            try:
                self._producer.produce(
                    self._topic,
                    key=outcome.trace_id.encode(),
                    value=logs_request([outcome]),
                    on_delivery=partial(_note, ended),
                )
            except KafkaException as error:  # such as one that is too large
                ended[error.args[0].str()] += 1
            except BufferError as error:
                ended[str(error)] += 1
        self._producer.flush(_FLUSH_S)
        # A copy: a report that comes after its time must not change what has been told.
        told = dict(ended)
        told["no answer"] = len(outcomes) - sum(told.values())
        return [
            OutcomesExported(
                self.output,
                OutputResult.FAILED if error else OutputResult.SENT,
                count,
                error,
            )
            for error, count in told.items()
            if count
        ]

    def close(self) -> None:
        """Drop what is left."""
        self._producer.purge()
        self._producer.flush(0)


def _note(ended: Counter[str], error: KafkaError | None, _: Message) -> None:
    ended["" if error is None else error.str()] += 1
