"""A provider's own request and response, as some libraries put them on the span whole.

OpenAI's chat and Responses APIs, Anthropic, Gemini, Ollama and LangChain's serialised runs are told
apart by their keys; what is none of them (an application's own JSON, plain text) is text. Like
`messages`, nothing here raises: what is not understood is left out.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .messages import content_text, read_message, read_messages
from .span import Message
from .values import dump, load

_SYSTEM_KEYS = ("system", "instructions", "system_instruction", "systemInstruction")
_CONVERSATION_KEYS = ("messages", "contents", "input", "prompt", "prompts", "question", "query")
_SURE_KEYS = frozenset({"messages", "contents", "prompt", "prompts"})
_REQUEST_KEYS = frozenset({"model", "instructions", "tools"})
_BODY_KEYS = frozenset({"content", "parts", "tool_calls", "function_call"})
_SPEAKER_KEYS = frozenset({"role", "tool_calls", "stop_reason", "additional_kwargs"})
_ITEM_TYPES = ("message", "function_call", "reasoning")
_NOTHING: tuple[Any, ...] = (None, "", "null", "undefined", [], {})
_REPR_CHARS = 4096
"""Longest Python notation that is read, a guess: its parser takes far more memory than the text."""
_REPR = re.compile(r"[{\[](?:[^\\]|\\[\\'\"abfnrtvxNuU])*+")
"""An object or list in Python's notation; escapes that Python's parser warns about are left out."""
_OBJECT = re.compile(r"<[\w.]+ object(?: [\w.<>]+)? at 0x[0-9a-fA-F]+>")
"""How Python shows an object that has no text: a stream that a library did not read."""
_JSON_START = re.compile(r'\s*(?:\[\s*)*(?:\{\s*"|\[\s*[\["])')
_ID_FIRST = re.compile(r'\{\s*"id"\s*:\s*"([^"\\]{1,256})"')
_IDS = (
    '], "id": "',  # streams: the choices come first
    '"response_id":"',  # Google GenAI
    '"response_id": "',
    '"id": "chatcmpl-',  # LangChain, among other ids: only the provider's own
    '"id":"chatcmpl-',
    '"id": "resp_',
    '"id":"resp_',
    '"id": "msg_',  # Anthropic's; an item of OpenAI's Responses has such an id too
    '"id":"msg_',
    '"raw": "ChatCompletion(id=\'',  # smolagents: a Python repr in JSON
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a response says. `finish_reason` is in the provider's own word."""

    choices: list[list[Message]]
    """The messages of each choice, first the one that counts."""
    model: str | None = None
    id: str | None = None
    finish_reason: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said: no text and no tool call in any choice."""
        return not any(_says_something(message) for choice in self.choices for message in choice)


NO_ANSWER = Answer([])


def read_input(body: Any) -> tuple[Message, ...]:
    """Read what went into a step: a request's messages, else all of it as the user's text."""
    messages = read_request(body)
    if messages or is_cut_json(body):
        return messages
    text = _all_text(body)
    return (Message("user", text),) if text else ()


def read_output(body: Any) -> Answer:
    """Read what came out of a step: a response, else all of it as text."""
    answer = read_response(body)
    if answer.choices or is_cut_json(body):
        return answer
    text = _all_text(body)
    return replace(answer, choices=[[Message("assistant", text)]] if text else [])


def _all_text(body: Any) -> str | None:
    loaded = load(body)
    if isinstance(loaded, dict) and all(value in _NOTHING for value in loaded.values()):
        return None  # a failed function's {"output": null}
    return None if _is_nothing(body) else dump(body)


def _is_nothing(value: Any) -> bool:
    return value in _NOTHING or (isinstance(value, str) and _OBJECT.fullmatch(value) is not None)


def is_cut_json(body: Any) -> bool:
    """Whether a string is JSON that ends in the middle, cut off at a length limit.

    Text may begin with a bracket too (`[1] says …`): what must follow it in JSON tells.
    """
    return (
        isinstance(body, str)
        and _JSON_START.match(body) is not None
        and body.rstrip()[-1] not in "}]"
    )


def read_request(body: Any) -> tuple[Message, ...]:
    """Read the conversation of a request, system instructions first.

    Args:
        body: The request (JSON or native), a list of messages, or the prompt alone. A decorated
            function's `{"args": [...], "kwargs": {...}}` is looked into. Other objects and JSON
            that was cut off give no message.
    """
    loaded = load(body)
    if isinstance(loaded, dict):
        return _request(loaded)
    return _conversation(loaded)


def _request(body: Mapping[str, Any]) -> tuple[Message, ...]:
    if _is_message(body):
        return _conversation([body])
    if isinstance(kwargs := body.get("kwargs"), dict) and "args" in body:
        return _decorated(body["args"], kwargs)
    messages: tuple[Message, ...] = ()
    for key in _CONVERSATION_KEYS:
        value = body.get(key)
        if value in _NOTHING:
            continue
        # In an application's own object `input` or `question` is a part of what was asked.
        if key in _SURE_KEYS or len(body) == 1 or not _REQUEST_KEYS.isdisjoint(body):
            messages = _conversation(value)
            break
    config = body.get("config")
    system = _system(body) or (_system(config) if isinstance(config, dict) else None)
    return (Message("system", system), *messages) if system and messages else messages


def _decorated(args: Any, kwargs: Mapping[str, Any]) -> tuple[Message, ...]:
    """Read the arguments of a function: named as in a request, else the first one."""
    if "args" not in kwargs and (messages := _request(kwargs)):
        return messages
    only = args[0] if isinstance(args, list) and len(args) == 1 and not kwargs else None
    if isinstance(only, dict):
        return () if "args" in only else _request(only)
    return _conversation(only)


def _system(body: Mapping[str, Any]) -> str | None:
    for key in _SYSTEM_KEYS:
        value = body.get(key)
        if isinstance(value, dict):
            value = value.get("parts") or value.get("content") or value
        if value and (text := content_text(value)):
            return text
    return None


def _conversation(value: Any, role: str = "user") -> tuple[Message, ...]:
    value = load(value)
    if isinstance(value, list) and value and isinstance(value[0], list):
        value = value[0]  # LangChain: a batch of conversations, of which a span holds one
    if isinstance(value, str):
        return () if _is_nothing(value) or is_cut_json(value) else (Message(role, value),)
    messages = read_messages(value, role) if value is not None else ()
    return tuple(message for message in messages if _says_something(message))


def _says_something(message: Message) -> bool:
    """Whether a message is more than a model's private thoughts, which are left out."""
    return bool(message.content or message.tool_calls or message.role == "tool")


def _is_message(value: Mapping[str, Any]) -> bool:
    """Whether an object is a message: an application's own may have a `role` or `content` too."""
    told = not _BODY_KEYS.isdisjoint(value) and not _SPEAKER_KEYS.isdisjoint(value)
    return told or _is_langchain(value)


def _is_langchain(value: Mapping[str, Any]) -> bool:
    return ("lc" in value and "kwargs" in value) or ("data" in value and "type" in value)


def _unwrap(item: Any) -> Any:
    """Take LangChain's `{"type": "ai", "data": {...}}` apart."""
    if isinstance(item, dict) and isinstance(data := item.get("data"), dict):
        return {"role": item.get("type"), **data}
    return item


def read_response(body: Any) -> Answer:
    """Read a response (JSON or native), a message, a list of either's parts, or text alone.

    Other objects give no choice.
    """
    loaded = load(body)
    if isinstance(loaded, dict):
        for key, reader in _RESPONSES.items():
            items = loaded.get(key)
            if isinstance(items, list) and any(isinstance(item, dict | list) for item in items):
                return reader(loaded, items)
        return _read_single(loaded)
    if isinstance(loaded, list) and all(isinstance(item, dict) for item in loaded):
        return Answer(_blocks(loaded))
    return Answer(_one_choice(loaded)) if isinstance(loaded, str) else NO_ANSWER


def _blocks(items: list[Any]) -> list[list[Message]]:
    """Read a list: messages, items of OpenAI's Responses, or the content blocks of one message."""
    first = items[0] if items else {}
    if "role" in first or first.get("type") in _ITEM_TYPES or _is_langchain(first):
        return _one_choice(items)
    return [read_message({"role": "assistant", "content": items})] if "type" in first else []


def _one_choice(value: Any) -> list[list[Message]]:
    messages = list(_conversation(value, "assistant"))
    return [messages] if messages else []


def _read_single(body: Mapping[str, Any]) -> Answer:
    """Read an answer of one message: Anthropic's, Ollama's, a bare message, LangChain's."""
    if body.get("type") in _ITEM_TYPES and "stop_reason" not in body:
        return Answer(_one_choice([body]))  # an item of OpenAI's Responses; its id is not theirs
    inner = body.get("message")
    message = _unwrap(inner if isinstance(inner, dict) else body)
    details = message.get("kwargs", message)
    details = details.get("response_metadata") if isinstance(details, dict) else None
    choices: list[list[Message]] = []
    if _is_message(message):
        choices = [read_message(message, "assistant")]
    elif len(body) == 1 and isinstance(text := next(iter(body.values())), str) and text:
        choices = [[Message("assistant", text)]]  # a function's result: {"output": "…"}
    return _answer(choices, body, details if isinstance(details, dict) else {})


def _read_choices(body: Mapping[str, Any], choices: list[Any]) -> Answer:
    found = [choice for choice in choices if isinstance(choice, dict)]
    return _answer([_choice(choice) for choice in found], body, found[0] if found else {})


def _choice(choice: Mapping[str, Any]) -> list[Message]:
    for key in ("message", "delta"):
        if isinstance(message := choice.get(key), dict):
            return read_message(message, "assistant")
    return read_message(choice.get("text"), "assistant")


def _read_candidates(body: Mapping[str, Any], candidates: list[Any]) -> Answer:
    found = [candidate for candidate in candidates if isinstance(candidate, dict)]
    choices = [read_message(candidate.get("content"), "assistant") for candidate in found]
    return _answer(choices, body, found[0] if found else {})


def _read_generations(body: Mapping[str, Any], generations: list[Any]) -> Answer:
    if isinstance(generations[0], list):
        generations = generations[0]
    found = [generation for generation in generations if isinstance(generation, dict)]
    details: dict[str, Any] = {}
    for source in (body.get("llm_output"), *_generation_details(found)):
        if isinstance(source, dict):
            details.update((key, value) for key, value in source.items() if value is not None)
    return _answer([_generation(generation) for generation in found], {}, details)


def _generation(generation: Mapping[str, Any]) -> list[Message]:
    message = _unwrap(generation.get("message"))
    return read_message(message or generation.get("text"), "assistant")


def _generation_details(found: list[dict[str, Any]]) -> list[Any]:
    if not found:
        return []
    message = _unwrap(found[0].get("message"))
    fields = message.get("kwargs", message) if isinstance(message, dict) else None
    details = fields.get("response_metadata") if isinstance(fields, dict) else None
    return [found[0].get("generation_info"), details]


def _read_items(body: Mapping[str, Any], items: list[Any]) -> Answer:
    answer = _answer(_one_choice(items), body, {})
    incomplete = body.get("incomplete_details")
    reason = _text(incomplete.get("reason")) if isinstance(incomplete, dict) else None
    if reason is None and body.get("status") == "completed":
        # The Responses API has no finish reason: what was asked for is what ended the answer.
        called = any(message.tool_calls for choice in answer.choices for message in choice)
        reason = "tool_calls" if called else "stop"
    return replace(answer, finish_reason=reason)


_RESPONSES = {
    "choices": _read_choices,
    "candidates": _read_candidates,
    "generations": _read_generations,
    "output": _read_items,
}
_MODELS = ("model", "model_version", "modelVersion", "model_name")
_RESPONSE_IDS = ("id", "response_id", "responseId")
_REASONS = ("finish_reason", "finishReason", "stop_reason", "stopReason", "done_reason")


def _answer(
    choices: list[list[Message]], body: Mapping[str, Any], details: Mapping[str, Any]
) -> Answer:
    """Collect what stands beside the messages, in the body or with the first choice."""
    return Answer(
        choices,
        _first_text(body, details, _MODELS),
        _first_text(body, details, _RESPONSE_IDS),
        _first_text(details, body, _REASONS),
    )


def _first_text(
    first: Mapping[str, Any], second: Mapping[str, Any], keys: tuple[str, ...]
) -> str | None:
    for source in (first, second):
        for key in keys:
            value = source.get(key)
            if isinstance(value, str) and value:
                return value
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def read_arguments(value: Any) -> Any:
    """Read what a tool was called with: an object, in JSON or Python's notation, else the value.

    LangChain's `{"input": …}` and a decorated function's `{"args": [...], "kwargs": {...}}` are
    taken apart.
    """
    loaded = load(value)
    if isinstance(loaded, dict) and len(loaded) == 1 and "input" in loaded:
        loaded = load(loaded["input"])
    if isinstance(loaded, dict) and "args" in loaded and "kwargs" in loaded:
        loaded = loaded["kwargs"] or loaded["args"]
    if isinstance(loaded, str) and len(loaded) <= _REPR_CHARS and _REPR.fullmatch(loaded):
        try:
            found = ast.literal_eval(loaded)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            return loaded
        loaded = found if isinstance(found, dict | list) else loaded
    return None if loaded in _NOTHING[:4] else loaded


def read_result(value: Any) -> str | None:
    """Read a tool's result: the bare value, or a LangChain message around it."""
    loaded = load(value)
    if isinstance(loaded, dict) and set(loaded) == {"output"}:
        value = loaded["output"]
        loaded = load(value)
    if isinstance(loaded, dict):
        message = loaded.get("kwargs", loaded)
        if isinstance(message, dict) and "content" in message and "tool_call_id" in message:
            return content_text(message["content"])
    return None if value == "null" else dump(value)


def find_response_id(body: str) -> str | None:
    """Find a response's id in its JSON without reading all of it; also in JSON that was cut off.

    For the hot path. Text of the answer cannot pass for it: inside JSON, quotes are escaped.
    """
    if (match := _ID_FIRST.match(body)) is not None:
        return match[1]
    for mark in _IDS:
        if (at := body.find(mark)) >= 0:
            quote = "'" if mark[-1] == "'" else '"'
            start = at + mark.rfind(quote) + 1
            end = body.find(quote, start, start + 256)
            return body[start:end] if end > start else None
    return None
