"""What reading spans costs, as a ratio to parsing each message in full.

Run it by `python bench/decode.py`; the figures of one run compare, those of two machines do not.
Exits with 1 where a bound does not hold.
"""

import itertools
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

from schemas.conventions import MARKERS, USAGE_KEYS, normalise, usage
from schemas.limits import Limits
from schemas.otlp import Encoding, Plan, decode
from schemas.span import SpanKind
from workers.intake import read_spans

CAPTURES = Path(__file__).parent.parent / "tests" / "data" / "spans"
MESSAGES = 100
LLM_SPANS = 20
LLM_SERVICES = 5
OTHER_SPANS = 80
ROUNDS = 25
SAMPLE = 0.05
GROUP_KEYS = ("tenant.id",)

LIMITS = Limits()
THRESHOLD = round((1 - SAMPLE) * 2**56)
KEYS = USAGE_KEYS.union(GROUP_KEYS)
SAMPLED = Plan(threshold=THRESHOLD, markers=MARKERS, usage_keys=KEYS)
COUNT_ALL = Plan(threshold=THRESHOLD, usage=True, markers=MARKERS, usage_keys=KEYS)
EVERYTHING = Plan(markers=MARKERS, usage_keys=KEYS)


class Way(NamedTuple):
    """One way to read a message."""

    name: str
    read: Callable[[bytes], object]
    bound: float | None
    """The least ratio to the first way that we promise."""


def parse_all(value: bytes) -> list[dict[str, Any]]:
    """The baseline, which everyone writes: parse, then a dict of attributes for each span."""
    request = ExportTraceServiceRequest.FromString(value)
    return [
        {pair.key: _python(pair.value) for pair in span.attributes}
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def read_sampled(value: bytes) -> object:
    """`cost: {count: sampled}`: up to the normalised span of each kept one."""
    return [normalise(raw) for raw in decode(value, Encoding.AUTO, LIMITS, SAMPLED).spans]


def read_for_routes(value: bytes) -> object:
    """The same, and what a worker asks before its routes decide: copies of calls, and our own."""
    return read_spans(decode(value, Encoding.AUTO, LIMITS, SAMPLED))


def read_usage(value: bytes) -> object:
    """`cost: {count: all}`: the same, and the usage of every other LLM call."""
    decoded = decode(value, Encoding.AUTO, LIMITS, COUNT_ALL)
    spans = [normalise(raw) for raw in decoded.spans]
    return spans, [usage(raw, GROUP_KEYS) for raw in decoded.light]


def read_everything(value: bytes) -> object:
    """A route that keeps all, such as errors at 1.0: every LLM span is normalised."""
    return [normalise(raw) for raw in decode(value, Encoding.AUTO, LIMITS, EVERYTHING).spans]


WAYS = (
    Way("parse all, dict of attributes", parse_all, None),
    Way("cost: sampled, one route at 5 %", read_sampled, 12),
    Way("the same, own calls, copies told", read_for_routes, None),
    Way("cost: all, one route at 5 %", read_usage, 2),
    Way("a route that keeps all", read_everything, None),
)


def _python(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_python(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return {pair.key: _python(pair.value) for pair in value.kvlist_value.values}
    return getattr(value, kind) if kind else None


def llm_scopes(
    captures: list[ExportTraceServiceRequest],
) -> Iterator[tuple[Resource, ScopeSpans]]:
    """The resource, and the scope with nothing but its LLM spans, of every captured scope."""
    for capture in captures:
        found = decode(capture.SerializeToString(), Encoding.OTLP_PROTO, LIMITS, EVERYTHING).spans
        calls = {raw.span_id for raw in found if normalise(raw).kind is SpanKind.LLM}
        for resource_spans in capture.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                spans = [span for span in scope_spans.spans if span.span_id.hex() in calls]
                if spans:
                    yield resource_spans.resource, ScopeSpans(scope=scope_spans.scope, spans=spans)


def services(files: list[Path]) -> list[list[tuple[Resource, ScopeSpans]]]:
    """The LLM spans of the captures: a service for each library."""
    libraries: dict[str, list[ExportTraceServiceRequest]] = {}
    for path in files:
        capture = ExportTraceServiceRequest.FromString(path.read_bytes())
        libraries.setdefault(path.parent.name, []).append(capture)
    scopes = (list(llm_scopes(captures)) for captures in libraries.values())
    return [found for found in scopes if found]


def make_messages(
    rng: random.Random, available: list[list[tuple[Resource, ScopeSpans]]]
) -> list[bytes]:
    """Collector's batches of 20 traces: in each an LLM span, and four of a web shop.

    The randomness of the traces is stratified, so that exactly the sampled share of them is kept.
    """
    count = MESSAGES * LLM_SPANS
    strata = [int((index + rng.random()) * 2**56 / count) for index in range(count)]
    rng.shuffle(strata)
    trace_ids = [rng.randbytes(9) + stratum.to_bytes(7, "big") for stratum in strata]
    return [
        _message(rng, available, trace_ids[start : start + LLM_SPANS])
        for start in range(0, count, LLM_SPANS)
    ]


def _message(
    rng: random.Random, available: list[list[tuple[Resource, ScopeSpans]]], trace_ids: list[bytes]
) -> bytes:
    request = ExportTraceServiceRequest()
    llm_traces = iter(trace_ids)
    for scopes in rng.sample(available, LLM_SERVICES):
        resource_spans = request.resource_spans.add(resource=scopes[0][0])
        targets: dict[str, ScopeSpans] = {}
        for trace_id in itertools.islice(llm_traces, LLM_SPANS // LLM_SERVICES):
            _, source = rng.choice(scopes)
            if source.scope.name not in targets:
                targets[source.scope.name] = resource_spans.scope_spans.add(scope=source.scope)
            spans = targets[source.scope.name].spans
            spans.add().CopyFrom(rng.choice(source.spans))
            spans[-1].trace_id = trace_id
    resource_spans = request.resource_spans.add(resource=available[0][0][0])
    for library, make in (("asgi", _http_span), ("psycopg", _database_span)):
        target = resource_spans.scope_spans.add()
        target.scope.name = f"opentelemetry.instrumentation.{library}"
        for index in range(OTHER_SPANS // 2):
            target.spans.append(make(rng, trace_ids[index % len(trace_ids)]))
    return request.SerializeToString()


def _http_span(rng: random.Random, trace_id: bytes) -> Span:
    order = rng.randrange(10**6)
    return _span(
        rng,
        trace_id,
        "GET /api/orders/{id}",
        {
            "http.request.method": "GET",
            "http.route": "/api/orders/{id}",
            "http.response.status_code": 200,
            "url.path": f"/api/orders/{order}",
            "url.scheme": "https",
            "server.address": "shop.example",
            "server.port": 443,
            "client.address": f"203.0.113.{order % 250}",
            "network.protocol.version": "1.1",
            "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64) Firefox/145.0",
        },
    )


def _database_span(rng: random.Random, trace_id: bytes) -> Span:
    return _span(
        rng,
        trace_id,
        "SELECT orders",
        {
            "db.system.name": "postgresql",
            "db.namespace": "shop",
            "db.collection.name": "orders",
            "db.operation.name": "SELECT",
            "db.query.text": "SELECT id, customer, total, state FROM orders WHERE customer = %s",
            "server.address": "db-1.shop.example",
            "server.port": 5432,
            "thread.id": rng.randrange(10**9),
            "thread.name": f"worker-{rng.randrange(16)}",
        },
    )


def _span(rng: random.Random, trace_id: bytes, name: str, attributes: dict[str, str | int]) -> Span:
    start = 1_763_000_000_000_000_000 + rng.randrange(10**12)
    span = Span(
        trace_id=trace_id,
        span_id=rng.randbytes(8),
        parent_span_id=rng.randbytes(8),
        flags=0x100,
        name=name,
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start,
        end_time_unix_nano=start + rng.randrange(10**9),
    )
    for key, value in attributes.items():
        made = AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value)
        span.attributes.append(KeyValue(key=key, value=made))
    return span


def measure(messages: list[bytes]) -> dict[str, float]:
    """Seconds for all messages by way, of each message the least of all rounds; ways take turns.

    What else the machine does only adds to a time, so the least is what reading costs.
    """
    least = {way.name: [float("inf")] * len(messages) for way in WAYS}
    for _ in range(ROUNDS):
        for way in WAYS:
            times = least[way.name]
            for index, value in enumerate(messages):
                start = time.perf_counter()
                way.read(value)
                times[index] = min(times[index], time.perf_counter() - start)
    return {name: sum(times) for name, times in least.items()}


def main() -> int:
    """Print the table; 1 where a bound does not hold."""
    rng = random.Random(10)  # noqa: S311  a benchmark that can be repeated
    files = sorted(CAPTURES.glob("*/*.pb"))
    available = services(files)
    messages = make_messages(rng, available)
    kept = sum(len(decode(value, Encoding.AUTO, LIMITS, SAMPLED).spans) for value in messages)
    size = statistics.mean(map(len, messages))
    print(
        f"{MESSAGES} messages of {LLM_SPANS + OTHER_SPANS} spans, {size / 1000:.0f} kB; "
        f"{LLM_SPANS} % LLM spans from {len(files)} captures of {len(available)} libraries, "
        f"{kept / MESSAGES / LLM_SPANS:.1%} of these kept; "
        f"{len(MARKERS)} markers; the least of {ROUNDS} alternating rounds for each message"
    )
    seconds = measure(messages)
    failed = False
    print(f"{'':<34}{'spans/s':>12}{'ratio':>8}{'bound':>8}")
    for way in WAYS:
        rate = MESSAGES * (LLM_SPANS + OTHER_SPANS) / seconds[way.name]
        ratio = seconds[WAYS[0].name] / seconds[way.name]
        bound = "" if way.bound is None else f"≥ {way.bound:g}"
        print(f"{way.name:<34}{rate:>12,.0f}{ratio:>8.1f}{bound:>8}")
        failed |= way.bound is not None and ratio < way.bound
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
