"""Traces that wait in a test: records with real claims, and time that passes when told to."""

from collections.abc import Mapping, Sequence
from typing import Any

from support.samples import span

from evaluators.contract import Settings
from evaluators.judged.task_completion import TaskCompletion
from schemas.config import EvaluatorConfig, RouteConfig, TracesConfig
from schemas.events import Event
from schemas.outcome import Source
from schemas.span import Span
from workers.configured import Configured
from workers.offset_metadata import Beginning
from workers.offsets import Offsets, Partition
from workers.router import Router, Selected
from workers.trace import Part, SharedClaim, Trace
from workers.traces import Traces
from workers.whole_trace import Head

P: Partition = ("spans", 0)
START = 1_790_000_000_000_000_000
EVALUATOR = Configured(
    "task_completion",
    EvaluatorConfig(),
    TaskCompletion(Settings("task_completion", has_judge=True)),
    None,
    None,
)
EVALUATORS = {"task_completion": EVALUATOR}
SELECTED = Selected("task_completion", ("agents",), 0.5, "redacted", None)


def trace_id(number: int) -> str:
    """A trace id for tests."""
    return f"{number:032x}"


def call(number: int, *, trace: int = 1, parent: str | None = "ffffffffffffffff", **f: Any) -> Span:
    """An LLM call so many seconds after the start, child of a span that is not there."""
    known = {
        "trace_id": trace_id(trace),
        "span_id": f"{number:016x}",
        "parent_span_id": parent,
        "start_unix_nano": START + number * 1_000_000_000,
        "end_unix_nano": START + number * 1_000_000_000 + 500_000_000,
    }
    return span(**known | f)


class Waiting:
    """A `Traces` with one partition.

    Attributes:
        events: What it emitted.
    """

    def __init__(self, **config: Any) -> None:
        """Begin; `config` is section `traces`."""
        routes = [RouteConfig(name="agents", when="true", evaluators=("task_completion",))]
        self.events: list[Event] = []
        self.router = Router(routes, self.events.append)
        self.offsets = Offsets()
        self.offsets.assign(P, 0, Beginning(1, 0, "cjt"), None)
        self.traces = Traces(
            TracesConfig.model_validate(config),
            combine=self.router.combine,
            emit=self.events.append,
        )
        self._next = 0

    def record(self) -> SharedClaim:
        """The claim of the next record."""
        claim = self.offsets.deliver(P, self._next, 0.0)
        assert claim is not None
        self._next += 1
        return SharedClaim(claim)

    def read(
        self,
        *spans: Span,
        heads: Sequence[Head] = (),
        selected: Mapping[str, Selected] | None = None,
        is_keyed: bool = True,
        size_bytes: int = 100,
    ) -> None:
        """Read the next record, with spans of one or several traces."""
        share = self.record()
        for one in dict.fromkeys(s.trace_id for s in spans) or [trace_id(1)]:
            mine = [s for s in spans if s.trace_id == one]
            part = Part(
                one,
                Source(*P, share.claim.offset),
                mine,
                heads,
                {"task_completion": SELECTED} if selected is None else selected,
                is_keyed=is_keyed,
                size_bytes=size_bytes,
            )
            self.traces.add(part, share)
        share.let_go()

    def after(self, seconds: float) -> list[Trace]:
        """Let time pass; the traces that wait no more."""
        self.traces.advance(seconds)
        found = []
        while (trace := self.traces.take()) is not None:
            found.append(trace)
        return found

    def committed(self) -> int:
        """The watermark: all below it is done."""
        return self.offsets.positions()[P]

    def told(self, kind: type[Event]) -> list[Event]:
        """The events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]
