"""One lane: a consumer group with its own pipeline and watermark."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from confluent_kafka import Consumer, KafkaException

from schemas.config import Config
from schemas.events import Emit, IntakePaused
from schemas.otlp import Encoding
from schemas.outcome import Outcome

from . import kafka_settings
from .configured import CODE, LANES, TRACE, Configured, judges_of
from .consumer import LaneConsumer
from .dead_letters import DeadLetters, Limit
from .engine import Engine
from .flight import Flight
from .gate import Gate
from .intake import Counted, Intake
from .offsets import Offsets, Partition
from .pipeline import Pipeline
from .publisher import Publisher
from .router import Router
from .share import Share
from .spend import Spend
from .starts import Starts
from .trace_intake import TraceIntake
from .trace_pipeline import TracePipeline
from .traces import Traces

_DRAIN_MARGIN_S = 3.0
_BUFFER_SHARE = 4
_LOOKUP_S = 10.0


@dataclass(frozen=True, slots=True)
class Lane:
    """A running lane, with what its metrics look at."""

    name: str
    pipeline: Pipeline | TracePipeline
    offsets: Offsets
    gate: Gate
    consumer: LaneConsumer
    flight: Flight
    share: Share
    traces: Traces | None = None
    """What waits in the trace lane, None in any other."""

    async def run(self) -> None:
        """Read until `stop`, or until one half fails; what is in flight is drained either way."""
        consuming = asyncio.create_task(self._consume())
        sharing = asyncio.create_task(self.share.watch())
        try:
            await self.pipeline.run()
        finally:
            sharing.cancel()
            self.consumer.stop()
            await asyncio.wait({consuming, sharing})
            await self.flight.abandon()
        consuming.result()

    async def _consume(self) -> None:
        try:
            await self.consumer.run()
        finally:
            self.gate.abandon()  # the intake may stand there, waiting for a judge that is out

    def stop(self) -> None:
        """Drain, commit and leave the group; `run` returns then."""
        self.consumer.stop()


def group_of(config: Config, lane: str) -> str:
    """The consumer group of a lane."""
    return f"{config.kafka.group_id}.{lane}"


def lanes_of(evaluators: Mapping[str, Configured]) -> tuple[str, ...]:
    """The lanes that a config needs: code always, others if an evaluator belongs there."""
    needed = {evaluator.lane for evaluator in evaluators.values()} | {CODE}
    return tuple(lane for lane in LANES if lane in needed)


def build_lane(
    name: str,
    config: Config,
    evaluators: Mapping[str, Configured],
    *,
    publisher: Publisher,
    emit: Emit,
    observe: Callable[[Sequence[Outcome]], None],
    observe_lag: Callable[[Mapping[Partition, tuple[int, int]]], None],
    count: Callable[[Counted], None],
    beat: Callable[[], None],
    joined: Callable[[], None],
    spend: Spend | None = None,
) -> Lane:
    """Build one lane of a worker; see `pipeline.py` for how its parts work together."""
    mine = {key: value for key, value in evaluators.items() if value.lane == name}
    offsets = Offsets()
    gate = Gate(config.limits.in_flight, config.limits.in_flight_bytes)
    flight = Flight(config.stop.drain_s, config.stop.flush_s)
    router = Router(config.routes, emit)
    limits = config.limits.of_message()
    intake = Intake(
        name,
        router=router,
        evaluators=mine,
        limits=limits,
        encoding=Encoding(config.kafka.encoding),
        limit=Limit(config.dead_letters),
        counts=name == CODE,
        count_all=config.cost.count == "all",
        group_attributes=config.cost.group_by.attributes,
        count=count,
        emit=emit,
    )

    traces = Traces(config.traces, combine=router.combine, emit=emit)

    async def drain(partitions: Sequence[Partition], lost: bool) -> int:
        traces.forget(partitions)
        cut = await flight.drain(partitions, at_once=lost)
        for partition in partitions:
            intake.recent_spans.forget_partition(*partition)
        return cut

    consumer = LaneConsumer(
        name,
        open_consumer=partial(_open_consumer, config, name),
        topics=config.kafka.spans,
        offsets=offsets,
        starts=Starts(
            config.kafka.start,
            lanes="".join(lane[0] for lane in lanes_of(evaluators)),
            lane=name[0],
            partitions_of=partial(_partitions_of, config),
            code_group=None if name == CODE else partial(_code_group, config),
        ),
        drain=drain,
        drain_limit_s=config.stop.drain_s + config.stop.flush_s + _DRAIN_MARGIN_S,
        buffer_bytes=config.limits.in_flight_bytes // _BUFFER_SHARE,
        message_bytes=config.limits.message_bytes,
        emit=emit,
        observe=observe_lag,
        beat=beat,
        joined=joined,
    )
    judges = judges_of(mine.values())
    share = Share(
        offsets,
        count=partial(_count_partitions, config),
        tell=[partial(judge.set_share, name) for judge in judges],
    )
    for judge in judges:
        judge.on_blocked(_JudgeSwitch(name, judge.name, gate, emit))
    if spend is not None and any(e.judge is not None for e in mine.values()):
        spend.on_blocked(
            lambda budget, is_blocked, why: _JudgeSwitch(name, f"budget {budget}", gate, emit)(
                is_blocked, why
            )
        )
    pipeline = Pipeline(
        lane=name,
        consumer=consumer,
        intake=intake,
        gate=gate,
        engine=Engine(
            emit,
            group_attributes=config.cost.group_by.attributes,
            concurrency=config.limits.in_flight,
            open_budget=None if spend is None else spend.open_budget,
            recalls=True,
        ),
        publisher=publisher,
        dead_letters=DeadLetters(
            publisher, config.kafka.dead_letters, content=config.dead_letters.content, emit=emit
        )
        if name == CODE
        else None,
        scores_topic=config.kafka.scores,
        flight=flight,
        observe=observe,
        emit=emit,
    )
    if name != TRACE:
        return Lane(name, pipeline, offsets, gate, consumer, flight, share)
    trace_intake = TraceIntake(
        router=router,
        evaluators=mine,
        limits=limits,
        encoding=Encoding(config.kafka.encoding),
        limit=Limit(config.dead_letters),
        knows=traces.knows,
        count=count,
    )
    whole = TracePipeline(pipeline, trace_intake, traces, mine, offsets)
    return Lane(name, whole, offsets, gate, consumer, flight, share, traces)


@dataclass(frozen=True, slots=True)
class _JudgeSwitch:
    """Lets a lane's intake stand still while one of its judges, or of its budgets, is out."""

    lane: str
    judge: str
    gate: Gate
    emit: Emit

    def __call__(self, is_blocked: bool, why: str) -> None:
        if is_blocked:
            self.gate.close(self.judge)
        else:
            self.gate.open(self.judge)
        self.emit(IntakePaused(self.lane, self.judge, is_blocked, why))


def _open_consumer(
    config: Config, lane: str, protocol: str, callbacks: Mapping[str, object]
) -> Consumer:
    settings = kafka_settings.consumer(
        config.kafka,
        group_of(config, lane),
        protocol=protocol,
    )
    return Consumer({**settings, **callbacks})


def _code_group(config: Config) -> Consumer:
    return Consumer(kafka_settings.lookup(config.kafka, group_of(config, CODE)))


def _count_partitions(config: Config) -> int:
    return sum(len(_partitions_of(config, topic)) for topic in config.kafka.spans)


def _partitions_of(config: Config, topic: str) -> Sequence[int]:
    client = _code_group(config)
    try:
        found = client.list_topics(topic, _LOOKUP_S).topics[topic]
        if found.error is not None:  # no partitions would read as a topic that grew later
            raise KafkaException(found.error)
        return tuple(found.partitions)
    finally:
        client.close()
