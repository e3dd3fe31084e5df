"""Messages in the shapes that providers and libraries write, read into one.

OpenTelemetry's parts, OpenAI's chat and Responses items, Anthropic's and Bedrock's content blocks,
Gemini's parts, the Vercel AI SDK's and LangChain's messages differ in spelling only. A reader that
takes them all spares each convention a guess at which provider is behind it. Nothing here raises:
what cannot be understood is left out, and nesting beyond what any library writes is not followed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .span import Message, ToolCall
from .values import dump, is_cut, load, object_or_value

_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "model": "assistant",
    "ai": "assistant",
    "tool": "tool",
    "function": "tool",
}
_LANGCHAIN_ROLES = {
    "System": "system",
    "Human": "user",
    "AI": "assistant",
    "Tool": "tool",
    "Function": "tool",
}

_CALLS = frozenset({"tool_call", "tool_use", "tool-call", "function_call", "function", "toolUse"})
_RESULTS = frozenset(
    {"tool_call_response", "tool_result", "tool-result", "function_call_output", "toolResult"}
)
_TEXTS = frozenset({"text", "input_text", "output_text", "refusal"})
_HIDDEN = frozenset({"reasoning", "thinking", "redacted_thinking", "reasoningContent"})
"""A model's private thoughts are no part of its answer."""

_PLACEHOLDERS = {
    "image": "[image]",
    "image_url": "[image]",
    "input_image": "[image]",
    "audio": "[audio]",
    "input_audio": "[audio]",
    "video": "[video]",
    "file": "[file]",
    "input_file": "[file]",
    "document": "[file]",
}
_KEYED_CALLS = frozenset({"toolUse", "function_call", "functionCall"})
_KEYED_RESULTS = frozenset({"toolResult", "function_response", "functionResponse"})
_KEYED_MEDIA = frozenset({"inline_data", "inlineData", "file_data", "fileData"})
_SCHEMAS = frozenset({"parameters", "input_schema"})
_DOCUMENT_LISTS = ("documents", "results", "output")
_RESULT_KEYS = ("response", "result", "content", "output")
_DEPTH = 8


def role_of(value: Any, default: str = "user") -> str:
    """Map a role to system, user, assistant or tool; what is none of them is `default`."""
    if not isinstance(value, str):
        return default
    return _ROLES.get(value) or _ROLES.get(value.lower(), default)


def content_text(content: Any) -> str | None:
    """Give the text of a message's content: a string, one part or a list; None if there is none."""
    if isinstance(content, str):
        return content or None
    reader = _Parts()
    reader.read(content)
    return reader.text()


def read_messages(value: Any, role: str = "user") -> tuple[Message, ...]:
    """Read a conversation: JSON or native, one message or a list of them, or plain text.

    Args:
        value: What the attribute holds.
        role: The role of what names none.
    """
    loaded = load(value)
    if isinstance(loaded, Sequence) and not isinstance(loaded, str | bytes):
        messages: list[Message] = []
        for item in loaded:
            messages += read_message(item, role)
        return tuple(messages)
    if isinstance(loaded, str) and is_cut(loaded):
        return ()
    return tuple(read_message(loaded, role))


def read_choices(value: Any) -> list[list[Message]]:
    """Read an answer: the messages of each choice that the model gave.

    A list of messages is a list of choices where each says why it ended, as OpenTelemetry's output
    messages do; else it is one answer in several messages, as OpenAI's Responses give it.
    """
    loaded = load(value)
    if is_cut(loaded):
        return []
    if not isinstance(loaded, Sequence) or isinstance(loaded, str | bytes):
        return [messages] if (messages := read_message(loaded, "assistant")) else []
    choices = [read_message(item, "assistant") for item in loaded]
    if len(choices) > 1 and not all(
        isinstance(item, Mapping) and item.get("finish_reason") for item in loaded
    ):
        return [[message for choice in choices for message in choice]]
    return choices


def read_documents(value: Any) -> tuple[str, ...]:
    """Read the texts of retrieved documents, whatever each library calls the text."""
    loaded = load(value)
    if isinstance(loaded, Mapping):
        found = next((key for key in _DOCUMENT_LISTS if key in loaded), None)
        loaded = loaded if found is None else load(loaded[found])
    if isinstance(loaded, Mapping):
        loaded = [loaded]
    if not isinstance(loaded, Sequence) or isinstance(loaded, str | bytes):
        return ()
    return tuple(text for item in loaded if (text := _document_text(item, 0)))


def _document_text(item: Any, depth: int) -> str | None:
    if isinstance(item, str):
        loaded = load(item) if item.startswith("{") else None
        inner = _document_text(loaded, depth + 1) if isinstance(loaded, Mapping) else None
        return inner or item or None
    if not isinstance(item, Mapping) or depth > _DEPTH:
        return None
    for key in ("page_content", "content", "text", "document", "node", "text_resource", "kwargs"):
        inner = item.get(key)
        if inner and (text := _document_text(inner, depth + 1)):
            return text
    return None


def read_message(value: Any, role: str = "user") -> list[Message]:
    """Read one message; several come out where it holds the results of several tools."""
    if isinstance(value, str):
        return [Message(role, value)] if value else []
    if not isinstance(value, Mapping):
        return []
    parts = value.get("parts")
    if "role" in value:
        role = role_of(value["role"], role)
        if type(parts) is list and len(parts) == 1 and (text := _only_text(parts[0])):
            return [Message(role, text)]
    else:
        value, role = _without_role(value, role)
    reader = _Parts()
    if parts is not None:
        reader.read(parts)
    elif "content" in value and str(value.get("type")) not in _RESULTS:
        if _is_definition(value["content"]):
            return []
        reader.read(value["content"])
    elif "role" not in value:
        reader.read_part(value)  # an item of OpenAI's Responses: the part is the message
        role = "assistant" if reader.calls else role
    _read_calls(value, reader)
    return _assemble(reader, role)


def _is_definition(content: Any) -> bool:
    """Whether a content describes a tool that may be called: Langfuse's LangChain handler."""
    tool = content.get("function", content) if isinstance(content, Mapping) else None
    return isinstance(tool, Mapping) and "name" in tool and not _SCHEMAS.isdisjoint(tool)


def _without_role(value: Mapping[str, Any], role: str) -> tuple[Mapping[str, Any], str]:
    """Find message and role where no key says it: LangChain has it in a class name or `type`."""
    kwargs, path, kind = value.get("kwargs"), value.get("id"), value.get("type")
    if isinstance(kwargs, Mapping) and isinstance(path, Sequence) and path:
        name = str(path[-1]).removesuffix("Chunk").removesuffix("Message")
        return kwargs, _LANGCHAIN_ROLES.get(name) or role_of(kwargs.get("role"))
    if isinstance(kind, str) and kind in _ROLES:
        data = value.get("data")
        return (data if isinstance(data, Mapping) else value), _ROLES[kind]
    return value, role


def _only_text(part: Any) -> str | None:
    """Give the text of a plain text part: most messages are nothing else, so they go fast."""
    if isinstance(part, dict) and part.get("type") == "text":
        text = part.get("content")
        return text if isinstance(text, str) else None
    return None


def _assemble(reader: "_Parts", role: str) -> list[Message]:
    messages = [Message("tool", result) for result in reader.results]
    text = reader.text()
    if text is not None or reader.calls or not messages:
        messages.append(Message(role, text, tuple(reader.calls)))
    return messages


def _read_calls(value: Mapping[str, Any], reader: "_Parts") -> None:
    calls = load(value.get("tool_calls"))
    if calls and isinstance(calls, Sequence) and not isinstance(calls, str | bytes):
        # Anthropic's messages from LangChain hold each call twice: as content block and here.
        known = {call.id for call in reader.calls if call.id}
        for call in calls:
            read = read_tool_call(call)
            if read is not None and read.id not in known:
                reader.calls.append(read)
    elif not reader.calls and isinstance(value.get("function_call"), Mapping):
        call = read_tool_call(value["function_call"])
        if call is not None:
            reader.calls.append(call)


def read_tool_call(value: Any) -> ToolCall | None:
    """Read one tool call in any provider's spelling; None where it names no tool."""
    if not isinstance(value, Mapping):
        return None
    inner = value.get("function")
    source = inner if isinstance(inner, Mapping) else value
    name = source.get("name") or source.get("toolName")
    if not isinstance(name, str):
        return None
    arguments: Any = None
    for key in ("arguments", "args", "input"):
        if (arguments := source.get(key)) is not None:
            break
    for key in ("call_id", "id", "toolCallId", "toolUseId", "tool_call_id"):
        if isinstance(call_id := value.get(key), str) and call_id:
            return ToolCall(name, object_or_value(arguments), call_id)
    return ToolCall(name, object_or_value(arguments))


class _Parts:
    """What the parts of one message come to: text, tool calls, tool results."""

    __slots__ = ("calls", "results", "texts")

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.calls: list[ToolCall] = []
        self.results: list[str | None] = []

    def text(self) -> str | None:
        """All text, a line for each part; None where there is none."""
        if len(self.texts) == 1:
            return self.texts[0]
        return "\n".join(self.texts) if self.texts else None

    def read(self, content: Any, depth: int = 0) -> None:
        """Take in a message's content: text, one part, or a list of either."""
        if isinstance(content, str):
            if content:
                self.texts.append(content)
        elif depth > _DEPTH:
            return
        elif isinstance(content, Mapping):
            self.read_part(content, depth)
        elif isinstance(content, Sequence) and not isinstance(content, bytes):
            for part in content:
                self.read(part, depth + 1)

    def read_part(self, part: Mapping[str, Any], depth: int = 0) -> None:
        """Take in one part of any known kind; an unknown kind gives its text or its name."""
        kind = part.get("type")
        if kind == "text":  # by far the most frequent
            text = part.get("content") or part.get("text")
            if isinstance(text, str) and text:
                self.texts.append(text)
        elif isinstance(kind, str):
            self._read_typed(part, kind, depth)
        else:
            self._read_keyed(part, depth)

    def _read_typed(self, part: Mapping[str, Any], kind: str, depth: int) -> None:
        if kind in _CALLS:
            if kind == "tool_call" and "arguments" not in part and "args" not in part:
                return  # Pydantic AI with content off: the skeleton of a call is no content
            call = read_tool_call(part)
            if call is not None:
                self.calls.append(call)
        elif kind in _RESULTS:
            self.results.append(_result_text(part, depth))
        elif kind in _HIDDEN:
            pass
        elif kind in _TEXTS:
            self.read(part.get("content") or part.get("text") or part.get("refusal"), _DEPTH)
        elif kind in ("uri", "blob", "file", "media"):
            self.texts.append(_media(part))
        elif kind in _PLACEHOLDERS:
            self.texts.append(_PLACEHOLDERS[kind])
        else:
            text = part.get("content") or part.get("text")
            self.texts.append(text if isinstance(text, str) and text else f"[{kind[:40]}]")

    def _read_keyed(self, part: Mapping[str, Any], depth: int) -> None:
        """Read a part without type: Bedrock and Gemini name it by one key among others."""
        if part.get("thought") is True:
            return
        for key, inner in part.items():
            if key in ("text", "content"):
                self.read(inner, depth + 1)
            elif key in _PLACEHOLDERS:
                self.texts.append(_PLACEHOLDERS[key])
            elif not isinstance(inner, Mapping):
                continue
            elif key in _KEYED_CALLS:
                call = read_tool_call(inner)
                if call is not None:
                    self.calls.append(call)
            elif key in _KEYED_RESULTS:
                self.results.append(_result_text(inner, depth))
            elif key in _KEYED_MEDIA:
                self.texts.append(_media(inner))


def _result_text(part: Mapping[str, Any], depth: int) -> str | None:
    """Give a tool's result as text: blocks are joined, other structure stays JSON."""
    value: Any = None
    for key in _RESULT_KEYS:
        if (value := part.get(key)) is not None:
            break
    if isinstance(value, Mapping) and set(value) == {"type", "value"}:
        value = value["value"]  # the Vercel AI SDK: {"type": "json" | "text", "value": …}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes) and depth < _DEPTH:
        inner = _Parts()
        inner.read(value, depth + 1)
        if (text := inner.text()) is not None:
            return text
    return dump(value) or None


def _media(part: Mapping[str, Any]) -> str:
    """Name what a part holds by its modality or media type: never fetched, never copied."""
    for key in ("modality", "mime_type", "mimeType", "mediaType", "media_type"):
        if isinstance(name := part.get(key), str):
            kind = name.partition("/")[0]
            if kind in ("image", "audio", "video"):
                return f"[{kind}]"
    return "[file]"


@dataclass(slots=True)
class EventLog:
    """A conversation told as events, one for each message: GenAI's form before 2025.

    Attributes:
        messages_in: What was asked, in order.
        choices: The messages of each choice.
        finish_reason: The first choice's own word.
        cut: Whether a content ends in the middle.
    """

    messages_in: list[Message] = field(default_factory=list)
    choices: list[list[Message]] = field(default_factory=list)
    finish_reason: Any = None
    cut: bool = False

    def read(self, name: str, body: Mapping[str, Any]) -> None:
        """Take in one event, named `gen_ai.<role>.message` or `gen_ai.choice`."""
        if name == "gen_ai.choice":
            self._read_choice(body)
            return
        role = role_of(body.get("role"), role_of(name.removeprefix("gen_ai.").partition(".")[0]))
        self.messages_in += self._message(body, role)

    def _read_choice(self, body: Mapping[str, Any]) -> None:
        if not self.choices:
            self.finish_reason = body.get("finish_reason")
        message = load(body.get("message"))
        if isinstance(message, Mapping) and ("content" in message or "tool_calls" in message):
            self.choices.append(self._message(message, "assistant"))
        else:
            self.choices.append(self._message({"content": body.get("message")}, "assistant"))

    def _message(self, body: Mapping[str, Any], role: str) -> list[Message]:
        blocks = load_blocks(body.get("content"))
        self.cut = self.cut or is_cut_blocks(blocks)
        calls = body.get("tool_calls")
        return read_message({"role": role, "content": blocks, "tool_calls": calls}, role)


def load_blocks(content: Any) -> Any:
    """Read content that may be a list of blocks in JSON; any other text is text, JSON or not."""
    loaded = load(content)
    if isinstance(loaded, list) and loaded and all(isinstance(item, Mapping) for item in loaded):
        return loaded
    return content


def is_cut_blocks(blocks: Any) -> bool:
    """Whether what `load_blocks` gave back is a list of blocks that was cut off.

    Any text may begin with a bracket, so it must begin as such a list does.
    """
    return isinstance(blocks, str) and blocks.startswith(('[{"', "[ {")) and load(blocks) is blocks
