"""Every error that Assay raises on purpose.

    AssayError
    ├── ConfigError            assay.yaml, a rubric or an expression is wrong: exit code 2
    ├── Undecodable            a record, or one span of it, cannot be read: dead-lettered
    ├── PluginError            an evaluator cannot be found, imported or built: exit code 2
    ├── JudgeFailure           an evaluation got no verdict: becomes a failed outcome
    └── WorkerStopped          the worker must not go on: exit code 1

Each message says the thing, the fault and the remedy, in that order; coordinates are attributes.
"""

from pathlib import Path

from .reasons import DeadLetterReason, Reason


class AssayError(Exception):
    """Root of Assay's own errors; the command prints its message without a traceback."""


class ConfigError(AssayError):
    """A configuration is wrong; nothing was started.

    Attributes:
        path: The file, or None where no file is involved.
        line: 1-based line of the faulty key or value, or None.
        key: Dotted path of the key, such as `routes[0].when`, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        path: Path | None = None,
        line: int | None = None,
        key: str | None = None,
    ) -> None:
        where = "" if path is None else f"{path}:{line}: " if line else f"{path}: "
        super().__init__(f"{where}{message}")
        self.path = path
        self.line = line
        self.key = key


class Undecodable(AssayError):  # noqa: N818  the design's word; it is a state of the bytes
    """Bytes that cannot be read as what they claim to be.

    Attributes:
        reason: Which of the closed set of dead-letter reasons it is.
        detail: One sentence with what was found and where; never the content itself.
    """

    def __init__(self, reason: DeadLetterReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class PluginError(AssayError):
    """An evaluator cannot be found, imported or built.

    Attributes:
        evaluator: The name that the config uses.
        distribution: `name version` of the package that offers it, or None.
    """

    def __init__(self, message: str, *, evaluator: str, distribution: str | None = None) -> None:
        super().__init__(message)
        self.evaluator = evaluator
        self.distribution = distribution


class JudgeFailure(AssayError):  # noqa: N818  named for what the outcome says
    """A judge gave no verdict that may be used; final for this evaluation.

    Attributes:
        reason: The reason of the failed outcome.
        detail: One sentence for the outcome's `detail`; no judged text.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class WorkerStopped(AssayError):  # noqa: N818  named for the state it reports
    """The worker must stop although nobody asked it to; the message says what to do."""
