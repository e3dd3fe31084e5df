"""`assay dead-letters list` and `show`: what could not be read, and why."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from schemas.config import Config
from schemas.errors import AssayError, ConfigError
from workers.topic_reader import Read, TopicReader

from .common import cell, print_json, progress_bar, safe
from .kafka_client import check_client
from .tables import print_table, table_of

_PREVIEW_BYTES = 2048


class NotFound(AssayError):  # noqa: N818  named for what happened
    """No dead letter comes from that offset."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a record stands, or stood: written `topic/partition/offset`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> "Origin":
        """Read an origin as `assay dead-letters list` prints it.

        Raises:
            ConfigError: It is none.
        """
        topic, _, rest = text.partition("/")
        partition, _, offset = rest.partition("/")
        if not (topic and partition.isdecimal() and offset.isdecimal()):
            raise ConfigError(
                f'"{text}" is no origin; write topic/partition/offset, such as otlp_spans/3/1234'
            )
        return cls(topic, int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter as it stands on the topic.

    Attributes:
        written_ms: When it was written, milliseconds since 1970.
        origin: The record that could not be read, or holds the span that could not.
        value: Its bytes; None where the letter is a stub, which only says where they are.
    """

    written_ms: int
    origin: Origin
    reason: str
    detail: str
    is_span: bool
    key: bytes | None
    value: bytes | None

    @classmethod
    def of(cls, record: Read) -> "Letter | None":
        """Read a record of the dead-letter topic; None where it is no dead letter."""
        headers: Mapping[str, bytes | None] = dict(record.headers)

        def text(name: str) -> str:
            return (headers.get(f"assay.{name}") or b"").decode("utf-8", "replace")

        partition, offset = text("partition"), text("offset")
        if not (text("reason") and partition.isdecimal() and offset.isdecimal()):
            return None
        return cls(
            written_ms=record.timestamp_ms,
            origin=Origin(text("topic"), int(partition), int(offset)),
            reason=text("reason"),
            detail=text("detail"),
            is_span=text("part") == "span",
            key=record.key,
            value=None if text("stub") == "true" else record.value,
        )

    def as_object(self) -> dict[str, Any]:
        """For machines, without the bytes."""
        return {
            "written_at": _moment(self.written_ms),
            "origin": str(self.origin),
            "reason": self.reason,
            "detail": self.detail,
            "part": "span" if self.is_span else "record",
            "bytes": None if self.value is None else len(self.value),
        }


def list_all(
    config: Config, *, since_s: float, reason: str | None, limit: int, as_lines: bool
) -> None:
    """Print the dead letters of the last `since_s` seconds, the newest `limit` of them.

    Raises:
        ConfigError: `kafka.client` is wrong.
        TopicUnreadable: The topic is not there, or no broker answers.
    """
    letters = read(config, since_s, lambda letter: reason in (None, letter.reason))
    shown = sorted(letters, key=lambda letter: letter.written_ms)[-limit:]
    if as_lines:
        print_json(letter.as_object() for letter in shown)
        return
    table = table_of("written at", "origin", "reason", "part", "bytes", "detail")
    for letter in shown:
        size = "only a stub" if letter.value is None else str(len(letter.value))
        part = "span" if letter.is_span else "record"
        origin, reason_cell = cell(str(letter.origin)), cell(letter.reason)
        table.add_row(
            _moment(letter.written_ms), origin, reason_cell, part, size, cell(letter.detail)
        )
    notes = [] if shown else ["no dead letter matches; --since looks further back"]
    if len(letters) > len(shown):
        notes.append(f"{len(letters) - len(shown)} older ones match; --limit shows more")
    print_table(table, *notes)


def show(config: Config, origin: Origin, *, since_s: float, out: Path | None) -> None:
    """Print what is known of the dead letters from one offset; their bytes go to `out`.

    Raises:
        ConfigError: `kafka.client` is wrong, or `out` cannot be written.
        NotFound: There is none, or with `out`, none with bytes.
        TopicUnreadable: The topic is not there, or no broker answers.
    """
    letters = read(config, since_s, lambda letter: letter.origin == origin)
    if not letters:
        raise NotFound(f"{origin}: no dead letter comes from there; a longer --since looks further")
    if out is not None:
        kept = [letter.value for letter in letters if letter.value is not None]
        if not kept:
            raise NotFound(f"{origin}: the dead letter is only a stub, without the bytes")
        try:
            out.write_bytes(kept[-1])
        except OSError as error:
            raise ConfigError(f"--out {out}: {(error.strerror or str(error)).lower()}") from error
        return
    console = Console(highlight=False, markup=False)
    for letter in letters:
        for name, value in letter.as_object().items():
            console.print(f"{name:<11}{safe(str(value))}", soft_wrap=True)
        preview = (letter.value or b"")[:_PREVIEW_BYTES]
        console.print(safe(preview.decode("utf-8", "replace")), soft_wrap=True)


def read(config: Config, since_s: float, takes: Callable[[Letter], bool]) -> list[Letter]:
    """The dead letters of the last `since_s` seconds that `takes` wants; one each time it came."""
    check_client(config)
    with progress_bar() as progress, TopicReader(config.kafka, "dead-letters") as reader:
        found = reader.stretches(config.kafka.dead_letters, time.time() - since_s)
        bar = progress.add_task("reading", total=found.records)
        records = reader.read(found, found.parts, partial(progress.advance, bar))
        letters = (Letter.of(record) for record in records)
        return [letter for letter in letters if letter is not None and takes(letter)]


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds")
