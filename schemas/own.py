"""Assay's own spans, which no evaluator may judge: a judge that judges its judges never ends."""

from .span import Span

SCOPE = "assay"
"""Instrumentation scope of the spans that Assay writes."""

PREAMBLE = "You are an evaluator inside Assay."
"""How the system message of every judge begins, for spans that other libraries write about it."""


def is_own(span: Span) -> bool:
    """Whether a span is Assay's own, or tells of a call that one of its judges made.

    Only the system message counts, and only its beginning: what a user writes can copy the phrase
    but cannot take its place, so nobody can hide a conversation from evaluation with it.
    """
    if span.scope == SCOPE:
        return True
    if not span.messages_in:
        return False
    message = span.messages_in[0]
    return (
        message.role == "system"
        and message.content is not None
        and message.content.startswith(PREAMBLE)
    )
