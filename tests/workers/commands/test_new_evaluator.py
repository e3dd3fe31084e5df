"""`assay evaluators new`: what it writes works as it is, and nothing is written over."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.plugins import installed

_ROOT = Path(__file__).parents[3]
_NAME = "brief_answers"
Assay = Callable[..., Any]


@pytest.mark.slow
def test_a_new_package_is_installed_and_tested_and_judges(tmp_path: Path, assay: Assay) -> None:
    """As its README says: its tests pass, `assay` lists it, and it judges the span beside it."""
    done = assay("evaluators", "new", _NAME, "--dir", "deep/down")
    assert (done.status, done.err) == (0, "")
    package = tmp_path / "deep/down" / _NAME
    assert {str(tmp_path / line) for line in done.out.splitlines()} == {
        str(path) for path in package.rglob("*") if path.is_file()
    }
    python = installed(package, tmp_path)

    def run(*arguments: str) -> str:
        command = [str(python), "-m", *arguments]
        ended = subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    assert "12 passed" in run("pytest", "-q", "-p", "no:cacheprovider")
    listed = [json.loads(line) for line in run("assay_cli", "evaluators", "--json").splitlines()]
    (mine,) = (offer for offer in listed if offer["name"] == _NAME)
    assert mine["distribution"] == "brief-answers-evaluator"
    run("assay_cli", "check")
    (outcome,) = map(json.loads, run("assay_cli", "evaluate", "--json", "span.json").splitlines())
    assert outcome["evaluator"]["name"] == _NAME
    assert outcome["score"]["value"] == pytest.approx(5 / 9)


def test_a_new_rubric_is_an_evaluator(
    tmp_path: Path, assay_here: Assay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the config of docs/plugins.md it loads, and `show` prints what its judge is asked."""
    assert assay_here("evaluators", "new", "next_step", "--rubric").status == 0
    page = (_ROOT / "docs/plugins.md").read_text()
    config = page.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "assay.yaml").write_text(config)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    shown = assay_here("evaluators", "show", "next_step", "-c", "assay.yaml")
    assert shown.status == 0, shown.err
    assert "- vague: Does it put the user off" in shown.out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Brand", 'evaluator name "Brand": should be 1 to 48 lower-case letters'),
        ("../up", 'evaluator name "../up": should be 1 to 48 lower-case letters'),
        ("class", 'evaluator name "class": should be'),
        ("cost", 'evaluator name "cost" is reserved'),
        ("pii", 'evaluator name "pii": assay 0.1.0 offers it already; take another'),
        ("there", "there: exists; take another name, or another folder with --dir"),
    ],
)
def test_what_will_not_do_is_told_and_nothing_is_written(
    tmp_path: Path, assay_here: Assay, name: str, message: str
) -> None:
    """One line, exit code 2, and the folder is as it was."""
    (tmp_path / "there").mkdir()
    done = assay_here("evaluators", "new", name)
    assert done.status == 2
    assert done.err.startswith(f"assay: {message}")
    assert done.err.count("\n") == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


def test_a_rubric_is_not_written_over(tmp_path: Path, assay_here: Assay) -> None:
    """What somebody wrote stays."""
    (tmp_path / "voice.yaml").write_text("mine")
    done = assay_here("evaluators", "new", "voice", "--rubric")
    assert (done.status, done.err.startswith("assay: voice.yaml: exists;")) == (2, True)
    assert (tmp_path / "voice.yaml").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, assay_here: Assay) -> None:
    """The message has the path and the option."""
    (tmp_path / "file").write_text("")
    done = assay_here("evaluators", "new", "voice", "--rubric", "--dir", "file")
    assert done.status == 1
    assert "file/voice.yaml: cannot be written (" in done.err
    assert "--dir" in done.err
