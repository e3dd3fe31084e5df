"""Attack: a worker has drained and committed, and yet its exit code says that it failed."""

import os
from pathlib import Path

import pytest
from support.spans import produce, traces
from support.workers import DEAD, SCORES, SPANS, config_yaml, count_topic, until, worker_process

from workers.demo.broker import MockCluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(80)]

_PLUGIN = """
import atexit
import time

from evaluators import EvaluatorKind, JudgeUse, Scope, Score


class Lingering:
    version = "1"
    kind = EvaluatorKind.HEURISTIC
    scope = Scope.SPAN
    needs = frozenset()
    judge_use = JudgeUse.NEVER
    threshold = 0.5
    content_fingerprint = ""
    deadline_s = 5.0

    def __init__(self, settings):
        atexit.register(time.sleep, 7)

    async def evaluate(self, subject):
        return Score(1.0)
"""


def test_python_may_take_its_time_to_end(
    mock_cluster: MockCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine Python needs seconds to free its memory; exit code 0 all the same."""
    site = tmp_path / "site"
    info = site / "lingering-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "lingering.py").write_text(_PLUGIN)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lingering\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[assay.evaluators]\nlingering = lingering:Lingering\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]))
    for topic in (SPANS, SCORES, DEAD):
        mock_cluster.create_topic(topic, 2)
    produce(mock_cluster.bootstrap_servers, SPANS, traces(4))
    config = config_yaml(mock_cluster.bootstrap_servers, evaluators=["lingering"])
    with worker_process(tmp_path, config) as worker:
        until(lambda: count_topic(mock_cluster.bootstrap_servers, SCORES) >= 4, 40, worker.died)
        assert worker.stop(timeout_s=40) == 0
