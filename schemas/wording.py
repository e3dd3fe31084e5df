"""What pydantic finds wrong with a value, in the words of our messages."""

from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

_SHOULD = {
    "string_type": "should be text; put it between quotes",
    "string_too_short": "should not be empty",
    "too_short": "should not be empty",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "float_parsing": "should be a number",
    "finite_number": "should be a finite number",
    "model_type": "should be a mapping of keys to values",
    "dict_type": "should be a mapping of keys to values",
    "tuple_type": "should be a list",
    "path_type": "should be the path of a file",
    "literal_error": "should be {expected}",
    "greater_than": "should be more than {gt}",
    "greater_than_equal": "should be at least {ge}",
    "less_than_equal": "should be at most {le}",
    "value_error": "{error}",
    "missing": "is missing; add it",
    "bool_type": "should be true or false",
    "enum": "should be {expected}",
    "less_than": "should be less than {lt}",
    "string_too_long": "should have at most {max_length} characters",
    "too_long": "should have at most {max_length} entries",
}


def fault_of(details: ErrorDetails, patterns: Mapping[str, str]) -> str:
    """What is wrong, to stand behind the name of the key.

    Args:
        details: One error of pydantic's.
        patterns: What each regular expression of the model means, such as `should be a name`.
    """
    context = {key: _trimmed(value) for key, value in details.get("ctx", {}).items()}
    kind = details["type"]
    if kind == "string_pattern_mismatch":
        return patterns[context["pattern"]]
    if kind in _SHOULD:
        return _SHOULD[kind].format(**context)
    return details["msg"].removeprefix("Input ")


def _trimmed(value: Any) -> Any:
    # 1.0 reads as 1; pydantic's 'a' or 'b' stays as it is.
    return int(value) if isinstance(value, float) and value.is_integer() else value
