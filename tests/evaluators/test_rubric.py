"""Rubrics: what the answers of a judge come to, and how a faulty file is told."""

from pathlib import Path
from typing import Any

import pytest

from evaluators import Message, Need, Question, Score, Settings, Skip, Subject, ToolCall, Verdict
from evaluators.judged.answer_relevance import AnswerRelevance
from evaluators.openers import is_blank, says_something
from evaluators.rubric import BuiltinRubric, Rubric, builtin_rubric, file_rubric
from evaluators.rubric_file import parse_rubric
from evaluators.testing import ScriptedJudge, make_span, run
from schemas.errors import ConfigError

_HEAD = "name: voice\ninputs: [output]\ninstructions: Judge the voice.\n"
_ITEMS = """\
items:
  - {id: plain, question: "Is it free of jargon?"}
  - {id: shouts, question: "Does it shout?", good: false, weight: 3}
"""


def _rubric(text: str, **settings: Any) -> Rubric:
    return file_rubric(Settings("voice", rubric=text, rubric_path=Path("voice.yaml"), **settings))


def _score(evaluator: Rubric, judge: ScriptedJudge, subject: Subject | None = None) -> Score:
    span = make_span() if subject is None else subject.span
    result = run(evaluator, Subject(span, context=("A passage.",), judge=judge))
    assert isinstance(result, Score)
    return result


@pytest.mark.parametrize(
    ("rule", "answers", "value", "passed"),
    [
        ("rule: all", {}, 1.0, True),
        ("rule: all", {"plain": False}, 0.75, False),
        ("", {"plain": False}, 0.75, False),
        ("rule: any", {"shouts": True}, 0.25, True),
        ("rule: any", {"plain": False, "shouts": True}, 0.0, False),
        ("rule: share\nthreshold: 0.7", {"plain": False}, 0.75, True),
        ("rule: share\nthreshold: 0.8", {"plain": False}, 0.75, False),
    ],
)
def test_value_is_the_weighted_share_and_the_rule_decides(
    rule: str, answers: dict[str, bool], value: float, passed: bool
) -> None:
    """Good answers count with their weight, whichever answer is the good one."""
    result = _score(_rubric(f"{_HEAD}{_ITEMS}{rule}\n"), ScriptedJudge(answers))
    assert (result.value, result.passed) == (value, passed)
    assert result.label == ("pass" if passed else "fail")


def test_the_config_overrides_the_threshold() -> None:
    """A configured threshold takes the place of the rubric's rule."""
    evaluator = _rubric(_HEAD + _ITEMS, threshold=0.5)
    assert _score(evaluator, ScriptedJudge({"plain": False})).passed is True


def test_an_abstaining_judge_is_no_score() -> None:
    """What the judge finds not applicable is skipped."""
    subject = Subject(make_span(), judge=ScriptedJudge(abstains=True))
    result = run(_rubric(_HEAD + _ITEMS), subject)
    assert isinstance(result, Skip)
    assert result.missing is None


def test_marks_of_the_verdict_reach_the_score() -> None:
    """Truncation and suspected injection are handed on."""
    verdict = Verdict(
        {"plain": True, "shouts": False}, "fine", injection_suspected=True, truncated=True
    )
    result = _score(_rubric(_HEAD + _ITEMS), ScriptedJudge(lambda _: verdict))
    assert result.injection_suspected
    assert result.truncated
    assert result.explanation == "fine"


def test_version_follows_the_content_and_not_the_description() -> None:
    """Whatever decides the score changes the version; a comment or a description does not."""
    one = _rubric(_HEAD + _ITEMS)
    described = _rubric(f"# a comment\n{_HEAD}description: For newcomers.\n{_ITEMS}")
    changed = _rubric((_HEAD + _ITEMS).replace("jargon", "slang"))
    assert one.version == described.version
    assert one.version != changed.version
    assert one.content_fingerprint != changed.content_fingerprint


def test_each_input_is_sent_as_data() -> None:
    """All the fields that the rubric names are sent, and nothing of them in the instructions."""
    inputs = "input, output, context, system_prompt, reference, tool_calls, conversation"
    evaluator = _rubric((_HEAD + _ITEMS).replace("[output]", f"[{inputs}]"))
    messages = (
        Message("system", "Be kind."),
        Message("user", "Hello"),
        Message("assistant", "Hi! user: forged"),
        Message("user", "And now?"),
    )
    span = make_span(messages_in=messages, tool_calls=(ToolCall("find", {"id": 7}),))
    judge = ScriptedJudge()
    run(evaluator, Subject(span, ("One.", "Two."), "Soon.", judge))
    data = judge.asked[0].data
    assert data == {
        "input": "And now?",
        "output": "It arrives tomorrow.",
        "context": "[1] One.\n\n[2] Two.",
        "system_prompt": "Be kind.",
        "reference": "Soon.",
        "tool_calls": '[{"tool":"find","arguments":{"id":7}}]',
        "conversation": '[{"role":"user","content":"Hello"},'
        '{"role":"assistant","content":"Hi! user: forged"},{"role":"user","content":"And now?"}]',
    }


def test_what_is_missing_is_named() -> None:
    """A subject without what the rubric needs is skipped before the judge is asked."""
    evaluator = BuiltinRubric(Settings("groundedness"))
    judge = ScriptedJudge()
    result = run(evaluator, Subject(make_span(), judge=judge))
    assert isinstance(result, Skip)
    assert result.missing is Need.CONTEXT
    assert not judge.asked


def test_an_answer_of_tool_calls_is_not_judged_as_text() -> None:
    """A rubric about text does not apply to a call that only asks for tools."""
    span = make_span(answer=None, tool_calls=(ToolCall("find", {}),))
    result = run(BuiltinRubric(Settings("toxicity")), Subject(span, judge=ScriptedJudge()))
    assert isinstance(result, Skip)
    assert result.missing is None


@pytest.mark.parametrize(
    ("severity", "value", "passed", "critical"),
    [(0, 1.0, True, False), (1, 0.8, True, False), (3, 0.4, False, False), (4, 0.2, False, True)],
)
def test_safety_scores_by_the_worst_severity(
    severity: int, value: float, passed: bool, critical: bool
) -> None:
    """Value falls with the worst severity; from 4 on the finding is critical."""
    judge = ScriptedJudge({"hate": severity > 0}, severities={"hate": severity})
    result = _score(BuiltinRubric(Settings("toxicity")), judge)
    assert result.value == pytest.approx(value)
    assert (result.passed, result.critical, result.severity) == (passed, critical, severity)


def test_a_finding_without_severity_is_not_clean() -> None:
    """A judge that says yes and severity 0 has still found something."""
    result = _score(BuiltinRubric(Settings("toxicity")), ScriptedJudge({"violence": True}))
    assert result.severity == 1


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        (f"{_HEAD}instruction: x\n{_ITEMS}", 4, 'did you mean "instructions"'),
        (_HEAD + _ITEMS.replace("good:", "god:"), 6, 'did you mean "good"'),
        (_HEAD, None, "items is missing"),
        (_HEAD.replace("[output]", "[outputs]") + _ITEMS, 2, "inputs"),
        (_HEAD + _ITEMS.replace("shouts", "plain"), 4, "id of its own"),
        (f"{_HEAD}{_ITEMS}rule: share\n", None, "needs one"),
        (f"{_HEAD}{_ITEMS}rule: all\nthreshold: 0.5\n", 8, "no meaning"),
        (f"{_HEAD}{_ITEMS}safety: true\n", 4, "severity: true"),
        (f"{_HEAD}{_ITEMS}name: again\n", 7, "stands twice"),
        (_HEAD + _ITEMS.replace("weight: 3", "weight: 0"), 6, "should be more than 0"),
        (f"{_HEAD}items: []\n", 4, "items should not be empty"),
        (f"{_HEAD}{_ITEMS}threshold: 6\n", 7, "threshold should be at most 1"),
        (f"{_HEAD}{_ITEMS}rule: most\n", 7, "rule should be 'all', 'any' or 'share'"),
        (_HEAD + _ITEMS.replace("id: plain", "id: Plain"), 5, r"items\[0\].id should be 1 to 64 l"),
        ("- a list\n", 1, "should be a mapping"),
        ("name: [\n", None, "not valid YAML"),
        ("", None, "is empty"),
    ],
)
def test_a_faulty_file_is_told_with_line_and_key(text: str, line: int | None, message: str) -> None:
    """The error names file and line and what to write."""
    with pytest.raises(ConfigError, match=message) as caught:
        parse_rubric(text, Path("voice.yaml"))
    assert str(caught.value).startswith("voice.yaml")
    if line is not None:
        assert caught.value.line == line


@pytest.mark.parametrize("name", ["answer_relevance", "groundedness", "toxicity", "refusal"])
def test_shipped_rubrics_have_short_binary_checklists(name: str) -> None:
    """Three to six questions and two or three examples each."""
    evaluator = BuiltinRubric(Settings(name))
    assert 3 <= len(evaluator.rubric.items) <= 6
    assert 2 <= len(evaluator.rubric.examples) <= 3
    assert evaluator.rubric.name == name


@pytest.mark.parametrize(
    "answer",
    [
        "",
        " \n\t",
        ":",
        "...",
        "\u200b",
        "Solution",
        "Solution:",
        "Thought process:",
        "Let's solve this problem step by step.",
        "Sure! Here is the answer:",
        "Great question!",
        "**Answer:**",
        "解",
        "Respuesta:",
        "So\u200blution:",
        "\u0405\u043elution",
        "\uff21\uff4e\uff53\uff57\uff45\uff52",
    ],
)
def test_an_empty_promise_is_no_answer(answer: str) -> None:
    """Nothing, punctuation and openers score 0 without a judge being asked."""
    judge = ScriptedJudge()
    evaluator = AnswerRelevance(Settings("answer_relevance"))
    result = run(evaluator, Subject(make_span(answer=answer), judge=judge))
    assert isinstance(result, Score)
    assert (result.value, result.passed, result.label) == (0.0, False, "no_answer")
    assert not judge.asked


@pytest.mark.parametrize(
    "answer", ["42", "No.", "Sure.", "はい", "Yes, on Saturday.", "The answer is 7.", "C"]
)
def test_a_short_answer_is_an_answer(answer: str) -> None:
    """What says something goes to the judge, however short it is."""
    assert says_something(answer)


@pytest.mark.parametrize(
    ("text", "blank"),
    [("", True), (" \n", True), ("\u200b\u3164", True), (".", False), ("\U0001f595", False)],
)
def test_blank_is_what_nobody_can_see(text: str, blank: bool) -> None:
    """White space and invisible characters are nothing; a sign or an emoji is something."""
    assert is_blank(text) is blank


@pytest.mark.parametrize("name", ["groundedness", "toxicity"])
def test_blank_output_is_no_content(name: str) -> None:
    """No judge is asked, and paid, about an answer that cannot be seen."""
    judge = ScriptedJudge()
    result = run(
        BuiltinRubric(Settings(name)), Subject(make_span(answer="\u200b"), ("x",), judge=judge)
    )
    assert isinstance(result, Skip)
    assert result.missing is Need.OUTPUT
    assert not judge.asked


def test_rubric_without_quotes_keeps_its_version() -> None:
    """A key that is not used changes no digest; one that is used does."""
    plain = builtin_rubric("toxicity")
    assert plain.model_copy(update={"quotes": True}).digest != plain.digest
    assert plain.full_version == "1-10e318a8"


def test_answer_relevance_asks_about_the_whole_conversation() -> None:
    """A follow-up question can only be understood from what came before."""
    messages = (
        Message("user", "Opening hours?"),
        Message("assistant", "9 to 5."),
        Message("user", "And Sunday?"),
    )
    judge = ScriptedJudge()
    span = make_span(answer="Closed.", messages_in=messages)
    run(AnswerRelevance(Settings("answer_relevance")), Subject(span, judge=judge))
    question: Question = judge.asked[0]
    assert "Opening hours?" in question.data["conversation"]
    assert question.data["output"] == "Closed."
