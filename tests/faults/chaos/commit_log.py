"""What the consumer groups have committed, in order, as a real Kafka keeps it.

Each commit is a record of `__consumer_offsets`; its format is that of Kafka's own coordinator
(`OffsetCommitKey.json` and `OffsetCommitValue.json` in its sources).
"""

import struct
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from support.workers import read_topic

from workers import offset_metadata

_TOPIC = "__consumer_offsets"
_COMMIT_KEYS = (0, 1)
"""Versions of a key that belongs to a commit; other records are the group's own."""
_LEADER_EPOCH_SINCE, _COMPACT_SINCE = 3, 4
"""Versions of a value since which it has these."""
_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Committed:
    """One commit of one partition.

    Attributes:
        at_ms: When the broker took it, Unix milliseconds.
        done: Offsets above `offset` that its metadata calls done.
    """

    group: str
    partition: int
    offset: int
    done: frozenset[int]
    at_ms: int


@dataclass(frozen=True, slots=True)
class Audit:
    """What the commits of a run say about the promise.

    Attributes:
        commits: How many there were.
        early: Offsets that a commit calls done before all of their outcomes were on the broker.
        backward: Commits below an earlier one of their group and partition: of one who does not
            own the partition any more.
        examples: The first few of both, in words.
    """

    commits: int
    early: int
    backward: int
    examples: Sequence[str]


def read_commits(
    bootstrap_servers: str, groups: Collection[str], topic: str
) -> dict[tuple[str, int], list[Committed]]:
    """All commits of these groups on a topic, by group and partition, the oldest first."""
    found: dict[tuple[str, int], list[Committed]] = {}
    for message in read_topic(bootstrap_servers, _TOPIC):
        key, value = message.key(), message.value()
        if not isinstance(key, bytes) or not isinstance(value, bytes):
            continue
        one = _commit(key, value, topic)
        if one is not None and one.group in groups:
            found.setdefault((one.group, one.partition), []).append(one)
    return found


def audit(
    commits: Mapping[tuple[str, int], Sequence[Committed]],
    finished_ms: Mapping[tuple[str, int, int], int],
) -> Audit:
    """Hold each commit against the topic.

    Args:
        commits: As `read_commits` gives them.
        finished_ms: When all that a record owes was on the broker for the first time, by group,
            partition and offset; offsets that owe nothing are not in it.
    """
    early = backward = 0
    examples: list[str] = []
    for (group, partition), history in commits.items():
        checked: set[int] = set()
        highest = 0  # the topic is new and read from its beginning
        for one in history:
            where = f"{group}[{partition}]: commit of {one.offset}"
            if one.offset < highest:
                backward += 1
                examples.append(f"{where} came after one of {highest}")
            covered = {*range(highest, one.offset), *one.done} - checked
            highest = max(highest, one.offset)
            checked |= covered
            for offset in covered:
                finished = finished_ms.get((group, partition, offset), 0)
                if finished > one.at_ms:
                    early += 1
                    examples.append(f"{where} {finished - one.at_ms} ms before {offset} was done")
    return Audit(sum(map(len, commits.values())), early, backward, examples[:_EXAMPLES])


def _commit(key: bytes, value: bytes, topic: str) -> Committed | None:
    (version,) = struct.unpack_from(">h", key)
    if version not in _COMMIT_KEYS:
        return None
    group, at = _string(key, 2)
    name, at = _string(key, at)
    if name != topic:
        return None
    (partition,) = struct.unpack_from(">i", key, at)
    (value_version, offset) = struct.unpack_from(">hq", value)
    start = 10 + (4 if value_version >= _LEADER_EPOCH_SINCE else 0)
    is_compact = value_version >= _COMPACT_SINCE
    metadata, end = (_compact_string if is_compact else _string)(value, start)
    (at_ms,) = struct.unpack_from(">q", value, end)
    _, done = offset_metadata.decode(metadata, offset)
    return Committed(group, partition, offset, done, at_ms)


def _string(data: bytes, start: int) -> tuple[str, int]:
    (length,) = struct.unpack_from(">h", data, start)
    end = start + 2 + length
    return data[start + 2 : end].decode(), end


def _compact_string(data: bytes, start: int) -> tuple[str, int]:
    """A string whose length, plus one, is a LEB128 number."""
    length = shift = 0
    while True:
        byte = data[start]
        length |= (byte & 0x7F) << shift
        start += 1
        shift += 7
        if not byte & 0x80:
            break
    end = start + length - 1
    return data[start:end].decode(), end


def finished_by_record(
    places: Iterable[tuple[tuple[str, int, int], Mapping[str, int | None]]],
) -> dict[tuple[str, int, int], int]:
    """When all of a record's spans had their outcomes: the latest of their times, by group.

    Args:
        places: For each span, where its record stands and, by group, when its outcomes were there;
            None where one is still missing.
    """
    finished: dict[tuple[str, int, int], int] = {}
    never = 1 << 62
    for (_, partition, offset), times in places:
        for group, at_ms in times.items():
            key = (group, partition, offset)
            finished[key] = max(finished.get(key, 0), never if at_ms is None else at_ms)
    return finished
