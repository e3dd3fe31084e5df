"""Spans from files: what `assay spans` prints and `assay evaluate` judges, without any Kafka."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from schemas import conventions
from schemas.config import Config
from schemas.errors import AssayError, Undecodable
from schemas.events import Emit
from schemas.limits import Limits
from schemas.otlp import Encoding, Plan, decode
from schemas.outcome import Outcome, Source
from schemas.own import is_own
from schemas.span import Span

from .configured import TRACE, Configured
from .duplicates import RecentCalls
from .engine import Engine, Job, Meter
from .intake import plan_jobs, read_spans
from .router import Router
from .trace import Part, Trace, TraceClaim, selection
from .trace_intake import read_heads
from .whole_trace import Head

_REMEMBERED = 1_000_000
_AT_ONCE = 1000
_NOWHERE = ("", 0)
"""The partition of a file."""


class UnreadableFile(AssayError):  # noqa: N818  named for the file
    """A file is no OTLP export; the message names it."""


@dataclass(frozen=True, slots=True)
class Export:
    """One `ExportTraceServiceRequest` of a file: its spans that have a convention.

    `heads` has ids and times of all its spans, by trace.
    """

    source: Source
    spans: tuple[Span, ...]
    heads: Mapping[str, Sequence[Head]] = field(default_factory=dict)


def read_file(path: Path, limits: Limits) -> list[Export]:
    """Read a file of OTLP exports: one protobuf message, one JSON object, or one JSON a line.

    Spans that cannot be read alone are an error here: a file is read by somebody who can mend it.

    Raises:
        UnreadableFile: The file cannot be read, or is no OTLP export.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableFile(f"{path}: cannot be read: {error.strerror}") from error
    try:
        return [read_export(content, Source(str(path), 0, 0), limits)]
    except Undecodable as error:
        lines = [line for line in content.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith(b"{") for line in lines):  # noqa: PLR2004
            raise UnreadableFile(f"{path}: {error.detail}; give an OTLP export") from error
    exports = []
    for index, line in enumerate(lines):
        try:
            exports.append(read_export(line, Source(str(path), 0, index), limits))
        except Undecodable as error:
            raise UnreadableFile(f"{path}:{index + 1}: {error.detail}") from error
    return exports


def read_export(value: bytes, source: Source, limits: Limits) -> Export:
    """Read one `ExportTraceServiceRequest`.

    Raises:
        Undecodable: It, or one span of it, cannot be read.
    """
    plan = Plan(markers=conventions.MARKERS, usage_keys=frozenset())
    decoded = decode(value, Encoding.AUTO, limits, plan)
    if decoded.bad:
        raise Undecodable(decoded.bad[0].reason, f"a span: {decoded.bad[0].detail}")
    own = {raw.span_id for raw in decoded.spans if is_own(conventions.normalise(raw))}
    heads = read_heads(value, Encoding.AUTO, limits, own)
    return Export(source, tuple(read_spans(decoded)), heads)


def jobs(
    exports: Sequence[Export], config: Config, evaluators: Mapping[str, Configured], emit: Emit
) -> list[Job]:
    """The evaluations that the config's routes ask for, sampling included.

    Those of traces come last; a trace is all that the files have of it.
    """
    router = Router(config.routes, emit)
    recent = RecentCalls(_REMEMBERED)
    of_spans = [
        job
        for export in exports
        for job in plan_jobs(
            export.spans,
            export.source,
            router=router,
            evaluators=evaluators,
            recent_calls=recent,
            is_new=lambda _: True,
        )
    ]
    return of_spans + _trace_jobs(exports, router, evaluators)


def _trace_jobs(
    exports: Sequence[Export], router: Router, evaluators: Mapping[str, Configured]
) -> list[Job]:
    if not any(evaluator.lane == TRACE for evaluator in evaluators.values()):
        return []
    traces: dict[str, Trace] = {}
    for export in exports:
        by_trace: dict[str, list[Span]] = {trace_id: [] for trace_id in export.heads}
        for span in export.spans:
            if span.convention is not None:
                by_trace.setdefault(span.trace_id, []).append(span)
        for trace_id, spans in by_trace.items():
            known = traces.setdefault(trace_id, Trace(trace_id, TraceClaim(_NOWHERE)))
            selected = selection(spans, router, evaluators)
            heads = export.heads.get(trace_id, ())
            known.take(Part(trace_id, export.source, spans, heads, selected), router.combine)
    return [job for trace in traces.values() for job in trace.jobs(evaluators)]


async def evaluate(
    todo: Sequence[Job], config: Config, emit: Emit, progress: Callable[[int], None]
) -> list[Outcome]:
    """Make all evaluations, some at a time; their outcomes in the order of the jobs.

    Args:
        todo: What to evaluate.
        config: For the limits and the tenant's attributes.
        emit: Where events go.
        progress: Told how many more are done.
    """
    engine = Engine(
        emit,
        group_attributes=config.cost.group_by.attributes,
        concurrency=config.limits.in_flight,
    )
    return [outcome async for part in _parts(engine, todo, progress) for outcome in part]


async def _parts(
    engine: Engine, todo: Sequence[Job], progress: Callable[[int], None]
) -> AsyncIterator[list[Outcome]]:
    for begin in range(0, len(todo), _AT_ONCE):
        async with asyncio.TaskGroup() as tasks:
            part = todo[begin : begin + _AT_ONCE]
            running = [tasks.create_task(engine.outcomes([job], Meter())) for job in part]
            for task in running:
                task.add_done_callback(lambda _: progress(1))
        yield [task.result()[0] for task in running]
