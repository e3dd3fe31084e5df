"""Does the answer deal with what was asked? A rubric, behind a gate that needs no judge."""

from evaluators.contract import Need, Score, Settings, Skip, Subject
from evaluators.rubric import Rubric, builtin_rubric

# Openers that promise an answer. Alone they are none, and yet judges have let them pass: "One Token
# to Fool LLM-as-a-Judge" (Zhao and others 2025, arXiv 2507.08794).
_PROMISES = frozenset(
    {
        "answer", "the answer is", "final answer", "heres the answer", "here is the answer",
        "here is my answer", "here you go", "solution", "the solution is", "here is the solution",
        "thought process", "my thought process", "reasoning", "explanation", "let me explain",
        "let me think", "let me think about this", "let me help you with that", "let me see",
        "lets think step by step", "lets solve this step by step", "lets begin",
        "lets solve this problem step by step", "step by step", "great question", "good question",
        "that is a great question", "thats a great question", "id be happy to help",
        "i would be happy to help", "im happy to help", "happy to help", "i can help with that",
        "antwort", "lösung", "gute frage", "gerne", "réponse", "solución", "respuesta",
        "buena pregunta", "bonne question", "soluzione", "risposta", "resposta", "ответ", "решение",
        "解", "答案", "解答", "回答", "かいとう", "답변",
    }
)  # fmt: skip
# These can be a whole answer ("Can you deliver on Saturday?"), but not in front of a promise.
_FILLERS = frozenset(
    {"sure", "certainly", "of course", "absolutely", "okay", "ok", "yes", "well", "alright", "and"}
)
_LONGEST_WORDS = max(len(phrase.split()) for phrase in _PROMISES | _FILLERS)
_LONGEST_CHARS = 400
"""A text that is longer holds more than openers."""


class AnswerRelevance(Rubric):
    """The rubric `answer_relevance`.

    An answer that is empty, only punctuation or only an opener ("Sure! Here is the answer:") scores
    0 with the label `no_answer`, without a judge.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, builtin_rubric("answer_relevance"))

    async def evaluate(self, subject: Subject) -> Score | Skip:
        """Ask the judge about an answer that says something."""
        span = subject.span
        if not says_something(subject.output_text):
            if span.tool_calls:
                return Skip("the model only called tools; there is no text to judge")
            if span.output_text is None:
                return Skip("the span has no output", missing=Need.OUTPUT)
            return Score(
                value=0.0,
                passed=False,
                label="no_answer",
                explanation="The output is empty or only announces an answer.",
            )
        return await super().evaluate(subject)


def says_something(text: str) -> bool:
    """Whether a text is more than punctuation and openers."""
    if len(text) > _LONGEST_CHARS:
        return any(map(str.isalnum, text))
    words = _words(text)
    promised = False
    while words:
        for size in range(_LONGEST_WORDS, 0, -1):
            phrase = " ".join(words[:size])
            if phrase in _PROMISES or phrase in _FILLERS:
                promised = promised or phrase in _PROMISES
                words = words[size:]
                break
        else:
            return True
    return not promised and any(map(str.isalnum, text))


def _words(text: str) -> list[str]:
    joined = text.casefold().replace("'", "").replace("\u2019", "")
    return "".join(char if char.isalnum() else " " for char in joined).split()
