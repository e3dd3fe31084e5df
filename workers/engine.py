"""Every job becomes exactly one outcome, whatever its evaluator does.

An evaluator that raises, hangs, returns nonsense, swallows its cancellation or leaves tasks behind
harms only its own outcome: its code runs behind the wall (`wall.py`), or in a process of its own.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson

from evaluators.contract import Judge, JudgeUse, Need, Score, Skip, Subject
from evaluators.judge.bound import BoundJudge
from evaluators.judge.budget import OpenBudget
from evaluators.judge.evaluation import CallRecord, Deadline
from evaluators.redact import redact
from evaluators.references import reference_of
from schemas.errors import JudgeFailure
from schemas.events import Emit, EvaluationAbandoned, EvaluatorRaised, TaskLeft, TaskLeftEnded
from schemas.outcome import (
    Flags,
    Origin,
    Outcome,
    Sampling,
    ScoreRecord,
    Source,
    SubjectRecord,
    evaluation_id,
)
from schemas.reasons import Reason, Status
from schemas.span import Span

from .answers import fault_of
from .configured import Configured, Seat
from .panel import Bind, Calls
from .panel import evaluate as evaluate_with
from .router import Selected
from .stopwatch import Stopwatch, TimedJudge
from .wall import Evaluation, guarded
from .whole_trace import Whole

_CANCEL_GRACE_S = 1.0
_EXPLANATION_CHARS = 2_000
_ID_CHARS = 256


@dataclass(frozen=True, slots=True)
class Job:
    """One evaluation to be made: a span, an evaluator, and how both came together.

    `duplicate` is the detail of `skipped(duplicate)`, where the call is evaluated elsewhere. With
    `whole` it is that of a trace, and `span` is the trace as one call.
    """

    span: Span
    evaluator: Configured
    selected: Selected
    source: Source
    context: tuple[str, ...] = ()
    duplicate: str | None = None
    whole: Whole | None = None

    @property
    def evaluation_id(self) -> str:
        """The deterministic id of its outcome.

        That of a trace does not name a span: a fragment may lack the root, and is all the same
        another try at the same evaluation.
        """
        span_id = self.span.span_id if self.whole is None else ""
        ref = self.evaluator.ref(self.selected.content)
        return evaluation_id(self.span.trace_id, span_id, ref)


@dataclass(frozen=True, slots=True)
class _Conclusion:
    """What an evaluation came to, before it is written down as an outcome."""

    score: Score | None = None
    reason: Reason | None = None
    detail: str | None = None


@dataclass(slots=True)
class Meter:
    """What the judge evaluations of one record have come to, for whoever may have to cut them."""

    evaluations: list[tuple[Deadline, CallRecord]] = field(default_factory=list)

    @property
    def is_idle(self) -> bool:
        """Whether all that began wait for their judge, and nothing was sent: a cut is free."""
        return all(deadline.is_paused and not record.sent for deadline, record in self.evaluations)


class Engine:
    """Turns jobs into outcomes.

    Args:
        emit: Where events go.
        now: Unix seconds, for ages and `evaluated_at`.
        group_attributes: `cost.group_by.attributes`, the first that a span has is its tenant.
        origin: What asked for these evaluations.
        concurrency: Most evaluations at once, however large a record is.
        open_budget: What pays for judges; None: nobody counts it.
        recalls: Whether judges may give a verdict again that they gave on the same text.
    """

    def __init__(
        self,
        emit: Emit,
        *,
        now: Callable[[], float] = time.time,
        group_attributes: Sequence[str] = (),
        origin: Origin = Origin.LIVE,
        concurrency: int = 1000,
        open_budget: OpenBudget | None = None,
        recalls: bool = False,
    ) -> None:
        self._emit = emit
        self._recalls = recalls
        self._now = now
        self._group_attributes = group_attributes
        self._origin = origin
        self._open_budget = open_budget
        self._room = asyncio.Semaphore(concurrency)

    async def outcomes(self, jobs: Sequence[Job], meter: Meter) -> list[Outcome]:
        """One outcome for each job, in the order of the jobs. Raises only `CancelledError`."""
        async with asyncio.TaskGroup() as tasks:
            started = [tasks.create_task(self._outcome(job, meter)) for job in jobs]
        return [task.result() for task in started]

    async def _outcome(self, job: Job, meter: Meter) -> Outcome:
        conclusion = self._before(job)
        if conclusion is not None:
            return self._write(job, conclusion, None, None)
        async with self._room:
            began = time.monotonic()
            calls = Calls("".join(job.selected.routes[:1]), self._asker(job))
            conclusion = await self._evaluate(job, calls, meter)
            if calls.may_degrade and conclusion.reason is Reason.BUDGET:
                conclusion = await self._degraded(job, conclusion, calls, meter)
            return self._write(job, conclusion, calls, time.monotonic() - began)

    def _asker(self, job: Job) -> str | None:
        """Whose verdicts may be given again: those of this evaluator as it is configured now.

        Two evaluators may ask the same, as in a shadow run; each needs samples of its own.
        """
        ref = job.evaluator.ref(job.selected.content)
        return f"{ref.name} {ref.version} {ref.fingerprint}" if self._recalls else None

    def _before(self, job: Job) -> _Conclusion | None:
        """What can be said without asking the evaluator."""
        if job.duplicate is not None:
            return _Conclusion(reason=Reason.DUPLICATE, detail=job.duplicate)
        if job.whole is not None and job.whole.cut is not None:
            reason, detail = job.whole.cut
            return _Conclusion(reason=reason, detail=detail)
        limit = job.selected.max_age_s
        age_s = self._now() - job.span.end_unix_nano / 1e9
        if limit is not None and age_s > limit:
            return _Conclusion(reason=Reason.EXPIRED, detail=f"{age_s:.0f} s old, limit {limit:g}")
        return _missing(job)

    async def _degraded(
        self, job: Job, spent: _Conclusion, calls: Calls, meter: Meter
    ) -> _Conclusion:
        """What code says alone, where an evaluator is more than its judge."""
        if job.evaluator.evaluator.judge_use is not JudgeUse.OPTIONAL:
            return spent
        alone = await self._evaluate(job, calls, meter, has_judge=False)
        if alone.score is None:
            return alone
        return replace(alone, score=replace(alone.score, degraded=True))

    async def _evaluate(
        self, job: Job, calls: Calls, meter: Meter, *, has_judge: bool = True
    ) -> _Conclusion:
        name, limit_s = job.evaluator.name, job.evaluator.deadline_s
        watch = Stopwatch(limit_s)
        subject = Subject(
            span=job.span,
            context=job.context,
            reference=_reference(job),
            spans=(job.span,) if job.whole is None else job.whole.spans,
        )
        evaluation = Evaluation(name)
        call: Callable[[], Coroutine[Any, Any, object]]
        call = partial(job.evaluator.evaluator.evaluate, subject)
        if has_judge:
            bind = self._bind(job, calls, watch, meter)
            call = partial(evaluate_with, job.evaluator, subject, bind, calls)
        task = asyncio.create_task(guarded(evaluation, call))
        try:
            ended = await watch.until_done(task)
        finally:
            if not task.done():  # past its deadline, or we are cancelled: nothing is left running
                task.cancel()
                await asyncio.wait({task}, timeout=_CANCEL_GRACE_S)
                if not task.done():
                    self._emit(EvaluationAbandoned(name))
                    self._leave_behind(name, task)
            for left in tuple(evaluation.tasks):
                self._leave_behind(name, left)
        if not ended:
            self._emit(EvaluatorRaised(name, "hung past its deadline"))
            detail = f"no result after {limit_s:g} s of its own time"
            return _Conclusion(reason=Reason.EVALUATOR_ERROR, detail=detail)
        if task.cancelled():
            return self._raised(job, "CancelledError")
        return self._judged(job, task.result())

    def _leave_behind(self, name: str, task: asyncio.Task[Any]) -> None:
        """Count a task that still runs; it is fenced: nobody looks at what it comes to.

        It is not cancelled where it is not the evaluation itself: an evaluator may keep a client
        whose tasks serve the next evaluation too.
        """
        self._emit(TaskLeft(name))
        task.add_done_callback(lambda _: self._emit(TaskLeftEnded(name)))

    def _bind(self, job: Job, calls: Calls, watch: Stopwatch, meter: Meter) -> Bind:
        policy: Callable[[str], str] = str if job.selected.content == "full" else redact

        def bind(seat: Seat) -> Judge:
            deadline, record = Deadline(seat.config.deadline_s), calls.record_of(seat)
            meter.evaluations.append((deadline, record))
            budget = None if self._open_budget is None else self._open_budget(job.selected.routes)
            return TimedJudge(BoundJudge(seat.judge, deadline, record, policy, budget), watch)

        return bind

    def _judged(self, job: Job, result: object) -> _Conclusion:
        fault = fault_of(result)
        if fault is not None:
            return self._raised(job, fault)
        match result:
            case Score():
                return _Conclusion(score=result)
            case Skip(detail=detail, missing=None):
                return _Conclusion(reason=Reason.NOT_APPLICABLE, detail=redact(detail))
            case Skip(missing=Need.INPUT | Need.OUTPUT as what):
                return _no_content(job.span, what)  # we know which setting turns it on
            case Skip(detail=detail):
                return _Conclusion(reason=Reason.MISSING_INPUT, detail=redact(detail))
            case JudgeFailure(reason=reason, detail=detail):
                return _Conclusion(reason=reason, detail=redact(detail))
            case _:
                raise AssertionError(f"{type(result).__name__} passed as an answer")

    def _raised(self, job: Job, error: str) -> _Conclusion:
        self._emit(EvaluatorRaised(job.evaluator.name, error))
        return _Conclusion(reason=Reason.EVALUATOR_ERROR, detail=error)

    def _write(
        self, job: Job, conclusion: _Conclusion, calls: Calls | None, seconds: float | None
    ) -> Outcome:
        span, score = job.span, conclusion.score
        ref = job.evaluator.ref(job.selected.content)
        return Outcome(
            evaluation_id=job.evaluation_id,
            outcome=Status.SCORED if conclusion.reason is None else conclusion.reason.status,
            reason=conclusion.reason,
            detail=None if conclusion.detail is None else conclusion.detail[:_EXPLANATION_CHARS],
            trace_id=span.trace_id,
            span_id=span.span_id,
            evaluator=ref,
            score=None
            if score is None
            else _score_record(score, job.evaluator.evaluator.threshold),
            judge=None if calls is None else calls.to_record(),
            sampling=Sampling(job.selected.routes, job.selected.probability),
            subject=self._subject(span),
            sources=(job.source,) if job.whole is None else job.whole.sources,
            origin=self._origin,
            flags=Flags(
                truncated=span.truncated or (score is not None and score.truncated),
                injection_suspected=(score is not None and score.injection_suspected)
                or (calls is not None and calls.injection_suspected),
                degraded=score is not None and score.degraded,
                cached=calls is not None and calls.is_cached,
            ),
            evaluated_at=datetime.fromtimestamp(self._now(), UTC).isoformat(
                timespec="milliseconds"
            ),
            evaluation_s=None if seconds is None else round(seconds, 6),
            revision=1 if job.whole is None else job.whole.revision,
        )

    def _subject(self, span: Span) -> SubjectRecord:
        return SubjectRecord(
            service=_clip(span.service),
            environment=_clip(span.environment),
            kind=span.kind,
            model=_clip(span.request_model or span.response_model),
            response_model=_clip(span.response_model),
            prompt_name=_clip(span.prompt_name),
            prompt_version=_clip(span.prompt_version),
            tenant=_clip(first_text(self._group_attributes, span.attributes, span.resource)),
            operation=_clip(span.operation),
            session_id=_clip(span.session_id),
            response_id=_clip(span.response_id),
            start_unix_nano=span.start_unix_nano,
            duration_s=span.duration_s,
            input_tokens=span.input_tokens,
            output_tokens=span.output_tokens,
            cost_usd=span.cost_usd,
            convention=span.convention,
            error=span.error,
        )


def _clip(text: str | None) -> str | None:
    """Identifiers come from outside: a huge one must not make an outcome that Kafka refuses.

    And some applications take the address of a person for one.
    """
    return text if text is None else redact(text[: 4 * _ID_CHARS])[:_ID_CHARS]


def first_text(
    keys: Sequence[str], attributes: Mapping[str, Any], resource: Mapping[str, Any]
) -> str | None:
    """The first of `keys` that the span has, else that its resource has, as text."""
    for where in (attributes, resource):
        for key in keys:
            if where.get(key) is not None:
                return str(where[key])
    return None


def _missing(job: Job) -> _Conclusion | None:
    """What the evaluator needs and the span does not have."""
    needs = job.evaluator.evaluator.needs
    span = job.span
    has_output = bool(span.output_text or span.tool_calls)
    if Need.OUTPUT in needs and not has_output:
        return _no_content(span, "output")
    if Need.INPUT in needs and not any(message.content for message in span.messages_in):
        return _no_content(span, "input")
    has = {
        Need.CONTEXT: bool(job.context),
        Need.SYSTEM_PROMPT: any(m.role == "system" and m.content for m in span.messages_in),
        Need.REFERENCE: _reference(job) is not None,
        Need.TOOLS: bool(span.tool_calls),
        Need.SESSION: sum(m.role == "user" and bool(m.content) for m in span.messages_in) > 1,
    }
    for need in sorted(needs & has.keys()):
        if not has[need]:
            return _Conclusion(reason=Reason.MISSING_INPUT, detail=str(need))
    return None


def _reference(job: Job) -> str | None:
    return reference_of(job.span, job.evaluator.config.options)


def _no_content(span: Span, what: str) -> _Conclusion:
    if span.content_setting and not span.has_content:
        detail = f"no {what} on the span; {span.content_setting} turns it on"
    elif span.error:
        detail = f"no {what}: the call ended in an error"
    else:
        detail = f"no {what} on the span"
    return _Conclusion(reason=Reason.NO_CONTENT, detail=detail)


def _redacted(value: Any) -> Any:
    """Items of a score, which may quote; a copy, because a plugin may change its own later."""
    match value:
        case str():
            return redact(value)
        case dict():
            return {redact(key): _redacted(item) for key, item in value.items()}
        case list():
            return [_redacted(item) for item in value]
        case _:
            return value


def _score_record(score: Score, threshold: float) -> ScoreRecord:
    return ScoreRecord(
        value=float(score.value),
        label=None if score.label is None else redact(score.label),
        passed=score.value >= threshold if score.passed is None else score.passed,
        explanation=None
        if score.explanation is None
        else redact(score.explanation)[:_EXPLANATION_CHARS],
        items=_redacted(orjson.loads(orjson.dumps(dict(score.items)))),
        severity=score.severity,
        critical=score.critical,
    )
