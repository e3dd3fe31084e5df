"""What flows: spans in, outcomes out, and the errors on the way; pure data, no input or output.

Only light names are here. The configuration is in `schemas.config` and `schemas.config_file`, the
decoder in `schemas.otlp`.
"""

from .errors import (
    AssayError,
    ConfigError,
    JudgeFailure,
    PluginError,
    Undecodable,
    WorkerStopped,
)
from .outcome import Outcome
from .reasons import DeadLetterReason, Reason, Status
from .span import Message, Span, SpanKind, ToolCall

__all__ = [
    "AssayError",
    "ConfigError",
    "DeadLetterReason",
    "JudgeFailure",
    "Message",
    "Outcome",
    "PluginError",
    "Reason",
    "Span",
    "SpanKind",
    "Status",
    "ToolCall",
    "Undecodable",
    "WorkerStopped",
]
