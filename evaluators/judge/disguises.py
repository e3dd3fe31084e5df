"""A text as a model would read it: invisible characters gone, codes undone, letters put right.

Every copy is for searching only. A kind of disguise is undone only where its mark is in the text,
which one search tells, so that plain text is copied once or not at all.
"""

import base64
import binascii
import codecs
import html
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from string import ascii_lowercase
from urllib.parse import unquote

from evaluators.lookalikes import fold
from evaluators.patterns import RegexSet, encode

from .clean import INVISIBLE, clean

_MAX_INVISIBLE = 3
"""Invisible characters without a purpose that an honest text may have."""
_PURPOSEFUL = re.compile(
    "(?<=[^\\s\ufe0e\ufe0f])[\ufe0e\ufe0f](?![\ufe00-\ufe0f])"  # emoji, or text in their place
    "|(?<=[\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])\u200d(?=[\u2600-\u27bf\U0001f000-\U0001faff])"
    # Persian, Urdu and the scripts of India join and part letters by them; marks of direction.
    "|(?<=[\u0590-\u0fff])[\u200c-\u200f\u061c]|[\u200c-\u200f\u061c](?=[\u0590-\u0fff])"
    "|\U0001f3f4[\U000e0030-\U000e007a]{1,6}\U000e007f"  # flags of regions
    "|\u00ad"  # where a word may be parted
)

_TURNED_ROUND = re.compile("[\u202e\u2067]([^\u202c\u2069\n]{5,})")

_MAX_RUNS = 16
"""Runs of one code that are looked into; a text with more is a file, not an order."""
_WRITTEN = bytes(range(0x20, 0x7F)) + b"\t\n\r"
_FEW = 6
_MAX_DEPTH = 2
"""A code may hold another one."""
_BASE64 = re.compile(r"[A-Za-z0-9+/\-_]{20,2048}")
_BASE64_LINES = re.compile(r"(?<=[A-Za-z0-9+/])\n(?=[A-Za-z0-9+/])")
_BASE32 = re.compile(r"\b[A-Z2-7]{24,2048}={0,6}")
_HEX = re.compile(r"(?:\b|0x)(?:[0-9a-fA-F]{2}[ :]?){12,2048}\b")
_BINARY = re.compile(r"\b(?:[01]{8} ?){6,512}\b")
_ESCAPES = re.compile(r"\\(?:u00|x)([0-9a-fA-F]{2})")
_SPACED = re.compile(r"(?:\b\w[ ._*-]{1,3}){5,200}\w\b")
_MARKED_UP = re.compile(r"(?<=\w)[-_*.~](?=\w)")
_MORSE_RUN = re.compile(r"(?:[.\-]{1,5}[ /|]{1,3}){12,1000}[.\-]{1,5}")
_LEET = str.maketrans("013457@$!|", "oieastasil")
_LEET_WORD = re.compile(r"[A-Za-z013457@$!|]{2,}")
_LETTER, _GAP = r"[\pL\pN\pM_]", "[ ._*-]"
_FORWARDS = ("ignor", "disregard", "instruct", "rubric", "previous", "verdict", "grader", "score")
"""Words that are looked for in what is turned round or shifted by 13."""
_SIGNS = """
.- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..-
-.-- --..
"""
_MORSE = dict(zip(_SIGNS.split(), ascii_lowercase, strict=True))


def hides_text(text: str) -> bool:
    """Whether a text has so many invisible characters that they may carry a text of their own.

    Those of emoji, and of scripts that need them, do not count; one that turns the order of all
    letters round does.
    """
    if text.isascii() or INVISIBLE.search(text) is None:
        return False
    return "\u202e" in text or len(INVISIBLE.findall(_PURPOSEFUL.sub("", text))) > _MAX_INVISIBLE


def readings(text: str) -> Iterator[str]:
    """The text as it is, then as a model would read it where that is something else."""
    yield text
    if not text.isascii():
        for run in _TURNED_ROUND.finditer(text):
            yield run[1][::-1]
    cleaned = clean(text)
    if cleaned != text:
        yield cleaned
    yield from _undone(cleaned, _MAX_DEPTH)
    if cleaned.isascii():
        return
    folded = fold(cleaned)
    if folded != cleaned:
        yield folded
        yield from _undone(folded, _MAX_DEPTH)


def _undone(text: str, depth: int) -> Iterator[str]:
    if not depth:
        return
    for index in _marks().found_in(encode(text)):
        for copy in _DISGUISES[index][1](text):
            yield copy
            yield from _undone(copy, depth - 1)


def _base64(text: str) -> Iterator[str]:
    for run in _runs(_BASE64, _BASE64_LINES.sub("", text)):
        standard = run.replace("-", "+").replace("_", "/")
        yield from _readable(base64.b64decode(standard[: len(run) - (len(run) % 4 == 1)] + "=="))


def _base32(text: str) -> Iterator[str]:
    for run in _runs(_BASE32, text):
        whole = run.rstrip("=")[: len(run.rstrip("=")) // 8 * 8]
        yield from _readable(base64.b32decode(whole))


def _hex(text: str) -> Iterator[str]:
    for run in _runs(_HEX, text):
        digits = re.sub("[^0-9a-fA-F]", "", run.removeprefix("0x"))
        yield from _readable(binascii.unhexlify(digits[: len(digits) // 2 * 2]))


def _binary(text: str) -> Iterator[str]:
    for run in _runs(_BINARY, text):
        yield "".join(chr(int(octet, 2)) for octet in re.findall("[01]{8}", run))


def _morse(text: str) -> Iterator[str]:
    for run in _runs(_MORSE_RUN, text):
        words = re.split(r"\s*[/|]\s*|\s{3,}", run)
        yield " ".join("".join(_MORSE.get(sign, "") for sign in word.split()) for word in words)


def _percent(text: str) -> Iterator[str]:
    yield unquote(text, errors="replace")


def _entities(text: str) -> Iterator[str]:
    yield html.unescape(text)


def _escapes(text: str) -> Iterator[str]:
    yield _ESCAPES.sub(lambda found: chr(int(found[1], 16)), text)


def _leet(text: str) -> Iterator[str]:
    yield _LEET_WORD.sub(lambda found: found[0].translate(_LEET), text)


def _spaced(text: str) -> Iterator[str]:
    for run in _runs(_SPACED, text):
        wide = re.sub(r"[ ._*-]{2,3}", "\n", run)
        yield re.sub(r"[ ._*-]", "", wide).replace("\n", " ")
    yield _MARKED_UP.sub("", text)


def _backwards(text: str) -> Iterator[str]:
    yield text[::-1]


def _rot13(text: str) -> Iterator[str]:
    yield codecs.decode(text, "rot13")


def _readable(data: bytes) -> Iterator[str]:
    """What was decoded, if it is text: most runs are identifiers, hashes and pictures."""
    if len(data.translate(None, _WRITTEN)) <= len(data) // _FEW:
        yield data.decode("utf-8", "replace")


def _runs(regex: re.Pattern[str], text: str) -> Iterator[str]:
    for number, run in enumerate(regex.finditer(text)):
        if number == _MAX_RUNS:
            return
        yield run.group()


@cache
def _marks() -> RegexSet:
    return RegexSet(mark for mark, _ in _DISGUISES)


def _any_of(words: Iterable[str]) -> str:
    return f"(?:{'|'.join(words)})"


# What a disguise leaves in the text, and how to undo it.
_DISGUISES: tuple[tuple[str, Callable[[str], Iterator[str]]], ...] = (
    (r"[A-Za-z0-9+/\-_]{20}|(?:[A-Za-z0-9+/]{12,}\n){2}", _base64),
    (r"\b[A-Z2-7]{24}", _base32),
    (r"(?:[0-9a-fA-F]{2}[ :]?){12}", _hex),
    (r"(?:[01]{8} ?){6}", _binary),
    (r"(?:[.\-]{1,5}[ /|]{1,3}){12}", _morse),
    (r"(?:%[0-9a-fA-F]{2}.{0,12}?){5}", _percent),
    (r"(?:&#x?[0-9a-fA-F]{1,6};.{0,12}?){5}", _entities),
    (r"(?:\\(?:u00|x)[0-9a-fA-F]{2}.{0,12}?){5}", _escapes),
    (
        r"(?i)(?:[a-z][013457@$!|]{1,3}[a-z].{1,40}?){2}",
        _leet,
    ),
    (
        (
            rf"{_GAP}{_LETTER}{_GAP}{{1,3}}{_LETTER}{_GAP}{{1,3}}{_LETTER}{_GAP}"
            rf"|(?:\b{_LETTER}[-_*.~]){{3}}"
        ),
        _spaced,
    ),
    ("(?i)" + _any_of(word[::-1] for word in _FORWARDS), _backwards),
    ("(?i)" + _any_of(codecs.encode(word, "rot13") for word in _FORWARDS), _rot13),
)
