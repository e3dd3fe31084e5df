"""What travels in the metadata of a commit: how the group began, and what is done above the offset.

Kafka stores up to 4,096 bytes of text with each committed offset. A worker that takes over a
partition reads there which records above the watermark are done, and judges none of them again.

    v1 n6 s120 lcj r:AQID...
    │  │  │    │   └ done offsets above the watermark: `r` runs or `b` bitmap, whichever is shorter
    │  │  │    └ lanes that existed when the group began (c code, j judge, t trace)
    │  │  └ offset at which this partition began
    │  └ partitions that the topic had when the group began
    └ version
"""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass

MAX_BYTES = 4096
"""The broker's `offset.metadata.max.bytes` unless somebody changed it."""

_TAIL_FIELD = 4
_FIELDS = 5


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a group began on one partition; carried unchanged through every commit.

    Attributes:
        partitions: Partitions of the topic then: a higher one was added later.
        start: Offset at which this partition began.
        lanes: Initials of the lanes that existed then.
    """

    partitions: int
    start: int
    lanes: str


def encode(beginning: Beginning, watermark: int, done: Iterable[int]) -> str:
    """Write the metadata of a commit at `watermark`; the result may pass `MAX_BYTES`.

    Args:
        beginning: How the group began on this partition.
        watermark: The offset that is committed: all below it is done.
        done: Offsets above the watermark that are done too, ascending.
    """
    header = f"v1 n{beginning.partitions} s{beginning.start} l{beginning.lanes}"
    offsets = [offset - watermark for offset in done]
    if not offsets:
        return f"{header} r:"
    runs, bitmap = _runs(offsets), _bitmap(offsets)
    kind, raw = ("r", runs) if len(runs) <= len(bitmap) else ("b", bitmap)
    return f"{header} {kind}:{b64encode(raw).decode()}"


def decode(metadata: str | None, watermark: int) -> tuple[Beginning | None, frozenset[int]]:
    """Read the metadata of a commit: how the group began, and the done offsets above `watermark`.

    Metadata that is not ours (another tool reset the offsets) says nothing: `(None, frozenset())`,
    which costs repeated work and never loses any.
    """
    fields = (metadata or "").split(" ")
    if len(fields) != _FIELDS or fields[0] != "v1":
        return None, frozenset()
    try:
        beginning = Beginning(int(fields[1][1:]), int(fields[2][1:]), fields[3][1:])
        kind, _, text = fields[_TAIL_FIELD].partition(":")
        raw = b64decode(text, validate=True)
        offsets = _from_runs(raw) if kind == "r" else _from_bitmap(raw)
    except (ValueError, IndexError):
        return None, frozenset()
    return beginning, frozenset(watermark + offset for offset in offsets)


def _runs(offsets: list[int]) -> bytes:
    """Alternating lengths of not-done and done stretches, as LEB128 numbers."""
    out = bytearray()
    position = 0
    index = 0
    while index < len(offsets):
        begin = end = offsets[index]
        while index + 1 < len(offsets) and offsets[index + 1] == end + 1:
            index += 1
            end += 1
        index += 1
        for number in (begin - position, end - begin + 1):
            rest = number
            while rest >= 0x80:  # noqa: PLR2004  seven bits a byte
                out.append(rest & 0x7F | 0x80)
                rest >>= 7
            out.append(rest)
        position = end + 1
    return bytes(out)


def _from_runs(raw: bytes) -> list[int]:
    numbers: list[int] = []
    value = shift = 0
    for byte in raw:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            numbers.append(value)
            value = shift = 0
    offsets: list[int] = []
    position = 0
    for gap, length in zip(numbers[::2], numbers[1::2], strict=True):
        offsets.extend(range(position + gap, position + gap + length))
        position += gap + length
    return offsets


def _bitmap(offsets: list[int]) -> bytes:
    bits = bytearray(offsets[-1] // 8 + 1)
    for offset in offsets:
        bits[offset >> 3] |= 1 << (offset & 7)
    return bytes(bits)


def _from_bitmap(raw: bytes) -> list[int]:
    bits = int.from_bytes(raw, "little")
    return [index for index in range(bits.bit_length()) if bits >> index & 1]
