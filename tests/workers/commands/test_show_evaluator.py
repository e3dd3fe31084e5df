"""`assay evaluators show`: what a judge is asked, for built-ins and for rubric files."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from evaluators.registry import available
from schemas.errors import ConfigError, PluginError
from workers.commands import evaluators, show_evaluator

_CONFIG = """\
kafka: {bootstrap_servers: "127.0.0.1:9092", spans: [otlp_spans]}
judges: {default: {model: m, base_url: "http://127.0.0.1:1/v1", api_key: k}}
evaluators: {voice: {rubric: voice.yaml, threshold: 0.5}}
routes: [{name: all, when: "true", sample: 1.0, evaluators: [voice]}]
"""
_RUBRIC = """\
name: voice
inputs: [output]
instructions: Judge the voice of a lighthouse keeper.
items: [{id: calm, question: "Is it calm?"}]
"""
_BUILTIN = [
    offer.name
    for offer in available()
    if offer.distribution == "assay" and ".adapters." not in offer.value
]


@pytest.mark.parametrize("name", _BUILTIN)
def test_every_builtin_shows_what_its_judge_is_asked(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever may ask a judge shows a system message with its questions, and the sample as data."""
    show_evaluator.run(name, None, as_line=True)
    shown = json.loads(capsys.readouterr().out)
    if shown["judge_use"] == "never":
        assert shown["messages"] == []
        return
    (messages,) = shown["messages"]
    assert "Questions:\n- " in messages["system"]
    assert "evidence_" in messages["user"]
    assert "parcel service" not in messages["system"], "the sample is data"


def test_a_rubric_file_is_shown_as_configured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a config, its rubric file is what is shown, with the threshold of the config."""
    (tmp_path / "voice.yaml").write_text(_RUBRIC)
    (tmp_path / "assay.yaml").write_text(_CONFIG)
    show_evaluator.run("voice", tmp_path / "assay.yaml", as_line=False)
    shown = capsys.readouterr().out
    assert "lighthouse keeper" in shown
    assert "- calm: Is it calm?" in shown
    assert "passes at 0.5" in shown
    assert 'asks the judge "default"' in shown


_LIBRARY = """\
from evaluators import Need
from evaluators.adapters.adapter import Adapter, Found, Metric

class Theirs(Adapter):
    distribution = "pyyaml"
    extra = "pyyaml"
    module = "yaml"

    def prepare(self, library):
        return Metric(frozenset({Need.OUTPUT}))

    async def measure(self, evidence, chat):
        prompt = f"Is this kind? {evidence.output}"
        reply = await chat.complete({"messages": [{"role": "user", "content": prompt}]})
        return Found(float(reply["score"]))
"""


def test_another_librarys_first_prompt_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it would be sent; what would follow from an answer is not known."""
    (tmp_path / "theirs.py").write_text(_LIBRARY)
    info = tmp_path / "theirs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[assay.evaluators]\ntheirs = theirs:Theirs\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings = "{kind: {use: theirs, options: {metric: kindness}}}"
    config = _CONFIG.replace("{voice: {rubric: voice.yaml, threshold: 0.5}}", settings)
    (tmp_path / "assay.yaml").write_text(config.replace("[voice]", "[kind]"))
    show_evaluator.run("kind", tmp_path / "assay.yaml", as_line=False)
    shown = capsys.readouterr().out
    assert "Is this kind? It arrives on Wednesday." in shown
    assert "You are an evaluator inside Assay." in shown


def test_the_command_takes_a_config_and_still_lists(tmp_path: Path) -> None:
    """`show NAME -c FILE` and the bare `evaluators --json` are both there on the command line."""
    (tmp_path / "voice.yaml").write_text(_RUBRIC)
    (tmp_path / "assay.yaml").write_text(_CONFIG)
    shown = _assay("show", "voice", "-c", str(tmp_path / "assay.yaml"), "--json")
    assert json.loads(shown)["threshold"] == 0.5
    assert {json.loads(line)["name"] for line in _assay("--json").splitlines()} >= set(_BUILTIN)


def _assay(*arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("assay")), "evaluators", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_config_of_the_folder_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As every command does: `assay.yaml` of the current folder, where there is one."""
    (tmp_path / "voice.yaml").write_text(_RUBRIC)
    (tmp_path / "assay.yaml").write_text(_CONFIG)
    monkeypatch.chdir(tmp_path)
    show_evaluator.run("voice", None, as_line=False)
    assert "lighthouse keeper" in capsys.readouterr().out


def test_an_unknown_name_without_a_config_is_told_of_the_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a config elsewhere names can be shown: with `--config`."""
    monkeypatch.chdir(tmp_path)
    message = r'unknown evaluator "zebra"; assay evaluators lists all; one .* with --config FILE$'
    with pytest.raises(PluginError, match=message):
        show_evaluator.run("zebra", None, as_line=False)


def test_the_list_cuts_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where a class is goes on in the next line, where 80 columns are too few."""
    monkeypatch.setenv("COLUMNS", "80")
    evaluators.run(as_lines=False)
    listed = capsys.readouterr().out
    assert "answer_correctness" in listed
    assert "…" not in listed


def test_an_unknown_name_is_told_with_the_nearest(tmp_path: Path) -> None:
    """A name that is neither installed nor configured is one clear error."""
    with pytest.raises(PluginError, match=r'unknown evaluator "prompt_leek"; did you mean'):
        show_evaluator.run("prompt_leek", None, as_line=False)
    (tmp_path / "voice.yaml").write_text(_RUBRIC)
    (tmp_path / "assay.yaml").write_text(_CONFIG)
    with pytest.raises(ConfigError, match=r'unknown evaluator "voise"'):
        show_evaluator.run("voise", tmp_path / "assay.yaml", as_line=False)
