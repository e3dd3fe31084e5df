"""Small, valid values of the schemas, each field overridable: for tests that need just one."""

from dataclasses import replace
from typing import Any

from schemas.config import Config
from schemas.outcome import (
    EvaluatorKind,
    EvaluatorRef,
    Flags,
    JudgeRecord,
    Origin,
    Outcome,
    Sampling,
    ScoreRecord,
    Source,
    SubjectRecord,
)
from schemas.reasons import Reason, Status
from schemas.span import Span, SpanKind, Usage

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
_START = 1_790_000_000_000_000_000
_END = _START + 2_000_000_000


def span(**fields: Any) -> Span:
    """An LLM span of service `support-bot` that took two seconds."""
    known: dict[str, Any] = {
        "trace_id": TRACE_ID,
        "span_id": "00f067aa0ba902b7",
        "parent_span_id": None,
        "name": "chat gpt-5-mini",
        "kind": SpanKind.LLM,
        "convention": "gen_ai",
        "scope": "test",
        "start_unix_nano": _START,
        "end_unix_nano": _END,
        "service": "support-bot",
        "output_text": "An answer.",
    }
    return Span(**(known | fields))


def usage(**fields: Any) -> Usage:
    """The usage of a call of gpt-5-mini with 1,000 input and 100 output tokens."""
    known: dict[str, Any] = {
        "trace_id": TRACE_ID,
        "span_id": "00f067aa0ba902b7",
        "parent_span_id": None,
        "service": "support-bot",
        "environment": "production",
        "provider": "openai",
        "request_model": "gpt-5-mini",
        "response_model": None,
        "response_id": None,
        "input_tokens": 1000,
        "output_tokens": 100,
        "cached_input_tokens": None,
        "cache_creation_input_tokens": None,
        "reasoning_tokens": None,
        "cost_usd": None,
        "prompt_name": None,
        "prompt_version": None,
        "start_unix_nano": _START,
        "end_unix_nano": _END,
    }
    return Usage(**(known | fields))


def outcome(
    value: float | None = 1.0,
    *,
    probability: float = 1.0,
    evaluator: str = "toxicity",
    reason: Reason | None = None,
    critical: bool = False,
    model_answered: str | None = None,
    degraded: bool = False,
    service: str | None = "support-bot",
    prompt_version: str | None = "v1",
    **fields: Any,
) -> Outcome:
    """A score of 1.0 that passed; with `reason`, no score but that. A score below 0.5 fails."""
    score = None
    if value is not None and reason is None:
        score = ScoreRecord(value, None, value >= 0.5, None, {}, critical=critical)
    judge = None
    if model_answered is not None:
        judge = JudgeRecord("gpt-5-mini", model_answered, 10, 5, 0.001, 1, 0.4)
    known = Outcome(
        evaluation_id="0" * 32,
        outcome=Status.SCORED if reason is None else reason.status,
        reason=reason,
        detail=None,
        trace_id=TRACE_ID,
        span_id="00f067aa0ba902b7",
        evaluator=EvaluatorRef(evaluator, "1.0", EvaluatorKind.JUDGE, "abcdef0123456789"),
        score=score,
        judge=judge,
        sampling=Sampling(("support",), probability),
        subject=SubjectRecord(
            service=service,
            environment="production",
            kind="llm",
            model="gpt-5-mini",
            response_model=None,
            prompt_name=None,
            prompt_version=prompt_version,
            tenant=None,
            operation="chat",
            session_id=None,
            response_id=None,
            start_unix_nano=_START,
            duration_s=2.0,
            input_tokens=None,
            output_tokens=None,
            cost_usd=None,
            convention="gen_ai",
            error=False,
        ),
        sources=(Source("otlp_spans", 0, 7),),
        origin=Origin.LIVE,
        flags=Flags(degraded=degraded),
        evaluated_at="2026-11-01T00:00:00.000Z",
    )
    return replace(known, **fields)


def config(**sections: Any) -> Config:
    """The smallest config: one route, `support`, with the evaluators toxicity and pii."""
    known: dict[str, Any] = {
        "kafka": {"bootstrap_servers": "127.0.0.1:9092", "spans": ["otlp_spans"]},
        "routes": [
            {"name": "support", "when": "span.error", "evaluators": ["toxicity", "pii"]},
        ],
    }
    return Config.model_validate(known | sections)
