"""The tools that a model was offered, read from a span's attributes."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from schemas.span import Span

_WHOLE = (
    "gen_ai.tool.definitions",
    "gen_ai.request.tools",
    "llm.tools",
    "ai.prompt.tools",
    "model_request_parameters",
)
_LISTS = (
    "tools",
    "function_tools",
    "output_tools",
    "function_declarations",
    "functionDeclarations",
)
_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parameters_json_schema", "json_schema")
_MAX_TOOLS = 500
_MAX_DEPTH = 4


def tools_of(span: Span) -> dict[str, Mapping[str, Any] | None]:
    """Names of the tools, with the JSON Schema of their arguments or None; empty: unknown."""
    tools: dict[str, Mapping[str, Any] | None] = {}
    for value in _values(span.attributes):
        for tool in _tools(value, 0):
            name, schema = _named(tool)
            if name and len(tools) < _MAX_TOOLS:
                tools[name] = schema or tools.get(name)
    return tools


def _values(attributes: Mapping[str, Any]) -> Iterator[Any]:
    for key in _WHOLE:
        if key in attributes:
            yield attributes[key]
    # One attribute for each tool, or for each of its parts: OpenInference and OpenLLMetry.
    functions: dict[str, dict[str, Any]] = {}
    for key, value in attributes.items():
        if key.startswith("llm.tools.") and key.endswith(".json_schema"):
            yield value
        elif key.startswith("llm.request.functions."):
            number, _, part = key.removeprefix("llm.request.functions.").partition(".")
            functions.setdefault(number, {})[part] = value
    yield from functions.values()


def _tools(value: Any, depth: int) -> Iterator[Mapping[str, Any]]:
    value = _parsed(value)
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, list):
        for item in value:
            yield from _tools(item, depth + 1)
    elif isinstance(value, Mapping):
        nested = [value[key] for key in _LISTS if isinstance(_parsed(value.get(key)), list)]
        if nested and "name" not in value:
            for item in nested:
                yield from _tools(item, depth + 1)
        else:
            yield value


def _named(tool: Mapping[str, Any]) -> tuple[str | None, Mapping[str, Any] | None]:
    inner = _parsed(tool.get("function"))
    source = inner if isinstance(inner, Mapping) else tool
    name = source.get("name")
    for key in _SCHEMAS:
        schema = _parsed(source.get(key))
        if isinstance(schema, Mapping) and "json" in schema and "type" not in schema:
            schema = schema["json"]  # Bedrock
        if isinstance(schema, Mapping):
            return (name if isinstance(name, str) else None), schema
    return (name if isinstance(name, str) else None), None


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value.encode("utf-8", "replace"))
    except orjson.JSONDecodeError:
        return None
