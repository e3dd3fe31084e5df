"""The captured exports of real libraries, and spans made by hand for what was not captured."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.limits import Limits
from schemas.otlp import Encoding, decode
from schemas.plan import Plan
from schemas.span import RawSpan, SpanEvent

FOLDER = Path(__file__).parent.parent / "data" / "spans"


@dataclass(frozen=True)
class Capture:
    """One export of one library.

    Attributes:
        path: Of the export, in protobuf or JSON.
        expected: What really happened, or None where that is a matter of judgement.
    """

    path: Path
    expected: dict[str, Any] | None

    @property
    def name(self) -> str:
        """Folder and file, such as `openlit/chat.pb`."""
        return f"{self.path.parent.name}/{self.path.name}"

    def spans(self) -> list[RawSpan]:
        """Every span of the export, in its order."""
        return self.marked_spans((b"",))

    def marked_spans(self, markers: tuple[bytes, ...]) -> list[RawSpan]:
        """The spans of the export that hold one of `markers`."""
        plan = Plan(markers=markers, usage_keys=frozenset())
        return decode(self.path.read_bytes(), Encoding.AUTO, Limits(), plan).spans


def captures() -> list[Capture]:
    """Every export of the folder, each in both encodings."""
    found = []
    for path in sorted(FOLDER.glob("*/*")):
        if path.suffix == ".pb" or (path.suffix == ".json" and path.suffixes == [".json"]):
            expected = path.with_suffix(".expected.json")
            found.append(
                Capture(path, json.loads(expected.read_bytes()) if expected.exists() else None)
            )
    return found


def raw_span(
    attributes: Mapping[str, Any] | None = None,
    *,
    name: str = "span",
    scope: str = "tests",
    events: Sequence[tuple[str, Mapping[str, Any]]] = (),
    resource: Mapping[str, Any] | None = None,
    status_code: int = 0,
) -> RawSpan:
    """Make a span that lasts one second."""
    return RawSpan(
        trace_id="0af7651916cd43dd8448eb211c80319c",
        span_id="b7ad6b7169203331",
        parent_span_id=None,
        trace_state="",
        name=name,
        start_unix_nano=1_000_000_000,
        end_unix_nano=2_000_000_000,
        attributes=dict(attributes or {}),
        events=tuple(SpanEvent(event, dict(body)) for event, body in events),
        links=(),
        status_code=status_code,
        status_message="",
        scope_name=scope,
        scope_version="1.0",
        resource=dict(resource or {}),
    )
