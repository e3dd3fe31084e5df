"""`assay rules` and `assay dashboards`: files for one config, and what is said where they fail."""

import json
from pathlib import Path

import yaml

from .conftest import Run

CONFIG = """\
kafka: {bootstrap_servers: "127.0.0.1:1", spans: [otlp_spans]}
evaluators:
  pii: {owner: privacy-team, alert: ticket}
routes:
  - {name: all, when: 'true', evaluators: [pii]}
cost: {group_by: {name: team, attributes: [team.id]}}
"""


def test_rules_and_their_tests_are_written(assay: Run, tmp_path: Path) -> None:
    """The files are named on stdout, the config's owner is in the rules, and how to check them."""
    (tmp_path / "assay.yaml").write_text(CONFIG)
    done = assay("rules", "--out", "here")
    assert (done.status, done.err) == (0, "")
    written = [line for line in done.out.splitlines() if (tmp_path / line).is_file()]
    assert written == [
        "here/rules/assay.yaml",
        *(f"here/tests/{name}.yaml" for name in ("day", "gap", "season", "week")),
    ]
    assert "promtool check rules here/rules/assay.yaml" in done.out
    rules = yaml.safe_load((tmp_path / written[0]).read_text())["groups"][0]["rules"]
    assert rules[0]["labels"] == {
        "evaluator": "pii",
        "severity": "ticket",
        "owner": "privacy-team",
    }


def test_dashboards_are_written_with_the_configs_group(assay: Run, tmp_path: Path) -> None:
    """Each file is named on stdout; the cost dashboard splits by what the config counts by."""
    (tmp_path / "assay.yaml").write_text(CONFIG)
    done = assay("dashboards", "--out", "here")
    assert (done.status, done.err) == (0, "")
    names = done.out.splitlines()
    assert names == [f"here/{name}.json" for name in ("quality", "cost", "pipeline", "judges")]
    cost = json.loads((tmp_path / "here" / "cost.json").read_text())
    variables = {variable["name"]: variable for variable in cost["templating"]["list"]}
    assert "team" in variables
    assert variables["by"]["query"] == "service,model,prompt_version,team"


def test_a_folder_that_cannot_be_written_is_one_message(assay: Run, tmp_path: Path) -> None:
    """Exit code 1, and another folder is the remedy."""
    (tmp_path / "assay.yaml").write_text(CONFIG)
    (tmp_path / "taken").write_text("")
    for command, name in (
        ("rules", "taken/rules/assay.yaml"),
        ("dashboards", "taken/quality.json"),
    ):
        done = assay(command, "--out", "taken")
        assert done.status == 1
        assert done.err.startswith(f"assay: {name}: cannot be written (")
        assert done.err.endswith("choose another folder with --out\n")


def test_scrapes_that_are_too_far_apart_are_refused(assay: Run, tmp_path: Path) -> None:
    """Exit code 2: the shortest window would hold too few of them; so is what is no interval."""
    (tmp_path / "assay.yaml").write_text(CONFIG)
    done = assay("rules", "--scrape-interval", "60s")
    assert (done.status, done.out) == (2, "")
    assert "scrape more often" in done.err
    assert assay("rules", "--scrape-interval", "1m").status == 2
