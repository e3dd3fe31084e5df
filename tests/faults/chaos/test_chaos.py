"""Attack: everything at once, drawn by a seed. See `docs/promise.md` for what must hold.

make test SUITE=chaos
ASSAY_CHAOS_SEED=7 ASSAY_CHAOS_SECONDS=180 make test SUITE=chaos
"""

from dataclasses import replace
from pathlib import Path

import pytest
from faults.chaos.run import on_kafka, on_mock, plan_from_environment
from support.kafka import KafkaServer

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]


@pytest.mark.parametrize("kill", [True, False], ids=["killed", "alive"])
def test_the_promise_holds_on_a_real_kafka(kafka: KafkaServer, tmp_path: Path, kill: bool) -> None:
    """Workers end in every way, the broker restarts, the judge fails: nothing is lost.

    Where no worker is killed, what they counted is what stands on the topic.
    """
    plan = replace(plan_from_environment(), kill=kill)
    print(plan)  # noqa: T201  shown with a failure: the way to see it again
    result = on_kafka(plan, kafka, tmp_path)
    print(result, *result.log, sep="\n")  # noqa: T201
    assert not result.problems


def test_the_promise_holds_while_leaders_and_coordinators_move(tmp_path: Path) -> None:
    """Requests fail, answers are late, brokers go away for a moment: nothing is lost."""
    plan = replace(plan_from_environment(), rate=10)
    print(plan)  # noqa: T201
    result = on_mock(plan, tmp_path)
    print(result, *result.log, sep="\n")  # noqa: T201
    assert not result.problems
