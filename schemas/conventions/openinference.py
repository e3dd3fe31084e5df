"""OpenInference: `openinference.span.kind`, with messages and documents spread over indexed keys.

Read from the specification (github.com/Arize-ai/openinference, `spec/semantic_conventions.md`) and
from what its instrumentations of OpenAI, Anthropic, Google GenAI, LangChain, LlamaIndex, Haystack,
DSPy, CrewAI, smolagents and others send. Its processor for Pydantic AI adds these attributes to the
GenAI ones that are on the span.
"""

import re
from collections.abc import Mapping
from typing import Any

from schemas.payloads import (
    NO_ANSWER,
    Answer,
    find_response_id,
    is_cut_json,
    read_arguments,
    read_input,
    read_request,
    read_response,
)
from schemas.span import Message, RawSpan, Span, SpanKind, ToolCall, Usage

from .fields import (
    GEN_AI_USAGE_KEYS,
    Convention,
    answer_fields,
    common,
    content_text,
    dump,
    finish_reason,
    first_label,
    float_or_none,
    gen_ai_call,
    indexed,
    int_or_none,
    label,
    load,
    object_or_value,
    provider_name,
    read_messages,
    role_of,
    usage_of,
)

NAME = "openinference"
_KIND = "openinference.span.kind"
_KINDS = {
    "LLM": SpanKind.LLM,
    "AGENT": SpanKind.AGENT,
    "TOOL": SpanKind.TOOL,
    "RETRIEVER": SpanKind.RETRIEVER,
    "EMBEDDING": SpanKind.EMBEDDING,
}
_INPUT, _OUTPUT = "llm.input_messages", "llm.output_messages"
_BARE_CALLS = "message.tool_calls."
"""Google GenAI's automatic function calling writes the tool call without the message's prefix."""
_HIDDEN = "__REDACTED__"
_ROLES = {"tool-call": "assistant"}  # smolagents; its `tool-response` is sent as the user's
_COSTS = frozenset({"llm.cost.total", "llm.cost.prompt", "llm.cost.completion"})
_MODEL_FIRST = re.compile(r'\{\s*"model"\s*:\s*"([^"\\]{1,256})"')
_SETTING = "OPENINFERENCE_HIDE_INPUTS=false and OPENINFERENCE_HIDE_OUTPUTS=false"


def _kind(raw: RawSpan) -> SpanKind:
    kind = raw.attributes.get(_KIND)
    found = _KINDS.get(kind.upper(), SpanKind.CHAIN) if isinstance(kind, str) else SpanKind.CHAIN
    if found is SpanKind.LLM and raw.name.endswith("._prepare_chat_with_tools"):
        return SpanKind.CHAIN  # LlamaIndex assembles a request; the call is a span of its own
    return found


def _read(raw: RawSpan) -> Span:
    kind, attributes = _kind(raw), raw.attributes
    if kind is SpanKind.LLM:
        fields, content = _call(attributes), _content
    elif kind in _READERS:
        fields, content = _READERS[kind](raw), None
        fields["truncated"] = _is_truncated(attributes)
    else:
        fields, content = {}, _step
        if kind is SpanKind.RETRIEVER:
            fields["documents"] = _documents(attributes)
    fields["operation"] = label(attributes.get(_KIND))
    fields["user_id"] = _user(attributes)
    fields["prompt_version"] = label(attributes.get("llm.prompt_template.version"))
    return common(raw, NAME, kind, fields, content_setting=_SETTING, content=content)


def _content(attributes: Mapping[str, Any]) -> dict[str, Any]:
    inputs, outputs = _collect(attributes)
    messages_in = tuple(message for draft in inputs if (message := _message(draft)) is not None)
    answers = [message for draft in outputs if (message := _message(draft)) is not None]
    if not any(message.content or message.tool_calls for message in answers):
        answers = []  # Portkey: a role alone; the calls are in the response
    reason = finish_reason(attributes.get("llm.finish_reason"))
    answer = NO_ANSWER
    if reason is None or not answers:
        answer = _output(attributes)
        reason = reason or finish_reason(answer.finish_reason)
    if not answers:
        choices = answer.choices
    elif len(answers) > 1 and _choice_count(attributes) > 1:
        choices = [[message] for message in answers]
    else:
        choices = [answers]
    if "gen_ai.input.messages" in attributes:  # a processor's translation may run results together
        messages_in = read_messages(attributes["gen_ai.input.messages"]) or messages_in
    return {
        **answer_fields(choices),
        "messages_in": messages_in or _prompt(attributes),
        "finish_reason": reason,
        "truncated": _is_truncated(attributes),
    }


def _collect(attributes: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Sort the keys of all messages, in and out, in one pass; some spans have hundreds of keys."""
    drafts: dict[str, dict[str, Any]] = {}
    for key, value in attributes.items():
        head, found, field = key.partition(".message.")
        if not found:
            if not key.startswith(_BARE_CALLS):
                continue
            head, field = _OUTPUT + ".0", key[8:]
        draft = drafts.get(head)
        if draft is None:
            drafts[head] = {field: value}
        else:
            draft[field] = value
    inputs: dict[int, dict[str, Any]] = {}
    outputs: dict[int, dict[str, Any]] = {}
    for head, draft in drafts.items():
        prefix, _, index = head.rpartition(".")
        messages = inputs if prefix == _INPUT else outputs if prefix == _OUTPUT else None
        if messages is None or len(index) > 6 or not (index.isascii() and index.isdigit()):  # noqa: PLR2004  a million
            continue
        messages[int(index)] = draft
    return [inputs[i] for i in sorted(inputs)], [outputs[i] for i in sorted(outputs)]


def _message(draft: dict[str, Any]) -> Message | None:
    """Build one message; None where it holds a model's private thoughts alone."""
    role, content = draft.get("role"), draft.get("content")
    role = _ROLES.get(role) or role_of(role) if isinstance(role, str) else "assistant"
    text = content_text(content) if content is not None and content != _HIDDEN else None
    if text is not None and len(draft) == 2:  # noqa: PLR2004  role and content, as most have
        return Message(role, text)
    parts = indexed(draft, "contents.")
    calls = _calls(indexed(draft, "tool_calls.")) or _calls(parts)
    if not calls and (name := label(draft.get("function_call_name"))) is not None:
        calls = (ToolCall(name, object_or_value(draft.get("function_call_arguments_json"))),)
    if text is None and parts:
        text = content_text([_part(part) for part in parts])
        if text is None and not calls:
            return None
    return Message(role, text, calls)


def _part(part: dict[str, Any]) -> dict[str, Any]:
    text = part.get("message_content.text")
    kind = part.get("message_content.type")
    if kind is None and text is None and any("image" in key for key in part):
        kind = "image"
    return {"type": kind, "text": None if text == _HIDDEN else text}


def _calls(parts: list[dict[str, Any]]) -> tuple[ToolCall, ...]:
    return tuple(
        ToolCall(
            name,
            _shown(object_or_value(part.get("tool_call.function.arguments"))),
            label(part.get("tool_call.id")),
        )
        for part in parts
        if (name := label(part.get("tool_call.function.name"))) is not None
    )


def _shown(value: Any) -> Any:
    return None if value == _HIDDEN else value


def _choice_count(attributes: Mapping[str, Any]) -> int:
    """How many answers were asked for; several output messages may also be items of one."""
    parameters = load(attributes.get("llm.invocation_parameters"))
    if not isinstance(parameters, dict):
        return 1
    return int_or_none(parameters.get("n") or parameters.get("candidate_count")) or 1


def _prompt(attributes: Mapping[str, Any]) -> tuple[Message, ...]:
    """Read the prompt of a completion, or the provider's request where nothing is spread out."""
    prompts = attributes.get("llm.prompts")
    texts = prompts if isinstance(prompts, list) else []
    texts = texts or [item.get("prompt.text") for item in indexed(attributes, "llm.prompts.")]
    if texts:
        return tuple(Message("user", text) for text in texts if isinstance(text, str) and text)
    if "llm.prompt_template.template" in attributes:
        return ()  # LlamaIndex's `predict`: the input is the template's repr, not what was sent
    value = _shown(attributes.get("input.value"))
    return read_request(value) if value is not None else ()


def _output(attributes: Mapping[str, Any]) -> Answer:
    value = _shown(attributes.get("output.value"))
    return read_response(value) if value is not None else NO_ANSWER


def _is_truncated(attributes: Mapping[str, Any]) -> bool:
    """Whether a length limit cut the JSON of input or output, and so perhaps other values too."""
    for key in ("input", "output"):
        is_json = attributes.get(key + ".mime_type") == "application/json"
        if is_json and is_cut_json(attributes.get(key + ".value")):
            return True
    return False


def _user(attributes: Mapping[str, Any]) -> str | None:
    user = label(attributes.get("user.id"))
    metadata = attributes.get("metadata")  # LangChain's run metadata
    if user is None and isinstance(metadata, str) and '"user_id"' in metadata:
        loaded = load(metadata)
        user = label(loaded.get("user_id")) if isinstance(loaded, dict) else None
    return user


def _call(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Read what a call's usage and the span have in common."""
    get = attributes.get
    output = get("output.value")
    if not isinstance(output, str):
        output = ""
    asked, answered = _models(attributes, output)
    call = {
        "provider": provider_name(get("llm.provider") or get("llm.system")),
        "request_model": asked,
        "response_model": answered,
        "response_id": find_response_id(output),
        "input_tokens": int_or_none(get("llm.token_count.prompt")),
        "output_tokens": int_or_none(get("llm.token_count.completion")),
        "cached_input_tokens": int_or_none(get("llm.token_count.prompt_details.cache_read")),
        "cache_creation_input_tokens": int_or_none(
            get("llm.token_count.prompt_details.cache_write")
        ),
        "reasoning_tokens": int_or_none(get("llm.token_count.completion_details.reasoning")),
        "cost_usd": _cost(attributes),
    }
    if "gen_ai.operation.name" in attributes:  # translated by a span processor, not in full
        for name, value in gen_ai_call(attributes).items():
            if call.get(name) is None:
                call[name] = value
    return call


def _models(attributes: Mapping[str, Any], output: str) -> tuple[str | None, str | None]:
    """Tell the model that was asked from the one that answered.

    `llm.model_name` is the one or the other, by library: it answered where it differs from what was
    asked, or where the response itself names it.
    """
    asked = label(attributes.get("llm.request.model_name"))
    if asked is None:
        asked = _asked_model(attributes.get("llm.invocation_parameters"))
    answered = label(attributes.get("llm.response.model_name"))
    named = label(attributes.get("llm.model_name"))
    if answered is None and named is not None:
        if (asked is not None and named != asked) or _is_quoted(named, output):
            answered = named
        elif asked is None:
            asked = named
    return asked, answered


def _is_quoted(name: str, output: str) -> bool:
    return name in output and (f'"{name}"' in output or f"'{name}'" in output)


def _asked_model(parameters: Any) -> str | None:
    if isinstance(parameters, str):
        if (match := _MODEL_FIRST.match(parameters)) is not None:
            return match[1]
        if '"model' not in parameters:
            return None
    loaded = load(parameters)
    return first_label(loaded, "model", "model_name") if isinstance(loaded, dict) else None


def _cost(attributes: Mapping[str, Any]) -> float | None:
    if _COSTS.isdisjoint(attributes):  # as most
        return None
    total = float_or_none(attributes.get("llm.cost.total"))
    if total is None:
        parts = [attributes.get("llm.cost.prompt"), attributes.get("llm.cost.completion")]
        known = [cost for cost in map(float_or_none, parts) if cost is not None]
        total = sum(known) if known else None
    return total


def _read_tool(raw: RawSpan) -> dict[str, Any]:
    attributes = raw.attributes
    result = load(_shown(attributes.get("output.value")))
    if isinstance(result, dict) and isinstance(data := result.get("data"), dict):
        result = data.get("content", result)  # LangChain: a serialised tool message
    return {
        "tool_name": first_label(attributes, "tool.name", "tool_call.function.name") or raw.name,
        "tool_arguments": read_arguments(_shown(attributes.get("input.value"))),
        "tool_result": dump(result),
    }


def _documents(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    documents = indexed(attributes, "retrieval.documents.")
    texts = (_shown(document.get("document.content")) for document in documents)
    return tuple(text for text in texts if isinstance(text, str) and text)


def _read_embedding(raw: RawSpan) -> dict[str, Any]:
    attributes = raw.attributes
    return {
        "provider": provider_name(attributes.get("llm.provider") or attributes.get("llm.system")),
        "request_model": first_label(attributes, "embedding.model_name", "llm.model_name"),
        "input_tokens": int_or_none(attributes.get("llm.token_count.prompt")),
        "cost_usd": _cost(attributes),
    }


_READERS = {SpanKind.TOOL: _read_tool, SpanKind.EMBEDDING: _read_embedding}
"""Of the kinds that have no messages."""


def _step(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Read what went in and came out of a step: messages where it says so, else its text."""
    value, result = (_shown(attributes.get(key)) for key in ("input.value", "output.value"))
    return {
        "messages_in": read_input(value),
        "output_text": dump(result),
        "truncated": _is_truncated(attributes),
    }


def _read_usage(raw: RawSpan) -> Usage | None:
    if _kind(raw) is not SpanKind.LLM:
        return None
    call = _call(raw.attributes)
    version = label(raw.attributes.get("llm.prompt_template.version"))
    if version is not None:
        call["prompt_version"] = version
    return usage_of(raw, call)


CONVENTION = Convention(
    name=NAME,
    markers=(b".span.kind",),
    sign=_KIND,
    read=_read,
    usage_keys=GEN_AI_USAGE_KEYS
    | frozenset(
        {
            _KIND,
            "llm.provider",
            "llm.system",
            "llm.model_name",
            "llm.request.model_name",
            "llm.response.model_name",
            "llm.invocation_parameters",
            "llm.prompt_template.version",
            "llm.token_count.prompt",
            "llm.token_count.completion",
            "llm.token_count.prompt_details.cache_read",
            "llm.token_count.prompt_details.cache_write",
            "llm.token_count.completion_details.reasoning",
            "output.value",
            *_COSTS,
        }
    ),
    read_usage=_read_usage,
)
