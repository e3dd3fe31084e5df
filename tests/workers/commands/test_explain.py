"""`assay explain`: what it says became of a trace, and where it looks."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka import Consumer, Producer, TopicPartition
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from support.kafka import KafkaServer
from support.samples import outcome
from support.spans import llm_span, message, plain_span, produce, traces
from support.workers import DEAD, SCORES, SPANS, config_yaml, count_topic, until, worker_process

from evaluators.judge.client import JudgeClient
from schemas.config import Config, JudgeConfig
from schemas.errors import ConfigError
from schemas.events import Event
from schemas.limits import Limits
from schemas.outcome import Outcome, Source
from workers import offline
from workers.commands.explain import trace_id
from workers.configured import build
from workers.demo.broker import MockCluster
from workers.offset_metadata import Beginning, encode
from workers.partitioners import fnv1a
from workers.sinks.evaluation_result import traces_request

from .conftest import Run

PARTITIONS = 4
TRACE = bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736")
HEX = TRACE.hex()


class Scene:
    """Three topics on a mock cluster, and the config of a worker that reads them."""

    def __init__(self, cluster: MockCluster, folder: Path, assay: Run) -> None:
        for topic in (SPANS, SCORES, DEAD):
            cluster.create_topic(topic, PARTITIONS)
        self.servers = cluster.bootstrap_servers
        # Silent: it may outlive the cluster by a moment, and would say so on a later test's stderr.
        self.producer = Producer({"bootstrap.servers": self.servers, "log_level": 0})
        self._folder = folder
        self._assay = assay
        self.routes()

    def routes(self, *routes: Mapping[str, Any]) -> None:
        """Write the config; without any route, one that gives pii to every call of the bot."""
        text = config_yaml(self.servers, judge_url="http://127.0.0.1:1/v1", evaluators=["pii"])
        config = yaml.safe_load(text)
        if routes:
            config["routes"] = list(routes)
        self.config = Config.model_validate(config)
        (self._folder / "assay.yaml").write_text(yaml.safe_dump(config))

    def judged_by(self, url: str, evaluator: str) -> None:
        """Write a config with a judge and one evaluator that asks it."""
        text = config_yaml(self.servers, judge_url=url, evaluators=[evaluator])
        self.config = Config.model_validate(yaml.safe_load(text))
        (self._folder / "assay.yaml").write_text(text)

    def put(
        self,
        *spans: Span,
        key: bytes | None = HEX.encode(),
        partition: int | None = None,
        **of: str,
    ) -> tuple[bytes, Source]:
        """Write one record; in the partition that the collector would choose, unless told."""
        index = fnv1a(HEX.encode(), PARTITIONS) if partition is None else partition
        return self.put_value(message(spans, **of), key=key, partition=index)

    def put_value(self, value: bytes, *, key: bytes | None, partition: int) -> tuple[bytes, Source]:
        """Write any record."""
        written: list[int] = []
        self.producer.produce(
            SPANS,
            value,
            key,
            partition=partition,
            on_delivery=lambda _, record: written.append(record.offset() or 0),
        )
        self.producer.flush(10)
        return value, Source(SPANS, partition, written[0])

    def judge(self, *records: tuple[bytes, Source]) -> list[Outcome]:
        """Evaluate records as a worker would, and publish the outcomes."""
        outcomes = asyncio.run(_outcomes(self.config, records))
        for each in outcomes:
            self.producer.produce(SCORES, each.to_json(), each.trace_id)
        self.producer.flush(10)
        return outcomes

    def commit(self, lane: str, source: Source, offset: int, began: int = 0) -> None:
        """Commit as that lane of a worker would."""
        settings = {
            "bootstrap.servers": self.servers,
            "group.id": f"assay.{lane}",
            "log_level": 0,
        }
        consumer = Consumer(settings)
        metadata = encode(Beginning(PARTITIONS, began, "cj"), offset, ())
        there = TopicPartition(source.topic, source.partition, offset, metadata)
        consumer.commit(offsets=[there], asynchronous=False)
        consumer.close()

    def explain(self, trace: str = HEX) -> dict[str, Any]:
        """What `assay explain --json` prints."""
        done = self._assay("explain", trace, "--json")
        assert (done.status, done.err) == (0, "")
        printed: dict[str, Any] = json.loads(done.out)
        return printed

    def text(self, *arguments: str) -> str:
        """What `assay explain` prints for people."""
        done = self._assay("explain", HEX, *arguments)
        assert (done.status, done.err) == (0, "")
        return done.out


async def _outcomes(config: Config, records: Sequence[tuple[bytes, Source]]) -> list[Outcome]:
    judges: list[JudgeClient] = []

    def open_judge(name: str, judge: JudgeConfig) -> JudgeClient:
        judges.append(JudgeClient(name, judge, emit=_ignore, hold=False, wait_s=0.1))
        return judges[-1]

    evaluators = build(config, open_judge)
    exports = [offline.read_export(value, source, Limits()) for value, source in records]
    todo = offline.jobs(exports, config, evaluators, _ignore)
    try:
        return await offline.evaluate(todo, config, _ignore, lambda _: None)
    finally:
        for judge in judges:
            await judge.aclose()


def _ignore(_: Event) -> None:
    pass


@pytest.fixture
def scene(mock_cluster: MockCluster, tmp_path: Path, assay_here: Run) -> Scene:
    """A new one for each test."""
    return Scene(mock_cluster, tmp_path, assay_here)


def _only(found: dict[str, Any]) -> dict[str, Any]:
    (span,) = found["spans"]
    assert isinstance(span, dict)
    return span


def _why(found: dict[str, Any]) -> str:
    """Why the only evaluation of the only span has no outcome."""
    (each,) = _only(found)["evaluations"]
    assert each["outcome"] is None
    return str(each["note"])


@pytest.mark.parametrize("text", ["", "4bf9", HEX + "0", "0" * 32, "g" * 32, "\x1b[31m" + HEX])
def test_what_is_no_trace_id_is_refused(text: str) -> None:
    """Anything but 32 hex digits that are not all zero is a wrong argument, shown safely."""
    with pytest.raises(
        ConfigError, match="is no trace id; give its 32 hexadecimal digits"
    ) as error:
        trace_id(text)
    assert "\x1b" not in str(error.value)


def test_a_trace_id_may_be_written_in_capitals() -> None:
    """It is the same id."""
    assert trace_id(f" {HEX.upper()} ") == HEX


def test_a_wrong_id_ends_with_2(assay_here: Run) -> None:
    """The exit code is that of a wrong argument, and no config is needed to know it."""
    done = assay_here("explain", "abc")
    assert (done.status, done.out) == (2, "")
    assert "is no trace id" in done.err


def test_a_scored_span_has_its_outcome(scene: Scene) -> None:
    """Route, probability, outcome and explanation stand with the span that they are about."""
    record = scene.put(llm_span("Mail me", "Write to ann.smith@example.org", trace_id=TRACE))
    (judged,) = scene.judge(record)
    span = _only(scene.explain(HEX.upper()))
    assert span["ignored"] is None
    assert span["sources"] == [{"topic": SPANS, "partition": record[1].partition, "offset": 0}]
    (route,) = span["routes"]
    assert (route["route"], route["decision"], route["probability"]) == ("support", "selected", 1)
    (evaluation,) = span["evaluations"]
    assert evaluation == {
        "evaluator": "pii",
        "outcome": json.loads(judged.to_json()),
        "note": None,
    }
    text = scene.text()
    assert "route support: matches, kept with probability 1" in text
    assert "pii: scored 0.00 fail leak, probability 1, routes support" in text
    assert judged.score is not None
    assert str(judged.score.explanation) in text


def test_a_judge_is_told_with_its_words_and_its_cost(scene: Scene) -> None:
    """Who judged, in how many calls, at what price, and what it said."""
    scene.routes({"name": "all", "when": "true", "evaluators": ["toxicity"]})
    span = llm_span(trace_id=TRACE)
    scene.put(span)
    judged = outcome(0.0, model_answered="gpt-5-mini-2025", trace_id=HEX)
    assert judged.score is not None
    score = replace(judged.score, explanation="It insults\nthe user.")
    judged = replace(judged, span_id=span.span_id.hex(), score=score)
    scene.producer.produce(SCORES, judged.to_json(), HEX)
    scene.producer.flush(10)
    text = scene.text()
    assert "toxicity: scored 0.00 fail" in text
    assert "It insults the user." in text
    assert "judge gpt-5-mini-2025, 1 calls, 0.001000 USD" in text


def test_scores_that_came_back_as_spans_are_no_part_of_the_trace(scene: Scene) -> None:
    """They stand with the span that they are about, as outcomes, and not a second time."""
    record = scene.put(llm_span(trace_id=TRACE))
    outcomes = scene.judge(record)
    scene.put_value(traces_request(outcomes), key=HEX.encode(), partition=record[1].partition)
    (evaluation,) = _only(scene.explain())["evaluations"]
    assert evaluation["outcome"]["evaluation_id"] == outcomes[0].evaluation_id


def test_a_trace_that_is_nowhere_ends_with_1(scene: Scene, assay_here: Run) -> None:
    """The message says how far back was looked, and what else to try."""
    scene.put(llm_span())
    done = assay_here("explain", HEX, "--since", "2h")
    assert (done.status, done.out) == (1, "")
    assert f"{HEX}: nothing about it in the last 2 h" in done.err
    assert "--since" in done.err


def test_an_id_that_only_stands_in_a_text_is_not_the_trace(scene: Scene, assay_here: Run) -> None:
    """A user who writes a trace id has not made a span of it."""
    scene.put(llm_span(f"What is {HEX}?"))
    assert assay_here("explain", HEX).status == 1


@pytest.mark.parametrize("partition", range(PARTITIONS))
def test_every_partition_is_searched(scene: Scene, partition: int) -> None:
    """A guess at the trace's own partition that is wrong loses nothing."""
    scene.put(llm_span(trace_id=TRACE), key=None, partition=partition)
    assert len(scene.explain()["spans"]) == 1


def test_spans_without_keys_are_found_in_several_partitions(scene: Scene) -> None:
    """Without the trace id as key, a trace may lie anywhere: the first find is not the last."""
    for partition in range(PARTITIONS):
        scene.put(llm_span(trace_id=TRACE), key=None, partition=partition)
    assert len(scene.explain()["spans"]) == PARTITIONS


def test_a_when_that_fails_is_told_with_its_message(scene: Scene) -> None:
    """A null compared is no match, and the message says which comparison it was."""
    scene.routes(
        {"name": "dear", "when": "span.cost_usd > 0.5", "evaluators": ["pii"]},
        {"name": "other", "when": 'span.service == "shop"', "evaluators": ["pii"]},
    )
    scene.put(llm_span(trace_id=TRACE))
    dear, other = _only(scene.explain())["routes"]
    assert dear["decision"] == "failed"
    assert dear["error"]
    assert other["decision"] == "not_matched"
    text = scene.text()
    assert (
        f"route dear: its `when` failed on this span, so it does not match: {dear['error']}" in text
    )
    assert "route other: does not match" in text


def test_a_trace_that_is_not_sampled_says_what_it_drew(scene: Scene) -> None:
    """The draw and the route's share are both told: why this trace, and not another."""
    scene.routes({"name": "few", "when": "true", "sample": 0.001, "evaluators": ["pii"]})
    scene.put(llm_span(trace_id=TRACE))
    span = _only(scene.explain())
    draw = int(HEX[-14:], 16) / 2**56
    assert span["draw"] == pytest.approx(draw)
    assert span["routes"][0]["decision"] == "not_sampled"
    assert span["evaluations"] == []
    assert f"not kept: sample 0.001 keeps draws from 0.999 on, this trace drew {draw:.6f}" in (
        scene.text()
    )


def test_an_upstream_share_is_named_and_counts(scene: Scene) -> None:
    """A sampler before Assay that says its threshold makes the probability smaller."""
    scene.routes({"name": "half", "when": "true", "sample": 0.5, "evaluators": ["pii"]})
    span = llm_span(trace_id=TRACE)
    span.trace_state = "ot=th:c;rv:f0000000000000"
    scene.put(span)
    said = _only(scene.explain())
    assert said["upstream_share"] == 0.25
    assert said["routes"][0]["probability"] == 0.25
    assert "a sampler before Assay kept 0.25 of all traces (ot=th)" in scene.text()


def test_a_duplicate_names_its_twin(scene: Scene) -> None:
    """The call is evaluated under the other span, and its outcome says so too."""
    outer = llm_span(trace_id=TRACE)
    inner = llm_span(trace_id=TRACE, parent_span_id=outer.span_id, question=None, answer=None)
    same = next(each for each in outer.attributes if each.key == "gen_ai.response.id")
    for attribute in inner.attributes:
        if attribute.key == "gen_ai.response.id":
            attribute.CopyFrom(same)
    scene.judge(scene.put(outer, inner))
    by_id = {span["span_id"]: span for span in scene.explain()["spans"]}
    copy = by_id[inner.span_id.hex()]
    assert copy["duplicate_of"] == outer.span_id.hex()
    assert copy["evaluations"][0]["outcome"]["reason"] == "duplicate"
    assert by_id[outer.span_id.hex()]["evaluations"][0]["outcome"]["outcome"] == "scored"
    assert f"the same call as span {outer.span_id.hex()}, which is evaluated in its place" in (
        scene.text()
    )


def test_a_call_that_another_record_told_of_names_its_twin_while_it_waits(scene: Scene) -> None:
    """Two libraries, two records, one response id: the second is known before it is read."""
    shared = {"gen_ai.response.id": "chatcmpl-1"}
    first, second = (llm_span(trace_id=TRACE, attributes=shared) for _ in range(2))
    scene.put(first)
    scene.put(second)
    _, later = scene.explain()["spans"]
    assert later["evaluations"][0]["note"].startswith(
        f"the same call as span {first.span_id.hex()}; not read yet"
    )


def test_what_is_no_llm_span_says_so(scene: Scene) -> None:
    """A plain span and an agent each have a reason; our own score spans are no part of it."""
    agent = llm_span(trace_id=TRACE, attributes={"gen_ai.operation.name": "invoke_agent"})
    plain = plain_span(trace_id=TRACE)
    scene.put(plain, agent)
    scene.put(own := llm_span(trace_id=TRACE), scope="assay")
    spans = {span["span_id"]: span for span in scene.explain()["spans"]}
    assert "no sign of any known convention" in spans[plain.span_id.hex()]["ignored"]
    assert own.span_id.hex() not in spans
    assert spans[agent.span_id.hex()]["kind"] == "agent"
    assert spans[agent.span_id.hex()]["routes"][0]["decision"] == "not_matched"
    assert "whose `when` does not name span.kind selects LLM calls only" in scene.text()


def test_a_span_without_content_names_the_setting(scene: Scene) -> None:
    """The outcome's detail is what to change in the application."""
    scene.judge(scene.put(llm_span(None, None, trace_id=TRACE)))
    assert "skipped(no_content)" in scene.text()


def test_a_redelivered_span_is_one_span_in_two_places(scene: Scene) -> None:
    """What a producer sent twice is told once, with both records."""
    span = llm_span(trace_id=TRACE)
    scene.put(span)
    scene.put(span)
    assert [source["offset"] for source in _only(scene.explain())["sources"]] == [0, 1]
    assert "more than one record" in scene.text()


@pytest.mark.parametrize(
    ("committed", "began", "why"),
    [
        (None, 0, "not read yet: the code lane has committed nothing"),
        (1, 0, "not finished yet: the code lane stands at otlp_spans[{}]@1, 1 records before"),
        (2, 0, "not finished yet: the code lane stands at otlp_spans[{}]@2, this record"),
        (3, 0, "the code lane has finished the record, and nothing is published"),
        (5, 4, "never read: the code lane began at otlp_spans[{}]@4, behind this record"),
    ],
)
def test_a_missing_outcome_has_a_reason(
    scene: Scene, committed: int | None, began: int, why: str
) -> None:
    """Where the lane stands says whether it is still to come, or never will."""
    partition = fnv1a(HEX.encode(), PARTITIONS)
    for _ in range(2):
        scene.put(llm_span(), partition=partition)
    _, source = scene.put(llm_span(trace_id=TRACE))
    assert source.offset == 2
    if committed is not None:
        scene.commit("code", source, committed, began)
    assert _why(scene.explain()).startswith(why.format(partition))


def test_an_outcome_of_another_config_is_marked(scene: Scene) -> None:
    """What an earlier config published is shown, and said to be of an earlier config."""
    scene.routes({"name": "all", "when": "true", "evaluators": ["pii", "secrets"]})
    scene.judge(scene.put(llm_span(trace_id=TRACE)))
    scene.routes({"name": "all", "when": "true", "evaluators": ["pii"]})
    notes = {each["evaluator"]: each["note"] for each in _only(scene.explain())["evaluations"]}
    assert notes == {"pii": None, "secrets": "today's config does not ask for it"}


def test_a_trace_evaluator_is_told_at_the_root(scene: Scene) -> None:
    """It waits while any record of the trace is unfinished; its outcome stands at the root too."""
    scene.judged_by("http://127.0.0.1:9/v1", "task_completion")
    root = plain_span("POST /run", trace_id=TRACE)
    first = scene.put(llm_span(trace_id=TRACE, parent_span_id=root.span_id))
    source = first[1]
    last = scene.put(root)
    scene.commit("trace", source, source.offset + 1)
    found = {span["span_id"]: span["evaluations"] for span in scene.explain()["spans"]}
    (waiting,) = found.pop(root.span_id.hex())
    assert waiting["evaluator"] == "task_completion"
    where = f"{SPANS}[{source.partition}]@{source.offset + 1}"
    assert f"the trace lane stands at {where}; it holds the trace until" in waiting["note"]
    assert list(found.values()) == [[]]
    (outcome,) = scene.judge(first, last)
    assert outcome.revision == 2
    (told,) = next(s["evaluations"] for s in scene.explain()["spans"] if s["evaluations"])
    assert (told["outcome"]["span_id"], told["note"]) == (root.span_id.hex(), None)


def test_outcomes_outlive_their_spans(scene: Scene) -> None:
    """A trace whose spans are gone by retention still has its outcomes."""
    value = message([llm_span(trace_id=TRACE)])
    scene.judge((value, Source(SPANS, 0, 0)))
    found = scene.explain()
    assert found["spans"] == []
    assert found["outcomes_without_span"][0]["evaluator"]["name"] == "pii"
    assert "not on the spans topic any more" in scene.text()


def test_dead_letters_are_found(scene: Scene) -> None:
    """A letter is the trace's by its key, whatever its bytes are."""
    headers = {
        "assay.reason": b"undecodable",
        "assay.detail": b"wire type 7",
        "assay.topic": SPANS.encode(),
        "assay.partition": b"1",
        "assay.offset": b"17",
        "assay.part": b"record",
    }
    producer = scene.producer
    producer.produce(DEAD, b"", HEX, headers=list(headers.items()))
    producer.produce(DEAD, b"", "f" * 32, headers=list(headers.items()))
    producer.produce(DEAD, HEX.encode(), b"somebody else's")
    producer.flush(10)
    (letter,) = scene.explain()["dead_letters"]
    assert letter["source"] == {"topic": SPANS, "partition": 1, "offset": 17}
    assert letter["reason"] == "undecodable"
    assert "dead letter otlp_spans[1]@17: undecodable, a record" in scene.text()


def test_a_span_that_cannot_be_read_is_told_before_its_letter_is_there(scene: Scene) -> None:
    """The bytes themselves say what is wrong with them."""
    bad = llm_span(trace_id=TRACE)
    bad.span_id = b"short"
    scene.put(bad)
    (letter,) = scene.explain()["dead_letters"]
    assert (letter["reason"], letter["part"]) == ("invalid_id", "not dead-lettered yet")


def test_json_records_are_read_too(scene: Scene) -> None:
    """In JSON the id is text, in either case."""
    span = {
        "traceId": HEX.upper(),
        "spanId": "00f067aa0ba902b7",
        "name": "chat",
        "startTimeUnixNano": str(time.time_ns()),
        "endTimeUnixNano": str(time.time_ns()),
        "attributes": [
            {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        ],
    }
    value = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    scene.put_value(json.dumps(value).encode(), key=None, partition=0)
    assert _only(scene.explain())["kind"] == "llm"


def test_a_terminal_cannot_be_tricked(scene: Scene) -> None:
    """Names from spans are printed without their escapes, and are no markup."""
    scene.put(span := llm_span(trace_id=TRACE), service="\x1b[2J[red]shop\u202e")
    span.name = "\x1b]0;title\x07"
    scene.put(llm_span(trace_id=TRACE), service="\x1b[2J[red]shop\u202e")
    text = scene.text()
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[red]shop" in text


def test_a_broker_that_looks_up_no_times_is_read_from_its_beginning(scene: Scene) -> None:
    """The mock cluster is one; the answer says so."""
    scene.put(llm_span(trace_id=TRACE))
    assert any("was read from its beginning" in note for note in scene.explain()["notes"])


@pytest.mark.kafka
def test_a_trace_on_a_real_topic(
    kafka: KafkaServer, tmp_path: Path, assay: Callable[..., Any]
) -> None:
    """A worker has judged one of many traces: its outcome is explained; older ones are not read."""
    suffix = "_explain"
    topics = dict.fromkeys((SPANS + suffix, SCORES + suffix, DEAD + suffix), PARTITIONS)
    kafka.create_topics(topics)
    config = config_yaml(kafka.bootstrap_servers, suffix=suffix, evaluators=["pii"])
    (tmp_path / "assay.yaml").write_text(config)
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    old = llm_span(trace_id=TRACE)
    hours_ago = int((time.time() - 7200) * 1000)
    producer.produce(SPANS + suffix, message([old]), HEX, timestamp=hours_ago)
    producer.flush(10)
    many = list(traces(50))
    produce(kafka.bootstrap_servers, SPANS + suffix, many)
    with worker_process(tmp_path, config) as worker:
        worker.wait_ready()
        done = lambda: count_topic(kafka.bootstrap_servers, SCORES + suffix) >= 51  # noqa: E731
        until(done, 30, worker.died)
        worker.stop()
    wanted = (many[17][0] or b"").decode()
    found = json.loads(assay("explain", wanted, "--since", "1h", "--json").out)
    judged = [span for span in found["spans"] if span["evaluations"]]
    assert len(found["spans"]) == 2
    assert [each["outcome"]["outcome"] for each in judged[0]["evaluations"]] == ["scored"]
    assert found["notes"] == []
    recent = assay("explain", HEX, "--since", "1h", "--json")
    assert json.loads(recent.out)["spans"] == []  # its outcome is recent, its span is not
    assert len(json.loads(assay("explain", HEX, "--since", "3h", "--json").out)["spans"]) == 1
    assert assay("explain", "f" * 32).status == 1
