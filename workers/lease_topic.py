"""What the leases topic has to be like, so that the books of the budgets are right."""

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs re-export none
    AdminClient,
    ConfigResource,
    ResourceType,
)

from schemas.config import BudgetConfig, Config
from schemas.errors import ConfigError

from . import kafka_settings

_TIMEOUT_S = 10.0
_HOUR_MS = 3_600_000
_WINDOW_MS = {"hour": _HOUR_MS, "day": 24 * _HOUR_MS, "month": 31 * 24 * _HOUR_MS}
_LEAST_KEPT_MS = 7 * 24 * _HOUR_MS


def wanted_config(budgets: Iterable[BudgetConfig]) -> dict[str, str]:
    """The configuration to create the topic with: it keeps two periods, or a week."""
    kept_ms = max(_LEAST_KEPT_MS, 2 * _window_ms(budgets))
    return {
        "cleanup.policy": "delete",
        "message.timestamp.type": "LogAppendTime",
        "retention.ms": str(kept_ms),
        "retention.bytes": "-1",
    }


def fault_of(
    budgets: Iterable[BudgetConfig], partitions: int, found: Mapping[str, str]
) -> str | None:
    """What is wrong with the topic and how to mend it, or None.

    Args:
        budgets: Which need it.
        partitions: How many it has.
        found: Its configuration.
    """
    if partitions != 1:
        return (
            f"it has {partitions} partitions, and only one partition has one order; "
            "name another topic, or make this one again with one partition"
        )
    window_ms = _window_ms(budgets)
    kept_ms = int(found.get("retention.ms", "0"))
    faults = {
        "cleanup.policy=delete": found.get("cleanup.policy") != "delete",
        "message.timestamp.type=LogAppendTime": found.get("message.timestamp.type")
        != "LogAppendTime",
        f"retention.ms={max(_LEAST_KEPT_MS, 2 * window_ms)}": 0 <= kept_ms < window_ms,
        "retention.bytes=-1": found.get("retention.bytes", "-1") != "-1",
    }
    settings = ",".join(setting for setting, is_wrong in faults.items() if is_wrong)
    if not settings:
        return None
    return (
        "its configuration would lose or misdate leases; "
        f"run kafka-configs --alter --add-config {settings}"
    )


def check_lease_topic(config: Config) -> None:
    """See to it that the topic can keep the books of the config's budgets. Blocks.

    Raises:
        ConfigError: It cannot, or the cluster does not say.
    """
    name = config.kafka.leases
    client = AdminClient(kafka_settings.common(config.kafka))
    try:
        topic = client.list_topics(name, timeout=_TIMEOUT_S).topics[name]
        found = described(client, name)
    except KafkaException as error:
        raise ConfigError(
            f'topic "{name}": the cluster does not say how it is configured '
            f"({error.args[0].str()}), and a budget rests on that; give this user the right to "
            "describe the topic and its configuration",
            key="kafka.leases",
        ) from error
    fault = fault_of(config.budgets, len(topic.partitions), found)
    if fault is not None:
        raise ConfigError(f'topic "{name}": {fault}', key="kafka.leases")


def described(client: AdminClient, topic: str) -> dict[str, str]:
    """A topic's configuration.

    Raises:
        KafkaException: The cluster does not tell.
    """
    resource = ConfigResource(ResourceType.TOPIC, topic)
    future = client.describe_configs([resource], request_timeout=_TIMEOUT_S)[resource]
    entries: dict[str, Any] = future.result(_TIMEOUT_S)
    return {name: str(entry.value) for name, entry in entries.items()}


def _window_ms(budgets: Iterable[BudgetConfig]) -> int:
    return max(_WINDOW_MS[budget.per] for budget in budgets)
