"""What happens where a budget is spent, in whole workers, and what cannot keep one."""

import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from support.caps import CALL_USD, LEASES
from support.conservation import JudgeProcess
from support.kafka import KafkaServer
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

from schemas.outcome import Outcome
from schemas.reasons import Reason, Status

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

TRACES = 60
EVALUATORS = ("answer_relevance", "pii", "refusal")
CAP_USD = 40 * CALL_USD
"""Of two calls for each trace, a third at most can be paid for."""


@pytest.fixture
def suffix(kafka: KafkaServer) -> str:
    """Of the names of new topics."""
    name = f"-{uuid4().hex[:8]}"
    kafka.create_topics({SPANS + name: 3, SCORES + name: 3, DEAD + name: 1})
    return name


def _config(kafka: KafkaServer, suffix: str, judge_url: str, **budget: Any) -> str:
    config = config_yaml(
        kafka.bootstrap_servers,
        judge_url=judge_url,
        suffix=suffix,
        evaluators=EVALUATORS,
        kafka={"leases": f"leases{suffix}"},
        judges={
            "default": {
                "model": "judge-1",
                "base_url": judge_url,
                "max_output_tokens": 100,
                "price": {"input_usd_per_mtok": 0.25, "output_usd_per_mtok": 2.0},
            }
        },
        budgets=[{"name": "small", "per": "month", "lease": 0.1, **budget}],
    )
    loaded = yaml.safe_load(config)
    loaded["evaluators"] = {"refusal": {"judge": "default"}}
    return yaml.safe_dump(loaded)


def _by(outcomes: list[Outcome], evaluator: str) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.evaluator.name == evaluator]


def test_degrade_answers_without_the_judge_where_it_can(
    kafka: KafkaServer, suffix: str, tmp_path: Path
) -> None:
    """A cascade goes on without its judge and says so; what is a judge alone is skipped(budget)."""
    kafka.create_topics({f"leases{suffix}": 1}, LEASES)
    produce(kafka.bootstrap_servers, SPANS + suffix, traces(TRACES))
    with JudgeProcess(latency_s=0.02) as judge:
        config = _config(kafka, suffix, judge.url, usd=CAP_USD, at_cap="degrade")
        with worker_process(tmp_path, config) as worker:
            every = TRACES * len(EVALUATORS)
            scores = SCORES + suffix
            until(lambda: count_topic(kafka.bootstrap_servers, scores) >= every, 90, worker.died)
            assert worker.metric("assay_budget_spent_ratio") > 0.9
            assert worker.stop() == 0
        assert judge.billed_usd(0.25, 2.0) <= CAP_USD
    outcomes = read_outcomes(kafka.bootstrap_servers, SCORES + suffix)
    assert Counter(o.evaluator.name for o in outcomes) == dict.fromkeys(EVALUATORS, TRACES)
    refusals = Counter((o.outcome, o.flags.degraded) for o in _by(outcomes, "refusal"))
    assert refusals.keys() == {(Status.SCORED, False), (Status.SCORED, True)}
    relevances = {(o.outcome, o.reason) for o in _by(outcomes, "answer_relevance")}
    assert relevances == {(Status.SCORED, None), (Status.SKIPPED, Reason.BUDGET)}


def test_pause_keeps_the_rest_for_a_larger_cap(
    kafka: KafkaServer, suffix: str, tmp_path: Path
) -> None:
    """At the cap the judge lane stands still, code goes on, nothing fails; then all is made up."""
    kafka.create_topics({f"leases{suffix}": 1}, LEASES)
    produce(kafka.bootstrap_servers, SPANS + suffix, traces(TRACES))
    with JudgeProcess(latency_s=0.02) as judge:
        config = _config(kafka, suffix, judge.url, usd=CAP_USD, at_cap="pause")
        with worker_process(tmp_path, config) as worker:
            until(lambda: worker.metric("assay_budget_refusals_total") >= 1, 60, worker.died)
            until(lambda: _scored(worker, "pii") >= TRACES, 30, worker.died)
            paid = judge.calls()
            time.sleep(3)  # noqa: TID251  for what should not happen
            assert judge.calls() == paid
            assert worker.metric("assay_outcomes_total", outcome="failed") == 0
            assert worker.stop() == 0
        assert 0 < judge.billed_usd(0.25, 2.0) <= CAP_USD
        config = _config(kafka, suffix, judge.url, usd=1, at_cap="pause")
        with worker_process(tmp_path, config) as worker:
            every = TRACES * len(EVALUATORS)
            scores = SCORES + suffix
            until(lambda: count_topic(kafka.bootstrap_servers, scores) >= every, 90, worker.died)
            assert worker.stop() == 0
    outcomes = read_outcomes(kafka.bootstrap_servers, SCORES + suffix)
    assert len(outcomes) == len({o.evaluation_id for o in outcomes}) == every
    assert {o.outcome for o in outcomes} == {Status.SCORED}


def _scored(worker: WorkerProcess, evaluator: str) -> float:
    return worker.metric("assay_outcomes_total", evaluator=evaluator, outcome="scored")


def test_topics_makes_what_a_budget_needs(kafka: KafkaServer, tmp_path: Path) -> None:
    """`topics` asks for one partition, `--create` makes it: the books can be kept."""
    suffix = f"-{uuid4().hex[:8]}"
    with JudgeProcess(latency_s=0.0) as judge:
        config = _config(kafka, suffix, judge.url, usd=1, at_cap="skip")
        before = _assay(tmp_path, config, "topics")
        created = _assay(tmp_path, config, "topics", "--create")
        assert created.returncode == 0, created.stderr
        checked = _assay(tmp_path, config, "check", "--online")
    assert "│ 1 (no more) " in before.stdout
    assert checked.returncode == 0, checked.stderr
    assert "budget small: 1 USD a month" in checked.stdout + checked.stderr


def test_a_topic_that_cannot_keep_the_books_is_refused(
    kafka: KafkaServer, suffix: str, tmp_path: Path
) -> None:
    """Two partitions have no common order: exit code 2, and the topic is named."""
    kafka.create_topics({f"leases{suffix}": 2}, LEASES)
    config = _config(kafka, suffix, "http://127.0.0.1:9/v1", usd=1, at_cap="skip")
    ended = _assay(tmp_path, config, "run")
    assert ended.returncode == 2
    assert f"leases{suffix}" in ended.stderr
    assert "partition" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_judge_without_a_price_is_refused(
    kafka: KafkaServer, suffix: str, tmp_path: Path
) -> None:
    """A cap on what nobody can count: exit code 2, and the judge is named."""
    kafka.create_topics({f"leases{suffix}": 1}, LEASES)
    config = yaml.safe_load(_config(kafka, suffix, "http://127.0.0.1:9/v1", usd=1, at_cap="skip"))
    del config["judges"]["default"]["price"]
    ended = _assay(tmp_path, yaml.safe_dump(config), "run")
    assert ended.returncode == 2
    assert "price" in ended.stderr
    assert "default" in ended.stderr
    assert "Traceback" not in ended.stderr


def _assay(folder: Path, config: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = folder / "assay.yaml"
    path.write_text(config)
    return subprocess.run(
        [str(Path(sys.executable).with_name("assay")), *arguments, "--config", str(path)],
        env={**os.environ, "OPENAI_API_KEY": "test", "COLUMNS": "400"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
