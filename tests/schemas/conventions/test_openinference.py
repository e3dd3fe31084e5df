"""OpenInference: indexed messages, the model that was asked and the one that answered, documents.

The captures of its libraries are read in `test_captures.py`; here is what they do not show.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from support.captures import raw_span
from support.odd_values import ODD_JSON, odd_attributes

from schemas.conventions.openinference import CONVENTION
from schemas.span import Message, Span, SpanKind, ToolCall

CHAT = {
    "openinference.span.kind": "LLM",
    "llm.system": "openai",
    "llm.invocation_parameters": '{"model": "gpt-4o", "temperature": 0.2}',
    "llm.model_name": "gpt-4o-2026-08-01",
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be brief.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.content": "Where is my parcel?",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "In Bern.",
    "llm.token_count.prompt": 34,
    "llm.token_count.completion": 21,
    "llm.token_count.prompt_details.cache_read": 8,
    "llm.token_count.prompt_details.cache_write": 3,
    "llm.token_count.completion_details.reasoning": 5,
    "output.value": '{"id":"chatcmpl-1","choices":[]}',
    "output.mime_type": "application/json",
    "llm.finish_reason": "stop",
}


def read(attributes: dict[str, Any], **more: Any) -> Span:
    """Read a span with these attributes."""
    return CONVENTION.read(raw_span(attributes, **more))


def test_a_chat_call_is_read_whole() -> None:
    """Every field of a call has its key."""
    span = read(CHAT)
    assert (span.kind, span.convention, span.operation) == (SpanKind.LLM, "openinference", "LLM")
    assert (span.provider, span.request_model) == ("openai", "gpt-4o")
    assert (span.response_model, span.response_id) == ("gpt-4o-2026-08-01", "chatcmpl-1")
    assert (span.input_tokens, span.output_tokens, span.reasoning_tokens) == (34, 21, 5)
    assert (span.cached_input_tokens, span.cache_creation_input_tokens) == (8, 3)
    assert span.messages_in == (
        Message("system", "Be brief."),
        Message("user", "Where is my parcel?"),
    )
    assert (span.output_text, span.finish_reason, span.truncated) == ("In Bern.", "stop", False)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("LLM", SpanKind.LLM),
        ("llm", SpanKind.LLM),
        ("AGENT", SpanKind.AGENT),
        ("TOOL", SpanKind.TOOL),
        ("RETRIEVER", SpanKind.RETRIEVER),
        ("EMBEDDING", SpanKind.EMBEDDING),
        ("CHAIN", SpanKind.CHAIN),
        ("RERANKER", SpanKind.CHAIN),
        ("GUARDRAIL", SpanKind.CHAIN),
        ("EVALUATOR", SpanKind.CHAIN),
        ("PROMPT", SpanKind.CHAIN),
        (None, SpanKind.CHAIN),
    ],
)
def test_kind_is_what_the_library_says(kind: str | None, expected: SpanKind) -> None:
    """Each span kind of the specification has one of ours."""
    assert read({"openinference.span.kind": kind}).kind is expected


def test_a_request_that_is_only_prepared_is_no_call() -> None:
    """LlamaIndex gives the assembly of a request kind LLM; it must not be judged nor priced."""
    raw = raw_span(CHAT, name="OpenAI._prepare_chat_with_tools")
    assert CONVENTION.read(raw).kind is SpanKind.CHAIN
    assert CONVENTION.read_usage(raw) is None


def test_messages_come_in_the_order_of_their_numbers() -> None:
    """Ten comes after nine, and the order of attributes means nothing."""
    numbers = [10, 2, 0, 9, 1]
    attributes = {f"llm.input_messages.{n}.message.content": f"m{n}" for n in numbers}
    span = read({"openinference.span.kind": "LLM", **attributes})
    assert [message.content for message in span.messages_in] == ["m0", "m1", "m2", "m9", "m10"]


@pytest.mark.parametrize("index", ["x", "", "-1", "²", "9" * 5000])
def test_an_index_that_is_no_number_is_left_out(index: str) -> None:
    """A malformed key costs its own message alone."""
    span = read({**CHAT, f"llm.input_messages.{index}.message.content": "odd"})
    assert len(span.messages_in) == 2


def test_roles_are_mapped_to_ours() -> None:
    """OpenAI's developer, Google's model and smolagents' own roles have one of the four."""
    roles = ["developer", "model", "tool-call", "tool-response", "tool"]
    attributes: dict[str, Any] = {"openinference.span.kind": "LLM"}
    for number, role in enumerate(roles):
        attributes[f"llm.input_messages.{number}.message.role"] = role
        attributes[f"llm.input_messages.{number}.message.content"] = role
    found = [message.role for message in read(attributes).messages_in]
    assert found == ["system", "assistant", "assistant", "user", "tool"]


def test_parts_are_joined_and_images_are_named() -> None:
    """Text parts are joined; an image stands as a placeholder and its address appears nowhere."""
    part = "llm.input_messages.0.message.contents."
    span = read(
        {
            "openinference.span.kind": "LLM",
            "llm.input_messages.0.message.role": "user",
            part + "0.message_content.type": "text",
            part + "0.message_content.text": "Is it broken?",
            part + "1.message_content.type": "image",
            part + "1.message_content.image.image.url": "http://169.254.169.254/receipt.png",
            part + "2.message_content.image.image.url": "data:image/png;base64,iVBORw0",
        }
    )
    assert span.messages_in == (Message("user", "Is it broken?\n[image]\n[image]"),)


def test_tool_calls_have_arguments_as_objects() -> None:
    """Arguments that are JSON become objects; Anthropic's second copy of a call is not counted."""
    calls = "llm.output_messages.0.message.tool_calls."
    copy = "llm.output_messages.0.message.contents.0."
    span = read(
        {
            "openinference.span.kind": "LLM",
            calls + "0.tool_call.id": "toolu_1",
            calls + "0.tool_call.function.name": "get_weather",
            calls + "0.tool_call.function.arguments": '{"city": "Zürich"}',
            calls + "1.tool_call.function.name": "now",
            copy + "message_content.type": "tool_use",
            copy + "tool_call.id": "toolu_1",
            copy + "tool_call.function.name": "get_weather",
            copy + "tool_call.function.arguments": '{"city": "Zürich"}',
        }
    )
    assert span.tool_calls == (
        ToolCall("get_weather", {"city": "Zürich"}, "toolu_1"),
        ToolCall("now", None),
    )
    assert span.output_text is None


def test_a_tool_call_without_its_message_is_found() -> None:
    """Google GenAI's automatic function calling leaves the message's prefix out."""
    span = read(
        {
            **CHAT,
            "message.tool_calls.0.tool_call.function.name": "get_weather",
            "message.tool_calls.0.tool_call.function.arguments": '{"city": "Bern"}',
        }
    )
    assert span.tool_calls == (ToolCall("get_weather", {"city": "Bern"}),)
    assert span.output_text == "In Bern."


def test_several_messages_are_choices_only_where_several_were_asked_for() -> None:
    """A second output message is another choice, or another item of one answer."""
    second = {
        "llm.output_messages.1.message.role": "assistant",
        "llm.output_messages.1.message.content": "Or in Chur.",
    }
    one = read({**CHAT, **second})
    assert (one.output_text, one.other_choices) == ("In Bern.\nOr in Chur.", ())
    asked = {"llm.invocation_parameters": '{"model": "gpt-4o", "n": 2}'}
    two = read({**CHAT, **second, **asked})
    assert (two.output_text, two.other_choices) == ("In Bern.", ("Or in Chur.",))


def test_a_models_thoughts_are_no_part_of_the_answer() -> None:
    """A message that holds reasoning alone is left out."""
    thought = "llm.output_messages.0.message.contents.0.message_content."
    span = read(
        {
            "openinference.span.kind": "LLM",
            thought + "type": "reasoning",
            thought + "text": "The user wants a short answer.",
            "llm.output_messages.1.message.content": "Thursday.",
        }
    )
    assert span.output_text == "Thursday."


def test_what_was_hidden_is_no_content() -> None:
    """`__REDACTED__` is not judged; the setting that shows the text is named instead."""
    span = read(
        {
            "openinference.span.kind": "LLM",
            "input.value": "__REDACTED__",
            "output.value": "__REDACTED__",
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "__REDACTED__",
        }
    )
    assert not span.has_content
    assert "OPENINFERENCE_HIDE_INPUTS" in (span.content_setting or "")


@pytest.mark.parametrize(
    ("attributes", "asked", "answered"),
    [
        ({"llm.model_name": "gpt-4o"}, "gpt-4o", None),  # DSPy: the name in the settings
        (
            {"llm.model_name": "gemini-3", "output.value": '{"model_version":"gemini-3"}'},
            None,
            "gemini-3",
        ),
        (
            {"llm.model_name": "m-1", "output.value": "ChatMessage(_meta={'model': 'm-1'})"},
            None,
            "m-1",
        ),
        (
            {"llm.model_name": "m", "llm.invocation_parameters": '{"num": 1, "model_name": "m"}'},
            "m",
            None,
        ),
        ({"llm.request.model_name": "a", "llm.response.model_name": "b"}, "a", "b"),
    ],
)
def test_the_model_asked_is_told_from_the_one_that_answered(
    attributes: dict[str, Any], asked: str | None, answered: str | None
) -> None:
    """`llm.model_name` is one or the other, and the response is the proof."""
    span = read({"openinference.span.kind": "LLM", **attributes})
    assert (span.request_model, span.response_model) == (asked, answered)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ('{"id":"msg_01","content":[]}', "msg_01"),
        ('{ "id": "resp_1", "output": []}', "resp_1"),
        ('{"choices": [{"message": {"content": "hi"}}], "id": "cmpl-7", "created": 1}', "cmpl-7"),
        ('{"candidates": [], "response_id": "g-1"}', "g-1"),
        ('{"candidates":[],"response_id":"g-2"}', "g-2"),
        ('{"generations": [[{"id": "lc_run--1", "m": {"id": "chatcmpl-3"}}]]}', "chatcmpl-3"),
        ('{"content": null, "raw": "ChatCompletion(id=\'chatcmpl-4\', choices=[])"}', "chatcmpl-4"),
        (json.dumps({"content": 'say "id": "chatcmpl-9" please'}), None),
        ('{"id":"chatcmpl-cut","choices":[{"mess', "chatcmpl-cut"),
        ("plain text", None),
        ("", None),
    ],
)
def test_response_id_is_found_in_the_output(output: str, expected: str | None) -> None:
    """Each library's spelling of the response has the id; the answer's text cannot forge it."""
    attributes = {"openinference.span.kind": "LLM", "output.value": output}
    assert read(attributes).response_id == expected
    usage = CONVENTION.read_usage(raw_span(attributes))
    assert usage is not None
    assert usage.response_id == expected


def test_finish_reason_is_taken_from_the_response_where_it_has_no_key() -> None:
    """Older versions write no `llm.finish_reason`."""
    attributes = {k: v for k, v in CHAT.items() if k != "llm.finish_reason"}
    attributes["output.value"] = '{"id":"m","stop_reason":"max_tokens","role":"assistant"}'
    assert read(attributes).finish_reason == "length"


def test_a_call_without_messages_is_read_from_input_and_output() -> None:
    """A completion's prompt and text stand in for messages, as does a provider's whole request."""
    completion = {"openinference.span.kind": "LLM", "llm.prompts": ["Complete: a b"]}
    span = read({**completion, "output.value": "c"})
    assert span.messages_in == (Message("user", "Complete: a b"),)
    assert span.output_text == "c"
    request = json.dumps(
        {"model": "m", "system": "Be kind.", "messages": [{"role": "user", "content": "Hi"}]}
    )
    whole = read({"openinference.span.kind": "LLM", "input.value": request})
    assert whole.messages_in == (Message("system", "Be kind."), Message("user", "Hi"))


def test_an_answer_with_a_role_alone_is_read_from_the_output() -> None:
    """Portkey's instrumentation leaves the tool calls in the response."""
    call = {"id": "c", "function": {"name": "get", "arguments": '{"id": 1}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    span = read(
        {
            "openinference.span.kind": "LLM",
            "llm.output_messages.0.message.role": "assistant",
            "llm.finish_reason": "tool_calls",
            "output.value": json.dumps({"id": "x", "choices": [{"message": message}]}),
        }
    )
    assert span.tool_calls == (ToolCall("get", {"id": 1}, "c"),)


def test_a_template_is_not_taken_for_the_prompt() -> None:
    """LlamaIndex's `predict` has the template's repr as input; the call below has the messages."""
    span = read(
        {
            "openinference.span.kind": "LLM",
            "input.value": '{"prompt": "PromptTemplate(metadata={})"}',
            "llm.prompt_template.template": "Answer: {q}",
            "llm.prompt_template.version": 3,
            "output.value": "Yes.",
        }
    )
    assert span.messages_in == ()
    assert (span.output_text, span.prompt_version) == ("Yes.", "3")


@pytest.mark.parametrize("key", ["input", "output"])
def test_json_that_ends_in_the_middle_is_flagged(key: str) -> None:
    """A length limit leaves no other trace; text that begins with a bracket is no JSON."""
    cut = {key + ".value": '{"messages": [{"role": "us', key + ".mime_type": "application/json"}
    assert read({**CHAT, **cut}).truncated
    assert not read({**CHAT, key + ".value": "[1] says so"}).truncated


def test_session_user_and_cost_are_read() -> None:
    """Who, in which session, and what it cost, as the producer gave it."""
    span = read(
        {
            **CHAT,
            "session.id": "s-9",
            "metadata": '{"user_id": "u-17"}',
            "llm.cost.prompt": 0.5,
            "llm.cost.completion": 0.25,
        }
    )
    assert (span.session_id, span.user_id, span.cost_usd) == ("s-9", "u-17", 0.75)
    assert read({**CHAT, "llm.cost.total": 2.0, "user.id": "u-1"}).cost_usd == 2.0


def test_documents_of_a_retriever_are_in_order() -> None:
    """Ids, scores and metadata are left; texts are kept in their order."""
    documents = "retrieval.documents."
    span = read(
        {
            "openinference.span.kind": "RETRIEVER",
            "input.value": "warranty?",
            documents + "1.document.content": "Returns: 30 days.",
            documents + "0.document.content": "24 months.",
            documents + "0.document.score": 0.9,
            documents + "2.document.id": "p-3",
        }
    )
    assert span.documents == ("24 months.", "Returns: 30 days.")
    assert span.messages_in == (Message("user", "warranty?"),)


@pytest.mark.parametrize(
    ("value", "arguments"),
    [
        ('{"city": "Bern"}', {"city": "Bern"}),
        (
            '{"args": [], "sanitize_inputs_outputs": true, "kwargs": {"city": "Bern"}}',
            {"city": "Bern"},
        ),
        ("{'city': 'Bern', 'days': None}", {"city": "Bern", "days": None}),
        ("Bern", "Bern"),
        ("{'city': __import__('os')}", "{'city': __import__('os')}"),
        ("__REDACTED__", None),
        (None, None),
    ],
)
def test_arguments_of_a_tool_are_an_object_where_they_can_be(value: Any, arguments: Any) -> None:
    """JSON, a wrapped function's arguments and Python's notation are read; code is never run."""
    span = read({"openinference.span.kind": "TOOL", "tool.name": "t", "input.value": value})
    assert (span.tool_name, span.tool_arguments) == ("t", arguments)


def test_a_tools_result_is_unwrapped() -> None:
    """LangChain puts a whole message where the result belongs."""
    result = json.dumps(
        {"type": "tool", "data": {"content": '{"temp_c": 18}', "tool_call_id": "1"}}
    )
    span = read({"openinference.span.kind": "TOOL", "output.value": result})
    assert span.tool_result == '{"temp_c": 18}'


def test_an_agents_task_and_answer_are_read() -> None:
    """An agent's span says what it was asked and what it answered, but has no tokens of its own."""
    value = json.dumps({"messages": [{"role": "user", "content": "Compare."}]})
    span = read(
        {
            "openinference.span.kind": "AGENT",
            "input.value": value,
            "output.value": "Both are fine.",
            "llm.token_count.prompt": 1678,
        }
    )
    assert span.messages_in == (Message("user", "Compare."),)
    assert (span.output_text, span.input_tokens) == ("Both are fine.", None)


def test_a_translation_is_completed_from_what_was_translated() -> None:
    """A span processor leaves the library's attributes, which say more than it took over."""
    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.response.id": "chatcmpl-9",
        "gen_ai.usage.input_tokens": 1,
        "gen_ai.usage.reasoning_tokens": 2,
        "gen_ai.input.messages": json.dumps(
            [{"role": "tool", "parts": [{"type": "tool_call_response", "response": text}]}
             for text in "ab"]
        ),
    }  # fmt: skip
    translated = {
        "openinference.span.kind": "LLM",
        "llm.token_count.prompt": 34,
        "llm.input_messages.0.message.role": "tool",
        "llm.input_messages.0.message.content": "a b",
    }
    span = read(translated | said)
    assert (span.response_id, span.input_tokens, span.reasoning_tokens) == ("chatcmpl-9", 34, 2)
    assert span.messages_in == (Message("tool", "a"), Message("tool", "b"))


def test_an_error_names_its_exception() -> None:
    """The exception event says what went wrong."""
    event = ("exception", {"exception.type": "openai.RateLimitError"})
    span = read(CHAT, status_code=2, events=[event])
    assert (span.error, span.error_type) == (True, "openai.RateLimitError")


@given(
    odd_attributes(
        [
            *CHAT,
            "input.value",
            "input.mime_type",
            "metadata",
            "llm.cost.total",
            "llm.prompts",
            "llm.input_messages.0.message.contents.0.message_content.text",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments",
            "retrieval.documents.0.document.content",
            "tool.name",
            "llm.prompts.0.prompt.text",
        ],
        {"openinference.span.kind": ["LLM", "TOOL", "RETRIEVER", "AGENT", "EMBEDDING"]},
    )
)
def test_no_value_breaks_the_reader(attributes: dict[str, Any]) -> None:
    """Whatever stands where text or a number belongs, a span comes out."""
    raw = raw_span(attributes)
    assert "convention='openinference'" in repr(CONVENTION.read(raw))  # which asks for all of it
    CONVENTION.read_usage(raw)


@given(ODD_JSON, ODD_JSON)
def test_no_json_breaks_the_reader(value: str, output: str) -> None:
    """Any JSON, whole or cut, may stand where a request or response belongs."""
    for kind in ("LLM", "TOOL", "RETRIEVER", "CHAIN"):
        found = {"openinference.span.kind": kind, "input.value": value, "output.value": output}
        assert "convention='openinference'" in repr(read(found))
