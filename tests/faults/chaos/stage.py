"""Everything that a run needs, faultless until somebody does something: judge, ledger, workers."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faults.chaos.diagnosis import diagnose
from faults.chaos.faulty_judge import FaultyJudge
from faults.chaos.fleet import Fleet
from faults.chaos.ledger import LedgerProcess
from faults.chaos.obligations import EVALUATORS, LANES
from support.conservation import committed, ends
from support.kafka import KafkaServer
from support.workers import DEAD, SCORES, SPANS, config_yaml, until

IN_FLIGHT = 100
"""`limits.in_flight` of each lane of each worker."""
PARTITIONS = 6
STOP_LIMIT_S = 60.0
"""Within which a worker has to end after SIGTERM, its machine as busy as it is."""
_START_S = 120.0


@dataclass(frozen=True, slots=True)
class Stage:
    """A judge, a ledger and workers on some cluster.

    Attributes:
        groups: The consumer group of each lane.
        unsettled: What was still owed when it should not have been.
    """

    servers: str
    suffix: str
    judge: FaultyJudge
    ledger: LedgerProcess
    fleet: Fleet
    unsettled: list[str] = field(default_factory=list)

    @property
    def groups(self) -> dict[str, str]:
        """The consumer group of each lane."""
        return {lane: f"assay{self.suffix}.{lane}" for lane in LANES}

    def start(self, workers: int) -> None:
        """Start workers; returns when all are ready."""
        for member in [self.fleet.start() for _ in range(workers)]:
            member.worker.wait_ready(_START_S)

    def status(self) -> dict[str, Any]:
        """What the ledger says in between."""
        return self.ledger.ask(status=True)

    def settle(self, limit_s: float) -> float:
        """Wait until nothing is owed and all is committed; how long that took."""
        began = time.monotonic()
        try:
            until(self._is_done, limit_s)
        except AssertionError as error:
            topic, status = SPANS + self.suffix, self.status()
            owed = {k: status[k] for k in ("missing", "unacknowledged", "refused", "waits_for")}
            self.unsettled.append(
                f"after {limit_s:g} s without a fault not all is done: {error}; ledger: {owed}"
            )
            self.unsettled.extend(diagnose(self.servers, topic, self.groups, self.fleet))
        return time.monotonic() - began

    def _is_done(self) -> bool:
        self.fleet.look()
        status = self.status()
        if status["missing"] or status["unacknowledged"]:
            return False
        end = ends(self.servers, SPANS + self.suffix)
        groups = self.groups.values()
        return all(committed(self.servers, group, SPANS + self.suffix) == end for group in groups)

    def end(self, *, audit: bool = True) -> dict[str, Any]:
        """Stop all workers; the ledger's report, and with `audit` what was committed when."""
        self.fleet.stop_all(STOP_LIMIT_S)
        fleet = self.fleet
        faults = [kill.at_s for kill in fleet.kills] + fleet.overslept + fleet.losses()
        return self.ledger.ask(report={"groups": self.groups if audit else {}, "faults": faults})


@contextmanager
def on_kafka(
    kafka: KafkaServer, folder: Path, seed: int, *, latency_s: float = 0.1, **config: Any
) -> Iterator[Stage]:
    """A stage with topics of its own on a real broker."""
    suffix = f"-{seed}-{time.time_ns() // 1_000_000}"
    kafka.create_topics({SPANS + suffix: PARTITIONS, DEAD + suffix: 1})
    # The broker's clock, which also stamps commits: so the two can be compared.
    kafka.create_topics({SCORES + suffix: 3}, {"message.timestamp.type": "LogAppendTime"})
    with on_cluster(
        kafka.bootstrap_servers, suffix, folder, seed, latency_s=latency_s, **config
    ) as stage:
        yield stage


@contextmanager
def on_cluster(
    servers: str,
    suffix: str,
    folder: Path,
    seed: int,
    *,
    latency_s: float = 0.1,
    judge: Mapping[str, Any] | None = None,
    **config: Any,
) -> Iterator[Stage]:
    """A stage on topics that exist.

    Args:
        servers: Where the cluster is.
        suffix: What the names of topics and groups end with.
        folder: For the workers' configs and logs.
        seed: Of the traffic.
        latency_s: Of the judge.
        judge: More of `judges.default`.
        config: More sections of the workers' config.
    """
    with ExitStack() as stack:
        one = stack.enter_context(FaultyJudge(latency_s))
        ledger = stack.enter_context(LedgerProcess(servers, suffix, seed))
        default = {
            "model": "judge-1",
            "base_url": one.url,
            "max_concurrency": 50,
            "attempt_s": 5,
            "deadline_s": 15,
            **(judge or {}),
        }
        sections = {
            "limits": {"in_flight": IN_FLIGHT},
            "stop": {"drain_s": 3, "flush_s": 5},
            **config,
        }
        text = config_yaml(
            servers,
            evaluators=EVALUATORS,
            suffix=suffix,
            judges={"default": default},
            **sections,
        )
        yield Stage(servers, suffix, one, ledger, Fleet(folder, text, stack))


def broken(stage: Stage, report: Mapping[str, Any], *, is_calm: bool = True) -> list[str]:
    """Where the promise does not hold, repetitions left aside; empty where it does.

    Args:
        stage: What ran.
        report: The ledger's.
        is_calm: Every worker that left was told to. Else a commit below an earlier one is no fault:
            a client that was fenced joins anew and sends by itself again what it had under way. It
            tells the truth, so nothing is lost; but the next owner has begun below it.
    """
    commits = report["audit"]
    problems = [*stage.unsettled, *stage.fleet.faults]
    problems += [
        f"{what}: {report[what]} {report['examples']}"
        for what in ("missing", "strange", "corrupt", "two_ids")
        if report[what]
    ]
    if commits["early"] or (commits["backward"] and is_calm):
        problems.append(f"commits: {commits}")
    return problems
