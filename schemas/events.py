"""What happens inside Assay, as frozen data. `workers/telemetry.py` turns each into log and metric.

Judges and evaluators emit too, and may not import `workers`: they get an `Emit` injected.
An event holds coordinates and closed values, never judged text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from .reasons import DeadLetterReason


class BreakerState(StrEnum):
    """State of a judge endpoint's circuit breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Output(StrEnum):
    """Where outcomes go besides the scores topic."""

    KAFKA_LOG = "kafka_log"
    """`kafka.otlp_scores`."""
    OTLP_LOG = "otlp_log"
    """Log records to `outputs.otlp`."""
    OTLP_SPAN = "otlp_span"
    """Spans to `outputs.otlp`."""


class OutputResult(StrEnum):
    """What became of an outcome at an output; all but the first mean that it is not there."""

    SENT = "sent"
    REJECTED = "rejected"
    """The receiver took the request, and said that it did not keep this part of it."""
    FAILED = "failed"
    """The receiver was not to be reached, or refused the request."""
    QUEUE_FULL = "queue_full"
    """It was slower than outcomes came."""
    STOPPED = "stopped"
    """The worker stopped and could not wait."""


@dataclass(frozen=True, slots=True)
class JudgeCalled:
    """One request to a judge ended, in whatever way."""

    endpoint: str
    model: str
    result: str
    """`ok`, `rate_limited`, `endpoint_error`, `timeout`, `terminal` or `bad_output`."""
    latency_s: float
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class JudgeRetried:
    """A request will be sent again."""

    endpoint: str
    why: str
    """Same values as `JudgeCalled.result`."""
    wait_s: float


@dataclass(frozen=True, slots=True)
class VerdictLookedUp:
    """The verdicts that a judge has given were looked through, before it was asked."""

    judge: str
    """Its name in the config."""
    is_known: bool
    """Whether the same was there; then it is not asked."""


@dataclass(frozen=True, slots=True)
class BreakerMoved:
    """A judge endpoint's circuit breaker changed its state."""

    endpoint: str
    state: BreakerState
    why: str


@dataclass(frozen=True, slots=True)
class LimiterMoved:
    """A judge endpoint's concurrency limit changed."""

    endpoint: str
    limit: float
    in_use: int


@dataclass(frozen=True, slots=True)
class StructuredModeChanged:
    """An endpoint did not honour a structured-output mode or parameter; it is not sent again."""

    endpoint: str
    model: str
    mode: str
    dropped: str | None = None


@dataclass(frozen=True, slots=True)
class LeaseDecided:
    """The log has said what a worker that asked for a part of a budget may spend."""

    budget: str
    usd: float
    """0 where the cap leaves too little."""


@dataclass(frozen=True, slots=True)
class BudgetReached:
    """A judge was not called, because a cap is reached; told for each evaluation."""

    budget: str
    at_cap: str
    """`degrade`, `skip` or `pause`."""


@dataclass(frozen=True, slots=True)
class EvaluatorRaised:
    """A plugin raised, hung or returned what is no score; only its own outcome suffers."""

    evaluator: str
    error: str
    """Exception type and where it was raised; no message, it may hold judged text."""


@dataclass(frozen=True, slots=True)
class CalibrationUnfit:
    """A calibration does not hold for the evaluator that runs: its rate is not corrected."""

    evaluator: str
    why: str


@dataclass(frozen=True, slots=True)
class EvaluationAbandoned:
    """A task swallowed its cancellation; it is fenced and left behind."""

    evaluator: str


@dataclass(frozen=True, slots=True)
class TaskLeft:
    """A task that an evaluation started, or its own, still runs although the evaluation is over."""

    evaluator: str


@dataclass(frozen=True, slots=True)
class TaskLeftEnded:
    """A task that was left behind has ended after all."""

    evaluator: str


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    """A process of an isolated evaluator was killed, died, or was replaced."""

    evaluator: str
    why: str
    is_fault: bool
    """False where it had done its share of evaluations."""


@dataclass(frozen=True, slots=True)
class RouteFailed:
    """A `when` could not be computed on a span; the span does not match that route."""

    route: str
    error: str


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """A record, or one span of it, could not be read and its dead letter was acknowledged."""

    topic: str
    partition: int
    offset: int
    reason: DeadLetterReason
    detail: str


@dataclass(frozen=True, slots=True)
class PartitionsAssigned:
    """Partitions arrived; `starts` says from which offset each is read."""

    lane: str
    starts: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class PartitionsRevoked:
    """Partitions left, after their drain."""

    lane: str
    partitions: tuple[tuple[str, int], ...]
    lost: bool
    judged_again: int
    """Evaluations cut off by the drain bound: the next owner judges them again."""


@dataclass(frozen=True, slots=True)
class IntakePaused:
    """One thing holds the intake of a lane (`paused`), or does so no more."""

    lane: str
    by: str
    """What: a judge, a budget, the lane's buffer, its commits. Several may hold it at once."""
    paused: bool
    why: str


@dataclass(frozen=True, slots=True)
class LateResultDropped:
    """Outcomes of a partition that was taken away meanwhile; the new owner publishes them."""

    lane: str
    outcomes: int


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """The broker refused a commit; the newest watermark is committed again."""

    lane: str
    error: str


@dataclass(frozen=True, slots=True)
class KafkaError:
    """The client reported a problem that it handles by itself."""

    lane: str
    error: str


@dataclass(frozen=True, slots=True)
class SpanRedelivered:
    """A span id came again while remembered: its outcome exists, nothing is published."""

    lane: str
    count: int


@dataclass(frozen=True, slots=True)
class TraceConcluded:
    """A trace waits no more: it is evaluated, or let go where no route selects it."""

    why: str
    """`root`, `idle` or `max_age`."""


@dataclass(frozen=True, slots=True)
class TraceEvicted:
    """A trace was concluded early, unevaluated, for lack of room."""

    bound: str
    """`max_count`, `max_bytes`, `records` or `metadata`."""


@dataclass(frozen=True, slots=True)
class TraceSplit:
    """A record's key is not the id of the trace in it, so no worker sees the whole trace."""

    topic: str


@dataclass(frozen=True, slots=True)
class SpansLate:
    """Spans came after their trace was concluded; they evaluate nothing."""

    count: int


@dataclass(frozen=True, slots=True)
class LoopBlocked:
    """The event loop stands still, or is far too slow: it got round to nothing for seconds."""

    seconds: float
    """For how long until now."""
    evaluator: str | None
    """Whose code it stands in; None: no evaluator's."""
    stack: tuple[str, ...]
    """Where it stands, the innermost call last: file, line and function, no values. Empty where it
    stands nowhere, and has only more to do than it can."""


@dataclass(frozen=True, slots=True)
class LoopFreed:
    """The event loop moves again."""

    seconds: float
    """For how long it stood still in all."""
    evaluator: str | None


@dataclass(frozen=True, slots=True)
class OutcomesExported:
    """An output is done with some outcomes, in one way or another."""

    output: Output
    result: OutputResult
    count: int
    error: str
    """Empty where they were sent."""


Event = (
    JudgeCalled
    | JudgeRetried
    | VerdictLookedUp
    | BreakerMoved
    | LimiterMoved
    | StructuredModeChanged
    | LeaseDecided
    | BudgetReached
    | EvaluatorRaised
    | EvaluationAbandoned
    | TaskLeft
    | TaskLeftEnded
    | ProcessEnded
    | CalibrationUnfit
    | RouteFailed
    | DeadLettered
    | PartitionsAssigned
    | PartitionsRevoked
    | IntakePaused
    | LateResultDropped
    | CommitFailed
    | KafkaError
    | SpanRedelivered
    | TraceConcluded
    | TraceEvicted
    | TraceSplit
    | SpansLate
    | LoopBlocked
    | LoopFreed
    | OutcomesExported
)

Emit = Callable[[Event], None]
"""Called from the event loop's thread, poll threads, the watchdog's and those of outputs.

It never blocks and never raises.
"""
