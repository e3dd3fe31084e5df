"""The `instruction_following` evaluator: a grid of rules that code checks, and the judge's."""

from typing import Any

import pytest
from support.documented import check_documented

from evaluators import Need, Score, Settings, Skip, Subject
from evaluators.judged.instruction_following import InstructionFollowing
from evaluators.testing import ScriptedJudge, make_span, run

_LONG = "This answer goes on and on about all sorts of things that nobody has asked about here."
_GERMAN = "Ihr Paket kommt morgen an, wir haben es gestern in das Lager gebracht."
# System prompt, an answer that keeps it, one that does not, the rule.
GRID = [
    ("Answer in at most 10 words.", "It arrives tomorrow.", _LONG, "max_words"),
    (
        "Keep your answers under 3 sentences.",
        "One. Two.",
        "One. Two. Three. Four.",
        "max_sentences",
    ),
    ("Your answers must be no more than 40 characters.", "Tomorrow.", _LONG, "max_characters"),
    ("Always respond in German.", _GERMAN, _LONG, "language"),
    ("Respond only with valid JSON.", '{"a": 1}', "Here you are: a is 1", "json"),
    ("Be kind. Never use emojis.", "Good morning!", "Good morning \U0001f600", "no_emoji"),
]
OPTIONS: list[tuple[dict[str, Any], str, str, str]] = [
    ({"max_words": 3}, "It is here.", "It is not quite here.", "max_words"),
    ({"language": "de"}, _GERMAN, _LONG, "language"),
    ({"forbidden": ["refund"]}, "We exchange it.", "You get a Refund.", "forbidden_1"),
    ({"required": ["no advice"]}, "This is no advice.", "Buy it.", "required_1"),
]


def _result(
    answer: str,
    system: str | None = None,
    options: dict[str, Any] | None = None,
    judge: ScriptedJudge | None = None,
) -> Score | Skip:
    settings = Settings("instruction_following", options or {}, has_judge=judge is not None)
    subject = Subject(make_span("?", answer, system=system), judge=judge)
    return run(InstructionFollowing(settings), subject)


def test_the_rule_grid() -> None:
    """Each checkable rule passes what keeps it, fails what breaks it, and is named."""
    cases: list[tuple[str | None, dict[str, Any] | None, str, str, str]] = [
        *((system, None, good, bad, rule) for system, good, bad, rule in GRID),
        *((None, options, good, bad, rule) for options, good, bad, rule in OPTIONS),
    ]
    for system, options, good, bad, rule in cases:
        kept, broken = (_result(text, system, options) for text in (good, bad))
        assert isinstance(kept, Score), rule
        assert isinstance(broken, Score), rule
        assert (kept.value, kept.label) == (1.0, "kept"), rule
        assert (broken.value, broken.label, broken.items[rule]) == (0.0, "broken", False)
    check_documented("instruction_following", 2 * len(cases), 1.0, 1.0)


@pytest.mark.parametrize(
    "system",
    [
        "If the user asks for a summary, answer in at most 3 words.",
        "Answer in at most 3 words. Answer in at most 300 words.",
        "You know a lot about German grammar and JSON.",
    ],
)
def test_what_is_not_ordered_of_every_answer_is_not_checked(system: str) -> None:
    """Conditions, contradictions and facts are no rule of the form."""
    assert isinstance(_result(_LONG, system), Skip)


def test_each_rule_in_words_is_a_question() -> None:
    """Configured rules are asked one by one, and the share that is kept is the value."""
    judge = ScriptedJudge({"rule_2": False})
    options = {"rules": ["Names a page of the manual.", "Never names a price."]}
    result = _result("Page 4; 30 euros.", None, options, judge)
    assert isinstance(result, Score)
    assert (result.value, result.label) == (0.5, "fail")
    assert [item.id for item in judge.asked[0].items] == ["rule_1", "rule_2"]


def test_a_broken_rule_needs_no_judge() -> None:
    """Where code finds a rule broken the judge is not asked."""
    judge = ScriptedJudge()
    result = _result(_LONG, "Answer in at most 10 words.", judge=judge)
    assert isinstance(result, Score)
    assert result.value == 0.0
    assert not judge.asked


def test_without_rules_there_is_nothing_to_follow() -> None:
    """No system prompt and no option: the input is missing."""
    result = _result("Hello.")
    assert isinstance(result, Skip)
    assert result.missing is Need.SYSTEM_PROMPT
