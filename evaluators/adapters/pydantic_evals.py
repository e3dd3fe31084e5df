"""Evaluators of pydantic-evals (Pydantic; MIT), as far as they need no recorded run."""

from importlib import import_module
from typing import Any

from evaluators.contract import Need

from .adapter import Adapter, Evidence, Found, Metric
from .chat import MODEL, Chat
from .scores import ScoreMissing

_JUDGED = ["LLMJudge", "GEval"]
_CODE = ["Contains", "Equals", "EqualsExpected", "IsInstance", "MaxDuration"]


class PydanticEvals(Adapter):
    """An evaluator of pydantic-evals: `metric: LLMJudge`, `GEval`, `Contains`, ..."""

    distribution = "pydantic-evals"
    extra = "pydantic-evals"
    module = "pydantic_evals.evaluators"

    def prepare(self, library: Any) -> Metric:
        """See from the evaluator's arguments what it looks at."""
        self._context = library.EvaluatorContext
        self._evaluator = self.named(library, [*_JUDGED, *_CODE])
        self._asks_judge = self.options.metric in _JUDGED
        if self._asks_judge:  # told now where it is missing, not with the first span
            self._openai = import_module("pydantic_ai.models.openai").OpenAIChatModel
            self._provider = import_module("pydantic_ai.providers.openai").OpenAIProvider
        evaluator = self.built(self._evaluator, self.options.args)
        needs = {Need.OUTPUT}
        if getattr(evaluator, "include_input", False):
            needs.add(Need.INPUT)
        compares = self.options.metric == "EqualsExpected"
        if compares or getattr(evaluator, "include_expected_output", False):
            needs.add(Need.REFERENCE)
        low, high = getattr(evaluator, "score_range", (0, 1))
        return Metric(frozenset(needs), self._asks_judge, (float(low), float(high)))

    async def measure(self, evidence: Evidence, chat: Chat) -> Found:
        """Let the evaluator evaluate a case without a recorded run."""
        if self._asks_judge:
            model = self._openai(MODEL, provider=self._provider(openai_client=chat.client()))
            evaluator = self.built(self._evaluator, self.options.args, model=model)
        else:
            evaluator = self.built(self._evaluator, self.options.args)
        context = self._context(
            name=None,
            inputs=evidence.input,
            metadata={"context": evidence.context},
            expected_output=evidence.reference,
            output=evidence.output,
            duration=evidence.duration_s,
            _span_tree=None,
            attributes={},
            metrics={},
        )
        return _found(await evaluator.evaluate_async(context))


def _found(output: Any) -> Found:
    """The one result; several have no order in which one of them is the score."""
    if isinstance(output, dict):
        if len(output) != 1:
            raise ScoreMissing
        (output,) = output.values()
    if hasattr(output, "value"):
        return Found(output.value, output.reason)
    return Found(output)
