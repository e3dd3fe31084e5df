"""Run workers in tests: configs, worker processes, and what stands on the topics afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from confluent_kafka import Consumer, Message, TopicPartition
from support.processes import free_ports

from schemas.outcome import Outcome

SPANS, SCORES, DEAD = "otlp_spans", "assay.scores", "assay.dead_letters"


def config_yaml(
    bootstrap_servers: str,
    *,
    judge_url: str | None = None,
    evaluators: Sequence[str] = ("pii", "secrets"),
    suffix: str = "",
    **sections: Any,
) -> str:
    """A minimal config; `sections` are merged into it, section by section."""
    config: dict[str, Any] = {
        "kafka": {
            "bootstrap_servers": bootstrap_servers,
            "group_id": f"assay{suffix}",
            "spans": [SPANS + suffix],
            "scores": SCORES + suffix,
            "dead_letters": DEAD + suffix,
            "start": "earliest",
        },
        "routes": [
            {
                "name": "support",
                "when": 'span.service == "support-bot"',
                "evaluators": list(evaluators),
            }
        ],
        "metrics": {"port": 0},
        "logs": {"format": "json"},
    }
    if judge_url is not None:
        config["judges"] = {
            "default": {
                "model": "judge-1",
                "base_url": judge_url,
                "price": {"input_usd_per_mtok": 0.25, "output_usd_per_mtok": 2.0},
            }
        }
    for name, section in sections.items():
        if isinstance(section, dict):
            config.setdefault(name, {}).update(section)
        else:
            config[name] = section
    return yaml.safe_dump(config)


@dataclass
class WorkerProcess:
    """A running `assay run`, with its log and its metrics port."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    started_at: float = field(default_factory=time.monotonic)

    def get(self, path: str) -> tuple[int, str]:
        """Ask its metrics server; status 0 where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (OSError, HTTPException):  # the latter: it ended while it answered
            return 0, ""

    def metric(self, name: str, **labels: str) -> float:
        """Sum of all samples of one metric that have these labels."""
        lines = self.get("/metrics")[1].splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        found = [
            line
            for line in lines
            if line.startswith((f"{name} ", f"{name}{{")) and all(text in line for text in wanted)
        ]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    def wait_ready(self, timeout_s: float = 30) -> float:
        """Wait for /readyz; seconds since the start of the process."""
        until(lambda: self.get("/readyz")[0] == 200, timeout_s, self.died)
        return time.monotonic() - self.started_at

    def stop(self, timeout_s: float = 40) -> int:
        """SIGTERM; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(10)

    def died(self) -> str | None:
        """What to say where the process has ended, else None."""
        if self.process.poll() is None:
            return None
        return f"the worker ended with {self.process.returncode}: {self.log.read_text()[-3000:]}"


@contextmanager
def worker_process(
    folder: Path, config: str, *, arguments: Sequence[str] = (), name: str = ""
) -> Iterator[WorkerProcess]:
    """A worker in a process of its own; killed at the end if it still runs."""
    name = name or uuid4().hex[:6]
    path = folder / f"{name}.yaml"
    path.write_text(config)
    log = folder / f"{name}.log"
    (port,) = free_ports(1)
    command = [str(Path(sys.executable).with_name("assay")), "run", "--config", str(path)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--metrics-port", str(port), *arguments],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OPENAI_API_KEY": "test"},
        )
    worker = WorkerProcess(process, port, log)
    try:
        yield worker
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


def until(
    condition: Callable[[], bool],
    timeout_s: float,
    failed: Callable[[], str | None] = lambda: None,
) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: It does not hold in time, or `failed` says why it never will.
    """
    end = time.monotonic() + timeout_s
    while not condition():
        why = failed()
        assert why is None, why
        assert time.monotonic() < end, f"not so within {timeout_s:g} s"
        time.sleep(0.1)  # noqa: TID251  a test waits in real time


def read_topic(bootstrap_servers: str, topic: str) -> list[Message]:
    """Everything that stands on a topic now."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": uuid4().hex,
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    try:
        partitions = consumer.list_topics(topic, 10).topics[topic].partitions
        ends: dict[int, int] = {}
        for index in partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, index), 10)
            if high > low:
                ends[index] = high
        consumer.assign([TopicPartition(topic, index, 0) for index in ends])
        found: list[Message] = []
        quiet = 0
        while ends and quiet < 20:
            batch = consumer.consume(1000, 0.5)
            quiet = 0 if batch else quiet + 1
            for message in batch:
                if message.error() is not None:
                    continue
                found.append(message)
                partition, offset = message.partition() or 0, message.offset() or 0
                if offset + 1 >= ends.get(partition, 0):
                    ends.pop(partition, None)
        return found
    finally:
        consumer.close()


def read_outcomes(bootstrap_servers: str, topic: str = SCORES) -> list[Outcome]:
    """All outcomes on a scores topic, repeated ones included."""
    values = (message.value() for message in read_topic(bootstrap_servers, topic))
    return [Outcome.from_json(value) for value in values if isinstance(value, bytes)]


def count_topic(bootstrap_servers: str, topic: str) -> int:
    """How many records a topic holds, by its watermarks."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": uuid4().hex})
    try:
        total = 0
        for index in consumer.list_topics(topic, 10).topics[topic].partitions:
            low, high = consumer.get_watermark_offsets(TopicPartition(topic, index), 10)
            total += high - low
        return total
    finally:
        consumer.close()


def log_lines(worker: WorkerProcess) -> list[dict[str, Any]]:
    """The JSON log of a worker."""
    lines = worker.log.read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
