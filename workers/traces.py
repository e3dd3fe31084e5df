"""Traces that wait to be whole: the second source of the trace lane, bounded by count and bytes.

A trace is whole when its root has ended and nothing came for a few seconds more; or when nothing
came for `traces.idle_s`; and at `traces.max_age_s` it is taken as it is. Where there is no room the
oldest are given up unevaluated, as `skipped(trace_evicted)`: an outcome, not a loss.
"""

import heapq
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable

from schemas.config import TracesConfig
from schemas.events import (
    Emit,
    SpanRedelivered,
    SpansLate,
    TraceConcluded,
    TraceEvicted,
    TraceSplit,
)
from schemas.reasons import Reason

from .configured import TRACE
from .offsets import Partition
from .router import Selected
from .trace import Part, SharedClaim, Trace, TraceClaim

ROOT_GRACE_S = 6.0
"""How long the end of a root waits for its children. Another process exports a span up to 5 s after
its end (OpenTelemetry's batch processor), and a collector adds some tenths; `idle_s` if shorter."""

_REMEMBERED = 100_000
"""Concluded traces that are remembered, in each partition; some 15 MB."""

_MAX_RECORDS = 2_000
"""Records of one trace: its outcome names them all, and has to fit into one Kafka message."""

_CROWDED_SHARE = 10
"""One waiting trace in so many is given up at a time, to make room in a commit's metadata."""

_SPLIT = (
    "the record's key is not the trace's id, so its spans may lie in several partitions; "
    "key the topic by trace (collector: partition_traces_by_id: true)"
)
_EVICTED = {
    "max_count": "more traces waited than traces.max_count",
    "max_bytes": "the waiting traces had more bytes than traces.max_bytes",
    "records": f"it was read from {_MAX_RECORDS} records, and still went on",
    "metadata": "too many records behind it were finished; a commit has no room to name more",
}


class Traces:
    """The waiting traces of one lane. Used from the event loop only.

    It has no clock: its time passes by `advance`, so that it stands still where the lane does not
    read. Else an outage of a judge, for which intake waits, would make every trace look idle.

    Args:
        config: Section `traces` of the config.
        combine: Makes one selection of an evaluator out of two, `Router.combine`.
        emit: Where events go.
        remembered: Concluded traces to remember, in each partition.
    """

    def __init__(
        self,
        config: TracesConfig,
        *,
        combine: Callable[[Selected, Selected], Selected],
        emit: Emit,
        remembered: int = _REMEMBERED,
    ) -> None:
        self._config = config
        self._combine = combine
        self._emit = emit
        self._remembered = remembered
        self._now = 0.0
        self._waiting: dict[Partition, OrderedDict[str, Trace]] = defaultdict(OrderedDict)
        self._concluded: dict[Partition, OrderedDict[str, bool]] = defaultdict(OrderedDict)
        self._count = 0
        self._bytes = 0
        # Without the trace itself: what was evicted must not stay in memory until it is due.
        self._due: list[tuple[float, Partition, str]] = []
        self._ready: deque[Trace] = deque()

    @property
    def waiting(self) -> int:
        """Traces that wait."""
        return self._count

    @property
    def size_bytes(self) -> int:
        """Bytes of their records."""
        return self._bytes

    @property
    def oldest_s(self) -> float:
        """For how long the oldest has waited, in the lane's time; 0 where none waits."""
        oldest = self._oldest()
        return 0.0 if oldest is None else self._now - oldest.first_at

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    def knows(self, partition: Partition, trace_id: str) -> bool:
        """Whether a trace waits, or is remembered: its spans are then worth a look."""
        return trace_id in self._waiting[partition] or trace_id in self._concluded[partition]

    def waits(self, partition: Partition, trace_id: str) -> bool:
        """Whether a trace waits."""
        return trace_id in self._waiting[partition]

    def pass_over(self, partition: Partition, trace_id: str) -> None:
        """Take a trace as concluded that was not seen from its beginning: its spans are late."""
        self._note_concluded(partition, trace_id, had_outcome=True)

    def add(self, part: Part, share: SharedClaim) -> None:
        """Take in what a record says of a trace; it holds the record's claim while it waits."""
        partition = share.claim.partition
        trace = self._waiting[partition].get(part.trace_id)
        if trace is not None and trace.claim.is_lost:  # left behind by a drain that never ran
            self._remove(trace)
            trace = None
        if trace is None:
            trace = self._begin(part, share)
            if trace is None:
                return
        trace.claim.shares.append(share.hold())
        trace.last_at = self._now
        self._bytes += part.size_bytes
        if again := trace.take(part, self._combine):
            self._emit(SpanRedelivered(TRACE, again))
        due_at, _ = self._due_at(trace)
        if due_at < trace.queued_at:  # else it is put off when its turn comes
            self._queue(trace, due_at)
        self._make_room(trace)

    def take(self) -> Trace | None:
        """The next trace that waits no more, None: all others still do."""
        while self._due and not self._ready and self._due[0][0] <= self._now:
            queued_at, partition, trace_id = heapq.heappop(self._due)
            trace = self._waiting[partition].get(trace_id)
            if trace is None or trace.queued_at != queued_at:
                continue  # gone, or its root came and it was queued anew
            due_at, why = self._due_at(trace)
            if due_at > self._now:
                self._queue(trace, due_at)
                continue
            self._emit(TraceConcluded(why))
            self._conclude(trace)
        return self._ready.popleft() if self._ready else None

    def make_room(self, partition: Partition, watermark: int) -> None:
        """Give up the oldest traces of a partition whose commits have hardly room for metadata.

        Only where a waiting trace is what holds the watermark: one that is being judged frees it
        by itself, and to give up others would not help.
        """
        waiting = self._waiting[partition]
        if not waiting or next(iter(waiting.values())).sources[0].offset > watermark:
            return
        for trace in list(waiting.values())[: 1 + len(waiting) // _CROWDED_SHARE]:
            self._evict(trace, "metadata")

    def forget(self, partitions: Iterable[Partition]) -> None:
        """Drop what waits of partitions that leave, without an outcome.

        None of its records is committed, so the next owner reads all of them.
        """
        for partition in partitions:
            for trace in list(self._waiting[partition].values()):
                self._remove(trace)
            self._waiting.pop(partition, None)
            self._concluded.pop(partition, None)
            self._ready = deque(t for t in self._ready if t.claim.partition != partition)

    def _begin(self, part: Part, share: SharedClaim) -> Trace | None:
        """A new trace that waits, or None: there is nothing to wait for."""
        partition = share.claim.partition
        had_outcome = self._concluded[partition].get(part.trace_id)
        if had_outcome is True:
            self._emit(SpansLate(part.count))
            return None
        if had_outcome is False and part.selected:  # given up before a span of it was selected
            self._skip(part, share, (Reason.TRACE_EVICTED, _EVICTED["max_count"]))
            return None
        if not part.is_keyed and part.selected:
            self._emit(TraceSplit(part.source.topic))
            self._skip(part, share, (Reason.TRACE_SPLIT, _SPLIT))
            return None
        if not part.is_keyed or not part.spans or had_outcome is False:
            return None
        trace = Trace(part.trace_id, TraceClaim(partition), first_at=self._now)
        self._waiting[partition][part.trace_id] = trace
        self._count += 1
        return trace

    def _skip(self, part: Part, share: SharedClaim, cut: tuple[Reason, str]) -> None:
        partition = share.claim.partition
        trace = Trace(part.trace_id, TraceClaim(partition, [share.hold()]), cut=cut)
        trace.take(part, self._combine)
        self._remember(trace)
        self._ready.append(trace)

    def _queue(self, trace: Trace, due_at: float) -> None:
        trace.queued_at = due_at
        heapq.heappush(self._due, (due_at, trace.claim.partition, trace.trace_id))

    def _due_at(self, trace: Trace) -> tuple[float, str]:
        oldest_at = trace.first_at + self._config.max_age_s
        idle_s, why = self._config.idle_s, "idle"
        if trace.has_root:
            idle_s, why = min(idle_s, ROOT_GRACE_S), "root"
        quiet_at = trace.last_at + idle_s
        return (quiet_at, why) if quiet_at <= oldest_at else (oldest_at, "max_age")

    def _make_room(self, newest: Trace) -> None:
        if len(newest.sources) >= _MAX_RECORDS:
            self._evict(newest, "records")
        for bound in ("max_count", "max_bytes"):
            while (oldest := self._oldest()) is not None and self._is_beyond(bound):
                self._evict(oldest, bound)

    def _is_beyond(self, bound: str) -> bool:
        if bound == "max_count":
            return self._count > self._config.max_count
        return self._bytes > self._config.max_bytes

    def _oldest(self) -> Trace | None:
        firsts = [next(iter(traces.values())) for traces in self._waiting.values() if traces]
        return min(firsts, key=lambda trace: trace.first_at, default=None)

    def _evict(self, trace: Trace, bound: str) -> None:
        trace.cut = (Reason.TRACE_EVICTED, _EVICTED[bound])
        self._emit(TraceEvicted(bound))
        self._conclude(trace)

    def _conclude(self, trace: Trace) -> None:
        self._remove(trace)
        self._remember(trace)
        self._ready.append(trace)

    def _remove(self, trace: Trace) -> None:
        del self._waiting[trace.claim.partition][trace.trace_id]
        self._count -= 1
        self._bytes -= trace.size_bytes

    def _remember(self, trace: Trace) -> None:
        """Remember a trace that gets outcomes, and one that was given up before it could.

        One that no route selects may go on, and be selected by a later span.
        """
        if not trace.selected and trace.cut is None:
            return
        self._note_concluded(
            trace.claim.partition, trace.trace_id, had_outcome=bool(trace.selected)
        )

    def _note_concluded(self, partition: Partition, trace_id: str, *, had_outcome: bool) -> None:
        known = self._concluded[partition]
        known[trace_id] = had_outcome
        if len(known) > self._remembered:
            known.popitem(last=False)
