"""What a plugin answered, looked at before anybody relies on it."""

import orjson

from evaluators.contract import Score, Skip
from schemas.errors import JudgeFailure
from schemas.reasons import Reason

from .wall import EvaluatorFault, place_of

_LABEL_CHARS = 100
_ITEMS_BYTES = 16_384
_MAX_SEVERITY = 5


def fault_of(result: object) -> str | None:  # noqa: PLR0911  one for each case
    """Why what a plugin returned or raised cannot be written down, or None.

    What is not checked here would raise where the outcome is written, outside of the engine's wall.
    """
    match result:
        case Score():
            broken = (fault for holds, fault in _checks(result) if not holds)
            fault = next(broken, None) or _items_fault(result)
            return None if fault is None else f"returned what is no score: {fault}"
        case Skip() | JudgeFailure() if not _is_a(result.detail, str):
            return f"returned {type(result).__name__} whose detail is no text"
        case JudgeFailure() if not _is_a(result.reason, Reason):
            return "returned JudgeFailure whose reason is none of ours"
        case Skip() | JudgeFailure():
            return None
        case EvaluatorFault(detail=detail):
            return detail
        case BaseException():
            return place_of(result)
        case _:
            return f"returned {type(result).__name__}, not Score or Skip"


def _checks(score: Score) -> list[tuple[bool, str]]:
    flags = ("critical", "degraded", "injection_suspected", "truncated")
    return [
        (_is_number(score.value) and 0 <= score.value <= 1, "value is not in 0..1"),  # nor is NaN
        (score.passed is None or isinstance(score.passed, bool), "passed is not a bool"),
        (_is_text(score.label, _LABEL_CHARS), "label is not a short text"),
        (score.explanation is None or isinstance(score.explanation, str), "explanation is no text"),
        (
            score.severity is None
            or (type(score.severity) is int and 0 <= score.severity <= _MAX_SEVERITY),
            "severity is not in 0..5",
        ),
        *((isinstance(getattr(score, flag), bool), f"{flag} is not a bool") for flag in flags),
    ]


def _items_fault(score: Score) -> str | None:
    try:
        too_large = len(orjson.dumps(dict(score.items))) > _ITEMS_BYTES
    except Exception:  # noqa: BLE001  a mapping of a plugin's own may raise anything
        return "items cannot be written as JSON"
    return "items are too large" if too_large else None


def _is_a(value: object, kind: type) -> bool:
    return isinstance(value, kind)  # a plugin's types are only claims


def _is_number(value: object) -> bool:
    return type(value) in {int, float}


def _is_text(value: object, limit: int) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= limit)
