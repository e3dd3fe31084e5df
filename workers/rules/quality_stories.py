"""Stories of scores that get worse, or only seem to."""

from collections.abc import Iterable

from .series import Line, Phase, Stratum, Stream, gauge
from .story import AFTER_MINUTES, DROP, GOOD, Story, Times, silent


def _turning(service: str, before: Stratum, after: Stratum, times: Times) -> list[Line]:
    phases = [Phase(times.turn, (before,)), Phase(AFTER_MINUTES, (after,))]
    return list(Stream({"service": service}, phases).lines())


def falling(times: Times) -> Iterable[Story]:
    """Scores get worse, or are worse than promised."""
    yield Story(
        "the mean falls from 0.95 to 0.75 at 60 scores a minute",
        ("service", "drop"),
        _turning("drop", GOOD, Stratum(60, 0.75), times),
        DROP,
        after=5,
    )
    yield Story(
        "the mean slips by 0.04 at 300 scores a minute: a ticket, no page",
        ("service", "slip"),
        _turning("slip", Stratum(300, 0.95), Stratum(300, 0.91), times),
        frozenset({"AssayScoreDegraded"}),
        near=frozenset({"AssayScoreRegressed"}),
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
        near=frozenset({"AssayObjectiveMissed"}),
    )
    yield Story(
        "the objectives of the stories here",
        ("service", "none"),
        [
            gauge("assay_evaluator_objective_ratio", {"evaluator": name}, [(times.end, ratio)])
            for name, ratio in (("test.promised", 0.93), ("test.safety", 0.999))
        ],
    )


def holding(times: Times) -> Iterable[Story]:
    """Something happens, and scores have not got worse."""
    steady = [Phase(times.end, (GOOD,))]
    yield silent("nothing happens", "steady", steady)
    yield silent(
        "all replicas restart at once: counters begin at 0 again",
        "restart",
        [Phase(times.turn, (GOOD,)), Phase(45, (GOOD,), restarts=True)],
        {"instance": "a"},
        {"instance": "b"},
    )
    yield silent(
        "a service that is new, with bad scores: there is nothing that they fell from",
        "cold-start",
        [Phase(times.turn, is_seen=False), Phase(45, (Stratum(60, 0.60),))],
    )
    yield silent(
        "no traffic at all", "idle", [Phase(times.end)], near={*DROP, "AssayScoresStopped"}
    )
    yield silent(
        "two failures of three scores, in a service that has few",
        "low-n",
        [
            Phase(times.turn, (Stratum(0.2, 0.95),)),
            Phase(15, (Stratum(0.2, 1 / 3),)),
            Phase(30, (Stratum(0.2, 0.95),)),
        ],
    )
    yield silent(
        "the sampling rate rises tenfold in mid-flight",
        "rate-changed",
        [
            Phase(times.turn, (Stratum(3, 0.95, weight=20),)),
            Phase(45, (Stratum(30, 0.95, weight=2),)),
        ],
    )
    usual = Stratum(10, 0.97, weight=10)
    yield silent(
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
        near=DROP | {"AssayVersionRegressed", "AssayScoresStopped"},
    )


def versions(times: Times) -> Iterable[Story]:
    """Models and prompt versions beside each other."""
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
        near=frozenset({"AssayVersionRegressed"}),
    )
