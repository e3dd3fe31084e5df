"""Attribute values that nobody should send and somebody will, for property tests of readers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

_WORDS = [
    "", "null", "[", "{", '"', "]", "}", "[]", "{}", "[[]]", '"open', "Infinity", "NaN", "\ud800",
    "{'a': 1}", "{'a': '\\d'}", "-1", "1e400", "9" * 30, " ", "\n{",
]  # fmt: skip
_KEYS = [
    "messages", "role", "content", "contents", "parts", "tool_calls", "function", "function_call",
    "name", "arguments", "args", "kwargs", "input", "output", "choices", "message", "delta", "text",
    "candidates", "generations", "llm_output", "generation_info", "response_metadata", "lc", "data",
    "type", "id", "model", "system", "system_instruction", "config", "instructions", "prompt",
    "status", "incomplete_details", "reason", "finish_reason", "documents", "page_content",
    "total", "input_tokens", "cached_tokens", "prompt_tokens_details", "input_token_details",
]  # fmt: skip
_TEXTS = [*_WORDS, "message", "function_call", "tool", "ai", "user", "text", "tool_result", "stop"]

_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 2**70),
    st.floats(),
    st.sampled_from(_TEXTS),
    st.text(max_size=5),
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)

ODD_JSON = st.builds(
    lambda tree, end: text[: max(1, len(text) - end)] if (text := json.dumps(tree)) else text,
    _TREES,
    st.sampled_from([0, 0, 0, 1, 5]),
)
"""JSON with the keys of requests and responses in any arrangement, now and then cut off."""

_VALUES = st.one_of(_TREES, st.binary(max_size=4), ODD_JSON)


def odd_attributes(
    keys: Sequence[str], fixed: Mapping[str, Sequence[Any]]
) -> st.SearchStrategy[dict[str, Any]]:
    """Make attributes: some of `keys` with any value at all.

    Args:
        keys: Attribute keys.
        fixed: Values that a key keeps, one of them each time.
    """
    return st.builds(
        lambda odd, sure: {**odd, **sure},
        st.dictionaries(st.sampled_from(list(keys)), _VALUES, max_size=8),
        st.fixed_dictionaries(
            {key: st.sampled_from(list(values)) for key, values in fixed.items()}
        ),
    )
