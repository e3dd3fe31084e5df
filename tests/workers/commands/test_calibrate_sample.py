"""`assay calibrate --sample` and `--topic`: verdicts for people to label, and what they said."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from support.replays import Site
from support.spans import llm_span, message

from schemas.outcome import Outcome, Source
from workers.demo.broker import MockCluster

from .conftest import Done, Run

_LABELS = "labels"


@pytest.fixture
def site(mock_cluster: MockCluster, tmp_path: Path) -> Site:
    """Topics on a mock cluster, and a config with two evaluators."""
    one = Site(mock_cluster.bootstrap_servers, tmp_path)
    for topic in (one.spans, one.scores, one.dead, _LABELS):
        mock_cluster.create_topic(topic, 2)
    return one


def _judged(site: Site, good: int, bad: int) -> list[Outcome]:
    """Calls whose outcomes stand on the scores topic: answers without and with a mail address."""
    answers = ["Fine."] * good + ["Write to maria.lindqvist@northwind-mail.se."] * bad
    records = [
        site.put(message([llm_span(f"Question {i}?", answer, system="Be kind.")]), partition=i % 2)
        for i, answer in enumerate(answers)
    ]
    outcomes = [one for one in site.outcomes_of(*records) if one.evaluator.name == "pii"]
    site.publish(outcomes)
    return outcomes


def _sample(assay: Run, count: int, *more: str) -> tuple[list[dict[str, Any]], str]:
    out = ("--out", "labels.jsonl")
    done: Done = assay("calibrate", "--evaluator", "pii", "--sample", str(count), *out, *more)
    assert done.status == 0, done.err
    lines = Path("labels.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines], done.err


def test_a_sample_holds_text_verdict_and_probability(site: Site, assay_here: Run) -> None:
    """Half of it failed; the text was read again from the spans topic, and is redacted."""
    outcomes = _judged(site, 18, 6)
    items, said = _sample(assay_here, 8)
    assert [item["judge"] for item in items].count("fail") == 4
    assert {item["probability"] for item in items} == {4 / 18, 4 / 6}
    assert all(item["drawn_from"] == {"count": 24.0, "pass_rate": 0.75} for item in items)
    assert all(item["human"] is None for item in items)
    by_id = {outcome.evaluation_id: outcome for outcome in outcomes}
    for item in items:
        score = by_id[item["evaluation_id"]].score
        assert score is not None
        assert item["judge"] == ("pass" if score.passed else "fail")
        assert item["output"] == ("Fine." if score.passed else "Write to [EMAIL].")
        assert item["input"].startswith("Question ")
        assert item["system_prompt"] == "Be kind."
    assert "8 items to label, 4 that passed and 4 that failed, of 24 verdicts of pii" in said


def test_what_people_filled_in_calibrates(site: Site, assay_here: Run) -> None:
    """The same file, and the same lines from a topic, where a later label of a line holds."""
    _judged(site, 110, 60)
    items, _ = _sample(assay_here, 120)
    labels = [{**item, "human": item["judge"]} for item in items]
    Path("labels.jsonl").write_text("\n".join(map(json.dumps, labels)))
    done = assay_here("calibrate", "labels.jsonl", "--evaluator", "pii", "--json")
    record = json.loads(done.out)
    assert (record["passes"], record["fails"], record["agreement"]) == (60, 60, 1.0)
    assert record["correction"]["method"] == "ppi"
    producer = Producer({"bootstrap.servers": site.servers, "log_level": 0})
    other = {"pass": "fail", "fail": "pass"}
    for label in [{**labels[0], "human": other[labels[0]["human"]]}, *labels]:
        producer.produce(_LABELS, json.dumps(label), partition=0)
    assert producer.flush(10) == 0
    done = assay_here("calibrate", "--topic", _LABELS, "--evaluator", "pii", "--json")
    again = json.loads(done.out)
    assert {**again, "made_at": ""} == {**record, "made_at": ""}


def test_what_retention_has_taken_is_counted_and_said(site: Site, assay_here: Run) -> None:
    """The sample stands for what is left; what is of another fingerprint is said too."""
    outcomes = _judged(site, 5, 5)
    source = Source(site.spans, 0, 999)
    gone = [replace(o, evaluation_id=f"gone{i}", sources=(source,)) for i, o in enumerate(outcomes)]
    ref = replace(outcomes[0].evaluator, fingerprint="0123456789abcdef")
    site.publish([*gone[:3], replace(outcomes[0], evaluation_id="old", evaluator=ref)])
    items, said = _sample(assay_here, 100)
    assert len(items) == 10
    assert "3 are left out: retention has taken their record" in said
    assert "1 are left out: they are of another fingerprint" in said


def test_a_record_that_lost_its_span_is_counted(site: Site, assay_here: Run) -> None:
    """Nothing is written in the place of a text that nobody can read."""
    outcomes = _judged(site, 2, 0)
    torn = site.put(b"torn")[1]
    site.publish([replace(outcomes[0], sources=(torn,)), replace(outcomes[1], span_id="0" * 16)])
    items, said = _sample(assay_here, 100)
    assert items == []
    assert "1 are left out: their record cannot be read any more" in said
    assert "1 are left out: their span is not in its record any more" in said


def test_without_a_file_it_goes_to_stdout(site: Site, assay_here: Run) -> None:
    """Lines for a pipe; what there is to say is on stderr."""
    _judged(site, 3, 0)
    done: Done = assay_here("calibrate", "--evaluator", "pii", "--sample", "2")
    assert len([json.loads(line) for line in done.out.splitlines()]) == 2
    assert "2 items to label" in done.err


def test_what_cannot_be_sampled_is_one_message(site: Site, assay_here: Run) -> None:
    """No verdict yet, a policy that lets no text out, and more or less than one source."""
    sample = ("calibrate", "--evaluator", "pii", "--sample", "2")
    assert "no verdict of pii as it is configured now" in assay_here(*sample).err
    _judged(site, 3, 0)
    site.reroute(content="none")
    done: Done = assay_here(*sample)
    assert (done.status, "says content: none" in done.err) == (2, True)
    for arguments in ((), ("labels.jsonl", "--topic", "labels"), ("x", "--sample", "2")):
        done = assay_here("calibrate", "--evaluator", "pii", *arguments)
        assert (done.status, "give one of" in done.err) == (2, True)
