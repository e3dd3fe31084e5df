"""Outcomes: round trip, the published JSON Schema, and the closed set of reasons."""

import json
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, get_type_hints

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    evaluation_id,
)
from schemas.reasons import Reason, Status

_SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/outcome.schema.json").read_text())
_VALIDATOR = jsonschema_rs.validator_for(_SCHEMA, validate_formats=True)

_EVALUATOR = EvaluatorRef("toxicity", "2", EvaluatorKind.JUDGE, "f00d")
_SCORE = ScoreRecord(
    0.25, "toxic", passed=False, explanation="é", items={"insult": True}, severity=3
)
_SUBJECT = SubjectRecord(
    service="support-bot",
    environment=None,
    kind="llm",
    model="gpt-5-mini",
    response_model=None,
    prompt_name="greeting",
    prompt_version="7",
    tenant="acme",
    operation="chat",
    session_id=None,
    response_id="resp_1",
    start_unix_nano=1_761_955_200_000_000_000,
    duration_s=1.5,
    input_tokens=10,
    output_tokens=None,
    cost_usd=None,
    convention="openinference",
    error=False,
)
_SCORED = Outcome(
    evaluation_id=evaluation_id("ab" * 16, "cd" * 8, _EVALUATOR),
    outcome=Status.SCORED,
    reason=None,
    detail=None,
    trace_id="ab" * 16,
    span_id="cd" * 8,
    evaluator=_EVALUATOR,
    score=_SCORE,
    judge=JudgeRecord("gpt-5-mini", "gpt-5-mini-2026", 900, 40, 0.0003, 1, 0.8, "json_schema", 1.0),
    sampling=Sampling(("support", "errors"), 0.05),
    subject=_SUBJECT,
    sources=(Source("otlp_spans", 3, 42),),
    origin=Origin.LIVE,
    flags=Flags(truncated=True),
    evaluated_at="2026-11-01T00:00:00.000Z",
    evaluation_s=0.9,
)


def _ended(reason: Reason) -> Outcome:
    return replace(
        _SCORED, outcome=reason.status, reason=reason, detail="why", score=None, judge=None
    )


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_SHARE = st.floats(0, 1)
_OUTCOMES = st.builds(
    replace,
    st.just(_SCORED),
    score=st.builds(
        ScoreRecord,
        value=_SHARE,
        label=st.none() | _TEXT,
        passed=st.none() | st.booleans(),
        explanation=st.none() | _TEXT,
        items=st.dictionaries(_TEXT, st.booleans() | st.integers(0, 9) | _TEXT, max_size=3),
        severity=st.none() | st.integers(0, 5),
    ),
    sampling=st.builds(
        Sampling, st.lists(_TEXT, max_size=3).map(tuple), st.floats(0, 1, exclude_min=True)
    ),
    sources=st.lists(
        st.builds(Source, _TEXT, st.integers(0, 2**31 - 1), st.integers(0, 2**63 - 1)),
        min_size=1,
        max_size=3,
    ).map(tuple),
    origin=st.sampled_from(Origin),
    flags=st.builds(Flags, st.booleans(), st.booleans(), st.booleans(), st.booleans()),
    evaluation_s=st.none() | st.floats(0, 1e6),
    revision=st.integers(1, 50_000),
) | st.sampled_from([_ended(reason) for reason in Reason])


@given(outcome=_OUTCOMES)
def test_round_trip_and_schema(outcome: Outcome) -> None:
    """Every outcome comes back equal from its JSON, and its JSON is right by the schema."""
    value = outcome.to_json()
    assert Outcome.from_json(value) == outcome
    _VALIDATOR.validate(json.loads(value))


def test_an_outcome_of_before_flags_cached_can_be_read() -> None:
    """Version 1.0 had no remembered verdicts: the field is missing, and false."""
    value = json.loads(replace(_SCORED, schema_version="1.0").to_json())
    del value["flags"]["cached"]
    read = Outcome.from_json(json.dumps(value).encode())
    assert (read.schema_version, read.flags) == ("1.0", Flags(truncated=True))


def test_schema_is_a_schema() -> None:
    """The published file is a JSON Schema of its draft, with an id that carries the version."""
    jsonschema_rs.meta.validate(_SCHEMA)
    assert _SCHEMA["$id"] == f"urn:assay:outcome:{_SCORED.schema_version}"


def _assert_whole(cls: Any, part: dict[str, Any]) -> None:
    names = [field.name for field in fields(cls)]
    assert list(part["properties"]) == names
    assert part["required"] == names
    for name, hint in get_type_hints(cls).items():
        for kind in (hint, *getattr(hint, "__args__", ())):
            if isinstance(kind, type) and is_dataclass(kind):
                _assert_whole(kind, _SCHEMA["$defs"][kind.__name__])
        assert name in part["properties"]


def test_schema_has_every_field_and_requires_it() -> None:
    """No field of any record is missing from the schema, and none may be missing from a value."""
    _assert_whole(Outcome, _SCHEMA)


def _damaged(**changes: Any) -> dict[str, Any]:
    return {**json.loads(_SCORED.to_json()), **changes}


@pytest.mark.parametrize(
    "changes",
    [
        {"reason": "timeout"},
        {"outcome": "skipped", "score": None},
        {"outcome": "skipped", "score": None, "reason": "timeout"},
        {"outcome": "failed", "score": None, "reason": "no_content"},
        {"outcome": "failed", "score": None, "reason": "bad_weather"},
        {"outcome": "failed", "reason": "timeout"},
        {"outcome": "lost"},
        {"score": None},
        {"score": {**json.loads(_SCORED.to_json())["score"], "value": 1.01}},
        {"sampling": {"routes": ["a"], "probability": 0}},
        {"trace_id": "AB" * 16},
        {"sources": []},
        {"origin": "replay"},
        {"schema_version": "2.0"},
        {"evaluated_at": "yesterday"},
    ],
)
def test_schema_refuses(changes: dict[str, Any]) -> None:
    """The schema has the closed sets, the bounds, and what ties outcome, reason and score."""
    _VALIDATOR.validate(_damaged())
    assert not _VALIDATOR.is_valid(_damaged(**changes))


def test_schema_lets_a_newer_minor_version_add_fields() -> None:
    """A reader with today's schema accepts an outcome with a field that it does not know."""
    value = _damaged(schema_version="1.1", mood="good")
    _VALIDATOR.validate(value)
    assert Outcome.from_json(json.dumps(value).encode()).evaluation_id == _SCORED.evaluation_id


def test_reasons_are_closed() -> None:
    """Each reason belongs to skipped or failed, and the two sets are those that are documented."""
    skipped = {str(reason) for reason in Reason if reason.status is Status.SKIPPED}
    failed = {str(reason) for reason in Reason if reason.status is Status.FAILED}
    assert skipped == {
        "duplicate",
        "no_content",
        "missing_input",
        "not_applicable",
        "budget",
        "expired",
        "trace_split",
        "trace_evicted",
    }
    assert failed == {
        "judge_error",
        "timeout",
        "invalid_output",
        "output_truncated",
        "refused",
        "filtered",
        "receipt_missing",
        "evaluator_error",
        "judge_unavailable",
    }


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"schema_version": "2.0"}',
        b'{"schema_version": "1.0"}',
        json.dumps(_damaged(sampling=None)).encode(),
        json.dumps(_damaged(reason="bad_weather")).encode(),
        json.dumps(_damaged(score=[])).encode(),
    ],
)
def test_what_is_no_outcome_is_refused(value: bytes) -> None:
    """Anything else on the topic is a ValueError, whatever it is."""
    with pytest.raises(ValueError):  # noqa: PT011  each has words of its own
        Outcome.from_json(value)


def test_half_a_character_does_not_stop_publishing() -> None:
    """A lone surrogate, which JSON can smuggle into a span, is replaced."""
    assert _SCORED.score is not None
    odd = replace(
        _SCORED, score=replace(_SCORED.score, explanation="bad \ud800", items={"\udfff": 1})
    )
    value = json.loads(odd.to_json())
    assert value["score"]["explanation"] == "bad ?"
    _VALIDATOR.validate(value)


def test_evaluation_id_is_deterministic_and_depends_on_each_part() -> None:
    """The id is the same for the same evaluation, and differs where any part of it differs."""
    ref = _EVALUATOR
    others = [
        evaluation_id("ac" * 16, "cd" * 8, ref),
        evaluation_id("ab" * 16, "ce" * 8, ref),
        evaluation_id("ab" * 16, "cd" * 8, replace(ref, name="x")),
        evaluation_id("ab" * 16, "cd" * 8, replace(ref, version="x")),
        evaluation_id("ab" * 16, "cd" * 8, replace(ref, fingerprint="x")),
    ]
    assert len({*others, _SCORED.evaluation_id}) == 6
    assert evaluation_id("ab" * 16, "cd" * 8, ref) == _SCORED.evaluation_id
    assert evaluation_id("ab" * 16, "cd" * 8, replace(ref, kind=EvaluatorKind.HEURISTIC)) == (
        _SCORED.evaluation_id
    )


def test_with_source_adds_a_record() -> None:
    """A trace's outcome names each record that it was read from."""
    assert _SCORED.with_source(Source("otlp_spans", 0, 1)).sources == (
        Source("otlp_spans", 3, 42),
        Source("otlp_spans", 0, 1),
    )
