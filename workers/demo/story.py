"""What the demo ends with, worked out of the outcomes that stand on the scores topic."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.outcome import Outcome, evaluation_id
from schemas.reasons import Status
from schemas.span import Span
from workers.engine import Job

from .alerts import Alert, find_alerts
from .comparison import Sample, Score


@dataclass(frozen=True, slots=True)
class Row:
    """One evaluator on one route, before and after the rollout.

    Attributes:
        route: Name of the route.
        evaluator: Name of the evaluator.
        before: Scores of calls that began before the rollout.
        after: Scores of calls that began since.
        noticed: Whether an alert is about it.
    """

    route: str
    evaluator: str
    before: Sample
    after: Sample
    noticed: bool


@dataclass(frozen=True, slots=True)
class BadTrace:
    """One call of the worst series, with what the judge said about it."""

    outcome: Outcome
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Conservation:
    """Whether every evaluation that had to be made ended in one outcome.

    Attributes:
        spans: Spans that a route selects, read from the records that were sent.
        expected: Evaluations that their routes ask for.
        published: Outcomes on the scores topic, repeated ones included.
        missing: Expected evaluations without an outcome.
        unexpected: Outcomes that nobody asked for.
        repeated: Outcomes of an evaluation that has one already.
    """

    spans: int
    expected: int
    published: int
    missing: int
    unexpected: int
    repeated: int

    @property
    def holds(self) -> bool:
        """Whether spans and outcomes agree exactly."""
        return self.expected > 0 and not (self.missing or self.unexpected or self.repeated)


@dataclass(frozen=True, slots=True)
class Story:
    """All that the demo tells at its end.

    Attributes:
        rows: By route and evaluator.
        alerts: What the alert rules would fire, the one with the most evidence first.
        rollout: Prompt versions seen after the rollout only, such as `v8`.
        rollout_unix_nano: When they went live.
        bad_trace: An example of what the first alert is about, if there is one.
        outcomes: How many there are, by outcome and reason, such as `skipped(no_content)`.
        conservation: The books.
    """

    rows: tuple[Row, ...]
    alerts: tuple[Alert, ...]
    rollout: tuple[str, ...]
    rollout_unix_nano: int
    bad_trace: BadTrace | None
    outcomes: Mapping[str, int]
    conservation: Conservation

    @property
    def regressions(self) -> list[Row]:
        """What the alerts are about."""
        return [row for row in self.rows if row.noticed]

    @property
    def succeeded(self) -> bool:
        """Whether the demo showed what it is there to show."""
        return bool(self.regressions) and self.conservation.holds


def tell(
    outcomes: Sequence[Outcome],
    jobs: Sequence[Job],
    rollout_unix_nano: int,
    objectives: Mapping[str, float],
) -> Story:
    """Work the story out.

    Args:
        outcomes: Every outcome on the scores topic, in its order.
        jobs: The evaluations that the records sent ask for.
        rollout_unix_nano: When the new version went live.
        objectives: The promised mean score, by evaluator.
    """
    latest = {outcome.evaluation_id: outcome for outcome in outcomes}
    alerts = find_alerts(latest.values(), objectives)
    versions = {True: set[str](), False: set[str]()}
    for outcome in latest.values():
        if outcome.subject.prompt_version is not None:
            is_after = outcome.subject.start_unix_nano >= rollout_unix_nano
            versions[is_after].add(outcome.subject.prompt_version)
    return Story(
        rows=_rows(latest.values(), rollout_unix_nano, alerts),
        alerts=tuple(alerts),
        rollout=tuple(sorted(versions[True] - versions[False])),
        rollout_unix_nano=rollout_unix_nano,
        bad_trace=_bad_trace(alerts[0], latest.values(), jobs, rollout_unix_nano)
        if alerts
        else None,
        outcomes=_count(latest.values()),
        conservation=_conservation(outcomes, jobs),
    )


def _rows(
    outcomes: Iterable[Outcome], rollout_unix_nano: int, alerts: Iterable[Alert]
) -> tuple[Row, ...]:
    alerting = {(alert.service, alert.evaluator) for alert in alerts}
    noticed: set[tuple[str, str]] = set()
    scores: dict[tuple[str, str], tuple[list[Score], list[Score]]] = defaultdict(lambda: ([], []))
    for outcome in outcomes:
        if outcome.score is None:
            continue
        is_after = outcome.subject.start_unix_nano >= rollout_unix_nano
        weight = 1 / outcome.sampling.probability
        score = Score(outcome.score.value, bool(outcome.score.passed), weight)
        for route in outcome.sampling.routes:
            scores[route, outcome.evaluator.name][is_after].append(score)
            if (outcome.subject.service, outcome.evaluator.name) in alerting:
                noticed.add((route, outcome.evaluator.name))
    return tuple(
        Row(*key, Sample.of(before), Sample.of(after), key in noticed)
        for key, (before, after) in sorted(scores.items())
    )


def _bad_trace(
    alert: Alert, outcomes: Iterable[Outcome], jobs: Sequence[Job], rollout_unix_nano: int
) -> BadTrace | None:
    failing = [
        outcome
        for outcome in outcomes
        if outcome.score is not None
        and outcome.evaluator.name == alert.evaluator
        and outcome.subject.service == alert.service
        and outcome.subject.start_unix_nano >= rollout_unix_nano
    ]
    if not failing:
        return None
    worst = min(failing, key=lambda outcome: outcome.score.value if outcome.score else 1.0)
    span = next(job.span for job in jobs if job.span.span_id == worst.span_id)
    return BadTrace(worst, _question(span), span.output_text or "")


def _question(span: Span) -> str:
    asked = (message.content for message in reversed(span.messages_in) if message.role == "user")
    return next((text for text in asked if text), "")


def _count(outcomes: Iterable[Outcome]) -> dict[str, int]:
    names = (
        outcome.outcome.value
        if outcome.outcome is Status.SCORED
        else f"{outcome.outcome}({outcome.reason})"
        for outcome in outcomes
    )
    return dict(Counter(names).most_common())


def _conservation(outcomes: Sequence[Outcome], jobs: Sequence[Job]) -> Conservation:
    expected = {job_id(job) for job in jobs}
    published = Counter(outcome.evaluation_id for outcome in outcomes)
    return Conservation(
        spans=len({(job.span.trace_id, job.span.span_id) for job in jobs}),
        expected=len(expected),
        published=len(outcomes),
        missing=len(expected - published.keys()),
        unexpected=len(published.keys() - expected),
        repeated=len(outcomes) - len(published),
    )


def job_id(job: Job) -> str:
    """The `evaluation_id` that a job's outcome must have."""
    ref = job.evaluator.ref(job.selected.content)
    return evaluation_id(job.span.trace_id, job.span.span_id, ref)
