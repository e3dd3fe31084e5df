"""What is published: one outcome for each span and evaluator, on the scores topic.

The JSON Schema in `outcome.schema.json` is the contract for readers; `SCHEMA_VERSION` is its
version. Fields that nothing fills yet are there from the start, as null, so that no reader has to
change.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Self

import orjson

from .reasons import Reason, Status

SCHEMA_VERSION = "1.1"


class Origin(StrEnum):
    """What asked for the evaluation; only `live` feeds the series that alert."""

    LIVE = "live"
    RETRY = "retry"
    BACKFILL = "backfill"


class EvaluatorKind(StrEnum):
    """How an evaluator comes to its score."""

    HEURISTIC = "heuristic"
    JUDGE = "judge"
    CASCADE = "cascade"
    """Code first, a judge where code cannot tell."""


@dataclass(frozen=True, slots=True)
class EvaluatorRef:
    """Which evaluator, exactly.

    `fingerprint` covers rubric content, options, judge models asked, threshold and content policy.
    """

    name: str
    """Name in the config."""
    version: str
    """Changes when scores may change."""
    kind: EvaluatorKind
    fingerprint: str
    """Hash of everything configured that decides the score."""


@dataclass(frozen=True, slots=True)
class ScoreRecord:
    """The score itself.

    `value` is in 0..1 and 1 is good, whatever the evaluator measures; `items` maps an item of the
    rubric (or a detector's kind) to what was found. Explanations have passed the redactor.
    """

    value: float
    """0..1; 1 is good."""
    label: str | None
    """A word from the evaluator's small documented set."""
    passed: bool | None
    """Whether it is good enough."""
    explanation: str | None
    """A few sentences, redacted."""
    items: Mapping[str, Any]
    """What was found, by item or kind."""
    severity: int | None = None
    """0..5, safety evaluators only."""
    critical: bool = False
    """A finding that pages at once where the config says `page_on: any`."""


@dataclass(frozen=True, slots=True)
class JudgeRecord:
    """What the judge of an evaluation did, all its calls taken together."""

    model_asked: str
    """Model in the config; where more than one judge was asked all of them, joined by `+`."""
    model_answered: str | None
    """Model that the endpoint says has answered; of a jury all, joined by `+`, of a verified
    verdict the first judge's."""
    input_tokens: int
    """Of all calls."""
    output_tokens: int
    """Of all calls, reasoning included."""
    cost_usd: float | None
    """None where the model has no known price."""
    attempts: int
    """Requests sent, the corrective retry included; 429s are not attempts."""
    latency_s: float
    """Seconds spent in requests; waiting for the limiter is not in it."""
    mode: str | None = None
    """Structured-output mode that answered: json_schema, json_object, tool or text."""
    agreement: float | None = None
    """Share of judges that agreed, where a second judge or a jury was asked."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How this span came to be evaluated. Weight every aggregate by `1 / probability`."""

    routes: tuple[str, ...]
    """Routes that selected the span and name the evaluator."""
    probability: float
    """With which a span like this is evaluated; above 0, at most 1."""


@dataclass(frozen=True, slots=True)
class SubjectRecord:
    """The evaluated call, as far as a reader of scores needs it; no content."""

    service: str | None
    """`service.name`."""
    environment: str | None
    """`deployment.environment.name`."""
    kind: str
    """llm, agent, tool, retriever, embedding, chain or other."""
    model: str | None
    """The model that was asked for, else the one that answered."""
    response_model: str | None
    """The model that answered."""
    prompt_name: str | None
    """Name of the prompt template."""
    prompt_version: str | None
    """Version of the prompt template."""
    tenant: str | None
    """By the attributes of `cost.group_by`."""
    operation: str | None
    """What the instrumentation calls the operation, such as `chat`."""
    session_id: str | None
    """Session or conversation."""
    response_id: str | None
    """The provider's id of the response."""
    start_unix_nano: int
    """Start of the call, nanoseconds since 1970."""
    duration_s: float
    """Length of the call in seconds."""
    input_tokens: int | None
    """Tokens of the call's prompt."""
    output_tokens: int | None
    """Tokens of the call's answer."""
    cost_usd: float | None
    """Cost of the call in US dollars, not that of its judge."""
    convention: str | None
    """Convention that the span was read by."""
    error: bool
    """Whether the call failed."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a span was read from: a Kafka record, or a file for `assay evaluate`.

    For a file `topic` is its path, `partition` is 0 and `offset` the index of the export in it.
    """

    topic: str
    """Topic, or path of the file."""
    partition: int
    """Partition; 0 for a file."""
    offset: int
    """Offset; for a file the index of the export in it."""

    def __str__(self) -> str:
        """As the command prints and reads it."""
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(frozen=True, slots=True)
class Flags:
    """What a reader should know before trusting the score."""

    truncated: bool = False
    """The judge saw a part of the text only."""
    injection_suspected: bool = False
    """The judged text tried to address the judge."""
    degraded: bool = False
    """A heuristic answered in the place of the judge."""
    cached: bool = False
    """No judge was asked: all verdicts were remembered, on the same text. It is no new sample, so
    leave it out of statistics; no series of scores counts it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One terminal outcome: `scored`, `skipped(reason)` or `failed(reason)`.

    Of several outcomes with one `evaluation_id` the highest `revision` holds, then the last.
    """

    evaluation_id: str
    """Hash of trace, span (none for a trace evaluator) and evaluator; the same when repeated."""
    outcome: Status
    reason: Reason | None
    detail: str | None
    """One sentence about the reason; no judged text."""
    trace_id: str
    """32 hexadecimal digits."""
    span_id: str
    """16 hexadecimal digits; of a trace evaluator the root's."""
    evaluator: EvaluatorRef
    score: ScoreRecord | None
    judge: JudgeRecord | None
    sampling: Sampling
    subject: SubjectRecord
    sources: tuple[Source, ...]
    """Where it was read: one record for a span, several for a trace."""
    origin: Origin
    flags: Flags
    evaluated_at: str
    """RFC 3339, UTC, milliseconds."""
    evaluation_s: float | None = None
    """Seconds from the start of the evaluation to its outcome; None where nothing was started."""
    revision: int = 1
    """Number of spans that it was computed from."""
    schema_version: str = SCHEMA_VERSION
    """Version of this schema."""

    def to_json(self) -> bytes:
        """Serialise for the scores topic; every field is present, unknown is null."""
        try:
            return orjson.dumps(self, option=orjson.OPT_SORT_KEYS)
        except orjson.JSONEncodeError:
            # A lone surrogate from a JSON escape in the span: valid in Python, not in UTF-8.
            return orjson.dumps(_encodable(asdict(self)), option=orjson.OPT_SORT_KEYS)

    @classmethod
    def from_json(cls, value: bytes) -> Self:
        """Read an outcome back from the scores topic; fields of newer versions are ignored.

        Raises:
            ValueError: It is no outcome of this schema's major version.
        """
        outcome: Self = _read(cls, value)
        return outcome

    def with_source(self, source: Source) -> Self:
        """The same outcome, also attributed to another record."""
        return replace(self, sources=(*self.sources, source))


def evaluation_id(trace_id: str, span_id: str, evaluator: EvaluatorRef) -> str:
    """The deterministic id of one evaluation: 32 hex characters.

    The model that answered is not part of it, so a redelivery has the same id.
    """
    parts = (trace_id, span_id, evaluator.name, evaluator.version, evaluator.fingerprint)
    text = "\x00".join(parts)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encodable(item) for item in value]
    return value


def _read(cls: type[Any], value: bytes) -> Any:
    data = orjson.loads(value)
    if not isinstance(data, dict) or str(data.get("schema_version", "")).split(".")[0] != "1":
        raise ValueError("not an outcome of schema version 1")
    try:
        return cls(
            evaluation_id=data["evaluation_id"],
            outcome=Status(data["outcome"]),
            reason=Reason(data["reason"]) if data["reason"] else None,
            detail=data["detail"],
            trace_id=data["trace_id"],
            span_id=data["span_id"],
            evaluator=_evaluator(data["evaluator"]),
            score=_record(ScoreRecord, data["score"]),
            judge=_record(JudgeRecord, data["judge"]),
            sampling=Sampling(tuple(data["sampling"]["routes"]), data["sampling"]["probability"]),
            subject=_record(SubjectRecord, data["subject"]),
            sources=tuple(_record(Source, source) for source in data["sources"]),
            origin=Origin(data["origin"]),
            flags=_record(Flags, data["flags"]),
            evaluated_at=data["evaluated_at"],
            evaluation_s=data["evaluation_s"],
            revision=data["revision"],
            schema_version=data["schema_version"],
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not an outcome: {error!r}") from error


def _evaluator(data: dict[str, Any]) -> EvaluatorRef:
    ref: EvaluatorRef = _record(EvaluatorRef, data)
    return replace(ref, kind=EvaluatorKind(ref.kind))


def _record(cls: type[Any], data: dict[str, Any] | None) -> Any:
    return None if data is None else cls(**_known(cls, data))


def _known(cls: type[Any], data: dict[str, Any]) -> dict[str, Any]:
    return {name: data[name] for name in cls.__dataclass_fields__ if name in data}
