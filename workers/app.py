"""Wiring: the one place that builds a worker's objects from its config, and runs them."""

import asyncio
import atexit
import contextlib
import faulthandler
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import FrameType

from confluent_kafka import KafkaException, Producer
from prometheus_client import CollectorRegistry
from structlog.typing import FilteringBoundLogger

from evaluators.judge.client import Endpoints, JudgeClient
from schemas.config import Config, JudgeConfig
from schemas.errors import AssayError, ConfigError
from schemas.events import CalibrationUnfit, Event
from schemas.outcome import Outcome

from . import kafka_settings
from .anchors import Anchors, anchor_sets
from .broker_fault import BrokerFault
from .budgets import open_spend, require_prices
from .configured import Configured, build, contents_of, judges_of
from .health import Health, serve
from .intake import Counted
from .lane import Lane, build_lane, lanes_of
from .lease_topic import check_lease_topic
from .malloc import give_back_large_buffers
from .metrics import Metrics
from .offsets import Partition
from .publisher import Publisher
from .sinks.outputs import open_outputs
from .telemetry import Telemetry
from .threads import Threads
from .wall import watch_tasks
from .watchdog import Watchdog

_BROKER_WAIT_S = 30.0
_TICK_S = 0.5
_STOP_MARGIN_S = 15.0
_LEAVE_S = 5.0
_FREE_S = 30.0
_ASK_S = 1.0
_EXIT_FORCED = 130


class BrokerUnavailable(AssayError):  # noqa: N818  named for the state of the broker
    """No broker answers at `kafka.bootstrap_servers`."""


def check_topics(config: Config, gives_up: Callable[[], bool] = lambda: False) -> None:
    """See that the cluster has all topics of the config. Blocks.

    Args:
        config: Which topics, on which cluster.
        gives_up: Asked once a second while no broker answers; then nothing is said to be missing.

    Raises:
        BrokerUnavailable: No broker answers.
        ConfigError: A topic is missing.
    """
    missing = _missing_topics(config, gives_up)
    if missing:
        raise ConfigError(
            f"{config.kafka.bootstrap_servers}: no topic {', '.join(missing)}; "
            "create what is missing (assay topics --create), or let this user describe it"
        )


def _missing_topics(config: Config, gives_up: Callable[[], bool]) -> list[str]:
    fault = BrokerFault()
    client = Producer({**kafka_settings.common(config.kafka), "error_cb": fault})
    wanted = {*config.kafka.spans, config.kafka.scores, config.kafka.dead_letters}
    if config.kafka.otlp_scores is not None:
        wanted.add(config.kafka.otlp_scores)
    if config.budgets:
        wanted.add(config.kafka.leases)
    until = time.monotonic() + _BROKER_WAIT_S
    while True:
        try:
            return sorted(wanted - set(client.list_topics(timeout=_ASK_S).topics))
        except KafkaException as error:
            if gives_up():
                return []
            why = fault.why(client, error)
            if time.monotonic() >= until:
                raise BrokerUnavailable(
                    f"{config.kafka.bootstrap_servers}: no broker answers "
                    f"({why}); check kafka.bootstrap_servers and kafka.client, and that the "
                    "cluster is up"
                ) from error
        time.sleep(_ASK_S / 10)  # noqa: TID251  a thread of its own, and some errors come at once


def run_process(worker: "Worker") -> None:
    """Run a worker as the whole process, which nothing that it leaves behind can keep.

    A plugin may leave a task that swallows its cancellation, or a thread that never returns, and
    asyncio and the interpreter would wait for both for ever. After some seconds the process ends
    with 1, and the stacks of all its threads on stderr.

    Raises:
        AssayError: As `Worker.run`.
    """
    give_back_large_buffers()
    gc.freeze()  # what is imported stays: a full collection looked through it for 75 ms, each time
    runner = asyncio.Runner()
    try:
        runner.run(worker.run())
    finally:
        faulthandler.dump_traceback_later(_LEAVE_S, exit=True)
        # No thread is left when this is called: Python frees its memory, for seconds where others
        # have the processor, and a worker that has stopped cleanly must not end with 1 for that.
        atexit.register(faulthandler.dump_traceback_later, _FREE_S, exit=True)
    runner.close()  # not after an error: it might wait, and nobody would learn of the error


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
        self._spend = open_spend(config, self._emit, partial(self._health.set_ready, "leases"))
        self._is_stopping = False
        self._is_signalled = False
        self._loop: asyncio.AbstractEventLoop
        self.port = 0

    async def run(self) -> None:
        """Work until `stop` or SIGTERM, then drain and leave.

        Raises:
            ConfigError: The config names what is not there.
            PluginError: An evaluator cannot be built.
            BrokerUnavailable: No broker answers.
            WorkerStopped: The worker had to stop by itself.
        """
        self._loop = asyncio.get_running_loop()
        with self._signals_caught():
            await self._run()

    def stop(self) -> None:
        """Drain and leave: `run` returns then. To be called from its loop, once or more."""
        self._is_stopping = True
        self._health.draining()
        for lane in self._lanes:
            lane.stop()

    async def _run(self) -> None:
        config = self._config
        registry = CollectorRegistry()
        evaluators = build(config, self._open_judge, self._emit)
        require_prices(config, evaluators)
        names = tuple(self._wanted_lanes or lanes_of(evaluators))
        self._metrics = Metrics(registry, config, lanes=names)
        self._telemetry = Telemetry(self._metrics, self._log)
        self._watchdog = Watchdog(self._health, self._emit)
        watch_tasks(self._loop)
        self._loop.set_default_executor(Threads())
        for judge in self._judges:
            asking = [name for name, one in evaluators.items() if judge in judges_of([one])]
            self._metrics.judges.start(judge.label, asking)
        self._anchor_sets = anchor_sets(config, evaluators)
        for evaluator in evaluators.values():
            fault = self._metrics.trust.calibrate(evaluator, contents_of(config, evaluator.name))
            if fault is not None:
                self._emit(CalibrationUnfit(evaluator.name, fault))
        server = serve(config.metrics.host, config.metrics.port, registry, self._health)
        self.port = server.port
        try:
            await asyncio.to_thread(check_topics, self._config, lambda: self._is_stopping)
            if not self._is_stopping:
                await self._start_spend()
                await self._run_lanes(names, evaluators)
        finally:
            for evaluator in evaluators.values():
                await evaluator.aclose()
            for judge in self._judges:
                await judge.aclose()
            if self._spend is not None:
                await self._spend.close()
            server.close()

    async def _run_lanes(self, names: Sequence[str], evaluators: Mapping[str, Configured]) -> None:
        publisher = Publisher(
            kafka_settings.producer(self._config.kafka),
            self._emit,
            on_health=partial(self._health.set_ready, "producer"),
        )
        self._outputs = open_outputs(self._config, self._emit)
        self._lanes = [self._lane(name, evaluators, publisher) for name in names]
        for lane in self._lanes:
            self._health.set_ready(f"lane {lane.name}", False, "has not joined its group yet")
        self._watchdog.start()
        beside = [asyncio.create_task(one) for one in (self._tick(), self._anchors().run())]
        for task in beside:
            task.add_done_callback(self._stop_if_failed)
        tasks = [asyncio.create_task(lane.run()) for lane in self._lanes]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            self.stop()  # where one has failed the others drain; cancelled, they would repeat work
            await asyncio.wait(tasks)
            for task in beside:
                task.cancel()
            await asyncio.wait(beside)
            self._watchdog.close()
            # All that was acknowledged is committed. What is not belongs to records that the next
            # owner publishes: sent now, it would come twice.
            publisher.close(0)
            await asyncio.to_thread(self._outputs.close)
        ended = [task for task in (*tasks, *beside) if not task.cancelled()]
        errors = [error for task in ended if (error := task.exception()) is not None]
        if errors:
            raise next((error for error in errors if isinstance(error, AssayError)), errors[0])

    def _stop_if_failed(self, task: asyncio.Task[None]) -> None:
        """Let nothing beside the lanes fail unseen: without a heartbeat, say, all looks hung."""
        if not task.cancelled() and task.exception() is not None:
            self.stop()

    def _lane(self, name: str, evaluators: Mapping[str, Configured], publisher: Publisher) -> Lane:
        return build_lane(
            name,
            self._config,
            evaluators,
            publisher=publisher,
            emit=self._emit,
            observe=self._observe,
            observe_lag=partial(self._observe_lag, name),
            count=self._count,
            beat=partial(self._health.beat, f"poll {name}"),
            joined=partial(self._health.set_ready, f"lane {name}", True),
            spend=self._spend,
        )

    def _anchors(self) -> Anchors:
        lanes = {lane.name: lane for lane in self._lanes}
        return Anchors(
            self._anchor_sets,
            first=(self._config.kafka.spans[0], 0),
            assigned=lambda name: lanes[name].offsets.assigned() if name in lanes else (),
            emit=self._emit,
            observe=self._metrics.trust.anchored,
            open_budget=None if self._spend is None else self._spend.open_budget,
        )

    def _open_judge(self, name: str, judge: JudgeConfig) -> JudgeClient:
        client = JudgeClient(
            name,
            judge,
            emit=self._emit,
            text_chars=self._config.limits.text_chars,
            endpoints=self._endpoints,
            probe_budget=None if self._spend is None else self._spend.every,
        )
        self._judges.append(client)
        return client

    def _emit(self, event: Event) -> None:
        self._telemetry(event)
        self._watchdog.note(event)

    def _observe(self, outcomes: Sequence[Outcome]) -> None:
        """Count outcomes that the scores topic has, and give them to the other outputs."""
        self._metrics.observe_outcomes(outcomes)
        self._outputs.offer(outcomes)

    def _count(self, counted: Counted) -> None:
        pipeline = self._metrics.pipeline
        pipeline.records.labels(counted.lane).inc()
        pipeline.spans.inc(counted.spans)
        pipeline.own_spans.inc(counted.own)
        for convention in counted.conventions:
            pipeline.llm_spans.labels(convention).inc()
        self._metrics.observe_calls(counted.calls)
        for routes in counted.routes:
            self._metrics.observe_matches(routes)

    def _observe_lag(self, lane: str, lag: Mapping[Partition, tuple[int, int]]) -> None:
        self._metrics.pipeline.set_partitions(lane, lag)

    async def _start_spend(self) -> None:
        if self._spend is None:
            return
        await asyncio.to_thread(check_lease_topic, self._config)
        await self._spend.start()
        for budget in self._config.budgets:
            self._metrics.budgets.watch(budget.name, partial(self._spend.spent_ratio, budget.name))

    @contextlib.contextmanager
    def _signals_caught(self) -> Iterator[None]:
        """Inside, SIGTERM and SIGINT stop the worker; afterwards they do what they did before."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # Not by `loop.add_signal_handler`: a plugin that blocks the loop would block that as well.
        before = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)
            if self._is_signalled:
                faulthandler.cancel_dump_traceback_later()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        """Stop; at the second signal end at once. Runs between any two steps of the main thread.

        So it takes no lock, which that thread may hold. The last resort is a thread that needs no
        Python: it ends the process with 1, and says on stderr where every thread stands.
        """
        if self._is_signalled:
            os._exit(_EXIT_FORCED)
        self._is_signalled = True
        stop = self._config.stop
        limit_s = stop.drain_s + 2 * stop.flush_s + _STOP_MARGIN_S
        faulthandler.dump_traceback_later(limit_s, exit=True)
        self._loop.call_soon_threadsafe(self.stop)

    async def _tick(self) -> None:
        """Heartbeat of the loop, and the gauges that nobody else sets."""
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._metrics.load_prices)
        while True:
            self._watchdog.beat()
            for lane in self._lanes:
                self._metrics.pipeline.set_in_flight(
                    lane.name, lane.gate.items, lane.gate.size_bytes
                )
                if lane.traces is not None:
                    self._metrics.traces.set_waiting(
                        lane.traces.waiting, lane.traces.size_bytes, lane.traces.oldest_s
                    )
                self._metrics.pipeline.set_oldest_unfinished(
                    lane.name, lane.offsets.oldest_timestamp_s()
                )
            due = loop.time() + _TICK_S
            await asyncio.sleep(_TICK_S)
            self._metrics.pipeline.loop_lag.set(loop.time() - due)
