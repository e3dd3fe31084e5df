"""What both encodings ask of a span: is it wanted, can it be named, is it of a sane size."""

from collections.abc import Callable
from functools import lru_cache
from typing import Generic, TypeVar

from ahocorasick_rs import BytesAhoCorasick, MatchKind

from .errors import Undecodable
from .limits import Limits
from .reasons import DeadLetterReason
from .tracestate import RANDOMNESS_BITS, randomness

NO_TRACE_ID = bytes(16)
NO_SPAN_ID = bytes(8)

_RANDOM_BYTES = RANDOMNESS_BITS // 8

MarkerSearch = Callable[[bytes], bool]

_FIRST_BYTES = 256
"""In these the most frequent marker is looked for first: a span's first attributes stand there.

In 700 bytes without it that would take as long as the search for all markers.
"""

_PART_BYTES = 65_536
"""So much is searched at a time: the library lists every match, and a record may hold a million."""

T = TypeVar("T")


class ReadOnce(Generic[T]):
    """A part that many spans share, read when the first of them needs it.

    A failure is remembered as well: up to 20,000 spans of one message may ask.
    """

    __slots__ = ("_failure", "_read", "_value")

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._value: T | None = None
        self._failure: Undecodable | None = None

    def get(self) -> T:
        """The part.

        Raises:
            Undecodable: It cannot be read.
        """
        if self._value is not None:
            return self._value
        if self._failure is None:
            try:
                self._value = self._read()
            except Undecodable as error:
                self._failure = error
            else:
                return self._value
        # A new one each time: a raised exception gathers a traceback entry with every raise.
        raise Undecodable(self._failure.reason, self._failure.detail)


@lru_cache(maxsize=8)
def marker_search(markers: tuple[bytes, ...]) -> MarkerSearch:
    """A search for any of the markers, all at once; the first is expected to be the most frequent.

    In 17 kB without any it takes 2 µs, where RE2 takes 30 and one `in` for each marker 60: leftmost
    matches let the Aho-Corasick library look at many bytes at a time.
    """
    if not markers or b"" in markers:
        return lambda _: bool(markers)
    find = BytesAhoCorasick(markers, matchkind=MatchKind.LeftmostFirst).find_matches_as_indexes
    step = _PART_BYTES - max(map(len, markers))
    frequent = markers[0]

    def search(data: bytes) -> bool:
        if len(data) <= _PART_BYTES:
            # An `in` ends at the first match; the library finds all of them.
            return data.find(frequent, 0, _FIRST_BYTES) >= 0 or bool(find(data))
        view = memoryview(data)
        return any(find(view[at : at + _PART_BYTES]) for at in range(0, len(data), step))

    return search


def is_kept(trace_id: bytes, trace_state: str, threshold: int) -> bool:
    """Whether sampling keeps a span; one without a valid trace id is kept, to be reported."""
    if len(trace_id) != len(NO_TRACE_ID) or trace_id == NO_TRACE_ID:
        return True
    if "rv:" in trace_state:
        return randomness(trace_id.hex(), trace_state) >= threshold
    return int.from_bytes(trace_id[-_RANDOM_BYTES:], "big") >= threshold


def valid_ids(trace_id: bytes, span_id: bytes) -> tuple[str, str]:
    """Both ids as lower-case hex.

    Raises:
        Undecodable: `invalid_id`: one has another length than the specification's, or is zero.
    """
    if len(trace_id) != len(NO_TRACE_ID) or trace_id == NO_TRACE_ID:
        raise _invalid_id("trace", trace_id, len(NO_TRACE_ID))
    if len(span_id) != len(NO_SPAN_ID) or span_id == NO_SPAN_ID:
        raise _invalid_id("span", span_id, len(NO_SPAN_ID))
    return trace_id.hex(), span_id.hex()


def hex_id(identifier: bytes, zero: bytes) -> str | None:
    """An id as hex; None where it names nothing, being zero, absent or of a wrong length."""
    return None if len(identifier) != len(zero) or identifier == zero else identifier.hex()


def check_count(what: str, count: int, limits: Limits) -> None:
    """Refuse a span that repeats something too often.

    Raises:
        Undecodable: `too_many`.
    """
    if count > limits.attributes_per_span:
        raise Undecodable(
            DeadLetterReason.TOO_MANY,
            f"{count} {what} on one span; limits.attributes_per_span is "
            f"{limits.attributes_per_span}",
        )


def check_levels(levels: int) -> None:
    """Refuse another level of nesting where none is left.

    Raises:
        Undecodable: `too_deep`.
    """
    if levels <= 0:
        raise too_deep("an attribute value")


def too_deep(what: str) -> Undecodable:
    """The error for values that are nested deeper than anyone reads."""
    return Undecodable(DeadLetterReason.TOO_DEEP, f"{what} is nested too deeply")


def _invalid_id(kind: str, identifier: bytes, size: int) -> Undecodable:
    fault = "is zero" if len(identifier) == size else f"has {len(identifier)} bytes, not {size}"
    return Undecodable(DeadLetterReason.INVALID_ID, f"{kind} id {fault}")
