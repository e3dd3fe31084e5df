"""One request to a judge and its answer: send, classify what went wrong, read what came."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
import orjson
from opentelemetry import context

from evaluators.contract import Question, Verdict
from evaluators.redact import redact
from schemas.events import Emit, JudgeCalled
from schemas.reasons import Reason

from .budget import Bill, Charge, most_nanos, nanos_of
from .clean import clean, cut
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
from .injection import looks_injected
from .modes import Mode, Modes
from .price import Price
from .prompt import Prompt
from .transport import JudgeApi, trace_headers
from .verdict import answer_contract

_PATH = "/chat/completions"
_MIN_ERROR_STATUS = 300
_TEMPLATE_CHARS = 3000
"""About what each prompt has besides the rubric and the judged text."""
_NAME_CHARS = 256
_CHARS_PER_TOKEN = 4.0
_HTTP_ERRORS = (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError)
_SUPPRESSED = (
    # What the SDK of OpenTelemetry, and instrumentations of LLM clients, look at.
    context._SUPPRESS_INSTRUMENTATION_KEY,  # noqa: SLF001  there is no public name
    context._SUPPRESS_HTTP_INSTRUMENTATION_KEY,  # noqa: SLF001
    "suppress_instrumentation",
    "suppress_language_model_instrumentation",
)


@dataclass(slots=True)
class Request:
    """A question made ready: its data cleaned, cut and looked through once."""

    question: Question
    data: Mapping[str, str]
    truncated: bool
    injection_suspected: bool
    max_tokens: int
    correction: str = ""
    is_extended: bool = False

    @classmethod
    def of(
        cls,
        question: Question,
        max_tokens: int,
        text_chars: int,
        cleaner: Callable[[str], str] = clean,
    ) -> "Request":
        """Make a question ready; its texts together are cut to `text_chars`."""
        cleaned = {name: cleaner(text) for name, text in question.data.items()}
        data, truncated = cut(cleaned, text_chars)
        return cls(question, data, truncated, looks_injected(question.data), max_tokens)

    @property
    def likely_tokens(self) -> float:
        """What an endpoint counts against a token limit: about the prompt, and all the answer."""
        question = self.question
        ours = len(question.instructions) + sum(map(len, question.examples))
        chars = _TEMPLATE_CHARS + ours + sum(map(len, self.data.values()))
        return chars / _CHARS_PER_TOKEN + self.max_tokens

    def extend(self) -> bool:
        """Allow twice the tokens; False where that was done before."""
        if self.is_extended:
            return False
        self.is_extended = True
        self.max_tokens *= 2
        return True

    def correct(self, why: str) -> bool:
        """Tell the judge what was wrong with its answer; False where that was done before."""
        if self.correction:
            return False
        self.correction = why
        return True


@dataclass(frozen=True, slots=True)
class Draft:
    """A request as it will be sent.

    Attributes:
        most_nanos: What it may cost at most, in billionths of a US dollar.
    """

    request: Request
    mode: Mode
    prompt: Prompt
    parameters: Mapping[str, Any]
    body: bytes
    most_nanos: int


@dataclass(frozen=True, slots=True)
class _Reply:
    """What matters of a chat completion."""

    message: Mapping[str, Any]
    finish_reason: str
    model: str | None


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

    def draft(self, request: Request) -> Draft:
        """Write a request down in the mode that the endpoint understands."""
        question = request.question
        prompt = self._defences.write(question, request.data, request.correction)
        contract = answer_contract(question.items, question.may_abstain, question.quotes)
        parameters = self._modes.parameters(contract.schema, request.max_tokens)
        messages = [
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": prompt.user},
        ]
        body = orjson.dumps({"model": self._model, "messages": messages, **parameters})
        # Not every mode names the limit to the endpoint in the same words, but all name it.
        most = most_nanos(self._price, len(body), request.max_tokens)
        return Draft(request, self._modes.mode, prompt, parameters, body, most)

    async def send(
        self, draft: Draft, charge: Charge, record: CallRecord, seconds: float
    ) -> Verdict:
        """Send a request and read the verdict.

        Args:
            draft: What to ask.
            charge: What is set aside for it; settled when this returns, however it does.
            record: Gets the attempt, its time and its tokens.
            seconds: Time for the whole answer, however slowly it comes.

        Raises:
            Fault: There is no verdict; its class says under which policy it falls.
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

    async def _send(self, draft: Draft, spent: CallRecord, bill: Bill, seconds: float) -> Verdict:
        mode, request = draft.mode, draft.request
        try:
            sent_at = self._clock()
            response = await self._post(draft.body, seconds)
            try:
                reply = self._read(response, spent, bill)
            finally:
                used = spent.input_tokens + spent.output_tokens
                self._told(response.headers, sent_at, request.likely_tokens - used)
        except Rejected as fault:
            dropped = self._modes.adapt(draft.parameters, fault.param, fault.text)
            if dropped is None:
                raise
            raise Adapted(f"the endpoint does not know {dropped}") from None
        spent.mode = mode.value
        text = _text(reply)
        try:
            verdict = self._defences.read(
                text, request.question, draft.prompt.receipt, request.data
            )
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
                with _not_traced():
                    return await self._api.post(
                        _PATH,
                        cast_to=httpx2.Response,
                        content=body,
                        options={"headers": trace_headers()},
                    )
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

    def _read(self, response: httpx2.Response, spent: CallRecord, bill: Bill) -> _Reply:
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
        reply = _Reply(
            message, str(choice.get("finish_reason")), model if isinstance(model, str) else None
        )
        self._count(body.get("usage"), reply, spent)
        if spent.cost_usd is not None:
            bill.nanos = nanos_of(spent.cost_usd)
        return reply

    def _count(self, usage: Any, reply: _Reply, spent: CallRecord) -> None:
        spent.model_answered = None if reply.model is None else redact(reply.model)[:_NAME_CHARS]
        if not isinstance(usage, dict):
            spent.cost_usd = None
            return
        details = usage.get("prompt_tokens_details")
        cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else 0
        spent.input_tokens = _count(usage.get("prompt_tokens"))
        spent.output_tokens = _count(usage.get("completion_tokens"))
        spent.cost_usd = self._price.cost_usd(
            spent.input_tokens,
            spent.output_tokens,
            cached_tokens=cached,
            model_answered=reply.model,
        )


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _text(reply: _Reply) -> str:
    """The answer's text, wherever the endpoint put it."""
    message = reply.message
    if reply.finish_reason == "content_filter":
        why = "the provider's content filter cut the answer off"
        raise BadOutput(Reason.FILTERED, why, is_final=True)
    if message.get("refusal"):
        raise BadOutput(Reason.REFUSED, "the judge refused to answer", is_final=True)
    if reply.finish_reason == "length":
        raise BadOutput(Reason.OUTPUT_TRUNCATED, "the answer was cut at the token limit")
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
def _not_traced() -> Iterator[None]:
    """No instrumentation in this process may record the call: it would come back as a span."""
    suppressed = context.get_current()
    for key in _SUPPRESSED:
        suppressed = context.set_value(key, True, suppressed)
    token = context.attach(suppressed)
    try:
        yield
    finally:
        context.detach(token)
