"""`assay backfill` of whole traces, on a real Kafka: those that begin in a time, each once."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from support.judge_server import JudgeServer, serving
from support.kafka import KafkaServer
from support.replays import Site, by_id, command
from support.spans import llm_span, message, plain_span

from schemas.outcome import Origin, Outcome, Source
from schemas.reasons import Reason, Status

from .conftest import Run, report_of

PARTITIONS = 2
MINUTE_MS = 60_000
NOON_MS = int(time.time() * 1000) - 300 * MINUTE_MS
"""Some hours ago; the minutes of the tests count from it."""

pytestmark = [pytest.mark.kafka]

Placed = tuple[bytes, Source]


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    """A judge that answers well."""
    server = JudgeServer()
    with serving(server):
        yield server


@pytest.fixture
def site(kafka: KafkaServer, tmp_path: Path, judge: JudgeServer) -> Site:
    """Topics of its own, an evaluator of whole traces, of which each may last for ten minutes."""
    one = Site(kafka.bootstrap_servers, tmp_path, suffix=f"-{uuid4().hex[:8]}")
    _configure(one, judge)
    kafka.create_topics({one.spans: PARTITIONS, one.scores: 2, one.dead: 1})
    return one


def _configure(site: Site, judge: JudgeServer, **sections: Any) -> None:
    known: dict[str, Any] = {
        "evaluators": ["task_completion"],
        "traces": {"idle_s": 240, "max_age_s": 600},
    }
    site.configure(judge_url=judge.url, **(known | sections))


def _put(site: Site, **minutes: Sequence[float]) -> dict[str, list[Placed]]:
    """Write traces, one record at each of these minutes: calls, and at last what is around them.

    All are in one partition, in the order of their times, as they would have come.
    """
    roots = {name: plain_span("POST /run") for name in minutes}
    runs: dict[str, list[Placed]] = {name: [] for name in minutes}
    at = sorted((minute, name) for name, several in minutes.items() for minute in several)
    for minute, name in at:
        root, run = roots[name], runs[name]
        called = llm_span(
            f"Ship order {name}.", trace_id=root.trace_id, parent_span_id=root.span_id
        )
        is_last = len(run) + 1 == len(minutes[name])
        run.append(
            site.put(
                message([root if is_last else called]),
                key=root.trace_id.hex().encode(),
                at_ms=NOON_MS + int(minute * MINUTE_MS),
            )
        )
    return runs


def _between(begin: float, end: float, *arguments: str) -> tuple[str, ...]:
    times = [
        datetime.fromtimestamp((NOON_MS + minute * MINUTE_MS) / 1000, UTC).isoformat()
        for minute in (begin, end)
    ]
    return ("backfill", "--json", "--from", times[0], "--to", times[1], *arguments)


def _report(assay: Run, *arguments: str) -> dict[str, Any]:
    return report_of(assay(*arguments))


def _named(site: Site, runs: Mapping[str, Sequence[Placed]]) -> list[str]:
    """Which traces the outcomes on the scores topic are of, each as often as it has one."""
    names = {run[0][1]: name for name, run in runs.items()}
    return sorted(names[outcome.sources[0]] for outcome in site.published())


def _whole(site: Site, runs: Mapping[str, Sequence[Placed]]) -> dict[str, Outcome]:
    """What all of each trace comes to, by the trace's name."""
    return {name: site.outcomes_of(*run)[0] for name, run in runs.items()}


def test_traces_that_begin_in_the_time_are_evaluated_whole(site: Site, assay_here: Run) -> None:
    """One that began before is not, and one that goes on behind it is read to its end.

    The next time's backfill takes up where this one ended: no trace twice, and none left out.
    """
    runs = _put(
        site,
        before=[-5, -3, 1, 2],
        within=[2, 3, 4],
        across=[8, 9.5, 11, 13],
        after=[12, 13, 14],
    )
    assert _report(assay_here, *_between(0, 10))["published"] == 2
    assert _named(site, runs) == ["across", "within"]
    whole = _whole(site, runs)
    for outcome in site.published():
        (wanted,) = [each for each in whole.values() if each.trace_id == outcome.trace_id]
        assert outcome.evaluation_id == wanted.evaluation_id
        assert (outcome.revision, outcome.sources) == (wanted.revision, wanted.sources)
        assert (outcome.origin, outcome.outcome) == (Origin.BACKFILL, Status.SCORED)
    report = _report(assay_here, *_between(10, 20))
    assert (report["published"], report["finished"]) == (1, True)
    assert _named(site, runs) == ["across", "after", "within"]


def test_a_trace_that_never_rests_is_taken_at_its_maximum_age(site: Site, assay_here: Run) -> None:
    """In the time of the records; what comes later is no part of it, and begins none."""
    runs = _put(site, long=[*range(1, 14), 15], next=[14, 14.5])
    assert _report(assay_here, *_between(0, 20))["published"] == 2
    assert {o.trace_id: o.revision for o in site.published()} == {
        whole.trace_id: revision
        for whole, revision in zip(_whole(site, runs).values(), (10, 2), strict=True)
    }


def test_spans_and_traces_are_both_evaluated(
    site: Site, assay_here: Run, judge: JudgeServer
) -> None:
    """Each of its own; `--evaluator` picks, `--route` too."""
    _configure(site, judge, evaluators=["pii", "task_completion"])
    _put(site, one=[1, 2, 3], two=[2, 3])
    both = _report(assay_here, *_between(0, 10))
    assert (both["records"], both["done"], both["published"]) == (5, 5, 5)
    counted = Counter(outcome.evaluator.name for outcome in site.published())
    assert counted == {"pii": 3, "task_completion": 2}
    alone = ("--evaluator", "task_completion", "--state", "alone")
    assert _report(assay_here, *_between(0, 10, *alone))["published"] == 2
    site.set(routes=[*_routes(site), {"name": "other", "when": "false", "evaluators": ["pii"]}])
    other = ("--route", "other", "--state", "other")
    assert _report(assay_here, *_between(0, 10, *other))["published"] == 0


def test_a_state_that_knows_of_no_traces_gets_to_know_them(
    site: Site, assay_here: Run, judge: JudgeServer
) -> None:
    """As one that an earlier version wrote, or that is older than the evaluator of traces."""
    _put(site, one=[1, 2, 3])
    _configure(site, judge, evaluators=["pii"])
    arguments = _between(0, 10, "--state", "state.json")
    assert _report(assay_here, *arguments)["published"] == 2
    state = site.folder / "state.json"
    kept = json.loads(state.read_text())
    del kept["traces"]
    state.write_text(json.dumps(kept | {"is_finished": False}))
    _configure(site, judge, evaluators=["pii", "task_completion"])
    report = _report(assay_here, *arguments)
    assert (report["published"], report["finished"], report["done"]) == (1, True, 3)


def _routes(site: Site) -> list[dict[str, Any]]:
    return [route.model_dump(mode="json") for route in site.config.routes]


def test_what_waits_is_bounded_as_in_the_lane(
    site: Site, assay_here: Run, judge: JudgeServer
) -> None:
    """Three at once where two may wait: the oldest gives way, which is an outcome."""
    _configure(site, judge, traces={"idle_s": 240, "max_age_s": 600, "max_count": 2})
    runs = _put(site, a=[1, 2.5], b=[1.5, 2.6], c=[2, 2.7])
    assert _report(assay_here, *_between(0, 10))["outcomes"] == {
        "scored": 2,
        "skipped(trace_evicted)": 1,
    }
    (evicted,) = [o for o in site.published() if o.reason is Reason.TRACE_EVICTED]
    assert evicted.sources == (runs["a"][0][1],)


def test_records_without_their_key_are_split(site: Site, assay_here: Run) -> None:
    """As in the lane: nobody sees the whole trace, so it is not judged."""
    site.put(message([llm_span()]), at_ms=NOON_MS + MINUTE_MS)
    report = _report(assay_here, *_between(0, 10))
    assert report["outcomes"] == {"skipped(trace_split)": 1}
    assert _report(assay_here, *_between(0, 10, "--state", "again"))["published"] == 1


def test_what_cannot_be_read_is_counted(site: Site, assay_here: Run) -> None:
    """A record of the time, not one that is read for the traces around it."""
    for minute in (-1, 1, 11):
        site.put(b"\xff" * 40, at_ms=NOON_MS + minute * MINUTE_MS)
    runs = _put(site, one=[12, 13])
    report = _report(assay_here, *_between(0, 10))
    assert (report["unreadable"], report["published"]) == (1, 0)
    assert _named(site, runs) == []


def _many(site: Site, count: int) -> dict[str, list[Placed]]:
    """Traces that begin every five seconds, of three records in four minutes each."""
    return _put(site, **{f"t{n}": [n / 12, n / 12 + 2, n / 12 + 4] for n in range(count)})


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_stopped_backfill_of_traces_publishes_nothing_twice(
    site: Site, tmp_path: Path, judge: JudgeServer
) -> None:
    """Ctrl-C while others wait for their end: they are made later, whole, and each once."""
    count = 80
    _configure(site, judge, traces={"idle_s": 180, "max_age_s": 600}, limits={"in_flight": 4})
    runs = _many(site, count)
    judge.latency_s = 0.3
    arguments = _between(-1, 60, "--state", "state.json")
    with command(tmp_path, *arguments) as first:
        first.until(lambda: len(site.published()) >= 10)
        first.interrupt()
        stopped = first.report(130)
    assert 10 <= stopped["published"] < count
    assert json.loads((tmp_path / "state.json").read_text())["traces"][0]["offset"] > 0
    with command(tmp_path, *arguments) as second:
        report = second.report()
    assert report["published"] == count - stopped["published"]
    assert (report["finished"], report["done"]) == (True, 3 * count)
    assert _named(site, runs) == sorted(runs)
    assert {(o.revision, o.outcome) for o in site.published()} == {(3, Status.SCORED)}
    with command(tmp_path, *arguments) as third:
        assert "published" not in third.report()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_killed_backfill_of_traces_goes_on_from_its_checkpoint(
    site: Site, tmp_path: Path, judge: JudgeServer
) -> None:
    """Each trace has the outcome of the whole; what is repeated was in flight, or just finished.

    One trace goes on for longer than all others, so that these are done behind it.
    """
    count = 80
    _configure(site, judge, traces={"idle_s": 180, "max_age_s": 3600}, limits={"in_flight": 4})
    steps = [[n / 12, n / 12 + 2, n / 12 + 4] for n in range(count)]
    runs = _put(site, long=[0, *range(1, 13)], **{f"t{n}": each for n, each in enumerate(steps)})
    judge.latency_s = 0.3
    arguments = _between(-1, 60, "--state", "state.json")
    with command(tmp_path, *arguments) as first:
        first.until(lambda: len(site.published()) >= 20)
        first.process.kill()
        first.process.wait(10)
    (kept, *_) = json.loads((tmp_path / "state.json").read_text())["traces"]
    assert kept["offset"] == 0  # the long one still waits
    assert kept["done"]
    before = len(site.published())
    with command(tmp_path, *arguments) as second:
        report = second.report()
    assert report["finished"]
    held = by_id(site.published())
    assert sorted(set(_named(site, runs))) == sorted(runs)
    assert len(held) == count + 1
    assert Counter(each[-1].revision for each in held.values()) == {3: count, 13: 1}
    assert before + report["published"] - len(held) <= 4 + 10
