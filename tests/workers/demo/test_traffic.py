"""The demo's traffic, as Assay reads it."""

from schemas.limits import Limits
from schemas.outcome import Source
from schemas.span import Span, SpanKind
from workers.demo.traffic import Traffic
from workers.offline import read_export

SOURCE = Source("otlp_spans", 0, 0)


async def _record(seconds: float, per_second: float) -> tuple[list[tuple[bytes, list[Span]]], int]:
    records: list[tuple[bytes, list[Span]]] = []
    rollouts: list[int] = []

    def send(key: bytes, value: bytes) -> None:
        records.append((key, list(read_export(value, SOURCE, Limits()).spans)))

    traffic = Traffic(send)
    await traffic.run(seconds, per_second, lambda: rollouts.append(len(records)))
    assert traffic.sent == len(records)
    return records, rollouts[0]


async def test_each_conversation_is_one_record_of_one_trace() -> None:
    """A record holds one trace and has its id as key, as a collector keys by trace."""
    records, rollout = await _record(0.5, 200)
    assert len(records) == 100
    assert rollout == 50
    for key, spans in records:
        assert {span.trace_id for span in spans} == {key.decode()}
        assert sum(span.kind is SpanKind.LLM for span in spans) == 1


async def test_the_rollout_changes_the_version_and_the_answers() -> None:
    """From half-way on support-bot is v8, and answers evasively far more often than v7."""
    records, rollout = await _record(0.5, 600)
    evasive: dict[str | None, list[bool]] = {}
    for index, (_, spans) in enumerate(records):
        call = next(span for span in spans if span.kind is SpanKind.LLM)
        if call.service != "support-bot" or call.error:
            continue
        assert call.prompt_version == ("v8" if index >= rollout else "v7")
        documents = [text for span in spans for text in span.documents]
        shared = set(documents[0].split()) & set((call.output_text or "").split())
        evasive.setdefault(call.prompt_version, []).append(len(shared) < 3)
    shares = {version: sum(found) / len(found) for version, found in evasive.items()}
    assert shares["v7"] < 0.15
    assert shares["v8"] > 0.3


async def test_some_calls_fail_and_some_leak() -> None:
    """The traffic holds errors without an answer, and answers with somebody's address."""
    records, _ = await _record(0.5, 600)
    calls = [span for _, spans in records for span in spans if span.kind is SpanKind.LLM]
    assert any(call.error and call.output_text is None for call in calls)
    assert any("jane.doe@" in (call.output_text or "") for call in calls)
