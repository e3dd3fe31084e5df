"""What docs/plugins.md shows works as it stands, and its tables say what the code declares."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.declared import declarations
from support.judge_server import JudgeServer
from support.plugins import installed

from evaluators import EvaluatorKind, JudgeUse, Need, Scope, SpanKind
from evaluators.contract import Evaluator
from evaluators.rubric_file import Input, parse_rubric
from schemas.config_file import load

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs/plugins.md").read_text("utf-8")


def _blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", PAGE)


_NAMED = re.compile(r"(?ms)^`([\w./-]+)`([^\n]*):\n\n```\w+\n(.*?)^```")
"""A block that is a file: its name begins the line before."""


def _write(folder: Path, *names: str) -> None:
    """Write these of the page's files; what the page adds at the end of one is added."""
    for name, how, text in _NAMED.findall(PAGE):
        if name in names:
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text((path.read_text() if "at its end" in how else "") + text)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_package_by_hand_works(tmp_path: Path) -> None:
    """Its files as shown are installed; their tests pass, and both evaluators judge the span."""
    package = tmp_path / "shop"
    files = ("pyproject.toml", "shop_evaluators.py", "tests/test_brand_words.py", "span.json")
    judged = ("tests/test_no_repeats.py", "assay.yaml", "judged.yaml")
    package.mkdir()
    _write(package, *files, *judged)
    python = installed(package, tmp_path)

    def run(*arguments: str) -> str:
        ended = subprocess.run(
            [str(python), "-m", *arguments],
            cwd=package,
            env={**os.environ, "OPENAI_API_KEY": "none", "COLUMNS": "100"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    assert "18 passed" in run("pytest", "-q", "-p", "no:cacheprovider")
    assert "It is a bargain." in run("assay_cli", "spans", "span.json")
    run("assay_cli", "check")
    assert re.search(r"brand_words +│ 1 .*0\.0%", run("assay_cli", "evaluate", "span.json"))
    assert "Does the output say anything twice?" in run(
        "assay_cli", "evaluators", "show", "no_repeats"
    )
    outcome = asyncio.run(_judged(package, run))
    assert outcome["evaluator"]["name"] == "no_repeats"
    assert outcome["score"]["value"] == 0.0, "the stand-in says yes, and a repetition is bad"


async def _judged(package: Path, run: Callable[..., str]) -> dict[str, Any]:
    """The outcome of the span, by the page's config with another judge's address."""
    config = package / "judged.yaml"
    async with JudgeServer() as server:
        config.write_text(config.read_text().replace("https://api.openai.com/v1", server.url))
        arguments = ("assay_cli", "evaluate", "--json", "span.json", "--config", "judged.yaml")
        outcome: dict[str, Any] = json.loads(await asyncio.to_thread(run, *arguments))
        return outcome


_TABLES = re.findall(r"(?m)^\| `(\w+)` \| [^|\n]+ \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE)


def _rows(table: str) -> list[str]:
    """The first cell of each row, as code."""
    cells = re.findall(r"(?m)^\| `([^`]+)` \|", table)
    return [cell.replace("\\|", "|") for cell in cells]


@pytest.mark.parametrize(("name", "table"), _TABLES, ids=[name for name, _ in _TABLES])
def test_a_table_of_names_is_what_the_code_declares(name: str, table: str) -> None:
    """Every field or parameter with its type and default, in order; of a span the most used."""
    declared = declarations(name)
    shown = _rows(table)
    assert shown == [one for one in declared if name != "Span" or one in shown]


def test_every_name_has_a_table() -> None:
    """None of what authors use can be left out."""
    assert [name for name, _ in _TABLES] == [
        *("Settings", "Subject", "Span", "Message", "ToolCall", "Score", "Skip"),
        *("Question", "Item", "Verdict", "make_span", "run", "ScriptedJudge"),
    ]


def test_every_fact_is_explained() -> None:
    """The facts are those of the contract, and the members of their enums are all named."""
    (table,) = re.findall(r"(?m)^\| Fact \| \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE)
    facts = [name for name in vars(Evaluator) if not name.startswith("_")]
    assert _rows(table) == facts
    for enum in (EvaluatorKind, Scope, Need, JudgeUse, SpanKind):
        assert {member.name for member in enum} <= set(re.findall(r"`([A-Z_]+)`", PAGE))


def test_the_rubric_is_one_and_its_lists_are_whole() -> None:
    """It can be used as it stands; what may stand in `inputs` and `needs` is all there."""
    (text,) = (block for block in _blocks("yaml") if block.startswith("name:"))
    assert parse_rubric(text, Path("shown.yaml")).name == "brand_voice"
    (inputs,) = re.findall(r"inputs: .*# (.*)", text)
    assert set(inputs.split(", ")) == set(Input)
    assert all(f"`{need}`" in PAGE for need in Need)


def test_a_process_of_its_own_is_configured_as_shown(tmp_path: Path) -> None:
    """The section is taken up by a config."""
    (text,) = (block for block in _blocks("yaml") if "isolate:" in block)
    kafka = "kafka: {bootstrap_servers: unused, spans: [unused]}\n"
    routes = 'routes: [{name: all, when: "true", evaluators: [brief_answers]}]\n'
    (tmp_path / "assay.yaml").write_text(kafka + text + routes)
    config = load(tmp_path / "assay.yaml", {}, {"brief_answers"})
    assert config.evaluators["brief_answers"].process.processes == 2
