"""The right answer to a call, where its application knows one and puts it on the span."""

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from schemas.span import Span

from .options import Options

REFERENCE_ATTRIBUTE = "assay.reference"
_OPTION = "reference_attribute"


class ReferenceOptions(Options):
    """Options of an evaluator that compares with a reference."""

    reference_attribute: str = Field(default=REFERENCE_ATTRIBUTE, min_length=1)
    """The attribute of the span that holds the right answer: a text, a number or a yes/no."""


def reference_of(span: Span, options: Mapping[str, Any]) -> str | None:
    """The reference on a span, by an evaluator's options; None where there is none."""
    value = span.attributes.get(options.get(_OPTION, REFERENCE_ATTRIBUTE))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    return value if isinstance(value, str) and value.strip() else None
