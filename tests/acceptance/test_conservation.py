"""The promise, with everything real: Kafka, worker processes, a judge that takes its time."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions
from support.conservation import (
    JudgeProcess,
    committed,
    ends,
    ledger,
    owned,
    read_values,
)
from support.kafka import KafkaServer
from support.spans import llm_span, message, plain_span, produce, traces
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    WorkerProcess,
    config_yaml,
    count_topic,
    log_lines,
    read_outcomes,
    until,
    worker_process,
)

EVALUATORS = ("answer_relevance", "pii", "secrets")
LANES = ("code", "judge")
PARTITIONS = 6
IN_FLIGHT = 100
"""`limits.in_flight` here, for each lane of a worker."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]


class Site:
    """Topics and groups that no other test uses, on the one Kafka of the run."""

    def __init__(self, kafka: KafkaServer) -> None:
        self.kafka = kafka
        self.servers = kafka.bootstrap_servers
        self.suffix = f"-{uuid4().hex[:8]}"
        self.spans, self.scores = SPANS + self.suffix, SCORES + self.suffix
        kafka.create_topics({self.spans: PARTITIONS, self.scores: 3, DEAD + self.suffix: 1})

    def config(self, judge: JudgeProcess | None = None, **sections: object) -> str:
        """A config for these topics; with a judge, `answer_relevance` too."""
        return config_yaml(
            self.servers,
            judge_url=None if judge is None else judge.url,
            evaluators=EVALUATORS if judge else EVALUATORS[1:],
            suffix=self.suffix,
            **sections,
        )

    def group(self, lane: str) -> str:
        """The consumer group of a lane."""
        return f"assay{self.suffix}.{lane}"

    def send(self, count: int) -> set[str]:
        """Put traces on the topic; their ids."""
        sent = list(traces(count))
        produce(self.servers, self.spans, sent)
        return {key.decode() for key, _ in sent if key is not None}

    def published(self) -> int:
        """How many outcomes stand on the scores topic."""
        return count_topic(self.servers, self.scores)

    def values(self) -> list[bytes]:
        """All outcomes, as bytes."""
        return read_values(self.servers, self.scores)

    def is_committed(self, *lanes: str) -> bool:
        """Whether these lanes have committed everything."""
        end = ends(self.servers, self.spans)
        return all(committed(self.servers, self.group(lane), self.spans) == end for lane in lanes)


@pytest.fixture
def site(kafka: KafkaServer) -> Site:
    """Topics of its own for each test."""
    return Site(kafka)


@pytest.fixture
def judge() -> Iterator[JudgeProcess]:
    """A judge that answers after 0.2 s."""
    with JudgeProcess(latency_s=0.2) as one:
        yield one


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str], WorkerProcess]]:
    """Starts a worker with a config; those that still run at the end are killed."""
    running = []

    def one(config: str) -> WorkerProcess:
        running.append(worker_process(tmp_path, config))
        return running[-1].__enter__()

    yield one
    for context in running:
        context.__exit__(None, None, None)


def test_nothing_is_lost_and_little_repeated(
    site: Site, judge: JudgeProcess, start: Callable[[str], WorkerProcess]
) -> None:
    """1,200 traces, three workers: one is stopped and comes back, later one is killed.

    Expected: nothing published twice by the clean stop, at most what was in flight by the crash,
    nothing lost by either, and all offsets committed to the end.
    """
    slow = {"model": "judge-1", "base_url": judge.url, "max_concurrency": 10}
    config = site.config(judge, limits={"in_flight": IN_FLIGHT}, judges={"default": slow})
    workers = [start(config) for _ in range(3)]
    for worker in workers:
        worker.wait_ready()

    def has_died() -> str | None:
        return next((why for worker in workers if (why := worker.died())), None)

    first = site.send(600)
    until(lambda: judge.calls() > 150, 60, has_died)
    assert workers.pop(0).stop() == 0
    workers.append(start(config))
    until(lambda: site.is_committed(*LANES), 60, has_died)
    clean = ledger(site.values(), first, EVALUATORS)
    assert clean.is_exact, clean
    assert clean.repeated == 0
    assert clean.by_status == {"scored": 1800}

    workers[-1].wait_ready()
    before = judge.calls()
    second = site.send(600)
    until(lambda: judge.calls() - before > 150, 60, has_died)
    assert any(owned(workers[0], lane) for lane in LANES)
    workers.pop(0).kill()
    until(lambda: site.is_committed(*LANES), 90, has_died)
    crashed = ledger(site.values(), second, EVALUATORS)
    assert crashed.is_exact, crashed
    # In flight in both lanes of one worker, and what the code lane does until a commit arrives.
    assert crashed.repeated <= len(LANES) * IN_FLIGHT + 400
    assert crashed.by_status == {"scored": 1800}

    assert [worker.stop() for worker in workers] == [0, 0]
    assert site.is_committed(*LANES)
    assert ledger(site.values(), first, EVALUATORS) == clean
    assert count_topic(site.servers, DEAD + site.suffix) == 0


def test_a_crash_before_the_first_record_loses_nothing(
    site: Site, start: Callable[[str], WorkerProcess]
) -> None:
    """`latest` is decided once: what comes while no worker runs belongs to the group already."""
    site.send(5)
    config = site.config(kafka={"start": "latest"})
    victim = start(config)
    victim.wait_ready()
    victim.kill()
    sent = site.send(30)
    worker = start(config)
    until(lambda: site.is_committed("code"), 60, worker.died)
    assert worker.stop() == 0
    values = site.values()
    assert len(values) == 60
    assert ledger(values, sent, EVALUATORS[1:]).is_exact


def test_two_workers_that_start_together_begin_alike(
    site: Site, judge: JudgeProcess, start: Callable[[str], WorkerProcess]
) -> None:
    """Spans arrive while the first two workers of a group start with `latest`.

    Whatever offset a partition begins at, both lanes begin there: no span has the outcomes of one
    lane only.
    """
    config = site.config(judge, kafka={"start": "latest"})
    workers = [start(config), start(config)]

    def are_ready() -> bool:
        site.send(2)
        return all(worker.get("/readyz")[0] == 200 for worker in workers)

    until(
        are_ready,
        60,
        lambda: workers[0].died() or workers[1].died(),
    )
    last = site.send(30)
    until(lambda: site.is_committed(*LANES), 60, workers[0].died)
    assert [worker.stop() for worker in workers] == [0, 0]
    outcomes = read_outcomes(site.servers, site.scores)
    by_span = Counter(outcome.span_id for outcome in outcomes)
    assert set(by_span.values()) == {len(EVALUATORS)}
    assert last <= {outcome.trace_id for outcome in outcomes}


def test_a_partition_that_is_added_later_is_read_from_its_first_record(
    site: Site, judge: JudgeProcess, start: Callable[[str], WorkerProcess]
) -> None:
    """With `latest`, nothing of a new partition may fall between its first record and us."""
    config = site.config(judge, kafka={"start": "latest"})
    worker = start(config)
    worker.wait_ready()
    assert worker.stop() == 0
    admin = AdminClient({"bootstrap.servers": site.servers})
    for future in admin.create_partitions([NewPartitions(site.spans, 2 * PARTITIONS)]).values():
        future.result(20)
    sent = site.send(120)
    until(lambda: ends(site.servers, site.spans)[2 * PARTITIONS - 1] > 0, 10)
    worker = start(config)
    until(lambda: site.is_committed(*LANES), 60, worker.died)
    assert worker.stop() == 0
    found = ledger(site.values(), sent, EVALUATORS)
    assert found.is_exact, found


def test_an_offset_out_of_range_stops_the_worker(
    site: Site, judge: JudgeProcess, start: Callable[[str], WorkerProcess]
) -> None:
    """Retention took what was not read yet: never a silent jump, exit 1 and what to do."""
    config = site.config(judge)
    worker = start(config)
    worker.wait_ready()
    assert worker.stop() == 0
    site.send(60)
    _delete_records(site)
    site.send(60)
    began = time.monotonic()
    worker = start(config)
    assert worker.process.wait(60) == 1
    text = worker.log.read_text()
    assert "out of range" in text
    assert "--reset-offsets" in text
    assert "Traceback" not in text
    assert time.monotonic() - began < 30
    assert site.published() == 0


def test_a_lane_that_must_stop_takes_the_others_along(
    site: Site, judge: JudgeProcess, start: Callable[[str], WorkerProcess]
) -> None:
    """One lane's offsets are wrong: the other drains and commits, and the worker ends soon."""
    config = site.config(judge)
    worker = start(config)
    worker.wait_ready()
    assert worker.stop() == 0
    sent = site.send(60)
    _commit(site, "judge", 1_000_000)
    worker = start(config)
    until(lambda: "partitions_assigned" in worker.log.read_text(), 30, worker.died)
    began = time.monotonic()
    assert worker.process.wait(60) == 1
    assert time.monotonic() - began < 15
    _commit(site, "judge", 0)
    worker = start(config)
    until(lambda: site.is_committed(*LANES), 60, worker.died)
    assert worker.stop() == 0
    found = ledger(site.values(), sent, EVALUATORS)
    assert found.is_exact, found
    assert found.repeated == 0


def _commit(site: Site, lane: str, offset: int) -> None:
    consumer = Consumer({"bootstrap.servers": site.servers, "group.id": site.group(lane)})
    marks = [TopicPartition(site.spans, index, offset) for index in range(PARTITIONS)]
    consumer.commit(offsets=marks, asynchronous=False)
    consumer.close()


def _delete_records(site: Site) -> None:
    admin = AdminClient({"bootstrap.servers": site.servers})
    marks = [
        TopicPartition(site.spans, i, end) for i, end in ends(site.servers, site.spans).items()
    ]
    for future in admin.delete_records(marks).values():
        future.result(20)


def test_a_record_of_many_spans_is_never_published_by_halves(
    site: Site, start: Callable[[str], WorkerProcess]
) -> None:
    """300 LLM calls in one record, a slow judge, SIGTERM while it is being judged.

    Nothing of the record's judge lane is published before the stop; afterwards everything is, once.
    """
    spans = [llm_span() for _ in range(300)]
    with JudgeProcess(latency_s=1.0) as slow:
        config = site.config(slow, stop={"drain_s": 0.5})
        worker = start(config)
        worker.wait_ready()
        produce(site.servers, site.spans, [(None, message([*spans, plain_span()]))])
        until(lambda: site.published() >= 600 and slow.calls() >= 5, 30, worker.died)
        assert worker.stop() == 0
        assert _by_evaluator(site) == {"pii": 300, "secrets": 300}
        assert any(line.get("judged_again") == 300 for line in log_lines(worker))
        worker = start(config)
        until(lambda: site.is_committed(*LANES), 120, worker.died)
        assert worker.stop() == 0
    assert _by_evaluator(site) == dict.fromkeys(EVALUATORS, 300)
    outcomes = read_outcomes(site.servers, site.scores)
    assert len({outcome.evaluation_id for outcome in outcomes}) == 900


def _by_evaluator(site: Site) -> Counter[str]:
    return Counter(o.evaluator.name for o in read_outcomes(site.servers, site.scores))
