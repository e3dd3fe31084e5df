"""One request to a judge and its answer: send, classify what went wrong, read what came."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import httpx2
import openai
import orjson
from opentelemetry import context

from evaluators.contract import Verdict
from evaluators.redact import redact
from schemas.events import Emit, JudgeCalled
from schemas.reasons import Reason
from schemas.values import int_or_none

from .budget import Bill, Charge, most_nanos, nanos_of
from .defences import Defences
from .evaluation import CallRecord
from .faults import (
    Adapted,
    BadOutput,
    Capacity,
    EndpointFault,
    Fault,
    Rejected,
    TimedOut,
    of_error,
    of_status,
)
from .modes import Mode, Modes
from .price import Price
from .prompt import Prompt
from .request import Request
from .transport import JudgeApi
from .verdict import answer_contract

_MIN_ERROR_STATUS = 300
_NAME_CHARS = 256
_HTTP_ERRORS = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError)
_SUPPRESSED = (
    # What the SDK of OpenTelemetry, and instrumentations of LLM clients, look at.
    context._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001  there is no public name
    context._SUPPRESS_HTTP_INSTRUMENTATION_KEY,  # noqa: SLF001
    "suppress_instrumentation",
    "suppress_language_model_instrumentation",
)

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Reply:
    """What matters of a chat completion, and all of it."""

    message: Mapping[str, Any]
    finish_reason: str
    model: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Draft(Generic[Answer]):
    """A request as it will be sent.

    Attributes:
        body: What is sent.
        most_nanos: What it may cost at most, in billionths of a US dollar.
        likely_tokens: What an endpoint counts against a token limit.
        mode: Structured-output mode, for the record.
        adapt: Learns from a rejection, by the parameter that it names and its text; returns what is
            no longer sent, None where a draft made anew would be the same.
        read: What the reply says.
    """

    body: bytes
    most_nanos: int
    likely_tokens: float
    mode: str
    adapt: Callable[[str | None, str], str | None]
    read: Callable[[Reply], Answer]


class Sized(Protocol):
    """How large a request is, and its answer may be."""

    max_tokens: int

    @property
    def likely_tokens(self) -> float:
        """What an endpoint counts against a token limit."""
        ...


class Exchange:
    """Sends single requests to one judge; it neither waits nor repeats.

    Args:
        api: The SDK client.
        model: Model to ask for.
        modes: What the endpoint understands, shared by all that ask it.
        price: Prices of the judge.
        endpoint: Label for events.
        emit: Told of each request.
        told: Gets the headers of each answer, when its request was sent, and how many of its
            likely tokens it did not use.
        clock: Monotonic clock, in seconds.
        defences: How the messages are written and the answer is read.
    """

    def __init__(
        self,
        api: JudgeApi,
        model: str,
        *,
        modes: Modes,
        price: Price,
        endpoint: str,
        emit: Emit,
        told: Callable[[Mapping[str, str], float, float], None],
        clock: Callable[[], float],
        defences: Defences,
    ) -> None:
        self._defences = defences
        self._api = api
        self._model = model
        self._modes = modes
        self._price = price
        self._endpoint = endpoint
        self._emit = emit
        self._told = told
        self._clock = clock

    @property
    def modes(self) -> Modes:
        """What the endpoint understands."""
        return self._modes

    def draft(self, request: Request) -> Draft[Verdict]:
        """Write a request down in the mode that the endpoint understands."""
        question = request.question
        prompt = self._defences.write(question, request.data, request.correction)
        contract = answer_contract(question.items, question.may_abstain, question.quotes)
        parameters = self._modes.parameters(contract.schema, request.max_tokens)
        messages = [
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": prompt.user},
        ]
        mode = self._modes.mode
        return self.drafted(
            messages,
            parameters,
            request,
            mode=mode,
            adapt=partial(self._modes.adapt, parameters),
            read=partial(self._verdict, request, prompt, mode),
        )

    def drafted(
        self,
        messages: Sequence[Mapping[str, Any]],
        parameters: Mapping[str, Any],
        request: Sized,
        *,
        mode: str,
        adapt: Callable[[str | None, str], str | None],
        read: Callable[[Reply], Answer],
    ) -> Draft[Answer]:
        """Messages and parameters as they will be sent, with what they may cost at most."""
        body = orjson.dumps({"model": self._model, "messages": messages, **parameters})
        # Not every mode names the limit to the endpoint in the same words, but all name it.
        most = most_nanos(self._price, len(body), request.max_tokens)
        return Draft(body, most, request.likely_tokens, mode, adapt, read)

    async def send(
        self, draft: Draft[Answer], charge: Charge, record: CallRecord, seconds: float
    ) -> Answer:
        """Send a request and read the answer.

        Args:
            draft: What to ask.
            charge: What is set aside for it; settled when this returns, however it does.
            record: Gets the attempt, its time and its tokens.
            seconds: Time for the whole answer, however slowly it comes.

        Raises:
            Fault: There is no answer; its class says under which policy it falls.
        """
        record.sent += 1
        started = self._clock()
        spent = CallRecord()
        bill = Bill(charge)
        result = "ok"
        try:
            return await self._send(draft, spent, bill, seconds)
        except Fault as fault:
            result = fault.result
            if fault.is_free:
                bill.nanos = 0
            raise
        except asyncio.CancelledError:
            result = "cancelled"
            raise
        finally:
            bill.settle()
            spent.latency_s = self._clock() - started
            spent.attempts = 0 if result == Capacity.result else 1
            record.add(spent)
            if result != "cancelled":
                self._tell(result, spent)

    def _tell(self, result: str, spent: CallRecord) -> None:
        self._emit(
            JudgeCalled(
                self._endpoint,
                self._model,
                result,
                spent.latency_s,
                spent.input_tokens,
                spent.output_tokens,
                spent.cost_usd,
            )
        )

    async def _send(
        self, draft: Draft[Answer], spent: CallRecord, bill: Bill, seconds: float
    ) -> Answer:
        try:
            sent_at = self._clock()
            response = await self._post(draft.body, seconds)
            try:
                reply = self._read(response, spent, bill)
            finally:
                used = spent.input_tokens + spent.output_tokens
                self._told(response.headers, sent_at, draft.likely_tokens - used)
        except Rejected as fault:
            dropped = draft.adapt(fault.param, fault.text)
            if dropped is None:
                raise
            raise Adapted(f"the endpoint does not know {dropped}") from None
        spent.mode = draft.mode
        return draft.read(reply)

    def _verdict(self, request: Request, prompt: Prompt, mode: Mode, reply: Reply) -> Verdict:
        text = _text(reply)
        try:
            verdict = self._defences.read(text, request.question, prompt.receipt, request.data)
        except BadOutput as fault:
            self._modes.answered(mode, valid=fault.reason is not Reason.INVALID_OUTPUT)
            raise
        self._modes.answered(mode, valid=True)
        return _flagged(verdict, request)

    async def _post(self, body: bytes, seconds: float) -> httpx2.Response:
        sent_at = self._clock()
        try:
            # A timeout of the SDK's or of the transport's is one between two reads: an endpoint
            # that drips a byte a second would never meet it.
            async with asyncio.timeout(max(0.0, seconds)):
                with not_traced():
                    return await self._api.complete(body)
        except TimeoutError:
            raise TimedOut(f"no whole answer within {seconds:.3g} s") from None
        except openai.OpenAIError as error:
            if isinstance(error, openai.APIStatusError):
                self._told(error.response.headers, sent_at, 0.0)
            # From None: the SDK's error holds the request, and with it the prompt and the key.
            raise of_error(error) from None
        except (OSError, ValueError, *_HTTP_ERRORS) as error:
            # What the SDK does not translate, such as a key that no header can hold.
            why = f"the request could not be sent ({type(error).__name__})"
            raise EndpointFault(why) from None

    def _read(self, response: httpx2.Response, spent: CallRecord, bill: Bill) -> Reply:
        try:
            body = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            raise EndpointFault("the endpoint answered with what is no JSON") from None
        error = body.get("error") if isinstance(body, dict) else None
        if isinstance(error, dict):
            # Some gateways answer 200 and put the status inside.
            code = error.get("code")
            status = code if isinstance(code, int) and code >= _MIN_ERROR_STATUS else 500
            raise of_status(status, response.headers, body)
        choices = body.get("choices") if isinstance(body, dict) else None
        choice = choices[0] if isinstance(choices, list) and choices else None
        message = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(choice, dict) or not isinstance(message, dict):
            raise EndpointFault("the endpoint answered with what is no chat completion")
        model = body.get("model")
        answered = model if isinstance(model, str) else None
        reply = Reply(message, str(choice.get("finish_reason")), answered, body)
        self._count(body.get("usage"), reply, spent)
        if spent.cost_usd is not None:
            bill.nanos = nanos_of(spent.cost_usd)
        return reply

    def _count(self, usage: Any, reply: Reply, spent: CallRecord) -> None:
        spent.model_answered = None if reply.model is None else redact(reply.model)[:_NAME_CHARS]
        if not isinstance(usage, dict):
            spent.cost_usd = None
            return
        details = usage.get("prompt_tokens_details")
        cached = int_or_none(details.get("cached_tokens")) if isinstance(details, dict) else None
        spent.input_tokens = int_or_none(usage.get("prompt_tokens")) or 0
        spent.output_tokens = int_or_none(usage.get("completion_tokens")) or 0
        spent.cost_usd = self._price.cost_usd(
            spent.input_tokens,
            spent.output_tokens,
            cached_tokens=cached or 0,
            model_answered=reply.model,
        )


def check_whole(reply: Reply) -> None:
    """See that the judge said all that it wanted to.

    Raises:
        BadOutput: It refused, or was cut off.
    """
    if reply.finish_reason == "content_filter":
        why = "the provider's content filter cut the answer off"
        raise BadOutput(Reason.FILTERED, why, is_final=True)
    if reply.message.get("refusal"):
        raise BadOutput(Reason.REFUSED, "the judge refused to answer", is_final=True)
    if reply.finish_reason == "length":
        raise BadOutput(Reason.OUTPUT_TRUNCATED, "the answer was cut at the token limit")


def _text(reply: Reply) -> str:
    """The answer's text, wherever the endpoint put it."""
    check_whole(reply)
    message = reply.message
    calls = message.get("tool_calls")
    if isinstance(calls, list) and calls:
        if len(calls) > 1:
            raise BadOutput(Reason.INVALID_OUTPUT, "the answer calls more than one tool")
        function = calls[0].get("function") if isinstance(calls[0], dict) else None
        arguments = function.get("arguments") if isinstance(function, dict) else None
        if isinstance(arguments, str):
            return arguments
    # Servers with a reasoning parser at times put the whole answer into the reasoning.
    for name in ("content", "reasoning", "reasoning_content"):
        text = message.get(name)
        if isinstance(text, str) and text.strip():
            return text
    return ""


def _flagged(verdict: Verdict, request: Request) -> Verdict:
    if not request.truncated and not request.injection_suspected:
        return verdict
    return Verdict(
        answers=verdict.answers,
        reason=verdict.reason,
        severities=verdict.severities,
        abstained=verdict.abstained,
        injection_suspected=request.injection_suspected,
        truncated=request.truncated,
    )


@contextmanager
def not_traced() -> Iterator[None]:
    """No instrumentation in this process may record the call: it would come back as a span."""
    suppressed = context.get_current()
    for key in _SUPPRESSED:
        suppressed = context.set_value(key, True, suppressed)
    token = context.attach(suppressed)
    try:
        yield
    finally:
        context.detach(token)
