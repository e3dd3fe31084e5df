"""Attack: nothing but what every operator does, very often. The sizes are those of a quick check.

For the long ones: `ASSAY_RESTARTS=200`, `ASSAY_STORM=50`, `ASSAY_OUTAGE_S=600`, and
`make test SUITE=chaos`.
"""

import os
import time
from pathlib import Path

import pytest
from faults.chaos.faulty_judge import NONE
from faults.chaos.fleet import Member
from faults.chaos.obligations import JUDGED
from faults.chaos.stage import IN_FLIGHT, STOP_LIMIT_S, Stage, broken, on_kafka
from support.conservation import peak_rss_mb
from support.kafka import KafkaServer
from support.workers import until

RESTARTS = int(os.environ.get("ASSAY_RESTARTS") or 6)
STORM = int(os.environ.get("ASSAY_STORM") or 8)
OUTAGE_S = float(os.environ.get("ASSAY_OUTAGE_S") or 15)
DRAIN_S = 2
READY_S = 180.0

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(7200)]


def test_rolling_restarts_publish_nothing_twice(kafka: KafkaServer, tmp_path: Path) -> None:
    """Single spans, and records of 300 evaluations that take longer than the drain lets them."""
    slow = {"max_concurrency": 30}
    stop = {"drain_s": DRAIN_S, "flush_s": 5}
    with on_kafka(kafka, tmp_path, 1, latency_s=0.4, judge=slow, stop=stop) as stage:
        stage.start(3)
        stage.ledger.ask(rate=12)
        for number in range(RESTARTS):
            leaving = stage.fleet.members[0]
            stage.fleet.start().worker.wait_ready(READY_S)
            if number % 2 == 0:
                stage.ledger.ask(burst=300)
                until(lambda: _in_flight(_busiest(stage)) > IN_FLIGHT / 2, READY_S)
                leaving = _busiest(stage)
            stage.fleet.stop(leaving, STOP_LIMIT_S).join()
        stage.ledger.ask(rate=0)
        stage.settle(300)
        report = stage.end()
        again = stage.judge.calls() - len(JUDGED) * report["evaluations"] // 4
        print(  # noqa: T201
            f"clean stops: {stage.fleet.stops}, evaluations {report['evaluations']}, repeated "
            f"{report['repeated']}, missing {report['missing']}, judge calls made again {again}, "
            f"the longest stop {stage.fleet.longest_stop_s:.1f} s"
        )
        assert not broken(stage, report)
        assert report["repeated"] == 0
        assert stage.fleet.judged_again() > 0, "no drain cut anything off: nothing was tested"


def test_a_rebalance_storm_lets_work_go_on(kafka: KafkaServer, tmp_path: Path) -> None:
    """Every 2 s a worker joins or leaves; half of the steady progress is the least."""
    narrow = {"max_concurrency": 5}
    with on_kafka(kafka, tmp_path, 2, latency_s=0.4, judge=narrow) as stage:
        stage.start(2)
        stage.ledger.ask(rate=60)  # more than the judge lets two workers do: 25 a second
        until(lambda: stage.status()["judged"] > 50, 60)
        steady = _judged_a_second(stage, 10)
        began, before = time.monotonic(), stage.status()["judged"]
        for number in range(STORM):
            if number % 2 == 0:
                guest = stage.fleet.start()
            else:
                guest.worker.wait_ready(READY_S)
                stage.fleet.stop(guest, STOP_LIMIT_S)
            time.sleep(max(0.0, began + 2 * (number + 1) - time.monotonic()))  # noqa: TID251
        stormy = (stage.status()["judged"] - before) / (time.monotonic() - began)
        stage.ledger.ask(rate=0)
        stage.fleet.join()
        stage.settle(600)
        report = stage.end()
        print(  # noqa: T201
            f"storm of {STORM}: judged a second {steady:.1f} before, {stormy:.1f} in it "
            f"({stormy / steady:.0%}); missing {report['missing']}, repeated {report['repeated']}, "
            f"commits {report['audit']}"
        )
        assert not broken(stage, report)
        assert report["repeated"] == 0
        assert stormy >= 0.5 * steady


def test_a_judge_that_is_down_costs_nothing(kafka: KafkaServer, tmp_path: Path) -> None:
    """Nothing fails, nothing becomes a dead letter, memory stays, and then it goes on at once."""
    with on_kafka(kafka, tmp_path, 3) as stage:
        stage.start(1)
        (worker,) = (member.worker for member in stage.fleet.members)
        stage.ledger.ask(rate=10)
        until(lambda: stage.status()["judged"] > 100, 60)
        steady = _judged_a_second(stage, 5)
        stage.judge.switch("down")
        time.sleep(min(30.0, OUTAGE_S / 3))  # noqa: TID251  until everything waits that will
        early_mb, before = peak_rss_mb(worker), stage.status()
        time.sleep(OUTAGE_S - min(30.0, OUTAGE_S / 3))  # noqa: TID251
        late_mb, after = peak_rss_mb(worker), stage.status()
        assert after["outcomes"] > before["outcomes"], "the code lane stands still as well"
        assert after["judged"] == before["judged"]
        stage.judge.switch(NONE)
        back = time.monotonic()
        until(lambda: _judged_a_second(stage, 1) >= steady, 60, worker.died)
        full_s = time.monotonic() - back
        stage.ledger.ask(rate=0)
        stage.settle(600)
        status, report = stage.status(), stage.end()
        print(  # noqa: T201
            f"judge down for {OUTAGE_S:g} s: failed {status['failed']}, peak RSS {early_mb:.0f} MB "
            f"after a third of it and {late_mb:.0f} MB at its end, judged {steady:.1f} a second "
            f"before and again after {full_s:.1f} s, all done {time.monotonic() - back:.0f} s later"
        )
        assert not broken(stage, report)
        assert status["failed"] == 0
        assert status["letters"] == status["poison"]
        assert late_mb - early_mb < 20


def _busiest(stage: Stage) -> Member:
    return max(stage.fleet.members, key=_in_flight)


def _in_flight(member: Member) -> float:
    return member.worker.metric("assay_in_flight")


def _judged_a_second(stage: Stage, seconds: float) -> float:
    began, before = time.monotonic(), stage.status()["judged"]
    time.sleep(seconds)  # noqa: TID251  a rate takes time
    return float((stage.status()["judged"] - before) / (time.monotonic() - began))
