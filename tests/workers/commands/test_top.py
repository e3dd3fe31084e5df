"""`assay top`: the table of routes and evaluators, and its end."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from support.kafka import KafkaServer
from support.samples import outcome
from support.spans import llm_span, message
from support.workers import DEAD, SCORES, SPANS, config_yaml, until

from schemas.outcome import Outcome
from schemas.reasons import Reason
from workers.demo.broker import MockCluster

from .conftest import Run


class Scene:
    """Topics of a worker, and what stands on them."""

    def __init__(self, servers: str, folder: Path, assay: Run, suffix: str = "") -> None:
        self.servers = servers
        self._assay = assay
        self._suffix = suffix
        self._producer = Producer({"bootstrap.servers": servers, "log_level": 0})
        self._number = 0
        (folder / "assay.yaml").write_text(config_yaml(servers, suffix=suffix))

    def put(self, value: float = 1.0, *, minutes_ago: float = 0.0, **fields: Any) -> None:
        """Publish an outcome of an evaluation of its own."""
        self._number += 1
        known: dict[str, Any] = {"evaluation_id": f"{self._number:032x}"}
        self.publish(outcome(value, **(known | fields)), minutes_ago)

    def publish(self, one: Outcome | bytes, minutes_ago: float = 0.0) -> None:
        """Publish this."""
        value = one if isinstance(one, bytes) else one.to_json()
        at = int((time.time() - 60 * minutes_ago) * 1000)
        self._producer.produce(SCORES + self._suffix, value, timestamp=at)
        assert self._producer.flush(10) == 0

    def span(self) -> None:
        """Write a record that a worker still has to read."""
        self._producer.produce(SPANS + self._suffix, message([llm_span()]), partition=0)
        assert self._producer.flush(10) == 0

    def commit(self, lane: str, offset: int) -> None:
        """Commit as that lane of a worker would."""
        group = f"assay{self._suffix}.{lane}"
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": group, "log_level": 0})
        there = TopicPartition(SPANS + self._suffix, 0, offset)
        consumer.commit(offsets=[there], asynchronous=False)
        consumer.close()

    def once(self, *arguments: str) -> dict[str, Any]:
        """What `assay top --once --json` prints."""
        done = self._assay("top", "--once", "--json", *arguments)
        assert (done.status, done.err) == (0, "")
        printed: dict[str, Any] = json.loads(done.out)
        return printed


@pytest.fixture
def scene(mock_cluster: MockCluster, tmp_path: Path, assay_here: Run) -> Scene:
    """A new one for each test."""
    for topic in (SPANS, SCORES, DEAD):
        mock_cluster.create_topic(topic, 3)
    return Scene(mock_cluster.bootstrap_servers, tmp_path, assay_here)


def test_routes_and_evaluators_are_told(scene: Scene) -> None:
    """Weighted mean, pass rate, reasons and spend, of each row and of all."""
    scene.put(1.0, model_answered="m")
    scene.put(0.0, probability=1 / 3, model_answered="m")
    scene.put(reason=Reason.TIMEOUT)
    scene.put(evaluator="pii")
    found = scene.once()
    assert found["window_s"] == 900
    pii, toxicity = found["rows"]
    assert (pii["route"], pii["evaluator"], pii["scored"]) == ("support", "pii", 1)
    assert toxicity == {
        "route": "support",
        "evaluator": "toxicity",
        "outcomes": 3,
        "scored": 2,
        "mean": pytest.approx(0.25),
        "pass_rate": pytest.approx(0.25),
        "reasons": {"timeout": 1},
        "judge_usd": pytest.approx(0.002),
        "judge_unpriced": 0,
    }
    assert (found["all"]["outcomes"], found["lag_records"]) == (4, {})


def test_only_the_window_counts(scene: Scene) -> None:
    """What is older than asked for is no part of it."""
    scene.put(0.0, minutes_ago=20)
    scene.put(1.0)
    assert scene.once()["all"]["scored"] == 1
    assert scene.once("--window", "1h")["all"]["scored"] == 2


def test_a_window_of_nothing_is_refused(scene: Scene, assay_here: Run) -> None:
    """It is a wrong argument, as is what is no duration."""
    del scene
    for window in ("0s", "soon"):
        done = assay_here("top", "--window", window, "--once")
        assert (done.status, done.out) == (2, "")
        assert f'--window "{window}": ' in done.err


def test_lanes_that_are_behind_are_told(scene: Scene) -> None:
    """The records that a lane's group has not finished; a lane without commits is not there."""
    for _ in range(3):
        scene.span()
    scene.commit("code", 1)
    assert scene.once()["lag_records"] == {"code": 2}


def test_scores_without_a_spans_topic_are_told(
    mock_cluster: MockCluster, tmp_path: Path, assay_here: Run
) -> None:
    """Whoever sees the scores alone sees them; no lane is said to be behind."""
    mock_cluster.create_topic(SCORES, 1)
    scene = Scene(mock_cluster.bootstrap_servers, tmp_path, assay_here)
    scene.put()
    found = scene.once()
    assert (found["all"]["outcomes"], found["lag_records"]) == (1, {})


def test_what_is_no_outcome_is_passed_over(scene: Scene) -> None:
    """Something else may write to the topic."""
    scene.publish(b"no outcome")
    scene.put()
    assert scene.once()["all"]["outcomes"] == 1


def test_people_get_a_table(scene: Scene, assay_here: Run) -> None:
    """One look where the output is no terminal; names from the topic are no markup."""
    scene.put(0.5, model_answered="m", evaluator="[red]odd\x1b[2J")
    scene.put(reason=Reason.NO_CONTENT)
    done = assay_here("top")
    assert (done.status, done.err) == (0, "")
    assert "[red]odd" in done.out
    assert "\x1b" not in done.out
    for text in ("100.0%", "0.500", "no_content 1", "the last 15 minutes: 2 outcomes", "an hour"):
        assert text in done.out


def _top(scene: Scene, folder: Path, *arguments: str, **pipes: Any) -> "subprocess.Popen[bytes]":
    del scene
    command = [str(Path(sys.executable).with_name("assay")), "top", *arguments]
    environ = {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
    return subprocess.Popen(command, cwd=folder, env=environ, **pipes)


def test_machines_get_a_line_for_each_look_until_ctrl_c(scene: Scene, tmp_path: Path) -> None:
    """What comes later is in a later line; an interruption ends it with 130 and says nothing."""
    out, err = tmp_path / "out", tmp_path / "err"
    scene.put()
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = _top(scene, tmp_path, "--json", stdout=stdout, stderr=stderr)
    try:
        until(lambda: out.read_text().count("\n") >= 1, 60)
        scene.put()
        seen: Callable[[], bool] = lambda: '"outcomes":2' in out.read_text()  # noqa: E731
        until(seen, 30)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
    first = json.loads(out.read_text().splitlines()[0])
    assert first["all"]["outcomes"] == 1
    assert err.read_text() == ""


def test_a_terminal_is_refreshed_until_ctrl_c(scene: Scene, tmp_path: Path) -> None:
    """The table is drawn again with what has come; Ctrl-C ends it with 130, without a traceback."""
    scene.put()
    ours, theirs = pty.openpty()
    process = _top(scene, tmp_path, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown: list[bytes] = []

    def collect() -> None:
        while True:
            try:
                shown.append(os.read(ours, 65536))
            except OSError:  # the other end is closed: the process is gone
                return

    reader = threading.Thread(target=collect)
    reader.start()
    try:
        until(lambda: b"1 outcomes" in b"".join(shown), 60)
        scene.put()
        until(lambda: b"2 outcomes" in b"".join(shown), 30)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
        reader.join()
        os.close(ours)
    assert b"Traceback" not in b"".join(shown)


@pytest.mark.kafka
def test_a_real_topic_is_read_from_the_window_on(
    kafka: KafkaServer, tmp_path: Path, assay_here: Run
) -> None:
    """Only the window is read, and lanes are looked at as they stand."""
    suffix = "_top"
    kafka.create_topics(dict.fromkeys((SPANS + suffix, SCORES + suffix, DEAD + suffix), 2))
    scene = Scene(kafka.bootstrap_servers, tmp_path, assay_here, suffix)
    scene.put(0.0, minutes_ago=60)
    scene.put(1.0)
    scene.span()
    scene.commit("judge", 0)
    found = scene.once()
    assert (found["all"]["scored"], found["all"]["mean"]) == (1, 1.0)
    assert found["lag_records"] == {"judge": 1}
