"""Stories that the alerts are tested with: each fires in one at least, and is silent in another.

Nothing is random: counters grow steadily, so that a story shows one behaviour. What noise does to
the rules is measured elsewhere (docs/detection.md).
"""

from .budget_stories import budgets
from .pipeline_stories import anchors, outcomes, pipeline
from .quality_stories import falling, holding, versions
from .series import Phase, Step, Stratum, Stream, counter, gauge
from .service_stories import cost_and_latency, safety, silence_and_sampling
from .story import AFTER_MINUTES, DROP, GOOD, Story, Times, silent


def stories(times: Times) -> list[Story]:
    """All stories of a day and a bit, to be told side by side."""
    return [
        *falling(times),
        *holding(times),
        *versions(times),
        *safety(times),
        *cost_and_latency(times),
        *silence_and_sampling(times),
        *outcomes(times),
        *anchors(times),
        *pipeline(times),
        *budgets(times),
    ]


def absence(times: Times) -> list[Story]:
    """All workers cannot be reached for half an hour; told apart, for it concerns everybody."""
    gap = [Phase(times.turn, (GOOD,)), Phase(30, (GOOD,), is_seen=False), Phase(15, (GOOD,))]
    missing = gauge("up", {"job": "assay", "instance": "a"}, [(times.turn, 1), (30, 0), (15, 1)])
    old = {
        "environment": "production",
        "service": "gap",
        "evaluator": "test.safety",
        "evaluator_version": "1",
    }
    findings = [Step(1, 17, is_seen=False), Step(times.turn - 1)]
    return [
        Story(
            "no worker can be scraped for half an hour: that is said, and nothing of scores",
            ("service", "gap"),
            [
                *Stream({"service": "gap"}, gap).lines(),
                counter(
                    "assay_critical_findings_total",
                    old,
                    [*findings, Step(30, is_seen=False), Step(15)],
                ),
            ],
            near=DROP | {"AssayScoresStopped", "AssayCriticalFinding"},
        ),
        Story(
            "AssayAbsent fires while no worker can be scraped",
            ("alertname", "AssayAbsent"),
            [missing],
            frozenset({"AssayAbsent"}),
        ),
    ]


def nights(times: Times) -> list[Story]:
    """Days whose nights are worse; the third night is the turn."""
    day, night = Phase(16 * times.hour, (GOOD,)), Phase(8 * times.hour, (Stratum(60, 0.80),))
    usual = [day, night, day, night, day, Phase(AFTER_MINUTES, night.strata)]
    worse = [*usual[:-1], Phase(AFTER_MINUTES, (Stratum(60, 0.5),))]
    return [
        silent("scores fall by 0.15 every night, at the minute: that is a season", "night", usual),
        Story(
            "on top of that they fall by 0.3: that is none",
            ("service", "worse-night"),
            list(Stream({"service": "worse-night"}, worse).lines()),
            DROP,
        ),
    ]


def week(times: Times) -> list[Story]:
    """A quiet day, six others, and the quiet day again, which is the turn."""
    busy, quiet = Phase(6 * times.day, (GOOD,)), Phase(times.day)
    stops = Phase(AFTER_MINUTES)
    return [
        silent(
            "a service is quiet that was so a week ago",
            "quiet-day",
            [quiet, busy, stops],
            near={"AssayScoresStopped"},
        ),
        Story(
            "a service is quiet that was busy a week ago",
            ("service", "stopped"),
            list(Stream({"service": "stopped"}, [Phase(times.day, (GOOD,)), busy, stops]).lines()),
            frozenset({"AssayScoresStopped"}),
            after=40,
        ),
    ]
