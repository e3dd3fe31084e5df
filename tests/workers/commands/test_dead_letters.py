"""`assay dead-letters`: what is listed and shown, and what it takes to step over a record."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from support.kafka import KafkaServer
from support.spans import produce, traces
from support.workers import (
    DEAD,
    SCORES,
    SPANS,
    config_yaml,
    count_topic,
    read_outcomes,
    until,
    worker_process,
)

from schemas.errors import ConfigError
from schemas.outcome import Source
from workers.commands.dead_letters import read_origin
from workers.letters import Letter
from workers.topic_reader import Read

from .conftest import Run

KEY = b"one partition"


@pytest.mark.parametrize("text", ["", "spans", "spans/1", "spans/x/1", "spans/1/-1", "/1/1"])
def test_what_is_no_origin_is_refused(text: str) -> None:
    """An origin is topic, partition and offset."""
    with pytest.raises(ConfigError, match="such as otlp_spans/3/1234"):
        read_origin(text)


def test_an_origin_reads_as_it_is_printed() -> None:
    """What `list` prints is what `show` and `skip` take."""
    assert read_origin(str(Source("otlp.spans-1", 3, 12))) == Source("otlp.spans-1", 3, 12)


def test_other_records_on_the_topic_are_no_dead_letters() -> None:
    """Something else may write there."""
    headers = [("assay.reason", b"too_large"), ("assay.partition", b"1"), ("assay.offset", None)]
    assert Letter.of(Read(DEAD, 0, 0, 0, None, b"x", headers)) is None


def test_dead_letters_are_listed_shown_and_kept(
    kafka: KafkaServer, tmp_path: Path, assay: Run
) -> None:
    """What cannot be read is listed with its origin, and its bytes can be had again."""
    suffix = f"-{uuid4().hex[:8]}"
    kafka.create_topics({SPANS + suffix: 1, SCORES + suffix: 1, DEAD + suffix: 1})
    config = config_yaml(kafka.bootstrap_servers, suffix=suffix)
    bad = b"\x1b[31mno span"
    produce(kafka.bootstrap_servers, SPANS + suffix, [*traces(1), (KEY, bad)])
    with worker_process(tmp_path, config, name="assay") as worker:
        until(lambda: worker.metric("assay_dead_letters_total") >= 1, 30, worker.died)
        assert worker.stop() == 0
    listed = assay("dead-letters", "list", "--json")
    (letter,) = map(json.loads, listed.out.splitlines())
    assert letter["origin"] == f"{SPANS}{suffix}/0/1"
    assert (letter["part"], letter["bytes"]) == ("record", len(bad))
    assert letter["reason"] in assay("dead-letters", "list").out
    assert not assay("dead-letters", "list", "--reason", "too_large", "--json").out
    shown = assay("dead-letters", "show", letter["origin"])
    assert "no span" in shown.out
    assert "\x1b" not in shown.out
    assert assay("dead-letters", "show", letter["origin"], "--out", "bytes").status == 0
    assert (tmp_path / "bytes").read_bytes() == bad
    missing = assay("dead-letters", "show", f"{SPANS}{suffix}/0/7")
    assert (missing.status, "no dead letter comes from there" in missing.err) == (1, True)


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_record_is_stepped_over_with_a_stub(
    kafka: KafkaServer, tmp_path: Path, assay: Run
) -> None:
    """Only while no worker runs; what stands before it, unfinished, is told as well."""
    suffix = f"-{uuid4().hex[:8]}"
    servers = kafka.bootstrap_servers
    spans, scores, dead = SPANS + suffix, SCORES + suffix, DEAD + suffix
    kafka.create_topics({spans: 1, scores: 1, dead: 1})
    config = config_yaml(servers, suffix=suffix)
    produce(servers, spans, traces(5))
    with worker_process(tmp_path, config, name="assay") as worker:
        until(lambda: count_topic(servers, scores) >= 10, 30, worker.died)
        refused = assay("dead-letters", "skip", f"{spans}/0/6")
        assert (refused.status, "has members" in refused.err) == (1, True)
        assert worker.stop() == 0
    produce(servers, spans, traces(3))
    ahead = assay("dead-letters", "skip", f"{spans}/0/8")
    assert (ahead.status, "holds offsets 0 up to 8" in ahead.err) == (1, True)
    done = assay("dead-letters", "skip", f"{spans}/0/6")
    assert done.status == 0, done.err
    letters = map(json.loads, assay("dead-letters", "list", "--json").out.splitlines())
    assert {each["origin"]: each["bytes"] for each in letters} == {
        f"{spans}/0/5": None,
        f"{spans}/0/6": None,
    }
    again = assay("dead-letters", "skip", f"{spans}/0/6")
    assert (again.status, "no lane" in again.err) == (1, True)
    with worker_process(tmp_path, config, name="assay") as worker:
        until(lambda: count_topic(servers, scores) >= 12, 30, worker.died)
        assert worker.stop() == 0
    outcomes = read_outcomes(servers, scores)
    assert {source.offset for o in outcomes for source in o.sources} == {0, 1, 2, 3, 4, 7}
