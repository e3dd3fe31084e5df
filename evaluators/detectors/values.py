"""Numbers and dates in texts, whatever they are written like, to be compared as values."""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation

_MONTHS = (
    ("jan",), ("feb", "fev", "fév"), ("mar", "mär", "mrz"), ("apr", "avr", "abr"),
    ("may", "mai", "mag"), ("jun", "juin", "giu"), ("jul", "juil", "lug"),
    ("aug", "aoû", "ago"), ("sep", "set"), ("oct", "okt", "ott", "out"), ("nov",),
    ("dec", "dez", "déc", "dic"),
)  # fmt: skip
_ISO = re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_NUMERIC = re.compile(r"(?<!\d)(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?!\d)")
_DAY_FIRST = re.compile(
    r"(?<!\d)(\d{1,2})(?:st|nd|rd|th|\.|er)?\s+(?:of\s+|de\s+)?([^\W\d_]{3,12})\.?,?\s+(?:de\s+)?(\d{4})"
)
_MONTH_FIRST = re.compile(r"\b([^\W\d_]{3,12})\.?\s+(\d{1,2})(?:st|nd|rd|th)?,?\s+(\d{4})")
_NUMBER = re.compile(r"(?<![\w.,])[-+\u2212]?\d[\d.,'\u2019\u00a0\u202f]*")
_GROUP = 3
_MAX_MONTH = 12


def dates(text: str) -> set[date]:
    """The dates of a text; one that can be read in two ways (03/04/2026) is left out."""
    return {found for _, _, found in _dates(text)}


def numbers(text: str) -> list[Decimal]:
    """The numbers of a text in its order, those of its dates left out.

    Signs that group digits are told from the decimal sign: 1,250.5 and 1.250,5 and 1'250.5 are one
    number. A point or comma with three digits after it groups them.
    """
    for start, end, _ in _dates(text):
        text = text[:start] + " " * (end - start) + text[end:]
    found = (_number(match.group()) for match in _NUMBER.finditer(text))
    return [value for value in found if value is not None]


def _dates(text: str) -> Iterator[tuple[int, int, date]]:
    for match in _ISO.finditer(text):
        yield from _dated(match, *map(int, match.groups()))
    for match in _NUMERIC.finditer(text):
        first, second, year = int(match[1]), int(match[3]), int(match[4])
        if match[2] == "." or first > _MAX_MONTH or first == second:
            yield from _dated(match, year, second, first)
        elif second > _MAX_MONTH:
            yield from _dated(match, year, first, second)
    for match in _DAY_FIRST.finditer(text):
        yield from _dated(match, int(match[3]), _month(match[2]), int(match[1]))
    for match in _MONTH_FIRST.finditer(text):
        yield from _dated(match, int(match[3]), _month(match[1]), int(match[2]))


def _dated(
    match: re.Match[str], year: int, month: int, day: int
) -> Iterator[tuple[int, int, date]]:
    try:
        yield match.start(), match.end(), date(year, month, day)
    except ValueError:
        return


def _month(word: str) -> int:
    lower = word.lower()
    for number, names in enumerate(_MONTHS, 1):
        if lower.startswith(names):
            return number
    return 0


def _number(text: str) -> Decimal | None:
    plain = text.replace("\u2212", "-").rstrip(".,'\u2019\u00a0\u202f")
    for sign in "'\u2019\u00a0\u202f":
        plain = plain.replace(sign, "")
    last = max(plain.rfind("."), plain.rfind(","))
    if last >= 0:
        whole, mark, rest = plain[:last], plain[last], plain[last + 1 :]
        other = "," if mark == "." else "."
        is_group = len(rest) == _GROUP and other not in whole and whole.lstrip("+-") != "0"
        whole = whole.replace(".", "").replace(",", "")
        plain = whole + rest if is_group else f"{whole}.{rest}"
    try:
        return Decimal(plain).normalize()
    except InvalidOperation:
        return None
