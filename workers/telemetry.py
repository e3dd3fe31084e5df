"""What happened, as a log line and a counter: one place, so that neither is forgotten."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, assert_never

from structlog.typing import FilteringBoundLogger

from schemas.events import (
    BreakerMoved,
    BreakerState,
    BudgetReached,
    CalibrationUnfit,
    CommitFailed,
    DeadLettered,
    EvaluationAbandoned,
    EvaluatorRaised,
    Event,
    IntakePaused,
    JudgeCalled,
    JudgeRetried,
    KafkaError,
    LateResultDropped,
    LeaseDecided,
    LimiterMoved,
    LoopBlocked,
    LoopFreed,
    OutcomesExported,
    OutputResult,
    PartitionsAssigned,
    PartitionsRevoked,
    ProcessEnded,
    RouteFailed,
    SpanRedelivered,
    SpansLate,
    StructuredModeChanged,
    TaskLeft,
    TaskLeftEnded,
    TraceConcluded,
    TraceEvicted,
    TraceSplit,
    VerdictLookedUp,
)

from .logs import LogEvent
from .metrics import Metrics

_QUIET_S = 3600.0
_MAX_FAILURES = 1000

_BREAKER_EVENTS = {
    BreakerState.OPEN: LogEvent.BREAKER_OPENED,
    BreakerState.HALF_OPEN: LogEvent.BREAKER_PROBING,
    BreakerState.CLOSED: LogEvent.BREAKER_CLOSED,
}


class Telemetry:
    """The `Emit` of a worker; called by the event loop's thread, poll threads and those of outputs.

    The same failure is logged once, then only counted; after an hour it is logged again, with the
    number of times it was not.

    Args:
        metrics: What is counted.
        logger: Where lines go; a line that cannot be written is counted and harms nothing.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        metrics: Metrics,
        logger: FilteringBoundLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._logger = logger
        self._repeats = _Repeats(clock)

    def __call__(self, event: Event) -> None:
        """Count and log one event."""
        match event:
            case (
                JudgeCalled()
                | JudgeRetried()
                | VerdictLookedUp()
                | BreakerMoved()
                | LimiterMoved()
                | StructuredModeChanged()
            ):
                self._judge(event)
            case LeaseDecided() | BudgetReached():
                self._budget(event)
            case EvaluatorRaised() | EvaluationAbandoned() | RouteFailed() | CalibrationUnfit():
                self._evaluation(event)
            case TaskLeft() | TaskLeftEnded() | ProcessEnded() | LoopBlocked() | LoopFreed():
                self._isolation(event)
            case DeadLettered() | LateResultDropped() | SpanRedelivered():
                self._records(event)
            case (
                PartitionsAssigned()
                | PartitionsRevoked()
                | IntakePaused()
                | CommitFailed()
                | KafkaError()
            ):
                self._kafka(event)
            case OutcomesExported():
                self._output(event)
            case TraceConcluded() | TraceEvicted() | TraceSplit() | SpansLate():
                self._traces(event)
            case _:
                assert_never(event)

    def _judge(
        self,
        event: JudgeCalled
        | JudgeRetried
        | VerdictLookedUp
        | BreakerMoved
        | LimiterMoved
        | StructuredModeChanged,
    ) -> None:
        judges = self._metrics.judges
        match event:
            case JudgeCalled():
                judges.called(event)
                self._log(
                    "debug",
                    LogEvent.JUDGE_CALLED,
                    endpoint=event.endpoint,
                    model=event.model,
                    result=event.result,
                    latency_s=round(event.latency_s, 3),
                )
            case JudgeRetried():
                judges.retried(event)
                self._log(
                    "debug",
                    LogEvent.JUDGE_RETRIED,
                    endpoint=event.endpoint,
                    result=event.why,
                    wait_s=round(event.wait_s, 3),
                )
            case VerdictLookedUp():
                judges.looked_up(event)
                name = LogEvent.VERDICT_LOOKED_UP
                self._log("debug", name, judge=event.judge, is_known=event.is_known)
            case BreakerMoved():
                judges.breaker_moved(event)
                level = "warning" if event.state is BreakerState.OPEN else "info"
                name = _BREAKER_EVENTS[event.state]
                self._log(level, name, endpoint=event.endpoint, why=event.why)
            case LimiterMoved():
                judges.limiter_moved(event)
                self._log(
                    "debug",
                    LogEvent.LIMITER_MOVED,
                    endpoint=event.endpoint,
                    limit=event.limit,
                    in_use=event.in_use,
                )
            case StructuredModeChanged():
                judges.mode_changes.labels(event.endpoint).inc()
                self._log(
                    "info",
                    LogEvent.MODE_CHANGED,
                    endpoint=event.endpoint,
                    model=event.model,
                    mode=event.mode,
                    dropped=event.dropped,
                )
            case _:
                assert_never(event)

    def _budget(self, event: LeaseDecided | BudgetReached) -> None:
        budgets = self._metrics.budgets
        match event:
            case LeaseDecided():
                budgets.decided(event)
                usd = round(event.usd, 9)
                self._log("debug", LogEvent.LEASE_DECIDED, budget=event.budget, usd=usd)
            case BudgetReached():
                budgets.reached(event)
                self._log_once(
                    "warning",
                    LogEvent.BUDGET_REACHED,
                    budget=event.budget,
                    at_cap=event.at_cap,
                )
            case _:
                assert_never(event)

    def _evaluation(
        self, event: EvaluatorRaised | EvaluationAbandoned | RouteFailed | CalibrationUnfit
    ) -> None:
        match event:
            case EvaluatorRaised():
                self._metrics.plugins.errors.labels(event.evaluator).inc()
                self._log_once(
                    "warning",
                    LogEvent.EVALUATOR_RAISED,
                    evaluator=event.evaluator,
                    error=event.error,
                )
            case EvaluationAbandoned():
                self._metrics.plugins.abandoned.labels(event.evaluator).inc()
                self._log_once("error", LogEvent.EVALUATION_ABANDONED, evaluator=event.evaluator)
            case CalibrationUnfit():
                self._metrics.trust.unfit.labels(event.evaluator).inc()
                self._log_once(
                    "warning",
                    LogEvent.CALIBRATION_UNFIT,
                    evaluator=event.evaluator,
                    why=event.why,
                )
            case RouteFailed():
                self._metrics.pipeline.route_failures.labels(event.route).inc()
                self._log_once(
                    "warning", LogEvent.ROUTE_FAILED, route=event.route, error=event.error
                )
            case _:
                assert_never(event)

    def _isolation(
        self, event: TaskLeft | TaskLeftEnded | ProcessEnded | LoopBlocked | LoopFreed
    ) -> None:
        plugins = self._metrics.plugins
        match event:
            case TaskLeft():
                plugins.tasks_left.labels(event.evaluator).inc()
                self._log_once("warning", LogEvent.TASK_LEFT, evaluator=event.evaluator)
            case TaskLeftEnded():
                plugins.tasks_left.labels(event.evaluator).dec()
                self._log("debug", LogEvent.TASK_ENDED, evaluator=event.evaluator)
            case ProcessEnded(is_fault=False):
                name = LogEvent.PROCESS_ENDED
                self._log("debug", name, evaluator=event.evaluator, why=event.why)
            case ProcessEnded():
                plugins.process_ends.labels(event.evaluator).inc()
                name = LogEvent.PROCESS_ENDED
                self._log_once("warning", name, evaluator=event.evaluator, why=event.why)
            case LoopBlocked():
                plugins.loop_blocks.labels(event.evaluator or "").inc()
                self._log_once(
                    "error",
                    LogEvent.LOOP_BLOCKED,
                    key=(event.evaluator, event.stack[-1:]),
                    evaluator=event.evaluator,
                    seconds=round(event.seconds, 3),
                    stack=event.stack,
                )
            case LoopFreed():
                plugins.loop_blocked.labels(event.evaluator or "").inc(event.seconds)
                self._log_once(
                    "warning",
                    LogEvent.LOOP_FREED,
                    key=(event.evaluator,),
                    evaluator=event.evaluator,
                    seconds=round(event.seconds, 3),
                )
            case _:
                assert_never(event)

    def _records(self, event: DeadLettered | LateResultDropped | SpanRedelivered) -> None:
        pipeline = self._metrics.pipeline
        match event:
            case DeadLettered():
                pipeline.dead_letters.labels(event.reason.value).inc()
                self._log_once(
                    "warning",
                    LogEvent.DEAD_LETTERED,
                    key=(event.topic, event.reason),
                    topic=event.topic,
                    partition=event.partition,
                    offset=event.offset,
                    reason=event.reason.value,
                    detail=event.detail,
                )
            case LateResultDropped():
                pipeline.late_results.labels(event.lane).inc(event.outcomes)
                self._log(
                    "warning",
                    LogEvent.LATE_RESULT_DROPPED,
                    lane=event.lane,
                    outcomes=event.outcomes,
                )
            case SpanRedelivered():
                pipeline.spans_redelivered.labels(event.lane).inc(event.count)
                self._log("debug", LogEvent.SPAN_REDELIVERED, lane=event.lane, count=event.count)
            case _:
                assert_never(event)

    def _kafka(
        self,
        event: PartitionsAssigned | PartitionsRevoked | IntakePaused | CommitFailed | KafkaError,
    ) -> None:
        pipeline = self._metrics.pipeline
        match event:
            case PartitionsAssigned():
                pipeline.partitions_assigned.labels(event.lane).inc(len(event.starts))
                starts = {f"{topic}[{number}]": offset for topic, number, offset in event.starts}
                self._log("info", LogEvent.PARTITIONS_ASSIGNED, lane=event.lane, starts=starts)
            case PartitionsRevoked():
                pipeline.partitions_assigned.labels(event.lane).dec(len(event.partitions))
                pipeline.repeated.labels(event.lane).inc(event.judged_again)
                self._log(
                    "warning" if event.lost or event.judged_again else "info",
                    LogEvent.PARTITIONS_REVOKED,
                    lane=event.lane,
                    partitions=[f"{topic}[{number}]" for topic, number in event.partitions],
                    lost=event.lost,
                    judged_again=event.judged_again,
                )
            case IntakePaused():
                # A full lane pauses and goes on many times a minute; that is no news.
                pipeline.set_paused(event.lane, event.by, event.paused)
                name = LogEvent.INTAKE_PAUSED if event.paused else LogEvent.INTAKE_RESUMED
                self._log("debug", name, lane=event.lane, by=event.by, why=event.why)
            case CommitFailed():
                pipeline.commit_failures.labels(event.lane).inc()
                self._log_once(
                    "warning", LogEvent.COMMIT_FAILED, lane=event.lane, error=event.error
                )
            case KafkaError():
                pipeline.kafka_errors.labels(event.lane).inc()
                self._log_once(
                    "warning", LogEvent.KAFKA_ERROR, client=event.lane, error=event.error
                )
            case _:
                assert_never(event)

    def _output(self, event: OutcomesExported) -> None:
        self._metrics.outputs.exported(event)
        if event.result is OutputResult.SENT:
            self._log(
                "debug", LogEvent.OUTPUT_SENT, output=event.output.value, outcomes=event.count
            )
        else:
            self._log_once(
                "warning",
                LogEvent.OUTPUT_FAILED,
                key=(event.output, event.result, event.error),
                output=event.output.value,
                result=event.result.value,
                outcomes=event.count,
                error=event.error,
            )

    def _traces(self, event: TraceConcluded | TraceEvicted | TraceSplit | SpansLate) -> None:
        traces = self._metrics.traces
        match event:
            case TraceConcluded():
                traces.concluded.labels(event.why).inc()
                self._log("debug", LogEvent.TRACE_CONCLUDED, why=event.why)
            case TraceEvicted():
                traces.evicted.labels(event.bound).inc()
                self._log_once("warning", LogEvent.TRACE_EVICTED, bound=event.bound)
            case TraceSplit():
                traces.split.labels(event.topic).inc()
                self._log_once(
                    "warning",
                    LogEvent.TRACE_SPLIT,
                    topic=event.topic,
                    remedy="key the topic by trace id (collector: partition_traces_by_id: true)",
                )
            case SpansLate():
                traces.late_spans.inc(event.count)
                self._log("debug", LogEvent.SPANS_LATE, count=event.count)
            case _:
                assert_never(event)

    def _log_once(
        self, level: str, name: LogEvent, *, key: Hashable | None = None, **fields: Any
    ) -> None:
        """Log a failure unless the same one was logged lately; `key` says what "the same" is."""
        same = tuple(fields.items()) if key is None else key
        repeated = self._repeats.count((name, same))
        if repeated is None:
            return
        if repeated:
            fields["repeated"] = repeated
        self._log(level, name, **fields)

    def _log(self, level: str, name: LogEvent, **fields: Any) -> None:
        try:
            getattr(self._logger, level)(name.value, **fields)
        except (OSError, ValueError):
            # The stream is full, closed or gone; an emit must never raise.
            self._metrics.pipeline.log_lines_lost.inc()


class _Repeats:
    """Which failures were logged lately, and how often they came since.

    Two threads meet here: both could find a failure new and log it twice, hence the lock.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def count(self, failure: Hashable) -> int | None:
        """None: say nothing; else how often the failure came unsaid since it was last logged."""
        now = self._clock()
        with self._lock:
            logged_at, unsaid = self._failures.pop(failure, (float("-inf"), 0))
            if now - logged_at < _QUIET_S:
                self._failures[failure] = (logged_at, unsaid + 1)
                return None
            self._failures[failure] = (now, 0)
            if len(self._failures) > _MAX_FAILURES:
                self._failures.popitem(last=False)
            return unsaid
