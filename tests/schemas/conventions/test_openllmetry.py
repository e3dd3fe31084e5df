"""OpenLLMetry up to 0.4x, beyond what the captures show."""

import json

import pytest
from support.captures import raw_span

from schemas.conventions import normalise, usage
from schemas.span import Message, SpanKind, ToolCall

CHAT = {
    "llm.request.type": "chat",
    "gen_ai.system": "Anthropic",
    "gen_ai.request.model": "claude-3-opus",
    "gen_ai.usage.prompt_tokens": 9,
    "gen_ai.usage.completion_tokens": 2,
}


def test_messages_come_in_the_order_of_their_index() -> None:
    """Attributes have no order: ten comes after two, and a gap is closed."""
    prompts = {f"gen_ai.prompt.{index}.content": str(index) for index in (10, 2, 0, 5)}
    roles = {"gen_ai.prompt.0.role": "system", "gen_ai.prompt.2.role": "user"}
    span = normalise(raw_span(CHAT | prompts | roles))
    assert [m.content for m in span.messages_in] == ["0", "2", "5", "10"]
    assert [m.role for m in span.messages_in] == ["system", "user", "user", "user"]
    assert (span.kind, span.provider) == (SpanKind.LLM, "anthropic")


def test_content_in_parts_is_json_inside() -> None:
    """Content with an image is a list of parts as JSON; a text that looks like JSON stays."""
    parts = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "u"}}]
    prompts = {
        "gen_ai.prompt.0.role": "user",
        "gen_ai.prompt.0.content": json.dumps(parts),
        "gen_ai.prompt.1.role": "user",
        "gen_ai.prompt.1.content": '{"a": 1}',
    }
    span = normalise(raw_span(CHAT | prompts))
    assert span.messages_in == (Message("user", "Look:\n[image]"), Message("user", '{"a": 1}'))
    cut = raw_span(CHAT | prompts | {"gen_ai.prompt.0.content": json.dumps(parts)[:30]})
    assert (normalise(cut).truncated, span.truncated) == (True, False)


def test_choices_and_the_older_function_call() -> None:
    """Each completion is a choice; before tools there was one function call."""
    completions = {
        "gen_ai.completion.0.role": "assistant",
        "gen_ai.completion.0.finish_reason": "function_call",
        "gen_ai.completion.0.function_call.name": "get",
        "gen_ai.completion.0.function_call.arguments": '{"id": 1}',
        "gen_ai.completion.1.role": "assistant",
        "gen_ai.completion.1.content": "Another answer.",
    }
    span = normalise(raw_span(CHAT | completions))
    assert span.tool_calls == (ToolCall("get", {"id": 1}),)
    assert span.other_choices == ("Another answer.",)
    assert span.finish_reason == "tool_calls"


@pytest.mark.parametrize(
    ("request_type", "kind"),
    [("completion", SpanKind.LLM), ("embedding", SpanKind.EMBEDDING), ("rerank", SpanKind.CHAIN)],
)
def test_request_type_says_the_kind(request_type: str, kind: SpanKind) -> None:
    """Only chat and completion are calls whose usage counts."""
    raw = raw_span(CHAT | {"llm.request.type": request_type})
    assert normalise(raw).kind is kind
    assert (usage(raw) is not None) == (kind is SpanKind.LLM)
    agentops = raw_span({"gen_ai.request.type": request_type, "gen_ai.prompt.0.content": "Hi"})
    assert normalise(agentops).kind is kind


def test_content_off_names_the_setting() -> None:
    """With content off only the request's type tells the convention."""
    span = normalise(raw_span(CHAT))
    assert (span.convention, span.content_setting) == (
        "openllmetry",
        "TRACELOOP_TRACE_CONTENT=true",
    )
