"""A cap under fire: workers that share a budget, some of them killed, and what the judge billed."""

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

from support.conservation import JudgeProcess, committed, ends
from support.kafka import KafkaServer
from support.spans import produce, traces
from support.workers import DEAD, SCORES, SPANS, WorkerProcess, config_yaml, until, worker_process

INPUT_USD, OUTPUT_USD = 0.25, 2.0
"""Prices of a million tokens."""
CALL_USD = (1000 * INPUT_USD + 100 * OUTPUT_USD) / 1e6
"""What the judge bills for a call: 1000 tokens of prompt, 100 of answer."""
LEASES = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "LogAppendTime",
    "retention.ms": "-1",
}


@dataclass(frozen=True, slots=True)
class Spent:
    """What a run came to.

    Attributes:
        usd: By the judge's own count.
        calls: Requests that the judge got.
        kills: Workers that were killed.
        seconds: From the first span to the last outcome.
    """

    usd: float
    calls: int
    kills: int
    seconds: float


def run(
    kafka: KafkaServer,
    *,
    usd: float,
    lease: float = 0.005,
    workers: int = 3,
    kills: int = 0,
    latency_s: float = 0.02,
    limit_s: float = 600.0,
) -> Spent:
    """Send more than the cap can pay for, kill workers on the way, and wait until all is done."""
    suffix = f"-{uuid4().hex[:8]}"
    servers = kafka.bootstrap_servers
    kafka.create_topics({SPANS + suffix: 6, SCORES + suffix: 6, DEAD + suffix: 1})
    kafka.create_topics({f"leases{suffix}": 1}, LEASES)
    affordable = int(usd / CALL_USD)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        judge = stack.enter_context(JudgeProcess(latency_s))
        config = config_yaml(
            servers,
            judge_url=judge.url,
            evaluators=["answer_relevance"],
            suffix=suffix,
            kafka={"leases": f"leases{suffix}"},
            judges={
                "default": {
                    "model": "judge-1",
                    "base_url": judge.url,
                    "max_output_tokens": 100,
                    "price": {"input_usd_per_mtok": INPUT_USD, "output_usd_per_mtok": OUTPUT_USD},
                }
            },
            budgets=[{"name": "b", "usd": usd, "per": "month", "at_cap": "skip", "lease": lease}],
            limits={"in_flight": 50},
        )
        running: list[WorkerProcess] = []

        def start() -> None:
            running.append(stack.enter_context(worker_process(folder, config)))

        def has_died() -> str | None:
            return next((why for worker in running if (why := worker.died())), None)

        def has_made(calls: int) -> bool:
            return judge.calls() >= calls

        for _ in range(workers):
            start()
        for worker in running:
            worker.wait_ready(120)
        produce(servers, SPANS + suffix, list(traces(affordable + affordable // 2)))
        began = time.monotonic()
        for kill in range(kills):
            enough = affordable * (kill + 1) // (kills + 2)
            until(partial(has_made, enough), limit_s, has_died)
            running.pop(0).kill()
            start()
        group = f"assay{suffix}.judge"

        def is_done() -> bool:
            return committed(servers, group, SPANS + suffix) == ends(servers, SPANS + suffix)

        until(is_done, limit_s, has_died)
        seconds = time.monotonic() - began
        for worker in running:
            assert worker.stop() == 0, worker.log.read_text()[-2000:]
        return Spent(judge.billed_usd(INPUT_USD, OUTPUT_USD), judge.calls(), kills, seconds)
