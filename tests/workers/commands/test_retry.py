"""`assay retry`: which outcomes are tried again, under which id, and what is said of the others."""

from pathlib import Path
from typing import Any

import pytest
from support.judge_server import JudgeServer, serving
from support.processes import free_ports
from support.replays import Site, by_id, command, failed
from support.spans import llm_span, message

from schemas.outcome import Origin
from schemas.reasons import Reason, Status
from workers.demo.broker import MockCluster

from .conftest import Run, report_of


@pytest.fixture
def site(mock_cluster: MockCluster, tmp_path: Path) -> Site:
    """Topics on a mock cluster, and a config with two evaluators."""
    one = Site(mock_cluster.bootstrap_servers, tmp_path)
    for topic in (one.spans, one.scores, one.dead):
        mock_cluster.create_topic(topic, 2)
    return one


def _retry(assay: Run, *arguments: str) -> dict[str, Any]:
    return report_of(assay("retry", "--json", *arguments))


def test_a_failed_outcome_is_made_again_under_its_id(site: Site, assay_here: Run) -> None:
    """The last one holds: scored, with the same id and source, and origin retry; then no more."""
    first, other = site.put(message([llm_span(), llm_span()])), site.put(message([llm_span()]))
    scored = site.outcomes_of(first, other)
    site.publish([failed(scored[0]), *scored[1:4], failed(scored[4], Reason.TIMEOUT), scored[5]])
    report = _retry(assay_here)
    assert (report["matched"], report["published"]) == (2, 2)
    assert report["outcomes"] == {"scored": 2}
    again = by_id(site.published())
    for tried in (scored[0], scored[4]):
        held = again[tried.evaluation_id][-1]
        assert (held.origin, held.outcome) == (Origin.RETRY, Status.SCORED)
        assert (held.sources, held.sampling) == (tried.sources, tried.sampling)
        assert held.score == tried.score
    assert len(site.published()) == len(scored) + 2
    assert _retry(assay_here)["matched"] == 0
    assert len(site.published()) == len(scored) + 2


def test_a_later_outcome_holds(site: Site, assay_here: Run) -> None:
    """What failed and was scored since is left alone; what failed at last is tried again."""
    scored = site.outcomes_of(site.put(message([llm_span()])))
    site.publish([failed(scored[0]), scored[0], scored[1], failed(scored[1])])
    report = _retry(assay_here)
    assert report["by_evaluator"] == {scored[1].evaluator.name: {"judge_error": 1}}
    assert report["published"] == 1


def test_only_what_is_named_is_tried(site: Site, assay_here: Run) -> None:
    """By evaluator, by reason, by number; a skip only where another try may change it."""
    records = [site.put(message([llm_span()])) for _ in range(2)]
    scored = site.outcomes_of(*records)
    pii = [outcome for outcome in scored if outcome.evaluator.name == "pii"]
    reasons = [Reason.EXPIRED, Reason.NOT_APPLICABLE]
    site.publish([failed(o, reason) for o, reason in zip(pii, reasons, strict=True)])
    dry = ("--dry-run",)
    assert _retry(assay_here, *dry)["by_evaluator"] == {"pii": {"expired": 1}}
    assert _retry(assay_here, *dry, "--reason", "not_applicable")["to_retry"] == 1
    assert _retry(assay_here, *dry, "--evaluator", "secrets")["matched"] == 0
    both = ("--reason", "not_applicable", "--reason", "expired")
    assert _retry(assay_here, *dry, *both)["to_retry"] == 2
    assert _retry(assay_here, *dry, *both, "--limit", "1")["to_retry"] == 1
    assert len(site.published()) == 2
    wrong = assay_here("retry", "--reason", "tired")
    assert (wrong.status, '--reason "tired": no such reason' in wrong.err) == (2, True)
    wrong = assay_here("retry", "--evaluator", "pii2")
    assert (wrong.status, "no route names it" in wrong.err) == (2, True)


def test_an_old_span_is_not_too_old_for_a_retry(site: Site, assay_here: Run) -> None:
    """Whoever asks for an expired evaluation wants it, so `max_age_s` does not apply."""
    span = llm_span()
    span.start_time_unix_nano -= 7200 * 10**9
    span.end_time_unix_nano -= 7200 * 10**9
    record = site.put(message([span]))
    site.reroute(max_age_s=3600)
    skipped = site.outcomes_of(record)
    assert {outcome.reason for outcome in skipped} == {Reason.EXPIRED}
    site.publish(skipped)
    assert _retry(assay_here)["outcomes"] == {"scored": 2}


def test_an_evaluator_that_has_changed_is_said_and_left(site: Site, assay_here: Run) -> None:
    """Its outcome would have another id: nothing is published in the place of the old one."""
    scored = site.outcomes_of(site.put(message([llm_span()])))
    site.publish([failed(outcome) for outcome in scored])
    site.set(evaluators={"pii": {"threshold": 0.9}})
    report = _retry(assay_here)
    (why,) = report["left"]
    assert ("has changed" in why, report["left"][why]) == (True, 1)
    assert report["by_evaluator"] == {"secrets": {"judge_error": 1}}
    assert report["published"] == 1


def test_what_no_route_asks_for_any_more_is_said_and_left(site: Site, assay_here: Run) -> None:
    """The routes decide, as ever; a config that lost the evaluator says so too."""
    scored = site.outcomes_of(site.put(message([llm_span()])))
    site.publish([failed(outcome) for outcome in scored])
    site.reroute(when='span.service == "other"', evaluators=["pii"])
    report = _retry(assay_here)
    assert sorted(report["left"].values()) == [1, 1]
    assert any("routes or sampling changed" in why for why in report["left"])
    assert any("does not name" in why for why in report["left"])
    assert report["published"] == 0


def test_a_copy_elsewhere_does_not_take_the_place_of_what_failed(
    site: Site, assay_here: Run
) -> None:
    """Read before the failed call, its copy must not make it a duplicate: none would be judged."""
    copies = [llm_span(attributes={"gen_ai.response.id": "one"}) for _ in range(2)]
    copies[1].trace_id = copies[0].trace_id
    original = site.put(message([copies[0]]), partition=1)
    beside = llm_span()
    copy = site.put(message([beside, copies[1]]), partition=0)
    outcomes = [o for o in site.outcomes_of(original, copy) if o.reason is not Reason.DUPLICATE]
    assert len(outcomes) == 4
    site.publish([failed(outcome) for outcome in outcomes])
    assert _retry(assay_here)["outcomes"] == {"scored": 4}


def test_offsets_that_are_not_there_are_named(site: Site, assay_here: Run) -> None:
    """Each offset is said, for people and for machines."""
    record = site.put(message([llm_span()]))
    gone = [(record[0], type(record[1])(site.spans, 0, offset)) for offset in (7, 8, 9, 12)]
    site.publish([failed(outcome) for outcome in site.outcomes_of(*gone[:1])])
    for one in gone[1:]:
        site.publish([failed(o) for o in site.outcomes_of((message([llm_span()]), one[1]))])
    report = _retry(assay_here, "--dry-run")
    assert report["gone"] == [{"topic": site.spans, "partition": 0, "offsets": [7, 8, 9, 12]}]
    text = assay_here("retry").out
    assert f"gone from {site.spans}[0]: 7-9, 12" in text
    assert "8 are left: retention has taken their record" in text


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_a_judge_that_is_out_is_waited_for_and_ctrl_c_loses_nothing(
    site: Site, tmp_path: Path
) -> None:
    """Down: it says so and fails nothing. Stopped half-way: the next run does what is left."""
    (port,) = free_ports(1)
    judge = JudgeServer(latency_s=0.3)
    site.configure(judge_url=f"http://127.0.0.1:{port}/v1", evaluators=["answer_relevance"])
    records = [site.put(message([llm_span(f"Question {n}?", f"Answer {n}.")])) for n in range(40)]
    unjudged = site.outcomes_of(*records)
    assert {outcome.reason for outcome in unjudged} == {Reason.JUDGE_UNAVAILABLE}
    site.publish(unjudged)
    with command(tmp_path, "retry", "--json", "--judge-share", "0.01") as first:
        first.until(lambda: first.says('waiting: judge "default" is out'))
        assert len(site.published()) == 40
        with serving(judge, port):
            first.until(lambda: len(site.published()) >= 44)
            first.interrupt()
            report = first.report(130)
            assert 4 <= report["published"] < 40
            assert report["stopped"]
            assert len(site.published()) == 40 + report["published"]
            with command(tmp_path, "retry", "--json") as second:
                rest = second.report()
    assert report["published"] + rest["published"] == 40
    assert rest["matched"] == 40 - report["published"]
    found = by_id(site.published())
    assert {len(each) for each in found.values()} == {2}
    assert {each[-1].outcome for each in found.values()} == {Status.SCORED}
    assert {each[-1].origin for each in found.values()} == {Origin.RETRY}
