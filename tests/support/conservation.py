"""What the promise says, counted: what was sent, what was published, what was committed."""

import json
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from support.workers import WorkerProcess, log_lines, read_topic

_COORDINATOR_STARTS = frozenset(
    {KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_LOAD_IN_PROGRESS}
)
_JUDGE = Path(__file__).with_name("judge_server.py")


class JudgeProcess:
    """A judge that behaves, in a process of its own; a context manager.

    Attributes:
        url: Base URL for the config.
    """

    def __init__(self, latency_s: float) -> None:
        """Start it; returns when it listens."""
        command = [sys.executable, str(_JUDGE), "--latency", str(latency_s)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._port = json.loads(self._process.stdout.readline())["port"]
        self.url = f"http://127.0.0.1:{self._port}/v1"

    def calls(self) -> int:
        """Count the requests that it received."""
        return self._stats()["calls"]

    def billed_usd(self, input_usd_per_mtok: float, output_usd_per_mtok: float) -> float:
        """What it has answered, at these prices, whether or not anybody read the answers."""
        stats = self._stats()
        return (
            stats["prompt_tokens"] * input_usd_per_mtok
            + stats["completion_tokens"] * output_usd_per_mtok
        ) / 1e6

    def _stats(self) -> dict[str, int]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/stats", timeout=10) as reply:
            stats: dict[str, int] = json.load(reply)
        return stats

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.terminate()
        self._process.communicate(timeout=10)


@dataclass(frozen=True, slots=True)
class Ledger:
    """What stands on the scores topic, against what must.

    Attributes:
        expected: Traces times evaluators; each trace has one span that the route selects.
        outcomes: Outcomes of these traces, repeated ones included.
        distinct: Different evaluation ids among them.
        missing: Pairs of trace and evaluator without an outcome.
        strange: Outcomes that nobody asked for, and pairs with more than one evaluation id.
        by_status: How many outcomes ended how, repeated ones left out.
    """

    expected: int
    outcomes: int
    distinct: int
    missing: int
    strange: int
    by_status: Counter[str]

    @property
    def repeated(self) -> int:
        """Outcomes that were published more than once, each further copy counted."""
        return self.outcomes - self.distinct

    @property
    def is_exact(self) -> bool:
        """Whether each evaluation has one outcome and nothing else is there; copies are allowed."""
        return self.missing == self.strange == 0 and self.distinct == self.expected


def ledger(values: Iterable[bytes], traces: Collection[str], evaluators: Sequence[str]) -> Ledger:
    """Compare outcomes with what was sent.

    Args:
        values: Outcomes as they stand on the scores topic; those of other traces are left out.
        traces: Ids of the traces that were sent.
        evaluators: What evaluates their spans.
    """
    ids: dict[tuple[str, str], set[str]] = {}
    statuses: dict[str, str] = {}
    outcomes = strange = 0
    for value in values:
        outcome = orjson.loads(value)
        if outcome["trace_id"] not in traces:
            continue
        outcomes += 1
        name = outcome["evaluator"]["name"]
        strange += name not in evaluators
        ids.setdefault((outcome["trace_id"], name), set()).add(outcome["evaluation_id"])
        statuses[outcome["evaluation_id"]] = outcome["outcome"]
    return Ledger(
        expected=len(traces) * len(evaluators),
        outcomes=outcomes,
        distinct=len(statuses),
        missing=sum((trace, name) not in ids for trace in traces for name in evaluators),
        strange=strange + sum(len(found) > 1 for found in ids.values()),
        by_status=Counter(statuses.values()),
    )


def read_values(bootstrap_servers: str, topic: str) -> list[bytes]:
    """All values on a topic, as bytes."""
    values = (message.value() for message in read_topic(bootstrap_servers, topic))
    return [value for value in values if isinstance(value, bytes)]


def committed(bootstrap_servers: str, group: str, topic: str) -> dict[int, int]:
    """Committed offset of each partition, negative where there is none.

    Empty while the broker still loads the group, as it does right after its own start.
    """
    consumer = _look(bootstrap_servers, group)
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        found = consumer.committed([TopicPartition(topic, index) for index in partitions], 10)
    except KafkaException as error:
        if error.args[0].code() not in _COORDINATOR_STARTS:
            raise
        return {}
    else:
        return {item.partition: item.offset for item in found}
    finally:
        consumer.close()


def ends(bootstrap_servers: str, topic: str) -> dict[int, int]:
    """The offset after the last record of each partition."""
    consumer = _look(bootstrap_servers, "nobody")
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        return {
            index: consumer.get_watermark_offsets(TopicPartition(topic, index), 10)[1]
            for index in partitions
        }
    finally:
        consumer.close()


def owned(worker: WorkerProcess, lane: str) -> set[int]:
    """The partitions that a worker's lane has, by its log."""
    mine: set[int] = set()
    for line in log_lines(worker):
        if line.get("lane") != lane:
            continue
        if line["event"] == "partitions_assigned":
            mine |= {_partition(text) for text in line["starts"]}
        elif line["event"] == "partitions_revoked":
            mine -= {_partition(text) for text in line["partitions"]}
    return mine


def peak_rss_mb(worker: WorkerProcess) -> float:
    """The most memory that a running worker had resident, in MB of 2**20 bytes."""
    status = Path(f"/proc/{worker.process.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _look(bootstrap_servers: str, group: str) -> Consumer:
    return Consumer({"bootstrap.servers": bootstrap_servers, "group.id": group, "log_level": 0})


def _partition(logged: str) -> int:
    """`3` of `otlp_spans[3]`."""
    return int(logged.rpartition("[")[2].rstrip("]"))
