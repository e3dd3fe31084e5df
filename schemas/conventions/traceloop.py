"""OpenLLMetry's workflow spans: `traceloop.span.kind` and no call of a model.

Workflows, tasks, agents and tools of the Traceloop SDK and of framework instrumentations. Some of
those record a model's call as a task alone; a task is not taken for a call.
"""

from schemas.span import RawSpan, Span, SpanKind, Usage

from .fields import Convention, common, dump, first_label, object_or_value, unquoted

_NAME = "traceloop"
_SIGN = "traceloop.span.kind"
_KINDS = {"agent": SpanKind.AGENT, "tool": SpanKind.TOOL}


def _read(raw: RawSpan) -> Span:
    attributes = raw.attributes
    word = attributes.get(_SIGN)
    kind = _KINDS.get(word, SpanKind.CHAIN) if isinstance(word, str) else SpanKind.CHAIN
    if kind is not SpanKind.TOOL:
        return common(raw, _NAME, kind, {})
    given = object_or_value(attributes.get("traceloop.entity.input"))
    if isinstance(given, dict) and given.get("kwargs") and not given.get("args"):
        given = given["kwargs"]  # a decorated function that was called with names only
    fields = {
        "tool_name": first_label(attributes, "gen_ai.tool.name", "traceloop.entity.name"),
        "tool_arguments": given,
        "tool_result": dump(unquoted(attributes.get("traceloop.entity.output"))) or None,
    }
    return common(raw, _NAME, kind, fields)


def _read_usage(raw: RawSpan) -> Usage | None:  # noqa: ARG001  no span of this kind is a call
    return None


CONVENTION = Convention(
    name=_NAME,
    markers=(b".span.kind",),
    sign=_SIGN,
    read=_read,
    usage_keys=frozenset({_SIGN}),
    read_usage=_read_usage,
)
