"""Stories of safety, cost and latency, and of scores that stop or weigh unevenly."""

from collections.abc import Iterable

from .series import Phase, Step, Stratum, Stream, counter
from .story import AFTER_MINUTES, GOOD, Story, Times, silent


def safety(times: Times) -> Iterable[Story]:
    """Violations, few and many."""
    yield Story(
        "a fifth of the answers violate an objective of 0.999",
        ("service", "burn"),
        list(
            Stream(
                {"service": "burn", "evaluator": "test.safety"},
                [Phase(times.turn, (Stratum(60, 1.0),)), Phase(45, (Stratum(60, 0.8),))],
            ).lines()
        ),
        frozenset(
            {
                "AssaySafetyBurn",
                "AssayObjectiveMissed",
                "AssayScoreRegressed",
                "AssayScoreDegraded",
            }
        ),
    )
    yield silent(
        "two violations in a service with a score a minute: a high rate, and too few to page",
        "burn-low-n",
        [
            Phase(times.turn, (Stratum(1, 1.0),)),
            Phase(4, (Stratum(1, 0.5),)),
            Phase(41, (Stratum(1, 1.0),)),
        ],
        {"evaluator": "test.safety"},
        near={"AssaySafetyBurn"},
    )
    found = {"environment": "production", "evaluator": "test.safety", "evaluator_version": "1"}
    name = "assay_critical_findings_total"
    yield Story(
        "one critical finding of a series that is there",
        ("service", "critical"),
        [
            counter(
                name,
                {**found, "service": "critical"},
                [Step(times.turn), Step(1, 1), Step(44)],
            )
        ],
        frozenset({"AssayCriticalFinding"}),
        after=5,
    )
    yield Story(
        "one critical finding that a series is born with",
        ("service", "critical-born"),
        [
            counter(
                name,
                {**found, "service": "critical-born"},
                [Step(times.turn, 1 / times.turn, is_seen=False), Step(AFTER_MINUTES)],
            )
        ],
        frozenset({"AssayCriticalFinding"}),
        after=5,
    )
    line = counter(name, {**found, "service": "harmless"}, [Step(times.end)])
    near = frozenset({"AssayCriticalFinding"})
    yield Story("no critical finding", ("service", "harmless"), [line], near=near)


def cost_and_latency(times: Times) -> Iterable[Story]:
    """Calls that cost more or take longer."""
    half, less = Stratum(60, 0.5), Stratum(60, 0.33)
    for service, after, usd, firing in (
        ("dear", less, 0.0008, frozenset({"AssayCostRegressed"})),
        ("one-dear-call", half, 0.0008, frozenset()),
        ("bit-dearer", Stratum(60, 0.48), 0.00044, frozenset()),
    ):
        phases = [Phase(times.turn, (half,)), Phase(AFTER_MINUTES, (after,))]
        labels = {"environment": "production", "service": service}
        spent = [Step(times.turn, 60 * 0.0004), Step(AFTER_MINUTES, 60 * usd)]
        yield Story(
            {
                "dear": "a call costs twice as much from now on",
                "one-dear-call": "the mean cost doubles, and the typical call does not",
                "bit-dearer": "a call costs a tenth more: real, and not worth a page",
            }[service],
            ("service", service),
            [
                *Stream({"service": service, "evaluator": "cost"}, phases).lines(),
                counter("assay_llm_cost_usd_total", labels, spent),
                counter("assay_llm_cost_weight_total", labels, [Step(times.end, 60)]),
            ],
            firing,
            near=frozenset() if firing else frozenset({"AssayCostRegressed"}),
        )
    for service, after, firing in (
        ("slow", less, frozenset({"AssayLatencyRegressed"})),
        ("bit-slower", Stratum(60, 0.49), frozenset()),
    ):
        phases = [Phase(times.turn, (half,)), Phase(AFTER_MINUTES, (after,))]
        yield Story(
            "calls take longer from now on" if firing else "calls take hardly longer",
            ("service", service),
            list(Stream({"service": service, "evaluator": "latency"}, phases).lines()),
            firing,
            near=frozenset() if firing else frozenset({"AssayLatencyRegressed"}),
        )


def silence_and_sampling(times: Times) -> Iterable[Story]:
    """Scores that are missing, or stand for very different numbers of calls."""
    yield Story(
        "scores stop",
        ("service", "stopped"),
        list(Stream({"service": "stopped"}, [Phase(times.turn, (GOOD,)), Phase(45)]).lines()),
        frozenset({"AssayScoresStopped"}),
        after=30,
    )
    yield Story(
        "from now on one score in a hundred weighs as much as all others",
        ("service", "uneven"),
        list(
            Stream(
                {"service": "uneven"},
                [
                    Phase(times.turn, (Stratum(60.6, 0.95),)),
                    Phase(AFTER_MINUTES, (GOOD, Stratum(0.6, 0.95, weight=100))),
                ],
            ).lines()
        ),
        frozenset({"AssaySamplingUneven"}),
        after=44,
    )
    yield silent(
        "half of the scores weigh four times as much as the others",
        "even-enough",
        [Phase(times.end, (Stratum(30, 0.95), Stratum(30, 0.95, weight=4)))],
        near={"AssaySamplingUneven"},
    )
