"""The drift alert at the rate of anchors that the documents name: ten an hour."""

from pathlib import Path

import pytest
import yaml
from support.prometheus import run_tool

from schemas.config import Config
from workers.rules import alerts, anchors
from workers.rules.document import Group, render

_NAME = "AssayJudgeDrifted"


def _config() -> Config:
    return Config.model_validate(
        {
            "kafka": {"bootstrap_servers": "x:1", "spans": ["spans"]},
            "evaluators": {"groundedness": {"owner": "search-team"}},
            "routes": [{"name": "all", "when": "true", "evaluators": ["groundedness"]}],
        }
    )


@pytest.mark.parametrize(("after", "fires"), [(8, True), (9.5, False)])
def test_a_fall_to_four_fifths_fires_within_six_hours(
    tmp_path: Path, after: float, fires: bool
) -> None:
    """From 98 of 100 anchors; a fall to 95 of 100 does not fire."""
    policy, alerting = alerts.groups(_config())
    (alert,) = [rule for rule in alerting.rules if rule.name == _NAME]
    rules = [policy, anchors.group(), Group(alerting.name, "1m", "", [alert])]
    (tmp_path / "rules.yaml").write_text(render("", rules))
    inputs = []
    for result, before, now in (("agree", 9.8, after), ("disagree", 0.2, 10 - after)):
        end = round(48 * before, 6)
        series = f'assay_anchors_total{{evaluator="groundedness", result="{result}"}}'
        values = f"0+{before}x48 {round(end + now, 6)}+{now}x7"
        inputs.append({"series": series, "values": values})
    expr = f'count by (evaluator, owner) (ALERTS{{alertname="{_NAME}", alertstate="firing"}})'
    shown = '{evaluator="groundedness", owner="search-team"}'
    story = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "5m",
        "group_eval_order": [group.name for group in rules],
        "tests": [
            {
                "interval": "1h",
                "input_series": inputs,
                "promql_expr_test": [
                    {
                        "expr": expr,
                        "eval_time": "54h",
                        "exp_samples": [{"labels": shown, "value": 1}] if fires else [],
                    },
                    {"expr": expr, "eval_time": "48h", "exp_samples": []},
                ],
            }
        ],
    }
    path = tmp_path / "test.yaml"
    path.write_text(yaml.safe_dump(story))
    tested = run_tool("promtool", "test", "rules", str(path))
    assert tested.returncode == 0, tested.stdout + tested.stderr
