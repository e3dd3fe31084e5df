"""In which partition a keyed record lies: guesses, the likely ones first.

Nothing in Kafka says how a producer has chosen. Three ways are in use by default: FNV-1a in Go (the
OpenTelemetry collector, as Sarama does it), murmur2 in Java, CRC-32 in librdkafka (Assay's own
topics). A guess that is wrong costs time and nothing else: whoever searches goes on.
"""

from collections.abc import Callable, Sequence
from zlib import crc32

_WORD = 0xFFFFFFFF
_SIGN = 0x80000000
_MURMUR = 0x5BD1E995
_MURMUR_SEED = 0x9747B28C


def fnv1a(key: bytes, partitions: int) -> int:
    """As Go's Sarama, and so the collector, chooses."""
    state = 0x811C9DC5
    for byte in key:
        state = (state ^ byte) * 0x01000193 & _WORD
    signed = state - (state & _SIGN) * 2
    return abs(signed) % partitions  # Go's remainder has the dividend's sign, and that is dropped


def murmur2(key: bytes, partitions: int) -> int:
    """As Java's producer chooses."""
    state = (_MURMUR_SEED ^ len(key)) & _WORD
    whole = len(key) - len(key) % 4
    for at in range(0, whole, 4):
        word = int.from_bytes(key[at : at + 4], "little") * _MURMUR & _WORD
        word = (word ^ word >> 24) * _MURMUR & _WORD
        state = (state * _MURMUR & _WORD) ^ word
    if rest := key[whole:]:
        state = (state ^ int.from_bytes(rest, "little")) * _MURMUR & _WORD
    state = (state ^ state >> 13) * _MURMUR & _WORD
    state ^= state >> 15
    return (state & ~_SIGN) % partitions


def crc_32(key: bytes, partitions: int) -> int:
    """As librdkafka chooses."""
    return crc32(key) % partitions


PARTITIONERS: Sequence[Callable[[bytes, int], int]] = (fnv1a, murmur2, crc_32)


def likely_partitions(key: bytes, partitions: int) -> list[int]:
    """Where a record with this key may lie, the likeliest first, none twice.

    Args:
        key: The record's key, not empty.
        partitions: How many partitions the topic has.
    """
    return list(dict.fromkeys(choose(key, partitions) for choose in PARTITIONERS))
