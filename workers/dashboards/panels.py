"""Parts of a dashboard as data, and as the JSON that Grafana reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

Json = dict[str, Any]

COLUMNS = 24
"""Width of Grafana's grid."""

RATE = "$__rate_interval"
RANGE = "$__range"

_SCHEMA_VERSION = 39
"""Of Grafana 10.4; later ones read it too."""

_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_HEATMAP_STEP = "1m"


@dataclass(frozen=True, slots=True)
class Query:
    """What a panel asks Prometheus.

    Attributes:
        expr: PromQL; `$name` is a variable of the dashboard.
        legend: How each series is called; labels in double braces.
        exemplars: Whether traces are shown as dots.
    """

    expr: str
    legend: str = ""
    exemplars: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        title: Unique in its dashboard.
        description: What it tells, and what would be wrong.
        queries: At least one.
        unit: As Grafana calls it: short, percentunit, s, bytes, currencyUSD.
        kind: Grafana's type of panel: timeseries, stat, bargauge, heatmap, table.
        width: In columns of the grid.
        height: In its rows.
        is_stacked: Whether the series add up to something.
        limit: Where a line is drawn, above which it is bad.
        bounds: Least and largest value of the axis.
    """

    title: str
    description: str
    queries: Sequence[Query]
    unit: str = "short"
    kind: str = "timeseries"
    width: int = 8
    height: int = 8
    is_stacked: bool = False
    limit: float | None = None
    bounds: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Variable:
    """What a reader chooses from the values of a label.

    Attributes:
        name: Of the variable.
        label: The label, where it is called otherwise.
        selector: The series that have it; what was chosen before narrows them.
    """

    name: str
    selector: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a reader chooses from a fixed set of words.

    Attributes:
        name: Of the variable.
        title: Shown beside it.
        words: The first one is taken at the beginning.
    """

    name: str
    title: str
    words: Sequence[str]


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard.

    Attributes:
        uid: Its name in addresses; alerts link to it.
        title: Shown.
        description: What it is for.
        variables: In the order in which one narrows the next.
        rows: Panels by the headline above them.
    """

    uid: str
    title: str
    description: str
    variables: Sequence[Variable | Choice]
    rows: Mapping[str, Sequence[Panel]] = field(default_factory=dict)


def stat(title: str, description: str, expr: str, unit: str = "short", **more: Any) -> Panel:
    """A single number of now, with its past behind it."""
    return Panel(title, description, [Query(expr)], unit, "stat", 4, 4, **more)


def panel_id(dashboard: Dashboard, title: str) -> int:
    """The number by which an address opens one panel (`viewPanel=`)."""
    for panel in render(dashboard)["panels"]:
        if panel["title"] == title:
            return int(panel["id"])
    raise KeyError(title)


def render(dashboard: Dashboard) -> Json:
    """The dashboard as Grafana reads it: panels numbered and laid out, row by row."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["assay"],
        "schemaVersion": _SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "annotations": {"list": [_alerts()]},
        "links": [_other_dashboards()],
        "templating": {"list": [_source(), *map(_variable, dashboard.variables)]},
        "panels": _panels(dashboard),
    }


def _panels(dashboard: Dashboard) -> list[Json]:
    numbers, top, shown = count(1), 0, []
    for title, panels in dashboard.rows.items():
        place = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
        shown.append(
            {
                "id": next(numbers),
                "type": "row",
                "title": title,
                "collapsed": False,
                "gridPos": place,
                "panels": [],
            }
        )
        top += 1
        left = height = 0
        for panel in panels:
            if left + panel.width > COLUMNS:
                left, top, height = 0, top + height, 0
            place = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            shown.append(_panel(panel, next(numbers), place))
            left, height = left + panel.width, max(height, panel.height)
        top += height
    return shown


def _panel(panel: Panel, number: int, place: Mapping[str, int]) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "gridPos": dict(place),
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel),
        "targets": [
            _target(panel, query, chr(ord("A") + index))
            for index, query in enumerate(panel.queries)
        ],
    }


def _defaults(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "red", "value": panel.limit})
    defaults: Json = {
        "unit": panel.unit,
        "color": {"mode": "palette-classic" if panel.kind == "timeseries" else "thresholds"},
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.bounds is not None:
        defaults["min"], defaults["max"] = panel.bounds
    if panel.kind == "timeseries":
        defaults["custom"] = {
            "drawStyle": "line",
            "fillOpacity": 30 if panel.is_stacked else 0,
            "lineWidth": 1,
            "showPoints": "never",
            "spanNulls": False,
            "stacking": {"mode": "normal" if panel.is_stacked else "none", "group": "A"},
            "thresholdsStyle": {"mode": "off" if panel.limit is None else "line"},
        }
    return defaults


def _options(panel: Panel) -> Json:
    last = {"values": False, "calcs": ["lastNotNull"], "fields": ""}
    match panel.kind:
        case "timeseries":
            return {
                "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"]},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }
        case "stat":
            return {"reduceOptions": last, "graphMode": "area", "colorMode": "value"}
        case "bargauge":
            return {"reduceOptions": last, "orientation": "horizontal", "displayMode": "basic"}
        case "heatmap":
            return {
                "calculate": False,
                "color": {"mode": "scheme", "scheme": "Spectral", "steps": 64},
                "cellGap": 1,
                "exemplars": {"color": "rgba(31, 96, 196, 0.9)"},
                "legend": {"show": True},
                "rowsFrame": {"layout": "auto"},
                "tooltip": {"mode": "single"},
                "yAxis": {"unit": panel.unit, "axisPlacement": "left"},
            }
        case _:
            return {"showHeader": True}


def _target(panel: Panel, query: Query, ref: str) -> Json:
    is_of_now = panel.kind in {"bargauge", "table"}
    target: Json = {
        "refId": ref,
        "datasource": _SOURCE,
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "range": not is_of_now,
        "instant": is_of_now,
        "exemplar": query.exemplars,
    }
    if panel.kind == "heatmap":
        return {**target, "format": "heatmap", "interval": _HEATMAP_STEP}
    if panel.kind == "table":
        return {**target, "format": "table"}
    return target


def _source() -> Json:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "hide": 0,
    }


def _variable(variable: Variable | Choice) -> Json:
    if isinstance(variable, Choice):
        options = [
            {"text": word, "value": word, "selected": word == variable.words[0]}
            for word in variable.words
        ]
        return {
            "name": variable.name,
            "label": variable.title,
            "type": "custom",
            "query": ",".join(variable.words),
            "options": options,
            "current": options[0],
            "multi": False,
            "includeAll": False,
        }
    query = f"label_values({variable.selector}, {variable.label or variable.name})"
    return {
        "name": variable.name,
        "label": variable.name.replace("_", " "),
        "type": "query",
        "datasource": _SOURCE,
        "definition": query,
        "query": {"qryType": 1, "query": query, "refId": f"variable-{variable.name}"},
        "refresh": 2,  # when the time range changes: versions come and go
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",  # also what has no such label
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _alerts() -> Json:
    return {
        "name": "Alerts",
        "datasource": _SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'ALERTS{alertname=~"Assay.*", alertstate="firing"}',
        "titleFormat": "{{alertname}}",
        "textFormat": "{{service}} {{evaluator}}",
        "step": "60s",
    }


def _other_dashboards() -> Json:
    return {
        "title": "Assay",
        "type": "dashboards",
        "tags": ["assay"],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
    }
