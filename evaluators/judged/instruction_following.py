"""Does the answer keep the rules that it was given? Checkable ones in code, the rest by a judge."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from evaluators.cascade import Cascade, code_score
from evaluators.contract import Item, Need, Score, Settings, Skip, Subject, Verdict
from evaluators.detectors import orders
from evaluators.evidence import evidence
from evaluators.options import Options, read_options

_Text = Annotated[str, Field(min_length=1, max_length=2000)]
_MAX_RULES = 20


class InstructionOptions(Options):
    """Options of `instruction_following`; without any, the rules are those of the system prompt."""

    rules: tuple[_Text, ...] = Field(default=(), strict=False, max_length=_MAX_RULES)
    """Rules in words, one for each question to the judge."""
    max_words: int | None = Field(default=None, ge=1)
    max_sentences: int | None = Field(default=None, ge=1)
    max_characters: int | None = Field(default=None, ge=1)
    language: str | None = Field(default=None, pattern=r"^[a-z]{2}$")
    """ISO 639 code of the language that every answer has to have."""
    forbidden: tuple[_Text, ...] = Field(default=(), strict=False, max_length=200)
    """Words or phrases that no answer may hold, in whatever case."""
    required: tuple[_Text, ...] = Field(default=(), strict=False, max_length=200)
    """Texts that every answer has to hold, such as a notice."""

    @property
    def orders(self) -> tuple[orders.Order, ...]:
        """The rules that code checks."""
        limits = (
            (self.max_words, orders.most_words),
            (self.max_sentences, orders.most_sentences),
            (self.max_characters, orders.most_chars),
        )
        found = [make(size) for size, make in limits if size is not None]
        found += [orders.in_language(self.language)] if self.language is not None else []
        found += [orders.without(word, number) for number, word in enumerate(self.forbidden, 1)]
        found += [orders.holding(text, number) for number, text in enumerate(self.required, 1)]
        return tuple(found)


class InstructionFollowing(Cascade):
    """Value 0 where a rule that code can check is broken (label `broken`; items name the rule).

    Rules are those of `options`, else those of the system prompt: limits of length, a language,
    JSON alone, no emoji, as far as they are ordered of every answer. Where code finds none broken
    and the config names a judge, it decides about the other rules: those of `options.rules`, one by
    one, else about the system prompt as a whole; the value is then the share of rules kept, and all
    have to be. Without a judge an answer that keeps all checked rules has the value 1 (`kept`), and
    one that no rule could be checked on is `skipped(not_applicable)`.
    """

    def __init__(self, settings: Settings) -> None:
        self._options = read_options(InstructionOptions, settings.options)
        super().__init__(settings, "instruction_following", "1")
        self._orders = self._options.orders
        self._is_configured = bool(self._orders or self._options.rules)
        needs = {Need.OUTPUT} if self._is_configured else {Need.OUTPUT, Need.SYSTEM_PROMPT}
        self.needs = frozenset(needs)
        self._rules = tuple(
            Item(f"rule_{number}", f"Does the output keep this rule, or does it not apply: {rule}")
            for number, rule in enumerate(self._options.rules, 1)
        )

    async def evaluate(self, subject: Subject) -> Score | Skip:
        """Check in code; ask the judge about the rest."""
        decided = self._decide(subject)
        if decided is not None:
            return decided
        if subject.judge is None or (self._is_configured and not self._rules):
            return self._alone(subject)
        if not self._rules:
            return await super().evaluate(subject)
        data = evidence(subject, self.rubric.inputs)
        asked = replace(self._question, items=self._rules, data=data)
        return self._by_rule(await subject.judge.ask(asked))

    def _decide(self, subject: Subject) -> Score | Skip | None:
        if not subject.output_text.strip():
            if subject.span.tool_calls:
                return Skip("the model only called tools; there is no text to judge")
            return Skip("the span has no output", missing=Need.OUTPUT)
        if not self._is_configured and not subject.system_text.strip():
            return Skip("the span has no system prompt", missing=Need.SYSTEM_PROMPT)
        kept = self._checked(subject)
        if all(kept.values()):
            return None
        broken = ", ".join(name for name, is_kept in kept.items() if not is_kept)
        return code_score(0.0, "broken", f"The answer breaks: {broken}.", items=kept)

    def _alone(self, subject: Subject) -> Score | Skip:
        kept = self._checked(subject)
        if not kept:
            return Skip("no rule that code can check; a judge could")
        return code_score(1.0, "kept", items=kept)

    def _checked(self, subject: Subject) -> Mapping[str, bool]:
        rules = self._orders if self._is_configured else orders.orders_in(subject.system_text)
        return {rule.name: rule.keeps(subject.output_text) for rule in rules}

    def _by_rule(self, verdict: Verdict) -> Score | Skip:
        if verdict.abstained:
            return Skip("the judge found the rules not applicable")
        kept = sum(verdict.answers[item.id] for item in self._rules)
        return self._score(kept / len(self._rules), verdict, None)
