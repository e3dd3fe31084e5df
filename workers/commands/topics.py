"""`assay topics`: the topics that a config needs, and their creation."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs re-export none
    AdminClient,
    NewTopic,
)
from rich.table import Table

from schemas.config import Config
from schemas.errors import AssayError
from workers import kafka_settings
from workers.broker_fault import BrokerFault
from workers.lease_topic import described, fault_of, wanted_config

from .common import print_json
from .kafka_client import check_client
from .tables import print_table, table_of

_TIMEOUT_S = 10.0
_AGAIN_S = 0.1
_PARTITIONS = 6


class TopicsNotReady(AssayError):  # noqa: N818  named for what the command found
    """A topic is missing or unfit; the message says what to do."""


@dataclass(frozen=True, slots=True)
class _Topic:
    """What a topic has to be like, and what it is like; `partitions` 0 and no policy: not there."""

    name: str
    purpose: str
    wanted_partitions: int
    partitions: int = 0
    policy: str | None = None
    config: tuple[tuple[str, str], ...] = (("cleanup.policy", "delete"),)
    """What it is created with."""
    is_single: bool = False
    """Whether it may have one partition only."""
    fault: str | None = None
    """Why it cannot do what only a topic of its kind has to."""

    @property
    def state(self) -> str:
        """`ok`, `missing`, `unfit`, or `compacted`, which would lose records: keys are not ids."""
        if not self.partitions:
            return "missing"
        if self.fault is not None:
            return "unfit"
        return "compacted" if "compact" in (self.policy or "") else "ok"


def run(config: Config, *, create: bool, as_lines: bool) -> None:
    """Print what is needed and what is there; with `create`, make what is missing.

    Raises:
        ConfigError: `kafka.client` is wrong.
        TopicsNotReady: No broker answers, or a topic is missing (without `create`), unfit, or
            could not be made.
    """
    check_client(config)
    fault = BrokerFault()
    properties: dict[str, Any] = {**kafka_settings.common(config.kafka), "error_cb": fault}
    client = AdminClient(properties)
    topics = _look(client, config, fault)
    missing = [topic for topic in topics if topic.state == "missing"]
    if create and missing:
        _create(client, missing)
        topics = _seen(client, config, fault)
    if as_lines:
        print_json(_as_object(topic) for topic in topics)
    else:
        print_table(_table(topics))
    unfit = ", ".join(topic.name for topic in topics if topic.state == "compacted")
    if unfit:
        raise TopicsNotReady(
            f"{unfit}: cleanup.policy is compact, and records would be lost; set it to delete "
            "(kafka-configs --alter --add-config cleanup.policy=delete)"
        )
    for topic in topics:
        if topic.fault is not None:
            raise TopicsNotReady(f"{topic.name}: {topic.fault}")
    if missing and not create:
        names = ", ".join(topic.name for topic in missing)
        raise TopicsNotReady(f"{names}: missing; create them, or run assay topics --create")


def _seen(client: AdminClient, config: Config, fault: BrokerFault) -> list[_Topic]:
    """What is there, once the broker that is asked has heard of what was made."""
    until = time.monotonic() + _TIMEOUT_S
    while True:
        topics = _look(client, config, fault)
        if time.monotonic() >= until or all(topic.state != "missing" for topic in topics):
            return topics
        time.sleep(_AGAIN_S)  # noqa: TID251  a command of its own, in no event loop


def _look(client: AdminClient, config: Config, fault: BrokerFault) -> list[_Topic]:
    kafka = config.kafka
    wanted = [
        *(_Topic(name, "spans, from the collector", _PARTITIONS) for name in kafka.spans),
        _Topic(kafka.scores, "outcomes, one for each span and evaluator", _PARTITIONS),
        _Topic(kafka.dead_letters, "what could not be read", 1),
    ]
    if kafka.otlp_scores is not None:
        wanted.append(_Topic(kafka.otlp_scores, "outcomes as OTLP log records", _PARTITIONS))
    if config.budgets:
        kept = tuple(wanted_config(config.budgets).items())
        wanted.append(_Topic(kafka.leases, "what budgets spend", 1, config=kept, is_single=True))
    try:
        there = client.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        raise TopicsNotReady(
            f"{kafka.bootstrap_servers}: no broker answers ({fault.why(client, error)}); "
            "check kafka.bootstrap_servers and kafka.client, and that the cluster is up"
        ) from error
    return [
        _found(client, topic, len(there[topic.name].partitions), config)
        if topic.name in there
        else topic
        for topic in wanted
    ]


def _found(client: AdminClient, topic: _Topic, partitions: int, config: Config) -> _Topic:
    try:
        settings = described(client, topic.name)
    except KafkaException:  # the cluster does not tell
        settings = None
    policy = None if settings is None else settings.get("cleanup.policy")
    fault = None
    if topic.name == config.kafka.leases and config.budgets and settings is not None:
        fault = fault_of(config.budgets, partitions, settings)
    return replace(topic, partitions=partitions, policy=policy, fault=fault)


def _create(client: AdminClient, missing: Sequence[_Topic]) -> None:
    new = [
        NewTopic(
            topic.name,
            num_partitions=topic.wanted_partitions,
            replication_factor=-1,  # the broker's default
            config=dict(topic.config),
        )
        for topic in missing
    ]
    for name, future in client.create_topics(new, operation_timeout=_TIMEOUT_S).items():
        try:
            future.result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
                continue  # somebody else ran this command at the same time
            raise TopicsNotReady(
                f"{name}: could not be created: {error.args[0].str()}; "
                "create it by other means, or give this user the right to"
            ) from error


def _as_object(topic: _Topic) -> dict[str, Any]:
    return {
        "topic": topic.name,
        "purpose": topic.purpose,
        "partitions": topic.partitions or topic.wanted_partitions,
        "cleanup_policy": topic.policy,
        "state": topic.state,
    }


def _table(topics: Sequence[_Topic]) -> Table:
    table = table_of("topic", "for", "partitions", "cleanup.policy", "state")
    for topic in topics:
        there = topic.partitions > 0
        more = "no more" if topic.is_single else "or as many as you like"
        table.add_row(
            topic.name,
            topic.purpose,
            str(topic.partitions) if there else f"{topic.wanted_partitions} ({more})",
            topic.policy or ("not told" if there else "delete"),
            topic.state,
        )
    return table
