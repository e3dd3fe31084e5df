"""What the demo runs on, opened and closed together: broker, judge, worker, and both ends."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from schemas.config import Config, JudgeConfig
from schemas.errors import AssayError
from schemas.limits import Limits
from schemas.outcome import Outcome, Source
from workers import kafka_settings, logs
from workers.app import Worker
from workers.configured import ignored
from workers.engine import Job
from workers.offline import jobs, read_export
from workers.open_evaluators import open_evaluators

from .broker import MockCluster
from .judge import MODEL, StandInJudge
from .setting import (
    DEAD_LETTERS,
    PARTITIONS,
    REAL_PACE,
    SCORES,
    SPANS,
    STAND_IN_PACE,
    Pace,
    config,
    good_answers,
    real_judge,
)

_START_S = 20.0
_LOOK_S = 0.1
_FLUSH_S = 10.0
_READ_AT_ONCE = 1000


@dataclass(slots=True)
class Stage:
    """A running demo.

    Attributes:
        config: What the worker runs by.
        judge: The judge's section of it.
        pace: How much traffic this judge gets.
        is_real: Whether the judge is one that the environment names.
        metrics_url: Where the worker's metrics are.
        outcomes: Every outcome that was read so far, in the order of its partition.
    """

    config: Config
    judge: JudgeConfig
    pace: Pace
    is_real: bool
    producer: Producer
    reader: Consumer
    metrics_url: str = ""
    outcomes: list[Outcome] = field(default_factory=list)
    _records: list[tuple[Source, bytes]] = field(default_factory=list)

    def send(self, key: bytes, value: bytes) -> None:
        """Produce one OTLP record."""
        self.producer.produce(SPANS, value=value, key=key, on_delivery=self._delivered)
        self.producer.poll(0)

    async def flush(self) -> None:
        """Wait for the broker to acknowledge all records.

        Raises:
            AssayError: It did not.
        """
        left = await asyncio.to_thread(self.producer.flush, _FLUSH_S)
        if left:
            raise AssayError(f"demo: the broker took {left} records not at all; try again")

    def look(self) -> None:
        """Read the outcomes that have come; does not wait for any."""
        for message in self.reader.consume(_READ_AT_ONCE, 0):
            value = message.value()
            if message.error() is None and isinstance(value, bytes):
                self.outcomes.append(Outcome.from_json(value))

    async def expected(self) -> list[Job]:
        """The evaluations that the records on the spans topic ask for.

        They are worked out from the records alone, by no part of the worker that ran.
        """
        limits = Limits()
        exports = [read_export(value, source, limits) for source, value in self._records]
        async with open_evaluators(self.config) as evaluators:
            return jobs(exports, self.config, evaluators, ignored)

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        partition, offset, value = message.partition(), message.offset(), message.value()
        if error is None and partition is not None and offset is not None:
            self._records.append((Source(SPANS, partition, offset), bytes(value or b"")))


@contextlib.asynccontextmanager
async def opened(environ: Mapping[str, str]) -> AsyncIterator[tuple[Stage, asyncio.Task[None]]]:
    """Open the stage; at its end the worker drains, then all is closed.

    Args:
        environ: May name a real judge: `setting.real_judge`.

    Yields:
        The stage, and the task of its worker: it ends early where a signal stops the worker.

    Raises:
        AssayError: A part could not start, or the worker had to stop by itself.
    """
    async with contextlib.AsyncExitStack() as stack:
        judge, pace, is_real = real_judge(environ), REAL_PACE, True
        if judge is None:
            stand_in = await stack.enter_async_context(StandInJudge(good_answers()))
            judge = JudgeConfig(model=MODEL, base_url=stand_in.url)
            pace, is_real = STAND_IN_PACE, False
        cluster = stack.enter_context(MockCluster())
        for topic in (SPANS, SCORES, DEAD_LETTERS):
            cluster.create_topic(topic, PARTITIONS)
        settings = config(cluster.bootstrap_servers, judge)
        producer = Producer(dict(kafka_settings.producer(settings.kafka)))
        reader = stack.enter_context(contextlib.closing(_reader(settings)))
        stage = Stage(settings, judge, pace, is_real, producer, reader)
        worker = Worker(settings, logs.configure(settings.logs.format, settings.logs.level))
        task = await stack.enter_async_context(_working(worker))
        stage.metrics_url = f"http://127.0.0.1:{worker.port}/metrics"
        yield stage, task


def _reader(settings: Config) -> Consumer:
    """Reads all of the scores topic, and joins no group."""
    properties: dict[str, Any] = kafka_settings.lookup(settings.kafka, "assay-demo-reader")
    reader = Consumer({**properties, "auto.offset.reset": "earliest"})
    reader.assign([TopicPartition(SCORES, index, 0) for index in range(PARTITIONS)])
    return reader


@contextlib.asynccontextmanager
async def _working(worker: Worker) -> AsyncIterator[asyncio.Task[None]]:
    """A worker that is ready inside the block, and drains at its end."""
    task = asyncio.create_task(worker.run())
    try:
        await _wait_ready(worker, task)
    except BaseException:  # interrupted, or not ready in time: there is nothing to drain yet
        task.cancel()
        await asyncio.wait({task})
        raise
    try:
        yield task
    finally:
        if not task.done():
            worker.stop()
        await task


async def _wait_ready(worker: Worker, task: asyncio.Task[None]) -> None:
    until = time.monotonic() + _START_S
    while not task.done() and not await asyncio.to_thread(_is_ready, worker.port):
        if time.monotonic() > until:
            raise AssayError(f"demo: the worker was not ready within {_START_S:g} s; try again")
        await asyncio.sleep(_LOOK_S)


def _is_ready(port: int) -> bool:
    if not port:
        return False
    connection = HTTPConnection("127.0.0.1", port, timeout=1)  # no proxy of the environment
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()
