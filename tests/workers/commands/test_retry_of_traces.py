"""`assay retry` of whole traces: all their records are read again, or they are left alone."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.judge_server import JudgeServer, serving
from support.replays import Site, by_id, command, failed
from support.spans import llm_span, message, plain_span

from schemas.outcome import Origin, Outcome, Source
from schemas.reasons import Reason, Status
from workers.demo.broker import MockCluster
from workers.retries import Leavings

from .conftest import Run, report_of

Placed = tuple[bytes, Source]


@pytest.fixture
def judge() -> Iterator[JudgeServer]:
    """A judge that answers well."""
    server = JudgeServer()
    with serving(server):
        yield server


@pytest.fixture
def site(mock_cluster: MockCluster, tmp_path: Path, judge: JudgeServer) -> Site:
    """Topics on a mock cluster, an evaluator of whole traces and one of spans."""
    one = Site(mock_cluster.bootstrap_servers, tmp_path)
    one.configure(judge_url=judge.url, evaluators=["task_completion", "pii"])
    for topic in (one.spans, one.scores, one.dead):
        mock_cluster.create_topic(topic, 2)
    return one


def _runs(site: Site, count: int) -> list[list[Placed]]:
    """Traces of three records each, all mixed: two calls, then the request around them."""
    roots = [plain_span("POST /run") for _ in range(count)]
    runs: list[list[Placed]] = [[] for _ in roots]
    for step in range(3):
        for number, root in enumerate(roots):
            called = llm_span(
                f"Ship order {number}.", trace_id=root.trace_id, parent_span_id=root.span_id
            )
            runs[number].append(
                site.put(
                    message([root if step == 2 else called]),
                    partition=number % 2,
                    key=root.trace_id.hex().encode(),
                )
            )
    return runs


def _of_traces(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.evaluator.name == "task_completion"]


def _scored(site: Site, runs: Sequence[Sequence[Placed]]) -> list[Outcome]:
    """What the config's evaluators come to; of traces and of spans."""
    return site.outcomes_of(*[record for run in runs for record in run])


def _retry(assay: Run, *arguments: str) -> dict[str, Any]:
    return report_of(assay("retry", "--json", *arguments))


def test_a_failed_trace_is_made_again_from_all_its_records(site: Site, assay_here: Run) -> None:
    """Same id, records and revision, so that it holds; beside failed spans of the same records."""
    scored = _scored(site, _runs(site, 5))
    assert len(_of_traces(scored)) == 5
    site.publish([failed(outcome) for outcome in scored])
    report = _retry(assay_here)
    assert report["outcomes"] == {"scored": len(scored)}
    assert report["left"] == {}
    again = by_id(site.published())
    for tried in scored:
        _, held = again[tried.evaluation_id]
        assert (held.origin, held.outcome) == (Origin.RETRY, Status.SCORED)
        assert (held.sources, held.revision) == (tried.sources, tried.revision)
        assert (held.span_id, held.sampling) == (tried.span_id, tried.sampling)
        assert held.score == tried.score
    assert {(o.revision, len(o.sources)) for o in _of_traces(scored)} == {(3, 3)}
    assert _retry(assay_here)["matched"] == 0


def test_a_fragment_that_failed_does_not_count_once_the_whole_is_scored(
    site: Site, assay_here: Run
) -> None:
    """The outcome of the higher revision holds, though the fragment's stands behind it."""
    (run,) = _runs(site, 1)
    (whole,), (fragment,) = _of_traces(_scored(site, [run])), _of_traces(_scored(site, [run[:1]]))
    assert whole.evaluation_id == fragment.evaluation_id
    site.publish([whole, failed(fragment)])
    assert _retry(assay_here)["matched"] == 0


def test_what_is_asked_for_is_tried(site: Site, assay_here: Run, judge: JudgeServer) -> None:
    """By evaluator, by number, and without doing it, as for spans."""
    scored = _scored(site, _runs(site, 4))
    site.publish([failed(outcome) for outcome in scored])
    asked = judge.count
    named = ("--evaluator", "task_completion", "--limit", "3")
    dry = _retry(assay_here, "--dry-run", *named)
    assert (dry["matched"], dry["by_evaluator"]) == (4, {"task_completion": {"judge_error": 3}})
    assert judge.count == asked
    assert _retry(assay_here, *named)["published"] == 3
    assert _retry(assay_here, *named)["published"] == 1


def test_a_trace_of_which_a_record_is_gone_is_named_and_left(
    site: Site, assay_here: Run, judge: JudgeServer
) -> None:
    """The rest of it must not be judged in its place; a dry run says the same."""
    first, second = _runs(site, 2)
    whole, partly = _of_traces(_scored(site, [first])), _of_traces(_scored(site, [second]))
    lost = Source(site.spans, 1, 99)
    site.publish([failed(o) for o in (*whole, *(o.with_source(lost) for o in partly))])
    gone = [{"topic": site.spans, "partition": 1, "offsets": [99]}]
    asked = judge.count
    for arguments, count in ((["--dry-run"], 0), ([], 1)):
        report = _retry(assay_here, *arguments)
        assert report["to_retry"] == 1
        assert report["gone"] == gone
        assert report["left"] == {Leavings.GONE_OF_A_TRACE: 1}
        assert judge.count == asked + count
    assert len(site.published()) == 3


def test_a_trace_of_which_a_record_cannot_be_read_any_more_is_left(
    site: Site, assay_here: Run, judge: JudgeServer
) -> None:
    """Too large for the limits of today: fewer spans than before must not stand for the whole."""
    root = plain_span("POST /run", attributes={"much": "x" * 5000})
    key = root.trace_id.hex().encode()
    called = llm_span("Ship it.", trace_id=root.trace_id, parent_span_id=root.span_id)
    run = [site.put(message([span]), key=key) for span in (called, root)]
    site.publish([failed(outcome) for outcome in _of_traces(_scored(site, [run]))])
    site.set(limits={"message_bytes": 4000})
    asked = judge.count
    report = _retry(assay_here)
    assert report["left"] == {Leavings.UNREADABLE: 1}
    assert (report["published"], judge.count) == (0, asked)


def test_traces_that_the_config_judges_otherwise_by_now_are_counted(
    site: Site, assay_here: Run
) -> None:
    """Not selected, or their evaluator changed: each is said, and nothing is published."""
    scored = _of_traces(_scored(site, _runs(site, 2)))
    site.publish([failed(outcome) for outcome in scored])
    site.reroute(when='span.service == "other"')
    assert _retry(assay_here)["left"] == {Leavings.NOT_SELECTED: 2}
    site.reroute(when="true", content="full")
    assert _retry(assay_here)["left"] == {Leavings.CHANGED: 2}
    site.reroute(content="redacted")
    site.set(evaluators={"task_completion": {"threshold": 0.9}})
    assert _retry(assay_here)["left"] == {Leavings.CHANGED: 2}
    assert len(site.published()) == 2


def test_what_names_a_part_of_its_trace_is_left(site: Site, assay_here: Run) -> None:
    """Evicted or split, it has records that its outcome does not know of."""
    scored = _of_traces(_scored(site, _runs(site, 2)))
    cut = (Reason.TRACE_EVICTED, Reason.TRACE_SPLIT)
    site.publish([failed(o, reason) for o, reason in zip(scored, cut, strict=True)])
    assert _retry(assay_here)["matched"] == 0
    both = [argument for reason in cut for argument in ("--reason", reason.value)]
    assert _retry(assay_here, *both)["left"] == {Leavings.IN_PARTS: 2}


def test_evaluators_of_which_one_saw_a_fragment_get_the_whole(site: Site, assay_here: Run) -> None:
    """Its outcome names fewer records than the other one's; both are made from all of them."""
    site.set(evaluators={"second": {"use": "task_completion"}})
    site.reroute(evaluators=["task_completion", "second"])
    (run,) = _runs(site, 1)
    one, _ = _scored(site, [run])
    _, fragment = _scored(site, [run[1:]])
    assert one.evaluator.name != fragment.evaluator.name
    site.publish([failed(one), failed(fragment)])
    assert _retry(assay_here)["outcomes"] == {"scored": 2}
    held = [each[-1] for each in by_id(site.published()).values()]
    assert [(o.revision, len(o.sources)) for o in held] == [(3, 3)] * 2


def test_an_evaluator_of_sessions_is_tried_by_its_span(site: Site, assay_here: Run) -> None:
    """It looks at the history that one span carries, and so needs no other record."""
    said = [
        {"role": role, "parts": [{"type": "text", "content": text}]}
        for role, text in (("user", "Cancel it."), ("assistant", "No."), ("user", "Cancel it!!"))
    ]
    span = llm_span(attributes={"gen_ai.input.messages": json.dumps(said)})
    site.reroute(evaluators=["user_frustration"])
    scored = site.outcomes_of(site.put(message([span])))
    assert {outcome.outcome for outcome in scored} == {Status.SCORED}
    site.publish([failed(outcome) for outcome in scored])
    assert _retry(assay_here)["outcomes"] == {"scored": 1}


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_ctrl_c_loses_no_trace_and_the_same_command_goes_on(
    site: Site, judge: JudgeServer, tmp_path: Path
) -> None:
    """Stopped in the middle of 60 traces; the next run makes what is left, none of them twice."""
    site.configure(judge_url=judge.url, evaluators=["task_completion"], limits={"in_flight": 4})
    scored = _scored(site, _runs(site, 60))
    site.publish([failed(outcome) for outcome in scored])
    judge.latency_s = 0.3
    with command(tmp_path, "retry", "--json") as first:
        first.until(lambda: len(site.published()) >= 64)
        first.interrupt()
        stopped = first.report(130)
    assert 4 <= stopped["published"] < 60
    assert judge.max_in_flight <= 4
    with command(tmp_path, "retry", "--json") as second:
        report = second.report()
    assert (report["matched"], report["published"]) == (60 - stopped["published"],) * 2
    held = by_id(site.published())
    assert {len(each) for each in held.values()} == {2}
    assert {(each[-1].outcome, each[-1].revision) for each in held.values()} == {(Status.SCORED, 3)}
