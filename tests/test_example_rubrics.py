"""The example rubrics: each is a rubric, and scores what its questions say."""

from pathlib import Path

import pytest

from evaluators import Evaluator, Score, Settings, registry
from evaluators.testing import EvaluatorContract, ScriptedJudge, full_subject, run

_FILES = sorted((Path(__file__).parent.parent / "examples" / "rubrics").glob("*.yaml"))
_PROMISED = {
    "helpfulness", "conciseness", "tone", "bias", "topic_scope", "context_sufficiency",
    "knowledge_retention", "code_security",
}  # fmt: skip


def _load(path: Path) -> Evaluator:
    text = path.read_text("utf-8")
    return registry.load(Settings(path.stem, rubric=text, rubric_path=path, has_judge=True))


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
class TestExampleRubrics(EvaluatorContract):
    """Each keeps the contract."""

    @pytest.fixture(autouse=True)
    def _choose(self, path: Path) -> None:
        self.make = lambda: _load(path)  # type: ignore[method-assign]

    def test_all_good_answers_pass_and_all_bad_ones_fail(self, path: Path) -> None:
        """The questions' directions are right: good answers are 1 and pass, bad ones fail."""
        good, bad = ScriptedJudge(), ScriptedJudge()
        best = run(_load(path), full_subject(good))
        (question,) = good.asked
        bad = ScriptedJudge(
            {item.id: not item.good for item in question.items},
            severities={item.id: 4 for item in question.items if item.severity},
        )
        worst = run(_load(path), full_subject(bad))
        assert isinstance(best, Score)
        assert isinstance(worst, Score)
        assert (best.value, best.passed, worst.passed) == (1.0, True, False)
        assert worst.value < 0.5


def test_the_promised_rubrics_are_there() -> None:
    """The eight rubrics that the docs name ship as examples."""
    assert {path.stem for path in _FILES} >= _PROMISED
