"""The rules and their unit tests, written for promtool: in full, or with short days."""

from pathlib import Path

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


def failures(path: Path, timeout_s: float) -> str:
    """What promtool says of a file of tests; empty where all of them pass."""
    ended = run_tool("promtool", "test", "rules", str(path), timeout_s=timeout_s)
    return "" if ended.returncode == 0 else ended.stdout + ended.stderr
