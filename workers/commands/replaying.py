"""What `retry`, `dead-letters retry` and `backfill` share: judges, a producer, progress, a stop."""

import asyncio
import signal
import sys
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from rich.console import Console

from schemas.config import Config
from schemas.events import Emit
from schemas.outcome import Origin, Outcome
from workers import kafka_settings, logs
from workers.budgets import open_spend, require_prices
from workers.configured import Configured
from workers.lease_topic import check_lease_topic
from workers.metrics import Metrics
from workers.offsets import Commit
from workers.open_evaluators import open_evaluators
from workers.pipeline import Pipeline
from workers.publisher import Publisher
from workers.replay import MakeClaim, Replay, Tally
from workers.seams import Reader
from workers.sinks.outputs import open_outputs
from workers.spend import Spend
from workers.telemetry import Telemetry
from workers.topic_reader import Read

from .common import print_json, progress_bar, safe, secrets_of

BATCH = 100
"""Records that a replay takes from its client at a time."""

_TICK_S = 0.5
_LINE_EVERY_S = 10.0
_INTERRUPTED = 130
_MINUTE_S = 60


@dataclass(frozen=True, slots=True)
class Tools:
    """What a replay works with.

    Attributes:
        config: The config, each judge with its share of its concurrency.
        evaluators: The evaluators that the routes name.
        publisher: The producer.
        emit: Where events go.
        observe: Told of acknowledged outcomes.
        spend: What pays for judges; None where the config has no budget.
        trouble: Why the producer is refused; empty while it is not.
    """

    config: Config
    evaluators: Mapping[str, Configured]
    publisher: Publisher
    emit: Emit
    observe: Callable[[Sequence[Outcome]], None]
    spend: Spend | None = None
    trouble: list[str] = field(default_factory=list)

    def replay(
        self,
        evaluators: Mapping[str, Configured],
        intake: Reader,
        origin: Origin,
        *,
        tally: Tally | None = None,
        carry: Callable[[Pipeline], Awaitable[None]] = Pipeline.run,
    ) -> Replay:
        """A replay that works with them; the arguments are those of `Replay`."""
        return Replay(
            self.config,
            evaluators,
            intake=intake,
            origin=origin,
            publisher=self.publisher,
            emit=self.emit,
            observe=self.observe,
            spend=self.spend,
            tally=tally,
            carry=carry,
        )


def with_share(config: Config, share: float) -> Config:
    """The config with each judge's `max_concurrency` cut to a share, at least one request."""
    judges = {
        name: judge.model_copy(
            update={"max_concurrency": max(1, int(judge.max_concurrency * share))}
        )
        for name, judge in config.judges.items()
    }
    return config.model_copy(update={"judges": judges})


@asynccontextmanager
async def opened(config: Config, judge_share: float) -> AsyncIterator[Tools]:
    """Build the evaluators, their judges and a producer; close them at the end.

    Raises:
        ConfigError: The config names what is not there.
        PluginError: An evaluator cannot be built.
    """
    config = with_share(config, judge_share)
    log = logs.configure(config.logs.format, "error", secrets=secrets_of(config))
    metrics = Metrics(CollectorRegistry(), config)
    emit = Telemetry(metrics, log)
    trouble: list[str] = []
    spend = open_spend(config, emit)
    probe_budget = None if spend is None else spend.every

    def on_health(is_healthy: bool, why: str) -> None:
        trouble[:] = [] if is_healthy else [why]

    try:
        async with open_evaluators(config, emit, probe_budget=probe_budget) as evaluators:
            require_prices(config, evaluators)
            if spend is not None:
                await asyncio.to_thread(check_lease_topic, config)
                await spend.start()
            publisher = Publisher(kafka_settings.producer(config.kafka), emit, on_health)
            outputs = open_outputs(config, emit)

            def observe(outcomes: Sequence[Outcome]) -> None:
                metrics.observe_outcomes(outcomes)
                outputs.offer(outcomes)

            try:
                yield Tools(config, evaluators, publisher, emit, observe, spend, trouble)
            finally:
                publisher.close(0)  # all that counts is acknowledged
                await asyncio.to_thread(outputs.close)
    finally:
        if spend is not None:
            await spend.close()


async def carry_out(
    replay: Replay,
    reads: Iterable[Read],
    claim: MakeClaim,
    *,
    tools: Tools,
    progress: Callable[[], int],
    total: int,
    checkpoint: Callable[[Sequence[Commit]], None] = lambda _: None,
) -> None:
    """Run a replay to its end, or until Ctrl-C or SIGTERM, and say how far it is.

    Args:
        replay: What to run.
        reads: What it reads.
        claim: How it claims what it read.
        tools: What it works with.
        progress: How much is done, of `total`.
        total: How much there is to do.
        checkpoint: Told what is finished, twice a second; what it raises ends the replay.
    """
    reporter = Reporter(total)
    running = asyncio.create_task(replay.run(reads, claim))
    with _signals(replay, reporter), reporter:
        try:
            while not running.done():
                await asyncio.wait({running}, timeout=_TICK_S)
                await asyncio.to_thread(checkpoint, replay.offsets.commits())
                reporter.show(progress(), replay.tally, _note(replay, tools))
        finally:
            replay.stop() if not running.done() else None
            await asyncio.wait({running})
    await asyncio.to_thread(checkpoint, replay.offsets.commits())
    running.result()


def finish(replay: Replay | None) -> None:
    """End with 130 where the user has stopped a replay; what it printed says how to go on."""
    if replay is not None and replay.was_stopped:
        raise SystemExit(_INTERRUPTED)


def results(tally: Tally) -> dict[str, Any]:
    """What was published, for machines: by outcome, and by reason."""
    found: dict[str, Any] = {"published": tally.published, "outcomes": {}}
    for (status, reason), count in sorted(tally.outcomes.items(), key=str):
        key = status.value if reason is None else f"{status.value}({reason.value})"
        found["outcomes"][key] = count
    return found


def tell(report: Mapping[str, Any], lines: Iterable[str], *, as_lines: bool) -> None:
    """Print one JSON object, or lines for people."""
    if as_lines:
        print_json([dict(report)])
        return
    console = Console(highlight=False, markup=False, soft_wrap=True)
    for line in lines:
        console.print(safe(line))


def result_lines(replay: Replay) -> Iterator[str]:
    """What was published, for people."""
    tally = replay.tally
    parts = [f"{count} {what}" for what, count in results(tally)["outcomes"].items()]
    yield f"{tally.published} outcomes published" + (f": {', '.join(parts)}" if parts else "")
    if replay.was_stopped:
        left = tally.planned - tally.published
        yield f"stopped: {left} evaluations were cut off; the same command goes on from here"


class Reporter:
    """How far a replay is: a bar on a terminal, elsewhere a line on stderr every ten seconds.

    Args:
        total: How much there is to do.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._bar = progress_bar()
        self._task = self._bar.add_task("", total=total)
        self._began = self._said = time.monotonic()
        self._first: int | None = None
        self._note = ""

    def __enter__(self) -> None:
        self._bar.start()

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int, tally: Tally, note: str) -> None:
        """Say it, if it is time to."""
        if self._first is None:
            self._first = done
        text = f"{tally.published} outcomes" + (f", {safe(note)}" if note else "")
        self._bar.update(self._task, completed=done, description=text)
        now = time.monotonic()
        is_new = note != self._note
        self._note = note
        if not self._bar.disable or (now - self._said < _LINE_EVERY_S and not is_new):
            return
        self._said = now
        self._print(f"{done} of {self._total} done, {text}{self._eta(done, now)}")

    def say(self, text: str) -> None:
        """Say something at once."""
        self._print(text)

    def _print(self, text: str) -> None:
        print(f"assay: {text}", file=sys.stderr, flush=True)  # noqa: T201  the command's own output

    def _eta(self, done: int, now: float) -> str:
        made = done - (self._first or 0)
        if made <= 0 or done >= self._total or self._note:
            return ""
        left_s = (self._total - done) * (now - self._began) / made
        return f", {left_s:.0f} s left" if left_s < _MINUTE_S else f", {left_s / 60:.0f} min left"


def _note(replay: Replay, tools: Tools) -> str:
    if tools.trouble:
        return f"the broker refuses outcomes: {tools.trouble[0]}"
    waiting = [f"{what} is out ({why})" for what, why in replay.waiting_for.items()]
    return f"waiting: {'; '.join(waiting)}" if waiting else ""


@contextmanager
def _signals(replay: Replay, reporter: Reporter) -> Iterator[None]:
    """Inside, Ctrl-C and SIGTERM let the replay drain; the second Ctrl-C ends the command."""
    loop = asyncio.get_running_loop()
    caught = (signal.SIGINT, signal.SIGTERM)

    def release() -> None:
        for number in caught:
            loop.remove_signal_handler(number)

    def stop() -> None:
        release()
        reporter.say(
            f"stopping: {replay.in_flight} evaluations are under way; Ctrl-C again ends it at once"
        )
        replay.stop()

    for number in caught:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        release()
