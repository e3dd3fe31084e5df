"""From a record's bytes to what it says of each trace in it: the trace lane's intake."""

from collections.abc import Callable, Collection, Mapping

from schemas import conventions
from schemas.errors import Undecodable
from schemas.limits import Limits
from schemas.otlp import Encoding, Plan, decode
from schemas.outcome import Source
from schemas.own import SCOPE, is_own
from schemas.span import RawSpan, Span
from schemas.texts import within_limit

from .configured import TRACE, Configured
from .consumer import Record
from .dead_letters import Limit
from .intake import Counted, decode_record
from .offsets import Partition
from .router import Router
from .sampler import WHOLE
from .trace import Part, selection
from .whole_trace import Head

_HEX_CHARS = 32
_ID_BYTES = 16
_STATUS_ERROR = 2  # OTLP's STATUS_CODE_ERROR
_EVERY_SPAN = (b"",)
"""As markers: it stands in everything."""


class TraceIntake:
    """Reads the records of the trace lane.

    Only spans of LLM applications are read in full, and only they begin a trace. Of the others of
    such a trace, its root mostly among them, ids and times are read.

    Args:
        router: Decides which evaluators a span asks for.
        evaluators: The trace evaluators.
        limits: Bounds on a record.
        encoding: `kafka.encoding`.
        limit: Stops the worker when too much is unreadable.
        knows: Whether a trace of a partition waits or is remembered.
        count: Gets what was seen in each record.
    """

    def __init__(
        self,
        *,
        router: Router,
        evaluators: Mapping[str, Configured],
        limits: Limits,
        encoding: Encoding,
        limit: Limit,
        knows: Callable[[Partition, str], bool],
        count: Callable[[Counted], None],
    ) -> None:
        self._router = router
        self._evaluators = evaluators
        self._limits = limits
        self._encoding = encoding
        self._limit = limit
        self._knows = knows
        self._count = count
        self._plan = Plan(
            threshold=router.threshold, markers=conventions.MARKERS, usage_keys=frozenset()
        )

    def read(self, record: Record) -> list[Part]:
        """Decode a record; what it says of each trace.

        What cannot be read is not published, which the code lane does, but counts as there.

        Raises:
            WorkerStopped: Too much has been unreadable.
        """
        self._count(Counted(TRACE))
        where = f"{record.topic}[{record.partition}]@{record.offset}"
        try:
            decoded = decode_record(record, self._encoding, self._limits, self._plan)
        except Undecodable as error:
            self._limit.count(readable=False, what=f"{where}: {error}")
            return []
        self._limit.count(readable=True, what=where)
        spans = [within_limit(conventions.normalise(raw)) for raw in decoded.spans]
        own = {span.span_id for span in spans if is_own(span)}
        by_trace: dict[str, list[Span]] = {}
        for span in spans:
            if span.convention is not None and span.span_id not in own:
                by_trace.setdefault(span.trace_id, []).append(span)
        key = trace_id_of(record.key)
        heads: list[Head] = []
        if key is not None and (
            key in by_trace or self._knows((record.topic, record.partition), key)
        ):
            everything = read_heads(record.value or b"", self._encoding, self._limits, own)
            heads = everything.get(key, [])
            if heads:
                by_trace.setdefault(key, [])
        source = Source(record.topic, record.partition, record.offset)
        return [
            Part(
                trace_id,
                source,
                found,
                heads if trace_id == key else (),
                selection(found, self._router, self._evaluators),
                is_keyed=trace_id == key,
                size_bytes=record.size_bytes,
            )
            for trace_id, found in by_trace.items()
        ]


def trace_id_of(key: bytes | None) -> str | None:
    """The trace id that a record's key is, as hex (the collector's way) or as bytes; else None."""
    if key is None:
        return None
    if len(key) == _ID_BYTES:
        return key.hex()
    text = key.decode("ascii", "replace").lower()
    is_hex = len(text) == _HEX_CHARS and all(char in "0123456789abcdef" for char in text)
    return text if is_hex else None


def read_heads(
    value: bytes, encoding: Encoding, limits: Limits, own: Collection[str] = ()
) -> dict[str, list[Head]]:
    """Ids and times of every span, by trace; Assay's own spans are left out.

    Args:
        value: An export that can be read.
        encoding: How it is encoded.
        limits: Bounds on it.
        own: Ids of spans that tell of a judge's calls.
    """
    plan = Plan(threshold=WHOLE, usage=True, markers=_EVERY_SPAN, usage_keys=frozenset())
    heads: dict[str, list[Head]] = {}
    for raw in decode(value, encoding, limits, plan).light:
        if raw.scope_name != SCOPE and raw.span_id not in own:
            heads.setdefault(raw.trace_id, []).append(_head(raw))
    return heads


def _head(raw: RawSpan) -> Head:
    return Head(
        raw.span_id,
        raw.parent_span_id,
        raw.name,
        raw.start_unix_nano,
        raw.end_unix_nano,
        raw.status_code == _STATUS_ERROR,
    )
