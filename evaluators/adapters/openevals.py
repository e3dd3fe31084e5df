"""Prompts of openevals (LangChain; MIT), asked with its own judge in code."""

from importlib import import_module
from string import Formatter
from typing import Any

from evaluators.contract import Need

from .adapter import Adapter, AdapterOptions, Evidence, Found, Metric
from .chat import MODEL, Chat

_NEEDS = {
    "inputs": Need.INPUT,
    "outputs": Need.OUTPUT,
    "reference_outputs": Need.REFERENCE,
    "context": Need.CONTEXT,
}


class OpenevalsOptions(AdapterOptions):
    """Options of this adapter."""

    higher_is_better: bool
    """True where the prompt asks for something good, false where it asks for a fault, such as
    toxicity: its text alone does not tell."""


class Openevals(Adapter):
    """A prompt of openevals: `metric: CONCISENESS_PROMPT`, `TOXICITY_PROMPT`, ..."""

    distribution = "openevals"
    extra = "openevals"
    module = "openevals"
    switches = {"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"}  # noqa: RUF012
    Options = OpenevalsOptions

    def prepare(self, library: Any) -> Metric:
        """See from the prompt's fields what it looks at."""
        self._judge = library.llm.create_async_llm_as_judge
        prompts = import_module("openevals.prompts")
        self._prompt: str = self.named(prompts, list(prompts.__all__))
        fields = {name for _, name, _, _ in Formatter().parse(self._prompt) if name}
        unknown = sorted(fields - _NEEDS.keys() - self.options.args.keys())
        if unknown:
            raise ValueError(
                f"option args: {self.options.metric} has fields that no span fills: "
                f"{', '.join(unknown)}; give their texts in args"
            )
        self._fields = fields
        self._built(None)
        return Metric(frozenset(_NEEDS[name] for name in fields & _NEEDS.keys()))

    async def measure(self, evidence: Evidence, chat: Chat) -> Found:
        """Ask, with the fields that the prompt has."""
        seen = {
            "inputs": evidence.input,
            "outputs": evidence.output,
            "reference_outputs": evidence.reference,
            "context": "\n\n".join(evidence.context),
            **self.options.args,
        }
        result = await self._built(chat)(**{name: seen[name] for name in self._fields})
        return Found(result["score"], result.get("comment"))

    def _built(self, chat: Chat | None) -> Any:
        args = {k: value for k, value in self.options.args.items() if k not in self._fields}
        judge = None if chat is None else chat.client()
        return self.built(self._judge, args, prompt=self._prompt, judge=judge, model=MODEL)
