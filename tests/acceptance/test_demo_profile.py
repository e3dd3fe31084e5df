"""The demo profile of compose.yaml without its containers: its parts and configs, on real ones.

Traffic generator, collector, Kafka, the worker, the judge lane's worker and the stand-in judge,
with the configs of `deploy/`; only addresses are those of this machine.
"""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.collector import Collector
from support.kafka import KafkaServer
from support.processes import free_ports, spawn, stop
from support.workers import count_topic, read_outcomes, until, worker_process

from schemas.outcome import Outcome
from schemas.reasons import Status

pytestmark = [pytest.mark.slow, pytest.mark.collector, pytest.mark.timeout(240)]

DEPLOY = Path(__file__).parents[2] / "deploy"
SECONDS, PER_SECOND = 12, 5
CODE = ("pii", "secrets", "refusal")
JUDGED = ("answer_relevance", "groundedness", "toxicity")


@contextmanager
def _part(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m workers.demo` with these arguments, ended at the end."""
    command = [sys.executable, "-m", "workers.demo", *arguments]
    process = spawn(command, log=folder / f"{arguments[0]}.log")
    try:
        yield process
    finally:
        stop(process)


def _config(name: str, addresses: dict[str, str]) -> str:
    text = (DEPLOY / name).read_text()
    for service, address in addresses.items():
        text, count = re.subn(rf"\b{service}:\d+", address, text)
        assert count, f"{name} does not name the service {service}"
    return text


def _name(outcome: Outcome) -> tuple[str | None, str]:
    return outcome.subject.service, outcome.evaluator.name


def test_the_demo_is_judged_once_by_each_evaluator(
    kafka: KafkaServer, collector: Callable[[str], Collector], tmp_path: Path
) -> None:
    """Code and judge lane run in workers of their own; together they miss and repeat nothing."""
    servers = kafka.bootstrap_servers
    kafka.create_topics({"otlp_spans": 3, "assay.scores": 1, "assay.dead_letters": 1})
    endpoint = collector("otlp_spans").endpoint
    (judge_port,) = free_ports(1)
    judge = f"127.0.0.1:{judge_port}"
    addresses = {"kafka": servers, "collector": endpoint.removeprefix("http://")}
    worker_config = _config("assay.yaml", addresses)
    demo_config = _config("demo.yaml", addresses | {"judge": judge})
    with (
        _part(tmp_path, "judge", "--port", str(judge_port)),
        worker_process(tmp_path, worker_config) as worker,
        worker_process(tmp_path, demo_config, arguments=["--lane", "judge"]) as judging,
    ):
        for one in (worker, judging):
            one.wait_ready(60)
        arguments = ["--endpoint", endpoint, "--rounds", "1"]
        arguments += ["--seconds", str(SECONDS), "--rate", str(PER_SECOND)]
        with _part(tmp_path, "traffic", *arguments) as traffic:
            assert traffic.wait(60) == 0, (tmp_path / "traffic.log").read_text()
        calls = SECONDS * PER_SECOND
        until(lambda: worker.metric("assay_llm_calls_total") >= calls, 30, worker.died)
        until(lambda: worker.metric("assay_outcomes_total") >= 3 * calls, 30, worker.died)
        until(lambda: _is_judged(read_outcomes(servers)), 60, judging.died)
        assert judging.metric("assay_llm_calls_total") == 0, "calls are counted twice"
    outcomes = read_outcomes(servers)
    assert len({outcome.evaluation_id for outcome in outcomes}) == len(outcomes)
    assert Status.FAILED not in {outcome.outcome for outcome in outcomes}
    by_name = Counter(map(_name, outcomes))
    for evaluator in CODE:
        assert by_name["support-bot", evaluator] + by_name["shop-assistant", evaluator] == calls
    # Half of the shop's traces are sampled, and one evaluator judges them.
    assert 0 < by_name["shop-assistant", "answer_relevance"] < by_name["shop-assistant", "pii"]
    assert count_topic(servers, "assay.dead_letters") == 0


def _is_judged(outcomes: list[Outcome]) -> bool:
    """Whether each judged evaluator has said something of each call of support-bot."""
    by_name = Counter(map(_name, outcomes))
    calls = by_name["support-bot", CODE[0]]
    return all(by_name["support-bot", evaluator] == calls for evaluator in JUDGED)
