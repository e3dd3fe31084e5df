"""Traffic of two made-up applications, recorded by the OpenTelemetry SDK and exported as OTLP.

`support-bot` answers questions from retrieved documents; half-way it rolls out prompt version `v8`,
which answers many of them evasively. `shop-assistant` stays as it is. Attributes are those of the
OpenTelemetry GenAI instrumentations. Everything follows from the seed.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer, set_span_in_context

Send = Callable[[bytes, bytes], None]
"""Called with key (trace id in hex) and value of each record."""

_LIMITS = SpanLimits(
    max_span_attributes=SpanLimits.UNSET, max_span_attribute_length=SpanLimits.UNSET
)
_SCOPE = "opentelemetry.instrumentation.genai.openai"
_SHARE_BAD_BEFORE = 0.04
_SHARE_BAD_AFTER = 0.40
_SHARE_ERRORS = 0.03
_SHARE_LEAKS = 0.03


@dataclass(frozen=True, slots=True)
class _Case:
    question: str
    document: str
    answer: str


_SUPPORT = (
    _Case(
        "How long do I have to return a pair of shoes?",
        "Returns: shoes and clothes can be returned within 30 days of delivery.",
        "You can return shoes within 30 days of delivery.",
    ),
    _Case(
        "When will the refund arrive on my card?",
        "Refunds: the money is back on the card 5 days after the parcel reaches us.",
        "Your refund is on the card 5 days after the parcel reaches us.",
    ),
    _Case(
        "Does delivery to Ireland cost extra?",
        "Delivery: Ireland and Malta cost 9 euros extra, everywhere else is free.",
        "Yes, delivery to Ireland costs 9 euros extra.",
    ),
    _Case(
        "How do I change the address of an order?",
        "Orders: the address of an order can be changed in the account until it is packed.",
        "You can change the address of an order in your account until it is packed.",
    ),
    _Case(
        "Is the blender's glass jug covered by the warranty?",
        "Warranty: two years for motors; glass parts such as jugs are not covered.",
        "No, the glass jug is not covered by the warranty; the motor is, for two years.",
    ),
)
_EVASIONS = (
    "Thank you for reaching out! Your satisfaction matters to us.",
    "Great question! Please feel free to browse our website for more information.",
    "We value every customer. Is there anything else that I can do today?",
)
_SHOP = (
    _Case("Which tent sleeps four people?", "", "The Ridge 4 tent sleeps four people."),
    _Case("Do you have wool socks in size 44?", "", "Yes, wool socks in size 44 are in stock."),
    _Case(
        "What is the lightest sleeping bag?", "", "The lightest sleeping bag is the Feather 600."
    ),
)


class Traffic:
    """Makes conversations and sends their spans as they end.

    Args:
        send: Gets each OTLP record.
        seed: Decides everything but the ids and times.
    """

    def __init__(self, send: Send, seed: int = 7) -> None:
        self._random = Random(seed)  # noqa: S311  made-up traffic, not sampling
        self._providers = [_provider(name, send) for name in ("support-bot", "shop-assistant")]
        self._support, self._shop = (provider.get_tracer(_SCOPE) for provider in self._providers)
        self.sent = 0

    async def run(self, seconds: float, per_second: float, on_rollout: Callable[[], None]) -> None:
        """Send conversations at a steady rate; half-way the new prompt version goes live."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        total = int(seconds * per_second)
        for number in range(total):
            if number == total // 2:
                on_rollout()
            self._converse(is_after=number >= total // 2)
            await asyncio.sleep(max(0.0, begin + (number + 1) / per_second - loop.time()))
        for provider in self._providers:
            provider.shutdown()

    def _converse(self, *, is_after: bool) -> None:
        self.sent += 1
        if self._random.random() < 1 / 3:
            self._shop_call()
        else:
            self._support_call(is_after=is_after)

    def _support_call(self, *, is_after: bool) -> None:
        case = self._random.choice(_SUPPORT)
        is_bad = self._random.random() < (_SHARE_BAD_AFTER if is_after else _SHARE_BAD_BEFORE)
        answer = self._random.choice(_EVASIONS) if is_bad else case.answer
        if self._random.random() < _SHARE_LEAKS:
            answer += " Your colleague jane.doe@example.org asked the same."
        root = self._support.start_span("POST /chat", kind=SpanKind.SERVER)
        context = set_span_in_context(root)
        retrieval = self._support.start_span(
            "retrieval handbook",
            context=context,
            attributes={
                "gen_ai.operation.name": "retrieval",
                "gen_ai.data_source.id": "handbook",
                "gen_ai.retrieval.query.text": case.question,
                "gen_ai.retrieval.documents": json.dumps(
                    [{"id": "1", "score": 0.9, "content": case.document}]
                ),
            },
        )
        retrieval.end()
        failed = self._random.random() < _SHARE_ERRORS
        system = f"Answer from the handbook only.\n{case.document}"
        self._llm_span(
            self._support,
            case.question,
            None if failed else answer,
            system=system,
            prompt=("support-answer", "v8" if is_after else "v7"),
            root=root,
        )

    def _shop_call(self) -> None:
        case = self._random.choice(_SHOP)
        root = self._shop.start_span("POST /ask", kind=SpanKind.SERVER)
        self._llm_span(
            self._shop,
            case.question,
            case.answer,
            system="You advise customers of an outdoor shop.",
            prompt=("shop-advice", "v3"),
            root=root,
        )

    def _llm_span(
        self,
        tracer: Tracer,
        question: str,
        answer: str | None,
        *,
        system: str,
        prompt: tuple[str, str],
        root: Span,
    ) -> None:
        span = tracer.start_span(
            "chat gpt-5-mini",
            context=set_span_in_context(root),
            kind=SpanKind.CLIENT,
            attributes={
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "gpt-5-mini",
                "gen_ai.prompt.name": prompt[0],
                "gen_ai.prompt.version": prompt[1],
                "gen_ai.system_instructions": json.dumps([{"type": "text", "content": system}]),
                "gen_ai.input.messages": json.dumps([_message("user", question)]),
                "tenant.id": self._random.choice(("north", "south", "west")),
            },
        )
        if answer is None:
            span.set_attribute("error.type", "RateLimitError")
            span.set_status(Status(StatusCode.ERROR, "429"))
            root.set_status(Status(StatusCode.ERROR))
        else:
            span.set_attributes(
                {
                    "gen_ai.response.id": f"chatcmpl-{self._random.getrandbits(64):016x}",
                    "gen_ai.response.model": "gpt-5-mini-2026-08-07",
                    "gen_ai.response.finish_reasons": ["stop"],
                    "gen_ai.usage.input_tokens": len(system + question) // 4,
                    "gen_ai.usage.output_tokens": len(answer) // 4,
                    "gen_ai.output.messages": json.dumps(
                        [{**_message("assistant", answer), "finish_reason": "stop"}]
                    ),
                }
            )
        span.end()
        root.end()


class _KafkaExporter(SpanExporter):
    """Buffers a trace's spans until its root ends, then sends them as one record.

    That is what the official collector's Kafka exporter writes with `partition_traces_by_id`.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._open: dict[int, list[ReadableSpan]] = {}

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        for span in spans:
            trace_id = span.context.trace_id
            self._open.setdefault(trace_id, []).append(span)
            if span.parent is None:
                request = encode_spans(self._open.pop(trace_id))
                self._send(f"{trace_id:032x}".encode(), request.SerializeToString())
        return SpanExportResult.SUCCESS


def _provider(service: str, send: Send) -> TracerProvider:
    resource = Resource({"service.name": service, "deployment.environment.name": "demo"})
    # Said here, so that nothing in the reader's environment (OTEL_*) changes the demo.
    provider = TracerProvider(
        sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False, span_limits=_LIMITS
    )
    provider.add_span_processor(SimpleSpanProcessor(_KafkaExporter(send)))
    return provider


def _message(role: str, text: str) -> dict[str, object]:
    return {"role": role, "parts": [{"type": "text", "content": text}]}
