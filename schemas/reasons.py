"""The closed sets: what can become of an evaluation, and why a record cannot be read."""

from enum import StrEnum


class Status(StrEnum):
    """The three terminal outcomes of an evaluation."""

    SCORED = "scored"
    SKIPPED = "skipped"
    FAILED = "failed"


class Reason(StrEnum):
    """Why an evaluation was skipped or failed; each fault has exactly one."""

    # skipped
    DUPLICATE = "duplicate"
    """The same call is evaluated under another span id; `detail` says which."""
    NO_CONTENT = "no_content"
    """There is no text on the span; `detail` names the setting that captures it."""
    MISSING_INPUT = "missing_input"
    """The evaluator needs what the span or trace does not have; `detail` says what."""
    NOT_APPLICABLE = "not_applicable"
    """The evaluator or its judge abstained."""
    BUDGET = "budget"
    """The spend cap is reached, and no code may answer in the judge's place."""
    EXPIRED = "expired"
    """The span was older than the route's `max_age_s` when its turn came."""
    TRACE_SPLIT = "trace_split"
    """A trace evaluator reads a topic whose records are not keyed by trace."""
    TRACE_EVICTED = "trace_evicted"
    """The trace was concluded early for lack of room."""
    # failed
    JUDGE_ERROR = "judge_error"
    """The judge's endpoint failed while it answered other calls."""
    TIMEOUT = "timeout"
    """The evaluation's deadline passed while the endpoint answered other calls."""
    INVALID_OUTPUT = "invalid_output"
    """The judge's answer was unreadable, also after one corrective retry."""
    OUTPUT_TRUNCATED = "output_truncated"
    """The judge's answer was cut off at the token limit."""
    REFUSED = "refused"
    """The judge refused to answer."""
    FILTERED = "filtered"
    """The provider's content filter stopped the judge's answer."""
    RECEIPT_MISSING = "receipt_missing"
    """The answer did not prove that the judge followed its instructions."""
    EVALUATOR_ERROR = "evaluator_error"
    """The evaluator raised, hung past its deadline, or returned what is no score."""
    JUDGE_UNAVAILABLE = "judge_unavailable"
    """Only `assay evaluate`: the judge was not there within `--wait`."""

    @property
    def status(self) -> Status:
        """The outcome that this reason belongs to."""
        return Status.SKIPPED if self in _SKIPPED else Status.FAILED


_SKIPPED = frozenset(
    {
        Reason.DUPLICATE,
        Reason.NO_CONTENT,
        Reason.MISSING_INPUT,
        Reason.NOT_APPLICABLE,
        Reason.BUDGET,
        Reason.EXPIRED,
        Reason.TRACE_SPLIT,
        Reason.TRACE_EVICTED,
    }
)


class DeadLetterReason(StrEnum):
    """Why a record, or one span of it, cannot be read."""

    UNDECODABLE = "undecodable"
    """The bytes are no OTLP trace export."""
    WRONG_FORMAT = "wrong_format"
    """It is something else that can be told, such as metrics or the other encoding."""
    INVALID_UTF8 = "invalid_utf8"
    """A text is no UTF-8."""
    INVALID_ID = "invalid_id"
    """A trace or span id is all zero or of the wrong length."""
    TOO_LARGE = "too_large"
    """More bytes than `limits.message_bytes`."""
    TOO_MANY = "too_many"
    """More spans or attributes than the limits allow."""
    TOO_DEEP = "too_deep"
    """Values are nested too deeply."""
    BAD_COMPRESSION = "bad_compression"
    """The record is compressed and cannot be unpacked."""
