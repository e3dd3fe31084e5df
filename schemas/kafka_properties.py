"""Which librdkafka properties a config may set, and which the delivery promise owns."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

_AUTO_COMMIT = "offsets are committed by Assay itself, after the outcomes are acknowledged"
_ACKNOWLEDGED = "an outcome counts as published only when every in-sync replica has it"
_RUNS_CODE = "it runs or loads code that the config names"

REFUSED_PROPERTIES = {
    "bootstrap.servers": "use kafka.bootstrap_servers",
    "metadata.broker.list": "use kafka.bootstrap_servers",
    "group.id": "use kafka.group_id",
    "group.protocol": "the worker takes the newest that the brokers speak",
    "auto.offset.reset": "use kafka.start; an offset out of range must stop the worker, not jump",
    "enable.auto.commit": _AUTO_COMMIT,
    "auto.commit.enable": _AUTO_COMMIT,
    "auto.commit.interval.ms": _AUTO_COMMIT,
    "enable.auto.offset.store": _AUTO_COMMIT,
    "offset.store.method": _AUTO_COMMIT,
    "offset.store.path": _AUTO_COMMIT,
    "enable.partition.eof": "the consumer reads records only",
    "isolation.level": "records of an aborted transaction must not be evaluated",
    "partition.assignment.strategy": "a rebalance must take away only the partitions that move",
    "acks": _ACKNOWLEDGED,
    "request.required.acks": _ACKNOWLEDGED,
    "enable.idempotence": "a retried send must not publish an outcome twice",
    "transactional.id": "Assay publishes without transactions",
    "delivery.report.only.error": "an offset is committed after the report of each outcome only",
    "plugin.library.paths": _RUNS_CODE,
    "sasl.kerberos.kinit.cmd": _RUNS_CODE,
    "ssl.engine.location": _RUNS_CODE,
    "ssl.engine.id": _RUNS_CODE,
    "ssl.providers": _RUNS_CODE,
}
"""librdkafka properties that `kafka.client` may not set, and why or what to use."""

SECRET_PROPERTIES = frozenset(
    {
        "sasl.oauthbearer.assertion.private.key.passphrase",
        "sasl.oauthbearer.assertion.private.key.pem",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "sasl.password",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
    }
)
"""librdkafka properties that may stand in a file: `sasl.password_file: /run/secrets/kafka`."""


def _allowed_property(name: str) -> str:
    if name in REFUSED_PROPERTIES:
        raise ValueError(f"may not be set: {REFUSED_PROPERTIES[name]}")
    if name.endswith("_cb") or name.startswith("on_") or "callback" in name:
        raise ValueError("may not be set: a callback is code")
    if name.endswith("_file") and name.removesuffix("_file") not in SECRET_PROPERTIES:
        known = ", ".join(f"{secret}_file" for secret in sorted(SECRET_PROPERTIES))
        raise ValueError(f"is no property that can stand in a file; those are {known}")
    return name


def _property(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise ValueError("should be text, a number, true or false")  # noqa: TRY004  pydantic's way
    return value


PropertyName = Annotated[str, AfterValidator(_allowed_property)]
PropertyValue = Annotated[str | int | bool | float, BeforeValidator(_property)]
