"""Which spans of a protobuf message sampling keeps, decided before a span is read."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from google.protobuf.message import DecodeError

from .checks import NO_TRACE_ID, is_kept
from .envelope import Head, Heads
from .tracestate import RANDOMNESS_BITS

_ID_FIELD_BYTES = 2 + len(NO_TRACE_ID)
"""Of a serialised trace id: tag 0x0a, length 0x10, the id."""

_RANDOM_BYTES = RANDOMNESS_BITS // 8
_RANDOM_AT = _ID_FIELD_BYTES - _RANDOM_BYTES

Block = tuple[Any, Any, Sequence[bytes]]
"""The envelope's ResourceSpans, its ScopeSpans, the serialised spans."""


def head_fields(value: bytes) -> bytes | None:
    """The trace ids of all spans, then their tracestates, as serialised fields; None: unreadable.

    Asked for before the envelope is read: two copies of a message at a time are more than stays in
    the processor's cache. To serialise what is left of the merged span is how to get 100 ids in
    2 µs; as Python objects they take 12.
    """
    try:
        merged = Heads.FromString(value).resource_spans.scope_spans.spans
    except DecodeError:  # a span is no message at all; its envelope does not look inside
        return None
    merged.DiscardUnknownFields()
    fields: bytes = merged.SerializeToString()
    return fields


def kept_blocks(
    fields: bytes | None, blocks: list[Block], count: int, threshold: int
) -> list[Block]:
    """The blocks with kept spans, and of these the kept spans alone.

    95 % of all spans end here, so all of them are decided by one row of the message's trace ids:
    a head of its own for each span would cost as much as everything else that is done for them.

    Args:
        fields: What `head_fields` gave for the message.
        blocks: All blocks.
        count: Number of spans in them.
        threshold: `Plan.threshold`.
    """
    row = None if fields is None else _trace_id_row(fields, count)
    if row is None:
        return [
            (resource_spans, scope_spans, [d for d in spans if _is_head_kept(d, threshold)])
            for resource_spans, scope_spans, spans in blocks
        ]
    kept: list[Block] = []
    rest = iter(blocks)
    start = stop = 0
    for index in _kept_indexes(row, threshold):
        if index >= stop:
            while index >= stop:
                resource_spans, scope_spans, spans = next(rest)
                start, stop = stop, stop + len(spans)
            chosen: list[bytes] = []
            kept.append((resource_spans, scope_spans, chosen))
        chosen.append(spans[index - start])
    return kept


def _trace_id_row(fields: bytes, count: int) -> bytes | None:
    """The serialised trace id fields of all spans in a row; None if it takes more to decide.

    A valid span has at least one trace id. So as many ids as spans means one for each, and none
    that a later field of the same span overrides.
    """
    end = count * _ID_FIELD_BYTES
    row, rest = fields[:end], fields[end:]
    plain = (
        row[0::_ID_FIELD_BYTES] == count * b"\x0a"
        and row[1::_ID_FIELD_BYTES] == count * b"\x10"
        and not rest.startswith(b"\x0a")  # one id more
        and b"rv:" not in rest  # a tracestate that decides
        and NO_TRACE_ID not in row  # or two ids that meet in zeros: only slower
    )
    return row if plain else None


def _kept_indexes(row: bytes, threshold: int) -> list[int]:
    """Which spans of a row of trace id fields are kept.

    The first random byte of all ids at once leaves few to compare: 3 instead of 14 µs for 100.
    """
    bound, at_least_first = _bound(threshold)
    marks = row[_RANDOM_AT::_ID_FIELD_BYTES].translate(at_least_first)
    indexes = []
    index = marks.find(1)
    while index >= 0:
        end = (index + 1) * _ID_FIELD_BYTES
        if row[end - _RANDOM_BYTES : end] >= bound:
            indexes.append(index)
        index = marks.find(1, index + 1)
    return indexes


@lru_cache(maxsize=256)
def _bound(threshold: int) -> tuple[bytes, bytes]:
    """The least random bytes that are kept, and for `translate` a 1 for each first one of such."""
    if threshold >= 1 << RANDOMNESS_BITS:
        return b"", bytes(256)
    bound = threshold.to_bytes(_RANDOM_BYTES, "big")
    return bound, bytes([first >= bound[0] for first in range(256)])


def _is_head_kept(data: bytes, threshold: int) -> bool:
    try:
        head = Head.FromString(data)
    except DecodeError:  # no trace id to sample by: to be reported
        return True
    return is_kept(head.trace_id, head.trace_state.decode("utf-8", "replace"), threshold)
