"""Stories of outcomes and of the pipeline itself."""

from collections.abc import Iterable

from .series import Line, Step, counter, gauge
from .story import AFTER_MINUTES, Story, Times


def outcomes(times: Times) -> Iterable[Story]:
    """Evaluations that end without a score."""

    def lines(evaluator: str, **rates: float) -> list[Line]:
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
        lines("test.empty", scored=60, no_content=40),
        frozenset({"AssayCoverageLow"}),
        after=40,
    )
    yield Story(
        "two spans of five are duplicates: that is as it should be",
        ("evaluator", "test.twice"),
        lines("test.twice", scored=60, duplicate=40),
        near=frozenset({"AssayCoverageLow"}),
    )
    yield Story(
        "a judge's endpoint fails for every second call",
        ("evaluator", "test.failing"),
        lines("test.failing", scored=30, judge_error=30),
        frozenset({"AssayJudgeFailing", "AssayCoverageLow"}),
        after=40,
    )
    yield Story(
        "one call in twenty fails",
        ("evaluator", "test.hiccup"),
        lines("test.hiccup", scored=57, judge_error=3),
        near=frozenset({"AssayJudgeFailing", "AssayCoverageLow"}),
    )


def anchors(times: Times) -> Iterable[Story]:
    """Judges that are watched by labelled items."""

    def lines(evaluator: str, agree: float, disagree: float) -> list[Line]:
        seen = {"evaluator": evaluator, "outcome": "scored", "reason": ""}
        lines = [counter("assay_outcomes_total", seen, [Step(times.end, 10)])]
        for result, before, after in (("agree", 60, agree), ("disagree", 1, disagree)):
            steps = [Step(times.turn, before), Step(AFTER_MINUTES, after)]
            labels = {"evaluator": evaluator, "result": result}
            lines.append(counter("assay_anchors_total", labels, steps))
        return lines

    yield Story(
        "a judge agrees with half of its anchors, and did with nearly all",
        ("evaluator", "test.drifted"),
        lines("test.drifted", 30, 31),
        frozenset({"AssayJudgeDrifted"}),
        after=40,
    )
    yield Story(
        "a judge agrees with a little less of its anchors",
        ("evaluator", "test.steady"),
        lines("test.steady", 59, 2),
        near=frozenset({"AssayJudgeDrifted"}),
    )


def pipeline(times: Times) -> Iterable[Story]:
    """Judges' endpoints, records, partitions and labels, each well and unwell."""
    yield from _breakers(times)
    yield from _partitions(times)
    letters, overflow = "assay_dead_letters_total", "assay_label_overflow_total"
    label = ("reason", "undecodable")
    once = [Step(times.turn), Step(1, 1), Step(AFTER_MINUTES - 1)]
    yield Story(
        "a record cannot be read",
        label,
        [counter(letters, dict([label]), once)],
        frozenset({"AssayDeadLetters"}),
        after=10,
    )
    label = ("reason", "wrong_format")
    yield Story(
        "no record of this kind was ever unreadable",
        label,
        [counter(letters, dict([label]), [Step(times.end)])],
        near=frozenset({"AssayDeadLetters"}),
    )
    label = ("label", "prompt_version")
    born = [Step(times.turn, 0.01, is_seen=False), Step(AFTER_MINUTES)]
    yield Story(
        "a label overflows for the first time",
        label,
        [counter(overflow, dict([label]), born)],
        frozenset({"AssaySeriesOverflow"}),
    )
    label = ("label", "model")
    yield Story(
        "a label does not overflow",
        label,
        [counter(overflow, dict([label]), [Step(times.end)])],
        near=frozenset({"AssaySeriesOverflow"}),
    )
    workers = [{"job": "assay", "instance": instance} for instance in "ab"]
    yield Story(
        "one of two workers cannot be scraped: the other can",
        ("alertname", "AssayAbsent"),
        [
            gauge("up", workers[0], [(times.end, 1)]),
            gauge("up", workers[1], [(times.turn, 1), (AFTER_MINUTES, 0)]),
        ],
        near=frozenset({"AssayAbsent"}),
    )


def _breakers(times: Times) -> Iterable[Story]:
    turn, rest = times.turn, AFTER_MINUTES
    breaker = "assay_judge_breaker_open"
    down, blip = {"endpoint": "down"}, {"endpoint": "blip"}
    waits = {"evaluator": "test.waits"}
    scored = {**waits, "outcome": "scored", "reason": ""}
    yield Story(
        "a judge's breaker stays open, and nobody knows who asks it",
        ("endpoint", "down"),
        [gauge(breaker, down, [(turn, 0), (rest, 1)])],
        frozenset({"AssayJudgeBreakerOpen"}),
    )
    yield Story(
        "a judge's breaker stays open: that is said of the evaluator that waits",
        ("evaluator", "test.waits"),
        [
            gauge(breaker, {"endpoint": "down-too"}, [(turn, 0), (rest, 1)]),
            gauge(
                "assay_judge_evaluator_info", {"endpoint": "down-too", **waits}, [(times.end, 1)]
            ),
            counter("assay_outcomes_total", scored, [Step(turn, 60), Step(rest)]),
        ],
        frozenset({"AssayJudgeBreakerOpen"}),
    )
    yield Story(
        "a breaker opens for three minutes",
        ("endpoint", "blip"),
        [gauge(breaker, blip, [(turn, 0), (3, 1), (rest - 3, 0)])],
        near=frozenset({"AssayJudgeBreakerOpen"}),
    )


def _partitions(times: Times) -> Iterable[Story]:
    turn, rest = times.turn, AFTER_MINUTES
    age = "assay_oldest_unfinished_age_seconds"
    behind, stuck = frozenset({"AssayWorkBehind"}), frozenset({"AssayWorkStuck"})
    yield Story(
        "the oldest record is ten minutes old",
        ("lane", "judge"),
        [gauge(age, {"lane": "judge"}, [(turn, 5), (rest, 600)])],
        behind,
    )
    yield Story(
        "a trace is held until it is whole, which may take a while",
        ("lane", "trace"),
        # More than other lanes may be, and less than any traces.max_age_s allows.
        [gauge(age, {"lane": "trace"}, [(turn, 5), (rest, 301)])],
    )
    yield Story(
        "a trace is held until it is whole, which may take a while",
        ("lane", "trace"),
        [gauge(age, {"lane": "trace"}, [(turn, 5), (rest, 1000)])],
        near=behind,
    )
    for topic, text, per_minute, lag in (
        ("stuck", "a partition has lag and does not advance", 0, 50),
        ("advancing", "a partition has lag and advances", 60, 50),
        ("at-its-end", "a partition has no lag and no new records", 0, 0),
    ):
        labels = {"lane": "code", "topic": topic, "partition": "0"}
        yield Story(
            text,
            ("topic", topic),
            [
                gauge("assay_partition_lag", labels, [(turn, 0), (rest, lag)]),
                counter("assay_partition_offset", labels, [Step(turn, 60), Step(rest, per_minute)]),
            ],
            firing=stuck if topic == "stuck" else frozenset(),
            near=frozenset() if topic == "stuck" else stuck,
        )
