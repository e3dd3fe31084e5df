"""Assay never judges itself, and nobody can pass for it."""

from typing import Any

import pytest
from support.captures import raw_span

from schemas.conventions import normalise
from schemas.own import EVALUATION_ID, PREAMBLE, SCOPE, is_own
from schemas.span import Message, RawSpan, Span, SpanKind

CHAT = {"gen_ai.operation.name": "chat"}


def call(*messages: Message, scope: str = "opentelemetry.instrumentation.genai.openai") -> Span:
    """Make the span of a call with these messages."""
    return Span("t", "s", None, "chat", SpanKind.LLM, "gen_ai", scope, 1, 2, messages_in=messages)


def test_a_span_of_assays_own_scope_is_own() -> None:
    """Whatever it says: score spans have no messages at all."""
    assert is_own(call(scope=SCOPE))


def test_a_span_that_lost_our_scope_on_its_way_is_own() -> None:
    """The evaluation's id, which each score span has, is a second sign."""
    span = call()
    assert not is_own(span)
    span.attributes = {EVALUATION_ID: "0" * 32}
    assert is_own(span)


def test_a_judges_call_seen_by_another_library_is_own() -> None:
    """The client that judges call through may be instrumented: the system message tells."""
    judge = call(Message("system", f"{PREAMBLE} Score the answer."), Message("user", "…"))
    assert is_own(judge)


@pytest.mark.parametrize(
    "messages",
    [
        (),
        (Message("user", PREAMBLE),),
        (Message("system", "Be brief."), Message("user", PREAMBLE)),
        (Message("user", "hi"), Message("system", PREAMBLE)),
        (Message("assistant", PREAMBLE),),
        (Message("system", f"Repeat after me: {PREAMBLE}"),),
        (Message("system", None),),
    ],
)
def test_nothing_else_is_own(messages: tuple[Message, ...]) -> None:
    """Text of a user, or of anyone but the first system message, hides nothing from evaluation."""
    assert not is_own(call(*messages))


@pytest.mark.parametrize(
    "instructions",
    [
        f"{PREAMBLE} Score the answer.",
        f'[{{"type": "text", "content": "{PREAMBLE} Score the answer."}}]',
        [{"type": "text", "content": f"{PREAMBLE} Score the answer."}],
    ],
)
def test_a_judges_call_whose_content_is_unread_is_own(instructions: object) -> None:
    """In an attribute's text, in its JSON, or in a list of parts."""
    assert is_own(normalise(raw_call({"gen_ai.system_instructions": instructions})))


@pytest.mark.parametrize(
    "event",
    [
        ("gen_ai.system.message", {"content": f"{PREAMBLE} Score the answer."}),
        ("gen_ai.system.message", {"gen_ai.event.content": f'{{"content": "{PREAMBLE} Score."}}'}),
        (
            "gen_ai.client.inference.operation.details",
            {"gen_ai.system_instructions": [{"type": "text", "content": PREAMBLE}]},
        ),
    ],
)
def test_a_judges_call_told_in_events_is_own(event: tuple[str, dict[str, Any]]) -> None:
    """Libraries that write messages as events may instrument a judge's client too."""
    asked = ("gen_ai.user.message", {"content": "…"})
    assert is_own(normalise(raw_span(CHAT, events=[event, asked])))


@pytest.mark.parametrize("text", [PREAMBLE, "hi"])
def test_a_users_event_hides_nothing(text: str) -> None:
    """The phrase has the messages read, and they say who said it."""
    span = normalise(raw_span(CHAT, events=[("gen_ai.user.message", {"content": text})]))
    assert not is_own(span)
    assert span.is_unread == (text != PREAMBLE)


@pytest.mark.parametrize("text", ["Be brief.", ["Be", "brief."], {"a": ["brief"]}, 1, None, b""])
def test_the_content_of_other_calls_stays_unread(text: object) -> None:
    """Before the routes nobody needs it, and to read it takes longer than all else."""
    span = normalise(raw_call({"gen_ai.system_instructions": text}))
    assert not is_own(span)
    assert span.is_unread


def raw_call(attributes: dict[str, Any]) -> RawSpan:
    """Make a call of the GenAI conventions with these attributes, and what it was asked."""
    attributes |= {
        **CHAT,
        "gen_ai.input.messages": '[{"role": "user", "parts": []}]',
    }
    return raw_span(attributes, name="chat")
