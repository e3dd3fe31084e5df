"""What cannot be read goes to the dead-letter topic, with its origin, reason and bytes.

Within a limit: a bad deploy upstream must not flush the whole span topic through here, so too many
unreadable records in a row, or too large a share of the last ones, stop the worker instead.
"""

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

from schemas.config import DeadLettersConfig
from schemas.errors import WorkerStopped
from schemas.events import DeadLettered, Emit
from schemas.reasons import DeadLetterReason

from .publisher import Outgoing, Publisher, TooLarge

_TRACE_KEY = re.compile(rb"[0-9a-fA-F]{32}")
_VERSION = version("assay").encode()
_STUB_REASONS = frozenset({DeadLetterReason.TOO_LARGE, DeadLetterReason.BAD_COMPRESSION})


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record, or one span of it, that could not be read, and where it came from."""

    topic: str
    partition: int
    offset: int
    timestamp_s: float
    """When the record was written; 0: nobody knows."""
    key: bytes | None
    value: bytes | None
    """The bytes as they were; None where there is only a stub."""
    reason: DeadLetterReason
    detail: str
    is_span: bool = False
    """One span of a record that was read otherwise; `value` is that span alone."""


class DeadLetters:
    """Publishes dead letters; a letter that is too large, or may not be kept, becomes a stub."""

    def __init__(self, publisher: Publisher, topic: str, *, content: str, emit: Emit) -> None:
        self._publisher = publisher
        self._topic = topic
        self._content = content
        self._emit = emit

    async def publish(self, letters: Sequence[DeadLetter]) -> None:
        """Return when the broker has acknowledged every letter."""
        for letter in letters:
            keeps = self._content == "full" and letter.reason not in _STUB_REASONS
            try:
                await self._send(letter if keeps else self._stub(letter))
            except TooLarge:  # also by its key, which may be as large as a value
                await self._send(replace(letter, key=None, value=None))
            self._emit(
                DeadLettered(
                    letter.topic, letter.partition, letter.offset, letter.reason, letter.detail
                )
            )

    async def _send(self, letter: DeadLetter) -> None:
        await self._publisher.send([letter_message(self._topic, letter)])

    def _stub(self, letter: DeadLetter) -> DeadLetter:
        """The letter without its bytes, and without a key that may be anything."""
        key = letter.key
        has_key = self._content == "full" or (key is not None and _TRACE_KEY.fullmatch(key))
        return replace(letter, key=key if has_key else None, value=None)


def letter_message(topic: str, letter: DeadLetter) -> Outgoing:
    """A dead letter as it stands on its topic: the bytes, and what is known of them as headers."""
    headers = {
        "assay.reason": letter.reason.encode(),
        "assay.detail": letter.detail.encode("utf-8", "replace"),
        "assay.topic": letter.topic.encode(),
        "assay.partition": str(letter.partition).encode(),
        "assay.offset": str(letter.offset).encode(),
        "assay.timestamp_ms": str(int(letter.timestamp_s * 1000)).encode(),
        "assay.part": b"span" if letter.is_span else b"record",
        "assay.stub": b"true" if letter.value is None else b"false",
        "assay.version": _VERSION,
    }
    return Outgoing(topic, letter.key, letter.value or b"", tuple(headers.items()))


class Limit:
    """Decides when so much is unreadable that going on would only move the topic elsewhere."""

    def __init__(self, config: DeadLettersConfig) -> None:
        self._config = config
        self._in_a_row = 0
        self._recent: deque[bool] = deque(maxlen=config.ratio_window)
        self._bad = 0

    def count(self, *, readable: bool, what: str) -> None:
        """Take one record into account.

        Args:
            readable: Whether it could be read.
            what: Where it stands and what was wrong, for the error.

        Raises:
            WorkerStopped: A limit of `dead_letters` is passed.
        """
        if len(self._recent) == self._recent.maxlen:
            self._bad -= not self._recent[0]
        self._recent.append(readable)
        self._bad += not readable
        self._in_a_row = 0 if readable else self._in_a_row + 1
        if self._in_a_row > self._config.max_consecutive:
            raise WorkerStopped(
                f"{what}: the {self._in_a_row}th unreadable record in a row; the worker stopped at "
                "dead_letters.max_consecutive so that the topic does not drain into the dead "
                "letters: check kafka.encoding and what writes to the topic"
            )
        full = len(self._recent) == self._recent.maxlen
        if full and self._bad > self._config.max_ratio * self._config.ratio_window:
            raise WorkerStopped(
                f"{what}: {self._bad} of the last {self._config.ratio_window} records cannot be "
                "read; the worker stopped at dead_letters.max_ratio: check kafka.encoding and what "
                "writes to the topic"
            )
