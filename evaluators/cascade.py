"""Evaluators that decide in code what code can, and ask a judge about the rest."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from schemas.outcome import EvaluatorKind

from .contract import JudgeUse, Score, Settings, Skip, Subject, Verdict
from .rubric import Rubric, builtin_rubric
from .texts import search

DECIDED_BY = "decided_by"
"""The item that says what gave the score: a stage of the code, or `judge`."""


class Cascade(Rubric):
    """A built-in rubric behind code. A subclass gives the code: `_decide`, `_alone`.

    The judge is asked only where the config names one: without, it is a heuristic in the code lane.
    """

    judge_use = JudgeUse.OPTIONAL

    def __init__(self, settings: Settings, rubric: str, version: str) -> None:
        super().__init__(replace(settings, options={}), builtin_rubric(rubric))
        self.kind = EvaluatorKind.CASCADE if settings.has_judge else EvaluatorKind.HEURISTIC
        if settings.has_judge:
            self.version = f"{version}-{self.rubric.full_version}"
        else:
            self.version, self.content_fingerprint = version, ""

    async def evaluate(self, subject: Subject) -> Score | Skip:
        """Decide in code, in a thread where texts are long; then ask the judge, or do without."""
        said = [message.content or "" for message in subject.span.messages_in]
        texts = (*said, *subject.context, subject.output_text)
        decided = await search(partial(self._decide, subject), texts)
        if decided is not None:
            return decided
        if subject.judge is None:
            return self._alone(subject)
        return await super().evaluate(subject)

    def _decide(self, subject: Subject) -> Score | Skip | None:
        """What code can say for certain; None where it cannot."""
        raise NotImplementedError

    def _alone(self, subject: Subject) -> Score | Skip:
        """The best that code can say where there is no judge."""
        raise NotImplementedError

    def _score(self, value: float, verdict: Verdict, severity: int | None) -> Score:
        score = super()._score(value, verdict, severity)
        return replace(score, items={**score.items, DECIDED_BY: "judge"})


def code_score(
    value: float,
    label: str,
    explanation: str | None = None,
    *,
    by: str = "code",
    items: Mapping[str, Any] | None = None,
    degraded: bool = False,
) -> Score:
    """A score that code gave."""
    return Score(
        value=value,
        label=label,
        explanation=explanation,
        items={**(items or {}), DECIDED_BY: by},
        degraded=degraded,
    )
