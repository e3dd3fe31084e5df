"""From a record's bytes to the evaluations it asks for: decode, normalise, route and sample.

Pure computation, in the event loop: what no route keeps is dropped before it is parsed.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from schemas import conventions
from schemas.duplicates import mark_duplicates
from schemas.errors import Undecodable
from schemas.events import Emit, SpanRedelivered
from schemas.limits import Limits
from schemas.otlp import Decoded, Encoding, Plan, decode
from schemas.outcome import Source
from schemas.own import SCOPE, is_own
from schemas.reasons import DeadLetterReason
from schemas.span import RawSpan, Span, SpanKind, Usage
from schemas.texts import within_limit

from .configured import TRACE, Configured
from .consumer import Record
from .dead_letters import DeadLetter, Limit
from .duplicates import RecentCalls, RecentSpans
from .engine import Job
from .flight import Work
from .router import Router
from .sampler import inclusion_probability
from .usages import Call, CallLedger

_REMEMBERED = 100_000
"""Spans, and calls, that a lane remembers to know them again: some 20 MB each."""

_STATUS_ERROR = 2  # OTLP's STATUS_CODE_ERROR


@dataclass(frozen=True, slots=True)
class Counted:
    """What was seen in one record, for metrics; all but the first come from the code lane alone.

    Attributes:
        lane: The lane that read the record.
        spans: All spans of the record.
        own: Those among them that are Assay's own.
        conventions: Convention of each LLM call that was read in full.
        calls: The LLM calls, each once.
        routes: For each selected span, the routes that it matches.
    """

    lane: str
    spans: int = 0
    own: int = 0
    conventions: Sequence[str] = ()
    calls: Sequence[Call] = ()
    routes: Sequence[tuple[str, ...]] = ()


class Intake:
    """Reads the records of one lane.

    Args:
        lane: The lane's name.
        router: Decides which evaluators a span gets.
        evaluators: The evaluators of this lane; what a route gives to others is not this lane's.
        limits: Bounds on a record.
        encoding: `kafka.encoding`.
        limit: Stops the worker when too much is unreadable.
        counts: Whether this lane counts spans and prices calls (the code lane does).
        count_all: Price every LLM call, sampled or not.
        group_attributes: `cost.group_by.attributes`.
        count: Gets what was seen in each record.
        emit: Where events go.
        remembers: Spans, and calls, that it knows again when they come in another record.
    """

    def __init__(
        self,
        lane: str,
        *,
        router: Router,
        evaluators: Mapping[str, Configured],
        limits: Limits,
        encoding: Encoding,
        limit: Limit,
        counts: bool,
        count_all: bool,
        group_attributes: tuple[str, ...],
        count: Callable[[Counted], None],
        emit: Emit,
        remembers: int = _REMEMBERED,
    ) -> None:
        self._lane = lane
        self._router = router
        self._evaluators = evaluators
        self._limits = limits
        self._encoding = encoding
        self._limit = limit
        self._group_attributes = group_attributes
        self._counts = counts
        self._count = count
        self._ledger = CallLedger(_REMEMBERED)
        self._emit = emit
        self._plan = Plan(
            threshold=router.threshold,
            usage=counts and count_all,
            markers=conventions.MARKERS,
            usage_keys=conventions.USAGE_KEYS | frozenset(group_attributes),
        )
        self.recent_spans = RecentSpans(remembers)
        self._recent_calls = RecentCalls(remembers)

    def read(self, record: Record) -> Work:
        """Decode a record; what it asks for.

        Raises:
            WorkerStopped: Too much has been unreadable.
        """
        work = Work(record)
        try:
            self._read(record, work)
        finally:
            record.value = None  # what is needed of it is in the spans and the dead letters
        return work

    def _read(self, record: Record, work: Work) -> None:
        where = f"{record.topic}[{record.partition}]@{record.offset}"
        try:
            decoded = decode_record(record, self._encoding, self._limits, self._plan)
        except Undecodable as error:
            self._count(Counted(self._lane))
            self._limit.count(readable=False, what=f"{where}: {error}")
            work.letters.append(_letter(record, record.value, error.reason, error.detail))
            return
        self._limit.count(readable=True, what=where)
        work.letters.extend(
            _letter(record, bad.data, bad.reason, bad.detail, is_span=True) for bad in decoded.bad
        )
        spans = read_spans(decoded)
        source = Source(record.topic, record.partition, record.offset)
        work.jobs.extend(
            plan_jobs(
                spans,
                source,
                router=self._router,
                evaluators=self._evaluators,
                recent_calls=self._recent_calls,
                is_new=partial(self._is_new, source=source),
            )
        )
        self._count(self._counted(decoded, spans, work.jobs))

    def _is_new(self, span: Span, source: Source) -> bool:
        """Whether this span was not delivered before, in another record."""
        again = self.recent_spans.seen(
            source.topic, source.partition, span.trace_id, span.span_id, source.offset
        )
        if again:
            self._emit(SpanRedelivered(self._lane, 1))
        return not again

    def _counted(self, decoded: Decoded, spans: Sequence[Span], jobs: Sequence[Job]) -> Counted:
        if not self._counts:
            return Counted(self._lane)
        calls = [s for s in spans if s.kind is SpanKind.LLM and s.duplicate_of is None]
        routes: dict[str, set[str]] = {}
        for job in jobs:
            routes.setdefault(job.span.span_id, set()).update(job.selected.routes)
        return Counted(
            self._lane,
            decoded.span_count,
            len(decoded.spans) - len(spans) + sum(r.scope_name == SCOPE for r in decoded.light),
            [span.convention for span in calls if span.convention is not None],
            self._calls(decoded, {(span.trace_id, span.span_id) for span in calls}),
            [tuple(names) for names in routes.values()],
        )

    def _calls(self, decoded: Decoded, kept: Collection[tuple[str, str]]) -> list[Call]:
        """What the message tells of LLM calls: of those `kept` as such, and of the light ones."""
        raws = [raw for raw in decoded.spans if (raw.trace_id, raw.span_id) in kept]
        raws += [raw for raw in decoded.light if raw.scope_name != SCOPE]
        usages: list[Usage] = []
        by_id: dict[tuple[str, str], RawSpan] = {}
        for raw in raws:
            usage = conventions.usage(raw, self._group_attributes)
            if usage is not None:
                usages.append(usage)
                by_id[raw.trace_id, raw.span_id] = raw
        counted_from = 0 if self._plan.usage else self._plan.threshold
        calls = []
        for usage in self._ledger.new_calls(usages):
            raw = by_id[usage.trace_id, usage.span_id]
            probability = inclusion_probability(raw.trace_state, counted_from)
            calls.append(Call(usage, probability, raw.status_code == _STATUS_ERROR))
        return calls


def decode_record(record: Record, encoding: Encoding, limits: Limits, plan: Plan) -> Decoded:
    """Decode a record's bytes.

    Raises:
        Undecodable: They, or the compression around them, cannot be read.
    """
    if record.problem is not None:
        raise record.problem
    return decode(record.value or b"", encoding, limits, plan)


def read_spans(decoded: Decoded) -> list[Span]:
    """Normalise what was kept; our own spans (scores, and a judge's calls) are left out."""
    spans = [within_limit(conventions.normalise(raw)) for raw in decoded.spans]
    return mark_duplicates([span for span in spans if not is_own(span)])


def plan_jobs(
    spans: Sequence[Span],
    source: Source,
    *,
    router: Router,
    evaluators: Mapping[str, Configured],
    recent_calls: RecentCalls,
    is_new: Callable[[Span], bool],
) -> list[Job]:
    """The evaluations that the routes ask for, of all spans of one message.

    Args:
        spans: The message's spans, duplicates marked.
        source: Where the message stands.
        router: Decides which evaluators a span gets.
        evaluators: Those to plan for; what a route gives to others, and those that look at whole
            traces, is left out.
        recent_calls: Knows calls of earlier messages again.
        is_new: Asked once for a span that some evaluator gets; False: it is left out.
    """
    jobs: list[Job] = []
    planned: set[tuple[str, str]] = set()
    retrieved: dict[str, list[Span]] = defaultdict(list)
    for span in spans:
        if span.kind is SpanKind.RETRIEVER:
            retrieved[span.trace_id].append(span)
    for span in spans:
        selected = [
            each
            for each in router.select(span)
            if each.evaluator in evaluators and evaluators[each.evaluator].lane != TRACE
        ]
        key = (span.trace_id, span.span_id)
        if not selected or key in planned or not is_new(span):
            continue
        planned.add(key)
        context = context_of(span, retrieved[span.trace_id])  # of all spans would be quadratic
        for each in selected:
            twin = span.duplicate_of or recent_calls.duplicate_of(span, each.evaluator)
            duplicate = None if twin is None else f"the same call as span {twin}"
            jobs.append(Job(span, evaluators[each.evaluator], each, source, context, duplicate))
    return jobs


def context_of(span: Span, spans: Sequence[Span]) -> tuple[str, ...]:
    """The texts that an answer had to rest on.

    Documents of the retriever spans of the same trace in the same message; else documents on the
    span itself; else the tool results in its prompt.
    """
    documents = [
        text
        for other in spans
        if other.kind is SpanKind.RETRIEVER
        and other.trace_id == span.trace_id
        and other.start_unix_nano <= span.end_unix_nano
        for text in other.documents
    ]
    if documents:
        return tuple(documents)
    if span.documents:
        return span.documents
    return tuple(m.content for m in span.messages_in if m.role == "tool" and m.content)


def _letter(
    record: Record,
    value: bytes | None,
    reason: DeadLetterReason,
    detail: str,
    *,
    is_span: bool = False,
) -> DeadLetter:
    return DeadLetter(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp_s,
        record.key,
        value,
        reason,
        detail,
        is_span,
    )
