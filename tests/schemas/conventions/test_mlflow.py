"""MLflow Tracing: every value is JSON, text in quotes."""

import json
from typing import Any

import pytest
from hypothesis import given
from support.captures import raw_span
from support.odd_values import ODD_JSON, odd_attributes

from schemas.conventions import normalise
from schemas.conventions.mlflow import CONVENTION
from schemas.span import Message, Span, SpanKind, ToolCall

REQUEST = {
    "model": "gpt-4o",
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "Where is my parcel?"},
    ],
}
RESPONSE = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "model": "gpt-4o-2026-08-01",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "In Bern.", "tool_calls": None},
        }
    ],
    "usage": {"prompt_tokens": 34, "completion_tokens": 3},
}
CHAT = {
    "mlflow.traceRequestId": '"tr-0af7651916cd43dd8448eb211c80319c"',
    "mlflow.spanType": '"CHAT_MODEL"',
    "mlflow.spanInputs": json.dumps(REQUEST),
    "mlflow.spanOutputs": json.dumps(RESPONSE),
    "model": '"gpt-4o"',
    "mlflow.message.format": '"openai"',
    "mlflow.llm.model": '"gpt-4o-2026-08-01"',
    "mlflow.chat.tokenUsage": json.dumps(
        {
            "input_tokens": 34,
            "output_tokens": 3,
            "total_tokens": 37,
            "cache_read_input_tokens": 8,
            "cache_creation_input_tokens": 2,
        }
    ),
    "mlflow.llm.cost": '{"input_cost": 0.001, "output_cost": 0.002, "total_cost": 0.003}',
}


def read(attributes: dict[str, Any], **more: Any) -> Span:
    """Read a span with these attributes."""
    return CONVENTION.read(raw_span(attributes, scope="mlflow.tracing.provider", **more))


def test_a_chat_call_is_read_whole() -> None:
    """Request, response and counts are found behind their quotes."""
    span = read(CHAT)
    assert (span.kind, span.convention, span.operation) == (SpanKind.LLM, "mlflow", "CHAT_MODEL")
    assert span.messages_in == (
        Message("system", "Be brief."),
        Message("user", "Where is my parcel?"),
    )
    assert (span.output_text, span.finish_reason) == ("In Bern.", "stop")
    assert (span.provider, span.request_model) == ("openai", "gpt-4o")
    assert (span.response_model, span.response_id) == ("gpt-4o-2026-08-01", "chatcmpl-1")
    assert (span.input_tokens, span.output_tokens) == (34, 3)
    assert (span.cached_input_tokens, span.cache_creation_input_tokens) == (8, 2)
    assert (span.cost_usd, span.truncated) == (0.003, False)


def test_usage_is_that_of_the_whole_span() -> None:
    """Cost attribution reads the same numbers without the request."""
    kept = {key: value for key, value in CHAT.items() if key in CONVENTION.usage_keys}
    usage = CONVENTION.read_usage(raw_span(kept))
    assert usage is not None
    assert (usage.provider, usage.request_model) == ("openai", "gpt-4o")
    assert (usage.response_model, usage.response_id) == ("gpt-4o-2026-08-01", "chatcmpl-1")
    assert (usage.input_tokens, usage.output_tokens, usage.cost_usd) == (34, 3, 0.003)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ('"CHAT_MODEL"', SpanKind.LLM),
        ('"LLM"', SpanKind.LLM),
        ("LLM", SpanKind.LLM),
        ('"AGENT"', SpanKind.AGENT),
        ('"TOOL"', SpanKind.TOOL),
        ('"RETRIEVER"', SpanKind.RETRIEVER),
        ('"EMBEDDING"', SpanKind.EMBEDDING),
        ('"CHAIN"', SpanKind.CHAIN),
        ('"PARSER"', SpanKind.CHAIN),
        ('"RERANKER"', SpanKind.CHAIN),
        ('"UNKNOWN"', SpanKind.CHAIN),
        ("null", SpanKind.CHAIN),
        ('"', SpanKind.CHAIN),
    ],
)
def test_kind_is_the_spans_type(kind: str, expected: SpanKind) -> None:
    """Quotes around the type are JSON's."""
    raw = raw_span({**CHAT, "mlflow.spanType": kind})
    assert CONVENTION.read(raw).kind is expected
    assert (CONVENTION.read_usage(raw) is not None) == (expected is SpanKind.LLM)


def test_another_librarys_span_is_not_read() -> None:
    """On a shared provider MLflow marks every span, those that are not its own with no type."""
    foreign = {"mlflow.traceRequestId": '"tr-1"', "mlflow.spanType": "null"}
    assert normalise(raw_span(foreign | {"gen_ai.operation.name": "chat"})).kind is SpanKind.LLM
    untyped = normalise(raw_span(foreign | {"mlflow.spanType": '"UNKNOWN"'}))
    assert (untyped.convention, untyped.kind) == ("mlflow", SpanKind.CHAIN)


def test_the_model_asked_is_in_the_request_where_it_has_no_attribute() -> None:
    """Some autologging sets no `model`."""
    attributes = {key: value for key, value in CHAT.items() if key != "model"}
    assert read(attributes).request_model == "gpt-4o"


@pytest.mark.parametrize(
    ("attributes", "provider"),
    [
        ({"mlflow.message.format": '"anthropic"'}, "anthropic"),
        ({"mlflow.message.format": '"langchain"'}, None),
        ({"mlflow.message.format": '"langchain"', "mlflow.llm.provider": '"openai"'}, "openai"),
    ],
)
def test_a_framework_is_no_provider(attributes: dict[str, Any], provider: str | None) -> None:
    """The message format names a provider only where it is one."""
    assert read({"mlflow.spanType": '"LLM"', **attributes}).provider == provider


def test_gemini_and_responses_are_read() -> None:
    """Requests and responses of other providers have other keys."""
    request = {
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "config": {"system_instruction": {"parts": [{"text": "Be kind."}]}},
    }
    response = {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "Hello"}]}, "finish_reason": "STOP"}
        ],
        "response_id": "g-1",
    }
    attributes = {
        "mlflow.spanType": '"CHAT_MODEL"',
        "mlflow.spanInputs": json.dumps(request),
        "mlflow.spanOutputs": json.dumps(response),
    }
    span = read(attributes)
    assert span.messages_in == (Message("system", "Be kind."), Message("user", "Hi"))
    assert (span.output_text, span.finish_reason, span.response_id) == ("Hello", "stop", "g-1")


def test_a_functions_text_is_read() -> None:
    """A traced function that calls a model itself has plain text in quotes."""
    attributes = {
        "mlflow.spanType": '"LLM"',
        "mlflow.spanInputs": '{"prompt": "Why?"}',
        "mlflow.spanOutputs": '"Because \\"so\\"."',
    }
    span = read(attributes)
    assert (span.messages_in, span.output_text) == ((Message("user", "Why?"),), 'Because "so".')


def chunk(number: int, delta: dict[str, Any], reason: str | None = None) -> tuple[str, Any]:
    """Make the event of one chunk of a stream."""
    body = {"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
    return f"mlflow.chunk.item.{number}", {"mlflow.chunk.value": json.dumps(body)}


def test_streamed_tool_calls_are_put_together_again() -> None:
    """The span's summary of a stream loses its tool calls; the chunks still have them."""
    summary = {
        "choices": [{"message": {"role": "assistant", "content": ""}, "finish_reason": "stop"}]
    }
    first = {"index": 0, "id": "call_1", "function": {"name": "get_order", "arguments": ""}}
    events = [
        chunk(0, {"role": "assistant", "tool_calls": [first]}),
        chunk(1, {"tool_calls": [{"index": 0, "function": {"arguments": '{"order_id"'}}]}),
        chunk(2, {"tool_calls": [{"index": 0, "function": {"arguments": ': "4711"}'}}]}),
        chunk(3, {}, "tool_calls"),
    ]
    span = read({**CHAT, "mlflow.spanOutputs": json.dumps(summary)}, events=events)
    assert span.tool_calls == (ToolCall("get_order", {"order_id": "4711"}, "call_1"),)
    assert (span.finish_reason, span.output_text) == ("tool_calls", None)


def test_a_stream_without_summary_has_the_text_of_its_chunks() -> None:
    """A stream that the application left early has no output."""
    attributes = {**CHAT, "mlflow.spanOutputs": "null"}
    events = [chunk(0, {"content": "In "}), chunk(1, {"content": "Bern"}), ("exception", {})]
    assert read(attributes, events=events).output_text == "In Bern"


def test_documents_of_a_retriever() -> None:
    """The output is the list of documents."""
    documents = [{"page_content": "24 months.", "metadata": {"a": 1}, "id": "p-12"}]
    span = read(
        {
            "mlflow.spanType": '"RETRIEVER"',
            "mlflow.spanInputs": '{"query": "warranty?"}',
            "mlflow.spanOutputs": json.dumps(documents),
        }
    )
    assert span.documents == ("24 months.",)
    assert span.messages_in == (Message("user", "warranty?"),)


def test_a_tools_arguments_and_result() -> None:
    """A tool is a function: its inputs are the arguments by name."""
    span = read(
        {
            "mlflow.spanType": '"TOOL"',
            "mlflow.spanInputs": '{"city": "Bern"}',
            "mlflow.spanOutputs": '"18 degrees"',
        },
        name="get_weather",
    )
    assert (span.tool_name, span.tool_arguments) == ("get_weather", {"city": "Bern"})
    assert span.tool_result == "18 degrees"


def test_session_user_and_prompt_are_read() -> None:
    """They sit on the root, the linked prompts as JSON in JSON."""
    prompts = json.dumps(json.dumps([{"name": "support", "version": "3"}]))
    span = read(
        {
            **CHAT,
            "mlflow.trace.session": '"s-9"',
            "mlflow.trace.user": '"u-17"',
            "mlflow.linkedPrompts": prompts,
        }
    )
    assert (span.session_id, span.user_id) == ("s-9", "u-17")
    assert (span.prompt_name, span.prompt_version) == ("support", "3")


@pytest.mark.parametrize("value", ['{"messages": [{"role": "us', '"Where is my par'])
def test_a_cut_value_is_flagged(value: str) -> None:
    """JSON cut in the middle, also where it is but a text in quotes."""
    assert read({**CHAT, "mlflow.spanInputs": value}).truncated


@given(
    odd_attributes(
        [*CHAT, "mlflow.linkedPrompts", "mlflow.trace.session", "mlflow.llm.provider"],
        {"mlflow.spanType": ['"CHAT_MODEL"', '"TOOL"', '"RETRIEVER"', '"EMBEDDING"', "", 4]},
    ),
    ODD_JSON,
)
def test_no_value_breaks_the_reader(attributes: dict[str, Any], value: str) -> None:
    """Whatever stands where text or a number belongs, a span comes out."""
    events = [("mlflow.chunk.item.0", {"mlflow.chunk.value": value})]
    raw = raw_span(attributes, events=events)
    assert "convention='mlflow'" in repr(CONVENTION.read(raw))  # which asks for all of it
    CONVENTION.read_usage(raw)


@given(ODD_JSON, ODD_JSON, ODD_JSON)
def test_no_json_breaks_the_reader(value: str, output: str, usage: str) -> None:
    """Any JSON, whole or cut, may stand where request, response or usage belong."""
    body = f'{{"choices": [{{"delta": {value}}}]}}'
    span = read(
        {
            "mlflow.spanType": '"LLM"',
            "mlflow.spanInputs": value,
            "mlflow.spanOutputs": output,
            "mlflow.chat.tokenUsage": usage,
            "mlflow.llm.cost": usage,
        },
        events=[("mlflow.chunk.item.0", {"mlflow.chunk.value": body})],
    )
    assert "convention='mlflow'" in repr(span)
