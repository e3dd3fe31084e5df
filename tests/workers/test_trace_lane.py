"""The trace lane in a whole worker, on the mock cluster: each trace is judged once."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.judge_server import JudgeServer, serving
from support.lanes import hasten
from support.spans import KeyedMessage, keyed_trace, llm_span, message, plain_span, produce, traces
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

from schemas.outcome import Outcome
from schemas.own import SCOPE
from schemas.reasons import Reason, Status
from workers.demo.broker import MockCluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PARTITIONS = 4
SOON = {"idle_s": 2.0, "max_age_s": 60}


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    """A mock cluster with the topics of the default config."""
    hasten(mock_cluster)
    for topic, partitions in ((SPANS, PARTITIONS), (SCORES, PARTITIONS), (DEAD, 1)):
        mock_cluster.create_topic(topic, partitions)
    return mock_cluster


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    """A judge that answers well, from a thread of its own."""
    server = JudgeServer(latency_s=0.05)
    with serving(server):
        yield server


def _config(cluster: MockCluster, judge: JudgeServer, **sections: Any) -> str:
    known = {"traces": SOON} | sections
    return config_yaml(
        cluster.bootstrap_servers, judge_url=judge.url, evaluators=["task_completion"], **known
    )


def _runs(count: int) -> Iterator[list[KeyedMessage]]:
    """Traces of three records each: a call, a second call, the HTTP request around them."""
    for number in range(count):
        asked = f"Ship order {number}."
        yield keyed_trace(*((asked, f"Order {number}: step {step}.") for step in (1, 2)))


def _outcomes(cluster: MockCluster) -> list[Outcome]:
    return read_outcomes(cluster.bootstrap_servers)


def test_a_trace_of_several_records_gets_one_outcome(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """Sent: 20 traces in 60 records, mixed. Expected: 20 outcomes, each of all three spans."""
    runs = list(_runs(20))
    for step in range(3):
        produce(cluster.bootstrap_servers, SPANS, [run[step] for run in runs])
    with worker_process(tmp_path, _config(cluster, judge)) as worker:
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 20, 40, worker.died)
        assert worker.metric("assay_traces_concluded_total") == 20
        # It is looked at now and then.
        until(lambda: worker.metric("assay_traces_waiting") == 0, 10, worker.died)
        assert worker.stop() == 0
    outcomes = _outcomes(cluster)
    assert len(outcomes) == len({o.evaluation_id for o in outcomes}) == 20
    for outcome in outcomes:
        assert (outcome.outcome, outcome.revision) == (Status.SCORED, 3)
        assert len(outcome.sources) == 3
        assert outcome.score is not None
        assert outcome.score.label == "done"
    asked = {outcome.subject.service for outcome in outcomes}
    assert asked == {"support-bot"}


def test_a_stop_in_the_middle_publishes_nothing_twice_and_loses_nothing(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """SIGTERM while half of the traces wait for their second half; the next worker gets both."""
    runs = list(_runs(40))
    config = _config(cluster, judge, traces={"idle_s": 20, "max_age_s": 60})
    whole, halves = runs[:20], runs[20:]
    produce(cluster.bootstrap_servers, SPANS, [one for run in whole for one in run])
    produce(cluster.bootstrap_servers, SPANS, [run[0] for run in halves])
    with worker_process(tmp_path, config) as worker:
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 10, 60, worker.died)
        assert worker.stop() == 0
    first = _outcomes(cluster)
    assert {outcome.revision for outcome in first} == {3}
    produce(cluster.bootstrap_servers, SPANS, [one for run in halves for one in run[1:]])
    with worker_process(tmp_path, config) as worker:
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 40, 60, worker.died)
        assert worker.stop() == 0
    outcomes = _outcomes(cluster)
    assert Counter(o.trace_id for o in outcomes) == Counter(
        (run[0][0] or b"").decode() for run in runs
    )
    assert {outcome.revision for outcome in outcomes} == {3}


def test_a_judge_outage_makes_no_trace_idle_and_evicts_none(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """The judge is out for longer than `idle_s`, while the rest of some traces arrives.

    Intake stands still meanwhile, and so does the time of the traces that wait.
    """
    from support.judge_server import Status as Answer  # noqa: PLC0415  its name is ours too

    judge.script = lambda _: Answer(500, {"error": {"message": "down"}})
    runs = list(_runs(30))
    config = _config(cluster, judge, limits={"in_flight": 5}, traces={"idle_s": 3, "max_count": 20})
    with worker_process(tmp_path, config) as worker:
        produce(cluster.bootstrap_servers, SPANS, [one for run in runs[:15] for one in run])
        until(lambda: worker.metric("assay_judge_breaker_open") >= 1, 30, worker.died)
        produce(cluster.bootstrap_servers, SPANS, [run[0] for run in runs[15:]])
        until(lambda: worker.metric("assay_traces_concluded_total") >= 6, 20, worker.died)
        asyncio.run(asyncio.sleep(5))
        produce(cluster.bootstrap_servers, SPANS, [one for run in runs[15:] for one in run[1:]])
        judge.script = lambda _: None
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 30, 60, worker.died)
        assert worker.metric("assay_traces_evicted_total") == 0
        assert worker.stop() == 0
    outcomes = _outcomes(cluster)
    assert len(outcomes) == 30
    assert Counter((o.outcome, o.revision) for o in outcomes) == {(Status.SCORED, 3): 30}


def test_a_topic_without_trace_keys_is_told_once_and_skipped(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """No worker sees a whole trace there: skipped(trace_split) for each, and one warning."""
    sent = [(None, value) for _, value in traces(10)]
    produce(cluster.bootstrap_servers, SPANS, sent)
    with worker_process(tmp_path, _config(cluster, judge)) as worker:
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 10, 30, worker.died)
        assert worker.stop() == 0
        warnings = [line for line in log_lines(worker) if line["event"] == "trace_split"]
    assert len(warnings) == 1
    assert "partition_traces_by_id" in warnings[0]["remedy"]
    assert Counter(outcome.reason for outcome in _outcomes(cluster)) == {Reason.TRACE_SPLIT: 10}
    assert judge.count == 0


def test_late_spans_and_our_own_change_nothing(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """After the outcome a late span is counted; a score that comes back as a span is not."""
    (run,) = _runs(1)
    key = run[0][0]
    trace = bytes.fromhex((key or b"").decode())
    produce(cluster.bootstrap_servers, SPANS, run)
    with worker_process(tmp_path, _config(cluster, judge)) as worker:
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 1, 30, worker.died)
        own = plain_span("assay.evaluation", trace_id=trace, parent_span_id=secrets.token_bytes(8))
        produce(
            cluster.bootstrap_servers,
            SPANS,
            [
                (key, message([own], scope=SCOPE)),
                (key, message([llm_span(trace_id=trace, parent_span_id=secrets.token_bytes(8))])),
            ],
        )
        until(lambda: worker.metric("assay_trace_late_spans_total") >= 1, 20, worker.died)
        assert worker.metric("assay_trace_late_spans_total") == 1
        assert worker.stop() == 0
    assert len(_outcomes(cluster)) == 1
    assert judge.count == 1


def test_commits_without_room_for_more_make_the_oldest_traces_give_way(
    mock_cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """20,000 records in one partition, every tenth of a trace that waits for ten minutes.

    What is finished above the first waiting one has to be named in the commit. Without making room
    the partition would stand still; without the names the next owner would publish it all again.
    """
    hasten(mock_cluster)
    for topic in (SPANS, SCORES, DEAD):
        mock_cluster.create_topic(topic, 1)
    sent: list[KeyedMessage] = []
    for run in _runs(2_000):  # the mock cluster keeps some 5 MB, so the others are empty
        sent += [run[0], *[(b"other", b"")] * 9]
    produce(mock_cluster.bootstrap_servers, SPANS, sent)
    config = _config(mock_cluster, judge, traces={"idle_s": 600})
    with worker_process(tmp_path, config, arguments=["--lane", "trace"]) as worker:
        until(lambda: worker.metric("assay_records_total") >= len(sent), 60, worker.died)
        until(lambda: worker.metric("assay_traces_evicted_total") >= 1, 20, worker.died)
        evicted = int(worker.metric("assay_traces_evicted_total"))
        until(
            lambda: count_topic(mock_cluster.bootstrap_servers, SCORES) >= evicted, 20, worker.died
        )
        assert worker.stop() == 0
    first = _outcomes(mock_cluster)
    assert {outcome.reason for outcome in first} == {Reason.TRACE_EVICTED}
    assert 0 < len(first) < 1_000
    config = _config(mock_cluster, judge, traces={"idle_s": 1})
    with worker_process(tmp_path, config, arguments=["--lane", "trace"]) as worker:
        until(lambda: count_topic(mock_cluster.bootstrap_servers, SCORES) >= 2_000, 60, worker.died)
        assert worker.metric("assay_records_total") < 2_100
        assert worker.stop() == 0
    outcomes = _outcomes(mock_cluster)
    assert len(outcomes) == len({outcome.trace_id for outcome in outcomes}) == 2_000
