"""The Langfuse SDK: spans as its OpenAI wrapper, LangChain handler and decorators write them."""

import json
from typing import Any

import pytest
from hypothesis import given
from support.captures import raw_span
from support.odd_values import ODD_JSON, odd_attributes

from schemas.conventions.langfuse import CONVENTION
from schemas.span import Message, Span, SpanKind, ToolCall

USAGE = {
    "prompt_tokens": 42,
    "completion_tokens": 17,
    "total_tokens": 59,
    "prompt_tokens_details": {"cached_tokens": 16, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 4},
}
GENERATION = {
    "langfuse.observation.type": "generation",
    "langfuse.environment": "staging",
    "langfuse.observation.input": json.dumps(
        {
            "tools": [{"type": "function", "function": {"name": "get_order"}}],
            "messages": [
                {"role": "developer", "content": "Use tools when needed."},
                {"role": "user", "content": "Wo ist Bestellung 4711? \u00f6"},
            ],
        }
    ),
    "langfuse.observation.output": json.dumps(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "get_order", "arguments": '{"order_id": "4711"}'},
                }
            ],
        }
    ),
    "langfuse.observation.model.name": "gpt-4o-2026-08-01",
    "langfuse.observation.model.parameters": '{"max_tokens": "Infinity", "temperature": 0.2}',
    "langfuse.observation.usage_details": json.dumps(USAGE),
    "langfuse.observation.cost_details": '{"input": 0.001, "output": 0.002, "total": 0.003}',
    "langfuse.observation.prompt.name": "support",
    "langfuse.observation.prompt.version": 7,
    "session.id": "s-9",
    "user.id": "u-17",
}


def read(attributes: dict[str, Any], **more: Any) -> Span:
    """Read a span with these attributes."""
    return CONVENTION.read(raw_span(attributes, scope="langfuse-sdk", **more))


def generation(**changed: Any) -> Span:
    """Read the generation with some attributes of `langfuse.observation` changed."""
    changes = {f"langfuse.observation.{key}": value for key, value in changed.items()}
    return read({**GENERATION, **changes})


def test_a_generation_is_read_whole() -> None:
    """What the OpenAI wrapper records is found, its request and answer among it."""
    span = read(GENERATION)
    assert (span.kind, span.convention, span.operation) == (SpanKind.LLM, "langfuse", "generation")
    assert span.messages_in == (
        Message("system", "Use tools when needed."),
        Message("user", "Wo ist Bestellung 4711? ö"),
    )
    assert span.output_text is None
    assert span.tool_calls == (ToolCall("get_order", {"order_id": "4711"}, "call_1"),)
    assert (span.input_tokens, span.output_tokens) == (42, 17)
    assert (span.cached_input_tokens, span.reasoning_tokens) == (16, 4)
    assert (span.request_model, span.response_model) == (None, "gpt-4o-2026-08-01")
    assert (span.cost_usd, span.environment) == (0.003, "staging")
    assert (span.session_id, span.user_id) == ("s-9", "u-17")
    assert (span.prompt_name, span.prompt_version) == ("support", "7")


@pytest.mark.parametrize(
    ("output", "response_id"),
    [
        ('{"id": "chatcmpl-1", "choices": [{"message": {"role": "assistant"}}]}', "chatcmpl-1"),
        ('{"model": "gpt-4o", "choices": [{"index": 0}], "id": "other-1"}', "other-1"),
        ('{"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function"}]}', None),
        ('[{"id": "msg_1", "type": "message", "role": "assistant", "content": "hi"}]', None),
        ({"id": "chatcmpl-1", "choices": [{"index": 0}]}, "chatcmpl-1"),
        ('the "id" of it', None),
    ],
)
def test_a_response_whole_gives_its_id(output: object, response_id: str | None) -> None:
    """Only a response's own: a tool call has an id too, and an item of OpenAI's Responses."""
    assert generation(output=output).response_id == response_id


def test_usage_is_that_of_the_whole_span() -> None:
    """Cost attribution reads the same numbers without the content."""
    kept = {key: value for key, value in GENERATION.items() if key in CONVENTION.usage_keys}
    usage = CONVENTION.read_usage(raw_span(kept))
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.cached_input_tokens) == (42, 17, 16)
    assert (usage.response_model, usage.cost_usd) == ("gpt-4o-2026-08-01", 0.003)
    assert (usage.prompt_name, usage.prompt_version) == ("support", "7")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("generation", SpanKind.LLM),
        ("agent", SpanKind.AGENT),
        ("tool", SpanKind.TOOL),
        ("retriever", SpanKind.RETRIEVER),
        ("embedding", SpanKind.EMBEDDING),
        ("span", SpanKind.CHAIN),
        ("chain", SpanKind.CHAIN),
        ("event", SpanKind.CHAIN),
        ("evaluator", SpanKind.CHAIN),
        ("guardrail", SpanKind.CHAIN),
        (3, SpanKind.CHAIN),
    ],
)
def test_kind_is_the_observations_type(kind: Any, expected: SpanKind) -> None:
    """Only a generation is a call to a model."""
    raw = raw_span({**GENERATION, "langfuse.observation.type": kind})
    assert CONVENTION.read(raw).kind is expected
    assert (CONVENTION.read_usage(raw) is not None) == (expected is SpanKind.LLM)


@pytest.mark.parametrize(
    ("details", "counts"),
    [  # input, output, cache read, cache write, reasoning
        ({"input": 26, "output": 13, "total": 59, "input_cache_read": 16, "output_reasoning": 4},
         (42, 17, 16, None, 4)),
        ({"input": 10, "output": 5, "input_cached_tokens": 4}, (14, 5, 4, None, None)),
        ({"input": 42, "output": 17, "total": 59, "input_cache_read": 16},
         (42, 17, 16, None, None)),
        ({"input_tokens": 10, "output_tokens": 24, "cache_read_input_tokens": 64,
          "cache_creation_input_tokens": 120}, (194, 24, 64, 120, None)),
        ({"input_tokens": 9, "output_tokens": 3, "total_tokens": 12,
          "input_tokens_details": {"cached_tokens": 2},
          "output_tokens_details": {"reasoning_tokens": 1}}, (9, 3, 2, None, 1)),
        ({"prompt_tokens": "7", "completion_tokens": None}, (7, None, None, None, None)),
        ({"input": -1, "output": float("nan")}, (None, None, None, None, None)),
    ],
)  # fmt: skip
def test_every_spelling_of_usage_is_counted(details: dict[str, Any], counts: Any) -> None:
    """Langfuse's own types exclude each other and are added up; a provider's stay as they are."""
    span = generation(usage_details=json.dumps(details))
    assert counts == (
        span.input_tokens,
        span.output_tokens,
        span.cached_input_tokens,
        span.cache_creation_input_tokens,
        span.reasoning_tokens,
    )


def test_a_failed_call_keeps_the_model_that_was_asked() -> None:
    """Without an answer the name is the one asked for, and zero cost is no cost."""
    span = generation(
        level="ERROR", output=None, cost_details='{"input": 0, "output": 0, "total": 0}'
    )
    assert (span.error, span.request_model, span.response_model) == (
        True,
        "gpt-4o-2026-08-01",
        None,
    )
    assert span.cost_usd is None


def test_langchain_names_model_and_provider_in_its_metadata() -> None:
    """The handler's metadata tells what was asked of whom."""
    span = generation(**{"metadata.ls_model_name": "gpt-4o", "metadata.ls_provider": "openai"})
    assert (span.provider, span.request_model) == ("openai", "gpt-4o")


@pytest.mark.parametrize(
    ("value", "messages"),
    [
        ('[{"role": "user", "content": "Hi"}]', (Message("user", "Hi"),)),
        ('{"args": ["Hi"], "kwargs": {}}', (Message("user", "Hi"),)),
        (
            '{"args": [], "kwargs": {"messages": [{"role": "user", "content": "Hi"}]}}',
            (Message("user", "Hi"),),
        ),
        ("Hi", (Message("user", "Hi"),)),
        ("[1] is the source", (Message("user", "[1] is the source"),)),
        (
            '{"question": "Why?", "context": "Because."}',
            (Message("user", '{"question": "Why?", "context": "Because."}'),),
        ),
        ("null", ()),
        ("", ()),
        (None, ()),
    ],
)
def test_any_input_is_read(value: Any, messages: tuple[Message, ...]) -> None:
    """A list of messages, a function's arguments, text; an unknown object is kept as it is."""
    assert generation(input=value).messages_in == messages


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("In Bern.", "In Bern."),
        ('{"role": "assistant", "content": "In Bern."}', "In Bern."),
        ('[{"role": "assistant", "content": "In Bern."}]', "In Bern."),
        ('{"category": "refund",  "answer": "yes"}', '{"category": "refund",  "answer": "yes"}'),
        ("null", None),
        ("", None),
    ],
)
def test_any_output_is_read(value: Any, text: str | None) -> None:
    """A message object, a list, text; an answer that is itself JSON stays exactly as it was."""
    assert generation(output=value).output_text == text


def test_finish_reason_of_a_stream_is_in_the_metadata() -> None:
    """Other calls do not say why they ended."""
    assert generation(**{"metadata.finish_reason": "tool_calls"}).finish_reason == "tool_calls"
    assert generation(**{"metadata.finish_reason": '"tool_calls"'}).finish_reason == "tool_calls"
    assert generation().finish_reason is None


def test_images_are_placeholders() -> None:
    """An image part is named, never copied."""
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "See:"}, part]}]
    span = generation(input=json.dumps(messages))
    assert span.messages_in == (Message("user", "See:\n[image]"),)


def test_cut_json_is_flagged_and_not_judged() -> None:
    """Half a JSON document is neither text nor messages."""
    span = generation(input='[{"role": "user", "content": "Where is my par')
    assert span.truncated
    assert span.messages_in == ()


@pytest.mark.parametrize(
    ("output", "documents"),
    [
        ('[{"page_content": "24 months.", "metadata": {}}]', ("24 months.",)),
        ('[{"text": "a"}, {"content": "b"}]', ("a", "b")),
        ('["a", "b"]', ("a", "b")),
        ('{"documents": [{"page_content": "a"}]}', ("a",)),
        ("nothing found", ()),
    ],
)
def test_documents_of_a_retriever(output: str, documents: tuple[str, ...]) -> None:
    """Whatever the application returns, the texts in it are the documents."""
    attributes = {
        "langfuse.observation.type": "retriever",
        "langfuse.observation.input": "warranty?",
        "langfuse.observation.output": output,
    }
    span = read(attributes)
    assert (span.documents, span.messages_in) == (documents, (Message("user", "warranty?"),))


def test_a_tools_arguments_and_result() -> None:
    """A decorated function's arguments are those it was called with."""
    span = read(
        {
            "langfuse.observation.type": "tool",
            "langfuse.observation.input": '{"args": [], "kwargs": {"city": "Bern"}}',
            "langfuse.observation.output": '{"temp_c": 18}',
        },
        name="get_weather",
    )
    assert (span.tool_name, span.tool_arguments) == ("get_weather", {"city": "Bern"})
    assert span.tool_result == '{"temp_c": 18}'


def test_older_names_of_session_and_user_are_read() -> None:
    """Version 3 of the SDK had names of its own."""
    attributes = {
        "langfuse.observation.type": "span",
        "langfuse.session.id": "s-1",
        "langfuse.user.id": "u-1",
        "langfuse.environment": "default",
    }
    span = read(attributes, resource={"deployment.environment": "prod"})
    assert (span.session_id, span.user_id, span.environment) == ("s-1", "u-1", "prod")


def test_a_span_without_content_names_the_setting() -> None:
    """Nothing to judge: the outcome can say what turns content on."""
    span = generation(input=None, output=None)
    assert not span.has_content
    assert "LANGFUSE" in (span.content_setting or "")


@given(
    odd_attributes(
        [*GENERATION, "langfuse.observation.level", "langfuse.observation.metadata.ls_model_name"],
        {"langfuse.observation.type": ["generation", "tool", "retriever", "agent", "embedding"]},
    )
)
def test_no_value_breaks_the_reader(attributes: dict[str, Any]) -> None:
    """Whatever stands where text or a number belongs, a span comes out."""
    raw = raw_span(attributes)
    assert "convention='langfuse'" in repr(CONVENTION.read(raw))  # which asks for all of it
    CONVENTION.read_usage(raw)


@given(ODD_JSON, ODD_JSON, ODD_JSON)
def test_no_json_breaks_the_reader(value: str, output: str, usage: str) -> None:
    """Any JSON, whole or cut, may stand where messages, an answer or usage belong."""
    span = generation(input=value, output=output, usage_details=usage, cost_details=usage)
    assert "convention='langfuse'" in repr(span)
