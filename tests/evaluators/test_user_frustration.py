"""The `user_frustration` evaluator: scripted sessions, what others said, and the judge behind."""

from pathlib import Path

import pytest
import yaml
from support.documented import check_documented

from evaluators import Message, Need, Score, Settings, Skip, Subject
from evaluators.detectors.frustration import complaint, repeats
from evaluators.heuristics.user_frustration import UserFrustration
from evaluators.testing import ScriptedJudge, make_span, run

_FRUSTRATED = """\
That's not what I asked. I need the invoice, not the receipt.
You are not listening to me.
You already told me that, and it did not work.
This is useless.
How many times do I have to say it? Order 4711.
I want to talk to a human.
Can I please speak to a real person?
Forget it, I'll do it myself.
For the third time: my address is wrong.
What a useless bot.
You keep missing it. This is a waste of my time!
I have already told you my customer number.
Never mind, I give up.
I am getting really annoyed. I'm fed up with this.
It is still not working, and this is getting frustrating.
Stop repeating the same text.
Das hilft mir überhaupt nicht.
Das habe ich doch schon gesagt.
Ich möchte mit einem echten Menschen sprechen.
Vergiss es.
Zum dritten Mal: die Adresse stimmt nicht.
Ce n'est pas ce que j'ai demandé.
Laissez tomber.
Eso no es lo que pedí.
Quiero hablar con una persona.
"""
_CALM = """\
My dog died yesterday and I don't know what to do.
I hate Mondays, everything is so grey.
My boss told me: "You are useless, this is a waste of my time."
The customer wrote “I want to talk to a human”, how do I answer?
> That's not what I asked.\\nHow would you reply to this mail?
Thanks! And how much is it for a year?
Could you explain the second point in more detail?
No, I meant the blue one. My mistake.
Is the old adapter useless if I buy the new one?
How do I get my team to stop wasting paper?
What does an agent do at a real estate company?
Write a story about a man who gives up his job.
Can I change the address a second time?
I already have an account, which plan is right for me?
Translate "forget it" into German.
Which museums are open on a human rights day?
Wie oft muss ich die Pflanze gießen?
Meine Katze ist krank und ich bin traurig.
Was ist der Unterschied zwischen nutzen und benutzen?
Quel est le prix pour deux personnes ?
¿Cuánto cuesta para una persona?
That was it, thank you very much!
ok
Please write it shorter.
How do I tell if this is useless? It looks fine to me.
"""


def _lines(text: str) -> list[str]:
    return [line.replace("\\n", "\n") for line in text.splitlines()]


def _session(*said: str, answer: str = "Certainly.") -> Subject:
    """Each message answered, but for the last one."""
    history = [
        m for text in said[:-1] for m in (Message("user", text), Message("assistant", "Ok."))
    ]
    return Subject(make_span(said[-1], answer, history=history))


def _evaluator(*, has_judge: bool = False) -> UserFrustration:
    return UserFrustration(Settings("user_frustration", has_judge=has_judge))


def _label(*said: str) -> str | None:
    score = run(_evaluator(), _session(*said))
    assert isinstance(score, Score)
    return score.label


def test_complaints_are_found() -> None:
    """25 sentences of impatient users, in four languages: all of them."""
    found = {text: complaint(text) for text in _lines(_FRUSTRATED)}
    assert [text for text, kind in found.items() if kind is None] == []
    assert len(found) == 25


def test_complaints_in_other_words_and_languages() -> None:
    """Of 50 complaints in 12 languages 8 in 10 are found, of 50 calm messages none."""
    rows = yaml.safe_load(Path(__file__).with_name("frustrations.yaml").read_text("utf-8"))
    found = [text for text in rows["frustrated"] if complaint(text)]
    false = [text for text in rows["calm"] if complaint(text)]

    recall = len(found) / len(rows["frustrated"])
    assert recall >= 0.8, set(rows["frustrated"]) - set(found)
    assert not false
    check_documented("user_frustration", 100, 1.0, recall)


def test_sad_topics_quotes_and_ordinary_requests_are_not() -> None:
    """25 messages that hold the same words, and are not about the assistant: none of them."""
    found = {text: complaint(text) for text in _lines(_CALM)}
    assert [text for text, kind in found.items() if kind is not None] == []
    assert len(found) == 25


@pytest.mark.parametrize(
    ("said", "label"),
    [
        (("How do I export my data?", "Thanks! Where is the export stored?"), "calm"),
        (("How do I export my data?", "How do I export my data"), "impatient"),
        (("How do I export my data?",) * 3, "frustrated"),
        (("How do I export my data?", "My data: how can I export my data?"), "impatient"),
        (("How do I export my data?", "That's not what I asked."), "frustrated"),
        (("That's not what I asked.", "Great, now it works. Where do I pay?"), "calm"),
        (("yes", "yes"), "calm"),
        (("Write a poem about autumn.", "Now one about winter, but shorter."), "calm"),
    ],
)
def test_a_session_is_judged_by_its_last_message(said: tuple[str, ...], label: str) -> None:
    """In the light of the earlier ones; what was said and settled before does not count again."""
    assert _label(*said) == label


def test_the_judge_decides_where_code_finds_nothing() -> None:
    """A find of the code is final, and costs nothing."""
    judge = ScriptedJudge({"repeats_request": True})
    evaluator = _evaluator(has_judge=True)
    calm = _session("How do I export my data?", "And where is the thing I wanted?")
    score = run(evaluator, Subject(calm.span, judge=judge))
    assert isinstance(score, Score)
    assert (score.label, score.items["decided_by"]) == ("impatient", "judge")
    run(evaluator, Subject(_session("Hello there.", "You are not listening.").span, judge=judge))
    assert len(judge.asked) == 1


@pytest.mark.parametrize("item", ["complains", "gives_up", "wants_a_human"])
def test_what_the_judge_calls_frustration_fails(item: str) -> None:
    """Each of the strong signs is enough."""
    judge = ScriptedJudge({item: True})
    session = _session("How do I export my data?", "Well, that is that, then.")
    score = run(_evaluator(has_judge=True), Subject(session.span, judge=judge))
    assert isinstance(score, Score)
    assert (score.label, score.value) == ("frustrated", 0.0)


def test_a_span_without_history_is_no_session() -> None:
    """No worker sees a whole session: it needs what the span carries."""
    skip = run(_evaluator(), _session("Hello."))
    assert isinstance(skip, Skip)
    assert skip.missing is Need.SESSION


def test_a_call_that_goes_on_after_a_tool_is_not_the_user_again() -> None:
    """Else each step of an agent would count the same message of the user once more."""
    span = _session("Hello.", "You are not listening.").span
    span.messages_in = (*span.messages_in, Message("tool", "nothing found"))
    skip = run(_evaluator(), Subject(span))
    assert isinstance(skip, Skip)
    assert skip.missing is None


def test_a_long_message_is_looked_at_up_to_a_bound() -> None:
    """A pasted file must not hold up the worker; what was asked stands at its beginning."""
    assert complaint("x " * 10_000 + "This is useless.") is None
    assert repeats(["word " * 100_000] * 3) == (2, 0)
