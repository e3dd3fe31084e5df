"""A question on its way to a judge: made ready once, asked again a little differently."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from evaluators.contract import Question

from .clean import clean, cut
from .disguises import hides_text
from .injection import looks_injected

_TEMPLATE_CHARS = 3000
"""About what each prompt has besides the rubric and the judged text."""
_CHARS_PER_TOKEN = 4.0


@dataclass(slots=True)
class Request:
    """A question made ready: its data cleaned, cut and looked through once."""

    question: Question
    data: Mapping[str, str]
    truncated: bool
    injection_suspected: bool
    max_tokens: int
    correction: str = ""
    is_extended: bool = False

    @classmethod
    def of(
        cls,
        question: Question,
        max_tokens: int,
        text_chars: int,
        cleaner: Callable[[str], str] = clean,
    ) -> "Request":
        """Make a question ready; its texts together are cut to `text_chars`."""
        cleaned = {name: cleaner(text) for name, text in question.data.items()}
        data, truncated = cut(cleaned, text_chars)
        is_hiding = any(map(hides_text, question.data.values()))  # cleaned, they hide nothing
        return cls(question, data, truncated, is_hiding or looks_injected(data), max_tokens)

    @property
    def likely_tokens(self) -> float:
        """What an endpoint counts against a token limit: about the prompt, and all the answer."""
        question = self.question
        ours = len(question.instructions) + sum(map(len, question.examples))
        chars = _TEMPLATE_CHARS + ours + sum(map(len, self.data.values()))
        return chars / _CHARS_PER_TOKEN + self.max_tokens

    def extend(self) -> bool:
        """Allow twice the tokens; False where that was done before."""
        if self.is_extended:
            return False
        self.is_extended = True
        self.max_tokens *= 2
        return True

    def correct(self, why: str) -> bool:
        """Tell the judge what was wrong with its answer; False where that was done before."""
        if self.correction:
            return False
        self.correction = why
        return True
