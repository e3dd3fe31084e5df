"""The `context_relevance` evaluator: a verdict for each passage, the first counting most."""

import pytest

from evaluators import JudgeFailure, Question, Reason, Score, Settings, Subject, Verdict
from evaluators.judged.context_relevance import ContextRelevance
from evaluators.testing import ScriptedJudge, make_span, run


def _by_word(question: Question) -> Verdict:
    text = question.data["context"]
    answers = {"useful": "useful" in text, "on_topic": "useless" not in text, "misleads": False}
    return Verdict(answers, f"said of a passage of {len(text)} characters")


def _result(*passages: str, judge: ScriptedJudge | None = None) -> Score:
    subject = Subject(make_span(), passages, judge=judge or ScriptedJudge(_by_word))
    result = run(ContextRelevance(Settings("context_relevance")), subject)
    assert isinstance(result, Score)
    return result


def test_the_first_passage_counts_most() -> None:
    """A useful passage in front is worth more than the same one behind a useless one."""
    first, second = _result("useful", "useless"), _result("useless", "useful")
    assert first.value == pytest.approx(1 / (1 + 1 / 1.5849625), abs=1e-6)
    assert second.value == pytest.approx(1 - first.value, abs=1e-6)
    assert (first.passed, second.passed) == (True, False)
    assert first.items == {"useful": 1, "partly": 0, "useless": 1}


def test_each_passage_is_judged_alone() -> None:
    """A question for each, with that passage and nothing of the others; the sixth is not asked."""
    judge = ScriptedJudge(_by_word)
    _result(*(f"partly {number}" for number in range(8)), judge=judge)
    assert [asked.data["context"] for asked in judge.asked] == [f"partly {n}" for n in range(5)]


@pytest.mark.parametrize("nothing", ["", "  ", "[]", "null"])
def test_an_empty_retrieval_fails(nothing: str) -> None:
    """A search that found nothing scores 0 without a judge."""
    judge = ScriptedJudge(_by_word)
    result = _result(nothing, judge=judge)
    assert (result.value, result.label, result.passed) == (0.0, "empty", False)
    assert not judge.asked


def test_a_failing_judge_is_told_by_its_own_error() -> None:
    """One failed question fails the evaluation with the judge's reason, not a group of errors."""
    judge = ScriptedJudge(raises=JudgeFailure(Reason.TIMEOUT, "no answer in 60 s"))
    with pytest.raises(JudgeFailure, match="timeout"):
        _result("one", "two", judge=judge)
