"""Second chances of whole traces, on a real Kafka: `assay retry` and `assay backfill`."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from support.judge_server import Action, Call, JudgeServer, Text, serving
from support.kafka import KafkaServer
from support.replays import Site, by_id, command
from support.spans import KeyedMessage, keyed_trace, produce
from support.workers import until, worker_process

from schemas.outcome import Origin, Source
from schemas.reasons import Reason, Status
from workers.retries import Leavings

PARTITIONS = 3
TRACES = 60
FAILED = 40

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), pytest.mark.kafka]


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    """A judge that answers two of three traces with nonsense."""
    server = JudgeServer()
    server.script = _nonsense
    with serving(server):
        yield server


def _nonsense(call: Call) -> Action:
    found = re.search(r"Ship order (\d+)", json.dumps(call.body))
    assert found
    return None if int(found[1]) % 3 == 2 else Text("as I see it, it depends")


def _runs() -> list[list[KeyedMessage]]:
    """Traces of four records each: three calls, then the request around them."""
    return [
        keyed_trace(*((f"Ship order {number}.", f"Step {step} is done.") for step in range(3)))
        for number in range(TRACES)
    ]


def test_failed_traces_are_made_again_and_one_that_retention_took_is_named(
    kafka: KafkaServer, judge: JudgeServer, tmp_path: Path
) -> None:
    """60 traces, their records mixed; 40 fail. Retention takes one record of one that failed.

    Expected: 39 are made again, each once, from all their records and under their ids, so that 59
    are scored by what holds; the one is named with its offset and left as it is, and no judge is
    asked for it. The same command finds nothing more to do.
    """
    site = Site(kafka.bootstrap_servers, tmp_path, suffix=f"-{uuid4().hex[:8]}")
    kafka.create_topics({site.spans: PARTITIONS, site.scores: 2, site.dead: 1})
    config = site.configure(
        judge_url=judge.url,
        evaluators=["task_completion"],
        traces={"idle_s": 2},
        limits={"in_flight": 10},
    )
    runs = _runs()
    for step in range(4):
        produce(site.servers, site.spans, [run[step] for run in runs])
    with worker_process(tmp_path, config, arguments=["--lane", "trace"]) as worker:
        until(lambda: len(site.published()) >= TRACES, 90, worker.died)
        assert worker.stop() == 0
    live = {outcome.evaluation_id: outcome for outcome in site.published()}
    assert Counter(outcome.reason for outcome in live.values()) == {
        None: TRACES - FAILED,
        Reason.INVALID_OUTPUT: FAILED,
    }

    first_sent = (runs[0][0][0] or b"").decode()
    (left,) = [key for key, outcome in live.items() if outcome.trace_id == first_sent]
    assert live[left].outcome is Status.FAILED
    taken = live[left].sources[0]
    _let_retention_take(site, taken)
    judge.script = lambda _: None
    asked = judge.count
    with command(tmp_path, "retry", "--json") as first:
        report = first.report()
    assert (report["matched"], report["to_retry"], report["published"]) == (FAILED, 39, 39)
    assert report["outcomes"] == {"scored": 39}
    assert report["left"] == {Leavings.GONE_OF_A_TRACE: 1}
    assert report["gone"] == [
        {"topic": taken.topic, "partition": taken.partition, "offsets": [taken.offset]}
    ]
    assert judge.count - asked == 39

    published = by_id(site.published())
    assert published.keys() == live.keys()
    for key, (was, *again) in published.items():
        assert len(again) == (was.outcome is Status.FAILED and key != left)
        for held in again:
            assert (held.outcome, held.origin) == (Status.SCORED, Origin.RETRY)
            assert (held.revision, held.sources) == (was.revision, was.sources) == (4, was.sources)
            assert len(held.sources) == 4
    holds = Counter(each[-1].outcome for each in published.values())
    assert holds == {Status.SCORED: TRACES - 1, Status.FAILED: 1}

    with command(tmp_path, "retry", "--json") as second:
        report = second.report()
    assert (report["matched"], report["to_retry"]) == (1, 0)
    assert len(site.published()) == TRACES + 39

    begin, end = (
        datetime.fromtimestamp(time.time() + seconds, UTC).isoformat() for seconds in (-3600, 3600)
    )
    with command(tmp_path, "backfill", "--json", "--from", begin, "--to", end) as third:
        report = third.report()
    assert (report["finished"], report["published"]) == (True, TRACES)
    assert report["begins_after_retention"] == [
        {"topic": taken.topic, "partition": taken.partition, "first_offset": 1}
    ]
    published = by_id(site.published())
    assert published.keys() == live.keys()
    for key, each in published.items():
        assert (each[-1].origin, each[-1].outcome) == (Origin.BACKFILL, Status.SCORED)
        assert each[-1].revision == (3 if key == left else 4)
        holds_now = max(enumerate(each), key=lambda at: (at[1].revision, at[0]))[1]
        assert (holds_now is each[-1]) == (key != left)


def _let_retention_take(site: Site, source: Source) -> None:
    assert source.offset == 0  # or it would take records of other traces too
    admin = AdminClient({"bootstrap.servers": site.servers})
    wanted = [TopicPartition(source.topic, source.partition, 1)]
    for future in admin.delete_records(wanted).values():
        future.result(20)
