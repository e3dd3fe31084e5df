"""The rules and their unit tests, written for promtool: in full, or with short days."""

import json
from pathlib import Path
from typing import Any

import yaml
from support.prometheus import run_tool

from schemas.config import Config
from workers.rules import unit_tests
from workers.rules.build import groups, header
from workers.rules.document import Group, render, shorten
from workers.rules.story import Times
from workers.signals import SCRAPE_S

FILES = ("day", "gap", "season", "week")
SHORT = 12
"""An hour of the rules is five minutes then; of fewer the baselines would be too coarse."""

MESSAGES: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parents[1] / "data" / "messages.yaml").read_text()
)
"""What each alert says of the stories of short days, by file of tests."""


def write(folder: Path, config: Config, name: str, factor: int = 1) -> Path:
    """Write the rules for a config and one file of tests; returns the tests' path."""
    rules: list[Group] = groups(config)
    if factor > 1:
        rules = shorten(rules, factor)
    (folder / "rules.yaml").write_text(render(header(SCRAPE_S), rules))
    times = Times(factor)
    texts = {
        "day": lambda: unit_tests.day(rules, config, "rules.yaml", times),
        "gap": lambda: unit_tests.gap(rules, "rules.yaml", times),
        "season": lambda: unit_tests.season(rules, "rules.yaml", times),
        "week": lambda: unit_tests.week(rules, "rules.yaml", times),
    }
    path = folder / f"{name}.yaml"
    path.write_text(texts[name]())
    return path


def expect_messages(path: Path) -> None:
    """Let a file of tests of short days also ask what alerts say.

    Args:
        path: As `write` returned it, for a config without links.
    """
    expected = [
        {
            "eval_time": f"{Times(SHORT).turn + entry['after']}m",
            "alertname": entry["alert"],
            "exp_alerts": [
                {
                    "exp_labels": message["labels"],
                    "exp_annotations": {
                        "runbook": f"docs/alerts.md, section {entry['alert']}",
                        **{name: text for name, text in message.items() if name != "labels"},
                    },
                }
                for message in entry["messages"]
            ],
        }
        for entry in MESSAGES.get(path.stem, ())
    ]
    with path.open("a") as file:
        file.write(f"    alert_rule_test: {json.dumps(expected)}\n")


def failures(path: Path, timeout_s: float) -> str:
    """What promtool says of a file of tests; empty where all of them pass."""
    ended = run_tool("promtool", "test", "rules", str(path), timeout_s=timeout_s)
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr
