"""Does somebody try to take the assistant over? Signs by pattern, then a judge."""

from collections.abc import Mapping
from typing import Literal

from evaluators.cascade import Cascade, code_score
from evaluators.contract import Need, Score, Settings, Skip, Subject, Verdict
from evaluators.detectors import attacks
from evaluators.options import Options, read_options

_THRESHOLD = 0.5


class AttackOptions(Options):
    """Options of `prompt_attack`."""

    ask: Literal["signs", "always"] = "signs"
    """Ask the judge where signs are found, or about everything: signs miss every second attack."""


class PromptAttack(Cascade):
    """Value 0 where the judge sees an attack (label `attack`), 1 where there is none (`none`).

    It looks at the last user message (channel `input`) and at what the application brought in,
    documents and tool results (channel `context`): instructions have no business there. Signs alone
    decide nothing, since honest text about attacks shows them too: without a judge they give the
    value 0.5 with the label `suspected`, which passes. Items: `input` and `context`, the tactics
    whose signs were found; the judge's answers beside them.
    """

    def __init__(self, settings: Settings) -> None:
        self._options = read_options(AttackOptions, settings.options)
        super().__init__(settings, "prompt_attack", f"1-{attacks.VERSION}")
        self.threshold = _THRESHOLD if settings.threshold is None else settings.threshold

    def _decide(self, subject: Subject) -> Score | Skip | None:
        if not subject.input_text:
            return Skip("the span has no input", missing=Need.INPUT)
        found = _signs(subject)
        if any(found.values()) or (subject.judge is not None and self._options.ask == "always"):
            return None
        return code_score(1.0, "none", by="signs", items=found)

    def _alone(self, subject: Subject) -> Score:
        return code_score(
            0.5, "suspected", "There are signs of an attack.", by="signs", items=_signs(subject)
        )

    def _share_score(self, verdict: Verdict) -> Score:
        # One kind of attack is an attack, whatever the answers to the other questions are.
        is_attack = any(verdict.answers[item.id] != item.good for item in self.rubric.items)
        return Score(
            value=float(not is_attack),
            label="attack" if is_attack else "none",
            explanation=verdict.reason,
            items={**verdict.answers, "decided_by": "judge"},
            injection_suspected=verdict.injection_suspected,
            truncated=verdict.truncated,
        )


def _signs(subject: Subject) -> Mapping[str, list[str]]:
    results = [m.content for m in subject.span.messages_in if m.role == "tool" and m.content]
    brought = "\n".join(dict.fromkeys([*subject.context, *results]))
    channels = {"input": subject.input_text, "context": brought}
    return {name: sorted(attacks.tactics_in(text)) for name, text in channels.items()}
