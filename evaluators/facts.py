"""What an evaluator declares, checked: at start by the registry, in tests by `testing`."""

import inspect
from collections.abc import Callable
from typing import Any

from schemas.outcome import EvaluatorKind

from .contract import JudgeUse, Need, Scope


def faults_of(evaluator: Any) -> list[str]:
    """What is wrong with the facts that an evaluator declares: each named, with what it has to be.

    A class that inherits from nothing of ours can leave out or mistake any of them.
    """
    return [
        f"{fact} {_found(evaluator, fact)}, and should be {expected}"
        for fact, (is_right, expected) in _FACTS.items()
        if not (hasattr(evaluator, fact) and is_right(getattr(evaluator, fact)))
    ]


def _found(evaluator: Any, fact: str) -> str:
    if not hasattr(evaluator, fact):
        return "is not declared"
    value = getattr(evaluator, fact)
    return f"is the {type(value).__name__} {value!r:.60}"


def _is_number(value: Any, low: float, high: float) -> bool:
    return isinstance(value, int | float) and low <= value <= high  # as NaN never is


def _is_needs(value: Any) -> bool:
    return isinstance(value, frozenset) and all(isinstance(need, Need) for need in value)


def _is_awaited(value: Any) -> bool:
    if inspect.isroutine(value) and not hasattr(value, "__wrapped__"):
        return inspect.iscoroutinefunction(value)
    return callable(value)  # what wraps a function may well return its coroutine


def _one_of(kind: type[EvaluatorKind | JudgeUse | Scope]) -> tuple[Callable[[Any], bool], str]:
    names = ", ".join(f"{kind.__name__}.{member.name}" for member in kind)
    return lambda value: isinstance(value, kind), f"one of {names}"


_FACTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "version": (
        lambda value: isinstance(value, str) and bool(value),
        'a text that is not empty, such as "1"',
    ),
    "kind": _one_of(EvaluatorKind),
    "scope": _one_of(Scope),
    "needs": (_is_needs, "a frozenset of Need, such as frozenset({Need.OUTPUT})"),
    "judge_use": _one_of(JudgeUse),
    "threshold": (lambda value: _is_number(value, 0, 1), "a number in 0..1"),
    "deadline_s": (
        lambda value: _is_number(value, 0, 86_400) and value > 0,
        "seconds above 0, up to 86400",
    ),
    "content_fingerprint": (
        lambda value: isinstance(value, str),
        'a text, "" where there is no such content',
    ),
    "evaluate": (_is_awaited, "async def evaluate(self, subject: Subject) -> Score | Skip"),
}
