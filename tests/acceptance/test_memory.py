"""Giant records and compression bombs on a real Kafka: memory stays bounded, nothing is missing.

All of it waits on the topic when the worker starts, so that it comes as fast as it can be read.
One worker, code and judge lane in one process. `MEMORY_MESSAGES=1000` runs it at full size; by
itself it is a shorter form of the same mixture.
"""

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import KafkaError, Message, Producer
from support.conservation import JudgeProcess, committed, ends, peak_rss_mb
from support.kafka import KafkaServer
from support.spans import llm_span, message
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    config_yaml,
    read_outcomes,
    read_topic,
    until,
    worker_process,
)

from schemas.reasons import DeadLetterReason, Status

MESSAGES = int(os.environ.get("MEMORY_MESSAGES", "60"))
LIMIT_S = 60 + 2 * MESSAGES

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3 * LIMIT_S)]

RSS_MB = 512
MIB = 2**20
GIANT_BYTES = 4 * MIB
BOMBS = {
    "zstd": (300 * MIB, DeadLetterReason.BAD_COMPRESSION),
    "gzip": (64 * MIB, DeadLetterReason.TOO_LARGE),
    "lz4": (64 * MIB, DeadLetterReason.TOO_LARGE),
}
BOMB_EVERY = 20
"""After so many giants come three bombs, one of each kind, one right behind the other."""
EVALUATORS = ("answer_relevance", "pii", "secrets")
LANES = ("code", "judge")


class _Sender:
    """Puts records on a topic, each in a batch of its own and compressed as it says."""

    def __init__(self, servers: str, topic: str) -> None:
        self._servers = servers
        self._topic = topic
        self._producers: dict[str, Producer] = {}

    def send(self, value: bytes, compression: str) -> None:
        """Send one; it is acknowledged when this returns."""
        if compression not in self._producers:
            self._producers[compression] = Producer(
                {
                    "bootstrap.servers": self._servers,
                    "message.max.bytes": 400_000_000,
                    "compression.type": compression,
                }
            )
        producer = self._producers[compression]
        producer.produce(self._topic, value, on_delivery=_acknowledged)
        assert producer.flush(60) == 0


def _acknowledged(error: KafkaError | None, _: Message) -> None:
    assert error is None, error


def _giants() -> Iterator[bytes]:
    """LLM spans of 4 MB: half of text that does not compress, half of text that does, very well."""
    letters = random.Random(7).randbytes(GIANT_BYTES // 2).hex()  # noqa: S311  no secret
    while True:
        yield message([llm_span(answer=uuid4().hex + letters)])
        yield message([llm_span(answer=uuid4().hex + "The parcel arrives. " * (GIANT_BYTES // 20))])


def test_giants_and_bombs_do_not_burst_the_worker(kafka: KafkaServer, tmp_path: Path) -> None:
    """The resident set is below 512 MB throughout, and each evaluation has its outcome."""
    suffix = f"-{uuid4().hex[:8]}"
    servers = kafka.bootstrap_servers
    kafka.create_topics({SPANS + suffix: 2}, {"max.message.bytes": "20000000"})
    kafka.create_topics({SCORES + suffix: 1, DEAD + suffix: 1})
    sender = _Sender(servers, SPANS + suffix)
    giants = _giants()
    bombs: Counter[DeadLetterReason] = Counter()
    for number in range(MESSAGES):
        sender.send(next(giants), "lz4")
        if number % BOMB_EVERY == 0:
            for compression, (size, reason) in BOMBS.items():
                sender.send(bytes(size), compression)
                bombs[reason] += 1
    end = ends(servers, SPANS + suffix)
    with JudgeProcess(0.2) as judge:
        config = config_yaml(servers, judge_url=judge.url, evaluators=EVALUATORS, suffix=suffix)
        with worker_process(tmp_path, config) as worker:
            groups = [f"assay{suffix}.{lane}" for lane in LANES]
            until(_are_committed(servers, groups, SPANS + suffix, end), LIMIT_S, worker.died)
            peak = peak_rss_mb(worker)
            assert worker.stop() == 0
    outcomes = read_outcomes(servers, SCORES + suffix)
    assert len(outcomes) == len({o.evaluation_id for o in outcomes}) == 3 * MESSAGES
    assert {o.outcome for o in outcomes} == {Status.SCORED}
    assert {o.flags.truncated for o in outcomes if o.evaluator.name == "answer_relevance"} == {True}
    assert _reasons(servers, DEAD + suffix) == bombs
    assert peak <= RSS_MB


def _are_committed(
    servers: str, groups: list[str], topic: str, end: dict[int, int]
) -> Callable[[], bool]:
    return lambda: all(committed(servers, group, topic) == end for group in groups)


def _reasons(servers: str, topic: str) -> Counter[DeadLetterReason]:
    letters = read_topic(servers, topic)
    headers = [dict(letter.headers() or []) for letter in letters]
    return Counter(DeadLetterReason(_text(each["assay.reason"])) for each in headers)


def _text(value: str | bytes | None) -> str:
    return value.decode() if isinstance(value, bytes) else value or ""
