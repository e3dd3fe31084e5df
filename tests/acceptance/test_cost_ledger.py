"""What LLM calls cost: the worker's totals equal the ledger of whoever made the calls."""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import genai_prices
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families
from support.spans import Attribute, KeyedMessage, llm_span, message, plain_span, produce
from support.workers import DEAD, SCORES, SPANS, WorkerProcess, config_yaml, until, worker_process

from workers.demo.broker import MockCluster

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

CALLS = 10_000
MODELS = (
    ("openai", "gpt-5-mini"),
    ("openai", "gpt-4o"),
    ("anthropic", "claude-sonnet-4-5"),
    ("acme", "our-own-model"),
)
"""The last is on no price list."""
TENANTS = ("northwind", "contoso", "fabrikam")
CENT = Decimal("0.005")
"""Totals that differ by less are equal to the cent."""


@dataclass
class Ledger:
    """What was called, by model and tenant; each call once.

    Attributes:
        calls: Calls, failed ones too.
        usd: Their cost.
        priced: Those that have a price.
        unpriced: Those that ended well and have none.
        tokens: Tokens by model, tenant and type.
    """

    calls: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    usd: dict[tuple[str, str], Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    priced: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    unpriced: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    tokens: dict[tuple[str, str, str], int] = field(default_factory=lambda: defaultdict(int))


class Traffic:
    """Makes the calls of some applications, and keeps the ledger.

    Libraries record some calls twice, around each other or beside each other, in one message or in
    two; exporters send some messages again; agents repeat the sums of what they called.
    """

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.spans = 0
        self._random = random.Random(11)  # noqa: S311  made-up traffic

    def messages(self) -> Iterator[KeyedMessage]:
        """One message for each trace and batch, keyed by trace."""
        left = CALLS
        while left:
            count = min(left, self._random.randint(1, 4))
            left -= count
            root = plain_span("POST /chat", trace_id=self._random.randbytes(16))
            batch, later = [root], list[Span]()
            if self._random.random() < 0.2:
                batch.append(self._agent(root))
            above = batch[-1]
            for _ in range(count):
                call, *copies = self._call(above)
                batch.append(call)
                for copy in copies:
                    (later if self._random.random() < 0.4 else batch).append(copy)
            key = root.trace_id.hex().encode()
            again = 2 if self._random.random() < 0.05 else 1
            for spans in (batch, later):
                if spans:
                    self.spans += again * len(spans)
                    yield from [(key, message(spans))] * again

    def _agent(self, root: Span) -> Span:
        """An agent's run, with the usage of the calls below it: no call of its own."""
        return llm_span(
            trace_id=root.trace_id,
            parent_span_id=root.span_id,
            attributes={"gen_ai.operation.name": "invoke_agent"},
            input_tokens=9_999,
        )

    def _call(self, parent: Span) -> list[Span]:
        """A call, and after it the copies that a second library makes of it."""
        draw = self._random
        provider, model = MODELS[draw.randrange(len(MODELS))]
        tenant = TENANTS[draw.randrange(len(TENANTS))]
        read, written = draw.randint(200, 60_000), draw.randint(20, 4_000)
        is_error = draw.random() < 0.03
        cached = draw.randrange(read) if draw.random() < 0.4 and not is_error else 0
        attributes: dict[str, Attribute] = {"gen_ai.provider.name": provider, "tenant.id": tenant}
        if cached:
            attributes["gen_ai.usage.cache_read.input_tokens"] = cached
        call = llm_span(
            trace_id=parent.trace_id,
            parent_span_id=parent.span_id,
            model=model,
            input_tokens=read,
            output_tokens=written,
            error_type="timeout" if is_error else None,
            attributes=attributes,
        )
        self._book(provider, (model, tenant), None if is_error else (read, written, cached))
        if is_error or draw.random() > 0.2:
            return [call]
        answered = next(each for each in call.attributes if each.key == "gen_ai.response.id")
        copy = llm_span(
            trace_id=parent.trace_id,
            parent_span_id=parent.span_id,
            model=model,
            input_tokens=read,
            output_tokens=written,
            attributes={**attributes, "gen_ai.response.id": answered.value.string_value},
        )
        return [call, copy]

    def _book(
        self, provider: str, who: tuple[str, str], tokens: tuple[int, int, int] | None
    ) -> None:
        ledger = self.ledger
        ledger.calls[who] += 1
        if tokens is None:
            return
        for kind, count in zip(("input", "output", "cached"), tokens, strict=True):
            ledger.tokens[(*who, kind)] += count
        if provider == MODELS[-1][0]:
            ledger.unpriced[who] += 1
            return
        read, written, cached = tokens
        used = genai_prices.Usage(
            input_tokens=read, output_tokens=written, cache_read_tokens=cached
        )
        listed = genai_prices.calc_price(used, who[0], provider_id=provider)
        ledger.usd[who] += listed.total_price
        ledger.priced[who] += 1


def _by_model_and_tenant(worker: WorkerProcess, name: str) -> dict[tuple[str, ...], float]:
    """A counter's samples that are not zero, by model, tenant and, if there is one, type."""
    found: dict[tuple[str, ...], float] = defaultdict(float)
    for family in text_string_to_metric_families(worker.get("/metrics")[1]):
        for sample in family.samples:
            if sample.name == name and sample.value:
                labels = sample.labels
                kind = (labels["type"],) if "type" in labels else ()
                found[labels["model"], labels["tenant"], *kind] += sample.value
    return dict(found)


def test_totals_equal_the_ledger_to_the_cent(mock_cluster: MockCluster, tmp_path: Path) -> None:
    """10,000 calls on a topic keyed by trace, of which a route samples a twentieth.

    Copies with response ids, messages that were sent again and agents' sums cost nothing; cached
    tokens cost less; failed calls are calls; and a model without a price is counted apart.
    """
    for topic in (SPANS, SCORES, DEAD):
        mock_cluster.create_topic(topic, 4)
    route = {"name": "few", "when": "true", "sample": 0.05, "evaluators": ["pii"]}
    config = config_yaml(
        mock_cluster.bootstrap_servers,
        routes=[route],
        cost={"count": "all", "group_by": {"name": "tenant", "attributes": ["tenant.id"]}},
    )
    traffic = Traffic()
    with worker_process(tmp_path, config) as worker:
        worker.wait_ready(60)
        produce(mock_cluster.bootstrap_servers, SPANS, traffic.messages())
        read = lambda: worker.metric("assay_spans_total") >= traffic.spans  # noqa: E731
        until(read, 120, worker.died)
        calls, usd, priced, unpriced, tokens = (
            _by_model_and_tenant(worker, f"assay_llm_{name}_total")
            for name in ("calls", "cost_usd", "cost_weight", "unpriced_calls", "tokens")
        )
        assert worker.metric("assay_dead_letters_total") == 0
        assert worker.stop() == 0
    ledger = traffic.ledger
    assert traffic.spans > CALLS * 1.5, "roots, agents, copies and what was sent again"
    assert sum(ledger.calls.values()) == CALLS
    assert calls == ledger.calls
    assert priced == ledger.priced
    assert unpriced == ledger.unpriced
    assert tokens == {who: count for who, count in ledger.tokens.items() if count}
    assert usd.keys() == ledger.usd.keys()
    for who, total in ledger.usd.items():
        assert abs(Decimal(usd[who]) - total) < CENT, who
    assert abs(Decimal(sum(usd.values())) - sum(ledger.usd.values())) < CENT
