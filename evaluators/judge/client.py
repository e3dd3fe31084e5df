"""The client of one configured judge."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from evaluators.contract import Item, Question, Verdict
from evaluators.texts import search
from schemas.config import JudgeConfig
from schemas.events import Emit

from .asking import Answer, Asking, Limits, Repeatable
from .budget import Budget, BudgetPaused, BudgetSpent, Unlimited
from .clean import cut
from .completion import Completion
from .defences import Defences
from .endpoint import Endpoint, Pace, Permit
from .evaluation import CallRecord, Deadline
from .exchange import Draft, Exchange
from .faults import Adapted, BadOutput, Capacity, Fault
from .memory import VerdictMemory
from .modes import Modes
from .price import Price
from .request import Request
from .transport import open_api

_NEUTRAL = Question(
    rubric="probe@1",
    instructions="Say whether the output greets somebody.",
    items=(Item("greeting", "Does the output greet somebody?"),),
    data={"output": "Good morning!"},
    may_abstain=False,
)
"""Asked to find out whether an endpoint works, in the same shape as every real question."""

_PROBE_REQUESTS = 8


@dataclass(frozen=True, slots=True)
class _Shared:
    endpoint: Endpoint
    modes: Modes


class Endpoints:
    """What judges with the same base URL and model share: limiter, breaker, what was learnt.

    Hand the same object to every client of a process.
    """

    def __init__(self, pace: Pace | None = None) -> None:
        self._pace = pace or Pace()
        self._shared: dict[tuple[str, str], _Shared] = {}

    def shared_by(self, config: JudgeConfig, emit: Emit, clock: Callable[[], float]) -> _Shared:
        """The state for a judge, made by the first that asks."""
        key = (config.base_url.rstrip("/"), config.model)
        if key not in self._shared:
            label = _label(config)
            endpoint = Endpoint(
                label, config.max_concurrency, emit=emit, clock=clock, pace=self._pace
            )
            self._shared[key] = _Shared(endpoint, Modes(label, config.model, emit, clock))
        return self._shared[key]


class JudgeClient:
    """Asks one judge, however often it takes; made once, used by many evaluations at a time.

    Belongs to one event loop. `ask` may be cancelled at any time.

    Args:
        name: Name of the judge in the config.
        config: Its section of the config.
        emit: Told what happens.
        clock: Monotonic clock, in seconds.
        text_chars: Characters of judged text that one question may have.
        hold: Whether evaluations wait for an endpoint that is down, however long it takes.
        wait_s: Without `hold`: seconds after which they fail with `judge_unavailable`.
        endpoints: Shared with the other clients of the process; None shares nothing.
        defences: What stands between judged text and a verdict.
        probe_budget: What pays for probing an endpoint that is down; None: nobody counts it.
    """

    def __init__(
        self,
        name: str,
        config: JudgeConfig,
        *,
        emit: Emit,
        clock: Callable[[], float] = time.monotonic,
        text_chars: int = 60000,
        hold: bool = True,
        wait_s: float = 0.0,
        endpoints: Endpoints | None = None,
        defences: Defences | None = None,
        probe_budget: Budget | None = None,
    ) -> None:
        self._defences = defences or Defences()
        self.name = name
        self.model = config.model
        self.price = Price(config)
        self._config = config
        self._emit = emit
        self._text_chars = text_chars
        self._probe_budget = probe_budget or Unlimited()
        self._limits = Limits(config.max_attempts, config.attempt_s, None if hold else wait_s)
        shared = (endpoints or Endpoints()).shared_by(config, emit, clock)
        self._endpoint = shared.endpoint
        self._api = open_api(config)
        self._exchange = Exchange(
            self._api,
            config.model,
            modes=shared.modes,
            price=self.price,
            endpoint=self._endpoint.label,
            emit=emit,
            told=self._endpoint.told,
            clock=clock,
            defences=self._defences,
        )
        self._endpoint.probe_with(self._probe_neutrally)
        self._memory: VerdictMemory | None = None
        if config.cached_verdicts:
            self._memory = VerdictMemory(name, config.cached_verdicts, emit, clock)

    @property
    def label(self) -> str:
        """`model@host:port` of its endpoint, as events and metrics name it."""
        return self._endpoint.label

    async def ask(
        self,
        question: Question,
        deadline: Deadline,
        record: CallRecord,
        budget: Budget | None = None,
    ) -> Verdict:
        """Ask a question about one span; where the record has an asker, once in an hour.

        Args:
            question: What is asked; its data is redacted already.
            deadline: The evaluation's budget; it stands still while the endpoint is waited for.
            record: What the calls of the evaluation add up to.
            budget: What pays for them; None: nobody counts it.

        Raises:
            JudgeFailure: No verdict can be had; final for this evaluation.
        """
        most, clean = self._config.max_output_tokens, self._defences.clean
        ready = partial(Request.of, question, most, self._text_chars, clean)
        request = await search(ready, question.data.values())
        record.injection_suspected |= request.injection_suspected
        draft = partial(self._exchange.draft, request)
        asking = self._asking(request, draft, deadline, record, budget)
        if self._memory is None or record.asker is None:
            return await asking.run()
        return await self._memory.verdict(request, record, asking.run)

    async def complete(
        self,
        request: Mapping[str, Any],
        deadline: Deadline,
        record: CallRecord,
        budget: Budget | None = None,
    ) -> Mapping[str, Any]:
        """Send a chat completion in the words of another library; as `ask` in all else.

        Args:
            request: Body of the request; its texts are redacted already. The model and the token
                limit are this judge's, whatever it says.
            deadline: The evaluation's budget.
            record: What the calls of the evaluation add up to.
            budget: What pays for them.

        Returns:
            Body of the endpoint's response: a chat completion that is whole.

        Raises:
            JudgeFailure: None can be had.
        """
        completion = Completion.of(request, self._config.max_output_tokens)
        draft = partial(completion.draft, self._exchange)
        return await self._asking(completion, draft, deadline, record, budget).run()

    def _asking(
        self,
        request: Repeatable,
        draft: Callable[[], Draft[Answer]],
        deadline: Deadline,
        record: CallRecord,
        budget: Budget | None,
    ) -> Asking[Answer]:
        return Asking(
            self._exchange,
            self._endpoint,
            request,
            draft,
            deadline=deadline,
            record=record,
            budget=budget or Unlimited(),
            limits=self._limits,
            emit=self._emit,
        )

    def fitted(self, data: Mapping[str, str]) -> tuple[dict[str, str], bool]:
        """Texts cut to what one question may have, and whether anything was cut."""
        return cut(data, self._text_chars)

    async def probe(self) -> str | None:
        """Ask a harmless question, once, to see whether the judge works.

        Returns:
            None where it does, else what is wrong with it, and what to do.
        """
        fault = await self._ask_neutrally(Unlimited())
        if fault is None:
            return None
        return f'judge "{self.name}" ({self._endpoint.label}): {fault.why}; {fault.remedy}'

    def set_share(self, lane: str, share: float) -> None:
        """This worker has a share of a lane's partitions, and so of the endpoint's limits."""
        self._endpoint.set_share(lane, share)

    def on_blocked(self, callback: Callable[[bool, str], None]) -> None:
        """Call it with (True, why) when the endpoint is given up, (False, "") when it is back."""
        self._endpoint.on_blocked(callback)

    async def aclose(self) -> None:
        """Stop probing and close the connections; what still asks must be cancelled before."""
        await self._endpoint.aclose()
        await self._api.close()

    async def _probe_neutrally(self, permit: Permit) -> None:
        try:
            fault = await self._ask_neutrally(self._probe_budget)
        except (BudgetSpent, BudgetPaused):
            self._endpoint.failed(permit, "there is no money left to try it")
            return
        if fault is None or isinstance(fault, BadOutput):
            self._endpoint.succeeded(permit)
        elif isinstance(fault, Capacity):
            self._endpoint.limited(permit, fault.wait_s)
        else:
            self._endpoint.failed(permit, fault.why)

    async def _ask_neutrally(self, budget: Budget) -> Fault | None:
        fault: Fault | None = None
        for _ in range(_PROBE_REQUESTS):
            request = Request.of(_NEUTRAL, self._config.max_output_tokens, self._text_chars)
            try:
                draft = self._exchange.draft(request)
                charge = await budget.reserve(draft.most_nanos)
                await self._exchange.send(draft, charge, CallRecord(), self._config.attempt_s)
            except Adapted as adapted:
                fault = adapted
            except Fault as other:
                return other
            else:
                return None
        return fault


def _label(config: JudgeConfig) -> str:
    """`model@host:port`: no path, query or user name, they may hold what is nobody's business."""
    parts = urlsplit(config.base_url)
    port = f":{parts.port}" if parts.port else ""
    return f"{config.model}@{parts.hostname}{port}"
