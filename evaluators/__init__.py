"""Who judges: the plugin contract and what a plugin author imports.

`evaluators.testing` has the suite to run against your evaluator.
"""

from importlib.util import find_spec
from pathlib import Path


def _refuse_foreign_schemas() -> None:
    """Fail with a remedy where a foreign `schemas` folder or package hides ours.

    A plugin's own tests do not start through the command, which checks this for its users.
    """
    here = Path(__file__).resolve().parent.parent
    spec = find_spec("schemas")
    places = list(spec.submodule_search_locations or [spec.origin or ""]) if spec else []
    if any(Path(place).resolve().parent == here for place in places):
        return
    raise ImportError(
        f'"schemas" is {places[0] if places else "not found"}, not the package that belongs to '
        f"{here / 'evaluators'}; rename your folder, unset PYTHONPATH, or run your tests with "
        "python -P -m pytest --import-mode=importlib"
    )


_refuse_foreign_schemas()

from schemas.errors import JudgeFailure  # noqa: E402  only after the check above
from schemas.outcome import EvaluatorKind  # noqa: E402
from schemas.reasons import Reason  # noqa: E402
from schemas.span import Message, Span, SpanKind, ToolCall  # noqa: E402

from .contract import (  # noqa: E402
    Evaluator,
    Item,
    Judge,
    JudgeUse,
    Need,
    Question,
    Scope,
    Score,
    Settings,
    Skip,
    Subject,
    Verdict,
)

__all__ = [
    "Evaluator",
    "EvaluatorKind",
    "Item",
    "Judge",
    "JudgeFailure",
    "JudgeUse",
    "Message",
    "Need",
    "Question",
    "Reason",
    "Scope",
    "Score",
    "Settings",
    "Skip",
    "Span",
    "SpanKind",
    "Subject",
    "ToolCall",
    "Verdict",
]
