"""Events become log lines and counters."""

import io
from dataclasses import fields
from typing import Any, get_args

import orjson
import pytest
from prometheus_client import CollectorRegistry
from support.samples import config

from schemas import events
from schemas.events import (
    BreakerMoved,
    BreakerState,
    DeadLettered,
    EvaluatorRaised,
    Event,
    IntakePaused,
    JudgeCalled,
    JudgeRetried,
    LimiterMoved,
    LoopFreed,
    OutcomesExported,
    Output,
    OutputResult,
    PartitionsAssigned,
    PartitionsRevoked,
    RouteFailed,
)
from schemas.reasons import DeadLetterReason
from workers.logs import configure
from workers.metrics import Metrics
from workers.telemetry import _MAX_FAILURES, Telemetry

_VALUES: dict[Any, Any] = {
    str: "text",
    int: 2,
    float: 1.5,
    bool: True,
    BreakerState: BreakerState.OPEN,
    Output: Output.OTLP_LOG,
    OutputResult: OutputResult.FAILED,
    DeadLetterReason: DeadLetterReason.TOO_DEEP,
    str | None: None,
    float | None: 0.25,
    tuple[tuple[str, int, int], ...]: (("t", 0, 7), ("t", 1, 0)),
    tuple[tuple[str, int], ...]: (("t", 0),),
    tuple[str, ...]: ("plugin.py:3 in evaluate",),
}


class _Bench:
    """A telemetry with a clock, a registry and a stream to look at."""

    def __init__(self) -> None:
        self.now = 0.0
        self.registry = CollectorRegistry()
        self.stream = io.StringIO()
        self.metrics = Metrics(self.registry, config())
        self.emit = Telemetry(
            self.metrics, configure("json", "debug", stream=self.stream), lambda: self.now
        )

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [orjson.loads(line) for line in self.stream.getvalue().splitlines()]

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(name, labels)

    def total(self) -> float:
        """The sum of everything that is not a time or the process's own."""
        return sum(
            sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if family.name.startswith("assay_") and not sample.name.endswith("_created")
        )


@pytest.fixture
def bench() -> _Bench:
    """A telemetry to look at."""
    return _Bench()


@pytest.mark.parametrize("kind", get_args(events.Event), ids=lambda kind: kind.__name__)
def test_every_event_is_logged_and_counted(bench: _Bench, kind: type[Any]) -> None:
    """None of them is forgotten in either place."""
    before = bench.total()
    bench.emit(kind(**{field.name: _VALUES[field.type] for field in fields(kind)}))
    assert bench.total() != before
    assert len(bench.lines) == 1


def test_the_same_failure_is_logged_once_and_counted_always(bench: _Bench) -> None:
    """After an hour it is said again, with how often it came unsaid."""
    for _ in range(5):
        bench.emit(RouteFailed("support", "a null was compared"))
    bench.emit(RouteFailed("support", "there is no such key"))
    assert [line["error"] for line in bench.lines] == [
        "a null was compared",
        "there is no such key",
    ]
    assert bench.value("assay_route_failures_total", route="support") == 6
    bench.now = 3601.0
    bench.emit(RouteFailed("support", "a null was compared"))
    assert bench.lines[-1]["repeated"] == 4


def test_dead_letters_are_the_same_failure_by_topic_and_reason(bench: _Bench) -> None:
    """A bad producer sends many, each at another offset."""
    for offset in range(3):
        bench.emit(DeadLettered("t", 0, offset, DeadLetterReason.TOO_DEEP, f"detail {offset}"))
    bench.emit(DeadLettered("t", 0, 4, DeadLetterReason.TOO_LARGE, "detail"))
    assert [line["offset"] for line in bench.lines] == [0, 4]
    assert bench.value("assay_dead_letters_total", reason="too_deep") == 3


def test_memory_of_failures_is_bounded(bench: _Bench) -> None:
    """Endless kinds of failure make no endless memory."""
    for number in range(_MAX_FAILURES + 10):
        bench.emit(EvaluatorRaised("pii", f"E{number}"))
    bench.emit(EvaluatorRaised("pii", "E0"))
    assert len(bench.emit._repeats._failures) == _MAX_FAILURES
    assert bench.lines[-1]["error"] == "E0"


def test_a_healthy_worker_is_silent_at_info_after_its_start() -> None:
    """Calls, limits, back-pressure and retries are counted, not told."""
    stream = io.StringIO()
    emit = Telemetry(
        Metrics(CollectorRegistry(), config()), configure("json", "info", stream=stream)
    )
    happened: list[Event] = [
        JudgeCalled("e", "m", "ok", 0.5, 10, 5, 0.001),
        JudgeRetried("e", "rate_limited", 1.0),
        LimiterMoved("e", 10.0, 9),
        IntakePaused("code", "buffer", paused=True, why="the lane is full"),
    ]
    for event in happened:
        emit(event)
    assert stream.getvalue() == ""


def test_judge_requests_are_counted_by_result(bench: _Bench) -> None:
    """Tokens and cost by endpoint and model, latency by endpoint."""
    bench.emit(JudgeCalled("e", "m", "ok", 0.5, 10, 5, 0.25))
    bench.emit(JudgeCalled("e", "m", "timeout", 30.0))
    assert bench.value("assay_judge_requests_total", endpoint="e", result="ok") == 1
    assert bench.value("assay_judge_requests_total", endpoint="e", result="timeout") == 1
    assert bench.value("assay_judge_tokens_total", endpoint="e", model="m", type="input") == 10
    assert bench.value("assay_judge_cost_usd_total", endpoint="e", model="m") == 0.25
    assert bench.value("assay_judge_latency_seconds_sum", endpoint="e") == 30.5


def test_a_breaker_counts_as_open_until_it_is_closed(bench: _Bench) -> None:
    """Probing is not yet closed, and each move is told."""
    shown = []
    for state in (BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED):
        bench.emit(BreakerMoved("e", state, "401"))
        shown.append(bench.value("assay_judge_breaker_open", endpoint="e"))
    assert shown == [1, 1, 0]
    assert [line["event"] for line in bench.lines] == [
        "judge_breaker_opened",
        "judge_breaker_probing",
        "judge_breaker_closed",
    ]


def test_intake_stands_still_while_anything_holds_it(bench: _Bench) -> None:
    """Two judges are out, and one of them comes back."""
    shown = []
    for by, is_paused in (("a", True), ("b", True), ("a", False), ("b", False)):
        bench.emit(IntakePaused("judge", by, is_paused, ""))
        shown.append(bench.value("assay_intake_paused", lane="judge"))
    assert shown == [1, 1, 1, 0]


def test_assigned_partitions_are_told_with_their_start(bench: _Bench) -> None:
    """Where each partition starts is in the log, how many there are in the metrics."""
    bench.emit(PartitionsAssigned("code", (("t", 0, 7), ("t", 1, 0))))
    bench.emit(PartitionsRevoked("code", (("t", 1),), lost=False, judged_again=3))
    assert bench.lines[0]["starts"] == {"t[0]": 7, "t[1]": 0}
    assert bench.lines[1]["level"] == "warning"
    assert bench.value("assay_partitions_assigned", lane="code") == 1
    assert bench.value("assay_evaluations_repeated_total", lane="code") == 3


def test_what_an_output_sends_is_counted_and_what_it_loses_is_said_once(bench: _Bench) -> None:
    """However often and however many: one line for each output, result and fault."""
    bench.emit(OutcomesExported(Output.OTLP_SPAN, OutputResult.SENT, 5, ""))
    for count in (3, 4):
        bench.emit(OutcomesExported(Output.OTLP_SPAN, OutputResult.FAILED, count, "refused"))
    bench.emit(OutcomesExported(Output.OTLP_LOG, OutputResult.FAILED, 1, "refused"))
    shown = [(line["level"], line["event"], line["outcomes"]) for line in bench.lines]
    assert shown == [
        ("debug", "output_sent", 5),
        ("warning", "output_failed", 3),
        ("warning", "output_failed", 1),
    ]
    name = "assay_output_outcomes_total"
    assert bench.value(name, output="otlp_span", result="sent") == 5
    assert bench.value(name, output="otlp_span", result="failed") == 7
    assert bench.value(name, output="otlp_log", result="failed") == 1


def test_a_log_that_cannot_be_written_stops_nothing(bench: _Bench) -> None:
    """The line is lost and counted; the event is counted all the same."""
    bench.stream.close()
    bench.emit(LoopFreed(2.5, None))
    assert bench.value("assay_log_lines_lost_total") == 1
    assert bench.value("assay_loop_blocked_seconds_total", evaluator="") == 2.5
