"""Search for phrases: words with gaps of some length between them.

A set of such expressions has a state for each place in each gap in which a word may have stood, and
a text in other words needs ever new ones. So all words are looked for at once, and of the
expressions only those of which every word is in the text.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from .patterns import RegexSet, compile_regex, encode

_SET_WORDS = 150
"""Two sets of half the size meet half the states in new text together, and are as fast in old."""
_GAP = re.compile(r"\.\{0,\d+\}")


class Phrases:
    """A table of phrases; each expression has its gaps (`.{0,40}`) at its top level only."""

    def __init__(self, table: Iterable[tuple[str, str]]) -> None:
        """Compile the table.

        Args:
            table: Names, which may repeat, and expressions in lower case, since the text is made
                so; a dot is any character.

        Raises:
            ValueError: An expression is not valid.
        """
        self._phrases = [
            (name, compile_regex(f"(?s){regex}"), tuple(_GAP.split(regex))) for name, regex in table
        ]
        words = Counter(word for _, _, parts in self._phrases for word in parts)
        self._by_word: dict[str, list[int]] = defaultdict(list)
        """Places in the table of the phrases of which a word is the one that fewest others have."""
        for place, (_, _, parts) in enumerate(self._phrases):
            self._by_word[min(parts, key=words.__getitem__)].append(place)
        self._latin = _Words(word for word in words if _is_latin(word))
        self._others = _Words(word for word in words if not _is_latin(word))

    def occur_in(self, text: str) -> bool:
        """Whether some phrase occurs in a text."""
        return next(self.names_in(text), None) is not None

    def names_in(self, text: str) -> Iterator[str]:
        """Names of the phrases that occur, in the order of the table."""
        data = encode(text.lower())
        found = self._latin.found_in(data)
        if not text.isascii():
            found |= self._others.found_in(data)
        by_word = self._by_word
        for place in sorted([place for word in found for place in by_word.get(word, ())]):
            name, expression, parts = self._phrases[place]
            if found.issuperset(parts) and (len(parts) == 1 or expression.search(data)):
                yield name


class _Words:
    def __init__(self, words: Iterable[str]) -> None:
        every = tuple(words)
        batches = [every[at : at + _SET_WORDS] for at in range(0, len(every), _SET_WORDS)]
        self._sets = [(batch, RegexSet(batch)) for batch in batches]

    def found_in(self, data: bytes) -> set[str]:
        return {batch[index] for batch, one in self._sets for index in one.found_in(data)}


def _is_latin(regex: str) -> bool:
    """Whether an expression can be in an English text: it is not of another alphabet alone."""
    return regex.isascii() or re.search("[a-z]", re.sub(r"\\p?.", "", regex)) is not None
