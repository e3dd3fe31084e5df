"""The queue and the thread before an output: what waits, what is dropped, what a stop costs."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest
from support.samples import outcome

from schemas.events import Event, OutcomesExported, Output, OutputResult
from schemas.outcome import Outcome
from workers.sinks.outputs import Outputs
from workers.sinks.sink import Sink


class Receiver:
    """An exporter that keeps batches, and holds them up while its gate is shut."""

    output = Output.OTLP_LOG

    def __init__(self) -> None:
        self.batches: list[list[Outcome]] = []
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        self.is_closed = threading.Event()

    def export(
        self, outcomes: Sequence[Outcome], closing: threading.Event
    ) -> Iterable[OutcomesExported]:
        """Keep a batch."""
        del closing
        self.entered.set()
        self.gate.wait(20)
        self.batches.append(list(outcomes))
        return [OutcomesExported(self.output, OutputResult.SENT, len(outcomes), "")]

    def close(self) -> None:
        """Note it."""
        self.is_closed.set()


class Bench:
    """A sink with its receiver, and what it tells."""

    def __init__(self) -> None:
        self.receiver = Receiver()
        self.events: list[OutcomesExported] = []
        self.sink = Sink(self.receiver, self._emit, capacity=100, batch=10, linger_s=0.05)
        self.outputs = Outputs([self.sink])

    def _emit(self, event: Event) -> None:
        assert isinstance(event, OutcomesExported)
        self.events.append(event)

    @property
    def told(self) -> dict[OutputResult, int]:
        """How many outcomes ended in which way."""
        total: Counter[OutputResult] = Counter()
        for event in self.events:
            total[event.result] += event.count
        return dict(total)


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A sink for 100 outcomes, in batches of 10."""
    one = Bench()
    yield one
    one.receiver.gate.set()
    one.outputs.close(5)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)  # noqa: TID251  a test waits for another thread


def test_outcomes_are_sent_in_order_and_in_batches(bench: Bench) -> None:
    """What is offered at once goes out in as few requests as batches allow."""
    some = [outcome(evaluator=f"e{number}") for number in range(25)]
    bench.outputs.offer(some)
    _until(lambda: bench.told == {OutputResult.SENT: 25})
    assert [len(batch) for batch in bench.receiver.batches] == [10, 10, 5]
    assert [each for batch in bench.receiver.batches for each in batch] == some


def test_a_few_wait_for_others(bench: Bench) -> None:
    """Two that come one after the other are one request."""
    bench.outputs.offer([outcome()])
    bench.outputs.offer([outcome()])
    _until(lambda: bench.told == {OutputResult.SENT: 2})
    assert len(bench.receiver.batches) == 1


def test_a_receiver_that_hangs_costs_what_does_not_fit(bench: Bench) -> None:
    """Offering never waits; what is beyond the queue is dropped at once, and counted."""
    bench.receiver.gate.clear()
    bench.outputs.offer([outcome()])
    assert bench.receiver.entered.wait(5)
    began = time.monotonic()
    for _ in range(30):
        bench.outputs.offer([outcome()] * 10)
    assert time.monotonic() - began < 1
    assert bench.told == {OutputResult.QUEUE_FULL: 200}
    bench.receiver.gate.set()
    _until(lambda: bench.told == {OutputResult.QUEUE_FULL: 200, OutputResult.SENT: 101})


def test_a_stop_sends_what_waits(bench: Bench) -> None:
    """Without lingering, and then the connections are closed."""
    bench.outputs.offer([outcome()] * 35)
    bench.outputs.close(5)
    assert bench.told == {OutputResult.SENT: 35}
    assert bench.receiver.is_closed.is_set()


def test_a_stop_does_not_wait_for_a_receiver_that_hangs(bench: Bench) -> None:
    """After the bound all that is left is counted, once, whatever comes of it later."""
    bench.receiver.gate.clear()
    bench.outputs.offer([outcome()] * 35)
    assert bench.receiver.entered.wait(5)
    began = time.monotonic()
    bench.outputs.close(0.3)
    assert 0.2 < time.monotonic() - began < 1
    assert bench.told == {OutputResult.STOPPED: 35}
    bench.receiver.gate.set()
    assert bench.receiver.is_closed.wait(5)
    assert bench.told == {OutputResult.STOPPED: 35}
    assert len(bench.receiver.batches) == 1


def test_one_output_does_not_wait_for_another() -> None:
    """Two that hang are given up together, within one bound; a third has all of its outcomes."""
    benches = [Bench() for _ in range(3)]
    outputs = Outputs([bench.sink for bench in benches])
    for bench in benches[:2]:
        bench.receiver.gate.clear()
    outputs.offer([outcome()] * 20)
    _until(lambda: benches[2].told == {OutputResult.SENT: 20})
    began = time.monotonic()
    outputs.close(0.3)
    assert time.monotonic() - began < 1
    for bench in benches[:2]:
        assert bench.told == {OutputResult.STOPPED: 20}
        bench.receiver.gate.set()
        assert bench.receiver.is_closed.wait(5)
