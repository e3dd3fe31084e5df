"""Reading one attribute's value: names, counts, amounts, JSON, lists spread over keys.

Attributes come from other people's code: a count may be text, a float or NaN, JSON may be cut off.
Nothing here raises; what is not what it should be is None.
"""

import json
from collections.abc import Mapping
from typing import Any

import orjson

Attributes = Mapping[str, Any]


def load(value: Any) -> Any:
    """Read JSON where a string holds an object or array; give anything else back unchanged.

    A string that cannot be read comes back as it was: `is_cut` tells whether it was cut off.
    """
    if not isinstance(value, str) or not value.startswith(("[", "{", " ", "\n")):
        return value
    if value[0] in " \n" and not value.lstrip().startswith(("[", "{")):
        return value
    try:
        return orjson.loads(value)
    except ValueError:
        return _load_lenient(value)


def _load_lenient(value: str) -> Any:
    """Read what strict JSON forbids and libraries write: NaN, raw control and half characters."""
    try:
        loaded = json.loads(value, strict=False)
        clean = json.dumps(loaded, ensure_ascii=False).encode("utf-8", "replace")
        return json.loads(clean, strict=False)
    except (ValueError, RecursionError):
        return value


def unquoted(value: Any) -> Any:
    """Read a value that is JSON where text among it stands in quotes; other values are as given."""
    if isinstance(value, str) and value.startswith('"'):
        wrapped = load(f"[{value}]")
        if isinstance(wrapped, list) and len(wrapped) == 1:
            return wrapped[0]
    return value


def is_cut(loaded: Any) -> bool:
    """Whether a value that `load` gave back is JSON that ends in the middle.

    There is no flag for an attribute cut at a length limit: an unreadable string that begins as
    JSON is the only sign. Python's notation (`{'a': 1}`) is unreadable too, but whole.
    """
    if not isinstance(loaded, str):
        return False
    start = loaded[:4].lstrip()
    return start.startswith(("[", "{")) and start.lstrip("[{ ")[:1] != "'"


def dump(value: Any) -> str | None:
    """Give the text of any value: strings as they are, the rest as compact JSON, None as None."""
    if value is None or isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # too deep, a 65-bit number, a half character
        return None


def object_or_value(value: Any) -> Any:
    """Read tool arguments: the object where there is one, in JSON or not, else the value itself."""
    loaded = load(value)
    return None if loaded == "" else loaded


def first(attributes: Attributes, *keys: str) -> Any:
    """Give the value of the first key that has one; None and the empty string are none."""
    for key in keys:
        value = attributes.get(key)
        if value is not None and value != "":
            return value
    return None


def label(value: Any) -> str | None:
    """Read a name or id: text, or a whole number (a prompt's version) as text; else None."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def first_label(attributes: Attributes, *keys: str) -> str | None:
    """Give the first of `keys` that holds a name or id."""
    for key in keys:
        value = attributes.get(key)
        if value is not None and (text := label(value)) is not None:
            return text
    return None


_MOST = 10**12
"""The largest count. No call has so many tokens, and sums of it over a trace stay 64-bit numbers,
beyond which no outcome could be written."""


def int_or_none(value: Any) -> int | None:
    """Read a count: a whole number from 0 to a trillion, also as a float or as digits."""
    if type(value) is int:
        return value if 0 <= value <= _MOST else None
    if isinstance(value, float):
        return int(value) if 0 <= value <= _MOST and value == int(value) else None
    if isinstance(value, str) and len(value) < 20 and value.isascii() and value.isdigit():  # noqa: PLR2004  more digits are more than a trillion, or an attack on `int`
        return int_or_none(int(value))
    return None


def first_int(attributes: Attributes, keys: tuple[str, ...]) -> int | None:
    """Give the first of `keys` that holds a count."""
    for key in keys:
        value = attributes.get(key)
        if value is not None and (number := int_or_none(value)) is not None:
            return number
    return None


_MOST_USD = 1e6
"""The largest amount: a slip or an attack beyond it would stay in a sum for ever."""


def float_or_none(value: Any) -> float | None:
    """Read an amount of US dollars: from 0 to a million, also as text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if 0 <= number <= _MOST_USD else None


_FINISH_REASONS = {
    "stop": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "complete": "stop",
    "completed": "stop",
    "finish_reason_stop": "stop",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "incomplete": "length",
    "tool_calls": "tool_calls",
    "tool_call": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "function_calls": "tool_calls",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "safety": "content_filter",
    "recitation": "content_filter",
    "blocklist": "content_filter",
    "prohibited_content": "content_filter",
    "spii": "content_filter",
    "refusal": "content_filter",
    "error": "error",
}


def finish_reason(value: Any) -> str | None:
    """Read why the answer ended: stop, length, tool_calls, content_filter, error, or its own word.

    Takes a provider's word, a list of them (the first choice counts) or that list as JSON.
    """
    value = load(value)
    if isinstance(value, list | tuple):
        value = value[0] if value else None
    if not isinstance(value, str) or not value:
        return None
    known = _FINISH_REASONS.get(value)
    if known is not None:
        return known
    word = value.rpartition(".")[2].strip().lower().replace("-", "_")  # FinishReason.STOP
    return _FINISH_REASONS.get(word, word) or None


_PROVIDERS = {
    "gcp.gemini": "gemini",
    "gcp.gen_ai": "gemini",
    "google": "gemini",
    "google_genai": "gemini",
    "google_ai_studio": "gemini",
    "vertexai": "gcp.vertex_ai",
    "vertex_ai": "gcp.vertex_ai",
    "aws": "aws.bedrock",
    "bedrock": "aws.bedrock",
    "amazon_bedrock": "aws.bedrock",
    "az.ai.openai": "azure.ai.openai",
    "azure": "azure.ai.openai",
    "azure_openai": "azure.ai.openai",
    "mistralai": "mistral_ai",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}


def provider_name(value: Any) -> str | None:
    """Read a provider's name in one spelling, mostly that of the GenAI conventions.

    A framework that names itself as the provider (Strands, LangChain) is kept: unknown is no guess.
    """
    if not isinstance(value, str) or not value:
        return None
    name = value.lower()
    return _PROVIDERS.get(name, name)


def indexed(attributes: Attributes, prefix: str) -> list[dict[str, Any]]:
    """Collect a list that is spread over keys `<prefix><index>.<rest>`, in the order of indices.

    Gives one dict of rest to value for each index; a gap in the indices is closed.
    """
    found: dict[int, dict[str, Any]] = {}
    start = len(prefix)
    for key, value in attributes.items():
        if key.startswith(prefix):
            index, _, rest = key[start:].partition(".")
            if len(index) < 7 and index.isascii() and index.isdigit():  # noqa: PLR2004  a million
                found.setdefault(int(index), {})[rest] = value
    return [found[index] for index in sorted(found)]
