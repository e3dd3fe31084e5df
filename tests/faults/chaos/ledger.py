"""The ledger: a process that is never faulted; it issues spans and reads what becomes of them.

As a process it takes one JSON object a line on stdin and answers each with one line: see `_Ledger`.
"""

import argparse
import json
import select
import subprocess
import sys
import time
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import orjson
from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    Message,
    Producer,
    TopicPartition,
)
from faults.chaos.commit_log import audit, finished_by_record, read_commits
from faults.chaos.obligations import JUDGED, LANES, Issue, Obligations, Owed

_TICK_S = 0.05
_ANSWER_S = 120.0
_HALF_SECOND_MS = 500
_EXAMPLES = 5


class LedgerProcess:
    """The ledger as its user sees it; a context manager."""

    def __init__(self, bootstrap_servers: str, suffix: str, seed: int) -> None:
        """Start it; returns at once."""
        command = [sys.executable, __file__, "--", bootstrap_servers, suffix, str(seed)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, **question: Any) -> dict[str, Any]:
        """Put one question; the answer.

        Raises:
            AssertionError: The ledger has ended, and with it the run.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the ledger has ended with {self._process.wait(10)}"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=20)  # it ends with its stdin


class _Ledger:
    """Issues records at a rate, and keeps the books.

    Questions: `{"rate": spans a second}`, `{"burst": spans in one record}`, `{"status": true}`,
    `{"report": {"groups": {lane: group}, "faults": [Unix seconds]}}`.
    """

    def __init__(self, bootstrap_servers: str, suffix: str, seed: int) -> None:
        self._servers = bootstrap_servers
        self._spans = f"otlp_spans{suffix}"
        self._scores, self._dead = f"assay.scores{suffix}", f"assay.dead_letters{suffix}"
        self._books = Obligations(seed, self._spans)
        self._rate = 0.0
        self._credit = 0.0
        self._unacknowledged = 0
        self._began = time.time()
        self._refused = 0
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                # What is not certain to be on the topic could be owed or not: there is no such.
                "message.timeout.ms": 600_000,
                "partitioner": "murmur2_random",
                "log_level": 0,
            }
        )
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": f"ledger-{uuid4().hex}",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "log_level": 0,
            }
        )
        self._follow()

    def _follow(self) -> None:
        found = self._consumer.list_topics(timeout=20).topics
        self._consumer.assign(
            [
                TopicPartition(topic, index, OFFSET_BEGINNING)
                for topic in (self._scores, self._dead)
                for index in found[topic].partitions
            ]
        )

    def run(self) -> None:
        """Answer until stdin ends."""
        before = time.monotonic()
        while True:
            now = time.monotonic()
            self._credit += (now - before) * self._rate
            before = now
            while self._credit > 0:
                self._credit -= max(1, len(self._send(self._books.issue()).spans))
            self._producer.poll(0)
            self._read()
            if select.select([sys.stdin], [], [], 0)[0]:
                line = sys.stdin.readline()
                if not line:
                    return
                print(json.dumps(self._answer(json.loads(line))), flush=True)  # noqa: T201

    def _send(self, issue: Issue) -> Issue:
        def acknowledged(error: KafkaError | None, message: Message) -> None:
            self._unacknowledged -= 1
            if error is not None:
                self._refused += 1
                return
            offset = message.offset()
            if offset is None:  # as in workers/publisher.py: it need not be there
                self._send(issue)
                return
            place = (message.topic() or "", message.partition() or 0, offset)
            for owed in issue.spans:
                owed.place = place

        self._unacknowledged += 1
        self._producer.produce(self._spans, issue.value, issue.key, on_delivery=acknowledged)
        return issue

    def _read(self) -> None:
        for message in self._consumer.consume(500, _TICK_S):
            value, key = message.value(), message.key()
            if message.error() is not None or not isinstance(value, bytes):
                continue
            if message.topic() == self._dead:
                self._books.settle_letter(value)
            else:
                key = key if isinstance(key, bytes) else None
                self._books.settle(key, orjson.loads(value), message.timestamp()[1])

    def _answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        if "rate" in question:
            self._rate = question["rate"]
            self._credit = 0.0
        if "burst" in question:
            self._send(self._books.issue(question["burst"]))
        if "report" in question:
            return self._report(**question["report"])
        return {
            "spans": len(self._books.owed),
            "evaluations": self._books.evaluations,
            "outcomes": len(self._books.appended_ms),
            "missing": self._books.missing,
            "unacknowledged": self._unacknowledged,
            "waits_for": [
                f"{trace}/{span} at {owed.place}"
                for (trace, span), owed in self._books.owed.items()
                if owed.missing
            ][:_EXAMPLES],
            "judged": sum(n for (name, _, _), n in self._books.statuses.items() if name in JUDGED),
            "failed": sum(n for (_, end, _), n in self._books.statuses.items() if end == "failed"),
            "letters": self._books.letters,
            "poison": len(self._books.poison),
            "last_ms": self._books.last_ms,
            "refused": self._refused,
        }

    def _report(self, groups: Mapping[str, str], faults: Sequence[float]) -> dict[str, Any]:
        books = self._books
        books.check_places()
        repeats = [
            (copies[0].appended_ms, copy.appended_ms, name)
            for name, copies in books.copies()
            for copy in copies[1:]
        ]
        appended = sorted(books.appended_ms)
        commits = read_commits(self._servers, set(groups.values()), self._spans) if groups else {}
        finished = finished_by_record(
            (owed.place, {group: _done_ms(owed, lane) for lane, group in groups.items()})
            for owed in books.owed.values()
            if owed.place is not None
        )
        return {
            "evaluations": books.evaluations,
            "outcomes": len(appended),
            "missing": books.missing,
            "strange": books.strange,
            "corrupt": books.corrupt,
            "examples": books.examples,
            "repeated": len(repeats),
            "repeats": repeats,
            "began_ms": int(self._began * 1000),
            "two_ids": sum(
                len({c.evaluation_id for c in found}) > 1 for _, found in books.copies()
            ),
            "poison": len(books.poison),
            "letters": books.letters,
            "statuses": [[*key, count] for key, count in sorted(books.statuses.items())],
            "half_seconds": sum(map(partial(_passed, appended), faults)),
            "audit": asdict(audit(commits, finished)),
        }


def _done_ms(owed: Owed, lane: str) -> int | None:
    """When the last of a lane's outcomes of a span was there for the first time."""
    first = [
        min((copy.appended_ms for copy in owed.copies.get(name, ())), default=None)
        for name in LANES[lane]
    ]
    return None if None in first else max(at for at in first if at is not None)


def _passed(appended_ms: Sequence[int], fault_s: float) -> int:
    """How many outcomes were appended in the half second before a fault."""
    at = int(fault_s * 1000)
    return bisect_right(appended_ms, at) - bisect_left(appended_ms, at - _HALF_SECOND_MS)


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bootstrap_servers")
    parser.add_argument("suffix")
    parser.add_argument("seed", type=int)
    options = parser.parse_args()
    _Ledger(options.bootstrap_servers, options.suffix, options.seed).run()


if __name__ == "__main__":
    _main()
