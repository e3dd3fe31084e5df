"""Assay's own spans, which no evaluator may judge: a judge that judges its judges never ends."""

from collections.abc import Iterable, Mapping
from typing import Any

from .span import Span

SCOPE = "assay"
"""Instrumentation scope of the spans that Assay writes."""

EVALUATION_ID = "assay.evaluation_id"
"""Attribute of each of them: a sign that stays where something on their way drops the scope."""

PREAMBLE = "You are an evaluator inside Assay."
"""How the system message of every judge begins, for spans that other libraries write about it."""


def is_own(span: Span) -> bool:
    """Whether a span is Assay's own, or tells of a call that one of its judges made.

    Only the system message counts, and only its beginning: what a user writes can copy the phrase
    but cannot take its place, so nobody can hide a conversation from evaluation with it.
    """
    if is_score(span.scope, span.attributes):
        return True
    if span.is_unread and not _hold_preamble(span.unread_values):
        return False  # as all but a judge's calls, whose messages may stay unread therefore
    if not span.messages_in:
        return False
    message = span.messages_in[0]
    return (
        message.role == "system"
        and message.content is not None
        and message.content.startswith(PREAMBLE)
    )


def _hold_preamble(values: Iterable[Any]) -> bool:
    """Whether one of the attributes' values has the preamble: as plain ASCII it is also in JSON."""
    for value in values:
        if isinstance(value, str):
            if PREAMBLE in value:
                return True
        elif isinstance(value, list | dict):
            inner = value.values() if isinstance(value, dict) else value
            if _hold_preamble(inner):
                return True
    return False


def is_score(scope: str, attributes: Mapping[str, Any]) -> bool:
    """Whether a span of this scope, with these attributes, is one that shows an outcome."""
    return scope == SCOPE or EVALUATION_ID in attributes
