"""Assay never judges itself, and nobody can pass for it."""

import pytest

from schemas.own import EVALUATION_ID, PREAMBLE, SCOPE, is_own
from schemas.span import Message, Span, SpanKind


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
