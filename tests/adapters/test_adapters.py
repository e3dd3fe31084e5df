"""Each adapter with its library: judged by our judge, over loopback, and by nothing else."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from support.judge_server import Action, Call, JudgeServer, Status, Text, completion
from support.metric_libraries import MetricLibrary

pytestmark = [pytest.mark.adapters, pytest.mark.timeout(400)]

_SECRET = "jane.roe@example.org"  # noqa: S105  an address, which the route's policy redacts
_QUESTION = f"How long may I return shoes? I am {_SECRET}."
_ANSWER = f"Within 30 days, dear {_SECRET}."
_CONTEXT = "Shoes can be returned within 30 days of delivery."


@dataclass(frozen=True)
class Library:
    """One library, what is asked of it, and what has to come of that."""

    extra: str
    evaluators: dict[str, dict[str, Any]]
    values: dict[str, Any]
    failing: dict[str, str] = field(default_factory=dict)
    """Evaluator to the beginning of its detail, where the judge leaves its scale."""
    calls: int = 0
    """What all of them ask together."""


_LIBRARIES = [
    Library(
        "autoevals",
        {
            "factual": {"options": {"metric": "Factuality"}},
            "closed": {"options": {"metric": "ClosedQA", "args": {"criteria": "is it brief"}}},
            "near": {"options": {"metric": "Levenshtein"}},
        },
        {"factual": 0.4, "closed": 1.0, "near": pytest.approx(0.5, abs=0.5)},
        calls=2,
    ),
    Library(
        "pydantic-evals",
        {
            "kind": {"options": {"metric": "LLMJudge", "args": {"rubric": "It is kind."}}},
            "asks": {
                "options": {
                    "metric": "LLMJudge",
                    "args": {"rubric": "It is rude.", "include_input": True},
                    "higher_is_better": False,
                }
            },
            "graded": {
                "options": {
                    "metric": "GEval",
                    "args": {"criteria": "brief", "evaluation_steps": ["Count the words."]},
                }
            },
            "scale": {
                "options": {
                    "metric": "LLMJudge",
                    "args": {"rubric": "It is kind.", "score": {}, "assertion": False},
                }
            },
            "days": {"options": {"metric": "Contains", "args": {"value": "30 days"}}},
        },
        {"kind": 1.0, "asks": 0.0, "days": 1.0},
        {"graded": "ValueError at llm_as_a_judge.py", "scale": "ScoreOutOfRange"},
        calls=4,
    ),
    Library(
        "openevals",
        {
            "concise": {"options": {"metric": "CONCISENESS_PROMPT", "higher_is_better": True}},
            "toxic": {"options": {"metric": "TOXICITY_PROMPT", "higher_is_better": False}},
            "grounded": {
                "options": {
                    "metric": "RAG_GROUNDEDNESS_PROMPT",
                    "higher_is_better": True,
                    "args": {"continuous": True},
                }
            },
        },
        {"concise": 1.0, "toxic": 0.0},
        {"grounded": "ScoreOutOfRange"},
        calls=3,
    ),
    Library(
        "deepeval",
        {
            "faithful": {"options": {"metric": "FaithfulnessMetric"}},
            "toxic": {"options": {"metric": "ToxicityMetric"}},
            "brief": {
                "options": {
                    "metric": "GEval",
                    "args": {
                        "name": "brief",
                        "criteria": "Is the actual output brief?",
                        "evaluation_steps": ["Count the words of the actual output."],
                        "evaluation_params": ["actual_output"],
                    },
                }
            },
        },
        {"faithful": 1.0, "toxic": 0.0, "brief": 0.8},
        calls=8,
    ),
]


def _attribute(key: str, value: Any) -> dict[str, Any]:
    text = value if isinstance(value, str) else json.dumps(value)
    return {"key": key, "value": {"stringValue": text}}


def _span(span_id: str, name: str, *attributes: dict[str, Any]) -> dict[str, Any]:
    return {
        "traceId": "5b8efff798038103d269b633813fc60c",
        "spanId": span_id,
        "name": name,
        "kind": 3,
        "startTimeUnixNano": "1790000000000000000",
        "endTimeUnixNano": "1790000001000000000",
        "attributes": list(attributes),
    }


def _write(folder: Path, library: Library, judge: JudgeServer) -> None:
    chat = _span(
        "eee19b7ec3c1b174",
        "chat sample",
        _attribute("gen_ai.operation.name", "chat"),
        _attribute("gen_ai.request.model", "sample"),
        _attribute(
            "gen_ai.input.messages",
            [{"role": "user", "parts": [{"type": "text", "content": _QUESTION}]}],
        ),
        _attribute(
            "gen_ai.output.messages",
            [{"role": "assistant", "parts": [{"type": "text", "content": _ANSWER}]}],
        ),
        _attribute("assay.reference", "Within thirty days."),
    )
    search = _span(
        "eee19b7ec3c1b175",
        "retrieval handbook",
        _attribute("gen_ai.operation.name", "retrieval"),
        _attribute("gen_ai.retrieval.documents", [{"id": "1", "content": _CONTEXT}]),
    )
    scopes = [{"scope": {"name": "sample"}, "spans": [chat, search]}]
    (folder / "spans.json").write_text(json.dumps({"resourceSpans": [{"scopeSpans": scopes}]}))
    use = library.extra.replace("-", "_")
    config = {
        "kafka": {"bootstrap_servers": "127.0.0.1:9092", "spans": ["spans"]},
        "judges": {
            "default": {
                "model": "judge-1",
                "base_url": judge.url,
                "price": {"input_usd_per_mtok": 1.0, "output_usd_per_mtok": 10.0},
            }
        },
        "evaluators": {
            name: {"use": use, **settings} for name, settings in library.evaluators.items()
        },
        "routes": [{"name": "all", "when": "true", "evaluators": [*library.evaluators]}],
    }
    (folder / "assay.yaml").write_text(json.dumps(config))


def _fits(schema: dict[str, Any], root: dict[str, Any]) -> Any:  # noqa: PLR0911  a case each
    """An answer that fits a schema: the first choice, yes, 8, and one of whatever is listed."""
    if "$ref" in schema:
        return _fits(root["$defs"][schema["$ref"].rpartition("/")[2]], root)
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if "anyOf" in schema:
        return _fits(schema["anyOf"][0], root)
    match schema.get("type"):
        case "object":
            return {name: _fits(one, root) for name, one in schema["properties"].items()}
        case "array":
            return [_fits(schema["items"], root)]
        case "boolean":
            return True
        case "number" | "integer":
            return 8
        case _:
            return "as it should be"


def _answer(call: Call) -> Action:
    body = call.body
    if "tools" in body:
        function = body["tools"][0]["function"]
        arguments = json.dumps(_fits(function["parameters"], function["parameters"]))
        called = {"name": function["name"], "arguments": arguments}
        tool_call = {"id": "call_1", "type": "function", "function": called}
        return Status(200, completion(Text(None, "tool_calls", {"tool_calls": [tool_call]})))
    schema = body["response_format"]["json_schema"]["schema"]
    return Text(json.dumps(_fits(schema, schema)))


@pytest.mark.parametrize("library", _LIBRARIES, ids=lambda library: library.extra)
class TestAdapter:
    """The same of every library."""

    @pytest.fixture(autouse=True)
    def _install(self, library: Library, metric_library: Callable[[str], MetricLibrary]) -> None:
        self.installed = metric_library(library.extra)

    async def test_it_is_judged_by_our_judge_alone(self, library: Library, tmp_path: Path) -> None:
        """Scores, cost and redaction are those of our own evaluators, and nothing calls home."""
        async with JudgeServer() as judge:
            judge.script = _answer
            _write(tmp_path, library, judge)
            ended = await self.installed.assay(tmp_path, "evaluate", "--json", "spans.json")
        assert ended.attempts == []
        assert ended.status == 0, ended.err
        said = ended.outcomes
        assert said.keys() == library.evaluators.keys()
        scored = {name: one["score"]["value"] for name, one in said.items() if one["score"]}
        assert scored == library.values
        for name, detail in library.failing.items():
            assert (said[name]["outcome"], said[name]["reason"]) == ("failed", "evaluator_error")
            assert said[name]["detail"].startswith(detail)
        assert len(judge.calls) == library.calls
        records = [one["judge"] for one in said.values() if one["judge"]]
        assert sum(record["attempts"] for record in records) == library.calls
        cost = sum(record["cost_usd"] for record in records)
        assert cost == pytest.approx(library.calls * (1000 * 1e-6 + 100 * 1e-5))
        sent = json.dumps([call.body for call in judge.calls])
        assert "30 days" in sent
        assert _SECRET not in sent
        assert {call.body["model"] for call in judge.calls} == {"judge-1"}
        left = set(os.listdir(tmp_path))  # noqa: PTH208  a path may not block in a coroutine
        assert left == {"assay.yaml", "spans.json", "attempts"}, "it left files behind"

    async def test_a_judge_that_refuses_is_no_fault_of_the_library(
        self, library: Library, tmp_path: Path
    ) -> None:
        """What the judge came to is the reason, whatever the library made of the exception."""
        async with JudgeServer() as judge:
            judge.script = lambda _: Text(None, message={"refusal": "I would rather not."})
            _write(tmp_path, library, judge)
            ended = await self.installed.assay(tmp_path, "evaluate", "--json", "spans.json")
        asked = {name: one for name, one in ended.outcomes.items() if one["judge"]}
        assert len(asked) >= 2
        assert {one["reason"] for one in asked.values()} == {"refused"}
        # Two where the library asks two things at once; nothing is asked after a failure.
        assert all(one["judge"]["attempts"] <= 2 for one in asked.values())
        assert ended.attempts == []

    async def test_an_answer_that_makes_no_sense_is_no_score(
        self, library: Library, tmp_path: Path
    ) -> None:
        """The library cannot read it: `failed(evaluator_error)`, and no default."""
        async with JudgeServer() as judge:
            judge.script = lambda _: Text("It is fine, I suppose.")
            _write(tmp_path, library, judge)
            ended = await self.installed.assay(tmp_path, "evaluate", "--json", "spans.json")
        asked = [one for one in ended.outcomes.values() if one["judge"]]
        assert len(asked) >= 2
        assert {(one["reason"], one["score"]) for one in asked} == {("evaluator_error", None)}
