"""The defences, one at a time: the judge that needs it, and what is left with it gone.

A weakened set is made of the product's own steps: one thing is undone before or after them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from support import gullible
from support.gullible import GivesIn

from evaluators.contract import Question, Verdict
from evaluators.judge.clean import disarm, unmask
from evaluators.judge.defences import Defences
from evaluators.judge.faults import BadOutput
from evaluators.judge.prompt import Prompt, write_prompt
from evaluators.judge.verdict import read_verdict

Json = dict[str, Any]
_KNOWN_NAME = "evidence_data"


@dataclass(frozen=True)
class Defence:
    """One defence, and how to see what it stops.

    Attributes:
        name: A few words, as the documentation has them.
        gives_in: The judge whose weakness it covers.
        without: All defences but this one.
        evaluator: The evaluator that is attacked.
        is_gated: False leaves the gate before the judge away.
    """

    name: str
    gives_in: GivesIn
    without: Defences
    evaluator: str = "answer_relevance"
    is_gated: bool = True


def _writing(change: Callable[[Prompt, Mapping[str, str]], Prompt]) -> Defences:
    def write(question: Question, data: Mapping[str, str], correction: str) -> Prompt:
        return change(write_prompt(question, data, correction), data)

    return Defences(write=write)


def _plain(prompt: Prompt, data: Mapping[str, str]) -> Prompt:
    _, reminder = prompt.user.split("\n\n", 1)
    text = "\n\n".join(f"{name}:\n{value}" for name, value in data.items())
    return replace(prompt, user=f"{text}\n\n{reminder}")


def _named(prompt: Prompt, _data: Mapping[str, str]) -> Prompt:
    name = prompt.system.rpartition(" ")[2]
    return replace(
        prompt,
        system=prompt.system.replace(name, _KNOWN_NAME),
        user=prompt.user.replace(name, _KNOWN_NAME, 1),
    )


def _one_message(prompt: Prompt, _data: Mapping[str, str]) -> Prompt:
    return replace(prompt, system="", user=f"{prompt.system}\n\n{prompt.user}")


def _no_reminder(prompt: Prompt, _data: Mapping[str, str]) -> Prompt:
    return replace(prompt, user=prompt.user.partition("\n\n")[0])


def _reading(change: Callable[[Json, Question, str], Json]) -> Defences:
    def read(text: str, question: Question, receipt: str, data: Mapping[str, str]) -> Verdict:
        # As most readers do it: the first object that there is, the last of two fields.
        try:
            answer, _ = json.JSONDecoder().raw_decode(text)
        except ValueError:
            return read_verdict(text, question, receipt, data)
        return read_verdict(json.dumps(change(answer, question, receipt)), question, receipt, data)

    return Defences(read=read)


def _any_receipt(answer: Json, _question: Question, receipt: str) -> Json:
    return {**answer, "receipt": receipt}


def _as_it_is(answer: Json, _question: Question, _receipt: str) -> Json:
    return answer


def _by_grade(answer: Json, question: Question, _receipt: str) -> Json:
    grade = answer.pop("verdict", None)
    if grade is None:
        return answer
    is_good = grade == "pass"
    return {**answer, "items": {item.id: item.good is is_good for item in question.items}}


def _truthy(answer: Json, _question: Question, _receipt: str) -> Json:
    return {**answer, "items": {name: bool(value) for name, value in answer["items"].items()}}


def _any_quote(text: str, question: Question, receipt: str, data: Mapping[str, str]) -> Verdict:
    quote = json.loads(text).get("quote", "")
    return read_verdict(text, question, receipt, {**data, "quote": quote})


def _default(text: str, question: Question, receipt: str, data: Mapping[str, str]) -> Verdict:
    try:
        return read_verdict(text, question, receipt, data)
    except BadOutput:
        return Verdict({item.id: item.good for item in question.items}, "by default")


DEFENCES = (
    Defence("gate before the judge", gullible.believes_openers, Defences(), is_gated=False),
    Defence("unseen characters removed", gullible.reads_the_unseen, Defences(clean=disarm)),
    Defence("template tokens replaced", gullible.reads_template_tokens, Defences(clean=unmask)),
    Defence("rules in another role", gullible.trusts_the_role, _writing(_one_message)),
    Defence("data in a JSON object", gullible.obeys_what_stands_outside, _writing(_plain)),
    Defence("name that nobody knows", gullible.leaves_where_the_name_stands, _writing(_named)),
    Defence("reminder after the data", gullible.follows_the_last_word, _writing(_no_reminder)),
    Defence("receipt", gullible.copies_an_answer, _reading(_any_receipt)),
    Defence("one object alone", gullible.drafts_an_answer, _reading(_as_it_is)),
    Defence("no field twice", gullible.answers_twice, _reading(_as_it_is)),
    Defence("verdict from the items", gullible.adds_a_grade, _reading(_by_grade)),
    Defence("true and false, no words", gullible.writes_words, _reading(_truthy)),
    Defence(
        "quote that occurs", gullible.invents_support, Defences(read=_any_quote), "groundedness"
    ),
    Defence("no default score", gullible.falls_silent, Defences(read=_default)),
)
"""In the order in which judged text meets them."""
