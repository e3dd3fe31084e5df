"""Decode what stands on the spans topic: OTLP trace exports, in protobuf or in JSON."""

from enum import StrEnum

from .errors import Undecodable
from .limits import Limits
from .otlp_json import decode_json
from .otlp_protobuf import decode_protobuf
from .plan import BadSpan, Decoded, Plan
from .reasons import DeadLetterReason
from .tracestate import randomness, upstream_threshold

__all__ = [
    "BadSpan",
    "Decoded",
    "Encoding",
    "Plan",
    "decode",
    "randomness",
    "upstream_threshold",
]

_JSON_STARTS = b"{[ \t\r\xef"  # 0xef: a byte order mark, which is refused by name


class Encoding(StrEnum):
    """How the values of a topic are encoded; nothing in a Kafka record says it."""

    AUTO = "auto"
    """Told by the first byte of each value."""
    OTLP_PROTO = "otlp_proto"
    OTLP_JSON = "otlp_json"


def decode(value: bytes, encoding: Encoding, limits: Limits, plan: Plan) -> Decoded:
    """Read the wanted spans of one `ExportTraceServiceRequest`; an empty value has none.

    A span that cannot be read is in `Decoded.bad`, and the others are read. Only spans that are
    read are looked at: one that sampling drops, or that has no marker, may hold anything.

    Raises:
        Undecodable: The message as a whole cannot be read.
    """
    if len(value) > limits.message_bytes:
        raise too_large(len(value), limits.message_bytes)
    if not value:
        return Decoded()
    match encoding:
        case Encoding.AUTO:
            return _decode_either(value, limits, plan)
        case Encoding.OTLP_PROTO:
            return decode_protobuf(value, limits, plan)
        case Encoding.OTLP_JSON:
            return decode_json(value, limits, plan)


def too_large(size_bytes: int, limit_bytes: int) -> Undecodable:
    """What a message is that nobody should even try to read."""
    detail = f"{size_bytes} bytes; limits.message_bytes is {limit_bytes}"
    return Undecodable(DeadLetterReason.TOO_LARGE, detail)


def _decode_either(value: bytes, limits: Limits, plan: Plan) -> Decoded:
    if value[0] in _JSON_STARTS:
        return decode_json(value, limits, plan)
    try:
        return decode_protobuf(value, limits, plan)
    except Undecodable as error:
        # Protobuf starts with 0x0a, which is also a newline that JSON may start with.
        if error.reason is DeadLetterReason.WRONG_FORMAT and value.lstrip()[:1] == b"{":
            return decode_json(value, limits, plan)
        raise
