"""The rules that ship: valid, current, and each alert shown firing and silent by promtool."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import promrules
from support.prometheus import run_tool

from evaluators.registry import available
from schemas.config import Config, LinksConfig
from schemas.config_file import load
from workers.rules import scenarios
from workers.rules.alerts import groups as alert_groups
from workers.rules.build import groups, header
from workers.rules.document import render
from workers.rules.story import Story, Times

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "deploy" / "prometheus" / "rules" / "assay.yaml"
ALERTS: dict[str, dict[str, Any]] = yaml.safe_load(
    (files("workers") / "templates" / "alerts.yaml").read_text("utf-8")
)
WANTED = {
    *("AssayScoreRegressed", "AssayScoreDegraded", "AssayObjectiveMissed", "AssaySafetyBurn"),
    *("AssayCriticalFinding", "AssayVersionRegressed", "AssayCostRegressed"),
    *("AssayLatencyRegressed", "AssayCoverageLow", "AssaySamplingUneven", "AssayScoresStopped"),
    *("AssayJudgeFailing", "AssayJudgeBreakerOpen", "AssayDeadLetters", "AssayWorkBehind"),
    *("AssayWorkStuck", "AssayBudgetNearlySpent", "AssaySeriesOverflow", "AssayAbsent"),
}
HARMLESS = {"low-n", "restart", "rubric-edited", "cold-start", "idle", "rate-changed"}
"""What must raise nothing, whatever else changes: services of these stories."""


def _config() -> Config:
    """A config that says what a rule file can depend on: owners, severities, objectives, links."""
    return Config.model_validate(
        {
            "kafka": {"bootstrap_servers": "127.0.0.1:9092", "spans": ["spans"]},
            "judges": {"default": {"model": "m", "base_url": "https://judge.example/v1"}},
            "evaluators": {
                "toxicity": {"owner": "safety-team", "page_on": "any", "objective": 0.999},
                "acme.policy": {"alert": "none"},
                "refusal": {"alert": "ticket", "owner": 'the "others"'},
            },
            "routes": [
                {
                    "name": "llm",
                    "when": "true",
                    "evaluators": ["toxicity", "acme.policy", "refusal"],
                }
            ],
            "cost": {"group_by": {"name": "team", "attributes": ["team.id"]}},
            "links": {
                "grafana": "https://grafana.example/",
                "runbooks": "https://docs.example/alerts.md",
            },
        }
    )


def _shipped() -> Config:
    return load(ROOT / "deploy" / "assay.yaml", {}, {offer.name for offer in available()})


def _stories() -> Iterator[Story]:
    for tell in (scenarios.stories, scenarios.absence, scenarios.nights, scenarios.week):
        yield from tell(Times())


def test_every_alert_that_was_asked_for_is_there() -> None:
    """The list of alerts is the one that users were promised."""
    assert ALERTS.keys() >= WANTED


def test_what_ships_is_what_the_code_writes() -> None:
    """Rules, rule tests, dashboards, schemas and pages in the repository are current."""
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_rules_that_ship() -> None:
    """`promtool check rules` finds no fault, and every alert."""
    checked = run_tool("promtool", "check", "rules", str(SHIPPED))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    rules = [
        rule for group in yaml.safe_load(SHIPPED.read_text())["groups"] for rule in group["rules"]
    ]
    assert {rule["alert"] for rule in rules if "alert" in rule} == ALERTS.keys()


def test_promtool_accepts_the_rules_of_a_config_that_says_everything(tmp_path: Path) -> None:
    """Owners with quotes, evaluators in the shadow and links give valid rules."""
    path = tmp_path / "rules.yaml"
    path.write_text(render(header(30), groups(_config(), 30)))
    checked = run_tool("promtool", "check", "rules", str(path))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_prometheus_accepts_its_configuration() -> None:
    """`promtool check config` finds no fault, and the rule file."""
    checked = run_tool("promtool", "check", "config", str(SHIPPED.parents[1] / "prometheus.yml"))
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "1 rule files found" in checked.stdout


def test_no_alert_lacks_a_test() -> None:
    """Each alert fires in one story at least, and is what another one comes near."""
    told = list(_stories())
    firing = frozenset[str]().union(*(story.firing for story in told))
    near = frozenset[str]().union(*(story.near for story in told))
    assert firing == ALERTS.keys()
    assert near == ALERTS.keys()


def test_no_alert_lacks_a_message_that_was_read() -> None:
    """What each alert says is written down, and compared with what it does say."""
    told = {entry["alert"] for entries in promrules.MESSAGES.values() for entry in entries}
    assert told == ALERTS.keys()


def test_no_story_comes_near_what_it_raises() -> None:
    """Firing and silent tests of an alert are different stories."""
    assert [story.text for story in _stories() if story.firing & story.near] == []


@pytest.mark.parametrize("service", sorted(HARMLESS))
def test_what_is_no_regression_has_a_test(service: str) -> None:
    """Few scores, a restart, an edited rubric, a cold start, silence, a new rate: none alerts."""
    (story,) = [one for one in _stories() if one.label == ("service", service)]
    assert story.firing == frozenset()
    assert story.near >= {"AssayScoreRegressed", "AssayScoreDegraded"}


def test_a_link_opens_the_alerts_dashboard_and_panel() -> None:
    """Addresses name the dashboard, its variables by the alert's labels, and the runbook."""
    *_, alerts = alert_groups(_config())
    for rule in alerts.rules:
        links = rule.annotations
        assert links is not None
        entry = ALERTS[rule.name]
        assert links["dashboard_url"].startswith("https://grafana.example/d/assay-")
        for label in entry.get("about", ()):
            wanted = f"&var-{label}={{{{ urlquery $labels.{label} }}}}"
            assert wanted in links["dashboard_url"]
        assert links["runbook_url"] == f"https://docs.example/alerts.md#{rule.name.lower()}"
        assert ("exemplars_url" in links) is (
            entry["dashboard"] == "quality" and "failing" in entry
        )


@pytest.mark.slow
@pytest.mark.timeout(570)
@pytest.mark.parametrize("name", promrules.FILES)
def test_stories_of_short_days_end_as_they_should(name: str, tmp_path: Path) -> None:
    """Days of two hours: alerts fire and stay silent as each story says, and say what they do."""
    config = _shipped().model_copy(update={"links": LinksConfig()})
    path = promrules.write(tmp_path, config, name, promrules.SHORT)
    promrules.expect_messages(path)
    assert promrules.failures(path, 560) == ""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_story_that_ends_otherwise_is_a_failure(tmp_path: Path) -> None:
    """The stories' tests can fail: without its alert, that no worker is there is not told."""
    path = promrules.write(tmp_path, _shipped(), "gap", promrules.SHORT)
    rules = tmp_path / "rules.yaml"
    text = rules.read_text()
    assert 'absent(up{job="assay"} == 1)' in text
    rules.write_text(text.replace('absent(up{job="assay"} == 1)', "absent(up)"))
    assert "AssayAbsent" in promrules.failures(path, 110)


@pytest.mark.alerts
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", promrules.FILES)
def test_stories_of_whole_days_end_as_they_should(name: str) -> None:
    """The rules as they ship, over the days and the week that they look at."""
    assert promrules.failures(SHIPPED.parents[1] / "tests" / f"{name}.yaml", 3590) == ""
