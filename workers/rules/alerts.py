"""What is alerted on: `workers/templates/alerts.yaml`, filled in for one config."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import yaml

from schemas.config import Config
from workers import signals
from workers.call_scores import LATENCY_REFERENCE_S
from workers.dashboards.build import dashboards
from workers.dashboards.panels import Dashboard, panel_id
from workers.dashboards.quality import FAILING_TRACES, QUALITY

from .document import Group, Rule
from .records import LABELS

POLICY = "evaluator:assay_alert_policy:info"
RUNBOOK = "docs/alerts.md"

# Also what tells that an evaluator exists while its worker is gone: yesterday's scores.
_TRACES_OF_EVALUATORS = (
    (
        '{{__name__=~"assay_scores_total|assay_score_weight_total|assay_outcomes_total'
        '|assay_critical_findings_total"{others}}}'
    ),
    "evaluator:assay_scores:increase1h{{{others}}} offset 1d",
)
_POLICY = """
What the config says of each evaluator: how its alerts go out (alert) and whose it is (owner).
Alerts that name an evaluator are joined with this; one with `alert: none` has no row here, so that
it can run in the shadow. An evaluator that the config does not name pages, and has no owner.
"""

# In annotations, braces of Go templates; %q writes a label value as PromQL does.
_SELECT = (
    '{{ $by := printf "environment=%q,service=%q,evaluator=%q,evaluator_version=%q" '
    "$labels.environment $labels.service $labels.evaluator $labels.evaluator_version }}"
)
_VARIANT = (
    '{{ $by := printf "environment=%q,service=%q,evaluator=%q,evaluator_version=%q,'
    'model=%q,prompt_version=%q" $labels.environment $labels.service $labels.evaluator '
    "$labels.evaluator_version $labels.model $labels.prompt_version }}"
)
_CHARGE = (
    "Evaluator version {{ $labels.evaluator_version }}; the evidence is "
    '{{ $value | printf "%.1f" }} times the threshold of one false alarm in 100 series-months.'
)
# To be pasted into a shell, and applications name themselves: quoted as a shell wants it.
_OF_SERVICE = r""" --service '{{ $labels.service | reReplaceAll "'" "'\\''" }}'"""
_BEGAN = "This began at most {{ $window }} before this alert."


def _number(query: str, *arguments: str, form: str = "%.3f") -> str:
    """A template for the value of a query; a question mark where it finds nothing."""
    call = " ".join(("printf", f'"{query}"', *arguments))
    return (
        f"{{{{ with query ({call}) }}}}"
        f'{{{{ . | first | value | printf "{form}" }}}}{{{{ else }}}}?{{{{ end }}}}'
    )


def _strongest(select: str, evidence: str, arguments: str, text: str) -> str:
    """A text about the window that shows most, as `$window`."""
    return (
        f'{select}{{{{ with query (printf "topk(1, {evidence})" {arguments}) }}}}'
        f'{{{{ $window := . | first | label "window" }}}}{text} {{{{ end }}}}{_CHARGE}'
    )


def _significant(level: str, past: str, drop: float) -> str:
    return (
        f"{level}:assay_score_evidence:ratio{{%s}} "
        f"and {level}:assay_score_drop:{past}{{%s}} > {drop}"
    )


def _count(level: str) -> str:
    return _number(f"{level}:assay_score_effective:%s{{%s}}", "$window", "$by", form="%.0f")


def _fell(select: str, level: str, past: str, drop: float) -> str:
    """What got worse, by how much, since when and on how many scores."""
    text = (
        "The mean score of the last {{ $window }} is "
        + _number(f"{level}:assay_score_mean:%s{{%s}}", "$window", "$by")
        + ", "
        + _number(f"{level}:assay_score_drop:{past}{{%s,window=%q}}", "$by", "$window")
        + " lower than "
        + {"baseline1d": "that of the day before", "others1d": "that of the other versions"}[past]
        + f", on {_count(level)} effective scores. {_BEGAN}"
    )
    return _strongest(select, _significant(level, past, drop), "$by $by", text)


def _slower() -> str:
    """As `_fell`, in seconds: what a score of latency says to nobody."""
    mean, drop = "evaluator:assay_score_mean:%s{%s}", "evaluator:assay_score_drop:baseline1d"
    seconds = f"{LATENCY_REFERENCE_S:g} * (1 / %s - 1)"
    text = (
        "A typical call of the last {{ $window }} took "
        + _number(seconds % mean, "$window", "$by", form="%.2f")
        + " s, one of the day before "
        + _number(
            seconds % f"({mean} + ignoring (window) {drop}{{%s,window=%q}})",
            *("$window", "$by", "$by", "$window"),
            form="%.2f",
        )
        + f" s. That is over {_count('evaluator')} effective calls. {_BEGAN}"
    )
    significant = _significant("evaluator", "baseline1d", signals.TICKET_DROP)
    return _strongest(_SELECT, significant, "$by $by", text)


def _below_objective() -> str:
    text = (
        "The mean score of the last {{ $window }} is "
        + _number("evaluator:assay_score_mean:%s{%s}", "$window", "$by")
        + f" on {_count('evaluator')} effective scores; the objective is "
        + _number(
            "evaluator:assay_evaluator_objective_ratio:max{evaluator=%q}", "$labels.evaluator"
        )
        + "."
    )
    return _strongest(_SELECT, "evaluator:assay_score_objective_evidence:ratio{%s}", "$by", text)


def _burning() -> str:
    return (
        _SELECT
        + _number("evaluator:assay_score_failed:increase1h{%s}", "$by", form="%.0f")
        + " of "
        + _number("evaluator:assay_scores:increase1h{%s}", "$by", form="%.0f")
        + " scores did not pass in the last hour, "
        + _number("evaluator:assay_score_failed:increase6h{%s}", "$by", form="%.0f")
        + " in the last six. It is still going on: the rate is that of the last minutes too. "
        "Evaluator version {{ $labels.evaluator_version }}."
    )


def _dearer() -> str:
    by = "environment=%q,service=%q"
    labels = ("$labels.environment", "$labels.service")
    mean = f"1000 * service:assay_llm_cost_usd:%s{{{by}}}"
    return (
        "A thousand calls cost "
        + _number(mean.replace("%s", "mean15m"), *labels, form="%.2f")
        + " USD in the last 15 minutes, "
        + _number(mean.replace("%s", "mean1d"), *labels, form="%.2f")
        + " USD the day before. That is over "
        + _number(f"service:assay_llm_cost_weight:increase15m{{{by}}}", *labels, form="%.0f")
        + " calls, and not the work of a few long ones."
    )


def _drifted() -> str:
    anchors = "evaluator:assay_anchors_agreement:%s{evaluator=%%q}"
    return (
        "In the last six hours it agreed with "
        + _number(f"100 * {anchors % 'ratio6h'}", "$labels.evaluator", form="%.0f")
        + " % of "
        + _number(
            "evaluator:assay_anchors:increase6h{evaluator=%q}", "$labels.evaluator", form="%.0f"
        )
        + " anchors, in the week before with "
        + _number(f"100 * {anchors % 'baseline7d'}", "$labels.evaluator", form="%.0f")
        + " %. The judge has changed, not the product: while this fires, quality alerts of this "
        "evaluator are held back."
    )


def _mostly(outcomes: str, minutes: int) -> str:
    """The most frequent reason why there is no score."""
    worst = (
        "topk(1, sum by (reason) (increase(assay_outcomes_total"
        f"{{evaluator=%q,{outcomes}}}[{minutes}m])))"
    )
    return (
        f'{{{{ with query (printf "{worst}" $labels.evaluator) }}}}'
        'Most often the reason is {{ . | first | label "reason" }}, '
        f'{{{{ . | first | value | printf "%.0f" }}}} times in {minutes} minutes.{{{{ end }}}}'
    )


def _failing() -> str:
    return "Scores of this evaluator are missing, not bad. " + _mostly("outcome='failed'", 10)


def _missing() -> str:
    return (
        "Weights do not correct for what is skipped or failed: the mean of the rest may be biased. "
        + _mostly("outcome!='scored',reason!~'duplicate|not_applicable'", 30)
    )


def groups(config: Config) -> list[Group]:
    """The evaluators' policy, and the alerts."""
    return [
        Group("assay-evaluators", "1m", _POLICY, _policy(config)),
        Group(
            "assay-alerts",
            "30s",
            "What is worth somebody's time. Sections of the same names in the runbook say what to\n"
            "do.",
            [_alert(name, entry, config) for name, entry in _template(config).items()],
        ),
    ]


def _policy(config: Config) -> list[Rule]:
    rules = []
    for name, settings in sorted(config.evaluators.items()):
        if settings.alert != "none":
            owner = {} if settings.owner is None else {"owner": settings.owner}
            labels = {"evaluator": name, "severity": settings.alert, **owner}
            rules.append(Rule(POLICY, "vector(1)", labels))
    names = "|".join(sorted(name.replace(".", "[.]") for name in config.evaluators))
    seen, before = _TRACES_OF_EVALUATORS
    seen = seen.format(others=f', evaluator!~"{names}"' if names else "")
    before = before.format(others=f'evaluator!~"{names}"' if names else "").replace("{}", "")
    everyone_else = f"group by (evaluator) (\n  {seen}\n  or {before}\n)"
    return [*rules, Rule(POLICY, everyone_else, {"severity": "page"})]


def _template(config: Config) -> dict[str, dict[str, Any]]:
    text = (files("workers") / "templates" / "alerts.yaml").read_text("utf-8")
    alerts: dict[str, dict[str, Any]] = yaml.safe_load(_filled(text, config))
    return alerts


def _filled(text: str, config: Config) -> str:
    words = {
        "page_drop": f"{signals.PAGE_DROP:g}",
        "ticket_drop": f"{signals.TICKET_DROP:g}",
        "version_drop": f"{signals.VERSION_DROP:g}",
        "score_labels": LABELS["evaluator"],
        "policy": POLICY,
        "trace_max_age_s": f"{config.traces.max_age_s:g}",
    }
    for word, value in words.items():
        text = text.replace(f"<<{word}>>", value)
    return text


def _description(name: str, text: str) -> str:
    made = {
        "<<regression>>": lambda: _fell(
            _SELECT,
            "evaluator",
            "baseline1d",
            signals.PAGE_DROP if name == "AssayScoreRegressed" else signals.TICKET_DROP,
        ),
        "<<latency>>": _slower,
        "<<version>>": lambda: _fell(_VARIANT, "variant", "others1d", signals.VERSION_DROP),
        "<<objective>>": _below_objective,
        "<<burn>>": _burning,
        "<<cost>>": _dearer,
        "<<failures>>": _failing,
        "<<missing>>": _missing,
        "<<drift>>": _drifted,
    }
    return made[text]() if text in made else text


def _alert(name: str, entry: Mapping[str, Any], config: Config) -> Rule:
    expr, labels = str(entry["expr"]), {"dimension": str(entry["dimension"])}
    taken = []
    if entry["severity"] == "evaluator":
        taken = ["severity"]
    else:
        labels = {"severity": str(entry["severity"]), **labels}
    if "by" in entry:
        joined = ", ".join(("owner", *taken))
        body = "\n".join(f"  {line}" for line in expr.strip().splitlines())
        expr = f"(\n{body}\n)\n* on (evaluator) group_left ({joined}) {POLICY}"
    annotations = {
        "summary": str(entry["summary"]),
        "description": _description(name, str(entry["description"])),
        **_links(name, entry, config),
    }
    comment, waits = str(entry.get("comment", "")), str(entry.get("for", "0s"))
    return Rule(name, expr, labels, comment, annotations, waits)


def _links(name: str, entry: Mapping[str, Any], config: Config) -> dict[str, str]:
    links = {}
    if "failing" in entry:
        links["failing_traces"] = (
            f"assay scores --failed --since {entry['failing']} "
            "--evaluator {{ $labels.evaluator }}"
            f"{_OF_SERVICE if 'service' in entry['about'] else ''}"
        )
    runbooks = config.links.runbooks
    if runbooks is None:
        links["runbook"] = f"{RUNBOOK}, section {name}"
    else:
        # Renderers of Markdown make anchors of headings in lower case.
        links["runbook_url"] = f"{runbooks}#{name.lower()}"
    if config.links.grafana is not None:
        dashboard = dashboards(config)[str(entry["dashboard"])]
        url = _dashboard_url(config.links.grafana, dashboard, entry)
        links["dashboard_url"] = url
        if "failing" in entry and dashboard is QUALITY:
            links["exemplars_url"] = f"{url}&viewPanel={panel_id(QUALITY, FAILING_TRACES)}"
    return links


def _dashboard_url(grafana: str, dashboard: Dashboard, entry: Mapping[str, Any]) -> str:
    variables = "".join(
        f"&var-{label}={{{{ urlquery $labels.{label} }}}}" for label in entry.get("about", ())
    )
    return f"{grafana.rstrip('/')}/d/{dashboard.uid}?from=now-6h&to=now{variables}"
