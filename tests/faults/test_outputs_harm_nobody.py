"""Attack: an OTLP endpoint that is gone, hangs or refuses, against the promise and a stop."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.otlp_server import OtlpServer, Reply
from support.processes import free_ports
from support.spans import produce, traces
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    WorkerProcess,
    config_yaml,
    count_topic,
    log_lines,
    until,
    worker_process,
)

from workers.demo.broker import MockCluster
from workers.sinks.outputs import FLUSH_S

pytestmark = [pytest.mark.slow, pytest.mark.timeout(90)]

LOGS = "otlp_scores"
CALLS = 100
OUTCOMES = 2 * CALLS
SOON_S = 15.0
LEAVE_S = 6.0
"""What a stop takes on a busy machine, the outputs apart."""


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    """A mock cluster with the topics of the default config, and one for OTLP."""
    for topic, partitions in ((SPANS, 4), (SCORES, 2), (DEAD, 1), (LOGS, 2)):
        mock_cluster.create_topic(topic, partitions)
    return mock_cluster


@pytest.fixture
def server() -> Iterator[OtlpServer]:
    """An endpoint that can be told to misbehave."""
    with OtlpServer() as one:
        yield one


def _config(cluster: MockCluster, endpoint: str, **sections: Any) -> str:
    outputs = {"otlp": {"endpoint": endpoint, "as": ["log", "span"]}}
    return config_yaml(cluster.bootstrap_servers, outputs=outputs, **sections)


def _results(worker: WorkerProcess, output: str) -> dict[str, float]:
    """How many outcomes ended in which way at one output, those that did not left out."""
    start = f'assay_output_outcomes_total{{output="{output}",result="'
    lines = worker.get("/metrics")[1].splitlines()
    pairs = (line[len(start) :].split('"} ') for line in lines if line.startswith(start))
    return {result: float(count) for result, count in pairs if float(count)}


def _told(worker: WorkerProcess) -> Counter[str]:
    """How many outcomes the log says were not sent, by output."""
    told: Counter[str] = Counter()
    for line in log_lines(worker):
        if line["event"] == "output_failed":
            told[line["output"]] += line["outcomes"]
    return told


@pytest.mark.parametrize(
    "reply",
    [None, Reply(after_s=60), Reply(500), Reply(429), Reply(307, headers={"Location": "/"})],
    ids=["gone", "hangs", "500", "429", "redirects"],
)
def test_no_outcome_waits_for_an_output(
    cluster: MockCluster, server: OtlpServer, tmp_path: Path, reply: Reply | None
) -> None:
    """Sent: 100 calls, and 100 more. Expected: 400 outcomes as soon as ever, and a prompt stop."""
    endpoint = server.url
    if reply is None:
        endpoint = f"http://127.0.0.1:{free_ports(1)[0]}"
    else:
        server.reply = reply
    servers = cluster.bootstrap_servers
    with worker_process(tmp_path, _config(cluster, endpoint)) as worker:
        worker.wait_ready()
        for total in (OUTCOMES, 2 * OUTCOMES):
            produce(servers, SPANS, traces(CALLS))
            until(lambda: count_topic(servers, SCORES) >= total, SOON_S, worker.died)  # noqa: B023
        until(lambda: worker.metric("assay_outcomes_total") == 2 * OUTCOMES, 5, worker.died)
        began = time.monotonic()
        assert worker.stop() == 0
        assert time.monotonic() - began < FLUSH_S + LEAVE_S
        told = _told(worker)
    assert count_topic(servers, SCORES) == 2 * OUTCOMES
    assert set(told) == {"otlp_log", "otlp_span"}
    # The same failure is logged once; the rest of it is only counted.
    assert all(0 < count <= 2 * OUTCOMES for count in told.values())


def test_what_an_output_does_not_take_is_counted(
    cluster: MockCluster, server: OtlpServer, tmp_path: Path
) -> None:
    """Every outcome is in one result of each output, and the failure is one line in the log."""
    server.reply = Reply(500)
    config = _config(cluster, server.url, kafka={"otlp_scores": LOGS})
    with worker_process(tmp_path, config) as worker:
        worker.wait_ready()
        for number in (1, 2, 3):
            produce(cluster.bootstrap_servers, SPANS, traces(CALLS))
            for output in ("otlp_log", "otlp_span"):
                wanted = {"failed": number * OUTCOMES}
                until(lambda: _results(worker, output) == wanted, SOON_S, worker.died)  # noqa: B023
        server.reply = Reply()
        produce(cluster.bootstrap_servers, SPANS, traces(CALLS))
        wanted = {"failed": 3 * OUTCOMES, "sent": OUTCOMES}
        until(lambda: _results(worker, "otlp_span") == wanted, SOON_S, worker.died)
        until(lambda: _results(worker, "kafka_log") == {"sent": 4 * OUTCOMES}, 5, worker.died)
        assert worker.stop() == 0
        failures = [line for line in log_lines(worker) if line["event"] == "output_failed"]
    assert sorted(line["error"] for line in failures) == [
        "/v1/logs answers 500",
        "/v1/traces answers 500",
    ]
    assert count_topic(cluster.bootstrap_servers, LOGS) == 4 * OUTCOMES


def test_a_stop_sends_what_waits(cluster: MockCluster, server: OtlpServer, tmp_path: Path) -> None:
    """An endpoint that works has every outcome when the worker has left."""
    config = _config(cluster, server.url, kafka={"otlp_scores": LOGS})
    with worker_process(tmp_path, config) as worker:
        worker.wait_ready()
        produce(cluster.bootstrap_servers, SPANS, traces(CALLS))
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= OUTCOMES, 15, worker.died)
        assert worker.stop() == 0
        assert _told(worker) == {}
    assert len(server.logs()) == len(server.spans()) == OUTCOMES
    assert len({span.span_id for span in server.spans()}) == OUTCOMES
    assert count_topic(cluster.bootstrap_servers, LOGS) == OUTCOMES


def test_brokers_that_are_gone_do_not_keep_an_output(cluster: MockCluster, tmp_path: Path) -> None:
    """What the OTLP topic was not given in time is dropped; the stop takes its usual seconds."""
    config = config_yaml(
        cluster.bootstrap_servers,
        kafka={"otlp_scores": LOGS},
        stop={"drain_s": 1, "flush_s": 1},
    )
    with worker_process(tmp_path, config) as worker:
        worker.wait_ready()
        produce(cluster.bootstrap_servers, SPANS, traces(CALLS))
        until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= OUTCOMES, 15, worker.died)
        cluster.set_down(1)
        began = time.monotonic()
        assert worker.stop() == 0
        # Drain, flush, the last commit and leaving the group take what they take without it.
        assert time.monotonic() - began < 1 + 1 + 5 + 5 + FLUSH_S + LEAVE_S
