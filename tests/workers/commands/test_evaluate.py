"""`assay evaluate`: outcomes from files, for machines and for a build that must fail."""

import asyncio
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from support.captures import FOLDER
from support.judge_server import JudgeServer
from support.spans import llm_span, message, plain_span

from schemas.errors import ConfigError
from workers.commands.evaluate import rates

from .conftest import Run

SCHEMA = json.loads((Path(__file__).parents[3] / "schemas/outcome.schema.json").read_text())
RAG = str(FOLDER / "otel_genai_langchain" / "rag.pb")
CONFIG = """\
kafka: {{bootstrap_servers: "127.0.0.1:1", spans: [otlp_spans]}}
judges:
  default: {{model: judge-1, base_url: "{url}"}}
routes:
  - name: all
    when: 'span.kind == "llm"'
    evaluators: [{evaluators}]
"""
DOWN = "http://127.0.0.1:1/v1"


def _write(folder: Path, url: str, evaluators: str) -> None:
    (folder / "assay.yaml").write_text(CONFIG.format(url=url, evaluators=evaluators))


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


async def test_outcomes_are_those_of_the_scores_topic(assay: Run, tmp_path: Path) -> None:
    """Each line is a whole outcome by the published schema, of a file's span and one evaluator."""
    async with JudgeServer() as server:
        _write(tmp_path, server.url, "answer_relevance, groundedness, pii, secrets")
        done = await asyncio.to_thread(assay, "evaluate", RAG, "--json")
    assert (done.status, done.err) == (0, "")
    outcomes = _lines(done.out)
    validator = jsonschema_rs.validator_for(SCHEMA)
    for outcome in outcomes:
        validator.validate(outcome)
        assert outcome["sources"] == [{"topic": RAG, "partition": 0, "offset": 0}]
    assert {o["evaluator"]["name"]: (o["outcome"], o["reason"]) for o in outcomes} == {
        "answer_relevance": ("scored", None),
        "groundedness": ("skipped", "missing_input"),  # its documents are in the prompt only
        "pii": ("scored", None),
        "secrets": ("scored", None),
    }
    assert server.count == len({outcome["span_id"] for outcome in outcomes}) == 1


def test_a_judge_that_stays_down_is_waited_for_and_then_said_to_be(
    assay_here: Run, tmp_path: Path
) -> None:
    """After `--wait`, what needs the judge is failed(judge_unavailable); the rest is scored."""
    _write(tmp_path, DOWN, "answer_relevance, pii")
    done = assay_here("evaluate", RAG, "--json", "--wait", "1")
    assert done.err.count('judge "default" is out') == 1
    assert "waiting for it, up to 1 s" in done.err
    assert done.status == 0
    found = {o["evaluator"]["name"]: (o["outcome"], o["reason"]) for o in _lines(done.out)}
    assert found == {
        "answer_relevance": ("failed", "judge_unavailable"),
        "pii": ("scored", None),
    }


@pytest.mark.parametrize(("rate", "status"), [("pii=1.0", 0), ("refusal=0.5", 0)])
def test_a_rate_that_is_reached_passes(
    assay_here: Run, tmp_path: Path, rate: str, status: int
) -> None:
    """`--fail-under` lets a build pass where the pass rate is at or above what it asks for."""
    _write(tmp_path, DOWN, "pii, refusal")
    assert assay_here("evaluate", RAG, "--fail-under", rate).status == status


def test_a_rate_that_is_missed_fails(assay_here: Run, tmp_path: Path) -> None:
    """Below the asked rate the outcomes are printed all the same, and the exit code is 1."""
    export = json.loads((FOLDER / "otel_genai_langchain" / "rag.json").read_text())
    text = json.dumps(export)
    leak = "Write to jane.doe@northwind.io."
    for span in export["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for attribute in span["attributes"]:
            if attribute["key"] == "gen_ai.output.messages":
                parts = [{"type": "text", "content": leak}]
                messages = [{"role": "assistant", "parts": parts, "finish_reason": "stop"}]
                attribute["value"]["stringValue"] = json.dumps(messages)
    assert json.dumps(export) != text
    (tmp_path / "leak.json").write_text(json.dumps(export))
    _write(tmp_path, DOWN, "pii")
    done = assay_here("evaluate", "leak.json", "--fail-under", "pii=0.99", "--json")
    assert done.status == 1
    assert _lines(done.out)
    assert done.err.startswith("assay: pii: pass rate 0")
    assert "northwind" not in done.out


def test_a_rate_without_scores_fails(assay_here: Run, tmp_path: Path) -> None:
    """Nothing scored is no pass: a judge that was down must not make a build green."""
    _write(tmp_path, DOWN, "answer_relevance")
    done = assay_here(
        "evaluate", RAG, "--json", "--wait", "0", "--fail-under", "answer_relevance=0.1"
    )
    assert done.status == 1
    assert "answer_relevance: nothing was scored" in done.err


def test_an_evaluator_that_no_route_names_has_no_rate(assay_here: Run, tmp_path: Path) -> None:
    """A slip in `--fail-under` is told before anything is judged."""
    _write(tmp_path, DOWN, "pii")
    done = assay_here("evaluate", RAG, "--fail-under", "pi=0.5")
    assert done.status == 2
    assert 'no route names the evaluator "pi"; did you mean "pii"?' in done.err


def test_nothing_selected_is_said(assay_here: Run, tmp_path: Path) -> None:
    """Why there is no outcome: no route selects a span, or no file holds one."""
    _write(tmp_path, DOWN, "pii")
    config = (tmp_path / "assay.yaml").read_text()
    (tmp_path / "assay.yaml").write_text(config.replace('"llm"', '"tool"'))
    (tmp_path / "empty.pb").write_bytes(b"")
    unselected, empty = (assay_here("evaluate", file, "--json") for file in (RAG, "empty.pb"))
    assert (unselected.status, unselected.out) == (empty.status, empty.out) == (0, "")
    assert "nothing to evaluate: no route selects any of " in unselected.err
    assert "nothing to evaluate: the files hold no span" in empty.err
    assert "no span of an LLM application" in assay_here("spans", "empty.pb").out


def test_the_table_counts_what_became_of_the_spans(assay_here: Run, tmp_path: Path) -> None:
    """People get a row for each evaluator, and the reasons of what has no score."""
    _write(tmp_path, DOWN, "answer_relevance, pii")
    done = assay_here("evaluate", RAG, "--wait", "0")
    assert done.status == 0
    assert "pii" in done.out
    assert "100.0%" in done.out
    assert "failed(judge_unavailable)" in done.out


def test_rates_are_read() -> None:
    """Rates are shares; anything else is refused by name."""
    assert rates(["pii=0.99", "a=1"]) == {"pii": 0.99, "a": 1.0}
    for wrong in ("pii", "=1", "pii=", "pii=-0.1", "pii=1.1", "pii=nan", "pii=x"):
        with pytest.raises(ConfigError, match=r"write for example pii=0\.99"):
            rates([wrong])


async def test_a_trace_is_all_that_the_files_have_of_it(assay: Run, tmp_path: Path) -> None:
    """Two files hold one run, the request around its calls too: one outcome, in the root's name."""
    root = plain_span("POST /run")
    calls = [llm_span(trace_id=root.trace_id, parent_span_id=root.span_id) for _ in range(2)]
    files = [tmp_path / "first.pb", tmp_path / "second.pb"]
    files[0].write_bytes(message(calls[:1]))
    files[1].write_bytes(message([calls[1], root]))
    async with JudgeServer() as server:
        _write(tmp_path, server.url, "task_completion, pii")
        done = await asyncio.to_thread(assay, "evaluate", *map(str, files), "--json")
    assert (done.status, done.err) == (0, "")
    outcomes = _lines(done.out)
    assert len(outcomes) == 3
    (whole,) = [o for o in outcomes if o["evaluator"]["name"] == "task_completion"]
    jsonschema_rs.validator_for(SCHEMA).validate(whole)
    assert (whole["outcome"], whole["score"]["label"]) == ("scored", "done")
    assert (whole["span_id"], whole["revision"]) == (root.span_id.hex(), 3)
    assert [source["topic"] for source in whole["sources"]] == [str(path) for path in files]
    assert whole["subject"]["input_tokens"] == 50
