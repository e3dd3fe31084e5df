"""The dashboards that ship: a linter, for what Grafana would show as an empty or broken panel."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.grafana import filled
from support.prometheus import run_tool

from workers.dashboards.panels import COLUMNS, panel_id
from workers.dashboards.quality import FAILING_TRACES, QUALITY

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
Json = dict[str, Any]
DASHBOARDS: dict[str, Json] = {
    path.stem: json.loads(path.read_text())
    for path in sorted((GRAFANA / "dashboards").glob("*.json"))
}
BUILT_IN = re.compile(r"__\w+")
VARIABLE = re.compile(r"\$\{?(\w+)\}?")
UNITS = {"short", "percentunit", "s", "bytes", "currencyUSD"}
KINDS = {"timeseries", "stat", "bargauge", "heatmap", "table"}
METRIC = re.compile(r"\b(?:\w+:)?assay_\w+(?::\w+)?")
EXPECTED = {"quality", "cost", "pipeline", "judges"}

each = pytest.mark.parametrize("name", sorted(EXPECTED))


def _panels(name: str) -> list[Json]:
    return [panel for panel in DASHBOARDS[name]["panels"] if panel["type"] != "row"]


def _expressions(name: str) -> Iterator[tuple[str, str]]:
    """All PromQL of a dashboard, with where it stands."""
    dashboard = DASHBOARDS[name]
    for panel in _panels(name):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["definition"])
            assert found, variable["definition"]
            yield f"variable {variable['name']}", found[1]


def test_there_are_four_dashboards() -> None:
    """One for each question, each with a uid and a title of its own."""
    assert DASHBOARDS.keys() == EXPECTED
    for key in ("uid", "title"):
        assert len({dashboard[key] for dashboard in DASHBOARDS.values()}) == len(EXPECTED)
    for name, dashboard in DASHBOARDS.items():
        assert dashboard["uid"] == f"assay-{name}"
        assert dashboard["description"].endswith(".")
        assert "id" not in dashboard  # Grafana gives it; one that is given would clash


@each
def test_a_panel_explains_itself(name: str) -> None:
    """Title, description, unit and data source; ids and titles once, references once a panel."""
    panels = DASHBOARDS[name]["panels"]
    for key in ("id", "title"):
        assert max(Counter(panel[key] for panel in panels).values()) == 1
    for panel in _panels(name):
        assert panel["type"] in KINDS
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(one == {"type": "prometheus", "uid": "${datasource}"} for one in sources)
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references)) > 0
        assert all(target["instant"] is not target["range"] for target in panel["targets"])


@each
def test_panels_do_not_lie_on_each_other(name: str) -> None:
    """Every cell of the grid belongs to one panel, and none lies outside."""
    cells: Counter[tuple[int, int]] = Counter()
    for panel in DASHBOARDS[name]["panels"]:
        place = panel["gridPos"]
        assert place["x"] >= 0
        assert place["x"] + place["w"] <= COLUMNS
        assert min(place["w"], place["h"]) > 0
        cells.update(
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        )
    assert cells.most_common(1)[0][1] == 1


@each
def test_variables_are_there_and_used(name: str) -> None:
    """A query names no variable that is not offered, and none is offered that changes nothing."""
    offered = [variable["name"] for variable in DASHBOARDS[name]["templating"]["list"]]
    assert len(offered) == len(set(offered))
    used = {
        found
        for _, expr in _expressions(name)
        for found in VARIABLE.findall(expr)
        if not BUILT_IN.fullmatch(found)
    }
    assert used <= set(offered)
    asked = {
        found
        for panel in _panels(name)
        for t in panel["targets"]
        for found in VARIABLE.findall(t["expr"])
    }
    assert set(offered) - {"datasource"} <= asked | used
    assert offered[0] == "datasource"


@pytest.mark.parametrize("name", ["quality", "cost", "judges"])
def test_services_models_and_prompt_versions_can_be_chosen(name: str) -> None:
    """What tells a rollout from all other traffic narrows every dashboard that has it."""
    offered = {variable["name"] for variable in DASHBOARDS[name]["templating"]["list"]}
    assert offered >= {"service", "model", "prompt_version"}


def test_prometheus_can_parse_every_query(tmp_path: Path) -> None:
    """Each query, with its variables filled in, is PromQL: promtool takes it as a rule."""
    rules = [
        {"record": f"{name}:q{number}", "expr": filled(expr)}
        for name in sorted(EXPECTED)
        for number, (_, expr) in enumerate(_expressions(name))
    ]
    assert len(rules) > 100
    path = tmp_path / "queries.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    checked = run_tool("promtool", "check", "rules", "--lint=none", str(path))
    assert checked.returncode == 0, checked.stdout + checked.stderr


@each
def test_a_query_of_recorded_series_names_what_the_rules_record(name: str) -> None:
    """Records that were renamed would leave a panel empty for ever."""
    rules = yaml.safe_load((ROOT / "deploy/prometheus/rules/assay.yaml").read_text())
    recorded = {rule.get("record") for group in rules["groups"] for rule in group["rules"]}
    asked = {
        found for _, expr in _expressions(name) for found in METRIC.findall(expr) if ":" in found
    }
    assert asked <= recorded


def test_alerts_link_to_dashboards_and_variables_that_are_there() -> None:
    """What an alert says of its dashboard is true of the dashboard."""
    template = (files("workers") / "templates" / "alerts.yaml").read_text("utf-8")
    for alert, entry in yaml.safe_load(template).items():
        variables = DASHBOARDS[entry["dashboard"]]["templating"]["list"]
        about = set(entry.get("about", ()))
        assert about <= {variable["name"] for variable in variables}, alert


def test_the_panel_of_failing_traces_shows_traces() -> None:
    """The panel that alerts open has exemplars, and its number is the one in the link."""
    (panel,) = [one for one in _panels("quality") if one["title"] == FAILING_TRACES]
    assert panel["id"] == panel_id(QUALITY, FAILING_TRACES)
    assert all(target["exemplar"] for target in panel["targets"])
    rules = (ROOT / "deploy/prometheus/rules/assay.yaml").read_text()
    assert f"&viewPanel={panel['id']}\n" in rules


def test_an_exemplar_opens_the_trace() -> None:
    """The data source sends the label that workers put on exemplars to the trace viewer's."""
    text = (GRAFANA / "provisioning" / "datasources" / "assay.yaml").read_text()
    sources = {source["type"]: source for source in yaml.safe_load(text)["datasources"]}
    (destination,) = sources["prometheus"]["jsonData"]["exemplarTraceIdDestinations"]
    assert destination["name"] == "trace_id"
    assert destination["datasourceUid"] == sources["jaeger"]["uid"]
    assert sources["prometheus"]["isDefault"] is True


def test_grafana_is_told_where_the_dashboards_are() -> None:
    """The provider names a folder of the container, and lets nobody edit what code writes."""
    text = (GRAFANA / "provisioning" / "dashboards" / "assay.yaml").read_text()
    (provider,) = yaml.safe_load(text)["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
    assert provider["allowUiUpdates"] is False
