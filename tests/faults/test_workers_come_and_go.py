"""Attack: workers that join, leave, fail and die while evaluations are in flight."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Message
from support.conservation import owned
from support.judge_server import JudgeServer, serving
from support.lanes import hasten
from support.spans import produce, traces
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    WorkerProcess,
    config_yaml,
    count_topic,
    read_outcomes,
    read_topic,
    until,
    worker_process,
)

from workers.demo.broker import MockCluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

LANES = ("code", "judge")
EVALUATORS = ("answer_relevance", "pii")
IN_FLIGHT = 20


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    """A mock cluster with the topics of the default config."""
    for topic, partitions in ((SPANS, 4), (SCORES, 2), (DEAD, 1)):
        mock_cluster.create_topic(topic, partitions)
    hasten(mock_cluster)
    return mock_cluster


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    """A judge that takes its time, in a thread of its own."""
    server = JudgeServer(latency_s=0.4)
    with serving(server):
        yield server


def _config(cluster: MockCluster, judge: JudgeServer, **sections: Any) -> str:
    sections = {"limits": {"in_flight": IN_FLIGHT}, **sections}
    return config_yaml(
        cluster.bootstrap_servers, judge_url=judge.url, evaluators=EVALUATORS, **sections
    )


def test_nothing_is_published_twice_by_workers_that_join_and_leave(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """Each of three workers joins while the one before works, which leaves then: 480 outcomes."""
    servers = cluster.bootstrap_servers
    config = _config(cluster, judge)
    with ExitStack() as stack:

        def join(name: str) -> WorkerProcess:
            worker = stack.enter_context(worker_process(tmp_path, config, name=name))
            until(lambda: all(owned(worker, lane) for lane in LANES), 30, worker.died)
            return worker

        working = join("first")
        for name in ("second", "third"):
            produce(servers, SPANS, traces(120))
            other = join(name)
            assert working.stop() == 0
            working = other
        until(lambda: count_topic(servers, SCORES) >= 480, 30, working.died)
        assert working.stop() == 0
    outcomes = read_outcomes(servers)
    assert len(outcomes) == len({o.evaluation_id for o in outcomes}) == 480
    assert {o.outcome for o in outcomes} == {"scored"}


def test_a_worker_that_is_killed_loses_nothing_and_repeats_little(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """What was in flight comes again under the same id, and no more than that."""
    servers = cluster.bootstrap_servers
    config = _config(cluster, judge)
    produce(servers, SPANS, traces(150))
    with worker_process(tmp_path, config) as worker:
        until(lambda: count_topic(servers, SCORES) >= 200, 30, worker.died)
        worker.kill()
    with worker_process(tmp_path, config) as worker:
        until(
            lambda: len({o.evaluation_id for o in read_outcomes(servers)}) >= 300, 60, worker.died
        )
        assert worker.stop() == 0
    outcomes = read_outcomes(servers)
    assert len({o.evaluation_id for o in outcomes}) == 300
    assert len({(o.trace_id, o.evaluator.name) for o in outcomes}) == 300
    repeated = Counter(o.evaluator.name for o in outcomes)
    # The code lane finishes hundreds in the half second that a commit may take.
    assert repeated["answer_relevance"] - 150 <= 2 * IN_FLIGHT


def test_a_lane_that_stops_by_itself_lets_the_others_drain(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """Too much is unreadable: the worker ends with 1, and what a judge was asked is published."""
    good = [(b"one partition", value) for _, value in traces(10)]
    produce(cluster.bootstrap_servers, SPANS, good)
    judge.latency_s = 1.5
    config = _config(cluster, judge, dead_letters={"max_consecutive": 10})
    with worker_process(tmp_path, config) as worker:
        until(lambda: judge.count >= 10, 40, worker.died)
        produce(cluster.bootstrap_servers, SPANS, [(b"one partition", b"no span")] * 20)
        assert worker.process.wait(20) == 1
        assert "dead_letters.max_consecutive" in worker.log.read_text()
    outcomes = read_outcomes(cluster.bootstrap_servers)
    assert Counter(o.evaluator.name for o in outcomes) == dict.fromkeys(EVALUATORS, 10)


def test_dead_letters_in_flight_are_bounded_like_evaluations(
    cluster: MockCluster, tmp_path: Path
) -> None:
    """A dead-letter topic that is slow must not fill the memory with what waits for it."""
    produce(cluster.bootstrap_servers, SPANS, [(None, b"no span")] * 100)
    config = config_yaml(
        cluster.bootstrap_servers,
        limits={"in_flight": IN_FLIGHT},
        dead_letters={"max_consecutive": 1000},
    )
    with worker_process(tmp_path, config) as worker:
        until(lambda: worker.metric("assay_dead_letters_total") >= 100, 30, worker.died)
        cluster.set_rtt(1, 1000)
        produce(cluster.bootstrap_servers, SPANS, [(None, b"no span")] * 100)
        seen: set[float] = set()

        def is_over() -> bool:
            seen.add(worker.metric("assay_in_flight"))
            return worker.metric("assay_dead_letters_total") >= 140

        until(is_over, 45, worker.died)
        cluster.set_rtt(1, 0)
        until(lambda: worker.metric("assay_dead_letters_total") >= 200, 20, worker.died)
        assert worker.stop() == 0
    assert 0 < max(seen) <= IN_FLIGHT
    # A member whose heartbeats take a second may lose its partitions: then letters come twice.
    letters = read_topic(cluster.bootstrap_servers, DEAD)
    assert len({_origin(letter) for letter in letters}) == 200


def _origin(letter: Message) -> tuple[Any, Any]:
    headers = dict(letter.headers() or [])
    return headers["assay.partition"], headers["assay.offset"]
