"""Logs: one JSON object a line, or coloured on a terminal.

A line never holds judged text; what looks like a secret, or is one that the config names, is
masked whatever key it stands under.
"""

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from enum import StrEnum
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import FilteringBoundLogger, Processor

from .strays import fields_of

MASK = "***"

_SECRET_KEY = re.compile(
    r"(^|[_.\-])(api[_.\-]?key|secret|token|password|passwd|passphrase|authorization|credentials?|"
    r"cookie)$",
    re.IGNORECASE,
)
_USER_INFO = re.compile(r"(?<=://)[^/\s@]+(?=@)")
"""`user:password` in an address."""

_MIN_SECRET_CHARS = 6
"""A shorter value would mask parts of ordinary words."""

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


class LogEvent(StrEnum):
    """Names of log lines, for searches and alerts; values are fields beside them."""

    # life of a worker
    STARTED = "worker_started"
    STOPPING = "worker_stopping"
    STOPPED = "worker_stopped"
    LIBRARY = "library_message"
    # judges
    CALIBRATION_UNFIT = "calibration_unfit"
    JUDGE_CALLED = "judge_called"
    JUDGE_RETRIED = "judge_retried"
    VERDICT_LOOKED_UP = "verdict_looked_up"
    BREAKER_OPENED = "judge_breaker_opened"
    BREAKER_PROBING = "judge_breaker_probing"
    BREAKER_CLOSED = "judge_breaker_closed"
    LIMITER_MOVED = "judge_limit_moved"
    MODE_CHANGED = "judge_mode_changed"
    LEASE_DECIDED = "lease_decided"
    BUDGET_REACHED = "budget_reached"
    # evaluators and routes
    EVALUATOR_RAISED = "evaluator_raised"
    EVALUATION_ABANDONED = "evaluation_abandoned"
    TASK_LEFT = "evaluator_task_left"
    TASK_ENDED = "evaluator_task_ended"
    PROCESS_ENDED = "evaluator_process_ended"
    ROUTE_FAILED = "route_failed"
    # Kafka
    DEAD_LETTERED = "dead_lettered"
    PARTITIONS_ASSIGNED = "partitions_assigned"
    PARTITIONS_REVOKED = "partitions_revoked"
    INTAKE_PAUSED = "intake_paused"
    INTAKE_RESUMED = "intake_resumed"
    LATE_RESULT_DROPPED = "late_result_dropped"
    COMMIT_FAILED = "commit_failed"
    KAFKA_ERROR = "kafka_error"
    SPAN_REDELIVERED = "span_redelivered"
    # the event loop
    LOOP_BLOCKED = "loop_blocked"
    LOOP_FREED = "loop_freed"
    # outputs besides the scores topic
    OUTPUT_SENT = "output_sent"
    OUTPUT_FAILED = "output_failed"
    # traces
    TRACE_CONCLUDED = "trace_concluded"
    TRACE_EVICTED = "trace_evicted"
    TRACE_SPLIT = "trace_split"
    SPANS_LATE = "spans_late"


class Redactor:
    """Masks secrets in a log line; it is a structlog processor.

    Args:
        secrets: Values to mask wherever they occur; very short ones are left alone.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first, so that a secret that holds another one is masked whole.
        values = sorted({value for value in secrets if len(value) >= _MIN_SECRET_CHARS}, key=len)
        self._values = tuple(reversed(values))

    def __call__(
        self, _logger: Any, _method: str, line: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """Mask one line."""
        return {str(key): self._field(str(key), value) for key, value in line.items()}

    def _field(self, key: str, value: Any) -> Any:
        if value is not None and _SECRET_KEY.search(key):
            return MASK
        return self._value(value)

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            for secret in self._values:
                value = value.replace(secret, MASK)
            return _USER_INFO.sub(MASK, value).encode("utf-8", "replace").decode()
        if isinstance(value, Mapping):
            return {str(key): self._field(str(key), item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(item) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return self._value(str(value))


def configure(
    format: str,  # noqa: A002  the config's word
    level: str,
    *,
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> FilteringBoundLogger:
    """Make the worker's logger; nothing global changes.

    Args:
        format: json, console, or auto: console on a terminal.
        level: debug, info, warning or error.
        secrets: Values to mask wherever they occur.
        stream: Where lines go; None: standard error.
    """
    stream = sys.stderr if stream is None else stream
    console = format == "console" or (format == "auto" and stream.isatty())
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        structlog.processors.format_exc_info,
        Redactor(secrets),
        structlog.dev.ConsoleRenderer(colors=stream.isatty(), timestamp_key="ts")
        if console
        else structlog.processors.JSONRenderer(serializer=_to_json),
    ]
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        context_class=dict,
    )
    return logger


def _to_json(line: Any, **_: Any) -> str:
    return orjson.dumps(line).decode()


class LibraryHandler(logging.Handler):
    """Carries what libraries log through `logging` into the worker's log, as `fields_of` tells."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        try:
            self._logger.log(record.levelno, LogEvent.LIBRARY, **fields_of(record))
        except OSError:
            self.handleError(record)
