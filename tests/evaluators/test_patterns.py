"""The pattern engine under the detectors."""

import pytest

from evaluators.patterns import Candidate, Detector, Finding, Pattern, compile_regex


def _numbers(candidate: Candidate) -> int:
    return 3 if candidate.text.startswith("7") else 0


def test_positions_are_those_of_the_text_given() -> None:
    """Positions count characters, whatever their size in UTF-8."""
    detector = Detector([Pattern("word", r"b[a-z]+")])
    text = "é🙂 bar \ud800 baz"
    assert detector.find(text) == [Finding("word", 3, 6, "bar"), Finding("word", 9, 12, "baz")]
    assert [text[one.start : one.end] for one in detector.find(text)] == ["bar", "baz"]


def test_the_pattern_that_stands_first_wins() -> None:
    """Where two findings overlap, the later pattern's is dropped."""
    detector = Detector([Pattern("long", "abcd"), Pattern("short", "bc")])
    assert [one.kind for one in detector.find("abcd bc")] == ["long", "short"]


def test_a_check_may_shorten_refuse_and_look_inside() -> None:
    """A finding may begin inside of a match that was refused, and be shorter than its match."""
    detector = Detector([Pattern("seven", r"\d{2,5}", _numbers)])
    assert [one.text for one in detector.find("12712 99")] == ["712"]
    stepping = Detector([Pattern("seven", r"\d{2,5}", _numbers, nested=False)])
    assert stepping.find("12712 99") == []


def test_typographic_spaces_hyphens_and_digits_are_plain_ones() -> None:
    """What a person or a model typed with other characters is the same number."""
    detector = Detector([Pattern("number", r"\b\d{2} \d{2}-\d{2}\b")])
    for text in ("12\u00a034\u201156", "12\u202f34\u201356", "\uff11\uff12 34-56"):
        assert [one.text for one in detector.find(text)] == [text]


def test_a_table_that_does_not_fit_is_refused() -> None:
    """A set too large for its memory would find nothing; it is an error instead."""
    with pytest.raises(ValueError, match="too large"):
        Detector([Pattern("huge", r"[\pL\pN]{1,900}" * 3 + "@")])


@pytest.mark.parametrize("regex", ["(", r"(a)\1", "(?=a)"])
def test_an_expression_that_re2_does_not_know_is_refused(regex: str) -> None:
    """The message quotes the expression."""
    with pytest.raises(ValueError, match="no valid RE2 expression"):
        compile_regex(regex)
