"""Protobuf's wire format, written field by field: also what no encoder would write."""

import struct


def varint(number: int, padding: int = 0) -> bytes:
    """A variable-length integer; `padding` bytes longer than needed, which is valid."""
    groups = []
    while number > 0x7F:
        groups.append(number & 0x7F)
        number >>= 7
    groups.append(number)
    groups.extend([0] * padding)
    return bytes(group | 0x80 for group in groups[:-1]) + bytes(groups[-1:])


def block(number: int, payload: bytes, padding: int = 0) -> bytes:
    """A length-delimited field: bytes, a string or a message."""
    return varint(number << 3 | 2) + varint(len(payload), padding) + payload


def fixed64(number: int, value: int) -> bytes:
    """A 64-bit field."""
    return varint(number << 3 | 1) + struct.pack("<Q", value)


def fixed32(number: int, value: int) -> bytes:
    """A 32-bit field."""
    return varint(number << 3 | 5) + struct.pack("<I", value)


def integer(number: int, value: int) -> bytes:
    """A variable-length integer field."""
    return varint(number << 3) + varint(value)


def message(*spans: bytes, scope: bytes = b"", resource: bytes = b"") -> bytes:
    """A trace export with one resource and one scope, from serialised parts."""
    scope_spans = block(1, scope) + b"".join(block(2, span) for span in spans)
    return block(1, block(1, resource) + block(2, scope_spans))


def attribute(key: str, text: str) -> bytes:
    """A serialised KeyValue with a string."""
    return block(1, key.encode()) + block(2, block(1, text.encode()))
