"""The corrected rate as Prometheus computes it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.prometheus import run_tool

from workers.agreement import Terms
from workers.rules.corrected import group
from workers.rules.document import render

_PPI = Terms(
    intercept=0.2,
    slope=0.8,
    centre_intercept=0.21,
    centre_slope=0.8,
    constant=0.0004,
    of_passes=0.0,
    of_fails=0.0,
)
_ROGAN_GLADEN = Terms(
    intercept=-0.2,
    slope=1 / 0.75,
    centre_intercept=-0.19,
    centre_slope=1.35,
    constant=0.0,
    of_passes=0.0016,
    of_fails=0.0023,
)
_VERSION = "1-ab+12345678"
_LABELS = 'environment="e", service="s", evaluator="groundedness", evaluator_version='


def _series(name: str, version: str, value: float) -> dict[str, str]:
    return {"series": f'{name}{{{_LABELS}"{version}"}}', "values": f"{value}x10"}


@pytest.mark.parametrize("terms", [_PPI, _ROGAN_GLADEN], ids=["ppi", "rogan_gladen"])
def test_prometheus_corrects_the_sum_of_all_workers(tmp_path: Path, terms: Terms) -> None:
    """As the code does, for the calibrated version alone, and not for code in its place."""
    raw, weight, squares = 0.84, 4000.0, 16000.0
    versions = (f"{_VERSION}/gpt-5-mini", f"{_VERSION}/degraded", "1-ab+87654321/gpt-5-mini")
    inputs = [
        _series(name, version, value)
        for version in versions
        for name, value in (
            ("evaluator:assay_score_pass:ratio1h", raw),
            ("evaluator:assay_score_weight:increase1h", weight),
            ("evaluator:assay_score_weight_squares:increase1h", squares),
        )
    ]
    inputs += [
        {
            "series": f'assay_calibration_term{{evaluator="groundedness", calibrated="{_VERSION}", '
            f'term="{name}", instance="{instance}"}}',
            "values": f"{getattr(terms, name)!r}x10",
        }
        for name in Terms.__slots__
        for instance in "ab"
    ]
    expected = terms.correct(raw, weight**2 / squares)
    tests = [
        {
            "expr": f"abs(evaluator:assay_score_{name}:ratio1h - {value!r}) < bool 1e-4",
            "eval_time": "5m",
            "exp_samples": [
                {
                    "labels": f'{{{_LABELS}"{versions[0]}", calibrated="{_VERSION}"}}',
                    "value": 1,
                }
            ],
        }
        for name, value in (
            ("corrected", expected.value),
            ("corrected_low", expected.low),
            ("corrected_high", expected.high),
        )
    ]
    (tmp_path / "rules.yaml").write_text(render("", [group()]))
    story: dict[str, Any] = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", "input_series": inputs, "promql_expr_test": tests}],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(story))
    tested = run_tool("promtool", "test", "rules", str(path))
    assert tested.returncode == 0, tested.stdout + tested.stderr
