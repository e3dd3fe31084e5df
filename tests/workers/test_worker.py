"""A whole worker process, on the mock cluster: from spans on a topic to committed outcomes."""

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition
from support.judge_server import JudgeServer, serving
from support.spans import llm_span, message, plain_span, produce, traces
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    config_yaml,
    count_topic,
    read_outcomes,
    read_topic,
    until,
    worker_process,
)

from schemas.reasons import Reason, Status
from workers.demo.broker import MockCluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

PARTITIONS = 4


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    """A mock cluster with the topics of the default config."""
    for topic, partitions in ((SPANS, PARTITIONS), (SCORES, PARTITIONS), (DEAD, 1)):
        mock_cluster.create_topic(topic, partitions)
    return mock_cluster


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    """A judge that answers well, from a thread of its own."""
    server = JudgeServer(latency_s=0.05)
    with serving(server):
        yield server


def committed(bootstrap_servers: str, group: str, topic: str = SPANS) -> dict[int, int]:
    """Committed offsets of a group, by partition."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group})
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        found = consumer.committed([TopicPartition(topic, index) for index in partitions], 10)
        return {item.partition: item.offset for item in found}
    finally:
        consumer.close()


def test_one_outcome_for_each_span_and_evaluator(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """Sent: 60 traces. Expected within 20 s: 180 outcomes, and all offsets committed at the end."""
    produce(cluster.bootstrap_servers, SPANS, traces(60))
    config = config_yaml(
        cluster.bootstrap_servers,
        judge_url=judge.url,
        evaluators=["answer_relevance", "pii", "secrets"],
    )
    with worker_process(tmp_path, config) as worker:
        worker.wait_ready()
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 180, 20, worker.died)
        assert worker.metric("assay_outcomes_total") == 180
        assert worker.metric("assay_spans_total") == 120
        assert worker.stop() == 0
    outcomes = read_outcomes(cluster.bootstrap_servers)
    assert Counter(o.evaluator.name for o in outcomes) == {
        "answer_relevance": 60,
        "pii": 60,
        "secrets": 60,
    }
    assert len({o.evaluation_id for o in outcomes}) == 180
    assert {o.outcome for o in outcomes} == {Status.SCORED}
    for lane in ("code", "judge"):
        assert sum(committed(cluster.bootstrap_servers, f"assay.{lane}").values()) == 60
    assert count_topic(cluster.bootstrap_servers, DEAD) == 0


def test_a_text_that_comes_again_is_judged_once(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """Sent: a call, then ten with the same text: eleven outcomes, one request, one sample."""
    default = {"model": "judge-1", "base_url": judge.url, "cached_verdicts": 100}
    config = config_yaml(
        cluster.bootstrap_servers, evaluators=["answer_relevance"], judges={"default": default}
    )
    with worker_process(tmp_path, config) as worker:
        worker.wait_ready()
        assert worker.metric("assay_judge_cache_total") == 0
        for total, spans in ((1, 1), (11, 10)):
            produce(
                cluster.bootstrap_servers,
                SPANS,
                [(None, message([llm_span()])) for _ in range(spans)],
            )
            until(
                lambda: worker.metric("assay_outcomes_total") == total,  # noqa: B023
                20,
                worker.died,
            )
        assert worker.metric("assay_judge_cache_total", judge="default", result="hit") == 10
        assert worker.metric("assay_judge_cache_total", judge="default", result="miss") == 1
        assert worker.metric("assay_scores_total", evaluator="answer_relevance") == 1
        assert worker.stop() == 0
    outcomes = read_outcomes(cluster.bootstrap_servers)
    assert sorted(one.flags.cached for one in outcomes) == [False] + [True] * 10
    assert judge.count == 1


def test_a_restart_goes_on_where_the_last_one_stopped(cluster: MockCluster, tmp_path: Path) -> None:
    """A second worker publishes nothing of what the first has published."""
    config = config_yaml(cluster.bootstrap_servers)
    for total in (40, 80):
        produce(cluster.bootstrap_servers, SPANS, traces(20))
        with worker_process(tmp_path, config) as worker:
            until(
                lambda: count_topic(cluster.bootstrap_servers, SCORES) >= total,  # noqa: B023
                20,
                worker.died,
            )
            assert worker.stop() == 0
    outcomes = read_outcomes(cluster.bootstrap_servers)
    assert len(outcomes) == len({o.evaluation_id for o in outcomes}) == 80


def test_what_cannot_be_read_goes_to_the_dead_letters(cluster: MockCluster, tmp_path: Path) -> None:
    """Each poison costs itself alone, keeps its bytes and origin, and the next record is judged."""
    good = message([llm_span()])
    bad_utf8 = message([llm_span(answer="MARK"), llm_span(), plain_span()]).replace(
        b"MARK", b"\xff\xfe\xff\xfe"
    )
    poison = {
        "truncated": good[:-7],
        "jaeger": b'[{"traceId":"abc","spans":[]}]',
        "zipkin": b'{"traceId":"abc","id":"1"}',
        "text": b"hello, world",
        "gzip": gzip.compress(good),
    }
    sent = [
        *((None, value) for value in poison.values()),
        (None, b""),
        (None, bad_utf8),
        (b"k", good),
    ]
    produce(cluster.bootstrap_servers, SPANS, sent)
    with worker_process(tmp_path, config_yaml(cluster.bootstrap_servers)) as worker:
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 4, 20, worker.died)
        until(lambda: count_topic(cluster.bootstrap_servers, DEAD) >= 6, 20, worker.died)
        assert worker.stop() == 0
    letters = read_topic(cluster.bootstrap_servers, DEAD)
    assert len(letters) == len(poison) + 1
    values = {letter.value() for letter in letters}
    assert set(poison.values()) <= values
    for letter in letters:
        headers = dict(letter.headers() or [])
        assert headers["assay.topic"] == SPANS.encode()
        assert int(headers["assay.offset"] or b"-1") >= 0
        assert headers["assay.reason"]
    parts = Counter(dict(letter.headers() or [])["assay.part"] for letter in letters)
    assert parts == {b"record": len(poison), b"span": 1}
    assert len(read_outcomes(cluster.bootstrap_servers)) == 4


def test_too_many_unreadable_records_stop_the_worker(cluster: MockCluster, tmp_path: Path) -> None:
    """A bad deploy upstream ends with exit code 1 and a message, not with an emptied topic."""
    produce(cluster.bootstrap_servers, SPANS, [(None, b"not a span")] * 60)
    config = config_yaml(cluster.bootstrap_servers, dead_letters={"max_consecutive": 10})
    with worker_process(tmp_path, config) as worker:
        assert worker.process.wait(30) == 1
        text = worker.log.read_text()
    assert "dead_letters.max_consecutive" in text
    assert "Traceback" not in text
    assert count_topic(cluster.bootstrap_servers, DEAD) <= 10 * PARTITIONS


def test_a_span_that_comes_twice_is_published_once(cluster: MockCluster, tmp_path: Path) -> None:
    """An exporter that got no reply sends its batch again; the copy is counted, not published."""
    twice = message([llm_span()])
    produce(cluster.bootstrap_servers, SPANS, [(b"same", twice), (b"same", twice)])
    with worker_process(tmp_path, config_yaml(cluster.bootstrap_servers)) as worker:
        until(lambda: worker.metric("assay_records_total") >= 2, 20, worker.died)
        until(lambda: worker.metric("assay_spans_redelivered_total") >= 1, 20, worker.died)
        assert worker.stop() == 0
    assert len(read_outcomes(cluster.bootstrap_servers)) == 2


def test_a_judge_that_is_down_holds_up_its_own_lane_only(
    cluster: MockCluster, judge: JudgeServer, tmp_path: Path
) -> None:
    """While the judge answers 500 the code lane goes on; nothing fails, and all is judged after."""
    from support.judge_server import Status as Answer  # noqa: PLC0415  its name is ours too

    judge.script = lambda _: Answer(500, {"error": {"message": "down"}})
    produce(cluster.bootstrap_servers, SPANS, traces(20))
    config = config_yaml(
        cluster.bootstrap_servers, judge_url=judge.url, evaluators=["answer_relevance", "pii"]
    )
    with worker_process(tmp_path, config) as worker:
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 20, 20, worker.died)
        until(lambda: worker.metric("assay_judge_breaker_open") >= 1, 20, worker.died)
        assert count_topic(cluster.bootstrap_servers, SCORES) == 20
        judge.script = lambda _: None
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 40, 40, worker.died)
        assert worker.stop() == 0
    outcomes = read_outcomes(cluster.bootstrap_servers)
    assert {o.outcome for o in outcomes} == {Status.SCORED}


def test_what_an_upstream_error_leaves_is_skipped(cluster: MockCluster, tmp_path: Path) -> None:
    """A failed call has no output to look at: skipped(no_content), with the reason in words."""
    failed = llm_span(answer=None, error_type="timeout")
    produce(cluster.bootstrap_servers, SPANS, [(None, message([failed]))])
    config = config_yaml(cluster.bootstrap_servers, evaluators=["refusal"])
    with worker_process(tmp_path, config) as worker:
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 1, 20, worker.died)
        assert worker.stop() == 0
    (outcome,) = read_outcomes(cluster.bootstrap_servers)
    assert outcome.reason is Reason.NO_CONTENT
    assert "error" in (outcome.detail or "")
