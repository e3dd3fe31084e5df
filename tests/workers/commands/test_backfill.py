"""`assay backfill` on a real Kafka: which records, beside whom, and where a later run goes on."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from support.judge_server import JudgeServer, serving
from support.kafka import KafkaServer
from support.replays import Site, by_id, command
from support.spans import llm_span, message, produce

from schemas.errors import ConfigError
from schemas.outcome import Origin
from schemas.reasons import Status
from workers.commands.backfill import moment
from workers.demo.broker import MockCluster

from .conftest import Run, report_of

HOUR_MS = 3_600_000
PARTITIONS = 3


@pytest.fixture
def site(kafka: KafkaServer, tmp_path: Path) -> Site:
    """Topics of its own, and a config with two evaluators."""
    suffix = f"-{uuid4().hex[:8]}"
    one = Site(kafka.bootstrap_servers, tmp_path, suffix=suffix)
    kafka.create_topics({one.spans: PARTITIONS, one.scores: 2, one.dead: 1})
    return one


def _ago(hours: float) -> int:
    return int(time.time() * 1000 - hours * HOUR_MS)


def _text(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat()


def _between(begin_ms: int, end_ms: int) -> tuple[str, ...]:
    return ("backfill", "--json", "--from", _text(begin_ms), "--to", _text(end_ms))


def _report(assay: Run, *arguments: str) -> dict[str, Any]:
    return report_of(assay(*arguments))


def _groups(servers: str) -> set[str]:
    admin = AdminClient({"bootstrap.servers": servers})
    return {group.group_id for group in admin.list_consumer_groups().result(20).valid}


def test_what_is_no_time_is_refused() -> None:
    """A time without a zone would mean another hour on another machine."""
    for text in ("yesterday", "2026-11-01T00:00:00"):
        with pytest.raises(ConfigError, match="--from"):
            moment("--from", text)


def test_a_broker_that_looks_up_no_times_is_named(
    mock_cluster: MockCluster, tmp_path: Path, assay_here: Run
) -> None:
    """Rather that than a backfill of all there is, or of nothing."""
    site = Site(mock_cluster.bootstrap_servers, tmp_path)
    for topic in (site.spans, site.scores, site.dead):
        mock_cluster.create_topic(topic, 1)
    site.put(message([llm_span()]))
    done = assay_here(*_between(_ago(2), _ago(1)))
    assert (done.status, "looks up no times" in done.err) == (1, True)


def test_the_records_of_the_time_are_evaluated(site: Site, assay_here: Run) -> None:
    """All of it, nothing else, with the ids of live outcomes; no group is made or moved."""
    records = {
        hours: [
            site.put(message([llm_span()]), partition=index, at_ms=_ago(hours))
            for index in range(PARTITIONS)
        ]
        for hours in (4, 3, 2, 1)
    }
    group = f"{site.config.kafka.group_id}.code"
    live = Consumer({"bootstrap.servers": site.servers, "group.id": group})
    live.commit(offsets=[TopicPartition(site.spans, 0, 1, "as it was")], asynchronous=False)
    before = _groups(site.servers)
    report = _report(assay_here, *_between(_ago(3.5), _ago(1.5)))
    expected = site.outcomes_of(*records[3], *records[2])
    assert (report["records"], report["published"]) == (6, 12)
    published = site.published()
    assert {o.evaluation_id for o in published} == {o.evaluation_id for o in expected}
    assert {o.sources for o in published} == {o.sources for o in expected}
    assert {o.origin for o in published} == {Origin.BACKFILL}
    assert len(published) == 12
    assert _groups(site.servers) == before
    (committed,) = live.committed([TopicPartition(site.spans, 0)], 10)
    assert (committed.offset, committed.metadata) == (1, "as it was")
    live.close()


def test_routes_and_evaluators_can_be_picked(site: Site, assay_here: Run) -> None:
    """One evaluator's outcomes alone; a name that no route has is an error."""
    site.put(message([llm_span()]), at_ms=_ago(2))
    time_of = _between(_ago(3), _ago(1))
    assert _report(assay_here, *time_of, "--evaluator", "pii")["published"] == 1
    assert {outcome.evaluator.name for outcome in site.published()} == {"pii"}
    assert _report(assay_here, *time_of, "--route", "support", "--state", "s")["published"] == 2
    for wrong in (("--route", "other"), ("--evaluator", "other")):
        assert assay_here(*time_of, *wrong).status == 2
    shown = assay_here("scores", "--limit", "1")
    assert "backfill" in shown.out
    trace = site.published()[0].trace_id
    assert "by a backfill" in assay_here("explain", trace).out


def test_what_retention_has_taken_is_said(site: Site, assay_here: Run) -> None:
    """The first offset that is left, where older ones may have been of this time."""
    for hours in (4, 3, 2):
        site.put(message([llm_span()]), at_ms=_ago(hours))
    admin = AdminClient({"bootstrap.servers": site.servers})
    for future in admin.delete_records([TopicPartition(site.spans, 0, 2)]).values():
        future.result(20)
    report = _report(assay_here, *_between(_ago(5), _ago(1)))
    assert report["begins_after_retention"] == [
        {"topic": site.spans, "partition": 0, "first_offset": 2}
    ]
    assert (report["records"], report["published"]) == (1, 2)
    assert not _report(assay_here, *_between(_ago(1), _ago(0)))["begins_after_retention"]


def test_what_retention_takes_before_a_later_run_is_said(site: Site, assay_here: Run) -> None:
    """A checkpoint whose next offset is gone names what is lost, and goes on behind it."""
    for _ in range(6):
        site.put(message([llm_span()]), at_ms=_ago(2))
    arguments = (*_between(_ago(3), _ago(1)), "--state", "state.json")
    _report(assay_here, *arguments)
    state = site.folder / "state.json"
    kept = json.loads(state.read_text())
    kept["is_finished"] = False
    kept["parts"][0]["offset"] = 2
    state.write_text(json.dumps(kept))
    admin = AdminClient({"bootstrap.servers": site.servers})
    for future in admin.delete_records([TopicPartition(site.spans, 0, 4)]).values():
        future.result(20)
    report = _report(assay_here, *arguments)
    assert report["lost_to_retention"] == [
        {"topic": site.spans, "partition": 0, "from": 2, "to": 4}
    ]
    assert report["published"] == 4


def test_a_compression_bomb_is_stepped_over(site: Site, assay_here: Run) -> None:
    """It is counted as unreadable, and what stands behind it is evaluated."""
    at = _ago(2)
    site.put(message([llm_span()]), at_ms=at)
    bomb = Producer(
        {
            "bootstrap.servers": site.servers,
            "compression.type": "zstd",
            "message.max.bytes": 400_000_000,
        }
    )
    bomb.produce(site.spans, bytes(300_000_000), partition=0, timestamp=at)
    assert bomb.flush(60) == 0
    site.put(message([llm_span()]), at_ms=at)
    report = _report(assay_here, *_between(_ago(3), _ago(1)))
    assert (report["records"], report["unreadable"], report["published"]) == (3, 1, 4)


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    """A judge that takes half a second."""
    server = JudgeServer(latency_s=0.5)
    with serving(server):
        yield server


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_killed_backfill_goes_on_from_its_checkpoint(
    site: Site, tmp_path: Path, judge: JudgeServer
) -> None:
    """Every span gets its outcome; what is repeated is what was in flight; a third run is none."""
    count = 120
    site.configure(judge_url=judge.url, evaluators=["answer_relevance"], limits={"in_flight": 20})
    produce(
        site.servers,
        site.spans,
        [(b"%d" % n, message([llm_span(f"Question {n}?", f"Answer {n}.")])) for n in range(count)],
    )
    arguments = (*_between(_ago(1), _ago(-1)), "--state", "state.json")
    with command(tmp_path, *arguments) as first:
        first.until(lambda: len(site.published()) >= 30)
        first.process.kill()
        first.process.wait(10)
    before = len(site.published())
    assert before < count
    assert judge.max_in_flight <= 20  # a tenth of the judge's 200
    with command(tmp_path, *arguments) as second:
        report = second.report()
    assert (report["finished"], report["done"]) == (True, count)
    assert report["resumed_at"] > 0
    found = by_id(site.published())
    assert len(found) == count
    assert {outcome.outcome for each in found.values() for outcome in each} == {Status.SCORED}
    # In flight at the kill, and what was published in the half second before it.
    assert before + report["published"] - count <= 20 + 20
    with command(tmp_path, *arguments) as third:
        assert "published" not in third.report()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_stopped_backfill_publishes_nothing_twice(
    site: Site, tmp_path: Path, judge: JudgeServer
) -> None:
    """Ctrl-C drains: what is acknowledged is in the checkpoint, the rest is made later, once."""
    count = 80
    site.configure(judge_url=judge.url, evaluators=["answer_relevance"], limits={"in_flight": 20})
    produce(
        site.servers,
        site.spans,
        [(b"%d" % n, message([llm_span(f"Question {n}?", f"Answer {n}.")])) for n in range(count)],
    )
    arguments = (*_between(_ago(1), _ago(-1)), "--state", "state.json", "--judge-share", "0.02")
    with command(tmp_path, *arguments) as first:
        first.until(lambda: len(site.published()) >= 15)
        first.interrupt()
        stopped = first.report(130)
    assert 15 <= stopped["published"] < count
    assert judge.max_in_flight <= 4
    with command(tmp_path, *arguments) as second:
        report = second.report()
    assert report["published"] == count - stopped["published"]
    assert {len(each) for each in by_id(site.published()).values()} == {1}
    assert len(site.published()) == count
