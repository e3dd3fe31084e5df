"""One question on its way to a verdict: which fault leads to another request, which is final."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from schemas.errors import JudgeFailure
from schemas.events import Emit, JudgeRetried
from schemas.reasons import Reason

from .budget import Budget, BudgetPaused
from .endpoint import Endpoint, Permit
from .evaluation import CallRecord, Deadline
from .exchange import Draft, Exchange
from .faults import (
    Adapted,
    BadOutput,
    Capacity,
    EndpointFault,
    Fault,
    Outage,
    Rejected,
    TimedOut,
)

_MAX_ADAPTATIONS = 8
_MAX_RESTARTS = 3
_JITTER = secrets.SystemRandom()


class _AgainError(Exception):
    """Send another request, after a pause that counts against the deadline."""

    def __init__(self, wait_s: float = 0.0) -> None:
        super().__init__()
        self.wait_s = wait_s


Answer = TypeVar("Answer")


class Repeatable(Protocol):
    """A request that can be made again, each time a little differently."""

    is_extended: bool
    """Whether more tokens than configured are allowed."""

    @property
    def likely_tokens(self) -> float:
        """What an endpoint counts against a token limit."""
        ...

    def extend(self) -> bool:
        """Allow twice the tokens; False where that was done before."""
        ...

    def correct(self, why: str) -> bool:
        """Say what was wrong with the answer; False where there is no more to be said."""
        ...


_IF_WANTED = retry_if_exception_type(_AgainError)


@dataclass(frozen=True, slots=True)
class Limits:
    """How often, and how long, a judge is asked for one evaluation."""

    max_attempts: int
    """Requests that may fail because of the endpoint."""
    attempt_s: float
    """Seconds for one request."""
    patience_s: float | None
    """Seconds that the endpoint may be down; None waits for ever."""


class Asking(Generic[Answer]):
    """The state of one question; `run` once.

    A failure of the endpoint is final only if a call that started after this evaluation's first
    failure has succeeded. Where there is none the evaluation is *held*: the breaker opens, and it
    waits in the endpoint's queue until it is its turn to probe, or until the breaker closes. Then
    it gets one more attempt, or a fresh start where a probe of our own has failed meanwhile: what
    failed then failed for all.

    Args:
        exchange: Sends a request and reads the answer.
        endpoint: Shared state of the endpoint.
        request: What is asked.
        draft: Writes it down as it can be sent now.
        deadline: The evaluation's budget.
        record: What its calls add up to.
        budget: What pays for each of its calls.
        limits: How often and how long.
        emit: Told of each retry.
    """

    def __init__(
        self,
        exchange: Exchange,
        endpoint: Endpoint,
        request: Repeatable,
        draft: Callable[[], Draft[Answer]],
        *,
        deadline: Deadline,
        record: CallRecord,
        budget: Budget,
        limits: Limits,
        emit: Emit,
    ) -> None:
        self._exchange = exchange
        self._endpoint = endpoint
        self._request = request
        self._draft = draft
        self._deadline = deadline
        self._record = record
        self._budget = budget
        self._limits = limits
        self._emit = emit
        self._failures = 0
        self._adaptations = 0
        self._restarts = 0
        self._mark: int | None = None
        self._held_at: int | None = None
        """The endpoint's confirmations when this was held; None while it is not."""
        self._was_sent = False

    async def run(self) -> Answer:
        """Ask until there is an answer or a final failure.

        Raises:
            JudgeFailure: No answer can be had.
        """
        self._record.asked += 1
        try:
            return await self._once()
        except _AgainError as again:
            wait_s = again.wait_s
        # Few evaluations come here: to set up a retry loop for each took a tenth of an evaluation's
        # CPU time (`bench/judge.py`).
        await asyncio.sleep(wait_s)
        retrying = AsyncRetrying(retry=_IF_WANTED, wait=_wanted_wait, reraise=True)
        try:
            return await retrying(self._once)
        finally:
            # It remembers what it would do next, bound to itself. A cycle in each call is 2 kB that
            # only a full collection finds, and a worker that remembers 100,000 spans has few.
            retrying.iter_state.reset()

    async def _once(self) -> Answer:
        permit = await self._enter()
        before_s = self._record.latency_s
        try:
            answer = await self._paid()
        except BudgetPaused:
            return await self._after_pause(permit)
        except Capacity as fault:
            self._deadline.give_back(self._record.latency_s - before_s)
            self._endpoint.limited(permit, fault.wait_s)
            again = self._again(fault)
        except BadOutput as fault:
            self._endpoint.succeeded(permit)
            again = self._after_bad_output(fault)
        except Adapted as fault:
            again = await self._after_adaptation(permit, fault)
        except Outage as fault:
            again = self._after_outage(permit, fault)
        except Rejected as fault:
            again = await self._after_rejection(permit, fault)
        except EndpointFault as fault:
            again = await self._after_endpoint_fault(permit, fault)
        else:
            self._endpoint.succeeded(permit)
            return answer
        finally:
            self._endpoint.release(permit)
        raise again

    async def _paid(self) -> Answer:
        """Send the request once what it may cost is set aside; waiting for that does not count."""
        draft = self._draft()
        with self._deadline.paused():
            charge = await self._budget.reserve(draft.most_nanos)
        seconds = min(self._limits.attempt_s, self._deadline.remaining())
        return await self._exchange.send(draft, charge, self._record, seconds)

    async def _enter(self) -> Permit:
        is_held = self._held_at is not None
        if not is_held and self._deadline.remaining() <= 0:
            raise JudgeFailure(Reason.TIMEOUT, "the evaluation's deadline has passed")
        with self._deadline.paused():
            permit = await self._endpoint.acquire(
                route=self._record.route,
                tokens=self._request.likely_tokens,
                held=is_held,
                patience_s=self._limits.patience_s,
            )
        if permit.is_probe:
            self._deadline.allow(self._limits.attempt_s)
        elif is_held:
            self._leave_hold()
        if not self._was_sent:
            self._endpoint.retries.deposit()
            self._was_sent = True
        return permit

    def _leave_hold(self) -> None:
        held_at, self._held_at = self._held_at, None
        is_outage = held_at is not None and self._endpoint.confirmations > held_at
        if is_outage and self._restarts < _MAX_RESTARTS:
            self._restarts += 1
            self._failures = 0
            self._mark = None
            self._deadline.restart()
        else:
            self._failures = min(self._failures, self._limits.max_attempts - 1)
            self._deadline.allow(self._limits.attempt_s)

    async def _after_pause(self, permit: Permit) -> Answer:
        self._endpoint.release(permit)  # others may have money for this endpoint
        with self._deadline.paused():
            await self._budget.reopened()
        raise _AgainError

    # One method for each policy; each raises what is final and returns what leads on.

    def _after_bad_output(self, fault: BadOutput) -> _AgainError:
        is_in_time = self._deadline.remaining() > 0
        if fault.reason is Reason.OUTPUT_TRUNCATED:
            if self._request.extend() and is_in_time:
                return self._again(fault)
        elif not fault.is_final and self._request.correct(fault.why) and is_in_time:
            return self._again(fault)
        raise JudgeFailure(fault.reason, fault.why)

    async def _after_adaptation(self, permit: Permit, fault: Adapted) -> _AgainError:
        self._adaptations += 1
        if self._adaptations > _MAX_ADAPTATIONS:
            return await self._after_rejection(permit, fault)
        return self._again(fault)

    def _after_outage(self, permit: Permit, fault: Outage) -> _AgainError:
        if self._endpoint.alive_since(self._first_failure()):
            raise JudgeFailure(Reason.JUDGE_ERROR, fault.why)
        self._endpoint.failed(permit, fault.why, for_all=True)
        self._hold()
        return self._again(fault)

    async def _after_rejection(self, permit: Permit, fault: Fault) -> _AgainError:
        if self._request.is_extended:
            # The endpoint has no room for more tokens than it cut the answer at.
            raise JudgeFailure(Reason.OUTPUT_TRUNCATED, "the answer was cut at the token limit")
        failure = JudgeFailure(Reason.JUDGE_ERROR, fault.why)
        if self._endpoint.alive_since(self._first_failure()):
            raise failure
        self._endpoint.failed(permit, fault.why)
        if await self._is_alive(fault):
            raise failure  # the same request would be rejected again
        self._hold()
        return self._again(fault)

    async def _after_endpoint_fault(self, permit: Permit, fault: EndpointFault) -> _AgainError:
        mark = self._first_failure()
        self._endpoint.failed(permit, fault.why, overloaded=fault.overloaded)
        if self._held_at is not None:
            return self._again(fault)  # it was the probe, and waits for its next turn
        self._failures += 1
        wait_s = max(self._backoff_s(), min(fault.wait_s, self._endpoint.pace.max_backoff_s))
        is_spent = (
            self._failures >= self._limits.max_attempts or self._deadline.remaining() <= wait_s
        )
        if self._endpoint.is_closed and not is_spent:
            with self._deadline.paused():
                await asyncio.sleep(self._endpoint.retries.withdraw())
            return self._again(fault, wait_s)
        if is_spent and self._endpoint.alive_since(mark):
            reason = Reason.TIMEOUT if isinstance(fault, TimedOut) else Reason.JUDGE_ERROR
            raise JudgeFailure(reason, fault.why)
        await self._is_alive(fault)
        self._hold()
        return self._again(fault)

    async def _is_alive(self, fault: Fault) -> bool:
        """Whether another call succeeds within a moment; else the breaker is open."""
        with self._deadline.paused():
            is_alive = await self._endpoint.witnessed(self._first_failure())
        if not is_alive:
            self._endpoint.open(fault.why)
        return is_alive

    def _hold(self) -> None:
        if self._held_at is None:
            self._held_at = self._endpoint.confirmations

    def _first_failure(self) -> int:
        if self._mark is None:
            self._mark = self._endpoint.mark()
        return self._mark

    def _backoff_s(self) -> float:
        """Full jitter: anything between nothing and the doubled step."""
        pace = self._endpoint.pace
        step_s = min(pace.max_backoff_s, pace.backoff_s * 2.0 ** (self._failures - 1))
        return step_s * _JITTER.random()

    def _again(self, fault: Fault, wait_s: float = 0.0) -> _AgainError:
        self._emit(JudgeRetried(self._endpoint.label, fault.result, wait_s))
        return _AgainError(wait_s)


def _wanted_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    return error.wait_s if isinstance(error, _AgainError) else 0.0
