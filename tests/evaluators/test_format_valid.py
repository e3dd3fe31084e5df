"""The `format_valid` evaluator."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from evaluators import Need, Score, Settings, Skip, Subject, ToolCall
from evaluators.heuristics.format_valid import FormatValid
from evaluators.testing import make_span, run

_SCHEMA = {
    "type": "object",
    "required": ["price"],
    "properties": {
        "price": {"type": "number", "minimum": 0},
        "currency": {"pattern": "^[A-Z]{3}$"},
    },
    "additionalProperties": False,
}


def _result(
    answer: str | None, options: dict[str, Any] | None = None, **fields: Any
) -> Score | Skip:
    evaluator = FormatValid(Settings("format_valid", options or {}))
    return run(evaluator, Subject(make_span(answer=answer, **fields)))


def _label(answer: str | None, options: dict[str, Any] | None = None, **fields: Any) -> str | None:
    result = _result(answer, options, **fields)
    assert isinstance(result, Score)
    assert result.value == float(result.label == "ok")
    return result.label


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Two years.", "ok"),
        ("", "empty"),
        (" \n", "empty"),
        ('{"a": 1}', "ok"),
        ('{"a": 1', "not_json"),
        ('{"a": 1,}', "not_json"),
        ('[{"a": }]', "not_json"),
        ('{"a": 1}\nThat is all.', "ok"),
        ("[1] and [2] disagree", "ok"),
        ("{name} is a placeholder", "ok"),
        ('{"a": ' + "[" * 200_000, "not_json"),
    ],
)
def test_without_options_an_answer_is_complete(answer: str, expected: str) -> None:
    """Text has to be there, and what begins as JSON has to parse."""
    assert _label(answer) == expected


@pytest.mark.parametrize("options", [{}, {"type": "json"}, {"regex": "a"}])
def test_a_cut_off_answer_fails_in_every_form(options: dict[str, Any]) -> None:
    """The finish reason `length` decides before the form does."""
    assert _label("a", options, finish_reason="length") == "cut_off"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ('{"price": 3}', "ok"),
        ('{"price": -3}', "schema_mismatch"),
        ('{"price": 3, "currency": "euro"}', "schema_mismatch"),
        ('{"price": 3, "colour": "red"}', "schema_mismatch"),
        ("{}", "schema_mismatch"),
        ('{"price": NaN}', "not_json"),
        ('```json\n{"price": 3}\n```', "not_json"),
        ("\ud800", "not_json"),
    ],
)
def test_json_fits_its_schema(answer: str, expected: str) -> None:
    """An answer has to be one JSON value that fits the schema."""
    assert _label(answer, {"schema": _SCHEMA}) == expected


def test_the_schema_may_stand_in_a_file(tmp_path: Path) -> None:
    """A path is read when the evaluator is built, and its content is in the fingerprint."""
    file = tmp_path / "answer.json"
    file.write_text(json.dumps(_SCHEMA))
    assert _label('{"price": "3"}', {"schema": str(file)}) == "schema_mismatch"
    settings = Settings("format_valid", {"schema": "answer.json"}, tmp_path)
    before = FormatValid(settings).content_fingerprint
    file.write_text("{}")
    assert FormatValid(settings).content_fingerprint != before


def test_a_mismatch_names_the_rule_and_no_text_of_the_answer() -> None:
    """The place in the schema is published, the answer's own keys are not."""
    result = _result('{"price": 1, "ana.lee": "secret"}', {"schema": _SCHEMA})
    assert isinstance(result, Score)
    assert result.items == {"rule": "/additionalProperties"}
    assert "ana.lee" not in repr(result)


@pytest.mark.parametrize("fence", ["```json\n{}\n```", "```\n{}```", "~~~json\n{}\n~~~", "{}"])
def test_fenced_json_is_accepted_by_option(fence: str) -> None:
    """With `fenced` a Markdown fence around the JSON is no fault."""
    assert _label(fence.format('{"price": 3}'), {"type": "json", "fenced": True}) == "ok"


def test_a_regex_must_occur() -> None:
    """The expression is searched, and anchored by its author where the whole answer counts."""
    assert _label("Your code: AB-12", {"regex": r"\b[A-Z]{2}-\d{2}\b"}) == "ok"
    assert _label("Your code: AB-12", {"regex": r"^[A-Z]{2}-\d{2}$"}) == "no_match"


def test_a_hostile_regex_costs_linear_time() -> None:
    """Nested repetition, on which a backtracking engine would not return, is answered at once."""
    start = time.perf_counter()
    assert _label("a" * 50_000 + "b", {"regex": "^(a+)+$"}) == "no_match"
    assert time.perf_counter() - start < 5


def test_tool_calls_have_no_form() -> None:
    """An answer without text that asks for tools is not empty."""
    result = _result(None, {"type": "json"}, tool_calls=(ToolCall("find", {}),))
    assert isinstance(result, Skip)
    assert result.missing is None


def test_an_uncaptured_answer_is_skipped() -> None:
    """What was not captured is not called empty."""
    result = _result(None)
    assert isinstance(result, Skip)
    assert result.missing is Need.OUTPUT


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shema": {}}, 'unknown option "shema"; did you mean "schema"'),
        ({"type": "xml"}, "option type"),
        ({"regex": "(a"}, "no valid RE2 expression"),
        ({"regex": r"(a)\1"}, "no valid RE2 expression"),
        ({"schema": {"type": "objekt"}}, "no valid JSON Schema"),
        ({"schema": {"$ref": "https://acme.example/schema"}}, "no valid JSON Schema"),
        ({"schema": "no/such/file.json"}, "no such file"),
        ({"type": "regex"}, "needs a regex"),
        ({"schema": {}, "regex": "a"}, "exclude each other"),
        ({"schema": {}, "type": "text"}, "needs type: json"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    """A mistake in the options shows when the evaluator is built, not in a score."""
    with pytest.raises(ValueError, match=message):
        FormatValid(Settings("format_valid", options))
