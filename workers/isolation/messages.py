"""What a worker and a process of an evaluator say to each other, and how it is framed.

Downwards goes pickle: whoever could forge it holds the worker already. Upwards goes JSON, which is
put together by hand: nothing that a plugin sends can make the worker run anything.
"""

import json
import pickle
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from evaluators.contract import (
    Item,
    JudgeUse,
    Need,
    Question,
    Scope,
    Score,
    Settings,
    Skip,
    Verdict,
)
from schemas.errors import JudgeFailure
from schemas.outcome import EvaluatorKind
from schemas.reasons import Reason
from schemas.span import Span

HEAD = struct.Struct("!I")
MAX_UP_BYTES = 64 * 1024 * 1024
"""The largest frame that a worker takes: a question may hold the texts of a whole span."""


class BadFrame(ValueError):  # noqa: N818  a state of the bytes
    """A frame from a process that is no message of ours."""


# --- from the worker ---


@dataclass(frozen=True, slots=True)
class Start:
    """The first frame: build this evaluator."""

    settings: Settings
    memory_bytes: int | None


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Evaluate a subject; `number` names the evaluation in all that follows."""

    number: int
    span: Span
    context: tuple[str, ...]
    reference: str | None
    spans: tuple[Span, ...]
    has_judge: bool


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel an evaluation; it has to end soon, or its process is killed."""

    number: int


Reply = Verdict | Mapping[str, Any] | tuple[dict[str, str], bool]
"""What a judge says to a question, to a completion, and to texts that it may see."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the judge said, or (reason, detail) of its failure."""

    number: int
    call: int
    reply: Reply | None
    failure: tuple[Reason, str] | None


Down = Start | Evaluate | Cancel | Answer


# --- from the process ---


@dataclass(frozen=True, slots=True)
class Facts:
    """What an evaluator declares (`evaluators/contract.py`), told once it is built."""

    version: str
    kind: EvaluatorKind
    scope: Scope
    needs: frozenset[Need]
    judge_use: JudgeUse
    threshold: float
    deadline_s: float
    content_fingerprint: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The evaluator cannot be built."""

    message: str
    distribution: str | None
    is_config: bool


@dataclass(frozen=True, slots=True)
class Began:
    """An evaluation takes its first step: from here on its time counts."""

    number: int


@dataclass(frozen=True, slots=True)
class Completion:
    """The body of another library's request (`ChatJudge.complete`)."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of a subject, to be made fit for a judge (`ChatJudge.evidence`)."""

    data: dict[str, str]


Asking = Question | Completion | Texts


@dataclass(frozen=True, slots=True)
class Asked:
    """An evaluation asks its judge."""

    number: int
    call: int
    question: Asking


@dataclass(frozen=True, slots=True)
class Ended:
    """An evaluation is over; an error is type and place of what it raised, no message."""

    number: int
    result: Score | Skip | JudgeFailure | None
    error: str | None = None


Up = Facts | Refused | Began | Asked | Ended


def pack_down(message: Down) -> bytes:
    """A frame for a process."""
    return _framed(pickle.dumps(message, pickle.HIGHEST_PROTOCOL))


def unpack_down(body: bytes) -> Down:
    """Read the body of a frame in a process."""
    message: Down = pickle.loads(body)  # noqa: S301  our own worker wrote it
    return message


def pack_up(message: Up) -> bytes:
    """A frame for the worker.

    Raises:
        TypeError, ValueError: A value that a plugin made is no JSON.
    """
    fields: dict[str, Any] = {"says": type(message).__name__}
    match message:
        case Ended(number, JudgeFailure(reason=reason, detail=detail), error):
            fields |= {"number": number, "error": error, "failed": [reason, detail]}
        case Ended(number, Score() as score, error):
            fields |= {"number": number, "error": error, "score": asdict(score)}
        case Ended(number, Skip() as skip, error):
            fields |= {"number": number, "error": error, "skip": asdict(skip)}
        case _:
            fields |= asdict(message)
    # All ASCII: judged text may hold lone surrogates, which are no UTF-8.
    return _framed(json.dumps(fields, default=_plain).encode())


def unpack_up(body: bytes) -> Up:
    """Read the body of a frame from a process.

    Raises:
        BadFrame: It is none of our messages.
    """
    try:
        fields = json.loads(body)
        if not isinstance(fields.get("number", 0), int):  # it is looked up
            raise BadFrame("its number is none")
        match fields.pop("says"):
            case "Facts":
                return _facts(fields)
            case "Refused":
                return Refused(**fields)
            case "Began":
                return Began(**fields)
            case "Asked":
                return Asked(fields["number"], fields["call"], _asking(fields["question"]))
            case "Ended":
                return Ended(fields["number"], _result(fields), fields["error"])
            case unknown:
                raise BadFrame(f'there is no message "{unknown}"')
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise BadFrame(f"{type(error).__name__}: {error}") from error


def unpack_greeting(body: bytes) -> Facts | Refused:
    """Read the body of a process's first frame.

    Raises:
        BadFrame: It is none of the two.
    """
    message = unpack_up(body)
    if not isinstance(message, Facts | Refused):
        raise BadFrame(f"{type(message).__name__} is no greeting")
    return message


def _framed(body: bytes) -> bytes:
    return HEAD.pack(len(body)) + body


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _facts(fields: dict[str, Any]) -> Facts:
    return Facts(
        version=fields["version"],
        kind=EvaluatorKind(fields["kind"]),
        scope=Scope(fields["scope"]),
        needs=frozenset(Need(need) for need in fields["needs"]),
        judge_use=JudgeUse(fields["judge_use"]),
        threshold=fields["threshold"],
        deadline_s=fields["deadline_s"],
        content_fingerprint=fields["content_fingerprint"],
    )


def _asking(fields: dict[str, Any]) -> Asking:
    if "body" in fields:
        return Completion(**fields)
    if fields.keys() == {"data"}:
        return Texts(**fields)
    return Question(
        **{
            **fields,
            "items": tuple(Item(**item) for item in fields["items"]),
            "examples": tuple(fields["examples"]),
        }
    )


def _result(fields: dict[str, Any]) -> Score | Skip | JudgeFailure | None:
    if "score" in fields:
        return Score(**fields["score"])
    if "skip" in fields:
        missing = fields["skip"]["missing"]
        return Skip(fields["skip"]["detail"], None if missing is None else Need(missing))
    if "failed" in fields:
        reason, detail = fields["failed"]
        return JudgeFailure(Reason(reason), detail)
    return None
