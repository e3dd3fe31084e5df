"""What was seen before: spans that are delivered again, calls that two libraries traced.

Both memories are bounded and belong to one lane of one worker, so they work as far as a trace's
spans, and the spans of one call, come in the same partition and not too far apart.
"""

from collections import OrderedDict
from dataclasses import dataclass

from schemas.span import Span, SpanKind


class RecentSpans:
    """The span ids of recent records, by partition.

    A producer that gets no reply sends its batch again, so the same span comes in a second record.
    The same *record* comes again after a rebalance or a seek, and must then be evaluated again:
    its outcomes may never have been published. That is why the offset is remembered, and why a
    partition that goes away is forgotten.

    Args:
        size: Spans to remember at most, over all partitions.
    """

    def __init__(self, size: int = 100_000) -> None:
        self._size = size
        self._partitions: dict[tuple[str, int], OrderedDict[tuple[str, str], int]] = {}

    def seen(self, topic: str, partition: int, trace_id: str, span_id: str, offset: int) -> bool:
        """Whether the span came before, in another record of the partition; it is remembered."""
        spans = self._partitions.get((topic, partition))
        if spans is None:
            spans = self._partitions[topic, partition] = OrderedDict()
            self._trim()
        first = spans.setdefault((trace_id, span_id), offset)
        if len(spans) > self._share:
            spans.popitem(last=False)
        return first != offset

    def forget_partition(self, topic: str, partition: int) -> None:
        """Forget a partition that goes away: whoever gets it next evaluates what is unfinished."""
        self._partitions.pop((topic, partition), None)

    @property
    def _share(self) -> int:
        return max(1, self._size // len(self._partitions))

    def _trim(self) -> None:
        for spans in self._partitions.values():
            while len(spans) > self._share:
                spans.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Call:
    trace_id: str
    span_id: str
    service: str | None
    has_content: bool
    start_unix_nano: int
    end_unix_nano: int


class RecentCalls:
    """Recent LLM calls by response id: one call that two libraries traced is evaluated once.

    The second library's span may be the root of another trace, so the response id has to join
    them; because some servers give every answer the same id, spans of different traces are one
    call only where they overlap in time and come from the same service.

    Args:
        size: Calls (times evaluators) to remember at most.
    """

    def __init__(self, size: int = 100_000) -> None:
        self._size = size
        self._calls: OrderedDict[tuple[str, str], _Call] = OrderedDict()

    def duplicate_of(self, span: Span, evaluator: str) -> str | None:
        """The span id under which this evaluator judges the same call, or None: judge this one.

        A span without content never stands for one that has some: the later one is judged then,
        and it is what a third copy is compared with.
        """
        if span.response_id is None or span.kind is not SpanKind.LLM or not span.is_call:
            return None
        key = (span.response_id, evaluator)
        known = self._calls.get(key)
        call = _Call(
            span.trace_id,
            span.span_id,
            span.service,
            span.has_content,
            span.start_unix_nano,
            span.end_unix_nano,
        )
        if (
            known is not None
            and known.span_id != call.span_id
            and _is_same_call(known, call)
            and (known.has_content or not call.has_content)
        ):
            return known.span_id
        self._calls[key] = call
        self._calls.move_to_end(key)
        if len(self._calls) > self._size:
            self._calls.popitem(last=False)
        return None


def _is_same_call(first: _Call, second: _Call) -> bool:
    if first.trace_id == second.trace_id:
        return True
    return (
        first.service == second.service
        and first.start_unix_nano <= second.end_unix_nano
        and second.start_unix_nano <= first.end_unix_nano
    )
