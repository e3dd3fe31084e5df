"""Scorers of autoevals (Braintrust; MIT)."""

import inspect
import re
from typing import Any

from evaluators.contract import Need

from .adapter import Adapter, Evidence, Found, Metric
from .chat import MODEL, Chat

_FIELD = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_NEEDS = {"input": Need.INPUT, "output": Need.OUTPUT, "expected": Need.REFERENCE}


class Autoevals(Adapter):
    """A scorer of autoevals: `metric: Factuality`, `ClosedQA`, `Levenshtein`, ..."""

    distribution = "autoevals"
    extra = "autoevals"
    module = "autoevals"

    def prepare(self, library: Any) -> Metric:
        """See from the scorer's prompt what it looks at."""
        scorers = [
            name
            for name, value in vars(library).items()
            if isinstance(value, type) and issubclass(value, library.Scorer)
        ]
        self._scorer = self.named(library, scorers)
        self._asks_judge = issubclass(self._scorer, library.llm.OpenAIScorer)
        takes = inspect.signature(self._scorer).parameters
        args = self.options.args
        self._args = {name: value for name, value in args.items() if name in takes}
        self._texts = {name: value for name, value in args.items() if name not in takes}
        scorer = self._built()
        prompt = "".join(message["content"] for message in getattr(scorer, "messages", ()))
        fields = set(_FIELD.findall(prompt))
        unknown = sorted(self._texts.keys() - fields)
        if unknown:
            raise ValueError(f"option args: {self.options.metric} takes no {', '.join(unknown)}")
        if not self._asks_judge:
            return Metric(frozenset({Need.OUTPUT, Need.REFERENCE}), asks_judge=False)
        named = {_NEEDS[name] for name in fields & _NEEDS.keys()}
        return Metric(frozenset({Need.OUTPUT, *named} if prompt else {Need.INPUT, Need.OUTPUT}))

    async def measure(self, evidence: Evidence, chat: Chat) -> Found:
        """Let the scorer evaluate; one without a prompt of its own looks at the texts alone."""
        seen: dict[str, Any] = {"output": evidence.output, "expected": evidence.reference}
        if self._asks_judge:
            seen |= {"input": evidence.input, "context": "\n\n".join(evidence.context)}
        score = await self._built(chat).eval_async(**seen, **self._texts)
        rationale = score.metadata.get("rationale")
        return Found(score.score, rationale if isinstance(rationale, str) else None)

    def _built(self, chat: Chat | None = None) -> Any:
        if not self._asks_judge:
            return self.built(self._scorer, self._args)
        client = None if chat is None else chat.client()
        return self.built(self._scorer, self._args, model=MODEL, client=client)
