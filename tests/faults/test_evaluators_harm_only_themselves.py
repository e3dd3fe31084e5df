"""Attack: what a plugin returns or leaves behind reaches more than its own outcome."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.samples import span
from support.spans import produce, traces
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    WorkerProcess,
    config_yaml,
    count_topic,
    read_outcomes,
    until,
    worker_process,
)

from evaluators.contract import JudgeUse, Scope, Score, Skip, Subject
from schemas.config import EvaluatorConfig
from schemas.errors import JudgeFailure
from schemas.outcome import EvaluatorKind, Source
from schemas.reasons import Reason
from workers.configured import Configured
from workers.demo.broker import MockCluster
from workers.engine import Engine, Job, Meter
from workers.router import Selected

pytestmark = pytest.mark.timeout(60)


class _Answers(Mapping[str, Any]):
    """Items that cannot be looked at."""

    def __getitem__(self, key: str) -> Any:
        raise RuntimeError(key)

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError

    def __len__(self) -> int:
        return 1


class _Plugin:
    version = "1"
    kind = EvaluatorKind.HEURISTIC
    scope = Scope.SPAN
    judge_use = JudgeUse.NEVER
    threshold = 0.5
    content_fingerprint = ""
    needs = frozenset[Any]()
    deadline_s = 5.0

    def __init__(self, answer: object) -> None:
        self.answer = answer

    async def evaluate(self, _: Subject) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "answer",
    [
        Skip(None),  # type: ignore[arg-type]
        Skip(ValueError("no")),  # type: ignore[arg-type]
        Score(1.0, critical=1),  # type: ignore[arg-type]
        Score(1.0, degraded=object()),  # type: ignore[arg-type]
        Score(1.0, truncated="yes"),  # type: ignore[arg-type]
        Score(1.0, items=_Answers()),
        Score(1.0, items=[1, 2]),  # type: ignore[arg-type]
        JudgeFailure("overload", "x"),  # type: ignore[arg-type]
        JudgeFailure(Reason.JUDGE_ERROR, None),  # type: ignore[arg-type]
        KeyboardInterrupt(),
        BaseExceptionGroup("two", [SystemExit(3), ValueError("x")]),
    ],
)
async def test_an_answer_that_cannot_be_written_costs_its_own_outcome(answer: object) -> None:
    """What raises while the outcome is written would end the lane, and again after each restart."""
    configured = Configured("plugin", EvaluatorConfig(), _Plugin(answer), None, None)
    selected = Selected("plugin", ("support",), 1.0, "full", None)
    job = Job(span(), configured, selected, Source("spans", 0, 1))
    (outcome,) = await Engine(lambda _: None).outcomes([job], Meter())
    assert outcome.reason is Reason.EVALUATOR_ERROR
    assert outcome.to_json()


_PLUGIN = """
import asyncio, time
from evaluators import EvaluatorKind, JudgeUse, Scope, Score


class Base:
    version = "1"
    kind = EvaluatorKind.HEURISTIC
    scope = Scope.SPAN
    needs = frozenset()
    judge_use = JudgeUse.NEVER
    threshold = 0.5
    content_fingerprint = ""
    deadline_s = 0.5

    def __init__(self, settings):
        pass


class Stubborn(Base):
    async def evaluate(self, subject):
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass


class Threaded(Base):
    async def evaluate(self, subject):
        await asyncio.to_thread(time.sleep, 3600)


class Blocking(Base):
    async def evaluate(self, subject):
        time.sleep(3600)


class Slow(Base):
    deadline_s = 3600.0

    async def evaluate(self, subject):
        await asyncio.sleep(3600)
        return Score(1.0)
"""


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the path with an installed distribution of bad evaluators."""
    folder = tmp_path / "site"
    info = folder / "badplugin-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "badplugin.py").write_text(_PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: badplugin\nVersion: 1.0\n")
    names = ("Stubborn", "Threaded", "Blocking", "Slow")
    entries = "".join(f"{name.lower()} = badplugin:{name}\n" for name in names)
    (info / "entry_points.txt").write_text(f"[assay.evaluators]\n{entries}")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
    )
    return folder


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    """A mock cluster with the topics of the default config."""
    for topic in (SPANS, SCORES, DEAD):
        mock_cluster.create_topic(topic, 2)
    return mock_cluster


def _wait_for(cluster: MockCluster, worker: WorkerProcess, outcomes: int) -> None:
    until(lambda: count_topic(cluster.bootstrap_servers, SCORES) >= outcomes, 25, worker.died)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stubborn", "threaded"])
def test_what_a_plugin_leaves_behind_does_not_keep_the_process(
    cluster: MockCluster, plugins: Path, tmp_path: Path, name: str
) -> None:
    """All is published and committed; then the process ends, whatever still sleeps in it."""
    assert plugins.exists()
    produce(cluster.bootstrap_servers, SPANS, traces(8))
    config = config_yaml(cluster.bootstrap_servers, evaluators=[name, "pii"])
    with worker_process(tmp_path, config) as worker:
        _wait_for(cluster, worker, 16)
        worker.stop(timeout_s=15)
    outcomes = read_outcomes(cluster.bootstrap_servers)
    assert len(outcomes) == len({o.evaluation_id for o in outcomes}) == 16
    assert {o.reason for o in outcomes if o.evaluator.name == name} == {Reason.EVALUATOR_ERROR}


@pytest.mark.slow
def test_a_plugin_that_blocks_the_loop_does_not_keep_the_process(
    cluster: MockCluster, plugins: Path, tmp_path: Path
) -> None:
    """SIGTERM is heard although the loop stands still, and the last resort ends the process."""
    assert plugins.exists()
    produce(cluster.bootstrap_servers, SPANS, traces(1))
    stop = {"drain_s": 0.5, "flush_s": 0.5}
    config = config_yaml(cluster.bootstrap_servers, evaluators=["blocking"], stop=stop)
    with worker_process(tmp_path, config) as worker:
        worker.wait_ready()
        until(lambda: worker.metric("assay_records_total") >= 1, 20, worker.died)
        assert worker.stop(timeout_s=25) == 1
        assert "badplugin.py" in worker.log.read_text()


@pytest.mark.slow
def test_the_second_signal_ends_the_process_at_once(
    cluster: MockCluster, plugins: Path, tmp_path: Path
) -> None:
    """Whoever asks twice does not want to wait for the drain."""
    assert plugins.exists()
    produce(cluster.bootstrap_servers, SPANS, traces(1))
    config = config_yaml(cluster.bootstrap_servers, evaluators=["slow"], stop={"drain_s": 30})
    with worker_process(tmp_path, config) as worker:
        worker.wait_ready()
        until(lambda: worker.metric("assay_in_flight") >= 1, 20, worker.died)
        worker.process.terminate()
        until(lambda: worker.get("/readyz")[0] == 503, 10, worker.died)
        assert worker.stop(timeout_s=5) == 130
