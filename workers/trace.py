"""One trace on its way to being whole: what was read of it so far, and the evaluations it asks for.

The claims of all its records are held until its outcomes are acknowledged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

from schemas.duplicates import mark_duplicates
from schemas.outcome import Source
from schemas.reasons import Reason
from schemas.span import Span, SpanKind

from .configured import TRACE, Configured
from .engine import Job
from .offsets import Claim, Partition
from .router import Router, Selected
from .whole_trace import Head, Whole, as_one_call, in_order, root_of


@dataclass(slots=True)
class SharedClaim:
    """A record's claim, held by each trace that the record has spans of.

    Whoever makes it is its first holder. The last one that lets go releases the claim: released by
    the first, the record could be committed while another of its traces still waits.
    """

    claim: Claim
    _holders: int = 1

    def hold(self) -> "SharedClaim":
        """One holder more."""
        self._holders += 1
        return self

    def let_go(self) -> None:
        """One holder less; the last one releases."""
        self._holders -= 1
        if not self._holders:
            self.claim.release()


@dataclass(slots=True)
class TraceClaim:
    """The claims of all records of a trace; as a record's claim to whoever settles it."""

    partition: Partition
    shares: list[SharedClaim] = field(default_factory=list)

    @property
    def is_lost(self) -> bool:
        """Whether the partition was taken away since. All claims are of one epoch."""
        return any(share.claim.is_lost for share in self.shares[:1])

    def may_start(self) -> bool:
        """Whether work may begin now."""
        return all(share.claim.may_start() for share in self.shares[:1])

    def release(self) -> None:
        """Let go of every record."""
        for share in self.shares:
            share.let_go()
        self.shares.clear()


@dataclass(frozen=True, slots=True)
class Part:
    """What one record says of one trace.

    Attributes:
        trace_id: The trace.
        source: The record.
        spans: Its spans of the LLM application.
        heads: Its spans of every kind, as far as they were looked at.
        selected: The trace evaluators that its spans ask for, by name.
        is_keyed: Whether the record's key is the trace's id, so that all of the trace comes here.
        size_bytes: What it keeps in memory: the size of the record.
    """

    trace_id: str
    source: Source
    spans: Sequence[Span]
    heads: Sequence[Head]
    selected: Mapping[str, Selected]
    is_keyed: bool = True
    size_bytes: int = 0

    @property
    def count(self) -> int:
        """Number of its spans."""
        return len({head.span_id for head in self.heads} | {span.span_id for span in self.spans})


@dataclass(slots=True, eq=False)
class Trace:
    """A trace as far as it was read; what stands in two records stands in it once.

    `first_at` and `last_at` are when its first and its latest record came, in the lane's time.
    """

    trace_id: str
    claim: TraceClaim
    first_at: float = 0.0
    last_at: float = 0.0
    spans: dict[str, Span] = field(default_factory=dict)
    heads: dict[str, Head] = field(default_factory=dict)
    sources: list[Source] = field(default_factory=list)
    selected: dict[str, Selected] = field(default_factory=dict)
    size_bytes: int = 0
    has_root: bool = False
    queued_at: float = inf
    """When `Traces` looks at it next."""
    cut: tuple[Reason, str] | None = None

    def take(self, part: Part, combine: Callable[[Selected, Selected], Selected]) -> int:
        """Take in what a record says; how many of its spans had come before.

        Args:
            part: What it says.
            combine: Makes one selection of an evaluator out of two, `Router.combine`.
        """
        again = sum(span.span_id in self.spans for span in part.spans)
        for span in part.spans:
            self.spans.setdefault(span.span_id, span)
        for head in (*part.heads, *map(Head.of, part.spans)):
            self.heads.setdefault(head.span_id, head)
            self.has_root = self.has_root or head.parent_span_id is None
        for name, selected in part.selected.items():
            known = self.selected.get(name)
            self.selected[name] = selected if known is None else combine(known, selected)
        self.sources.append(part.source)
        self.size_bytes += part.size_bytes
        return again

    def jobs(self, evaluators: Mapping[str, Configured]) -> list[Job]:
        """The evaluations that it asks for: one of each evaluator that a span's route names."""
        if not self.selected:
            return []
        marked = mark_duplicates(in_order(list(self.spans.values())))
        spans = tuple(span for span in marked if span.duplicate_of is None)
        view = as_one_call(spans, root_of(list(self.heads.values())))
        whole = Whole(spans, tuple(self.sources), len(self.heads), self.cut)
        context = tuple(
            text for span in spans if span.kind is SpanKind.RETRIEVER for text in span.documents
        )
        return [
            Job(view, evaluators[name], selected, self.sources[0], context, whole=whole)
            for name, selected in self.selected.items()
        ]


def selection(
    spans: Sequence[Span], router: Router, evaluators: Mapping[str, Configured]
) -> dict[str, Selected]:
    """The trace evaluators that the routes of some spans of one trace name.

    A trace is selected where any of its spans is, with the largest probability of them.
    """
    found: dict[str, Selected] = {}
    for span in spans:
        for each in router.select(span):
            evaluator = evaluators.get(each.evaluator)
            if evaluator is None or evaluator.lane != TRACE:
                continue
            known = found.get(each.evaluator)
            found[each.evaluator] = each if known is None else router.combine(known, each)
    return found
