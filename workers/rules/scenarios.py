"""Stories that the alerts are tested with: each fires in one at least, and is silent in another.

Nothing is random: counters grow steadily, so that a story shows one behaviour. What noise does to
the rules is measured elsewhere (docs/detection.md).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .series import Line, Phase, Step, Stratum, Stream, counter, gauge

GOOD = Stratum(60, 0.95)
AFTER_MINUTES = 45
"""How long a story goes on after its turn."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long things take, in minutes: in full, or short where a day is made to be less.

    Attributes:
        hour: An hour of the rules.
        day: A day of them.
        turn: When a story takes its turn; a day of baseline lies before.
        end: When it is over.
    """

    factor: int = 1

    @property
    def hour(self) -> int:
        """An hour of the rules, in ticks."""
        return 60 // self.factor

    @property
    def day(self) -> int:
        """A day of them."""
        return 24 * self.hour

    @property
    def turn(self) -> int:
        """When a story takes its turn; a day of baseline lies before."""
        return self.day + 2 * self.hour

    @property
    def end(self) -> int:
        """When it is over."""
        return self.turn + AFTER_MINUTES


@dataclass(frozen=True, slots=True)
class Story:
    """One service, or one part of the pipeline, and which alerts it should raise.

    Attributes:
        text: What happens, and what should follow.
        label: Label and value that tell this story's alerts.
        lines: What workers export.
        firing: Alerts that fire `after` minutes after the turn; all others stay silent throughout.
        after: When to look.
    """

    text: str
    label: tuple[str, str]
    lines: Sequence[Line]
    firing: frozenset[str] = field(default_factory=frozenset)
    after: int = 20


def stories(times: Times) -> list[Story]:
    """All stories of a day and a bit, to be told side by side."""
    return [
        *_quality_falls(times),
        *_quality_holds(times),
        *_versions(times),
        *_safety(times),
        *_cost_and_latency(times),
        *_silence_and_sampling(times),
        *_outcomes(times),
        *_pipeline(times),
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
        _silent("scores fall by 0.15 every night, at the minute: that is a season", "night", usual),
        Story(
            "on top of that they fall by 0.3: that is none",
            ("service", "worse-night"),
            list(Stream({"service": "worse-night"}, worse).lines()),
            frozenset({"AssayScoreRegressed", "AssayScoreDegraded"}),
        ),
    ]


def week(times: Times) -> list[Story]:
    """A quiet day, six others, and the quiet day again, which is the turn."""
    busy, quiet = Phase(6 * times.day, (GOOD,)), Phase(times.day)
    stops = Phase(AFTER_MINUTES)
    return [
        _silent("a service is quiet that was so a week ago", "quiet-day", [quiet, busy, stops]),
        Story(
            "a service is quiet that was busy a week ago",
            ("service", "stopped"),
            list(Stream({"service": "stopped"}, [Phase(times.day, (GOOD,)), busy, stops]).lines()),
            frozenset({"AssayScoresStopped"}),
            after=40,
        ),
    ]


def _turning(service: str, before: Stratum, after: Stratum, times: Times) -> list[Line]:
    phases = [Phase(times.turn, (before,)), Phase(AFTER_MINUTES, (after,))]
    return list(Stream({"service": service}, phases).lines())


def _quality_falls(times: Times) -> Iterable[Story]:
    yield Story(
        "the mean falls from 0.95 to 0.75 at 60 scores a minute",
        ("service", "drop"),
        _turning("drop", GOOD, Stratum(60, 0.75), times),
        frozenset({"AssayScoreRegressed", "AssayScoreDegraded"}),
        after=5,
    )
    yield Story(
        "the mean slips by 0.04 at 300 scores a minute: a ticket, no page",
        ("service", "slip"),
        _turning("slip", Stratum(300, 0.95), Stratum(300, 0.91), times),
        frozenset({"AssayScoreDegraded"}),
    )
    promised = {"service": "promise-broken", "evaluator": "test.promised"}
    yield Story(
        "a new service is below its objective of 0.93 from its first minute",
        ("service", "promise-broken"),
        list(
            Stream(
                promised, [Phase(times.turn, is_seen=False), Phase(45, (Stratum(60, 0.80),))]
            ).lines()
        ),
        frozenset({"AssayObjectiveMissed"}),
        after=10,
    )
    kept = {"service": "promise-kept", "evaluator": "test.promised"}
    yield Story(
        "a service whose scores keep their objective is not mentioned",
        ("service", "promise-kept"),
        list(Stream(kept, [Phase(times.end, (Stratum(60, 0.94),))]).lines()),
    )
    yield Story(
        "the objectives of the stories here",
        ("service", "none"),
        [
            gauge("assay_evaluator_objective_ratio", {"evaluator": name}, [(times.end, ratio)])
            for name, ratio in (("test.promised", 0.93), ("test.safety", 0.999))
        ],
    )


def _quality_holds(times: Times) -> Iterable[Story]:
    steady = [Phase(times.end, (GOOD,))]
    yield _silent("nothing happens", "steady", steady)
    yield _silent(
        "all replicas restart at once: counters begin at 0 again",
        "restart",
        [Phase(times.turn, (GOOD,)), Phase(45, (GOOD,), restarts=True)],
        {"instance": "a"},
        {"instance": "b"},
    )
    yield _silent(
        "a service that is new, with bad scores: there is nothing that they fell from",
        "cold-start",
        [Phase(times.turn, is_seen=False), Phase(45, (Stratum(60, 0.60),))],
    )
    yield _silent("no traffic at all", "idle", [Phase(times.end)])
    yield _silent(
        "two failures of three scores, in a service that has few",
        "low-n",
        [
            Phase(times.turn, (Stratum(0.2, 0.95),)),
            Phase(15, (Stratum(0.2, 1 / 3),)),
            Phase(30, (Stratum(0.2, 0.95),)),
        ],
    )
    yield _silent(
        "the sampling rate rises tenfold in mid-flight",
        "rate-changed",
        [
            Phase(times.turn, (Stratum(3, 0.95, weight=20),)),
            Phase(45, (Stratum(30, 0.95, weight=2),)),
        ],
    )
    usual = Stratum(10, 0.97, weight=10)
    yield _silent(
        "errors, which score worse, are sampled twenty times as much from now on",
        "stratum-changed",
        [
            Phase(times.turn, (usual, Stratum(0.5, 0.5, weight=20))),
            Phase(45, (usual, Stratum(10, 0.5, weight=1))),
        ],
    )
    yield Story(
        "a stricter rubric: a new version of the evaluator is a new series, not a regression",
        ("service", "rubric-edited"),
        [
            *Stream({"service": "rubric-edited"}, [Phase(times.turn, (GOOD,)), Phase(45)]).lines(),
            *Stream(
                {"service": "rubric-edited", "evaluator_version": "2"},
                [Phase(times.turn, is_seen=False), Phase(45, (Stratum(60, 0.60),))],
            ).lines(),
        ],
    )


def _versions(times: Times) -> Iterable[Story]:
    canary = Phase(AFTER_MINUTES, (Stratum(12, 0.70),))
    yield Story(
        "5 % of the traffic goes to a new prompt that is worse than what runs beside it",
        ("service", "canary"),
        [
            *Stream({"service": "canary"}, [Phase(times.end, (Stratum(240, 0.95),))]).lines(),
            *Stream(
                {"service": "canary", "prompt_version": "p2"},
                [Phase(times.turn, is_seen=False), canary],
            ).lines(),
        ],
        frozenset({"AssayVersionRegressed"}),
    )
    early = max(times.hour, 15)
    yield Story(
        "the same soon after everything was started",
        ("service", "canary-early"),
        [
            *Stream(
                {"service": "canary-early"},
                [
                    Phase(times.turn - early, is_seen=False),
                    Phase(early + AFTER_MINUTES, (Stratum(240, 0.95),)),
                ],
            ).lines(),
            *Stream(
                {"service": "canary-early", "model": "model-b"},
                [Phase(times.turn, is_seen=False), canary],
            ).lines(),
        ],
        frozenset({"AssayVersionRegressed"}),
    )
    cheap = {"service": "always-worse", "model": "model-b"}
    yield Story(
        "a version that always was worse, also when the rubric is edited",
        ("service", "always-worse"),
        [
            *Stream({"service": "always-worse"}, [Phase(times.turn, (GOOD,)), Phase(45)]).lines(),
            *Stream(cheap, [Phase(times.turn, (Stratum(60, 0.7),)), Phase(45)]).lines(),
            *Stream(
                {"service": "always-worse", "evaluator_version": "2"},
                [Phase(times.turn, is_seen=False), Phase(45, (GOOD,))],
            ).lines(),
            *Stream(
                {**cheap, "evaluator_version": "2"},
                [Phase(times.turn, is_seen=False), Phase(45, (Stratum(60, 0.7),))],
            ).lines(),
        ],
    )


def _safety(times: Times) -> Iterable[Story]:
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
    yield _silent(
        "two violations in a service with a score a minute: a high rate, and too few to page",
        "burn-low-n",
        [
            Phase(times.turn, (Stratum(1, 1.0),)),
            Phase(4, (Stratum(1, 0.5),)),
            Phase(41, (Stratum(1, 1.0),)),
        ],
        {"evaluator": "test.safety"},
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
    yield Story("no critical finding", ("service", "harmless"), [line])


def _cost_and_latency(times: Times) -> Iterable[Story]:
    half, less = Stratum(60, 0.5), Stratum(60, 0.33)
    for service, after, usd, firing in (
        ("dear", less, 0.02, frozenset({"AssayCostRegressed"})),
        ("one-dear-call", half, 0.02, frozenset()),
        ("bit-dearer", Stratum(60, 0.48), 0.011, frozenset()),
    ):
        phases = [Phase(times.turn, (half,)), Phase(AFTER_MINUTES, (after,))]
        labels = {"environment": "production", "service": service}
        spent = [Step(times.turn, 0.6), Step(AFTER_MINUTES, 60 * usd)]
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
        )


def _silence_and_sampling(times: Times) -> Iterable[Story]:
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
    yield _silent(
        "half of the scores weigh four times as much as the others",
        "even-enough",
        [Phase(times.end, (Stratum(30, 0.95), Stratum(30, 0.95, weight=4)))],
    )


def _outcomes(times: Times) -> Iterable[Story]:
    def outcomes(evaluator: str, **rates: float) -> list[Line]:
        kinds = {"scored": "scored", "no_content": "skipped", "duplicate": "skipped"}
        lines = []
        for reason, per_minute in rates.items():
            outcome = kinds.get(reason, "failed")
            labels = {
                "evaluator": evaluator,
                "outcome": outcome,
                "reason": "" if outcome == "scored" else reason,
            }
            quiet = Step(times.turn, per_minute if outcome == "scored" else 0)
            steps = [quiet, Step(AFTER_MINUTES, per_minute)]
            lines.append(counter("assay_outcomes_total", labels, steps))
        return lines

    yield Story(
        "two spans of five have no text: no score, and nothing fails",
        ("evaluator", "test.empty"),
        outcomes("test.empty", scored=60, no_content=40),
        frozenset({"AssayCoverageLow"}),
        after=40,
    )
    yield Story(
        "two spans of five are duplicates: that is as it should be",
        ("evaluator", "test.twice"),
        outcomes("test.twice", scored=60, duplicate=40),
    )
    yield Story(
        "a judge's endpoint fails for every second call",
        ("evaluator", "test.failing"),
        outcomes("test.failing", scored=30, judge_error=30),
        frozenset({"AssayJudgeFailing", "AssayCoverageLow"}),
        after=40,
    )
    yield Story(
        "one call in twenty fails",
        ("evaluator", "test.hiccup"),
        outcomes("test.hiccup", scored=57, judge_error=3),
    )


def _pipeline(times: Times) -> Iterable[Story]:
    turn, rest = times.turn, AFTER_MINUTES

    def one(text: str, label: tuple[str, str], line: Line, *firing: str, after: int = 20) -> Story:
        return Story(text, label, [line], frozenset(firing), after)

    breaker, age = "assay_judge_breaker_open", "assay_oldest_unfinished_age_seconds"
    label = ("endpoint", "down")
    line = gauge(breaker, dict([label]), [(turn, 0), (rest, 1)])
    yield one("a judge's breaker stays open", label, line, "AssayJudgeBreakerOpen")
    label = ("endpoint", "blip")
    line = gauge(breaker, dict([label]), [(turn, 0), (3, 1), (rest - 3, 0)])
    yield one("a breaker opens for three minutes", label, line)
    label = ("reason", "undecodable")
    line = counter("assay_dead_letters_total", dict([label]), [Step(turn), Step(1, 1), Step(44)])
    yield one("a record cannot be read", label, line, "AssayDeadLetters", after=10)
    label = ("reason", "wrong_format")
    line = counter("assay_dead_letters_total", dict([label]), [Step(times.end)])
    yield one("no record of this kind was ever unreadable", label, line)
    label = ("lane", "judge")
    line = gauge(age, dict([label]), [(turn, 5), (rest, 600)])
    yield one("the oldest record is ten minutes old", label, line, "AssayWorkBehind")
    label = ("lane", "trace")
    # More than other lanes may be, and less than any traces.max_age_s allows.
    line = gauge(age, dict([label]), [(turn, 5), (rest, 301)])
    yield one("a trace is held until it is whole, which may take a while", label, line)
    for topic, text, offset, lag, firing in (
        ("stuck", "a partition has lag and does not advance", 0, 50, {"AssayWorkStuck"}),
        ("advancing", "a partition has lag and advances", 60, 50, set()),
        ("at-its-end", "a partition has no lag and no new records", 0, 0, set()),
    ):
        labels = {"lane": "code", "topic": topic, "partition": "0"}
        yield Story(
            text,
            ("topic", topic),
            [
                gauge("assay_partition_lag", labels, [(turn, 0), (rest, lag)]),
                counter("assay_partition_offset", labels, [Step(turn, 60), Step(rest, offset)]),
            ],
            frozenset(firing),
        )
    overflow = "assay_label_overflow_total"
    label = ("label", "prompt_version")
    steps = [Step(turn, 0.01, is_seen=False), Step(rest)]
    line = counter(overflow, dict([label]), steps)
    yield one("a label overflows for the first time", label, line, "AssaySeriesOverflow")
    label = ("label", "model")
    line = counter(overflow, dict([label]), [Step(times.end)])
    yield one("a label does not overflow", label, line)


def _silent(text: str, service: str, phases: Sequence[Phase], *labels: dict[str, str]) -> Story:
    streams = [Stream({"service": service, **more}, phases) for more in labels or ({},)]
    return Story(text, ("service", service), [line for one in streams for line in one.lines()])
