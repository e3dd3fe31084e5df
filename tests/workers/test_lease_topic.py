"""A topic that cannot keep the books is told, with what to change."""

import pytest

from schemas.config import BudgetConfig
from workers.lease_topic import fault_of, wanted_config

MONTHLY = (BudgetConfig(name="m", usd=1, per="month"),)
FIT = wanted_config(MONTHLY)


def test_what_we_create_is_fit() -> None:
    """For every period."""
    for per in ("hour", "day", "month"):
        budgets = [BudgetConfig.model_validate({"name": "b", "usd": 1, "per": per})]
        assert fault_of(budgets, 1, wanted_config(budgets)) is None


def test_a_topic_that_keeps_everything_is_fit() -> None:
    """`retention.ms` -1 has no end."""
    assert fault_of(MONTHLY, 1, {**FIT, "retention.ms": "-1"}) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cleanup.policy", "compact,delete"),
        ("message.timestamp.type", "CreateTime"),
        ("retention.ms", str(30 * 24 * 3_600_000)),
        ("retention.bytes", "1000000"),
    ],
)
def test_a_setting_that_would_lose_leases_is_named(name: str, value: str) -> None:
    """With the command that mends it."""
    fault = fault_of(MONTHLY, 1, {**FIT, name: value})
    assert fault is not None
    assert f"--add-config {name}=" in fault


def test_two_partitions_have_no_one_order() -> None:
    """No setting mends that."""
    fault = fault_of(MONTHLY, 2, FIT)
    assert fault is not None
    assert "2 partitions" in fault
