"""Applications that are instrumented with the OpenTelemetry SDK and export over OTLP/HTTP."""

import json
import random
import threading
import time
from dataclasses import dataclass, field

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import format_trace_id


@dataclass
class Traffic:
    """Calls of several services, at a steady rate each.

    Attributes:
        endpoint: Base address of the collector.
        pass_rates: How many answers of each service are good; may be changed at any time.
        per_minute: Calls of each service.
        traces: Ids of what was recorded.
    """

    endpoint: str
    pass_rates: dict[str, float]
    per_minute: float
    traces: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = random.Random(20261124)  # noqa: S311  made-up traffic
        self._stop = threading.Event()
        self._providers = {name: self._provider(name) for name in self.pass_rates}
        self._thread = threading.Thread(target=self._run)

    def call(self, service: str) -> None:
        """Record one LLM call, good or bad by chance."""
        is_good = self._rng.random() < self.pass_rates[service]
        tracer = self._providers[service].get_tracer("opentelemetry.instrumentation.openai_v2")
        with tracer.start_as_current_span("chat gpt-5-mini") as span:
            span.set_attribute("gen_ai.operation.name", "chat")
            span.set_attribute("gen_ai.request.model", "gpt-5-mini")
            answer = "It has been shipped." if is_good else "A BAD answer."
            for side, role, text in (
                ("input", "user", "Where is my order?"),
                ("output", "assistant", answer),
            ):
                said = {"role": role, "parts": [{"type": "text", "content": text}]}
                span.set_attribute(f"gen_ai.{side}.messages", json.dumps([said]))
            self.traces.append(format_trace_id(span.get_span_context().trace_id))

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it, and export what is left."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(10)
        for provider in self._providers.values():
            provider.shutdown()

    def _run(self) -> None:
        begin, rounds = time.monotonic(), 1
        while not self._stop.wait(begin + rounds * 60 / self.per_minute - time.monotonic()):
            rounds += 1
            for service in self.pass_rates:
                self.call(service)

    def _provider(self, service: str) -> TracerProvider:
        resource = Resource({"service.name": service, "deployment.environment.name": "production"})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{self.endpoint}/v1/traces", timeout=10)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
        return provider
