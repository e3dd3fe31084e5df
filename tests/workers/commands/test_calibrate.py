"""`assay calibrate`: labels in, a record out that a worker loads."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from support.judge_server import JudgeServer

from evaluators.judge.client import JudgeClient
from schemas.config import Config
from schemas.config_file import load
from schemas.errors import ConfigError
from workers.commands import calibrate
from workers.configured import Configured, build
from workers.labelled import Labelled, read_items
from workers.metrics import Metrics

_CONFIG = """
kafka: {bootstrap_servers: "127.0.0.1:9092", spans: [spans]}
judges:
  default: {model: gpt-5-mini, base_url: "%s"}
evaluators:
  groundedness: {threshold: 0.9%s}
routes:
  - {name: all, when: "true", evaluators: [groundedness]}
"""

Run = Callable[..., Any]


def _config(folder: Path, more: str = "", url: str = "http://127.0.0.1:9/v1") -> Config:
    path = folder / "assay.yaml"
    path.write_text(_CONFIG % (url, more))
    return load(path, {}, {"groundedness"})


def _built(config: Config) -> Configured:
    return build(config, lambda name, one: JudgeClient(name, one, emit=lambda _: None))[
        "groundedness"
    ]


def _labels(folder: Path, right: int, wrong: int, **fields: Any) -> Path:
    """100 items that people pass and 100 that they fail, so many of which the judge gets right."""
    lines = []
    for human, agreed in (("pass", right), ("fail", wrong)):
        other = {"pass": "fail", "fail": "pass"}[human]
        for index in range(100):
            judge = human if index < agreed else other
            lines.append(json.dumps({"human": human, "judge": judge, "output": "x", **fields}))
    path = folder / "labels.jsonl"
    path.write_text("\n".join(lines))
    return path


def _calibrated(folder: Path, labels: Path) -> dict[str, Any]:
    out = folder / "record.json"
    config = _config(folder)
    calibrate.run(
        read_items(labels), config, name="groundedness", out=out, wait_s=0, as_lines=False
    )
    record: dict[str, Any] = json.loads(out.read_text())
    return record


def test_a_fixed_set_is_corrected_by_sensitivity_and_specificity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels without probabilities: Rogan-Gladen, and the record names the evaluator exactly."""
    record = _calibrated(tmp_path, _labels(tmp_path, 90, 85))
    assert record["sensitivity"]["value"] == pytest.approx(0.90)
    assert record["specificity"]["value"] == pytest.approx(0.85)
    assert record["correction"]["method"] == "rogan_gladen"
    assert record["correction"]["slope"] == pytest.approx(1 / 0.75)
    assert record["fingerprint"] == _built(_config(tmp_path)).ref("redacted").fingerprint
    assert "sensitivity (good that it passes)  0.900 [0.826, 0.945]" in capsys.readouterr().out


def test_a_random_sample_is_corrected_with_prediction_power(tmp_path: Path) -> None:
    """Labels with probabilities, and what they were drawn from."""
    labels = _labels(
        tmp_path, 90, 85, probability=0.05, drawn_from={"count": 5000, "pass_rate": 0.525}
    )
    assert _calibrated(tmp_path, labels)["correction"]["method"] == "ppi"


def test_too_few_labels_are_no_calibration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Below 50 of each kind it says so, corrects nothing, and assay check says it again."""
    path = _labels(tmp_path, 90, 85)
    path.write_text("\n".join(path.read_text().splitlines()[:149]))
    record = _calibrated(tmp_path, path)
    assert (record["is_calibrated"], record["correction"]) == (False, None)
    assert "not calibrated: 50 items of each kind are needed" in capsys.readouterr().out


def test_verdicts_of_another_configuration_are_refused(tmp_path: Path) -> None:
    """They say nothing of the evaluator as it is now."""
    labels = _labels(tmp_path, 90, 85, fingerprint="0123456789abcdef")
    with pytest.raises(ConfigError, match="are of the fingerprint 0123456789abcdef, and by this"):
        _calibrated(tmp_path, labels)


def test_a_line_that_is_no_item_is_told_by_its_number(tmp_path: Path) -> None:
    """File, line and field; the judged text is not repeated."""
    path = tmp_path / "labels.jsonl"
    path.write_text('{"human": "pass", "output": "x"}\n{"human": "good", "output": "secret"}\n')
    with pytest.raises(ConfigError, match=r"labels.jsonl:2: human: ") as caught:
        _calibrated(tmp_path, path)
    assert "secret" not in str(caught.value)


async def test_items_without_a_verdict_are_judged_now(tmp_path: Path) -> None:
    """With the judge of the config, as a worker would; the route's content policy holds."""
    items = [
        Labelled(human="pass", input="q", context=("c",), output="fine"),
        Labelled(human="fail", input="q", context=("c",), output="BAD"),
    ]
    async with JudgeServer() as judge:
        config = _config(tmp_path, url=judge.url)
        found = await calibrate._calibrate(items, config, "groundedness", 1.0)
    assert (found.passes, found.fails, found.agreement) == (1, 1, 1.0)
    assert len(judge.calls) == 2


@pytest.mark.parametrize(("more", "fits"), [("", 1), (", options: {}, judge: default", 1)])
def test_a_worker_exports_the_calibration_that_fits(tmp_path: Path, more: str, fits: int) -> None:
    """Under the label by which its scores are told."""
    _calibrated(tmp_path, _labels(tmp_path, 90, 85))
    config = _config(tmp_path, f", calibration: record.json{more}")
    registry = CollectorRegistry()
    evaluator = _built(config)
    assert Metrics(registry, config).trust.calibrate(evaluator, ["redacted"]) is None
    ref = evaluator.ref("redacted")
    labels = {
        "evaluator": "groundedness",
        "calibrated": f"{ref.version}+{ref.fingerprint[:8]}",
        "term": "slope",
    }
    assert registry.get_sample_value("assay_calibration_term", labels) == pytest.approx(1 / 0.75)
    name = {"evaluator": "groundedness"}
    assert registry.get_sample_value("assay_calibration_fits", name) == fits


def test_a_calibration_of_something_else_is_not_applied(tmp_path: Path) -> None:
    """Another threshold is another evaluator: its rate is not corrected, and that is said."""
    _calibrated(tmp_path, _labels(tmp_path, 90, 85))
    config = _config(tmp_path, ", calibration: record.json")
    text = (tmp_path / "assay.yaml").read_text().replace("threshold: 0.9", "threshold: 0.5")
    (tmp_path / "assay.yaml").write_text(text)
    other = load(tmp_path / "assay.yaml", {}, {"groundedness"})
    registry = CollectorRegistry()
    fault = Metrics(registry, config).trust.calibrate(_built(other), ["redacted"])
    assert fault is not None
    assert "have changed; calibrate it again" in fault
    name = {"evaluator": "groundedness"}
    assert registry.get_sample_value("assay_calibration_fits", name) == 0
    terms = [one for one in registry.collect() if one.name == "assay_calibration_term"]
    assert [one.samples for one in terms] == [[]]


def test_a_record_of_another_evaluator_is_a_config_error(tmp_path: Path) -> None:
    """File, line, and whose it is."""
    record = _calibrated(tmp_path, _labels(tmp_path, 90, 85))
    (tmp_path / "record.json").write_text(json.dumps({**record, "evaluator": "toxicity"}))
    with pytest.raises(ConfigError, match='calibration is of the evaluator "toxicity"'):
        _config(tmp_path, ", calibration: record.json")
    (tmp_path / "record.json").write_text("{}")
    with pytest.raises(ConfigError, match="is no calibration of schema version 1"):
        _config(tmp_path, ", calibration: record.json")
