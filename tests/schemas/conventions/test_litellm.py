"""LiteLLM's spans, beyond what the captures show."""

from support.captures import raw_span

from schemas.conventions import normalise, usage
from schemas.span import SpanKind, ToolCall

CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.cost.total_cost": 0.02,
    "gen_ai.usage.input_tokens": 5,
    "llm.user": "u-1",
}


def test_a_call_has_its_cost_and_user() -> None:
    """What LiteLLM priced is taken as it is; `llm.user` is the user."""
    raw = raw_span(CALL, name="litellm_request", scope="litellm")
    span, read = normalise(raw), usage(raw)
    assert (span.kind, span.convention, span.user_id) == (SpanKind.LLM, "litellm", "u-1")
    assert read is not None
    assert span.cost_usd == read.cost_usd == 0.02


def test_its_raw_twin_is_no_call() -> None:
    """The child repeats the call in the provider's terms: nothing to evaluate or count."""
    raw = raw_span({"llm.openai.id": "chatcmpl-1"}, name="raw_gen_ai_request", scope="litellm")
    assert (normalise(raw).kind, usage(raw)) == (SpanKind.OTHER, None)


def test_an_embedding_is_no_llm_call() -> None:
    """The same span name serves embeddings; the request's type tells."""
    attributes = CALL | {"llm.request.type": "aembedding"}
    raw = raw_span(attributes, name="litellm_request", scope="litellm")
    assert (normalise(raw).kind, usage(raw)) == (SpanKind.EMBEDDING, None)


def test_tool_calls_stand_under_older_names() -> None:
    """The answer's parts are empty where it is a tool call."""
    answered = '[{"role": "assistant", "parts": [], "finish_reason": "tool_calls"}]'
    attributes = CALL | {
        "gen_ai.output.messages": answered,
        "gen_ai.completion.0.function_call.name": "get_order",
        "gen_ai.completion.0.function_call.arguments": '{"id": 4711}',
    }
    span = normalise(raw_span(attributes, name="litellm_request", scope="litellm"))
    assert span.tool_calls == (ToolCall("get_order", {"id": 4711}),)
    assert (span.finish_reason, span.content_setting) == ("tool_calls", None)
