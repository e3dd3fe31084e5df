"""What `assay explain` prints: lines for people, one object for machines."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from evaluators.redact import redact
from schemas.outcome import Origin, Outcome, Source
from schemas.tracestate import randomness
from workers.explanation import AGAIN, Evaluation, RouteSaid, SpanSaid, Unread, hint
from workers.router import Decision
from workers.sampler import WHOLE

_NAME_CHARS = 80
_FLAGS = ("truncated", "injection_suspected", "degraded", "cached")


@dataclass(slots=True)
class Findings:
    """What the topics say about a trace.

    Attributes:
        trace_id: The trace.
        spans: Its spans.
        evaluations: What there is of each evaluator, by span id.
        outcomes_only: Outcomes of spans that were not found.
        unread: What of it cannot be read.
        notes: What to know about the search.
    """

    trace_id: str
    spans: list[SpanSaid] = field(default_factory=list)
    evaluations: dict[str, list[Evaluation]] = field(default_factory=dict)
    outcomes_only: list[Outcome] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is known of the trace."""
        return not (self.spans or self.outcomes_only or self.unread)


def lines(found: Findings) -> Iterable[tuple[int, str]]:
    """Level of indentation and text of each line; the text may hold anything that spans hold."""
    yield 0, f"trace {found.trace_id}: {len(found.spans)} spans"
    for said in found.spans:
        yield from _span_lines(said, found.evaluations[said.span.span_id])
    for outcome in found.outcomes_only:
        yield 0, f"span {outcome.span_id}: not on the spans topic any more, or not since --since"
        yield from _evaluation_lines(Evaluation(outcome.evaluator.name, outcome, None))
    for each in found.unread:
        yield 0, f"dead letter {_place(each.source)}: {each.reason}, {each.part}"
        yield 1, each.detail
    for note in found.notes:
        yield 0, f"note: {note}"


def _span_lines(said: SpanSaid, found: Iterable[Evaluation]) -> Iterable[tuple[int, str]]:
    span = said.span
    started = datetime.fromtimestamp(span.start_unix_nano / 1e9, UTC).isoformat(" ", "seconds")
    kind = span.kind if span.convention is None else f"{span.kind}, {span.convention}"
    yield 0, ""
    yield 0, f"span {span.span_id} {_short(span.name)} ({kind}) of {_short(span.service or '?')}"
    yield 1, f"{started}, {', '.join(map(_place, said.sources))}"
    if len(said.sources) > 1:
        yield 1, AGAIN
    if said.ignored is not None:
        yield 1, said.ignored
    if span.duplicate_of is not None:
        yield 1, f"the same call as span {span.duplicate_of}, which is evaluated in its place"
    if said.upstream is not None:
        yield 1, f"a sampler before Assay kept {said.upstream:.4g} of all traces (ot=th)"
    for route in said.routes:
        yield 1, f"route {route.decision.route}: {_decision(said, route)}"
    if (text := hint(said)) is not None:
        yield 1, text
    for each in found:
        yield from _evaluation_lines(each)


def _decision(said: SpanSaid, route: RouteSaid) -> str:
    decision = route.decision
    match decision.decision:
        case Decision.FAILED:
            return f"its `when` failed on this span, so it does not match: {decision.error}"
        case Decision.NOT_MATCHED:
            return "does not match"
        case Decision.NOT_SAMPLED:
            draw = randomness(said.span.trace_id, said.span.trace_state) / WHOLE
            return (
                f"matches, not kept: sample {decision.sample:g} keeps draws from "
                f"{1 - decision.sample:.6g} on, this trace drew {draw:.6f}"
            )
        case _:
            return f"matches, kept with probability {route.probability:.4g}"


def _evaluation_lines(each: Evaluation) -> Iterable[tuple[int, str]]:
    outcome = each.outcome
    if outcome is None:
        yield 1, f"{each.evaluator}: no outcome; {each.note}"
        return
    text = f"{each.evaluator}: {outcome.outcome}"
    if outcome.reason is not None:
        text += f"({outcome.reason})"
    score = outcome.score
    if score is not None:
        text += f" {score.value:.2f}"
        text += "" if score.passed is None else " pass" if score.passed else " fail"
        text += f" {score.label}" if score.label not in {None, "pass", "fail"} else ""
    sampling = outcome.sampling
    text += f", probability {sampling.probability:.4g}, routes {', '.join(sampling.routes)}"
    text += "" if outcome.origin is Origin.LIVE else f", by a {outcome.origin}"
    yield 1, f"{text}, at {outcome.evaluated_at}"
    if outcome.detail:
        yield 2, outcome.detail
    if score is not None and score.explanation:
        yield 2, " ".join(score.explanation.split())
    judge = outcome.judge
    if judge is not None:
        cost = "unknown cost" if judge.cost_usd is None else f"{judge.cost_usd:.6f} USD"
        yield (
            2,
            f"judge {judge.model_answered or judge.model_asked}, {judge.attempts} calls, {cost}",
        )
    flags = outcome.flags
    raised = [name for name in _FLAGS if getattr(flags, name)]
    if raised:
        yield 2, f"flags: {', '.join(raised)}"
    if each.note is not None:
        yield 2, f"({each.note})"


def as_json(found: Findings) -> dict[str, Any]:
    """All of it, outcomes as they stand on the scores topic."""
    return {
        "trace_id": found.trace_id,
        "spans": [_span_json(said, found.evaluations[said.span.span_id]) for said in found.spans],
        "outcomes_without_span": [orjson.loads(o.to_json()) for o in found.outcomes_only],
        "dead_letters": [
            {"source": each.source, "reason": each.reason, "detail": each.detail, "part": each.part}
            for each in found.unread
        ],
        "notes": found.notes,
    }


def _span_json(said: SpanSaid, found: Iterable[Evaluation]) -> dict[str, Any]:
    span = said.span
    return {
        "span_id": span.span_id,
        "parent_span_id": span.parent_span_id,
        "name": redact(span.name),
        "kind": span.kind,
        "convention": span.convention,
        "service": None if span.service is None else redact(span.service),
        "start_unix_nano": span.start_unix_nano,
        "sources": said.sources,
        "ignored": said.ignored,
        "duplicate_of": span.duplicate_of,
        "draw": randomness(span.trace_id, span.trace_state) / WHOLE,
        "upstream_share": said.upstream,
        "routes": [
            {
                "route": route.decision.route,
                "decision": route.decision.decision,
                "sample": route.decision.sample,
                "probability": route.probability,
                "error": route.decision.error,
            }
            for route in said.routes
        ],
        "evaluations": [
            {
                "evaluator": each.evaluator,
                "outcome": None if each.outcome is None else orjson.loads(each.outcome.to_json()),
                "note": each.note,
            }
            for each in found
        ],
    }


def _place(source: Source) -> str:
    return f"{source.topic}[{source.partition}]@{source.offset}"


def _short(text: str) -> str:
    line = " ".join(redact(text).split())
    return line if len(line) <= _NAME_CHARS else f"{line[: _NAME_CHARS - 1]}…"
