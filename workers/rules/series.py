"""Made-up counters in promtool's notation, without noise: what workers would export."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

STEP_S = 30
"""How far apart the samples are."""

Line = tuple[str, str]
"""A series and its values, as promtool takes them."""


@dataclass(frozen=True, slots=True)
class Stratum:
    """Scores that are sampled alike.

    Attributes:
        per_minute: How many.
        mean: Mean score; each is 0 or 1, and passes if it is 1.
        weight: 1 / sampling probability.
        of_trace: How many of them belong to one trace.
    """

    per_minute: float
    mean: float
    weight: float = 1.0
    of_trace: int = 1


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of time in which counters grow steadily.

    Attributes:
        minutes: How long.
        strata: What is scored; nothing keeps the counters as they are.
        is_seen: Whether they are scraped.
        restarts: Whether they start again from 0.
    """

    minutes: float
    strata: tuple[Stratum, ...] = ()
    is_seen: bool = True
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class Stream:
    """The scores of one label set over time.

    Attributes:
        labels: In addition to those that have defaults.
        phases: One after the other, from the beginning.
    """

    labels: Mapping[str, str]
    phases: Sequence[Phase]

    def lines(self) -> Iterable[Line]:
        """All counters that workers export of scores."""
        labels = {
            "environment": "production",
            "evaluator": "test.quality",
            "evaluator_version": "1",
            "model": "model-a",
            "prompt_version": "p1",
            "job": "assay",
            "instance": "a",
            **self.labels,
        }
        growths: dict[str, Callable[[Stratum], float]] = {
            "assay_scores": lambda one: one.per_minute,
            "assay_scores_passed": lambda one: one.per_minute * one.mean,
            "assay_score_weight": lambda one: one.per_minute * one.weight,
            "assay_score_weighted": lambda one: one.per_minute * one.weight * one.mean,
            "assay_score_weighted_squares": lambda one: one.per_minute * one.weight * one.mean,
            "assay_score_weighted_passed": lambda one: one.per_minute * one.weight * one.mean,
            "assay_score_weight_squares": lambda one: one.per_minute * one.weight**2 * one.of_trace,
        }
        for name, growth in growths.items():
            steps = [
                Step(
                    phase.minutes,
                    sum(growth(one) for one in phase.strata),
                    is_seen=phase.is_seen,
                    restarts=phase.restarts,
                )
                for phase in self.phases
            ]
            yield counter(f"{name}_total", labels, steps)


@dataclass(frozen=True, slots=True)
class Step:
    """A stretch of time of one counter: how long, in minutes, and its growth a minute."""

    minutes: float
    per_minute: float = 0.0
    is_seen: bool = True
    restarts: bool = False


def counter(name: str, labels: Mapping[str, str], steps: Iterable[Step]) -> Line:
    """A counter that begins at 0; one that is not seen at first is born with a value."""
    value, parts = 0.0, []
    for step in steps:
        count = round(step.minutes * 60 / STEP_S)
        growth = step.per_minute * STEP_S / 60
        if step.restarts:
            value = 0.0
        if step.is_seen:
            parts.append(f"{_exact(value)}+{_exact(growth)}x{count - 1}")
        else:
            parts.append(f"_x{count}")
        value += count * growth
    return f"{name}{{{_text(labels)}}}", " ".join(parts)


def gauge(name: str, labels: Mapping[str, str], values: Iterable[tuple[float, float]]) -> Line:
    """A gauge that has each value for so many minutes."""
    parts = [f"{_exact(value)}x{round(minutes * 60 / STEP_S) - 1}" for minutes, value in values]
    return f"{name}{{{_text(labels)}}}", " ".join(parts)


def _text(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels.items())


def _exact(value: float) -> str:
    # Six digits would lose the end of a large counter, and rounding look like a restart.
    return f"{value:.9f}".rstrip("0").rstrip(".")
