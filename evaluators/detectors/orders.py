"""Rules about the form of an answer that code can check: configured, or read in instructions.

Only sentences that order something of every answer are read, in English; "if the user asks for a
summary, answer in one sentence" is none of these.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .languages import language_of

_READ_CHARS = 20_000
_SENTENCE = re.compile(r"[^.!?\n]+")
_CONDITION = re.compile(
    r"(?i)\b(?:if|when|whenever|unless|except|for|in case|where|only to|once)\b"
)
_ADDRESS = (
    r"(?:answer|respond|reply|write|keep (?:it|your (?:answers?|responses?|replies))|use|"
    r"limit (?:yourself|your (?:answers?|responses?|replies))|"
    r"your (?:answers?|responses?|replies) (?:must|should|has to|have to|may|can))"
)
_MOST = r"(?:at most|no more than|not more than|up to|a maximum of|max(?:imum)?\.?|under|within|to)"
_LIMIT = re.compile(
    rf"(?i)\b{_ADDRESS}\b.{{0,40}}?\b{_MOST}\s+(\d{{1,5}})\s+(words?|sentences?|characters?)\b"
)
_LANGUAGE = re.compile(
    r"(?i)\b(?:answer|respond|reply|write|speak)\b.{0,30}?\bin\s+"
    r"(english|german|french|spanish|italian|portuguese|dutch|polish|russian|turkish|japanese|"
    r"chinese|korean|arabic|hindi|swedish)\b(?!\s+(?:or|and))"
)
_JSON = re.compile(rf"(?i)\b{_ADDRESS}\b.{{0,30}}?\b(?:only|just|valid|always)\b.{{0,20}}?\bjson\b")
_NO_EMOJI = re.compile(r"(?i)\b(?:do not|don't|never|no)\b.{0,12}?\bemojis?\b")
_EMOJI = re.compile("[\U0001f300-\U0001faff\u2600-\u27bf]")
_CODES = {
    "english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it",
    "portuguese": "pt", "dutch": "nl", "polish": "pl", "russian": "ru", "turkish": "tr",
    "japanese": "ja", "chinese": "zh", "korean": "ko", "arabic": "ar", "hindi": "hi",
    "swedish": "sv",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Order:
    """A rule: a name that may be published, and whether an answer keeps it."""

    name: str
    keeps: Callable[[str], bool]


def orders_in(instructions: str) -> Iterator[Order]:
    """The checkable rules of a system prompt, each once; a contradiction gives none of its kind."""
    found: dict[str, dict[object, Order]] = {}
    for match in _SENTENCE.finditer(instructions[:_READ_CHARS]):
        sentence = match.group()
        if _CONDITION.search(sentence):
            continue
        for name, value, order in _orders(sentence):
            found.setdefault(name, {})[value] = order
    for same in found.values():
        if len(same) == 1:
            yield from same.values()


def _orders(sentence: str) -> Iterator[tuple[str, object, Order]]:
    if limit := _LIMIT.search(sentence):
        size, unit = int(limit[1]), limit[2].lower().rstrip("s")
        order = {"word": most_words, "sentence": most_sentences, "character": most_chars}[unit]
        yield f"max_{unit}s", size, order(size)
    if named := _LANGUAGE.search(sentence):
        code = _CODES[named[1].lower()]
        yield "language", code, in_language(code)
    if _JSON.search(sentence):
        yield "json", True, Order("json", _is_json)
    if _NO_EMOJI.search(sentence):
        yield "no_emoji", True, Order("no_emoji", lambda text: _EMOJI.search(text) is None)


def most_words(size: int) -> Order:
    """At most so many words."""
    return Order("max_words", lambda text: len(text.split()) <= size)


def most_chars(size: int) -> Order:
    """At most so many characters."""
    return Order("max_characters", lambda text: len(text) <= size)


def most_sentences(size: int) -> Order:
    """At most so many sentences; abbreviations and decimals are not their end."""
    ends = re.compile(r"(?:[.!?]+[\"')\]]?(?=\s+[^\Wa-z_]|\s*$)|[。！？])")  # noqa: RUF001  full-width signs end sentences
    return Order("max_sentences", lambda text: len(ends.findall(text.strip())) <= size)


def in_language(code: str) -> Order:
    """In this language, by ISO 639 code; what cannot be told keeps the rule."""
    return Order("language", lambda text: language_of(text) in (None, code))


def without(word: str, number: int) -> Order:
    """Without this word or phrase, in whatever case."""
    regex = re.compile(rf"(?i)(?<!\w){re.escape(word)}(?!\w)")
    return Order(f"forbidden_{number}", lambda text: regex.search(text) is None)


def holding(words: str, number: int) -> Order:
    """With this text, in whatever case."""
    wanted = words.casefold()
    return Order(f"required_{number}", lambda text: wanted in text.casefold())


def _is_json(text: str) -> bool:
    body = text.strip()
    if body.startswith("```") and body.endswith("```"):
        body = body.partition("\n")[2].removesuffix("```")
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
