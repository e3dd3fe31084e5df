"""Attack: a worker ends, or its evaluator dies, while the evaluator's process is at work."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from support.odd_plugin import install
from support.spans import llm_span, message, produce
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

from schemas.reasons import Reason, Status
from workers.demo.broker import MockCluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    """A mock cluster with the topics of the default config."""
    for topic in (SPANS, SCORES, DEAD):
        mock_cluster.create_topic(topic, 2)
    return mock_cluster


@contextmanager
def _worker(
    cluster: MockCluster, folder: Path, monkeypatch: pytest.MonkeyPatch, deadline_s: float
) -> Iterator[WorkerProcess]:
    """A worker with the evaluator `odd` in processes, and `pii` beside it."""
    install(folder / "site")
    path = os.pathsep.join([str(folder / "site"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    config = config_yaml(
        cluster.bootstrap_servers,
        evaluators=["odd"],
        routes=[{"name": "all", "when": "span.kind == 'llm'", "evaluators": ["odd", "pii"]}],
        stop={"drain_s": 1, "flush_s": 1},
    )
    config += f"evaluators: {{odd: {{isolate: process, options: {{deadline_s: {deadline_s}}}}}}}\n"
    with worker_process(folder, config) as worker:
        yield worker


def _tell(cluster: MockCluster, *answers: str) -> None:
    produce(
        cluster.bootstrap_servers,
        SPANS,
        [(None, message([llm_span(answer=answer)])) for answer in answers],
    )


def _children(worker: WorkerProcess) -> set[int]:
    return {pid for pid in _processes() if _parent(pid) == worker.process.pid}


def _processes() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]


def _parent(pid: int) -> int | None:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def _is_busy(pid: int) -> bool:
    """Whether it has used a second of CPU, as only an endless loop does here."""
    with suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) > 2 * os.sysconf("SC_CLK_TCK")
    return False


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGKILL"])
def test_no_process_outlives_its_worker(
    cluster: MockCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signal: str
) -> None:
    """Not even one that holds the interpreter's lock in an endless regular expression."""
    with _worker(cluster, tmp_path, monkeypatch, 3600) as worker:
        _tell(cluster, "spins")
        until(lambda: any(map(_is_busy, _children(worker))), 40, worker.died)
        children = _children(worker)
        if signal == "SIGTERM":
            assert worker.stop(timeout_s=20) == 0
        else:
            worker.kill()
        until(lambda: not children & set(_processes()), 5)


def test_crashes_cost_their_own_outcomes_in_a_whole_worker(
    cluster: MockCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every evaluation has its outcome; the worker stays live and stops cleanly."""
    wild = ["crashes", "dies", "blocks", "swallows", "leaves", "hangs", "nan"]
    answers = [*wild, *["score 0.5"] * 20]
    with _worker(cluster, tmp_path, monkeypatch, 1.0) as worker:
        _tell(cluster, *answers)
        until(
            lambda: count_topic(cluster.bootstrap_servers, SCORES) >= 2 * len(answers),
            80,
            worker.died,
        )
        assert worker.get("/livez")[0] == 200
        assert worker.metric("assay_evaluator_process_ends_total") >= 4
        assert worker.metric("assay_loop_blocks_total") == 0
        assert worker.stop(timeout_s=20) == 0
        ends = [line for line in log_lines(worker) if line["event"] == "evaluator_process_ended"]
        assert any("SIGSEGV" in line["why"] for line in ends)
    outcomes = read_outcomes(cluster.bootstrap_servers)
    assert len(outcomes) == len({o.evaluation_id for o in outcomes}) == 2 * len(answers)
    odd = [o for o in outcomes if o.evaluator.name == "odd"]
    assert sum(o.outcome is Status.SCORED for o in odd) == 20
    assert sum(o.reason is Reason.EVALUATOR_ERROR for o in odd) == len(wild)
    assert all(o.outcome is Status.SCORED for o in outcomes if o.evaluator.name == "pii")
