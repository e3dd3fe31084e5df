"""What the alert rules say of a run, without a Prometheus.

The rules need a server and a few scrapes; their statistic needs only sums. It is worked out here
from the outcomes, at each second of the run. The alerts that can fire within a minute are those
that need no history: a version that is worse than those beside it, and a mean that is below the
objective in the config.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate

from schemas.outcome import Outcome
from workers import signals
from workers.score_metrics import evaluator_version
from workers.signals import NOTHING, Sums, Window

VERSION_REGRESSED = "AssayVersionRegressed"
OBJECTIVE_MISSED = "AssayObjectiveMissed"

_HOUR_S = 3600
_DAY_S = 24 * _HOUR_S


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert that fires within the run; its numbers are the last ones with which it fires.

    Attributes:
        name: Of the rule.
        service: Whose answers got worse.
        evaluator: What says so.
        prompt_version: The version that is worse; None for an objective, which is about them all.
        evidence: The evidence ratio, above 1.
        window: Length of the window with the most evidence, such as `5m`.
        mean: Weighted mean score in that window.
        expected: That of the other versions, or the objective.
        count: Effective scores in that window.
        fired_s: Unix time at which it fired first, to the second.
    """

    name: str
    service: str | None
    evaluator: str
    prompt_version: str | None
    evidence: float
    window: str
    mean: float
    expected: float
    count: float
    fired_s: int

    @property
    def drop(self) -> float:
        """How much worse it is."""
        return self.expected - self.mean


def find_alerts(outcomes: Iterable[Outcome], objectives: Mapping[str, float]) -> list[Alert]:
    """The alerts that fire while these outcomes come in, the one with the most evidence first.

    Args:
        outcomes: One for each evaluation, in any order.
        objectives: The promised mean score, by evaluator.
    """
    found = []
    for (service, evaluator, _), versions in _series(outcomes).items():
        for version, own in versions.items():
            others = [series for series in versions.values() if series is not own]
            if others and (seen := _fired(_beside(own, others))):
                found.append(_alert(VERSION_REGRESSED, (service, evaluator, version), own, seen))
        if (objective := objectives.get(evaluator)) is not None:
            every = list(versions.values())
            if seen := _fired(_against(every, objective)):
                found.append(_alert(OBJECTIVE_MISSED, (service, evaluator, None), every[0], seen))
    return sorted(found, key=lambda alert: alert.evidence, reverse=True)


@dataclass(frozen=True, slots=True)
class _Look:
    """What one rule sees in one second."""

    evidence: float
    window: Window
    sums: Sums
    expected: float


class _Series:
    """The sums of one version's scores, up to the end of each second."""

    def __init__(self, outcomes: Iterable[tuple[int, Outcome]], begin: int, seconds: int) -> None:
        steps = [NOTHING] * (seconds + 1)
        traces: dict[str, float] = defaultdict(float)
        for at, outcome in outcomes:
            if outcome.score is None:
                continue
            weight, value = 1 / outcome.sampling.probability, outcome.score.value
            # As the workers count: scores of one trace share their fate, so they count once.
            squares = weight * (weight + 2 * traces[outcome.trace_id])
            traces[outcome.trace_id] += weight
            steps[at - begin + 1] += Sums(weight, weight * value, weight * value**2, squares)
        self.begin_s = begin
        self._until = list(accumulate(steps))

    def __len__(self) -> int:
        return len(self._until)

    def last(self, seconds: int, until: int) -> Sums:
        """The sums of a stretch of time that ends with a second."""
        return self._until[until] - self._until[max(0, until - seconds)]


def _alert(
    name: str,
    subject: tuple[str | None, str, str | None],
    series: _Series,
    seen: tuple[int, _Look],
) -> Alert:
    service, evaluator, prompt_version = subject
    second, look = seen
    return Alert(
        name=name,
        service=service,
        evaluator=evaluator,
        prompt_version=prompt_version,
        evidence=look.evidence,
        window=look.window.name,
        mean=signals.mean(look.sums),
        expected=look.expected,
        count=signals.effective_count(look.sums),
        fired_s=series.begin_s + second + 1,
    )


def _fired(seconds: Iterable[Sequence[_Look]]) -> tuple[int, _Look] | None:
    """The first second in which a rule fired, and what it saw with most evidence at the end."""
    first, last = None, None
    for second, looks in enumerate(seconds):
        best = max(looks, key=lambda look: look.evidence, default=None)
        if best is not None and best.evidence > 1:
            first = second if first is None else first
            last = best
    return None if first is None or last is None else (first, last)


def _series(
    outcomes: Iterable[Outcome],
) -> dict[tuple[str | None, str, str], dict[str | None, _Series]]:
    """The versions that run side by side, by service and evaluator.

    Another version of the evaluator means something else by its scores: it is another group.
    """
    timed = [
        (int(datetime.fromisoformat(outcome.evaluated_at).timestamp()), outcome)
        for outcome in outcomes
        if outcome.score is not None
    ]
    if not timed:
        return {}
    timed.sort(key=lambda pair: pair[0])
    begin, seconds = timed[0][0], timed[-1][0] - timed[0][0] + 1
    groups: dict[tuple[str | None, str, str], dict[str | None, list[tuple[int, Outcome]]]]
    groups = defaultdict(lambda: defaultdict(list))
    for at, outcome in timed:
        group = (outcome.subject.service, outcome.evaluator.name, evaluator_version(outcome))
        groups[group][outcome.subject.prompt_version].append((at, outcome))
    return {
        group: {name: _Series(found, begin, seconds) for name, found in versions.items()}
        for group, versions in groups.items()
    }


def _beside(own: _Series, others: Sequence[_Series]) -> Iterator[list[_Look]]:
    """What the rule of versions sees, second by second."""
    for until in range(1, len(own)):
        day, hour = (
            sum((other.last(length, until) for other in others), NOTHING)
            for length in (_DAY_S, _HOUR_S)
        )
        looks = []
        for window in signals.VERSION_WINDOWS:
            sums = own.last(60 * window.minutes, until)
            evidence = signals.version_evidence(window, sums, day, hour)
            if signals.drop(sums, day) > signals.VERSION_DROP:
                looks.append(_Look(evidence, window, sums, signals.mean(day)))
        yield looks


def _against(versions: Sequence[_Series], objective: float) -> Iterator[list[_Look]]:
    """What the rule of objectives sees, second by second."""
    for until in range(1, len(versions[0])):
        looks = []
        for window in signals.WINDOWS:
            sums = sum((one.last(60 * window.minutes, until) for one in versions), NOTHING)
            evidence = signals.objective_evidence(window, sums, objective)
            looks.append(_Look(evidence, window, sums, objective))
        yield looks
