"""The `answer_correctness` evaluator: what code decides, what it leaves to the judge."""

# ruff: noqa: E501  a case is easier to read on one line

import pytest
from support.documented import check_documented

from evaluators import EvaluatorKind, Need, Score, Settings, Skip, Subject
from evaluators.detectors.values import dates, numbers
from evaluators.judged.answer_correctness import AnswerCorrectness
from evaluators.testing import ScriptedJudge, make_span, run

# Answer and reference: by construction one value or sentence in two spellings, or a changed one.
SAME = [
    ("42", "42"), ("1,250.50", "1250.5"), ("1.250,50 €", "1250.50 €"), ("12 euros", "12 Euros"),
    ("2026-03-12", "12 March 2026"), ("March 12, 2026", "2026-03-12"), ("12.3.2026", "2026-03-12"),
    ("It costs 12 euros in total.", "12 euros"), ("The meeting is on 12 March 2026.", "2026-03-12"),
    ("Paris", "paris."), ("  The Blue Whale ", "the blue whale"), ("-7", "\u22127"),
    ("You can return worn shoes within 30 days of the order", "You can return worn shoes within 30 days of the order."),
    ("Delivery takes 3 to 5 working days, as a rule.", "Delivery takes 3 to 5 working days as a rule"),
]  # fmt: skip
OTHER = [
    ("41", "42"), ("1,250.50", "1250.6"), ("13 March 2026", "2026-03-12"), ("12 euros", "21 euros"),
    ("It costs 12 euros in total.", "13 euros"), ("London", "Paris"),
    ("You can return worn shoes within 90 days of the order", "You can return worn shoes within 30 days of the order."),
    ("You cannot return worn shoes within 30 days of the order", "You can return worn shoes within 30 days of the order."),
    ("Nobody knows", "The blue whale"), ("12 km", "12 miles"),
]  # fmt: skip


def _result(answer: str | None, reference: str | None, judge: ScriptedJudge | None = None) -> Score:
    evaluator = AnswerCorrectness(Settings("answer_correctness", has_judge=judge is not None))
    subject = Subject(make_span("?", answer), reference=reference, judge=judge)
    result = run(evaluator, subject)
    assert isinstance(result, Score)
    return result


def test_code_alone_on_made_pairs() -> None:
    """Without a judge every pair of the same value or words passes, and no changed one does."""
    passed = [_result(*pair).value >= 0.9 for pair in SAME]
    false = [_result(*pair).value >= 0.9 for pair in OTHER]
    assert all(passed), [pair for pair, ok in zip(SAME, passed, strict=True) if not ok]
    assert not any(false), [pair for pair, ok in zip(OTHER, false, strict=True) if ok]
    check_documented("answer_correctness", len(SAME) + len(OTHER), 1.0, 1.0)


def test_the_judge_is_not_asked_where_code_knows() -> None:
    """Exact words and values cost no call."""
    judge = ScriptedJudge()
    assert _result("1,000", "1000", judge).label == "same_value"
    assert _result("Paris.", "Paris", judge).label == "exact"
    assert _result("7", "8", judge).value == 0.0
    assert not judge.asked


def test_a_paraphrase_goes_to_the_judge() -> None:
    """What code cannot decide the judge does, with the reference as data."""
    judge = ScriptedJudge({"key_facts": False})
    result = _result("A guardian may sign.", "A parent or a guardian.", judge)
    assert (result.label, result.items["decided_by"]) == ("fail", "judge")
    assert judge.asked[0].data["reference"] == "A parent or a guardian."


def test_without_a_reference_it_is_skipped() -> None:
    """Nothing is compared with nothing."""
    result = run(AnswerCorrectness(Settings("answer_correctness")), Subject(make_span("?", "42")))
    assert isinstance(result, Skip)
    assert result.missing is Need.REFERENCE


def test_kind_follows_the_judge() -> None:
    """Without a judge it is a heuristic, with one a cascade."""
    kinds = [AnswerCorrectness(Settings("a", has_judge=judge)).kind for judge in (False, True)]
    assert kinds == [EvaluatorKind.HEURISTIC, EvaluatorKind.CASCADE]


@pytest.mark.parametrize("text", ["03/04/2026", "31.02.2026", "2026-13-01"])
def test_an_unclear_date_is_none(text: str) -> None:
    """What can be read in two ways, or is no day, is not taken for a date."""
    assert not dates(text)


def test_numbers_are_values() -> None:
    """Signs that group digits are told from the decimal sign."""
    assert len(set(numbers("1,250.5 1.250,5 1'250.5"))) == 1
    assert [str(value) for value in numbers("0.125 and 3,5")] == ["0.125", "3.5"]
