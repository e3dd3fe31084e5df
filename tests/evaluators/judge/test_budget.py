"""Each request is paid for before it is sent, and costs what its usage says, or all of it."""

import asyncio
from dataclasses import dataclass, field

import pytest
from support.judge_server import Hang, Status, Text

from evaluators.judge.bound import BoundJudge
from evaluators.judge.budget import NANOS, BudgetPaused, BudgetSpent
from evaluators.judge.evaluation import CallRecord
from schemas.errors import JudgeFailure
from schemas.reasons import Reason
from schemas.reasons import Status as Outcome

from .conftest import QUESTION, Rig, about, deadline

PRICE = {"input_usd_per_mtok": 0.25, "output_usd_per_mtok": 2.0}
COST = 1000 * 250 + 100 * 2000
"""Of an ordinary answer of the test's judge, in billionths of a dollar."""


@dataclass
class Till:
    """A budget that writes down what it is told."""

    reserved: list[int] = field(default_factory=list)
    settled: list[int | None] = field(default_factory=list)
    refuses: list[Exception] = field(default_factory=list)
    reopenings: int = 0

    async def reserve(self, nanos: int) -> "Till":
        """Take it down, or refuse as the test says."""
        if self.refuses:
            raise self.refuses.pop(0)
        self.reserved.append(nanos)
        return self

    def settle(self, nanos: int | None) -> None:
        """Take it down."""
        self.settled.append(nanos)

    async def reopened(self) -> None:
        """At once."""
        self.reopenings += 1


async def test_a_request_is_reserved_at_its_most_and_settled_at_its_cost(rig: Rig) -> None:
    """Every byte of it as a token, and all tokens that the answer may have."""
    till = Till()
    client = rig.client(price=PRICE, max_output_tokens=500)
    await client.ask(QUESTION, deadline(), CallRecord(), till)
    call = rig.server.calls[0]
    prompt = len((call.system + call.user).encode())
    assert till.reserved[0] >= prompt * 250 + 500 * 2000
    assert till.settled == [COST]


async def test_each_attempt_is_paid_for(rig: Rig) -> None:
    """A corrective retry is a second call."""
    rig.server.script = lambda call: Text("no JSON") if call.index == 0 else None
    till = Till()
    await rig.client(price=PRICE).ask(QUESTION, deadline(), CallRecord(), till)
    assert till.settled == [COST, COST]


async def test_a_429_costs_nothing(rig: Rig) -> None:
    """The endpoint turned it away."""
    rig.server.script = lambda call: (
        Status(429, {}, {"retry-after": "0.05"}) if call.index == 0 else None
    )
    till = Till()
    await rig.client(price=PRICE).ask(QUESTION, deadline(), CallRecord(), till)
    assert till.settled == [0, COST]


async def test_a_connection_that_is_refused_costs_nothing(rig: Rig) -> None:
    """Nobody was there to bill for it."""
    till = Till()
    client = rig.client(price=PRICE, hold=False, max_attempts=1)
    await rig.server.stop()
    with pytest.raises(JudgeFailure):
        await client.ask(QUESTION, deadline(1), CallRecord(), till)
    assert till.settled
    assert set(till.settled) == {0}


async def test_an_answer_without_usage_costs_all_that_was_set_aside(rig: Rig) -> None:
    """What is not known is spent."""
    rig.server.script = lambda _: Text("no JSON", usage=None)
    till = Till()
    with pytest.raises(JudgeFailure):
        await rig.client(price=PRICE).ask(QUESTION, deadline(), CallRecord(), till)
    assert set(till.settled) == {None}


async def test_a_request_that_is_cut_off_costs_all_that_was_set_aside(rig: Rig) -> None:
    """The endpoint may have answered it."""
    rig.server.script = lambda _: Hang()
    till = Till()
    asking = asyncio.ensure_future(
        rig.client(price=PRICE).ask(QUESTION, deadline(), CallRecord(), till)
    )
    while not rig.server.in_flight:  # noqa: ASYNC110  of another program, as it were
        await asyncio.sleep(0.01)
    asking.cancel()
    await asyncio.wait({asking})
    assert till.settled == [None]


async def test_at_the_cap_nothing_is_sent(rig: Rig) -> None:
    """The evaluation is skipped, and its record says that code may answer."""
    till = Till(refuses=[BudgetSpent("daily", may_degrade=True)])
    record = CallRecord()
    judge = BoundJudge(rig.client(price=PRICE), deadline(), record, str, till)
    with pytest.raises(JudgeFailure) as caught:
        await judge.ask(about("Paris."))
    assert caught.value.reason is Reason.BUDGET
    assert caught.value.reason.status is Outcome.SKIPPED
    assert record.may_degrade
    assert not rig.server.calls


async def test_a_paused_budget_is_waited_for_without_a_place_at_the_endpoint(rig: Rig) -> None:
    """Others may have money for the same judge; then the call is made."""
    till = Till(refuses=[BudgetPaused()])
    client = rig.client(price=PRICE, max_concurrency=1)
    await client.ask(QUESTION, deadline(), CallRecord(), till)
    assert till.reopenings == 1
    assert till.settled == [COST]


def test_a_dollar_is_a_billion() -> None:
    """Prices of a million tokens come out in whole billionths."""
    assert NANOS * 0.25 / 1e6 == 250
