"""Endpoints that misbehave: what hits one call is final, what hits all is waited for."""

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support.judge_server import (
    Action,
    Call,
    Drip,
    HalfBody,
    Hang,
    Huge,
    JudgeServer,
    Reset,
    Status,
)

from evaluators.contract import Verdict
from evaluators.judge.client import JudgeClient
from evaluators.judge.endpoint import Pace
from evaluators.judge.evaluation import CallRecord
from schemas.config import JudgeConfig
from schemas.errors import JudgeFailure
from schemas.events import BreakerMoved, BreakerState, JudgeCalled, JudgeRetried, LimiterMoved
from schemas.reasons import Reason

from .conftest import QUESTION, Rig, about, deadline, now

HTML = Status(200, b"<html>busy</html>", {"content-type": "text/html"})
QUOTA = {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}
NO_MODEL = {"error": {"code": "model_not_found", "message": "no such model"}}
CONTEXT = {"error": {"code": "context_length_exceeded", "message": "maximum context length is 10"}}
LIMITED = Status(429, {"error": {"message": "slow down"}}, {"retry-after-ms": "30"})

FAULTS = [
    pytest.param(Status(500), Reason.JUDGE_ERROR, id="500"),
    pytest.param(Status(502, b"bad gateway"), Reason.JUDGE_ERROR, id="502"),
    pytest.param(Status(503), Reason.JUDGE_ERROR, id="503"),
    pytest.param(Reset(), Reason.JUDGE_ERROR, id="reset"),
    pytest.param(HalfBody(), Reason.JUDGE_ERROR, id="half a body"),
    pytest.param(HTML, Reason.JUDGE_ERROR, id="html with 200"),
    pytest.param(Status(200, b"null"), Reason.JUDGE_ERROR, id="null"),
    pytest.param(Status(200, b"[1,2]"), Reason.JUDGE_ERROR, id="list"),
    pytest.param(Status(200, b"{}"), Reason.JUDGE_ERROR, id="no choices"),
    pytest.param(Status(200, b'{"choices":[]}'), Reason.JUDGE_ERROR, id="empty choices"),
    pytest.param(Status(200, b'{"choices":[{"mess'), Reason.JUDGE_ERROR, id="truncated json"),
    pytest.param(Status(200, {"error": {"code": 502}}), Reason.JUDGE_ERROR, id="error with 200"),
    pytest.param(Status(204, b""), Reason.JUDGE_ERROR, id="nothing"),
    pytest.param(Status(400, CONTEXT), Reason.JUDGE_ERROR, id="context length"),
    pytest.param(Status(418, {"error": "teapot"}), Reason.JUDGE_ERROR, id="unknown client error"),
    pytest.param(Huge(), Reason.JUDGE_ERROR, id="200 MB"),
    pytest.param(Huge(50_000_000, packed=True), Reason.JUDGE_ERROR, id="gzip bomb"),
    pytest.param(Status(403, b"blocked"), Reason.JUDGE_ERROR, id="a firewall's 403"),
    pytest.param(Drip(), Reason.TIMEOUT, id="drip"),
    pytest.param(Hang(), Reason.TIMEOUT, id="hang"),
]


def only_poison(action: Action) -> Callable[[Call], Action]:
    """Do it to the calls whose data says so, answer the others."""
    return lambda call: action if call.data["output"] == "poison" else None


@contextmanager
def other_calls(rig: Rig, client: JudgeClient) -> Iterator[None]:
    """Harmless calls to the same endpoint, meanwhile."""
    busy = asyncio.ensure_future(rig.keep_busy(client))
    try:
        yield
    finally:
        busy.cancel()


@pytest.mark.parametrize(("action", "reason"), FAULTS)
async def test_fault_of_one_call_ends_that_call_alone(
    rig: Rig, action: Action, reason: Reason
) -> None:
    """While others are answered, a call that always fails ends within its deadline."""
    rig.server.script = only_poison(action)
    client = rig.client()

    with other_calls(rig, client):
        started = now()
        failure = await rig.fail(client, about("poison"))

    assert failure.reason is reason
    assert now() - started <= 61
    assert rig.record.attempts <= 4


@pytest.mark.parametrize(
    "action", [Status(500), Drip(), Status(400, CONTEXT), Status(403, b"blocked"), HTML]
)
async def test_fault_of_the_only_call_ends_too(rig: Rig, action: Action) -> None:
    """With no other call to show that the endpoint is up, a question of our own does."""
    rig.server.script = only_poison(action)

    failure = await rig.fail(rig.client(), about("poison"))

    assert failure.reason in (Reason.JUDGE_ERROR, Reason.TIMEOUT)
    assert rig.server.calls[-1].data["output"] == "poison"
    assert any(call.data["output"] == "Good morning!" for call in rig.server.calls)


async def hold_and_recover(rig: Rig, client: JudgeClient, down_s: float) -> list[Verdict]:
    """Ask while the endpoint is down; let it recover; expect all to be answered."""
    async with asyncio.TaskGroup() as group:
        asked = [
            group.create_task(client.ask(QUESTION, deadline(), CallRecord())) for _ in range(20)
        ]
        await asyncio.sleep(down_s)
        assert not any(task.done() for task in asked)
        rig.server.script = lambda _: None
    return [task.result() for task in asked]


@pytest.mark.parametrize(
    "action",
    [
        *(pytest.param(fault.values[0], id=fault.id) for fault in FAULTS),
        pytest.param(Status(401), id="401"),
        pytest.param(Status(402), id="402"),
        pytest.param(Status(404, NO_MODEL), id="404"),
        pytest.param(Status(429, QUOTA), id="quota"),
        pytest.param(Status(529), id="529"),
        pytest.param(LIMITED, id="429"),
    ],
)
async def test_fault_of_all_calls_fails_none(rig: Rig, action: Action) -> None:
    """What hits all calls alike is waited for past every deadline, and then all are answered."""
    rig.server.script = lambda _: action

    verdicts = await hold_and_recover(rig, rig.client(), 300)

    assert all(verdict.answers["answers"] for verdict in verdicts)


async def test_refused_connections_fail_none(rig: Rig) -> None:
    """A server that is not there is waited for, and found again at the same port."""
    client = rig.client()
    await rig.ask(client)
    await rig.server.stop()

    asking = asyncio.ensure_future(rig.ask(client))
    await asyncio.sleep(300)
    assert not asking.done()
    await rig.server.start()

    assert (await asking).answers["answers"]


async def test_unknown_host_is_an_outage() -> None:
    """A name that does not resolve is a failed connection like any other."""
    config = JudgeConfig(model="m", base_url="http://judge.invalid/v1")
    client = JudgeClient("default", config, emit=lambda _: None, clock=now, hold=False)

    with pytest.raises(JudgeFailure) as caught:
        await client.ask(QUESTION, deadline(), CallRecord())

    assert caught.value.reason is Reason.JUDGE_UNAVAILABLE
    await client.aclose()


@pytest.mark.parametrize(
    "action", [Status(401), Status(403), Status(404, NO_MODEL), Status(429, QUOTA), Status(402)]
)
async def test_refusal_for_all_opens_the_breaker_at_once(rig: Rig, action: Action) -> None:
    """After one refused key, model or quota nothing is sent but probes, one at a time."""
    rig.server.script = lambda _: action
    client = rig.client()
    asking = [asyncio.ensure_future(rig.ask(client)) for _ in range(20)]
    await asyncio.sleep(0.5)
    at_once, rig.server.max_in_flight = rig.server.count, 0
    await asyncio.sleep(600)
    sent = rig.server.count
    rig.server.script = lambda _: None
    await asyncio.wait(asking)

    assert at_once <= 10
    assert sent - at_once <= 600 / 22 + 6
    assert all(task.exception() is None for task in asking)


async def test_redirect_is_not_followed(rig: Rig) -> None:
    """A redirect is a failure; the prompt goes nowhere else."""
    async with JudgeServer() as elsewhere:
        location = {"location": f"{elsewhere.url}/chat/completions"}
        rig.server.script = only_poison(Status(307, {}, location))
        client = rig.client()

        with other_calls(rig, client):
            failure = await rig.fail(client, about("poison"))

        assert failure.reason is Reason.JUDGE_ERROR
        assert "redirect" in failure.detail
        assert elsewhere.count == 0


async def test_rate_limit_counts_neither_as_attempt_nor_against_the_deadline(rig: Rig) -> None:
    """More 429s than attempts, for longer than the deadline, end in an answer."""
    rig.server.script = lambda call: LIMITED if call.index < 10 else None

    await rig.ask(rig.client(max_attempts=1), deadline_s=0.1)

    assert rig.record.attempts == 1
    assert rig.server.count == 11


async def test_rate_limit_is_obeyed_by_all_and_to_its_longest_wait(rig: Rig) -> None:
    """After a 429 nothing is sent before the longest time that its headers name."""
    headers = {
        "retry-after": "0",
        "x-ratelimit-reset-requests": "5s",
        "x-ratelimit-reset-tokens": "6m0.5s",
    }
    sent: list[float] = []

    def script(call: Call) -> Action:
        sent.append(now())
        return Status(429, {}, headers) if call.index == 0 else None

    rig.server.script = script
    client = rig.client()
    first = asyncio.ensure_future(rig.ask(client))
    await asyncio.sleep(1)

    await rig.ask(client)
    await first

    assert 360 <= min(sent[1:]) - sent[0] <= 361


async def test_rate_limit_without_end_is_left_by_cancelling(rig: Rig) -> None:
    """Ten minutes of Retry-After hold no one who wants to stop."""
    rig.server.script = lambda _: Status(429, {}, {"retry-after": "600"})
    asking = asyncio.ensure_future(rig.ask(rig.client()))
    await asyncio.sleep(599)
    assert not asking.done()
    assert rig.server.count == 1

    asking.cancel()

    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_request_beyond_the_token_limit_is_no_rate_limit(rig: Rig) -> None:
    """A 429 that no waiting can cure ends that call."""
    body = {"error": {"message": "Request too large for gpt-x on tokens per min"}}
    rig.server.script = only_poison(Status(429, body))
    client = rig.client()

    with other_calls(rig, client):
        failure = await rig.fail(client, about("poison"))

    assert failure.reason is Reason.JUDGE_ERROR


async def test_rate_limit_that_names_too_short_a_time_is_not_hammered(rig: Rig) -> None:
    """An endpoint that says "30 ms" for ten minutes is asked some dozen times, not thousands."""
    rig.server.script = lambda _: LIMITED
    asking = asyncio.ensure_future(rig.ask(rig.client()))
    await asyncio.sleep(600)
    rig.server.script = lambda _: None

    assert rig.server.count < 60
    assert (await asking).answers["answers"]


async def test_burst_of_rate_limits_cuts_once(rig: Rig) -> None:
    """429s that were under way together lower the limit once."""
    rig.server.latency_s = 0.05
    rig.server.script = lambda call: LIMITED if call.index < 4 else None
    client = rig.client(max_concurrency=4)

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(client.ask(QUESTION, deadline(), CallRecord()))

    limits = [event.limit for event in rig.events if isinstance(event, LimiterMoved)]
    assert limits[0] == 2
    assert min(limits) == limits[0]


async def test_blocked_is_told_when_it_begins_and_ends(rig: Rig) -> None:
    """The lane hears once that the endpoint is given up, and once that it is back."""
    rig.server.script = lambda _: Status(401)
    client = rig.client()
    told: list[bool] = []
    client.on_blocked(lambda is_blocked, _: told.append(is_blocked))

    asking = asyncio.ensure_future(rig.ask(client))
    await asyncio.sleep(20)
    rig.server.script = lambda _: None
    await asking

    assert told == [True, False]
    states = [event.state for event in rig.events if isinstance(event, BreakerMoved)]
    assert states[0] is BreakerState.OPEN
    assert states[-1] is BreakerState.CLOSED


async def test_breaker_closes_when_nobody_waits(rig: Rig) -> None:
    """Evaluations that a rebalance took away do not leave the lane blocked for ever."""
    rig.server.script = lambda _: Status(401)
    client = rig.client()
    told: list[bool] = []
    client.on_blocked(lambda is_blocked, _: told.append(is_blocked))
    asking = asyncio.ensure_future(rig.ask(client))
    await asyncio.sleep(20)
    asking.cancel()
    rig.server.script = lambda _: None

    await asyncio.sleep(60)

    assert told == [True, False]


async def test_without_hold_an_endpoint_that_is_down_is_given_up(rig: Rig) -> None:
    """A command line waits for as long as it was told to, then says so."""
    rig.server.script = lambda _: Status(500)
    client = rig.client(hold=False, wait_s=30)
    started = now()

    failures = [rig.fail(client) for _ in range(3)]
    reasons = [(await failure).reason for failure in failures]

    assert reasons == [Reason.JUDGE_UNAVAILABLE] * 3
    assert 30 <= now() - started <= 35


async def test_without_hold_an_endpoint_that_comes_back_is_used(rig: Rig) -> None:
    """Within the time that it may wait, an outage fails nothing."""
    rig.server.script = lambda _: Status(500)
    asking = asyncio.ensure_future(rig.ask(rig.client(hold=False, wait_s=60)))
    await asyncio.sleep(30)
    rig.server.script = lambda _: None

    assert (await asking).answers["answers"]


async def test_few_failures_among_many_are_retried(rig: Rig) -> None:
    """One failure in ten is nobody's outcome."""
    rig.server.script = lambda call: Status(500) if call.index % 10 == 3 else None
    client = rig.client(max_concurrency=8)

    async with asyncio.TaskGroup() as group:
        for _ in range(100):
            group.create_task(client.ask(QUESTION, deadline(), CallRecord()))

    assert 110 <= rig.server.count <= 114
    assert sum(isinstance(event, JudgeRetried) for event in rig.events) == rig.server.count - 100


async def test_cancelled_calls_free_their_place(rig: Rig) -> None:
    """Cancelling calls that wait and calls that are sent leaves the whole limit to others."""
    rig.server.script = lambda _: Hang()
    client = rig.client(max_concurrency=2)
    asking = [asyncio.ensure_future(rig.ask(client)) for _ in range(6)]
    await asyncio.sleep(1)
    for task in asking:
        task.cancel()
    await asyncio.wait(asking)
    rig.server.script = lambda _: None

    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(rig.ask(client))

    assert rig.server.max_in_flight == 2


async def test_five_minutes_of_outage_fail_nothing(rig: Rig) -> None:
    """Down for five minutes: few probes, then every held call is answered within half a minute."""
    rig.server.script = lambda _: Status(503)
    client = rig.client()
    async with asyncio.TaskGroup() as group:
        asked = [
            group.create_task(client.ask(QUESTION, deadline(), CallRecord())) for _ in range(300)
        ]
        await asyncio.sleep(300)
        while_down = rig.server.count
        assert not any(task.done() for task in asked)
        rig.server.script = lambda _: None
        recovered = now()

    assert while_down <= 20 + 20
    assert now() - recovered <= 31
    real = [call for call in rig.server.calls[while_down:] if "input" in call.data]
    assert len(real) == 300


async def test_deadline_begins_anew_after_an_outage(rig: Rig) -> None:
    """Time that an outage ate up is given back: what recovers slowly is still answered."""
    rig.server.script = lambda _: Hang()
    client = rig.client(attempt_s=30)
    async with asyncio.TaskGroup() as group:
        for _ in range(10):
            group.create_task(client.ask(QUESTION, deadline(30), CallRecord()))
        await asyncio.sleep(300)
        rig.server.latency_s = 20.0
        rig.server.script = lambda _: None
        await asyncio.sleep(31)  # the probe that was under way may still end badly
        rig.events.clear()

    results = {event.result for event in rig.events if isinstance(event, JudgeCalled)}
    assert results == {"ok"}


async def test_traffic_starts_slowly_after_an_outage(rig: Rig) -> None:
    """An endpoint that has just come back gets few calls at a time, then twice as many."""
    rig.server.script = lambda _: Status(503)
    rig.server.latency_s = 1.0
    client = rig.client()
    asking = [asyncio.ensure_future(rig.ask(client)) for _ in range(50)]
    await asyncio.sleep(100)
    rig.server.script = lambda _: None
    sizes: list[int] = []
    while not all(task.done() for task in asking):
        await asyncio.sleep(0.25)
        if not sizes or rig.server.in_flight != sizes[-1]:
            sizes.append(rig.server.in_flight)

    busy = [size for size in sizes if size]
    assert busy[0] == 1
    assert all(after <= 2 * before for before, after in itertools.pairwise(busy))
    assert max(busy) >= 4


def test_pace_of_the_product_is_patient() -> None:
    """The first probe comes after about a second, and never are they further apart than 30."""
    pace = Pace()

    assert pace.first_probe_s == 1.0
    assert pace.max_probe_s == 30.0
