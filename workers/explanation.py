"""What became of a trace's spans, and why: the parts that run, asked again about what was read.

Nothing here decides anything: decoding, conventions, duplicates, routes and sampling are those of
the worker, so that an explanation cannot differ from what a worker with this config does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from schemas import conventions
from schemas.config import Config
from schemas.duplicates import mark_duplicates
from schemas.errors import Undecodable
from schemas.otlp import Decoded, Encoding, Plan, decode
from schemas.outcome import Outcome, Source
from schemas.own import is_own, is_score
from schemas.span import Span, SpanKind
from schemas.tracestate import upstream_threshold

from .configured import TRACE, Configured, ignored
from .duplicates import RecentCalls
from .engine import Job
from .intake import plan_jobs
from .router import Decision, RouteDecision, Router
from .sampler import WHOLE, decide, probability, threshold
from .topic_reader import Read
from .trace import Part, Trace, TraceClaim, selection
from .whole_trace import Head

_REMEMBERED = 100_000
_EVERY_SPAN = (b"",)
"""As markers: it stands in everything."""
_NOWHERE = ("", 0)

OWN = "Assay's own span, or a judge's call: nothing judges these"
NO_MARKER = "not a span of an LLM application: it carries no sign of any known convention"
NO_CONVENTION = "no known convention recognises it, although a sign of one stands somewhere in it"
AGAIN = "the same span stands in more than one record; while a worker remembers it, it counts once"


@dataclass(frozen=True, slots=True)
class RouteSaid:
    """What one route made of a span.

    `probability` is that with which a span like this got here and was kept; None: it was not.
    """

    decision: RouteDecision
    probability: float | None


@dataclass(slots=True)
class SpanSaid:
    """One span of the trace, and what today's config makes of it.

    Attributes:
        span: The span, as evaluators see it.
        sources: The records that hold it, in the order in which they were read.
        ignored: Why no route is asked about it, else None.
        upstream: The share of traces that a sampler before us kept, if it says so.
        routes: What each route made of it.
        jobs: The evaluations that it asks for.
    """

    span: Span
    sources: list[Source]
    ignored: str | None
    upstream: float | None
    routes: list[RouteSaid] = field(default_factory=list)
    jobs: list[Job] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Unread:
    """A record, or a span in it, that cannot be read.

    Attributes:
        part: Which of both, where the dead-letter topic has it.
    """

    source: Source
    reason: str
    detail: str
    part: str = "not dead-lettered yet"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a lane stands in a partition.

    Attributes:
        offset: What it has committed: all below is finished. None: nothing yet.
        began: Where it began, if it has said so.
        done: Offsets above the committed one that are finished too.
    """

    offset: int | None = None
    began: int | None = None
    done: frozenset[int] = frozenset()

    def has_finished(self, offset: int) -> bool:
        """Whether the record at an offset is finished."""
        return self.offset is not None and (offset < self.offset or offset in self.done)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What there is of one evaluator for one span.

    Attributes:
        evaluator: Its name.
        outcome: What is published; None: nothing.
        note: Why there is none, or what to know about the one that there is.
    """

    evaluator: str
    outcome: Outcome | None
    note: str | None


class TraceReader:
    """Reads the records of one trace; keeps what they say about it.

    Args:
        trace_id: 32 lower-case hex digits.
        config: For routes, encoding and limits.
        evaluators: Those that the config's routes name.

    Attributes:
        spans: Spans of the trace by span id, in the order in which they were read.
        unread: What of it cannot be read.
        is_keyed: Whether every record so far that holds one has the trace id as its key.
        root: Once `conclude` was called, the span that the outcomes of trace evaluators name.
    """

    def __init__(self, trace_id: str, config: Config, evaluators: Mapping[str, Configured]) -> None:
        self._trace_id = trace_id
        self._raw_id = bytes.fromhex(trace_id)
        self._signs = (self._raw_id, trace_id.encode(), trace_id.upper().encode())
        self._router = Router(config.routes, ignored)
        self._evaluators = evaluators
        self._encoding = Encoding(config.kafka.encoding)
        self._limits = config.limits.of_message()
        self._recent_calls = RecentCalls(_REMEMBERED)
        self._trace = Trace(trace_id, TraceClaim(_NOWHERE))
        self.root: str | None = None
        self.spans: dict[str, SpanSaid] = {}
        self.unread: list[Unread] = []
        self.is_keyed = True

    def holds(self, value: bytes | None) -> bool:
        """Whether the trace id stands in these bytes, in either encoding; a quick look."""
        return value is not None and any(sign in value for sign in self._signs)

    def is_key(self, key: bytes | None) -> bool:
        """Whether a record's key is the trace's, as hex or as bytes."""
        return key is not None and (key == self._raw_id or key.lower() == self._signs[1])

    def read(self, record: Read) -> None:
        """Take in what one record of a spans topic says about the trace."""
        if not self.holds(record.value):
            return
        source = Source(record.topic, record.partition, record.offset)
        known = len(self.spans) + len(self.unread)
        try:
            self._read(record.value or b"", source)
        except Undecodable as error:
            self.unread.append(Unread(source, error.reason, error.detail))
        if len(self.spans) + len(self.unread) > known:
            self.is_keyed = self.is_keyed and self.is_key(record.key)

    def conclude(self) -> None:
        """Add the evaluations of the trace as a whole, to the span that stands for it."""
        for job in self._trace.jobs(self._evaluators):
            self.root = job.span.span_id
            self.spans[self.root].jobs.append(job)

    def _read(self, value: bytes, source: Source) -> None:
        every = self._decode(value, 0, _EVERY_SPAN)
        seen = {
            raw.span_id: raw
            for raw in every.spans
            if raw.trace_id == self._trace_id and not is_score(raw.scope_name, raw.attributes)
        }
        # As a worker reads it: duplicates are told by what else was kept of the message.
        decoded = self._decode(value, self._router.threshold, conventions.MARKERS)
        if not self._mine(decoded):
            decoded = self._decode(value, 0, conventions.MARKERS)
        marked = [conventions.normalise(raw) for raw in decoded.spans]
        spans = mark_duplicates([span for span in marked if not is_own(span)])
        own = {span.span_id for span in marked if is_own(span)}
        by_id = {span.span_id: span for span in spans if span.trace_id == self._trace_id}
        self.unread += [
            Unread(source, bad.reason, bad.detail) for bad in decoded.bad if self.holds(bad.data)
        ]
        jobs = plan_jobs(
            spans,
            source,
            router=self._router,
            evaluators=self._evaluators,
            recent_calls=self._recent_calls,
            is_new=lambda span: span.span_id not in self.spans,
        )
        known = [span for span in by_id.values() if span.convention is not None]
        heads = [Head.of(conventions.normalise(raw)) for key, raw in seen.items() if key not in own]
        chosen = selection(known, self._router, self._evaluators)
        self._trace.take(Part(self._trace_id, source, known, heads, chosen), self._router.combine)
        for span_id, raw in seen.items():
            span = by_id.get(span_id) or conventions.normalise(raw)
            if span_id in self.spans:
                self.spans[span_id].sources.append(source)
                continue
            ignored = None
            if span_id not in by_id:
                ignored = OWN if span_id in own else NO_MARKER
            elif span.convention is None:
                ignored = NO_CONVENTION
            said = SpanSaid(span, [source], ignored, _upstream(span))
            if span_id in by_id:
                said.routes = [_with_probability(span, d) for d in self._router.explain(span)]
                mine = (job for job in jobs if job.span.trace_id == self._trace_id)
                said.jobs = [job for job in mine if job.span.span_id == span_id]
            self.spans[span_id] = said

    def _decode(self, value: bytes, least: int, markers: tuple[bytes, ...]) -> Decoded:
        plan = Plan(threshold=least, markers=markers, usage_keys=frozenset())
        return decode(value, self._encoding, self._limits, plan)

    def _mine(self, decoded: Decoded) -> bool:
        return any(raw.trace_id == self._trace_id for raw in decoded.spans)


def evaluations(
    said: SpanSaid,
    outcomes: Sequence[Outcome],
    standing: Callable[[str, Source], Standing],
) -> list[Evaluation]:
    """What there is of each evaluator: the outcomes, and why others have none.

    Args:
        said: The span.
        outcomes: The outcomes of the span that are published.
        standing: Where a lane stands in the partition of a source.
    """
    jobs = {job.evaluator.name: job for job in said.jobs}
    found = [
        Evaluation(outcome.evaluator.name, outcome, _difference(jobs, outcome))
        for outcome in outcomes
    ]
    known = {outcome.evaluator.name for outcome in outcomes}
    missing = [
        Evaluation(name, None, _told(job, _why_none(job, standing)))
        for name, job in jobs.items()
        if name not in known
    ]
    return found + missing


def hint(said: SpanSaid) -> str | None:
    """What to know where no route matches a span that is no LLM call."""
    unmatched = all(route.decision.decision is Decision.NOT_MATCHED for route in said.routes)
    if said.ignored is None and said.span.kind is not SpanKind.LLM and unmatched:
        return "a route whose `when` does not name span.kind selects LLM calls only"
    return None


def _difference(jobs: Mapping[str, Job], outcome: Outcome) -> str | None:
    job = jobs.get(outcome.evaluator.name)
    if job is None:
        return "today's config does not ask for it"
    if job.evaluation_id != outcome.evaluation_id:
        return "from another version of the evaluator, or other options, than today's config has"
    return None


def _told(job: Job, why: str) -> str:
    return why if job.duplicate is None else f"{job.duplicate}; {why}"


def _why_none(job: Job, stands: Callable[[str, Source], Standing]) -> str:
    lane = job.evaluator.lane
    sources = (job.source,) if job.whole is None else job.whole.sources
    source = next((s for s in sources if not stands(lane, s).has_finished(s.offset)), job.source)
    standing, offset = stands(lane, source), source.offset
    where = f"{source.topic}[{source.partition}]"
    if standing.offset is None:
        return f"not read yet: the {lane} lane has committed nothing on {where}; is a worker up?"
    if standing.began is not None and offset < standing.began:
        return (
            f"never read: the {lane} lane began at {where}@{standing.began}, behind this record "
            "(kafka.start)"
        )
    if standing.has_finished(offset):
        return (
            f"the {lane} lane has finished the record, and nothing is published under this "
            "evaluator since --since: its outcome is older, or gone by retention, or the config "
            "was another one"
        )
    text = f"not finished yet: the {lane} lane stands at {where}@{standing.offset}"
    if lane == TRACE:
        return f"{text}; it holds the trace until nothing came for traces.idle_s, or its root ended"
    between = offset - standing.offset
    return f"{text}, {between} records before this one" if between else f"{text}, this record"


def _with_probability(span: Span, decision: RouteDecision) -> RouteSaid:
    kept = decision.decision is Decision.SELECTED
    return RouteSaid(decision, decide(span, threshold(decision.sample)) if kept else None)


def _upstream(span: Span) -> float | None:
    rejected = upstream_threshold(span.trace_state) if span.trace_state else None
    return None if rejected is None or rejected >= WHOLE else probability(rejected)
