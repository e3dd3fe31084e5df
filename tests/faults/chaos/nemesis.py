"""What goes wrong, and when: drawn by a seed, done to workers, brokers and the judge."""

import heapq
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import count

from confluent_kafka import KafkaError
from faults.chaos.faulty_judge import FAULTS, NONE, FaultyJudge
from faults.chaos.fleet import SESSION_S, Fleet, Member
from faults.chaos.stage import STOP_LIMIT_S
from support.kafka import KafkaServer

from workers.demo.broker import MockCluster

_TICK_S = 0.1
_BROKER_S = 300.0
"""How long a broker may take to come back where this and other things keep its machine busy."""
_PAUSE_S = (1.0, 6.0)
_MOST_WORKERS = 5

_API_KEYS = {"produce": 0, "fetch": 1, "commit": 8, "offsets": 9, "heartbeat": 68}
_ERRORS: dict[str, Sequence[int]] = {
    "produce": (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.NOT_ENOUGH_REPLICAS),
    "fetch": (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART),
    "commit": (KafkaError.NOT_COORDINATOR, KafkaError.REBALANCE_IN_PROGRESS),
    "offsets": (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS),
    "heartbeat": (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS),
}

Action = Callable[[], str]
"""Does one thing and says what it was; "" where there was nothing to do it to."""


class Nemesis:
    """Draws an action every few moments, does it, and undoes it later.

    Attributes:
        done: How often each kind of thing was done.
        log: What was done, in order, with the seconds since the start.
    """

    def __init__(self, seed: int, fleet: Fleet, judge: FaultyJudge, *, workers: int) -> None:
        self._random = random.Random(seed)  # noqa: S311  a test's faults
        self._fleet = fleet
        self._judge = judge
        self._workers = workers
        self._began = time.monotonic()
        self._undo: list[tuple[float, int, Callable[[], object]]] = []
        self._tickets = count()
        self._judge_until = 0.0
        self._actions: list[tuple[int, Action]] = []
        self.done: Counter[str] = Counter()
        self.log: list[str] = []

    # --- what may go wrong ---

    def attack_workers(self, *, kill: bool) -> None:
        """From now on workers are frozen, stopped and joined; with `kill`, killed as well."""
        self._actions += [(3, self._freeze), (3, self._stop), (2, self._grow)]
        if kill:
            self._actions.append((6, self._kill))

    def attack_judge(self) -> None:
        """From now on the judge limits, fails, hangs, is away or slow."""
        self._actions.append((4, self._spoil_judge))

    def attack_kafka(self, kafka: KafkaServer) -> None:
        """From now on the broker is restarted, cleanly or not."""
        self._actions.append((1, lambda: self._restart(kafka)))

    def attack_mock(self, cluster: MockCluster, topics: dict[str, int], groups: list[str]) -> None:
        """From now on leaders and coordinators move, requests fail, answers take their time."""
        topic_list = sorted(topics)

        def move_leader() -> str:
            topic = self._random.choice(topic_list)
            partition, broker = self._random.randrange(topics[topic]), self._broker()
            cluster.set_leader(topic, partition, broker)
            return f"leader of {topic}[{partition}] to {broker}"

        def move_coordinator() -> str:
            group, broker = self._random.choice(groups), self._broker()
            cluster.set_coordinator(group, broker)
            return f"coordinator of {group} to {broker}"

        def refuse() -> str:
            what = self._random.choice(sorted(_ERRORS))
            codes = self._random.choices(_ERRORS[what], k=self._random.randint(1, 5))
            cluster.push_errors(_API_KEYS[what], *codes)
            return f"refuse {what} {codes}"

        def delay() -> str:
            broker, ms = self._broker(), self._random.choice((50, 200, 600))
            cluster.set_rtt(broker, ms)
            self._later(self._random.uniform(1, 5), lambda: cluster.set_rtt(broker, 0))
            return f"delay {broker} by {ms} ms"

        def disconnect() -> str:
            broker = self._broker()
            cluster.set_down(broker)
            self._later(self._random.uniform(0.5, 3), lambda: cluster.set_up(broker))
            return f"disconnect {broker}"

        self._actions += [(3, move_leader), (3, move_coordinator), (4, refuse), (2, delay)]
        self._actions.append((2, disconnect))

    def _broker(self) -> int:
        return self._random.randint(1, 3)

    # --- the run ---

    def rage(self, seconds: float) -> None:
        """Do things for so long, then undo all: what follows happens without faults."""
        self._began = time.monotonic()
        until = self._began + seconds
        due = self._began
        while (now := time.monotonic()) < until:
            while self._undo and self._undo[0][0] <= now:
                heapq.heappop(self._undo)[2]()
            self._mend()
            if now >= due:
                self._act()
                due = time.monotonic() + self._random.uniform(*_PAUSE_S)
            time.sleep(_TICK_S)  # noqa: TID251  real time
        while self._undo:
            heapq.heappop(self._undo)[2]()
        self._mend()

    def _act(self) -> None:
        weights = [weight for weight, _ in self._actions]
        (action,) = self._random.choices([one for _, one in self._actions], weights)
        what = action()
        if what:
            self.log.append(f"{time.monotonic() - self._began:6.1f} {what}")
            self.done[what.split(" ", 1)[0]] += 1

    def _mend(self) -> None:
        """Start as many workers as there should be, as a supervisor does."""
        self._fleet.look()
        working = [member for member in self._fleet.members if not member.is_leaving]
        for _ in range(self._workers - len(working)):
            self._fleet.start()

    def _later(self, seconds: float, undo: Callable[[], object]) -> None:
        heapq.heappush(self._undo, (time.monotonic() + seconds, next(self._tickets), undo))

    def _one(self, *, frozen: bool = False) -> Member | None:
        there = [
            member
            for member in self._fleet.members
            if not member.is_leaving and (frozen or not member.is_frozen)
        ]
        return self._random.choice(there) if there else None

    # --- the actions ---

    def _kill(self) -> str:
        member = self._one(frozen=True)
        if member is None:
            return ""
        self._fleet.kill(member)
        return f"kill {member.worker.log.stem}"

    def _freeze(self) -> str:
        member = self._one()
        if member is None:
            return ""
        is_long = self._random.random() < 0.3
        seconds = self._random.uniform(SESSION_S + 1, SESSION_S + 5) if is_long else 2.0
        self._fleet.freeze(member)
        self._later(seconds, lambda: self._fleet.thaw(member))
        return f"freeze {member.worker.log.stem} for {seconds:.0f} s"

    def _stop(self) -> str:
        member = self._one()
        if member is None:
            return ""
        self._fleet.stop(member, STOP_LIMIT_S)
        return f"stop {member.worker.log.stem}"

    def _grow(self) -> str:
        if len(self._fleet.members) >= _MOST_WORKERS:
            return ""
        return f"join {self._fleet.start().worker.log.stem}"

    def _spoil_judge(self) -> str:
        if time.monotonic() < self._judge_until:
            return ""
        fault, seconds = self._random.choice(FAULTS), self._random.uniform(2, 8)
        self._judge_until = time.monotonic() + seconds
        self._judge.switch(fault)
        self._later(seconds, lambda: self._judge.switch(NONE))
        return f"judge {fault} for {seconds:.0f} s"

    def _restart(self, kafka: KafkaServer) -> str:
        if not kafka.is_running:
            return ""
        is_crash = self._random.random() < 0.5
        (kafka.kill if is_crash else kafka.stop)()
        # In this thread: what it starts dies with the thread that has started it.
        self._later(self._random.uniform(0, 4), lambda: kafka.start(_BROKER_S))
        return f"restart the broker, {'killed' if is_crash else 'stopped'}"
