"""LangSmith's exporter: runs of LangChain, of wrapped clients and of traced functions."""

import json
from typing import Any

import pytest
from hypothesis import given
from support.captures import raw_span
from support.odd_values import ODD_JSON, odd_attributes

from schemas.conventions.langsmith import CONVENTION
from schemas.span import Message, Span, SpanKind, ToolCall


def langchain(name: str, **kwargs: Any) -> dict[str, Any]:
    """Make a message as LangChain serialises it."""
    path = ["langchain", "schema", "messages", name]
    return {"lc": 1, "type": "constructor", "id": path, "kwargs": kwargs}


CALL = {"name": "get_weather", "args": {"city": "Zürich"}, "id": "call_1", "type": "tool_call"}
LLM = {
    "langsmith.span.kind": "llm",
    "langsmith.trace.name": "ChatOpenAI",
    "langsmith.trace.session_name": "default",
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "langchain",
    "langsmith.metadata.ls_provider": "openai",
    "langsmith.metadata.ls_model_name": "gpt-4o",
    "langsmith.metadata.session_id": "s-9",
    "langsmith.metadata.user_id": "u-17",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.prompt": json.dumps(
        {
            "messages": [
                [
                    langchain("SystemMessage", content="Use tools."),
                    langchain("HumanMessage", content="Weather in Zürich?"),
                ]
            ]
        }
    ),
    "gen_ai.completion": json.dumps(
        {
            "generations": [
                [
                    {
                        "text": "",
                        "generation_info": {"finish_reason": "tool_calls"},
                        "message": langchain("AIMessage", content="", tool_calls=[CALL]),
                    }
                ]
            ],
            "llm_output": None,
        }
    ),
    "gen_ai.usage.input_tokens": 34,
    "gen_ai.usage.output_tokens": 12,
    "gen_ai.usage.input_token_details": "{'audio': 0, 'cache_read': 8, 'cache_creation': 3}",
    "gen_ai.usage.output_token_details": "{'audio': 0, 'reasoning': 5}",
    "gen_ai.response.model": "gpt-4o-2026-08-01",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.response.finish_reasons": ["tool_calls"],
}


def read(attributes: dict[str, Any], **more: Any) -> Span:
    """Read a span with these attributes."""
    return CONVENTION.read(raw_span(attributes, scope="langsmith", **more))


def test_a_langchain_call_is_read_whole() -> None:
    """Serialised messages, Python's notation of token details, metadata: all is found."""
    span = read(LLM)
    assert (span.kind, span.convention, span.operation) == (SpanKind.LLM, "langsmith", "llm")
    assert span.messages_in == (
        Message("system", "Use tools."),
        Message("user", "Weather in Zürich?"),
    )
    assert span.output_text is None
    assert span.tool_calls == (ToolCall("get_weather", {"city": "Zürich"}, "call_1"),)
    assert (span.provider, span.request_model) == ("openai", "gpt-4o")
    assert (span.response_model, span.response_id) == ("gpt-4o-2026-08-01", "chatcmpl-1")
    assert (span.input_tokens, span.output_tokens) == (34, 12)
    assert (span.cached_input_tokens, span.cache_creation_input_tokens) == (8, 3)
    assert (span.reasoning_tokens, span.finish_reason) == (5, "tool_calls")
    assert (span.session_id, span.user_id) == ("s-9", "u-17")


def test_usage_is_that_of_the_whole_span() -> None:
    """Cost attribution reads the same numbers without the content."""
    kept = {key: value for key, value in LLM.items() if key in CONVENTION.usage_keys}
    usage = CONVENTION.read_usage(raw_span(kept))
    assert usage is not None
    assert (usage.provider, usage.request_model, usage.response_id) == (
        "openai",
        "gpt-4o",
        "chatcmpl-1",
    )
    assert (usage.input_tokens, usage.cached_input_tokens, usage.reasoning_tokens) == (34, 8, 5)


def test_the_json_twin_of_token_details_is_read_first() -> None:
    """`usage_metadata` has the details as JSON, and sometimes the cost."""
    usage = {
        "input_token_details": {"cache_read": 16},
        "output_token_details": {"reasoning": 1},
        "total_cost": 0.0021,
    }
    span = read({**LLM, "langsmith.metadata.usage_metadata": json.dumps(usage)})
    assert (span.cached_input_tokens, span.reasoning_tokens) == (16, 1)
    assert span.cost_usd == 0.0021


@pytest.mark.parametrize(
    ("kind", "operation", "expected"),
    [
        ("llm", "chat", SpanKind.LLM),
        ("prompt", "chat", SpanKind.CHAIN),
        ("chain", "chain", SpanKind.CHAIN),
        ("parser", "chat", SpanKind.CHAIN),
        ("retriever", "embeddings", SpanKind.RETRIEVER),
        ("embedding", "embeddings", SpanKind.EMBEDDING),
        ("tool", "execute_tool", SpanKind.TOOL),
    ],
)
def test_kind_is_never_the_operations(kind: str, operation: str, expected: SpanKind) -> None:
    """`gen_ai.operation.name` calls a prompt template a chat: such a span is no call."""
    raw = raw_span({**LLM, "langsmith.span.kind": kind, "gen_ai.operation.name": operation})
    assert CONVENTION.read(raw).kind is expected
    assert (CONVENTION.read_usage(raw) is not None) == (expected is SpanKind.LLM)


def test_a_wrapped_clients_request_and_response_are_read() -> None:
    """`wrap_openai` records the provider's own JSON."""
    request = {
        "model": "gpt-4o",
        "messages": [
            {"role": "developer", "content": "Be brief."},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
        ],
    }
    response = {
        "id": "chatcmpl-2",
        "choices": [
            {"finish_reason": "length", "message": {"role": "assistant", "content": "A"}},
            {"finish_reason": "stop", "message": {"role": "assistant", "content": "B"}},
        ],
    }
    span = read(
        {
            "langsmith.span.kind": "llm",
            "gen_ai.system": "openai",
            "gen_ai.prompt": json.dumps(request),
            "gen_ai.completion": json.dumps(response),
        }
    )
    assert span.messages_in == (Message("system", "Be brief."), Message("user", "[image]"))
    assert (span.output_text, span.other_choices) == ("A", ("B",))
    assert (span.finish_reason, span.provider) == ("length", "openai")


def test_an_anthropic_request_and_response_are_read() -> None:
    """`wrap_anthropic`: instructions beside the messages, tools in content blocks."""
    request = {
        "system": [{"type": "text", "text": "Use tools."}],
        "messages": [
            {"role": "user", "content": "Weather?"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t1", "name": "w", "input": {"c": "Bern"}}],
            },
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "18 degrees"}],
            },
        ],
    }
    response = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "It is 18."}],
        "stop_reason": "end_turn",
    }
    attributes = {
        "langsmith.span.kind": "llm",
        "gen_ai.prompt": json.dumps(request),
        "gen_ai.completion": json.dumps(response),
    }
    span = read(attributes)
    assert span.messages_in == (
        Message("system", "Use tools."),
        Message("user", "Weather?"),
        Message("assistant", None, (ToolCall("w", {"c": "Bern"}, "t1"),)),
        Message("tool", "18 degrees"),
    )
    assert (span.output_text, span.finish_reason) == ("It is 18.", "stop")


def test_a_traced_function_is_read_as_text() -> None:
    """`@traceable` records arguments and result by name."""
    attributes = {
        "langsmith.span.kind": "llm",
        "gen_ai.prompt": '{"question": "Why?"}',
        "gen_ai.completion": '{"output": "Because."}',
    }
    span = read(attributes)
    assert span.messages_in == (Message("user", "Why?"),)
    assert span.output_text == "Because."


@pytest.mark.parametrize("key", ["session_id", "thread_id", "conversation_id"])
def test_each_name_of_a_session_is_read(key: str) -> None:
    """LangSmith groups threads by any of three keys; its `session_name` is a project's name."""
    attributes = {
        "langsmith.span.kind": "chain",
        "langsmith.trace.session_name": "my-project",
        f"langsmith.metadata.{key}": "s-1",
    }
    assert read(attributes).session_id == "s-1"


def test_the_prompt_of_the_hub_is_named() -> None:
    """A prompt pulled from the hub leaves its repository and commit."""
    hub = {"lc_hub_repo": "support", "lc_hub_commit_hash": "a1b2c3"}
    span = read({**LLM, **{f"langsmith.metadata.{key}": value for key, value in hub.items()}})
    assert (span.prompt_name, span.prompt_version) == ("support", "a1b2c3")


def test_documents_of_a_retriever() -> None:
    """Documents stand in the run's output."""
    documents = [
        {"page_content": "24 months.", "metadata": {"source": "a"}, "type": "Document"},
        {"page_content": "Returns: 30 days.", "metadata": {}, "type": "Document"},
    ]
    span = read(
        {
            "langsmith.span.kind": "retriever",
            "gen_ai.operation.name": "embeddings",
            "gen_ai.prompt": '{"query": "warranty?"}',
            "gen_ai.completion": json.dumps({"documents": documents}),
        }
    )
    assert span.documents == ("24 months.", "Returns: 30 days.")
    assert span.messages_in == (Message("user", "warranty?"),)


@pytest.mark.parametrize(
    ("value", "arguments"),
    [
        ("{\"input\": \"{'city': 'Zürich', 'days': 2}\"}", {"city": "Zürich", "days": 2}),
        ('{"city": "Zürich"}', {"city": "Zürich"}),
        ('{"input": "Zürich"}', "Zürich"),
        ("{\"input\": \"{'a': __import__('os').getcwd()}\"}", "{'a': __import__('os').getcwd()}"),
        ("{\"input\": \"{'a': '\\\\d'}\"}", "{'a': '\\d'}"),
        (json.dumps({"input": "{" + "[" * 4000}), "{" + "[" * 4000),
        (None, None),
    ],
)
def test_arguments_of_a_tool(value: Any, arguments: Any) -> None:
    """LangChain writes a tool's arguments in Python's notation, which is read but never run."""
    span = read({"langsmith.span.kind": "tool", "gen_ai.tool.name": "w", "gen_ai.prompt": value})
    assert (span.tool_name, span.tool_arguments) == ("w", arguments)


@pytest.mark.parametrize(
    "value",
    [
        '{"output": "18 degrees"}',
        json.dumps({"output": langchain("ToolMessage", content="18 degrees", tool_call_id="1")}),
        json.dumps({"output": {"content": "18 degrees", "tool_call_id": "1", "type": "tool"}}),
        "18 degrees",
    ],
)
def test_result_of_a_tool(value: str) -> None:
    """The bare result, or LangChain's message around it."""
    span = read({"langsmith.span.kind": "tool", "gen_ai.completion": value}, name="w")
    assert (span.tool_name, span.tool_result) == ("w", "18 degrees")


def test_an_error_has_no_answer() -> None:
    """The exception event names the error; nothing is made up for the answer."""
    attributes = {key: value for key, value in LLM.items() if not key.startswith("gen_ai.comp")}
    event = ("exception", {"exception.type": "RateLimitError"})
    span = read(attributes, status_code=2, events=[event])
    assert (span.error, span.error_type, span.output_text) == (True, "RateLimitError", None)


def test_a_run_that_failed_is_in_error_whatever_its_status() -> None:
    """A run that takes long is exported in two steps, and called fine in the first."""
    event = ("exception", {"exception.type": "Exception"})
    span = read(LLM | {"gen_ai.completion": '{"output":null}'}, events=[event], status_code=1)
    assert (span.error, span.error_type, span.output_text) == (True, "Exception", None)
    assert not read(LLM, status_code=1).error


def test_cut_json_is_flagged() -> None:
    """Half a document is not judged."""
    span = read({**LLM, "gen_ai.completion": '{"generations": [[{"text": "It is'})
    assert (span.truncated, span.output_text) == (True, None)


@given(
    odd_attributes(
        [*LLM, "langsmith.metadata.usage_metadata", "gen_ai.tool.name"],
        {"langsmith.span.kind": ["llm", "tool", "retriever", "chain", "embedding", 1]},
    )
)
def test_no_value_breaks_the_reader(attributes: dict[str, Any]) -> None:
    """Whatever stands where text or a number belongs, a span comes out."""
    raw = raw_span(attributes)
    assert "convention='langsmith'" in repr(CONVENTION.read(raw))  # which asks for all of it
    CONVENTION.read_usage(raw)


@given(ODD_JSON, ODD_JSON)
def test_no_json_breaks_the_reader(value: str, output: str) -> None:
    """Any JSON, whole or cut, may stand where a run's input and output belong."""
    for kind in ("llm", "tool", "retriever"):
        found = {"langsmith.span.kind": kind, "gen_ai.prompt": value, "gen_ai.completion": output}
        assert "convention='langsmith'" in repr(read(found))
