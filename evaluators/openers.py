"""Does a text say anything? Found out before a judge is asked, and paid, for nothing."""

import re

from .judge.clean import clean
from .lookalikes import fold

_VISIBLE = re.compile("[!-~]")

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


def says_something(text: str) -> bool:
    """Whether a text is more than punctuation and openers, also where those are disguised."""
    text = clean(text)
    if len(text) > _LONGEST_CHARS:
        return any(map(str.isalnum, text))
    return _has_words(text) and (text.isascii() or _has_words(fold(text)))


def is_blank(text: str) -> bool:
    """Whether nothing of a text can be seen: it is white space and invisible characters."""
    return _VISIBLE.search(text) is None and not clean(text).strip()


def _has_words(text: str) -> bool:
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
