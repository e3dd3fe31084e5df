"""Does judged text address its judge? A flag on the score, never a change of the verdict."""

from collections.abc import Mapping
from functools import cache

from evaluators.phrases import Phrases

from .disguises import hides_text, readings
from .signs import PATTERNS


def looks_injected(data: Mapping[str, str]) -> bool:
    """Whether some text seems to address its judge rather than its reader.

    Honest text about such attacks is flagged too: the flag says *look*, not *guilty*.
    """
    return any(_suspicious(text) for text in data.values())


def _suspicious(text: str) -> bool:
    if hides_text(text):
        return True
    phrases = _phrases()
    return any(phrases.occur_in(reading) for reading in readings(text))


@cache
def _phrases() -> Phrases:
    return Phrases(
        (name, expression) for name, expressions in PATTERNS.items() for expression in expressions
    )
