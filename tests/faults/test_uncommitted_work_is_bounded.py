"""Attack: what is done cannot be committed, for longer and longer; then the worker dies."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.conservation import Ledger, ledger, read_values
from support.spans import produce, traces
from support.workers import DEAD, SCORES, SPANS, config_yaml, count_topic, until, worker_process

from workers.demo.broker import MockCluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

PARTITIONS = 4
IN_FLIGHT = 20
COORDINATOR = 2


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """Two brokers: all partitions are led by one, the group is coordinated by the other."""
    with MockCluster(brokers=2) as two:
        for topic in (SPANS, SCORES, DEAD):
            two.create_topic(topic, PARTITIONS)
            for partition in range(PARTITIONS):
                two.set_leader(topic, partition, 1)
        two.set_coordinator("assay.code", COORDINATOR)
        yield two


def test_nothing_begins_while_no_commit_is_acknowledged(
    cluster: MockCluster, tmp_path: Path
) -> None:
    """The coordinator is away, spans can be read and outcomes written: a crash repeats little."""
    servers = cluster.bootstrap_servers
    config = config_yaml(servers, evaluators=["pii"], limits={"in_flight": IN_FLIGHT})
    sent: set[str] = set()

    def send(count: int) -> None:
        messages = list(traces(count))
        produce(servers, SPANS, messages)
        sent.update(key.decode() for key, _ in messages if key is not None)

    with worker_process(tmp_path, config) as worker:
        send(50)
        until(lambda: count_topic(servers, SCORES) >= 50, 60, worker.died)
        cluster.set_down(COORDINATOR)
        send(30)
        time.sleep(4)  # noqa: TID251  what is done stays uncommitted
        before = count_topic(servers, SCORES)
        send(600)
        time.sleep(4)  # noqa: TID251  it has all the time to go on
        assert count_topic(servers, SCORES) - before <= IN_FLIGHT
        assert worker.metric("assay_intake_paused") == 1
        worker.kill()
    cluster.set_up(COORDINATOR)
    with worker_process(tmp_path, config) as worker:
        until(lambda: _found(servers, sent).is_exact, 90, worker.died)
        assert worker.metric("assay_intake_paused") == 0
        assert worker.stop() == 0
    assert _found(servers, sent).repeated <= 30 + IN_FLIGHT


def _found(servers: str, sent: set[str]) -> Ledger:
    return ledger(read_values(servers, SCORES), sent, ["pii"])
