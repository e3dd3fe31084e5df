"""What several commands need: the config, and output that a terminal cannot be tricked by."""

import json
import os
import re
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

import orjson
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from evaluators.options import nearest
from evaluators.registry import available
from schemas.config import Config
from schemas.config_file import load, located
from schemas.errors import ConfigError, PluginError
from schemas.kafka_properties import SECRET_PROPERTIES

T = TypeVar("T")

_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
)


def with_config(path: Path, act: Callable[[Config], T]) -> T:
    """Read a config with this process's environment, and do something with it.

    What shows to be wrong only when the config's parts are built is told with file and line too.

    Raises:
        ConfigError: The config is wrong; the message says where.
    """
    if not path.exists():
        fault = "cannot be read: no such file; name the config with --config FILE"
        raise ConfigError(fault, path=path)
    config = load(path, os.environ, {offer.name for offer in available()})
    try:
        return act(config)
    except ConfigError as error:
        if error.path is not None or error.key is None:
            raise
        raise located(error, path) from error
    except PluginError as error:
        key = f"evaluators.{error.evaluator}"
        raise located(ConfigError(str(error), key=key), path) from error


def secrets_of(config: Config) -> list[str]:
    """The values of the config that no log line may hold.

    Of a header also each word: what is said of a bad one may have other spaces around it.
    """
    judges = config.judges.values()
    sections = [mapping for judge in judges for mapping in (judge.headers, judge.query)]
    if config.outputs.otlp is not None:
        sections.append(config.outputs.otlp.headers)
    values = [value for mapping in sections for value in mapping.values()]
    keys = [judge.api_key.get_secret_value() for judge in judges if judge.api_key is not None]
    client = [str(config.kafka.client.get(name, "")) for name in SECRET_PROPERTIES]
    return [*keys, *client, *values, *(word for value in values for word in value.split())]


def safe(text: str) -> str:
    """Text from a span as it may stand on a terminal: no escapes, no control or bidi characters."""
    return _CONTROL.sub("\ufffd", text)


def cell(text: str | None, limit: int = 200) -> Text:
    """Text from a span as one cell of a table: safe, on one line, cut, and no markup."""
    line = " ".join(safe((text or "")[: 4 * limit]).split())
    return Text(line if len(line) <= limit else f"{line[: limit - 1]}…")


def check_evaluators(names: Iterable[str], named: Collection[str]) -> None:
    """See that some route names each evaluator that `--evaluator` gives.

    Raises:
        ConfigError: None names one.
    """
    for name in names:
        if name not in named:
            raise ConfigError(f'--evaluator "{name}": no route names it; {nearest(name, named)}')


def progress_bar() -> Progress:
    """A bar on a terminal's stderr, gone at the end; nothing where there is no terminal."""
    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def print_json(objects: Iterable[dict[str, Any] | bytes]) -> None:
    """Print one JSON object a line, for machines; bytes are one already."""
    for item in objects:
        sys.stdout.buffer.write((item if isinstance(item, bytes) else _json(item)) + b"\n")
    sys.stdout.buffer.flush()


def _json(item: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(item, default=str)
    except orjson.JSONEncodeError:
        # Spans may hold half a character, from a JSON escape, or a number beyond 64 bits.
        return json.dumps(item, default=_plain).encode()


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)
