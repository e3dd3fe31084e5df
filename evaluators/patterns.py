"""Search for patterns in judged text, in time linear in its length whatever the text says.

All expressions run on RE2: text and users' expressions are not ours, and a backtracking engine can
be made to stand still by either. A table of patterns is first asked as one set (about 2 µs per KB
for 36 patterns, one by one 73 µs); only those that are in the text are then looked for.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import re2  # type: ignore[import-untyped]

_SET_MEMORY_BYTES = 64 * 1024 * 1024
_NESTED_REFUSALS = 1000
"""Refused matches of one pattern in one text that are looked into; more is no honest text."""
_PROBE = b"\x01\x02\x01\x02"

# Characters that people and models write for a space, a hyphen or a digit, one for one, so that
# positions stay valid: no-break and thin spaces, hyphens and dashes, full-width forms, and the
# digits of Arabic, Persian, Hindi, Bengali and Thai.
_PLAIN = {
    **dict.fromkeys("\u00a0\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B))), " "),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\uff0d", "-"),
    **{
        chr(zero + digit): str(digit)
        for zero in (0x0660, 0x06F0, 0x0966, 0x09E6, 0x0E50, 0xFF10)
        for digit in range(10)
    },
    "\uff0b": "+",
    "\uff20": "@",
    "\uff0e": ".",
    **dict.fromkeys("\u2018\u2019\u02bc", "'"),
    **dict.fromkeys("\u201c\u201d", '"'),
}
# `str.translate` with a table takes thirty times as long, whatever is in the text.
_TYPESET = re.compile(f"[{''.join(_PLAIN)}]")


@dataclass(frozen=True, slots=True)
class Candidate:
    """What an expression matched, with the text around it, for a check that decides.

    Positions are bytes of the UTF-8 text; every text given back is readable.
    """

    data: bytes
    start: int
    end: int

    @property
    def text(self) -> str:
        """The match."""
        return self.data[self.start : self.end].decode("utf-8", "replace")

    def before(self, size_bytes: int) -> str:
        """Up to `size_bytes` of text before the match; "" at the start of the text."""
        return self.data[max(0, self.start - size_bytes) : self.start].decode("utf-8", "ignore")

    def after(self, size_bytes: int) -> str:
        """Up to `size_bytes` of text after the match; "" at the end of the text."""
        return self.data[self.end : self.end + size_bytes].decode("utf-8", "ignore")


Check = Callable[[Candidate], int]
"""Length in bytes of the finding from the start of the match; 0: it is none."""


def whole(candidate: Candidate) -> int:
    """Accept every match."""
    return candidate.end - candidate.start


@dataclass(frozen=True, slots=True)
class Pattern:
    """One expression of a table; several may have the same `kind`.

    `group` is the part of the match that is the finding; `nested`: where the check refuses a match,
    a finding may begin inside of it ("12 4111 1111 1111 1111").
    """

    kind: str
    regex: str
    check: Check = whole
    group: int = 0
    nested: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """Something found; `start` and `end` are positions in the text as it was given."""

    kind: str
    start: int
    end: int
    text: str


class RegexSet:
    """Expressions of which one search tells those that occur in a text."""

    def __init__(self, regexes: Iterable[str]) -> None:
        """Compile the set.

        Raises:
            ValueError: The set is too large.
        """
        self._set = re2.Set.SearchSet(_options(_SET_MEMORY_BYTES))
        self._size = 0
        for regex in regexes:
            self._set.Add(regex)
            self._size += 1
        probe = self._set.Add(_PROBE.decode())
        self._set.Compile()
        # A set that is too large for its memory finds nothing and says nothing.
        if probe not in (self._set.Match(_PROBE) or ()):
            raise ValueError("the patterns are too large to be searched as one set")

    def found_in(self, text: bytes) -> list[int]:
        """Which expressions occur, by their place in the table; `text` is of `encode`."""
        return sorted(index for index in self._set.Match(text) or () if index < self._size)


class Detector:
    """A table of patterns; where two findings overlap, the pattern that stands first wins."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._patterns = tuple(patterns)
        self._expressions = [compile_regex(pattern.regex) for pattern in self._patterns]
        self._set = RegexSet(pattern.regex for pattern in self._patterns)

    def find(self, text: str) -> list[Finding]:
        """All findings in the order of the text, none overlapping another."""
        data = encode(text)
        found = self._set.found_in(data)
        if not found:
            return []
        spans: list[tuple[int, int, str]] = []
        taken = bytearray(len(data))
        for index in found:
            for start, end in self._matches(index, data):
                if taken.find(1, start, end) < 0:
                    taken[start:end] = b"\x01" * (end - start)
                    spans.append((start, end, self._patterns[index].kind))
        return list(_positioned(data, text, sorted(spans)))

    def _matches(self, index: int, data: bytes) -> Iterator[tuple[int, int]]:
        pattern, expression = self._patterns[index], self._expressions[index]
        position = refused = 0
        while match := expression.search(data, position):
            start, end = match.span(pattern.group)
            length = pattern.check(Candidate(data, start, end))
            if length:
                yield start, start + length
                position = max(start + length, match.start() + 1)
            else:
                refused += 1
                nested = pattern.nested and refused <= _NESTED_REFUSALS
                position = match.start() + 1 if nested else match.end()


def compile_regex(regex: str) -> Any:
    """Compile an expression of RE2's syntax (https://github.com/google/re2/wiki/Syntax).

    Raises:
        ValueError: It is not valid there; backreferences and look-around are not.
    """
    try:
        return re2.compile(regex, _options())
    except re2.error as error:
        fault = error.args[0] if error.args else error
        detail = fault.decode("utf-8", "replace") if isinstance(fault, bytes) else fault
        raise ValueError(f'"{regex}" is no valid RE2 expression: {detail}') from error


def encode(text: str) -> bytes:
    """UTF-8 of a text in which spaces, hyphens and digits are the plain ones.

    A lone surrogate, which JSON escapes can make, becomes "?"; no character is added or removed.
    """
    if not text.isascii():
        text = _TYPESET.sub(lambda found: _PLAIN[found[0]], text)
    return text.encode("utf-8", "replace")


def _options(memory_bytes: int | None = None) -> Any:
    options = re2.Options()
    options.log_errors = False
    if memory_bytes is not None:
        options.max_mem = memory_bytes
    return options


def _positioned(data: bytes, text: str, spans: Iterable[tuple[int, int, str]]) -> Iterator[Finding]:
    """Turn byte positions into positions of characters, in one pass."""
    seen_bytes = seen = 0
    for start, end, kind in spans:
        seen += len(data[seen_bytes:start].decode())
        length = len(data[start:end].decode())
        yield Finding(kind, seen, seen + length, text[seen : seen + length])
        seen_bytes, seen = end, seen + length
