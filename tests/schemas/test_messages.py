"""Messages in each provider's and library's shape come out as one."""

import json
from typing import Any

import pytest

from schemas.messages import (
    EventLog,
    content_text,
    read_choices,
    read_documents,
    read_messages,
    read_tool_call,
    role_of,
)
from schemas.span import Message, ToolCall

CALL = ToolCall("get_order", {"id": 4711}, "c1")
ARGUMENTS = '{"id": 4711}'

CALLS: dict[str, Any] = {
    "otel": {
        "role": "assistant",
        "parts": [{"type": "tool_call", "id": "c1", "name": "get_order", "arguments": ARGUMENTS}],
    },
    "openai chat": {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "c1",
                "type": "function",
                "function": {"name": "get_order", "arguments": ARGUMENTS},
            }
        ],
    },
    "openai responses": {
        "type": "function_call",
        "id": "fc",
        "call_id": "c1",
        "name": "get_order",
        "arguments": ARGUMENTS,
    },
    "anthropic": {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "c1", "name": "get_order", "input": {"id": 4711}}],
    },
    "bedrock": {
        "role": "assistant",
        "content": [{"toolUse": {"toolUseId": "c1", "name": "get_order", "input": {"id": 4711}}}],
    },
    "gemini": {
        "role": "model",
        "parts": [{"function_call": {"id": "c1", "name": "get_order", "args": {"id": 4711}}}],
    },
    "vercel": {
        "role": "assistant",
        "content": [
            {
                "type": "tool-call",
                "toolCallId": "c1",
                "toolName": "get_order",
                "input": {"id": 4711},
            }
        ],
    },
    "langchain": {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", "AIMessageChunk"],
        "kwargs": {
            "content": [],
            "tool_calls": [{"name": "get_order", "args": {"id": 4711}, "id": "c1"}],
        },
    },
}


@pytest.mark.parametrize("message", CALLS.values(), ids=CALLS)
def test_a_tool_call_in_every_shape(message: dict[str, Any]) -> None:
    """Name, arguments as an object, and id are found under each provider's keys."""
    (read,) = read_messages(json.dumps([message]))
    if "call_id" in message:
        assert (read.tool_calls[0].name, read.tool_calls[0].arguments) == (
            "get_order",
            {"id": 4711},
        )
        assert read.role == "assistant"
    else:
        assert read == Message("assistant", None, (CALL,))


RESULTS: dict[str, Any] = {
    "otel": {"role": "tool", "parts": [{"type": "tool_call_response", "response": "shipped"}]},
    "openai chat": {"role": "tool", "tool_call_id": "c1", "content": "shipped"},
    "openai responses": {"type": "function_call_output", "call_id": "c1", "output": "shipped"},
    "anthropic": {
        "role": "user",
        "content": [
            {"type": "tool_result", "content": [{"type": "text", "text": "shipped"}]},
        ],
    },
    "bedrock": {"role": "user", "content": [{"toolResult": {"content": [{"text": "shipped"}]}}]},
    "gemini": {"role": "user", "parts": [{"function_response": {"response": "shipped"}}]},
    "vercel": {
        "role": "tool",
        "content": [{"type": "tool-result", "output": {"type": "text", "value": "shipped"}}],
    },
    "langchain": {
        "id": ["langchain", "schema", "messages", "ToolMessage"],
        "kwargs": {"content": "shipped"},
    },
    "langchain dict": {"type": "tool", "data": {"content": "shipped", "type": "tool"}},
}


@pytest.mark.parametrize("message", RESULTS.values(), ids=RESULTS)
def test_a_tools_result_in_every_shape(message: dict[str, Any]) -> None:
    """Whoever is said to have sent it, it is a message of role tool with the result's text."""
    assert read_messages([message]) == (Message("tool", "shipped"),)


def test_text_in_every_shape() -> None:
    """Strings, parts and thoughts: text is joined line by line, thoughts are left out."""
    assert content_text("a") == "a"
    assert content_text([{"type": "input_text", "text": "a"}, {"text": "b"}, "c"]) == "a\nb\nc"
    assert (
        content_text([{"type": "thinking", "thinking": "hm"}, {"text": "x", "thought": True}])
        is None
    )
    assert content_text({"type": "refusal", "refusal": "No."}) == "No."
    nothing: list[Any] = ["", None, [], {}, 3, [None]]
    assert [content_text(value) for value in nothing] == [None] * 6


def test_media_in_every_shape() -> None:
    """Media are named, never fetched or copied."""
    parts = [
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "image", "source": {"type": "base64", "data": "aaaa"}},
        {"image": {"format": "png"}},
        {"inline_data": {"mime_type": "audio/mp3", "data": "aaaa"}},
        {"type": "file", "mediaType": "video/mp4"},
        {"type": "document", "source": {}},
    ]
    assert content_text(parts) == "[image]\n[image]\n[image]\n[audio]\n[video]\n[file]"


def test_roles_are_four() -> None:
    """Names of the same role are mapped, unknown ones are the default."""
    roles = ["developer", "model", "human", "AI", "function", "critic", None, 3]
    assert [role_of(role) for role in roles] == [
        *("system", "assistant", "user", "assistant", "tool", "user", "user", "user"),
    ]


def test_plain_text_is_a_message_and_cut_json_is_none() -> None:
    """A prompt may be text alone; half a JSON list is no prompt."""
    assert read_messages("Where is 4711?") == (Message("user", "Where is 4711?"),)
    assert read_messages('[{"role": "us') == ()


def test_an_answer_in_several_messages_is_one_choice() -> None:
    """Only messages that each say why they ended are choices."""
    said = {"role": "assistant", "content": "Let me look."}
    assert len(read_choices([said, CALLS["openai responses"]])) == 1
    ended = [said | {"finish_reason": "stop"}, said | {"finish_reason": "stop"}]
    assert len(read_choices(ended)) == 2
    assert read_choices("Done.") == [[Message("assistant", "Done.")]]
    assert read_choices('[{"ro') == []


def test_a_call_told_twice_is_one() -> None:
    """LangChain holds Anthropic's calls as content block and as call."""
    message = CALLS["anthropic"] | {
        "tool_calls": [{"name": "get_order", "args": {"id": 4711}, "id": "c1"}]
    }
    assert read_messages([message])[0].tool_calls == (CALL,)


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": {"name": "get_order", "parameters": {}}},
        {"type": "function", "name": "get_order", "parameters": {}},
        {"name": "get_order", "input_schema": {}},
    ],
)
def test_a_tools_definition_is_no_message(tool: dict[str, Any]) -> None:
    """Langfuse's LangChain handler lists the tools that may be called among the messages."""
    asked = {"role": "user", "content": "Where is 4711?"}
    messages = read_messages([asked, {"role": "tool", "content": tool}])
    assert messages == (Message("user", "Where is 4711?"),)


def test_what_names_no_tool_is_no_call() -> None:
    """A call without a name cannot be judged or shown."""
    assert [read_tool_call(value) for value in ({}, {"name": 3}, None, "x")] == [None] * 4


@pytest.mark.parametrize(
    "documents",
    [
        [{"page_content": "Returns: 30 days.", "metadata": {}}],
        {"documents": [{"page_content": "Returns: 30 days."}]},
        [{"content": "Returns: 30 days.", "id": "1"}],
        [{"node": {"text_resource": {"text": "Returns: 30 days."}}, "score": 0.3}],
        ['{"node": {"text": "Returns: 30 days."}}'],
        ["Returns: 30 days."],
        {"output": [{"page_content": "Returns: 30 days."}]},
        [{"id": ["x"], "kwargs": {"page_content": "Returns: 30 days."}}],
    ],
)
def test_documents_in_every_shape(documents: Any) -> None:
    """Each library calls a document's text something else."""
    assert read_documents(documents) == ("Returns: 30 days.",)
    assert read_documents(json.dumps(documents)) == ("Returns: 30 days.",)


def test_what_is_no_document_gives_none() -> None:
    """Ids alone have no text; a text that looks like JSON is still a text."""
    assert read_documents([{"id": "1", "score": 0.2}, None, 3]) == ()
    assert read_documents(['{"a": ', '{"a": 1}']) == ('{"a": ', '{"a": 1}')
    assert read_documents("text") == read_documents(None) == ()


def test_an_event_log_that_was_cut_says_so() -> None:
    """Only a list of blocks can be seen to be cut; any text may begin with a bracket."""
    cut, whole = EventLog(), EventLog()
    cut.read("gen_ai.user.message", {"content": '[{"text": "Wh'})
    whole.read("gen_ai.user.message", {"content": "[1] says that"})
    assert (cut.cut, whole.cut) == (True, False)
