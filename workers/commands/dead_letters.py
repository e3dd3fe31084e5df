"""`assay dead-letters list` and `show`: what could not be read, and why."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from schemas.config import Config
from schemas.errors import AssayError, ConfigError
from schemas.outcome import Source
from workers.letters import Letter
from workers.topic_reader import TopicReader

from .common import cell, print_json, progress_bar, safe
from .kafka_client import check_client
from .tables import notes_on, print_table, table_of

_PREVIEW_BYTES = 2048


class NotFound(AssayError):  # noqa: N818  named for what happened
    """No dead letter comes from that offset."""


def read_origin(text: str) -> Source:
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
    return Source(topic, int(partition), int(offset))


def list_all(
    config: Config, *, since_s: float, reason: str | None, limit: int, as_lines: bool
) -> None:
    """Print the dead letters of the last `since_s` seconds, the newest `limit` of them.

    Raises:
        ConfigError: `kafka.client` is wrong.
        TopicUnreadable: The topic is not there, or no broker answers.
    """
    found = (letter for letter, _ in _read(config, since_s))
    letters = [letter for letter in found if reason in (None, letter.reason)]
    shown = sorted(letters, key=lambda letter: letter.written_ms)[-limit:]
    if as_lines:
        print_json(map(_as_object, shown))
        return
    table = table_of("written at", "origin", "reason", "part", "bytes", "detail")
    for letter in shown:
        size = "only a stub" if letter.size_bytes is None else str(letter.size_bytes)
        said = (cell(str(letter.source)), cell(letter.reason))
        table.add_row(_moment(letter), *said, _part(letter), size, cell(letter.detail))
    print_table(table, *notes_on("dead letter", len(shown), len(letters)))


def show(config: Config, origin: Source, *, since_s: float, out: Path | None) -> None:
    """Print what is known of the dead letters from one offset; their bytes go to `out`.

    Raises:
        ConfigError: `kafka.client` is wrong, or `out` cannot be written.
        NotFound: There is none, or with `out`, none with bytes.
        TopicUnreadable: The topic is not there, or no broker answers.
    """
    letters = [each for each in _read(config, since_s) if each[0].source == origin]
    if not letters:
        raise NotFound(f"{origin}: no dead letter comes from there; a longer --since looks further")
    if out is not None:
        kept = [value for _, value in letters if value is not None]
        if not kept:
            raise NotFound(f"{origin}: the dead letter is only a stub, without the bytes")
        try:
            out.write_bytes(kept[-1])
        except OSError as error:
            raise ConfigError(f"--out {out}: {(error.strerror or str(error)).lower()}") from error
        return
    console = Console(highlight=False, markup=False)
    for letter, content in letters:
        for name, value in _as_object(letter).items():
            console.print(f"{name:<11}{safe(str(value))}", soft_wrap=True)
        preview = (content or b"")[:_PREVIEW_BYTES]
        console.print(safe(preview.decode("utf-8", "replace")), soft_wrap=True)


def _read(config: Config, since_s: float) -> Iterator[tuple[Letter, bytes | None]]:
    """The dead letters of the last `since_s` seconds, each with its bytes; None: it is a stub."""
    check_client(config)
    with progress_bar() as progress, TopicReader(config.kafka, "dead-letters") as reader:
        found = reader.stretches(config.kafka.dead_letters, time.time() - since_s)
        bar = progress.add_task("reading", total=found.records)
        for record in reader.read(found, found.parts, partial(progress.advance, bar)):
            letter = Letter.of(record)
            if letter is not None:
                yield letter, None if letter.size_bytes is None else record.value


def _as_object(letter: Letter) -> dict[str, Any]:
    """For machines, without the bytes."""
    return {
        "written_at": _moment(letter),
        "origin": str(letter.source),
        "reason": letter.reason,
        "detail": letter.detail,
        "part": _part(letter),
        "bytes": letter.size_bytes,
    }


def _part(letter: Letter) -> str:
    return "span" if letter.is_span else "record"


def _moment(letter: Letter) -> str:
    return datetime.fromtimestamp(letter.written_ms / 1000, UTC).isoformat(timespec="seconds")
