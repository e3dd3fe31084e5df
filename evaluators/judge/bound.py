"""The judge as an evaluator gets it: bound to one evaluation, its policy and its deadline."""

from collections.abc import Callable
from dataclasses import replace

from evaluators.contract import Question, Verdict

from .budget import Budget, BudgetSpent
from .clean import clean
from .client import JudgeClient
from .evaluation import CallRecord, Deadline
from .injection import hides_text


class BoundJudge:
    """A `Judge` for one evaluation.

    Args:
        client: The judge that the config names.
        deadline: The evaluation's budget, shared by all of its calls.
        record: What its calls add up to.
        redact: The route's content policy for text that leaves for a judge.
        budget: What pays for its calls; None: nobody counts it.
    """

    def __init__(
        self,
        client: JudgeClient,
        deadline: Deadline,
        record: CallRecord,
        redact: Callable[[str], str],
        budget: Budget | None = None,
    ) -> None:
        self._client = client
        self._deadline = deadline
        self._record = record
        self._redact = redact
        self._budget = budget

    async def ask(self, question: Question) -> Verdict:
        """Ask once, about redacted data.

        Raises:
            JudgeFailure: No verdict can be had; final for this evaluation.
        """
        # Cleaned before it is redacted: a secret with an invisible character inside would pass the
        # redactor, and the prompt would then put it together again.
        data = {name: self._redact(clean(text)) for name, text in question.data.items()}
        is_hiding = any(hides_text(text) for text in question.data.values())
        self._record.injection_suspected |= is_hiding
        try:
            verdict = await self._client.ask(
                replace(question, data=data), self._deadline, self._record, self._budget
            )
        except BudgetSpent as spent:
            self._record.may_degrade = spent.may_degrade
            raise
        return replace(verdict, injection_suspected=True) if is_hiding else verdict
