"""An evaluator's own options, checked: what it does not know is an error, never ignored."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError


class Options(BaseModel):
    """Base of an evaluator's options; on its own: an evaluator that has none."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


Model = TypeVar("Model", bound=Options)


def read_options(model: type[Model], options: Mapping[str, Any]) -> Model:
    """Read options into their model.

    Raises:
        ValueError: An option is unknown, missing or wrong; the message names it.
    """
    try:
        return model.model_validate(dict(options))
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in details["loc"])
        if details["type"] == "extra_forbidden":
            valid = [field.alias or key for key, field in model.model_fields.items()]
            raise ValueError(f'unknown option "{name}"; {nearest(name, valid)}') from error
        fault = details["msg"].removeprefix("Value error, ")
        raise ValueError(f"option {name}: {fault}" if name else fault) from error


def nearest(name: str, valid: Iterable[str]) -> str:
    """A hint for a name that is unknown: the nearest valid one, else all of them."""
    valid = sorted(valid)
    close = get_close_matches(name, valid, n=1)
    if close:
        return f'did you mean "{close[0]}"?'
    return f"there is {', '.join(valid)}" if valid else "there is none"
