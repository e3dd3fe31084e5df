"""The judge as an evaluator gets it: bound to one evaluation, its policy and its deadline."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from evaluators.contract import Question, Verdict
from evaluators.texts import search

from .budget import Budget, BudgetSpent
from .clean import clean
from .client import JudgeClient
from .disguises import hides_text
from .evaluation import CallRecord, Deadline
from .injection import looks_injected


class BoundJudge:
    """A `ChatJudge` for one evaluation.

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
        texts = question.data
        data, is_hiding = await search(partial(self._looked_at, texts), texts.values())
        self._record.injection_suspected |= is_hiding
        try:
            verdict = await self._client.ask(
                replace(question, data=data), self._deadline, self._record, self._budget
            )
        except BudgetSpent as spent:
            self._record.may_degrade = spent.may_degrade
            raise
        return replace(verdict, injection_suspected=True) if is_hiding else verdict

    async def evidence(self, data: Mapping[str, str]) -> tuple[dict[str, str], bool]:
        """Texts as the judge may see them: cleaned, redacted, cut to fit."""
        return await search(partial(self._evidence, data), data.values())

    def _evidence(self, data: Mapping[str, str]) -> tuple[dict[str, str], bool]:
        seen, is_hiding = self._looked_at(data)
        fitted, truncated = self._client.fitted(seen)
        self._record.injection_suspected |= is_hiding or looks_injected(fitted)
        return fitted, truncated

    async def complete(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send another library's request, its texts redacted.

        Raises:
            JudgeFailure: No answer can be had; final for this evaluation.
        """
        messages = [self._seen_message(message) for message in request.get("messages", ())]
        try:
            return await self._client.complete(
                {**request, "messages": messages}, self._deadline, self._record, self._budget
            )
        except BudgetSpent as spent:
            self._record.may_degrade = spent.may_degrade
            raise

    def _looked_at(self, texts: Mapping[str, str]) -> tuple[dict[str, str], bool]:
        seen = {name: self._seen(text) for name, text in texts.items()}
        return seen, any(hides_text(text) for text in texts.values())

    def _seen(self, text: str) -> str:
        # Cleaned before it is redacted: a secret with an invisible character inside would pass the
        # redactor, and the prompt would then put it together again.
        return self._redact(clean(text))

    def _seen_message(self, message: Mapping[str, Any]) -> dict[str, Any]:
        content = message.get("content")
        if isinstance(content, str):
            return {**message, "content": self._seen(content)}
        if isinstance(content, list):
            parts = [
                {**part, "text": self._seen(part["text"])}
                for part in content
                if isinstance(part, dict) and isinstance(part.get("text"), str)
            ]
            return {**message, "content": parts}
        return dict(message)
