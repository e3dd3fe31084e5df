"""`assay dead-letters retry`: what can be read by now is judged, the rest is said and left."""

from pathlib import Path
from typing import Any

import pytest
from support.replays import Site, by_id
from support.spans import llm_span, message

from schemas.outcome import Origin, Source
from schemas.reasons import Status
from workers.demo.broker import MockCluster

from .conftest import Run, report_of

BAD = b"\xff\xff no span"


@pytest.fixture
def site(mock_cluster: MockCluster, tmp_path: Path) -> Site:
    """Topics on a mock cluster, and a config with two evaluators."""
    one = Site(mock_cluster.bootstrap_servers, tmp_path)
    for topic in (one.spans, one.scores, one.dead):
        mock_cluster.create_topic(topic, 2)
    return one


def _retry(assay: Run, *arguments: str) -> dict[str, Any]:
    return report_of(assay("dead-letters", "retry", "--json", *arguments))


def test_what_can_be_read_now_is_judged_once(site: Site, assay_here: Run) -> None:
    """The letter's bytes, under the ids and the source that it would have had; not again later."""
    good = message([llm_span()])
    lost = (good, Source(site.spans, 1, 41))
    site.letter(*lost)
    site.letter(*lost)  # a crash wrote it twice
    expected = {outcome.evaluation_id for outcome in site.outcomes_of(lost)}
    report = _retry(assay_here)
    assert (report["records"], report["readable"], report["published"]) == (1, 1, 2)
    published = site.published()
    assert {outcome.evaluation_id for outcome in published} == expected
    assert {outcome.sources for outcome in published} == {(lost[1],)}
    assert {(o.origin, o.outcome) for o in published} == {(Origin.RETRY, Status.SCORED)}
    again = _retry(assay_here)
    assert (again["published"], again["had_outcomes"]) == (0, 2)
    assert len(site.published()) == 2


def test_what_still_cannot_be_read_is_said_and_left(site: Site, assay_here: Run) -> None:
    """Nothing is written for it, least of all another dead letter."""
    site.letter(BAD, Source(site.spans, 0, 3))
    report = _retry(assay_here)
    (letter,) = report["unreadable"]
    assert letter["origin"] == f"{site.spans}/0/3"
    assert report["published"] == 0
    text = assay_here("dead-letters", "retry").out
    assert "1 cannot be read" in text
    assert f"{site.spans}/0/3" in text
    assert len(assay_here("dead-letters", "list", "--json").out.splitlines()) == 1


def test_a_stub_is_fetched_from_its_record(site: Site, assay_here: Run) -> None:
    """As long as that stands there; where it does not, that is said."""
    _, there = site.put(message([llm_span()]))
    site.letter(None, there, reason="too_large")
    site.letter(None, Source(site.spans, 0, 77), reason="too_large")
    report = _retry(assay_here)
    assert report["outcomes"] == {"scored": 2}
    assert report["gone"] == [f"{site.spans}/0/77"]
    assert {outcome.sources for outcome in site.published()} == {(there,)}


def test_a_span_is_read_again_with_its_record(site: Site, assay_here: Run) -> None:
    """Alone it has no service; what its neighbours came to is known and not judged again."""
    spans = [llm_span(), llm_span()]
    record = site.put(message(spans))
    site.letter(spans[1].SerializeToString(), record[1], part="span", reason="invalid_utf8")
    outcomes = site.outcomes_of(record)
    site.publish([outcome for outcome in outcomes if outcome.span_id == spans[0].span_id.hex()])
    report = _retry(assay_here)
    assert (report["published"], report["had_outcomes"]) == (2, 2)
    assert {len(each) for each in by_id(site.published()).values()} == {1}
    assert len(site.published()) == 4


def test_a_bomb_is_left_alone_unless_it_is_asked_for(site: Site, assay_here: Run) -> None:
    """Fetching it could be the end of the command, as it was of the worker."""
    _, there = site.put(message([llm_span()]))
    site.letter(None, there, reason="bad_compression")
    report = _retry(assay_here)
    assert (report["records"], report["bombs"]) == (0, [f"{there.topic}/0/{there.offset}"])
    assert _retry(assay_here, "--reason", "bad_compression")["published"] == 2


def test_only_what_is_named_is_read_again(site: Site, assay_here: Run) -> None:
    """By origin, as `list` prints it, and by reason."""
    for offset in (1, 2):
        site.letter(message([llm_span()]), Source(site.spans, 0, offset))
    assert _retry(assay_here, "--reason", "too_deep")["records"] == 0
    assert _retry(assay_here, "--origin", f"{site.spans}/0/2")["published"] == 2
    assert {outcome.sources[0].offset for outcome in site.published()} == {2}
