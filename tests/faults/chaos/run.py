"""One chaos run: traffic, faults drawn by a seed, then none, and what the ledger says then."""

import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.chaos import stage as stages
from faults.chaos.faulty_judge import NONE
from faults.chaos.fleet import Fleet
from faults.chaos.nemesis import Nemesis
from faults.chaos.obligations import LANES
from faults.chaos.stage import IN_FLIGHT, PARTITIONS, Stage
from support.kafka import KafkaServer
from support.lanes import hasten
from support.workers import DEAD, SCORES, SPANS

from workers.demo.broker import MockCluster

WORKERS = 3
_CALM_S = 180.0
_FRESH_S = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What one run is.

    Attributes:
        seed: Everything that is drawn comes from it.
        seconds: How long things go wrong.
        rate: Spans a second; each is evaluated by `EVALUATORS`.
        kill: Whether workers are killed too. Without, their counters must add up.
    """

    seed: int
    seconds: float
    rate: float = 20.0
    kill: bool = True

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.seconds:g} s, {'with' if self.kill else 'without'} SIGKILL"


@dataclass(frozen=True, slots=True)
class Result:
    """What one run came to.

    Attributes:
        report: The ledger's, see `ledger.py`.
        kills: SIGKILLs.
        losses: How often a lane lost partitions without a drain.
        overslept: How often a worker was frozen past its session, and went on.
        in_flight: Sum of `assay_in_flight` just before the kills.
        bound: Most outcomes that may have been published again: for each of these what may have
            been in flight, and what was published in the half second before. None
            for the mock cluster: when a connection breaks, its coordinator gives a partition away
            before the last owner has let go, so both publish (seen; Apache Kafka waits).
        unequal: Where the workers' counters say something else than the topic; None: not compared.
        broken: See `stage.broken`.
        calm_s: From the last fault until nothing was owed and all was committed.
        fresh_s: From sending a span then until its outcomes were there.
        judged_again: Evaluations that were cut off at the end of a drain.
    """

    plan: Plan
    report: Mapping[str, Any]
    done: Mapping[str, int]
    log: list[str]
    kills: int
    losses: int
    overslept: int
    in_flight: int
    bound: int | None
    unequal: Mapping[str, tuple[int, int]] | None
    broken: list[str]
    calm_s: float
    fresh_s: float
    stops: int
    longest_stop_s: float
    judged_again: int

    @property
    def problems(self) -> list[str]:
        """Where the promise does not hold; empty where it does."""
        found, problems = self.report, list(self.broken)
        if self.bound is not None and found["repeated"] > self.bound:
            problems.append(f"repeated: {found['repeated']}, at most {self.bound} may be")
        if self.unequal:
            problems.append(f"metrics against the topic: {self.unequal}")
        return problems

    def __str__(self) -> str:
        found, commits = self.report, self.report["audit"]
        metrics = "unequal" if self.unequal else "equal"
        if self.unequal is None:
            metrics = "not compared: counters die with their process"
        rows = {
            "done": dict(sorted(self.done.items())),
            "evaluations, outcomes": f"{found['evaluations']}, {found['outcomes']}",
            "ended as": _by_status(found["statuses"]),
            "missing": found["missing"],
            "strange, corrupt": f"{found['strange']}, {found['corrupt']}",
            "repeated": f"{found['repeated']}, under another id {found['two_ids']}",
            "most that may be": f"{self.bound}: {self.kills} kills, {self.overslept} overslept, "
            f"{self.losses} other losses",
            "published first": _by_time(found["repeats"], found["began_ms"]),
            "in flight at kills": self.in_flight,
            "poison, dead letters": f"{found['poison']}, {found['letters']}",
            "commits": commits["commits"],
            "before outcomes": commits["early"],
            "backward": commits["backward"],
            "metrics and topic": metrics,
            "clean stops": f"{self.stops}, the longest {self.longest_stop_s:.1f} s",
            "cut off by drains": self.judged_again,
            "until all was done": f"{self.calm_s:.1f} s without faults",
            "a fresh span": f"{self.fresh_s:.1f} s",
        }
        lines = [f"chaos: {self.plan}", *(f"  {name:22}{row}" for name, row in rows.items())]
        return "\n".join([*lines, *(f"  PROBLEM {problem}" for problem in self.problems)])


def on_kafka(plan: Plan, kafka: KafkaServer, folder: Path) -> Result:
    """Run against a real broker, which is restarted too."""
    with stages.on_kafka(kafka, folder, plan.seed) as stage:
        nemesis = Nemesis(plan.seed, stage.fleet, stage.judge, workers=WORKERS)
        nemesis.attack_workers(kill=plan.kill)
        nemesis.attack_judge()
        nemesis.attack_kafka(kafka)
        return _carry_out(plan, stage, nemesis, is_real=True)


def on_mock(plan: Plan, folder: Path) -> Result:
    """Run against a mock cluster of three brokers, whose leaders and coordinators move."""
    topics = {SPANS: PARTITIONS, SCORES: 3, DEAD: 1}
    with MockCluster(brokers=3) as cluster:
        hasten(cluster)
        for topic, partitions in topics.items():
            cluster.create_topic(topic, partitions)
        with stages.on_cluster(cluster.bootstrap_servers, "", folder, plan.seed) as stage:
            nemesis = Nemesis(plan.seed, stage.fleet, stage.judge, workers=WORKERS)
            nemesis.attack_workers(kill=plan.kill)
            nemesis.attack_mock(cluster, topics, sorted(stage.groups.values()))
            return _carry_out(plan, stage, nemesis, is_real=False)


def _carry_out(plan: Plan, stage: Stage, nemesis: Nemesis, *, is_real: bool) -> Result:
    fleet = stage.fleet
    stage.start(WORKERS)
    stage.ledger.ask(rate=plan.rate)
    nemesis.rage(plan.seconds)
    stage.judge.switch(NONE)
    stage.ledger.ask(rate=0)
    began = time.monotonic()
    fleet.join()
    stage.settle(_CALM_S)
    calm_s = time.monotonic() - began
    stage.ledger.ask(burst=1)
    fresh_s = stage.settle(_FRESH_S)
    report = stage.end(audit=is_real)
    losses = len(fleet.losses())
    return Result(
        plan,
        report,
        nemesis.done,
        nemesis.log,
        kills=len(fleet.kills),
        losses=losses,
        overslept=len(fleet.overslept),
        in_flight=sum(kill.in_flight for kill in fleet.kills),
        bound=_bound(report["half_seconds"], fleet, losses) if is_real else None,
        unequal=None if plan.kill else _unequal(fleet.counted, report["statuses"]),
        broken=stages.broken(stage, report, is_calm=False),
        calm_s=calm_s,
        fresh_s=fresh_s,
        stops=fleet.stops,
        longest_stop_s=fleet.longest_stop_s,
        judged_again=fleet.judged_again(),
    )


def _bound(half_seconds: int, fleet: Fleet, losses: int) -> int:
    """A loss is one lane's; a kill takes all of them, and so does a sleep."""
    workers = len(fleet.kills) + len(fleet.overslept)
    return half_seconds + IN_FLIGHT * (len(LANES) * workers + losses)


def _unequal(
    counted: Mapping[tuple[str, str, str], int], statuses: list[list[Any]]
) -> dict[str, tuple[int, int]]:
    on_topic = Counter({(name, outcome, reason): n for name, outcome, reason, n in statuses})
    return {
        " ".join(key): (counted.get(key, 0), on_topic[key])
        for key in {*counted, *on_topic}
        if counted.get(key, 0) != on_topic[key]
    }


def _by_time(repeats: list[tuple[int, int, str]], began_ms: int) -> str:
    """When what was repeated had been published first: how many in which 5 s of the run."""
    bins = Counter(int((first - began_ms) / 5000) * 5 for first, _, _ in repeats)
    return ", ".join(f"{count} at {at} s" for at, count in sorted(bins.items()))


def _by_status(statuses: list[list[Any]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for _, outcome, reason, number in statuses:
        found[f"{outcome}({reason})" if reason else outcome] += number
    return dict(found)


def plan_from_environment() -> Plan:
    """The run that `ASSAY_CHAOS_SEED` and `ASSAY_CHAOS_SECONDS` ask for; else a new seed, 60 s."""
    seed = int(os.environ.get("ASSAY_CHAOS_SEED") or time.time_ns() % 1_000_000)
    return Plan(seed, float(os.environ.get("ASSAY_CHAOS_SECONDS") or 60))
