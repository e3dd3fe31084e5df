"""Attack: a worker that was told to stop, at the worst moment, does not."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from support.judge_server import Hang, JudgeServer, serving
from support.judge_server import Status as Answer
from support.processes import free_ports
from support.spans import llm_span, message, produce, traces
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    config_yaml,
    count_topic,
    log_lines,
    read_outcomes,
    until,
    worker_process,
)

from workers.demo.broker import MockCluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(80)]

PARTITIONS = 8
STOP = {"drain_s": 1, "flush_s": 1}


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    """A mock cluster with the topics of the default config."""
    for topic, partitions in ((SPANS, PARTITIONS), (SCORES, 2), (DEAD, 1)):
        mock_cluster.create_topic(topic, partitions)
    return mock_cluster


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    """A judge in a thread of its own."""
    server = JudgeServer()
    with serving(server):
        yield server


def test_a_worker_that_waits_for_its_first_broker_stops(tmp_path: Path) -> None:
    """It is not up yet, so there is nothing to drain: exit code 0, within seconds."""
    (port,) = free_ports(1)
    with worker_process(tmp_path, config_yaml(f"127.0.0.1:{port}")) as worker:
        until(lambda: worker.get("/livez")[0] == 200, 20, worker.died)
        began = time.monotonic()
        assert worker.stop(timeout_s=20) == 0
        assert time.monotonic() - began < 5


def test_a_judge_lane_without_a_code_lane_starts_and_stops_soon(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """It looks for the code lane once, not for five seconds at each of its partitions."""
    produce(cluster.bootstrap_servers, SPANS, traces(8))
    config = config_yaml(
        cluster.bootstrap_servers, judge_url=judge.url, evaluators=["answer_relevance"]
    )
    with worker_process(tmp_path, config, arguments=["--lane", "judge"]) as worker:
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 8, 25, worker.died)
        assert worker.stop(timeout_s=10) == 0


def test_brokers_that_are_gone_do_not_keep_the_worker(cluster: MockCluster, tmp_path: Path) -> None:
    """Outcomes wait for an acknowledgement that never comes, and commits for a coordinator."""
    config = config_yaml(cluster.bootstrap_servers, stop=STOP)
    with worker_process(tmp_path, config) as worker:
        worker.wait_ready()
        until(lambda: len(_assigned(worker.log)) == PARTITIONS, 20, worker.died)
        cluster.set_rtt(1, 700)
        produce(cluster.bootstrap_servers, SPANS, traces(40))
        until(lambda: worker.metric("assay_in_flight") >= 1, 20, worker.died)
        cluster.set_down(1)
        began = time.monotonic()
        assert worker.stop(timeout_s=30) == 0
        # Drain, flush, the last commit, leaving the group, and what this machine is busy with.
        assert time.monotonic() - began < 1 + 1 + 5 + 5 + 4


@pytest.mark.parametrize("fault", [Hang(), Answer(500, {"error": {"message": "down"}})], ids=repr)
def test_a_judge_that_is_out_for_ever_does_not_keep_the_worker(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path, fault: Hang | Answer
) -> None:
    """The intake stands at a closed gate, evaluations hang; nothing fails, nothing is committed."""
    judge.script = lambda _: fault
    produce(cluster.bootstrap_servers, SPANS, traces(60))
    config = config_yaml(
        cluster.bootstrap_servers,
        judge_url=judge.url,
        evaluators=["answer_relevance", "pii"],
        limits={"in_flight": 10},
        stop=STOP,
    )
    with worker_process(tmp_path, config) as worker:
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 60, 25, worker.died)
        until(lambda: worker.metric("assay_in_flight") >= 10, 20, worker.died)
        began = time.monotonic()
        assert worker.stop(timeout_s=20) == 0
        assert time.monotonic() - began < 8
        assert all(line["event"] != "library_message" for line in log_lines(worker))
    names = {o.evaluator.name for o in read_outcomes(cluster.bootstrap_servers)}
    assert names == {"pii"}
    assert _committed(cluster, "assay.code") == 60
    assert _committed(cluster, "assay.judge") == 0


def test_a_record_that_outlasts_the_drain_is_left_whole_to_the_next_owner(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """300 evaluations of one record: half of them are judged at the stop, none is published."""
    judge.latency_s = 0.5
    produce(cluster.bootstrap_servers, SPANS, [(None, message([llm_span() for _ in range(300)]))])
    config = config_yaml(
        cluster.bootstrap_servers, judge_url=judge.url, evaluators=["answer_relevance"], stop=STOP
    )
    config = config.replace("base_url:", "max_concurrency: 20\n    base_url:")
    with worker_process(tmp_path, config) as worker:
        until(lambda: judge.count >= 60, 25, worker.died)
        began = time.monotonic()
        assert worker.stop(timeout_s=20) == 0
        assert time.monotonic() - began < 8
        assert count_topic(cluster.bootstrap_servers, SCORES) == 0
    judge.latency_s = 0.0
    config = config.replace("max_concurrency: 20", "max_concurrency: 200")
    with worker_process(tmp_path, config) as worker:
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 300, 25, worker.died)
        assert worker.stop() == 0
    outcomes = read_outcomes(cluster.bootstrap_servers)
    assert len(outcomes) == len({o.evaluation_id for o in outcomes}) == 300


def test_a_stop_during_a_rebalance_waits_for_one_drain_only(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """The worker drains what the second one gets when SIGTERM comes: both end, nothing is lost."""
    judge.script = lambda _: Hang()
    produce(cluster.bootstrap_servers, SPANS, traces(30))
    config = config_yaml(
        cluster.bootstrap_servers, judge_url=judge.url, evaluators=["answer_relevance"], stop=STOP
    )
    with worker_process(tmp_path, config, name="first") as first:
        until(lambda: first.metric("assay_in_flight") >= 10, 25, first.died)
        with worker_process(tmp_path, config, name="second") as second:
            until(lambda: second.get("/livez")[0] == 200, 20, second.died)
            first.process.send_signal(signal.SIGTERM)
            assert first.process.wait(20) == 0
            judge.script = lambda _: None
            until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 30, 30, second.died)
            assert second.stop() == 0
    outcomes = read_outcomes(cluster.bootstrap_servers)
    assert len(outcomes) == len({o.evaluation_id for o in outcomes}) == 30


def _assigned(log: Path) -> str:
    lines = [line for line in log.read_text().splitlines() if "partitions_assigned" in line]
    return "x" * sum(line.count(SPANS) for line in lines)


def _committed(cluster: MockCluster, group: str) -> int:
    consumer = Consumer({"bootstrap.servers": cluster.bootstrap_servers, "group.id": group})
    try:
        wanted = [TopicPartition(SPANS, index) for index in range(PARTITIONS)]
        return sum(max(0, item.offset) for item in consumer.committed(wanted, 10))
    finally:
        consumer.close()
