"""Were the retrieved passages of use for the question? A judge looks at each on its own."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from math import log2

from pydantic import Field

from evaluators.contract import Judge, Need, Score, Settings, Skip, Subject, Verdict
from evaluators.options import Options, read_options
from evaluators.rubric import Rubric, builtin_rubric

_NOTHING = frozenset({"", "[]", "{}", "null", "none", '""'})
"""What a search that found nothing leaves in a tool message."""


class ContextOptions(Options):
    """Options of `context_relevance`."""

    max_passages: int = Field(default=5, ge=1, le=50)
    """How many passages are judged, from the first; each is a call to the judge."""


class ContextRelevance(Rubric):
    """Share of useful passages, the first counting most: weights 1 / log2(rank + 1), as in DCG.

    A useful passage counts 1, one that only belongs to the topic 0.5, any other 0. Passages without
    text (a search that found nothing) score 0 with the label `empty`, without a judge. One passage
    that the judge cannot apply the question to makes the whole `skipped(not_applicable)`. Items are
    `useful`, `partly` and `useless`: counts, never text. Järvelin and Kekäläinen 2002, "Cumulated
    gain-based evaluation of IR techniques".
    """

    def __init__(self, settings: Settings) -> None:
        self._options = read_options(ContextOptions, settings.options)
        super().__init__(replace(settings, options={}), builtin_rubric("context_relevance"))

    async def evaluate(self, subject: Subject) -> Score | Skip:
        """Ask about each passage, all at once."""
        if not subject.input_text:
            return Skip("the span has no input", missing=Need.INPUT)
        if not subject.context:
            return Skip("the span has no context", missing=Need.CONTEXT)
        passages = [text for text in subject.context if text.strip().lower() not in _NOTHING]
        if not passages:
            return Score(0.0, passed=False, label="empty", explanation="Nothing was retrieved.")
        if subject.judge is None:
            raise RuntimeError("a rubric evaluator was called without a judge")
        passages = passages[: self._options.max_passages]
        verdicts = await self._ask_each(subject.judge, subject.input_text, passages)
        if any(verdict.abstained for verdict in verdicts):
            return Skip("the judge found the rubric not applicable")
        return self._combined(verdicts)

    async def _ask_each(self, judge: Judge, asked: str, passages: Sequence[str]) -> list[Verdict]:
        questions = [
            replace(self._question, data={"input": asked, "context": text}) for text in passages
        ]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(judge.ask(question)) for question in questions]
        except BaseExceptionGroup as error:
            # The worker knows a failure of the judge by its type: the first stands for all.
            raise error.exceptions[0] from error
        return [task.result() for task in tasks]

    def _combined(self, verdicts: Sequence[Verdict]) -> Score:
        worth = [_worth(verdict) for verdict in verdicts]
        weights = [1 / log2(rank + 1) for rank in range(1, len(worth) + 1)]
        total = sum(value * weight for value, weight in zip(worth, weights, strict=True))
        value = min(1.0, total / sum(weights))
        passed = value >= self.threshold
        worst = verdicts[worth.index(min(worth))]
        return Score(
            value=value,
            passed=passed,
            label="pass" if passed else "fail",
            explanation=worst.reason,
            items={
                "useful": worth.count(1.0),
                "partly": worth.count(0.5),
                "useless": worth.count(0.0),
            },
            injection_suspected=any(verdict.injection_suspected for verdict in verdicts),
            truncated=any(verdict.truncated for verdict in verdicts),
        )


def _worth(verdict: Verdict) -> float:
    if verdict.answers["useful"]:
        return 1.0
    return 0.5 if verdict.answers["on_topic"] else 0.0
