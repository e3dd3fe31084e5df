"""Outcomes to a Kafka topic as OTLP log records."""

import threading
import time
from typing import Any

import pytest
from confluent_kafka import KafkaError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from support.samples import TRACE_ID, outcome
from support.workers import read_topic

from schemas.config import KafkaConfig
from schemas.events import OutputResult
from workers.demo.broker import MockCluster
from workers.sinks.otlp_topic import OtlpTopic

TOPIC = "otlp_scores"
_PRODUCE = 0


@pytest.fixture
def cluster(mock_cluster: MockCluster) -> MockCluster:
    """A cluster with the topic."""
    mock_cluster.create_topic(TOPIC, 2)
    return mock_cluster


def _kafka(cluster: MockCluster, **client: Any) -> KafkaConfig:
    return KafkaConfig(
        bootstrap_servers=cluster.bootstrap_servers, spans=("spans",), client=dict(client)
    )


def _export(
    topic: OtlpTopic, evaluators: tuple[str, ...] = ("pii", "secrets")
) -> dict[tuple[OutputResult, str], int]:
    ended = topic.export([outcome(evaluator=name) for name in evaluators], threading.Event())
    return {(each.result, each.error): each.count for each in ended}


def test_each_outcome_is_one_record_with_the_trace_id_as_key(cluster: MockCluster) -> None:
    """So a trace's scores stand in one partition, and each record is a whole OTLP export."""
    topic = OtlpTopic(_kafka(cluster), TOPIC)
    assert _export(topic) == {(OutputResult.SENT, ""): 2}
    topic.close()
    records = read_topic(cluster.bootstrap_servers, TOPIC)
    assert {record.key() for record in records} == {TRACE_ID.encode()}
    assert len({record.partition() for record in records}) == 1
    names = []
    for record in records:
        export = ExportLogsServiceRequest.FromString(record.value() or b"")
        (event,) = export.resource_logs[0].scope_logs[0].log_records
        assert event.trace_id.hex() == TRACE_ID
        names += [p.value.string_value for p in event.attributes if p.key.endswith("ation.name")]
    assert sorted(names) == ["pii", "secrets"]


def test_what_the_broker_refuses_is_counted(cluster: MockCluster) -> None:
    """Nothing is produced again by us: the reason and the number are told."""
    topic = OtlpTopic(_kafka(cluster), TOPIC)
    assert _export(topic) == {(OutputResult.SENT, ""): 2}
    cluster.push_errors(_PRODUCE, KafkaError.INVALID_RECORD)
    ((ended, count),) = _export(topic, ("pii",)).items()
    assert (ended[0], count) == (OutputResult.FAILED, 1)
    assert "record" in ended[1].lower()
    assert _export(topic) == {(OutputResult.SENT, ""): 2}
    topic.close()


def test_a_broker_that_is_down_takes_no_longer_than_seconds(cluster: MockCluster) -> None:
    """Messages are given up after their time, and the thread of the output is free again."""
    topic = OtlpTopic(_kafka(cluster), TOPIC)
    assert _export(topic) == {(OutputResult.SENT, ""): 2}
    cluster.set_down(1)
    began = time.monotonic()
    ended = _export(topic)
    assert time.monotonic() - began < 8
    assert sum(ended.values()) == 2
    assert {result for result, _ in ended} == {OutputResult.FAILED}
    topic.close()


def test_one_that_is_too_large_costs_itself_alone(cluster: MockCluster) -> None:
    """The others of its batch are sent."""
    topic = OtlpTopic(_kafka(cluster, **{"message.max.bytes": 2000}), TOPIC)
    ended = _export(topic, ("pii", "x" * 3000, "secrets"))
    topic.close()
    assert ended.pop((OutputResult.SENT, "")) == 2
    ((failed, count),) = ended.items()
    assert (failed[0], count) == (OutputResult.FAILED, 1)
