"""A replay bounds what is in flight, and calls nothing done that is not acknowledged."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from support.lanes import eventually
from support.spans import llm_span, message
from support.workers import SCORES, SPANS, read_outcomes

from evaluators.contract import JudgeUse, Scope, Score, Subject
from schemas.config import Config, EvaluatorConfig
from schemas.events import Event
from schemas.outcome import EvaluatorKind, Origin, Outcome
from workers.configured import Configured
from workers.demo.broker import MockCluster
from workers.offsets import Commit
from workers.publisher import Publisher, TooLarge
from workers.replay import Replay, by_offset, span_intake
from workers.replay_source import NO_BEGINNING
from workers.topic_reader import Read, TopicUnreadable

PARTITION = (SPANS, 0)


class _Plugin:
    """Scores every answer once its offset, which is its text, is let go."""

    version = "1"
    kind = EvaluatorKind.HEURISTIC
    scope = Scope.SPAN
    judge_use = JudgeUse.NEVER
    threshold = 0.5
    content_fingerprint = ""
    deadline_s = 60.0
    needs: frozenset[Any] = frozenset()

    def __init__(self) -> None:
        self.is_open = asyncio.Event()
        self.let_go: set[str] = set()
        self.running = self.most = 0

    async def evaluate(self, subject: Subject) -> Score:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if subject.span.output_text not in self.let_go:
                await self.is_open.wait()
            return Score(1.0)
        finally:
            self.running -= 1


class Bench:
    """A replay of some records on a mock cluster, with an evaluator that can be held."""

    def __init__(self, cluster: MockCluster, **limits: Any) -> None:
        self.servers = cluster.bootstrap_servers
        self.plugin = _Plugin()
        self.events: list[Event] = []
        self.publisher = Publisher(
            {"bootstrap.servers": self.servers, "log_level": 0},
            self.events.append,
            lambda _, __: None,
        )
        self.config = Config.model_validate(
            {
                "kafka": {"bootstrap_servers": self.servers, "spans": [SPANS]},
                "routes": [{"name": "all", "when": "true", "evaluators": ["pii"]}],
                "limits": limits,
                "stop": {"drain_s": 0.3, "flush_s": 5},
            }
        )
        self.replay = self.another()

    def another(self) -> Replay:
        """A replay that begins at offset 0."""
        evaluators = {"pii": Configured("pii", EvaluatorConfig(), self.plugin, None, None)}
        return Replay(
            self.config,
            evaluators,
            intake=span_intake(
                self.config, evaluators, self.events.append, lambda _, work: work.jobs
            ),
            origin=Origin.BACKFILL,
            publisher=self.publisher,
            emit=self.events.append,
            observe=lambda _: None,
        )

    async def run(self, reads: Iterator[Read], at: Commit | None = None) -> None:
        """Replay these, from the beginning or from a checkpoint."""
        offset, metadata = (0, None) if at is None else (at.offset, at.metadata)
        self.replay.offsets.assign(PARTITION, offset, NO_BEGINNING, metadata)
        await self.replay.run(reads, by_offset)

    async def outcomes(self) -> list[int]:
        """Offsets of the outcomes on the scores topic, repeated ones included."""
        found: Sequence[Outcome] = await asyncio.to_thread(read_outcomes, self.servers)
        return sorted(outcome.sources[0].offset for outcome in found)


@pytest.fixture
def bench(mock_cluster: MockCluster) -> Callable[..., Bench]:
    """Makes one, with the limits of a test."""
    mock_cluster.create_topic(SCORES, 1)
    return lambda **limits: Bench(mock_cluster, **limits)


def _reads(count: int) -> Iterator[Read]:
    for offset in range(count):
        value = message([llm_span(answer=str(offset))])
        yield Read(SPANS, 0, offset, 1_000, None, value)


async def test_what_is_in_flight_is_bounded(bench: Callable[..., Bench]) -> None:
    """However much there is to read, a replay begins as much as its limit allows."""
    one = bench(in_flight=3)
    running = asyncio.create_task(one.run(_reads(50)))
    await eventually(lambda: one.plugin.running == 3)
    await asyncio.sleep(0.2)
    assert one.plugin.running == 3
    one.plugin.is_open.set()
    await running
    assert one.plugin.most == 3
    assert await one.outcomes() == list(range(50))


async def test_a_checkpoint_covers_only_what_is_acknowledged(bench: Callable[..., Bench]) -> None:
    """The oldest is stuck: the offset stays, what is done above it is known, and not made again."""
    one = bench()
    one.plugin.let_go = {"1", "2", "4"}
    running = asyncio.create_task(one.run(_reads(5)))
    await eventually(lambda: one.replay.tally.published == 3)
    one.replay.stop()
    await running
    assert one.replay.cut == 2
    (commit,) = one.replay.offsets.commits(also_unchanged=True)
    assert commit.offset == 0
    one.replay = one.another()
    one.plugin.is_open.set()
    await one.run(_reads(5), commit)
    assert one.replay.tally.published == 2
    assert await one.outcomes() == [0, 1, 2, 3, 4]


async def test_no_acknowledgement_moves_no_checkpoint(
    bench: Callable[..., Bench], mock_cluster: MockCluster
) -> None:
    """While the broker takes no outcome, nothing counts as done."""
    one = bench()
    one.plugin.is_open.set()
    mock_cluster.set_down(1)
    running = asyncio.create_task(one.run(_reads(2)))
    await asyncio.sleep(1)
    assert not running.done()
    assert one.replay.offsets.positions() == {PARTITION: 0}
    mock_cluster.set_up(1)
    await asyncio.wait_for(running, 20)
    assert one.replay.offsets.positions() == {PARTITION: 2}


async def test_a_topic_that_cannot_be_read_further_ends_it(bench: Callable[..., Bench]) -> None:
    """What was read before is published, as far as it ends in time; then the error is told."""

    def reads() -> Iterator[Read]:
        yield from _reads(100)
        raise TopicUnreadable("no more")

    one = bench()
    one.plugin.let_go = {str(offset) for offset in range(50)}
    with pytest.raises(TopicUnreadable):
        await one.run(reads())
    assert await one.outcomes() == list(range(50))


async def test_what_fails_after_the_last_record_is_told(bench: Callable[..., Bench]) -> None:
    """An outcome that Kafka refuses for good is an error, also where nothing is left to read."""
    one = bench()
    one.publisher.close(0)
    one.publisher = Publisher(
        {"bootstrap.servers": one.servers, "message.max.bytes": 1000, "log_level": 0},
        one.events.append,
        lambda _, __: None,
    )
    one.replay = one.another()
    one.plugin.is_open.set()
    with pytest.raises(TooLarge):
        await one.run(_reads(1))
