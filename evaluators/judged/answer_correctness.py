"""Does the answer say what the reference says? Values and wording first, then a judge."""

import re
from collections import Counter

from rapidfuzz import fuzz

from evaluators.cascade import Cascade, code_score
from evaluators.contract import Need, Score, Settings, Skip, Subject
from evaluators.detectors.values import dates, numbers
from evaluators.options import read_options
from evaluators.references import ReferenceOptions

_SAME_WORDING = 93
"""Ratio of two wordings from which they are one, where numbers and negations agree. A guess."""
_COMPARED_CHARS = 10_000
_NEGATION = re.compile(
    r"(?i)\b(?:not?|never|none|without|cannot|can't|isn't|aren't|don't|doesn't|won't|nicht|kein\w*|"
    r"nie|ohne|ne|pas|jamais|sans|nunca|sin|non|mai|senza)\b"
)
_DENIED = 0.5
"""The most that words come to of which one denies what the other says."""
_UNIT_LETTERS = 12
"""Letters beside a number that still are its unit (`42 km/h`, `12 euros`)."""


class AnswerCorrectness(Cascade):
    """Value 1 where the answer says what the reference says.

    The reference stands on the span: the option `reference_attribute` names the attribute,
    `assay.reference` if it is not given. Code decides where both are the same words (`exact`),
    where the reference is one number or date (`same_value`, `other_value`), and where the wording
    differs by little (`similar`). The rest goes to the judge (`pass`, `fail`); without one the
    value is the similarity of the words (`similar`, `different`), at most the share of the
    reference's numbers that the answer has, and a half where one denies more than the other; a good
    paraphrase fails that.
    """

    def __init__(self, settings: Settings) -> None:
        read_options(ReferenceOptions, settings.options)
        super().__init__(settings, "answer_correctness", "1")

    def _decide(self, subject: Subject) -> Score | Skip | None:
        if not subject.output_text.strip():
            return Skip("the span has no output", missing=Need.OUTPUT)
        if not (subject.reference or "").strip():
            return Skip("the span has no reference", missing=Need.REFERENCE)
        answer, reference = _both(subject)
        words, known = _words(answer), _words(reference)
        if words == known and (words or answer.strip() == reference.strip()):
            return code_score(1.0, "exact", by="exact")
        by_value = _compare_values(answer, reference)
        if by_value is not None:
            label = "same_value" if by_value else "other_value"
            return code_score(float(by_value), label, by="value")
        if _facts(answer) == _facts(reference) and fuzz.ratio(words, known) >= _SAME_WORDING:
            return code_score(1.0, "similar", by="similarity")
        return None

    def _alone(self, subject: Subject) -> Score:
        answer, reference = _both(subject)
        value = fuzz.token_sort_ratio(_words(answer), _words(reference)) / 100
        wanted, given = Counter(numbers(reference)), Counter(numbers(answer))
        if wanted:
            value = min(value, (wanted & given).total() / wanted.total())
        if _denials(answer) != _denials(reference):
            value = min(value, _DENIED)
        label = "similar" if value >= self.threshold else "different"
        return code_score(value, label, by="similarity")


def _both(subject: Subject) -> tuple[str, str]:
    return subject.output_text[:_COMPARED_CHARS], (subject.reference or "")[:_COMPARED_CHARS]


def _words(text: str) -> str:
    """The words alone, in one case; signs inside numbers are kept."""
    kept = re.sub(r"(?<!\d)[^\w\s]|[^\w\s](?!\d)", " ", text.casefold())
    return " ".join(kept.split())


def _facts(text: str) -> tuple[Counter[object], int]:
    return Counter([*dates(text), *numbers(text)]), _denials(text)


def _denials(text: str) -> int:
    return len(_NEGATION.findall(text))


def _compare_values(answer: str, reference: str) -> bool | None:
    """Whether the answer has the one value that the reference is; None: it cannot be told.

    A whole sentence with one value has it where that is equal and nothing is denied. One with other
    values may well say the right thing, and is for a judge.
    """
    wanted = _values(reference)
    if len(wanted) != 1 or sum(map(str.isalpha, reference)) > _UNIT_LETTERS:
        return None
    found = _values(answer)
    if len(found) == 1 and sum(map(str.isalpha, answer)) <= _UNIT_LETTERS:
        # Units have to agree as well: "42 km" is not "42 miles", and may be "42 kilometres".
        return None if found == wanted and _units(answer) != _units(reference) else found == wanted
    if found == wanted and not _NEGATION.search(answer) and _units(reference) <= _units(answer):
        return True
    return None


def _values(text: str) -> set[object]:
    return {*dates(text), *numbers(text)}


def _units(text: str) -> set[str]:
    if dates(text):
        return set()  # the letters are a month
    return set(re.findall(r"[^\W\d_]+|[%€$£¥]", text.casefold()))
