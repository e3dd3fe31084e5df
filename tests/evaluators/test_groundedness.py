"""`groundedness` on a corruption set: what is changed in a supported answer is known.

The judge is a script that looks each specific of the output up in the context, so the figures say
that the evidence which reaches a judge tells the corrupted answer from the supported one, and that
the verdict follows; not how well a model reads.
"""

# ruff: noqa: E501  a case is easier to read on one line

import re

from support.documented import check_documented

from evaluators import Question, Score, Settings, Subject, Verdict
from evaluators.rubric import BuiltinRubric
from evaluators.testing import ScriptedJudge, make_span, run

_PLACES = ("Lyon", "Oslo", "Porto", "Graz", "Turin", "Gent", "Brno", "Cork", "Bern", "Riga")
_PEOPLE = ("Ada", "Bela", "Cem", "Dora", "Emil", "Fay", "Gus", "Hana", "Ivo", "Jana")


def _facts() -> list[tuple[str, str, dict[str, str]]]:
    """Context, an answer that it supports, and the answer corrupted in each way."""
    made = []
    for number, (place, person) in enumerate(zip(_PLACES, _PEOPLE, strict=True)):
        hour, fee, other = 7 + number % 4, 12 + number, _PLACES[(number + 1) % len(_PLACES)]
        context = f"The office in {place} opens at {hour}. {person} is in charge. A visit costs {fee} euros."
        answer = f"In {place} the office opens at {hour}; a visit costs {fee} euros."
        corrupted = {
            "number": answer.replace(f"{fee} euros", f"{fee + 7} euros"),
            "entity": answer.replace(place, other),
            "negation": answer.replace("opens", "never opens"),
            "added clause": answer[:-1] + ", and Zoe is in charge.",
        }
        made.append((context, answer, corrupted))
    return made


def _look_up(question: Question) -> Verdict:
    """Every figure, name and negation of the output has to stand in the context."""
    specifics = re.findall(r"\d+|\b[A-Z][a-z]+\b|\bnever\b", question.data["output"])
    known = question.data["context"]
    supported = all(word in known for word in specifics if word != "In")
    answers = {item.id: supported for item in question.items}
    return Verdict(answers, "looked up")


def _passes(context: str, answer: str) -> bool:
    subject = Subject(make_span("?", answer), (context,), judge=ScriptedJudge(_look_up))
    result = run(BuiltinRubric(Settings("groundedness")), subject)
    assert isinstance(result, Score)
    assert result.passed is not None
    return result.passed


def test_corrupted_answers_fail_and_supported_ones_pass() -> None:
    """A changed number, a changed name, a negation and an added clause each fail."""
    facts = _facts()
    missed = [
        (kind, text)
        for context, _, corrupted in facts
        for kind, text in corrupted.items()
        if _passes(context, text)
    ]
    false = [answer for context, answer, _ in facts if not _passes(context, answer)]
    assert not missed
    assert not false
    check_documented("groundedness", 5 * len(facts))
