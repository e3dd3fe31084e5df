"""`assay estimate`: what a config would come to in a day."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import Producer
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.kafka import KafkaServer
from support.spans import llm_span, message, plain_span
from support.workers import SPANS, config_yaml

from workers.demo.broker import MockCluster

from .conftest import Run

DAY_MIN = 1440
PRICE = {"input_usd_per_mtok": 4.0, "output_usd_per_mtok": 10.0}


class Scene:
    """A spans topic, and the config that is estimated."""

    def __init__(self, servers: str, folder: Path, assay: Run, topic: str = SPANS) -> None:
        self._servers = servers
        self._folder = folder
        self._assay = assay
        self._topic = topic
        self._producer = Producer({"bootstrap.servers": servers, "log_level": 0})
        self.config()

    def config(self, *routes: Mapping[str, Any], **judge: Any) -> None:
        """Write the config; without any route, one that gives pii to every call of the bot."""
        text = config_yaml(self._servers, judge_url="http://127.0.0.1:1/v1", evaluators=["pii"])
        config = yaml.safe_load(text)
        config["kafka"]["spans"] = [self._topic]
        config["judges"]["default"] |= judge
        if routes:
            config["routes"] = list(routes)
        (self._folder / "assay.yaml").write_text(yaml.safe_dump(config))

    def put(self, *spans: Span, minutes_ago: float = 0.0, value: bytes | None = None) -> None:
        """Write one record, as if it had been written so long ago."""
        at = int((time.time() - 60 * minutes_ago) * 1000)
        self._producer.produce(self._topic, value or message(spans), timestamp=at)
        assert self._producer.flush(10) == 0

    def estimate(self, *arguments: str) -> dict[str, Any]:
        """What `assay estimate --json` prints."""
        done = self._assay("estimate", *arguments, "--json")
        assert (done.status, done.err) == (0, "")
        printed: dict[str, Any] = json.loads(done.out)
        return printed

    def text(self, *arguments: str) -> str:
        """What `assay estimate` prints for people."""
        done = self._assay("estimate", *arguments)
        assert (done.status, done.err) == (0, "")
        return done.out


@pytest.fixture
def scene(mock_cluster: MockCluster, tmp_path: Path, assay_here: Run) -> Scene:
    """A new one for each test."""
    mock_cluster.create_topic(SPANS, 4)
    return Scene(mock_cluster.bootstrap_servers, tmp_path, assay_here)


def _route(found: dict[str, Any], name: str) -> dict[str, Any]:
    (route,) = (each for each in found["per_day"]["routes"] if each["route"] == name)
    assert isinstance(route, dict)
    return route


def _evaluator(found: dict[str, Any], name: str) -> dict[str, Any]:
    (row,) = (each for each in found["per_day"]["evaluators"] if each["evaluator"] == name)
    assert isinstance(row, dict)
    return row


def _fill(scene: Scene, count: int = 20, **of: Any) -> None:
    """Something that is older than ten minutes, and so many calls since."""
    scene.put(llm_span(), minutes_ago=30)
    for _ in range(count):
        scene.put(llm_span(**of), minutes_ago=1)


def test_matches_and_evaluations_are_told_for_a_day(scene: Scene) -> None:
    """Of twenty calls in ten minutes every route sees 2,880 in a day, and keeps its share."""
    scene.config(
        {"name": "all", "when": "true", "evaluators": ["pii"]},
        {"name": "few", "when": "true", "sample": 0.05, "evaluators": ["secrets"]},
        {"name": "none", "when": 'span.service == "shop"', "evaluators": ["secrets"]},
    )
    _fill(scene)
    scene.put(plain_span(), minutes_ago=1)
    found = scene.estimate("--minutes", "10")
    assert (found["minutes"], found["records"], found["spans"]) == (10, 21, 21)
    assert found["per_day"]["llm_calls"]["value"] == pytest.approx(20 * DAY_MIN / 10)
    assert _route(found, "all")["matches"]["value"] == pytest.approx(2880)
    assert _route(found, "few")["matches"]["value"] == pytest.approx(2880)
    assert _route(found, "few")["evaluated"]["value"] == pytest.approx(144)
    assert _route(found, "none")["matches"]["value"] == 0
    assert _evaluator(found, "pii")["evaluations"]["value"] == pytest.approx(2880)
    assert _evaluator(found, "secrets")["evaluations"]["value"] == pytest.approx(144)
    assert _evaluator(found, "pii")["judge"] is None
    assert 'route "none": no span matched' in found["notes"]


def test_an_interval_holds_what_so_few_calls_can_say(scene: Scene) -> None:
    """Twenty calls are 12.2 to 30.9 at 95 % (exact Poisson), spans of one trace are one of them."""
    _fill(scene)
    calls = scene.estimate()["per_day"]["llm_calls"]
    assert calls["low"] / 144 == pytest.approx(12.2, abs=0.2)
    assert calls["high"] / 144 == pytest.approx(30.9, abs=0.2)
    one = llm_span()
    for _ in range(20):
        scene.put(llm_span(trace_id=one.trace_id), minutes_ago=1)
    wider = scene.estimate()["per_day"]["llm_calls"]
    assert wider["value"] == pytest.approx(40 * 144)
    assert wider["high"] / wider["value"] > calls["high"] / calls["value"]


def test_judge_spend_follows_the_configured_price(scene: Scene) -> None:
    """USD is evaluations times the prompts' tokens and the answer's, at the judge's rates."""
    scene.config(
        {"name": "all", "when": "true", "sample": 0.5, "evaluators": ["answer_relevance"]},
        price=PRICE,
        max_output_tokens=1000,
    )
    _fill(scene)
    found = scene.estimate()
    row = _evaluator(found, "answer_relevance")
    judge = row["judge"]
    assert (judge["model"], judge["share"]) == ("judge-1", 1.0)
    assert 1000 < judge["prompt_bytes"] < 20_000
    call = (round(judge["prompt_bytes"] / 4) * 4.0 + 200 * 10.0) / 1e6
    assert judge["usd"] == pytest.approx(call)
    assert judge["most_usd"] == pytest.approx(
        (round(judge["prompt_bytes"]) * 4.0 + 1000 * 10.0) / 1e6
    )
    assert row["usd"]["value"] == pytest.approx(1440 * call)
    assert found["per_day"]["usd"]["value"] == pytest.approx(1440 * call)
    assert found["per_day"]["most_usd"] > found["per_day"]["usd"]["high"]


def test_a_longer_conversation_costs_more(scene: Scene) -> None:
    """Prompts are those that the judge would get: the judged text is in them."""
    scene.config({"name": "all", "when": "true", "evaluators": ["answer_relevance"]}, price=PRICE)
    _fill(scene, 5)
    short = _evaluator(scene.estimate(), "answer_relevance")["judge"]["prompt_bytes"]
    for _ in range(5):
        scene.put(llm_span("Why? " * 2000, "Because. " * 1000), minutes_ago=1)
    mixed = _evaluator(scene.estimate(), "answer_relevance")["judge"]["prompt_bytes"]
    assert mixed - short == pytest.approx((10_000 + 9_000) / 2, rel=0.05)


def test_what_ends_without_the_judge_costs_nothing(scene: Scene) -> None:
    """A call without text and the copy of another one are evaluations that ask nothing."""
    scene.config({"name": "all", "when": "true", "evaluators": ["answer_relevance"]}, price=PRICE)
    scene.put(llm_span(), minutes_ago=30)
    shared = {"gen_ai.response.id": "chatcmpl-1"}
    for each in (llm_span(), llm_span(None, None)):
        scene.put(each, minutes_ago=1)
    for _ in range(2):
        scene.put(llm_span(attributes=shared), minutes_ago=1)
    row = _evaluator(scene.estimate(), "answer_relevance")
    assert row["evaluations"]["value"] == pytest.approx(4 * 144)
    assert row["judge"]["share"] == 0.5
    assert row["usd"]["value"] == pytest.approx(2 * 144 * row["judge"]["usd"])


def test_a_model_without_a_price_is_said(scene: Scene) -> None:
    """Its spend is unknown, not nothing, and the remedy is told."""
    scene.config(
        {"name": "all", "when": "true", "evaluators": ["answer_relevance", "pii"]}, price=None
    )
    _fill(scene, 3)
    found = scene.estimate()
    assert _evaluator(found, "answer_relevance")["usd"] is None
    note = (
        'judge model "judge-1" has no known price, so that it is in no sum; '
        "set judges.default.price"
    )
    assert note in found["notes"]
    text = scene.text()
    assert "no price" in text
    assert note in text


def test_spans_that_were_sampled_before_count_what_is_left_of_them(scene: Scene) -> None:
    """Upstream keeps a tenth; a route of 5 % then keeps half of what comes, one of 50 % all."""
    scene.config(
        {"name": "small", "when": "true", "sample": 0.05, "evaluators": ["pii"]},
        {"name": "large", "when": "true", "sample": 0.5, "evaluators": ["secrets"]},
    )
    scene.put(llm_span(), minutes_ago=30)
    for _ in range(10):
        span = llm_span()
        span.trace_state = "ot=th:e6666666666666;rv:f0000000000000"
        scene.put(span, minutes_ago=1)
    found = scene.estimate()
    assert _route(found, "small")["evaluated"]["value"] == pytest.approx(5 * 144, rel=1e-6)
    assert _route(found, "large")["evaluated"]["value"] == pytest.approx(10 * 144)


def test_a_redelivered_span_is_one(scene: Scene) -> None:
    """A worker would evaluate it once."""
    _fill(scene, 1)
    span = llm_span()
    for _ in range(3):
        scene.put(span, minutes_ago=1)
    assert _route(scene.estimate(), "support")["matches"]["value"] == pytest.approx(2 * 144)


def test_failures_and_unreadable_records_are_said(scene: Scene) -> None:
    """What is not in the figures is told beside them."""
    scene.config({"name": "dear", "when": "span.cost_usd > 0.5", "evaluators": ["pii"]})
    _fill(scene, 2)
    scene.put(value=b"\xff\xff", minutes_ago=1)
    notes = "\n".join(scene.estimate()["notes"])
    assert 'route "dear": its `when` failed on 2 spans' in notes
    assert "1 records cannot be read" in notes


def test_a_young_topic_stands_for_its_age(scene: Scene) -> None:
    """Two calls since five minutes are not two calls in an hour; the answer says so."""
    for minutes_ago in (5, 1):
        scene.put(llm_span(), minutes_ago=minutes_ago)
    found = scene.estimate("--minutes", "60")
    assert found["minutes"] == pytest.approx(5, abs=0.5)
    assert any("its oldest record is 5.0 minutes old" in note for note in found["notes"])


def test_seconds_do_not_stand_for_a_day(scene: Scene) -> None:
    """A burst that has just come is at least a minute's."""
    scene.put(llm_span())
    assert scene.estimate()["minutes"] == 1


def test_a_broker_that_looks_up_no_times_is_read_from_its_beginning(scene: Scene) -> None:
    """The mock cluster is one; the answer says so, and older records do not count."""
    _fill(scene, 2)
    found = scene.estimate()
    assert found["records"] == 2
    assert (
        f"{SPANS}: the broker looks up no times, so it was read from its beginning"
        in (found["notes"])
    )


def test_nothing_to_read_ends_with_1(scene: Scene, assay_here: Run) -> None:
    """The message says what to try."""
    scene.put(llm_span(), minutes_ago=30)
    done = assay_here("estimate", "--minutes", "5")
    assert (done.status, done.out) == (1, "")
    assert f"{SPANS}: no record in the last 5 minutes; take more --minutes" in done.err


def test_people_get_tables(scene: Scene) -> None:
    """Routes, evaluators and the sum, each with its interval."""
    scene.config(
        {"name": "all", "when": "true", "sample": 0.5, "evaluators": ["answer_relevance", "pii"]},
        price=PRICE,
    )
    _fill(scene)
    text = scene.text()
    assert f"read {SPANS}, 10.0 minutes: 20 records, 20 spans, 20 LLM calls" in text
    assert "2,880 (1,760 to 4,450) LLM calls" in text
    assert "judge-1" in text
    assert "USD a day, at most" in text


@pytest.mark.kafka
def test_the_last_minutes_of_a_real_topic(
    kafka: KafkaServer, tmp_path: Path, assay_here: Run
) -> None:
    """Only what is younger than asked for is read, and no group is left behind."""
    topic = f"{SPANS}_estimate"
    kafka.create_topics({topic: 4})
    scene = Scene(kafka.bootstrap_servers, tmp_path, assay_here, topic)
    _fill(scene, 12)
    found = scene.estimate()
    assert (found["minutes"], found["records"], found["notes"]) == (10, 12, [])
    assert _route(found, "support")["matches"]["value"] == pytest.approx(12 * 144)
