"""An hour at a steady load: whether memory, threads, file descriptors, lag and loop lag stay flat.

Run it by `python bench/soak.py --minutes 60 --rate 50`. One worker with a code and a judge lane
reads a real Kafka and asks a judge on loopback. Every ten seconds it is looked at; at the end each
series gets a line: how much it grew over the run, with a 95 % interval. Exits with 1 where an
interval reaches past what its series may grow, where an evaluation is missing or failed.
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from confluent_kafka import Producer

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from support.conservation import JudgeProcess, committed, ends
from support.kafka import KafkaServer, libraries
from support.spans import KeyedMessage, llm_span, message, produce, traces
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    WorkerProcess,
    config_yaml,
    count_topic,
    until,
    worker_process,
)

JUDGED, FREE = "answer_relevance", ("pii", "secrets")
EVALUATORS = (JUDGED, *FREE)
LANES = ("code", "judge")
SAMPLE_EVERY_S = 10.0
BLOCK = 6
"""So many samples are averaged before the line is fitted: neighbours are not independent."""
REMEMBERED = 240_000
"""More than any memory of spans, calls and scored traces holds, in each partition: they are full
from then on."""
SPANS_A_RECORD = 50
OLD_S = 1200.0
"""Less than an hour: the memories of scored traces leave out what ended before that."""
SPARE = 3
"""So many times what the load needs at once may be asked of the judge at once."""
BURST = 20
"""Requests of the burst for each that may be in flight."""
WARM_UP_S = 60.0
SLICE_S = 0.1


@dataclass(frozen=True, slots=True)
class Series:
    """One thing that is watched.

    Attributes:
        name: What it is, with its unit.
        may_grow: By how much at most over the run, the interval's upper end included.
        values: One for each sample.
    """

    name: str
    may_grow: float
    values: list[float]


def watched() -> dict[str, Series]:
    """The series by the name of what `sample` measures."""
    return {
        "rss": Series("resident set, MB", 16.0, []),
        "threads": Series("threads", 0.5, []),
        "files": Series("file descriptors", 2.0, []),
        "lag": Series("lag, records", 20.0, []),
        "age": Series("oldest unfinished, s", 0.5, []),
        "loop": Series("loop lag, s", 0.05, []),
    }


def sample(worker: WorkerProcess) -> dict[str, float]:
    """Look at the worker once."""
    process = Path(f"/proc/{worker.process.pid}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return {
        "rss": int(status["VmRSS"].split()[0]) / 1024,
        "threads": float(status["Threads"]),
        "files": float(len(list((process / "fd").iterdir()))),
        "lag": worker.metric("assay_partition_lag"),
        "age": worker.metric("assay_oldest_unfinished_age_seconds"),
        "loop": worker.metric("assay_loop_lag_seconds"),
    }


def growth(values: Sequence[float]) -> tuple[float, float]:
    """How much a series grew from its first to its last value, and half of the 95 % interval.

    A straight line by least squares through the means of blocks.
    """
    starts = range(0, len(values) - BLOCK + 1, BLOCK)
    blocks = [statistics.fmean(values[start : start + BLOCK]) for start in starts]
    count = len(blocks)
    if count < 3:  # noqa: PLR2004  a line through two points has no error
        return 0.0, float("inf")
    places = range(count)
    slope, start = statistics.linear_regression(places, blocks)
    left_over = sum((y - start - slope * x) ** 2 for x, y in zip(places, blocks, strict=True))
    spread = sum((x - statistics.fmean(places)) ** 2 for x in places)
    error = (left_over / (count - 2) / spread) ** 0.5
    quantile = 1.96 + 2.4 / (count - 2)  # of Student's t, near enough for three blocks and more
    return slope * (count - 1), quantile * error * (count - 1)


def old_spans() -> Iterator[KeyedMessage]:
    """Records that fill every memory and ask no judge, for they are past the `max_age_s` of its."""
    old_ns = int(OLD_S * 1e9)
    for _ in range(REMEMBERED // SPANS_A_RECORD):
        spans = [llm_span() for _ in range(SPANS_A_RECORD)]
        for span in spans:
            span.start_time_unix_nano -= old_ns
            span.end_time_unix_nano -= old_ns
        yield None, message(spans)


class Load:
    """A steady load: so many records a second, spread evenly."""

    def __init__(self, servers: str, topic: str, rate: float) -> None:
        self._producer = Producer({"bootstrap.servers": servers, "enable.idempotence": True})
        self._topic = topic
        self._rate = rate
        self._traces = traces(sys.maxsize)
        self.sent = 0

    def run(self, seconds: float) -> None:
        """Send for so long; returns when the last has been handed over."""
        began = time.monotonic()
        start = self.sent
        while (passed := time.monotonic() - began) < seconds:
            self.send(math.ceil(passed * self._rate) - (self.sent - start))
            time.sleep(SLICE_S)  # noqa: TID251  a load generator, in no event loop

    def send(self, count: int) -> None:
        """Send so many at once."""
        for _ in range(count):
            key, value = next(self._traces)
            self._producer.produce(self._topic, value, key)
        self.sent += count
        self._producer.poll(0)

    def finish(self) -> None:
        """Return when the broker has acknowledged all."""
        assert self._producer.flush(30) == 0  # noqa: S101


@dataclass(frozen=True, slots=True)
class Soak:
    """One run, with what it needs to look at itself."""

    worker: WorkerProcess
    servers: str
    suffix: str
    load: Load
    concurrency: int

    def is_committed(self) -> bool:
        """Whether both lanes have committed everything."""
        end = ends(self.servers, SPANS + self.suffix)
        groups = [f"assay{self.suffix}.{lane}" for lane in LANES]
        return all(committed(self.servers, group, SPANS + self.suffix) == end for group in groups)

    def warm_up(self) -> None:
        """Fill the memories, open all connections to the judge, let the load run for a minute."""
        produce(self.servers, SPANS + self.suffix, old_spans())
        until(self.is_committed, 1800, self.worker.died)
        self.load.send(BURST * self.concurrency)
        self.load.finish()
        until(self.is_committed, 600, self.worker.died)
        self.load.run(WARM_UP_S)

    def measure(self, minutes: float) -> list[Series]:
        """Sample under load for so long."""
        series = watched()
        print(f"{'s':>8}  " + "  ".join(f"{one.name:>20}" for one in series.values()))
        began = time.monotonic()
        while time.monotonic() - began < 60 * minutes:
            self.load.run(SAMPLE_EVERY_S)
            why = self.worker.died()
            assert why is None, why  # noqa: S101
            found = sample(self.worker)
            for name, value in found.items():
                series[name].values.append(value)
            line = "  ".join(f"{value:>20.3f}" for value in found.values())
            print(f"{time.monotonic() - began:>8.0f}  {line}", flush=True)
        return list(series.values())


def report(series: Sequence[Series]) -> bool:
    """Print how each series grew; whether all are flat."""
    print(f"{'over the run':<22}{'mean':>10}{'largest':>10}{'grew by':>10}{'+/-':>9}{'may':>8}")
    flat = True
    for one in series:
        grew, error = growth(one.values)
        is_flat = grew + error <= one.may_grow
        flat &= is_flat
        mean, largest = statistics.fmean(one.values), max(one.values)
        print(
            f"{one.name:<22}{mean:>10.3f}{largest:>10.3f}{grew:>10.3f}{error:>9.3f}"
            f"{one.may_grow:>8.2f}  {'flat' if is_flat else 'NOT FLAT'}"
        )
    return flat


def conclude(soak: Soak) -> bool:
    """Wait for the rest, stop the worker; whether every evaluation has its outcome."""
    soak.load.finish()
    until(soak.is_committed, 120, soak.worker.died)
    lines = soak.worker.get("/metrics")[1].splitlines()
    failed = [
        line
        for line in lines
        if line.startswith("assay_outcomes_total")
        and 'outcome="failed"' in line
        and not line.endswith(" 0.0")
    ]
    code = soak.worker.stop()
    expected = len(EVALUATORS) * (soak.load.sent + REMEMBERED)
    found = count_topic(soak.servers, SCORES + soak.suffix)
    print(f"outcomes {found} of {expected}; failed {failed or 0}; exit code {code}")
    return found == expected and not failed and code == 0


def main() -> int:
    """Warm up, measure, report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--rate", type=float, default=50, help="records a second")
    parser.add_argument("--latency", type=float, default=0.5, help="of the judge, in seconds")
    options = parser.parse_args()
    with ExitStack() as stack:
        kafka = KafkaServer(libraries())
        stack.callback(kafka.close)
        suffix = f"-{uuid4().hex[:8]}"
        servers = kafka.bootstrap_servers
        kafka.create_topics({SPANS + suffix: 4, SCORES + suffix: 4, DEAD + suffix: 1})
        judge = stack.enter_context(JudgeProcess(options.latency))
        when = 'span.service == "support-bot"'
        routes = [
            {"name": "judged", "when": when, "evaluators": [JUDGED], "max_age_s": OLD_S / 2},
            {"name": "free", "when": when, "evaluators": list(FREE)},
        ]
        concurrency = math.ceil(SPARE * options.rate * options.latency)
        config = config_yaml(servers, judge_url=judge.url, suffix=suffix, routes=routes)
        config = config.replace("base_url:", f"max_concurrency: {concurrency}\n    base_url:")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        worker = stack.enter_context(worker_process(folder, config))
        worker.wait_ready()
        load = Load(servers, SPANS + suffix, options.rate)
        soak = Soak(worker, servers, suffix, load, concurrency)
        soak.warm_up()
        series = soak.measure(options.minutes)
        holds = report(series) & conclude(soak)
    print("all is flat" if holds else "SOMETHING IS NOT FLAT, OR NOT THERE")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
