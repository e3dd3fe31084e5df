"""The whole way, in real time: a quality drop of an application becomes a page.

OpenTelemetry SDK, collector, Kafka, three workers with a judge, Prometheus with the generated
rules, Alertmanager, webhook. The outcomes also go back to the collector as spans.
"""

import json
import random
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

pytestmark = [pytest.mark.stack, pytest.mark.kafka, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
EVALUATOR = "answer_relevance"
DROPPING = tuple(f"worse-{index}" for index in range(5))
HEALTHY = tuple(f"steady-{index}" for index in range(5))
RATE_PER_S = 1.0
"""Calls of each service: 60 scores a minute."""
GOOD, BAD = 0.95, 0.75
HEALTHY_S = 45
BOUND_S = 180
WORKERS = 3
SCRAPE_S = 15
HISTORY_HOURS = 27


@dataclass
class Traffic:
    """Applications that answer once a second each, some of them worse after a while."""

    endpoint: str
    pass_rates: dict[str, float]
    sent: Counter[str] = field(default_factory=Counter)

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
            answer = "It has been shipped." if is_good else "This is IRRELEVANT."
            for side, role, text in (
                ("input", "user", "Where is my order?"),
                ("output", "assistant", answer),
            ):
                said = {"role": role, "parts": [{"type": "text", "content": text}]}
                span.set_attribute(f"gen_ai.{side}.messages", json.dumps([said]))
        self.sent[service] += 1

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End it, and export what is left."""
        self._stop.set()
        self._thread.join(10)
        for provider in self._providers.values():
            provider.shutdown()

    def _run(self) -> None:
        while not self._stop.wait(1 / RATE_PER_S):
            for service in self.pass_rates:
                self.call(service)

    def _provider(self, service: str) -> TracerProvider:
        resource = Resource({"service.name": service, "deployment.environment.name": "production"})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{self.endpoint}/v1/traces", timeout=10)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=500))
        return provider
