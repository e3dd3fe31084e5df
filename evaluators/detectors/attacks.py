"""Signs that a text tries to take an assistant over; honest talk about attacks shows them too."""

# ruff: noqa: E501  an expression is easier to read in one piece

from collections.abc import Iterator
from functools import cache

from evaluators.judge.disguises import hides_text, readings
from evaluators.judge.signs import PATTERNS
from evaluators.phrases import Phrases

VERSION = "2"

_TACTICS: dict[str, tuple[str, ...]] = {
    "override": ("ignore_old", "new_rules", "instead", "end_of_data", "foreign_override"),
    "persona": ("role", "mode"),
    "template": ("turn", "heading", "template", "tags", "tool"),
    "encoding": ("spaced", "decode"),
}  # fmt: skip
"""Of the patterns that find injections against judges, those that mean any model."""

_OWN: tuple[tuple[str, str], ...] = (
    # "Ignore my last message" is what users write who found their invoice.
    ("override", r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,30}\b(?:instructions?|rules|prompts?|directions|guidelines)\b"),
    ("persona", r"\b(?:do anything now|stay in character|you (?:are|will be) dan\b|evil (?:ai|twin|bot))"),
    ("persona", r"\b(?:no|without|free (?:of|from)|not bound by|remove|lift)\b.{0,20}\b(?:restrictions|limitations|filters|guardrails|censorship|guidelines|ethic\w*)"),
    ("persona", r"\b(?:unfiltered|uncensored|jailbroken|amoral|unrestricted)\b.{0,40}\b(?:ai|bot|model|assistant|mode|response|answer)"),
    ("persona", r"\bnever (?:refuse|decline|say no|apologi[sz]e)\b|\bcannot refuse\b"),
    ("extraction", r"\b(?:reveal|print|show|repeat|output|display|tell me|give me|what (?:is|are|was|were)|leak|summari[sz]e|translate)\b.{0,30}\b(?:your|the|its|all)\b.{0,20}\b(?:system prompt|initial (?:prompt|instructions)|hidden (?:prompt|instructions)|instructions above|prompt above|secret instructions|developer message)"),
    ("extraction", r"\b(?:repeat|print|output|write)\b.{0,20}\b(?:everything|all|the words|the text)\b.{0,12}\babove\b"),
    ("smuggling", r"\b(?:when|if) (?:you|the (?:ai|assistant|model|llm)) (?:read|reads|process\w*|summari[sz]e\w*)\b.{0,40}\b(?:this|you must|then)"),
    ("smuggling", r"\b(?:ai|assistants?|llms?|language models?|chatbots?)\b.{0,20}(?:[:,]|\bmust\b).{0,60}\b(?:send|forward|e-?mail|post|call|click|visit|include|recommend|transfer)\b"),
    ("smuggling", r"!\[[^\]]{0,80}\]\(https?://[^)\s]{1,300}[?&][^)\s]{0,200}(?:\{|data=|q=|prompt|secret)"),
)  # fmt: skip
_READ_CHARS = 200_000


def tactics_in(text: str) -> set[str]:
    """Tactics whose signs a text shows: override, persona, template, encoding, extraction, ..."""
    text = text[:_READ_CHARS]
    found = {"hidden_text"} if hides_text(text) else set()
    for reading in readings(text):
        found.update(_phrases().names_in(reading))
    return found


@cache
def _phrases() -> Phrases:
    return Phrases(_all())


def _all() -> Iterator[tuple[str, str]]:
    for tactic, keys in _TACTICS.items():
        for key in keys:
            for expression in PATTERNS[key]:
                yield tactic, expression
    yield from _OWN
