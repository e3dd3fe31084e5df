"""`assay spans`: the contract of its JSON, over every captured export."""

import json
from pathlib import Path
from typing import Any

import pytest
from support.captures import FOLDER, captures

from .conftest import Run

FIELDS = [
    "trace_id",
    "span_id",
    "parent_span_id",
    "kind",
    "convention",
    "service",
    "provider",
    "request_model",
    "response_model",
    "response_id",
    "input_tokens",
    "output_tokens",
    "cached_input_tokens",
    "cache_creation_input_tokens",
    "reasoning_tokens",
    "cost_usd",
    "finish_reason",
    "error",
    "messages_in",
    "output_text",
    "tool_calls",
    "documents",
    "session_id",
    "user_id",
    "prompt_name",
    "prompt_version",
    "duplicate_of",
]
_SUPPORT = Path(__file__).parents[3] / "examples/support.json"
KINDS = {"llm", "agent", "tool", "retriever", "embedding", "chain", "other"}


def _export(suffix: str) -> list[str]:
    return [str(capture.path) for capture in captures() if capture.path.suffix == suffix]


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("suffix", [".pb", ".json"])
def test_every_line_has_the_fields_of_the_contract(assay_here: Run, suffix: str) -> None:
    """One object for each span, with every field, in one order, of the promised types."""
    done = assay_here("spans", *_export(suffix), "--json")
    assert (done.status, done.err) == (0, "")
    spans = _lines(done.out)
    assert len(spans) > 100
    for span in spans:
        assert list(span) == FIELDS
        assert span["kind"] in KINDS
        assert isinstance(span["convention"], str)
        assert isinstance(span["error"], bool)
        assert all(set(message) == {"role", "content"} for message in span["messages_in"])
        assert all(set(call) == {"name", "arguments"} for call in span["tool_calls"])
        assert all(isinstance(text, str) for text in span["documents"])


def test_what_json_can_hardly_hold_is_printed_all_the_same(assay_here: Run, tmp_path: Path) -> None:
    """Half a character, and a tool that was called with a number of 400 digits."""
    called = {"type": "tool_call", "name": "count", "arguments": {"to": 10**400}}
    parts = [{"type": "text", "content": "half \ud83d"}, called]
    said = json.dumps([{"role": "assistant", "parts": parts, "finish_reason": "stop"}])
    values = {"gen_ai.operation.name": "chat", "gen_ai.output.messages": said}
    pairs = [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]
    spans = [{"traceId": "1" * 32, "spanId": "1" * 16, "attributes": pairs}]
    export = tmp_path / "odd.json"
    export.write_text(json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))
    (span,) = _lines(assay_here("spans", str(export), "--json").out)
    assert span["output_text"] == "half ?"
    assert span["tool_calls"] == [{"name": "count", "arguments": {"to": 10**400}}]


def test_every_call_is_printed_and_only_one_of_its_spans_counts(assay_here: Run) -> None:
    """Of the spans that tell of one call, all but one name the one that is evaluated."""
    calls: list[dict[str, Any]] = []
    for path in sorted(FOLDER.glob("*/*.expected.json")):
        calls += json.loads(path.read_bytes())["llm_calls"]
    printed = {
        span["span_id"]: span for span in _lines(assay_here("spans", *_export(".pb"), "--json").out)
    }
    for call in calls:
        kept = [i for i in call["span_ids"] if printed[i]["duplicate_of"] is None]
        assert len(kept) == 1
        assert printed[kept[0]]["kind"] == "llm"


def test_the_text_is_safe_for_a_terminal(assay_here: Run, tmp_path: Path) -> None:
    """Escapes, control and bidi characters never reach a terminal, and markup is only text."""
    attributes = [
        {"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}},
        {
            "key": "gen_ai.request.model",
            "value": {"stringValue": "\x1b]0;owned\x07\u202emodel[red]"},
        },
    ]
    span = {
        "traceId": "1" * 32,
        "spanId": "2" * 16,
        "name": "chat",
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
        "attributes": attributes,
    }
    export = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    (tmp_path / "hostile.json").write_text(json.dumps(export))
    done = assay_here("spans", "hostile.json")
    assert done.status == 0
    assert "model[red]" in done.out
    assert not {"\x1b", "\x07", "\u202e"} & set(done.out)


def test_nothing_is_cut_to_fit_a_narrow_terminal(
    assay_here: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kind, service, model, tokens and output can all be read where there are 40 columns."""
    monkeypatch.setenv("COLUMNS", "40")
    lines = assay_here("spans", str(_SUPPORT)).out.splitlines()
    assert "51340b4ea9489cf4 · llm · gen_ai · support-bot · gpt-5-mini · 36 → 12 tokens" in lines
    assert "    You can return shoes within 30 days of delivery." in lines


def test_json_lines_are_read_one_by_one(assay_here: Run, tmp_path: Path) -> None:
    """A file of one JSON export a line, as collectors write it, prints the spans of all lines."""
    exports = [Path(path).read_text() for path in _export(".json")[:3]]
    (tmp_path / "many.jsonl").write_text("\n".join(json.dumps(json.loads(e)) for e in exports))
    together = assay_here("spans", "many.jsonl", "--json")
    assert together.status == 0
    assert together.out == assay_here("spans", *_export(".json")[:3], "--json").out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "x.pb: cannot be read: No such file"),
        (b"\xff\xff\xff", "x.pb: "),
        (b'{"resourceSpans": 7}\n{"resourceSpans": []}', "x.pb:1: "),
    ],
    ids=["missing", "no_export", "bad_line"],
)
def test_a_file_that_is_no_export_is_named(
    assay_here: Run, tmp_path: Path, content: bytes | None, message: str
) -> None:
    """A file that cannot be read is one message with its name, and exit code 1."""
    if content is not None:
        (tmp_path / "x.pb").write_bytes(content)
    done = assay_here("spans", "x.pb", "--json")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(f"assay: {message}")
    assert done.err.count("\n") == 1
