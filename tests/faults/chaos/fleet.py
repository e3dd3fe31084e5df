"""The workers of a chaos run, what was done to them, and what they said of themselves."""

import re
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from support.workers import WorkerProcess, log_lines, worker_process

SESSION_S = 10.0
"""After which the group gives the partitions of a silent worker to others, under both protocols."""
_LAST_LOOK_S = 0.03
_TELLS_S = 10.0
"""Within which a worker that went on hears that its partitions are gone."""
_SAMPLE = re.compile(
    r'assay_outcomes_total\{evaluator="(\w+)",outcome="(\w+)",reason="(\w*)"\} (\S+)'
)
Statuses = Counter[tuple[str, str, str]]
"""Outcomes by evaluator, outcome and reason."""


@dataclass(slots=True)
class Member:
    """One worker of the fleet.

    Attributes:
        frozen_at: When SIGSTOP was sent (monotonic seconds); None: it was not, or SIGCONT was.
        is_leaving: It was told to end.
    """

    worker: WorkerProcess
    frozen_at: float | None = None
    is_leaving: bool = False

    @property
    def is_frozen(self) -> bool:
        """Whether it stands still."""
        return self.frozen_at is not None


@dataclass(frozen=True, slots=True)
class Kill:
    """One SIGKILL: when (Unix seconds), and what `assay_in_flight` said just before."""

    at_s: float
    in_flight: int


class Fleet:
    """Starts workers, ends them in every way, and notices when one ends by itself.

    Attributes:
        members: Those that run, in the order of their start.
        kills: Every SIGKILL.
        faults: What workers did that none may do: ended by themselves, or with a wrong code.
        counted: What the workers that left or were asked had counted as published.
        overslept: When workers went on that had been frozen for longer than their session.
        stops: How many were ended by SIGTERM, and how long the longest took.
    """

    def __init__(self, folder: Path, config: str, stack: ExitStack) -> None:
        self._folder = folder
        self._config = config
        self._stack = stack
        self._numbers = count()
        self._farewells: list[threading.Thread] = []
        self._all: list[WorkerProcess] = []
        self.members: list[Member] = []
        self.kills: list[Kill] = []
        self.faults: list[str] = []
        self.counted: Statuses = Counter()
        self.overslept: list[float] = []
        self.stops = 0
        self.longest_stop_s = 0.0

    def start(self) -> Member:
        """Start one more worker; returns at once."""
        context = worker_process(self._folder, self._config, name=f"worker-{next(self._numbers)}")
        member = Member(self._stack.enter_context(context))
        self._all.append(member.worker)
        self.members.append(member)
        return member

    def kill(self, member: Member) -> None:
        """SIGKILL, right after a look at what is in flight."""
        in_flight = 0 if member.is_frozen else int(member.worker.metric("assay_in_flight"))
        self.members.remove(member)
        self.kills.append(Kill(time.time(), in_flight))
        member.worker.kill()

    def freeze(self, member: Member) -> None:
        """SIGSTOP: it stands still, as on a machine that swaps or moves."""
        member.frozen_at = time.monotonic()
        member.worker.process.send_signal(signal.SIGSTOP)

    def thaw(self, member: Member) -> None:
        """SIGCONT, if it still is there and frozen."""
        if member in self.members and member.frozen_at is not None:
            if time.monotonic() - member.frozen_at > SESSION_S:
                self.overslept.append(time.time())
            member.frozen_at = None
            member.worker.process.send_signal(signal.SIGCONT)

    def stop(self, member: Member, limit_s: float) -> threading.Thread:
        """SIGTERM; a thread reads its metrics until the end, and holds it to its exit code."""
        member.is_leaving = True
        self.stops += 1
        farewell = threading.Thread(target=self._farewell, args=(member, limit_s))
        farewell.start()
        self._farewells.append(farewell)
        return farewell

    def _farewell(self, member: Member, limit_s: float) -> None:
        worker = member.worker
        began = time.monotonic()
        last = worker.get("/metrics")[1]
        worker.process.send_signal(signal.SIGTERM)
        while worker.process.poll() is None:
            last = worker.get("/metrics")[1] or last
            if time.monotonic() - began > limit_s:
                self.faults.append(f"{worker.log.name}: it did not end within {limit_s:g} s")
                worker.kill()
                break
            time.sleep(_LAST_LOOK_S)  # noqa: TID251  its last count is wanted
        self.longest_stop_s = max(self.longest_stop_s, time.monotonic() - began)
        # Python itself is still starting where nothing was served: there is nothing to drain.
        is_early = not last and worker.process.returncode == -signal.SIGTERM
        if worker.process.returncode != 0 and not is_early:
            self.faults.append(f"{worker.log.name}: {worker.died()}")
        self.counted += _statuses(last)
        self.members.remove(member)

    def look(self) -> list[Member]:
        """Take out those that have ended by themselves; a fault each.

        It is none that one which was started while the broker was away gave up after 30 s.
        """
        gone = [m for m in self.members if not m.is_leaving and m.worker.died()]
        for member in gone:
            why = member.worker.died() or ""
            if "no broker answers" not in why:
                self.faults.append(f"{member.worker.log.name}: {why}")
            self.members.remove(member)
        return gone

    def stop_all(self, limit_s: float) -> None:
        """SIGTERM to all, and wait for all."""
        for member in tuple(self.members):
            if not member.is_leaving:
                self.stop(member, limit_s)
        self.join()

    def join(self) -> None:
        """Wait for those that were told to end."""
        for farewell in self._farewells:
            farewell.join()
        self._farewells.clear()

    def losses(self) -> list[float]:
        """When partitions were lost to another worker without a drain, Unix seconds, by the logs.

        To those that lose them it is as a crash: what they had in flight may be published twice.
        Under the classic protocol the client may call a loss a revocation, so those that overslept
        are not asked (and their log lines are left out): they are counted for themselves.
        """
        told = [
            datetime.fromisoformat(line["ts"]).timestamp()
            for worker in self._all
            for line in log_lines(worker)
            if line.get("event") == "partitions_revoked" and line["lost"]
        ]
        return [at for at in told if not any(0 < at - woke < _TELLS_S for woke in self.overslept)]

    def judged_again(self) -> int:
        """Evaluations that were cut off at a drain's end, by the logs."""
        return sum(
            line["judged_again"]
            for worker in self._all
            for line in log_lines(worker)
            if line.get("event") == "partitions_revoked"
        )


def _statuses(metrics: str) -> Statuses:
    found: Statuses = Counter()
    for evaluator, outcome, reason, number in _SAMPLE.findall(metrics):
        found[evaluator, outcome, reason] += int(float(number))
    return +found
