"""YAML as a person wrote it: plain data, and the line on which each key and value stands.

Stricter than the usual loader: a key may stand once, only true and false are booleans, there are
no tags that build objects, and aliases cannot blow a small file up.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .errors import ConfigError

Location = tuple[str | int, ...]
"""Keys and list indices from the root of a document to a value."""

MAX_NODES = 100_000
MAX_DEPTH = 50

_QUOTED = re.compile(r" '(?!<)[^']{3,}'")
"""What the YAML parser quotes from the file: a password that begins with * or ! is such a value."""
_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))

# The core schema of YAML 1.2: `no` is a word, `1:30` is text, dates stay as written.
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_WHOLE = re.compile(r"[-+]?[0-9]{1,40}|0o[0-7]{1,40}|0x[0-9a-fA-F]{1,40}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")


@dataclass(slots=True)
class Document:
    """One YAML document.

    Attributes:
        path: Where it was read from, for messages.
        data: Dicts with text keys, lists, text, numbers, booleans and None.
        lines: 1-based line of each value; of its key, where the value is a mapping or list.
        texts: Each scalar as it is written in the file.
    """

    path: Path
    data: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    texts: dict[Location, str] = field(default_factory=dict)

    def error(self, message: str, location: Location) -> ConfigError:
        """An error at `location`, or at the nearest place above it that is in the file."""
        nearest = location
        while nearest and nearest not in self.lines:
            nearest = nearest[:-1]
        line = self.lines.get(nearest)
        return ConfigError(message, path=self.path, line=line, key=dotted(location) or None)


def dotted(location: Location) -> str:
    """A location as people write it: `routes[0].when`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def read_text(path: Path) -> str:
    """Read a file of UTF-8 text.

    Raises:
        ConfigError: It is not there, cannot be read, or is no UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        fault = (error.strerror or str(error)).lower()
        raise ConfigError(f"cannot be read: {fault}", path=path) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(
            "is no UTF-8 text; save it in that encoding", path=path, line=line
        ) from error


def read_yaml(path: Path) -> Document:
    """Read a file that holds one YAML document.

    Raises:
        ConfigError: It cannot be read, is no YAML, repeats a key, or is larger than any config is.
    """
    return parse_yaml(read_text(path), path)


def parse_yaml(text: str, path: Path) -> Document:
    """Read one YAML document from text that came from `path`.

    Raises:
        ConfigError: It is no YAML, repeats a key, or is larger than any config is.
    """
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        fault = ", ".join(part for part in (error.context, error.problem) if part)
        fault = _QUOTED.sub("", fault)
        raise ConfigError(
            f"is not valid YAML: {fault}", path=path, line=mark.line + 1 if mark else None
        ) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            "has a control character that YAML does not allow; remove it", path=path, line=line
        ) from error
    except RecursionError:
        raise _too_deep(path, None) from None
    except (ValueError, OverflowError) as error:  # "\\UFFFFFFFF": the parser asks chr() for it
        raise ConfigError("has an escape that is no character; remove it", path=path) from error
    if root is None:
        raise ConfigError("is empty; write its keys into it", path=path)
    return _Builder(path).build(root)


def _too_deep(path: Path, line: int | None) -> ConfigError:
    return ConfigError(
        f"is nested more than {MAX_DEPTH} levels deep; flatten it", path=path, line=line
    )


class _Builder:
    """Turns YAML nodes into a `Document`, keeping count of what it makes."""

    def __init__(self, path: Path) -> None:
        self._document = Document(path)
        self._made = 0

    def build(self, root: yaml.Node) -> Document:
        self._document.data = self._value(root, (), _line(root))
        return self._document

    def _value(self, node: yaml.Node, location: Location, key_line: int) -> Any:
        # An alias is the same node again: it is counted each time, so a bomb ends here.
        self._made += 1
        if self._made > MAX_NODES:
            raise self._error(f"has more than {MAX_NODES} values, aliases written out", node)
        if len(location) > MAX_DEPTH:
            raise _too_deep(self._document.path, _line(node))
        if node.tag not in _TAGS:
            raise self._error(
                "uses a tag; only plain YAML is read: put text that begins with ! between quotes",
                node,
            )
        if isinstance(node, yaml.ScalarNode):
            text = self._text(node)
            self._document.lines[location] = _line(node)
            self._document.texts[location] = text
            return _plain_value(text) if node.style is None else text
        self._document.lines[location] = key_line
        if isinstance(node, yaml.SequenceNode):
            return [
                self._value(item, (*location, index), _line(item))
                for index, item in enumerate(node.value)
            ]
        return dict(self._items(node, location))

    def _items(self, node: yaml.Node, location: Location) -> Iterator[tuple[str, Any]]:
        seen: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error("has a key that is no text", key_node)
            key = self._text(key_node)
            if key == "<<":
                raise self._error('uses the merge key "<<"; write the keys out', key_node)
            if key in seen:
                name = dotted((*location, key))
                raise self._error(
                    f"{name} stands twice, first in line {seen[key]}; keep one of them", key_node
                )
            seen[key] = line
            yield key, self._value(value_node, (*location, key), line)

    def _text(self, node: yaml.ScalarNode) -> str:
        text: str = node.value
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise self._error("has an escape that is half a character; remove it", node)
        return text

    def _error(self, message: str, node: yaml.Node) -> ConfigError:
        return ConfigError(message, path=self._document.path, line=_line(node))


def _plain_value(text: str) -> Any:
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _WHOLE.fullmatch(text):
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
