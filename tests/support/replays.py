"""Second chances in tests: topics, a config, and outcomes that stand there from before."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from confluent_kafka import Producer
from support.workers import DEAD, SCORES, SPANS, config_yaml, read_outcomes, until

from schemas.config import Config
from schemas.config_file import load
from schemas.limits import Limits
from schemas.outcome import Outcome, Source
from schemas.reasons import Reason
from workers import offline
from workers.configured import ignored
from workers.open_evaluators import open_evaluators


class Site:
    """Topics on a broker, a config in a folder, and what stands on them.

    Attributes:
        servers: The broker.
        spans: Name of the spans topic; `scores` and `dead` are the others.
    """

    def __init__(self, servers: str, folder: Path, *, suffix: str = "") -> None:
        self.servers = servers
        self.folder = folder
        self.spans, self.scores, self.dead = SPANS + suffix, SCORES + suffix, DEAD + suffix
        self._suffix = suffix
        self._producer = Producer({"bootstrap.servers": servers, "log_level": 0})
        self.configure()

    def configure(self, **sections: Any) -> str:
        """Write the config; sections as `config_yaml` takes them."""
        text = config_yaml(self.servers, suffix=self._suffix, **sections)
        (self.folder / "assay.yaml").write_text(text)
        return text

    def reroute(self, **changes: Any) -> None:
        """Change the config's one route."""
        path = self.folder / "assay.yaml"
        document = yaml.safe_load(path.read_text())
        document["routes"][0].update(changes)
        path.write_text(yaml.safe_dump(document))

    def set(self, **sections: Any) -> None:
        """Set whole sections of the config."""
        path = self.folder / "assay.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | sections))

    @property
    def config(self) -> Config:
        """The config as it stands in the folder."""
        known = {"pii", "secrets", "answer_relevance", "task_completion", "user_frustration"}
        return load(self.folder / "assay.yaml", {}, known)

    def put(
        self, value: bytes, *, partition: int = 0, at_ms: int = 0, key: bytes = b"key"
    ) -> tuple[bytes, Source]:
        """Write one record to the spans topic; where it stands."""
        written: list[int] = []
        self._producer.produce(
            self.spans,
            value,
            key,
            partition=partition,
            timestamp=at_ms,
            on_delivery=lambda error, record: written.append(-1 if error else record.offset() or 0),
        )
        self._producer.flush(10)
        assert written[0] >= 0
        return value, Source(self.spans, partition, written[0])

    def letter(self, value: bytes | None, source: Source, **headers: str) -> None:
        """Write a dead letter as a worker does; a value of None is a stub."""
        known = {
            "reason": "undecodable",
            "detail": "as a test has it",
            "topic": source.topic,
            "partition": str(source.partition),
            "offset": str(source.offset),
            "timestamp_ms": "1",
            "part": "record",
            "stub": "true" if value is None else "false",
        }
        named: list[tuple[str, str | bytes | None]] = [
            (f"assay.{name}", text.encode()) for name, text in (known | headers).items()
        ]
        self._producer.produce(self.dead, value or b"", b"key", headers=named)
        assert self._producer.flush(10) == 0

    def outcomes_of(self, *records: tuple[bytes, Source]) -> list[Outcome]:
        """What the config's evaluators come to, code alone; nothing is published."""
        return asyncio.run(_evaluated(self.config, records))

    def publish(self, outcomes: Sequence[Outcome]) -> None:
        """Put outcomes on the scores topic."""
        for outcome in outcomes:
            self._producer.produce(self.scores, outcome.to_json(), outcome.trace_id)
        assert self._producer.flush(10) == 0

    def published(self) -> list[Outcome]:
        """All that stands on the scores topic."""
        return read_outcomes(self.servers, self.scores)


def failed(outcome: Outcome, reason: Reason = Reason.JUDGE_ERROR) -> Outcome:
    """The same outcome, had it come to this."""
    return replace(outcome, outcome=reason.status, reason=reason, score=None, detail="a test")


class Command:
    """An `assay` command that runs in a process of its own, to be looked at and stopped."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.errors = folder / "stderr"
        self._out = folder / "stdout"
        command = [str(Path(sys.executable).with_name("assay")), *arguments]
        with self.errors.open("wb") as errors, self._out.open("wb") as out:
            self.process = subprocess.Popen(command, cwd=folder, stdout=out, stderr=errors)

    def until(self, condition: Callable[[], bool], timeout_s: float = 40) -> None:
        """Wait until something holds while the command runs."""
        until(condition, timeout_s, self._died)

    def says(self, text: str) -> bool:
        """Whether it has written this to stderr."""
        return text in self.errors.read_text()

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)

    def report(self, status: int = 0, timeout_s: float = 60) -> dict[str, Any]:
        """Wait for its end; the JSON that it printed."""
        assert self.process.wait(timeout_s) == status, self.errors.read_text()
        printed: dict[str, Any] = json.loads(self._out.read_text())
        return printed

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def _died(self) -> str | None:
        return None if self.process.poll() is None else f"it ended: {self.errors.read_text()}"


@contextmanager
def command(folder: Path, *arguments: str) -> Iterator[Command]:
    """Run a command; killed at the end if it still runs."""
    one = Command(folder, *arguments)
    try:
        yield one
    finally:
        one.close()


async def _evaluated(config: Config, records: Sequence[tuple[bytes, Source]]) -> list[Outcome]:
    async with open_evaluators(config, hold=False) as evaluators:
        exports = [offline.read_export(value, source, Limits()) for value, source in records]
        todo = offline.jobs(exports, config, evaluators, ignored)
        return await offline.evaluate(todo, config, ignored, lambda _: None)


def by_id(outcomes: Sequence[Outcome]) -> Mapping[str, list[Outcome]]:
    """Outcomes by their evaluation, in the order in which they were published."""
    found: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(outcome.evaluation_id, []).append(outcome)
    return found
