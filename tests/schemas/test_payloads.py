"""Requests and responses of providers, told apart by their keys."""

import json
from typing import Any

import pytest
from hypothesis import given
from support.odd_values import ODD_JSON

from schemas.payloads import (
    Answer,
    find_response_id,
    is_cut_json,
    read_arguments,
    read_input,
    read_output,
    read_request,
    read_response,
)
from schemas.span import Message, ToolCall

HI = (Message("system", "Be kind."), Message("user", "Hi"))


@pytest.mark.parametrize(
    "body",
    [
        [{"role": "developer", "content": "Be kind."}, {"role": "user", "content": "Hi"}],
        {"system": "Be kind.", "messages": [{"role": "user", "content": "Hi"}]},
        {"instructions": "Be kind.", "input": "Hi", "model": "m"},
        {"instructions": "Be kind.", "input": [{"role": "user", "content": "Hi"}]},
        {"system_instruction": {"parts": [{"text": "Be kind."}]}, "contents": "Hi"},
        {"system": "Be kind.", "prompt": "Hi"},
        {
            "messages": [
                [
                    {"type": "system", "data": {"content": "Be kind."}},
                    {"type": "human", "data": {"content": "Hi"}},
                ]
            ]
        },
        {
            "args": [],
            "kwargs": {"system": "Be kind.", "messages": [{"role": "user", "content": "Hi"}]},
        },
        {"args": [{"system": "Be kind.", "prompt": "Hi"}], "kwargs": {}},
        {"system": "Be kind.", "input": [{"role": "user", "content": "Hi"}], "tools": []},
    ],
)
def test_every_request_is_the_same_conversation(body: Any) -> None:
    """System instructions come first, wherever the provider has them; JSON or native."""
    assert read_request(body) == HI
    assert read_request(json.dumps(body)) == HI


@pytest.mark.parametrize(
    "body",
    [
        *("null", "", None, 7, {}, [], {"context": "c", "question": "q"}, '[{"role": "us'),
        "<openai.Stream object at 0x7f3a08c1e5d0>",
    ],
)
def test_what_is_no_request_gives_no_message(body: Any) -> None:
    """An application's own object is not taken apart: what else it holds would be lost."""
    assert read_request(body) == ()


def test_an_unknown_object_is_read_whole() -> None:
    """Its text is what was asked and answered, unchanged."""
    for body in ('{"context": "c",  "question": "q"}', '{"role": "admin", "output": "x"}'):
        assert read_input(body) == (Message("user", body),)
        assert read_output(body).choices == [[Message("assistant", body)]]
    assert read_input({"a": 1}) == (Message("user", '{"a":1}'),)


@pytest.mark.parametrize(
    "body",
    [
        '{"output": null}',
        {"output": None, "error": ""},
        "<groq.Stream object at 0x7f3a08c1e5d0>",
        "<async_generator object Client.stream at 0x7F3A>",
    ],
)
def test_what_has_no_text_is_no_answer(body: Any) -> None:
    """A failed function returned nothing, and of a stream that was not read the name is known."""
    assert read_output(body).choices == []
    assert read_input(body) == ()


def test_text_about_an_object_is_text() -> None:
    """Only the name alone is left out."""
    text = "See <groq.Stream object at 0x7f3a08c1e5d0>."
    assert read_output(text).choices == [[Message("assistant", text)]]


MESSAGE = {"role": "assistant", "content": "Hello"}
RESPONSES_CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a": 1}'}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"choices": [{"message": MESSAGE, "finish_reason": "stop"}]}, "stop"),
        ({"choices": [{"delta": MESSAGE}]}, None),
        ({"choices": [{"text": "Hello", "finish_reason": "length"}]}, "length"),
        ({"type": "message", **MESSAGE, "stop_reason": "end_turn"}, "end_turn"),
        ({"content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn"}, "end_turn"),
        ({"candidates": [{"content": {"parts": [{"text": "Hello"}]}, "finishReason": "STOP"}]},
         "STOP"),
        ({"message": MESSAGE, "done_reason": "stop"}, "stop"),
        ({"output": [{"type": "reasoning", "summary": []}, {"type": "message", **MESSAGE}],
          "status": "completed"}, "stop"),
        ({"output": [{"type": "message", **MESSAGE}], "status": "incomplete",
          "incomplete_details": {"reason": "max_output_tokens"}}, "max_output_tokens"),
        ({"generations": [[{"text": "Hello", "generation_info": {"finish_reason": "stop"}}]]},
         "stop"),
        ({"generations": [[{"message": {"type": "ai", "data": {"content": "Hello",
          "response_metadata": {"finish_reason": "stop"}}}}]]}, "stop"),
        ({"lc": 1, "id": ["langchain", "AIMessage"], "kwargs": {"content": "Hello",
          "response_metadata": {"finish_reason": "stop"}}}, "stop"),
        ([MESSAGE], None),
        ([{"type": "text", "text": "Hello"}], None),
        ({"output": "Hello"}, None),
        ("Hello", None),
    ],
)  # fmt: skip
def test_every_response_is_the_same_answer(body: Any, reason: str | None) -> None:
    """Whichever provider or framework wrote it; the reason stays in its own word."""
    answer = read_response(body)
    texts = [message.content for message in answer.choices[0] if message.content]
    assert (len(answer.choices), texts, answer.finish_reason) == (1, ["Hello"], reason)


def test_a_response_that_asks_for_a_tool_ended_for_it() -> None:
    """The Responses API has no finish reason of its own."""
    answer = read_response({"output": [RESPONSES_CALL], "status": "completed", "id": "resp_1"})
    assert answer.choices == [[Message("assistant", None, (ToolCall("f", {"a": 1}, "c"),))]]
    assert (answer.finish_reason, answer.id) == ("tool_calls", "resp_1")


def test_an_items_id_is_not_the_responses() -> None:
    """Langfuse keeps one item of a response: its text or call, but not who answered."""
    text = {"type": "message", "id": "msg_1", "status": "completed", **MESSAGE}
    assert read_response(text) == Answer([[Message("assistant", "Hello")]])
    call = Message("assistant", None, (ToolCall("f", {"a": 1}, "c"),))
    assert read_response({**RESPONSES_CALL, "id": "fc_1"}) == Answer([[call]])


@pytest.mark.parametrize("space", ["", " "])
def test_a_responses_id_is_told_from_its_items(space: str) -> None:
    """LangChain writes the items of OpenAI's Responses before the response's own id."""
    items = f'"content":{space}[{{"id":{space}"msg_1"}}]'
    assert find_response_id(f'{{{items},"meta":{{"id":{space}"resp_1"}}}}') == "resp_1"
    assert find_response_id(f'{{"meta":{{"id":{space}"msg_1"}}}}') == "msg_1"


def test_model_and_id_of_a_langchain_run_are_the_providers() -> None:
    """The run's own id is none of the provider's."""
    fields = {"content": "x", "id": "lc_run--1", "response_metadata": {"id": "msg_1"}}
    message = {"lc": 1, "id": ["AIMessage"], "kwargs": fields}
    body = {"generations": [[{"message": message}]], "llm_output": {"model_name": "m-1"}}
    answer = read_response(body)
    assert (answer.model, answer.id) == ("m-1", "msg_1")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": "b', True),
        ('[{"role": "u', True),
        ('["a", "b', True),
        ('{"a": "b"}', False),
        ("[1] says so", False),
        ("[image]: a parcel", False),
        ("{city} is nice", False),
        ("{'a': 1", False),
        ("", False),
        (None, False),
    ],
)
def test_json_cut_in_the_middle_is_told_from_text(text: Any, expected: bool) -> None:
    """Brackets begin text too; what follows them in JSON tells."""
    assert is_cut_json(text) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ("{'a': True, 'b': [None]}", {"a": True, "b": [None]}),
        ("{'a', 'b'}", "{'a', 'b'}"),
        ("{'a': f()}", "{'a': f()}"),
        ("{'path': '\\d'}", "{'path': '\\d'}"),
        ("{'a': '" + "x" * 5000 + "'}", "{'a': '" + "x" * 5000 + "'}"),
        ("plain", "plain"),
        ('{"args": ["Bern"], "kwargs": {}}', ["Bern"]),
        ("null", None),
    ],
)
def test_arguments_are_an_object_where_they_can_be(value: Any, expected: Any) -> None:
    """Python's notation is parsed, never run, and only where it is short and plain."""
    assert read_arguments(value) == expected


@pytest.mark.parametrize("kind", ["{}", "[]", "1", "null"])
def test_a_type_that_is_no_text_is_none(kind: str) -> None:
    """A message of no known type is still a message."""
    assert read_input(f'[{{"type": {kind}, "content": "Hi"}}]') == (Message("user", "Hi"),)


@given(ODD_JSON)
def test_nothing_raises(body: str) -> None:
    """Any JSON in any shape is read or left out."""
    read_input(body)
    read_output(body)
    read_arguments(body)
    find_response_id(body)
