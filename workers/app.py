"""Wiring: the one place that builds a worker's objects from its config, and runs them."""

import asyncio
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from functools import partial

from confluent_kafka import KafkaException, Producer
from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from evaluators.judge.client import Endpoints, JudgeClient
from schemas.config import Config, JudgeConfig
from schemas.errors import AssayError, ConfigError
from schemas.events import Event, LoopBlocked

from . import kafka_settings
from .configured import Configured, build
from .health import Health, serve
from .intake import Counted
from .lane import Lane, build_lane, lanes_of
from .metrics import Metrics
from .offsets import Partition
from .publisher import Publisher
from .telemetry import Telemetry

_BROKER_WAIT_S = 30.0
_TICK_S = 0.5
_BLOCKED_S = 5.0
_STOP_MARGIN_S = 15.0
_EXIT_FORCED = 130
_EXIT_STUCK = 1


class BrokerUnavailable(AssayError):  # noqa: N818  named for the state of the broker
    """No broker answers at `kafka.bootstrap_servers`."""


def missing_topics(config: Config) -> list[str]:
    """The topics of the config that the cluster does not have. Blocks.

    Raises:
        BrokerUnavailable: No broker answers.
    """
    client = Producer(kafka_settings.common(config.kafka))
    wanted = {*config.kafka.spans, config.kafka.scores, config.kafka.dead_letters}
    try:
        return sorted(wanted - set(client.list_topics(timeout=_BROKER_WAIT_S).topics))
    except KafkaException as error:
        raise BrokerUnavailable(
            f"{config.kafka.bootstrap_servers}: no broker answers ({error.args[0].str()}); "
            "check kafka.bootstrap_servers and kafka.client, and that the cluster is up"
        ) from error


class Worker:
    """One process of `assay run`: its lanes, its producer, its metrics server.

    Args:
        config: What to run.
        log: Where events are written.
        lanes: Names of the lanes to run; None: those that the config needs.

    Attributes:
        port: The port of the metrics server, once `run` has started it.
    """

    def __init__(
        self, config: Config, log: FilteringBoundLogger, *, lanes: Sequence[str] | None = None
    ) -> None:
        self._config = config
        self._log = log
        self._wanted_lanes = lanes
        self._health = Health()
        self._lanes: list[Lane] = []
        self._judges: list[JudgeClient] = []
        self._endpoints = Endpoints()
        self._last_resort: threading.Timer | None = None
        self.port = 0

    async def run(self) -> None:
        """Work until `stop` or SIGTERM, then drain and leave.

        Raises:
            ConfigError: The config names what is not there.
            PluginError: An evaluator cannot be built.
            BrokerUnavailable: No broker answers.
            WorkerStopped: The worker had to stop by itself.
        """
        config = self._config
        registry = CollectorRegistry()
        evaluators = build(config, self._open_judge)
        names = tuple(self._wanted_lanes or lanes_of(evaluators))
        self._metrics = Metrics(registry, config, lanes=names)
        self._telemetry = Telemetry(self._metrics, self._log)
        for judge in self._judges:
            self._metrics.judges.start(judge.label)
        server = serve(config.metrics.host, config.metrics.port, registry, self._health)
        self.port = server.port
        try:
            await self._check_topics()
            await self._run_lanes(names, evaluators)
        finally:
            for judge in self._judges:
                await judge.aclose()
            server.close()
            if self._last_resort is not None:
                self._last_resort.cancel()

    def stop(self) -> None:
        """Drain and leave; a second call ends the process at once."""
        if self._last_resort is not None:
            os._exit(_EXIT_FORCED)
        self._health.draining()
        stop = self._config.stop
        # A plugin that blocks the loop must not keep the process: the timer is a thread of its own.
        limit_s = stop.drain_s + 2 * stop.flush_s + _STOP_MARGIN_S
        self._last_resort = threading.Timer(limit_s, os._exit, (_EXIT_STUCK,))
        self._last_resort.daemon = True
        self._last_resort.start()
        for lane in self._lanes:
            lane.stop()

    async def _run_lanes(self, names: Sequence[str], evaluators: Mapping[str, Configured]) -> None:
        publisher = Publisher(
            kafka_settings.producer(self._config.kafka),
            self._emit,
            on_health=partial(self._health.set_ready, "producer"),
        )
        self._lanes = [self._lane(name, evaluators, publisher) for name in names]
        for lane in self._lanes:
            self._health.set_ready(f"lane {lane.name}", False, "has not joined its group yet")
        self._catch_signals()
        ticker = asyncio.create_task(self._tick())
        failures: list[BaseExceptionGroup[BaseException]] = []
        try:
            async with asyncio.TaskGroup() as tasks:
                for lane in self._lanes:
                    tasks.create_task(self._run_lane(lane, failures))
        finally:
            ticker.cancel()
            await asyncio.to_thread(publisher.close, self._config.stop.flush_s)
        if failures:
            raise _first(BaseExceptionGroup("lanes", failures))

    async def _run_lane(
        self, lane: Lane, failures: list[BaseExceptionGroup[BaseException]]
    ) -> None:
        try:
            await lane.run()
        except BaseExceptionGroup as group:
            failures.append(group)
            if self._last_resort is None:  # the others drain; cancelled, they would repeat work
                self.stop()

    def _lane(self, name: str, evaluators: Mapping[str, Configured], publisher: Publisher) -> Lane:
        return build_lane(
            name,
            self._config,
            evaluators,
            publisher=publisher,
            emit=self._emit,
            observe=self._metrics.observe_outcomes,
            observe_lag=partial(self._observe_lag, name),
            count=self._count,
            beat=partial(self._health.beat, f"poll {name}"),
            joined=partial(self._health.set_ready, f"lane {name}", True),
        )

    def _open_judge(self, name: str, judge: JudgeConfig) -> JudgeClient:
        client = JudgeClient(
            name,
            judge,
            emit=self._emit,
            text_chars=self._config.limits.text_chars,
            endpoints=self._endpoints,
        )
        self._judges.append(client)
        return client

    def _emit(self, event: Event) -> None:
        self._telemetry(event)

    def _count(self, counted: Counted) -> None:
        pipeline = self._metrics.pipeline
        pipeline.records.labels(counted.lane).inc()
        pipeline.spans.inc(counted.spans)
        for convention in counted.conventions:
            pipeline.llm_spans.labels(convention).inc()
        for usage, probability in counted.usages:
            self._metrics.observe_usage([usage], probability)
        for routes in counted.routes:
            self._metrics.observe_matches(routes)

    def _observe_lag(self, lane: str, lag: Mapping[Partition, tuple[int, int]]) -> None:
        self._metrics.pipeline.set_partitions(lane, lag)

    async def _check_topics(self) -> None:
        missing = await asyncio.to_thread(missing_topics, self._config)
        if missing:
            raise ConfigError(
                f"{self._config.kafka.bootstrap_servers}: no topic {', '.join(missing)}; "
                "create what is missing, or run assay topics --create"
            )

    def _catch_signals(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)

    async def _tick(self) -> None:
        """Heartbeat of the loop, and the gauges that nobody else sets."""
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._metrics.load_prices)
        while True:
            self._health.beat("loop")
            for lane in self._lanes:
                self._metrics.pipeline.set_in_flight(
                    lane.name, lane.gate.items, lane.gate.size_bytes
                )
                self._metrics.pipeline.set_oldest_unfinished(
                    lane.name, lane.offsets.oldest_timestamp_s()
                )
            due = loop.time() + _TICK_S
            await asyncio.sleep(_TICK_S)
            late_s = loop.time() - due
            if late_s > _BLOCKED_S:
                self._emit(LoopBlocked(late_s))


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error behind nested task groups: an error of ours before any other."""
    leaves: list[BaseException] = []
    pending: list[BaseException] = [group]
    while pending:
        error = pending.pop()
        if isinstance(error, BaseExceptionGroup):
            pending.extend(error.exceptions)
        else:
            leaves.append(error)
    return next((error for error in leaves if isinstance(error, AssayError)), leaves[0])
