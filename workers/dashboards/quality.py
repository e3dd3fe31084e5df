"""Quality and safety: what got worse, where, since when, and traces that show it."""

from workers.call_scores import COST, LATENCY, LATENCY_REFERENCE_S

from .panels import RANGE, RATE, Dashboard, Panel, Query, Variable, stat

FAILING_TRACES = "Failing traces"
"""The panel whose dots are traces with low scores."""

_RESERVED = f'evaluator!~"{COST}|{LATENCY}"'
_PLACE = 'environment=~"$environment", service=~"$service"'
_EVALUATOR = f'{_PLACE}, evaluator=~"$evaluator", {_RESERVED}'
_VARIANT = f'{_EVALUATOR}, model=~"$model", prompt_version=~"$prompt_version"'
_LATENCY = f'{_PLACE}, evaluator="{LATENCY}"'
_SERVICE = 'service=~"$service", evaluator=~"$evaluator"'
_LOW = '"0(\\\\.0)?|0\\\\.[1-5]"'
_BY = "environment, service, evaluator"

_VARIABLES = (
    Variable("environment", "assay_scores_total"),
    Variable("service", 'assay_scores_total{environment=~"$environment"}'),
    Variable("evaluator", f"assay_scores_total{{{_PLACE}, {_RESERVED}}}"),
    Variable("model", f"assay_scores_total{{{_PLACE}}}"),
    Variable("prompt_version", f'assay_scores_total{{{_PLACE}, model=~"$model"}}'),
)


def _mean(by: str, selector: str, part: str = "weighted", window: str = RATE) -> str:
    return (
        f"sum by ({by}) (rate(assay_score_{part}_total{{{selector}}}[{window}]))\n"
        f"/ (sum by ({by}) (rate(assay_score_weight_total{{{selector}}}[{window}])) > 0)"
    )


_GLANCE = (
    stat(
        "Alerts firing",
        "Alerts on quality, safety and latency of what is chosen above.",
        'count(ALERTS{alertstate="firing", dimension=~"quality|safety|latency", '
        'service=~"$service"}) or vector(0)',
        limit=1,
    ),
    stat(
        "Mean score now",
        "Of all traffic, as the sample tells: scores are weighted by 1 / sampling probability.",
        f"sum(rate(assay_score_weighted_total{{{_VARIANT}}}[{RATE}]))\n"
        f"/ sum(rate(assay_score_weight_total{{{_VARIANT}}}[{RATE}]))",
        "percentunit",
    ),
    stat(
        "Pass rate",
        "Share of all traffic whose score reaches the evaluator's threshold, weighted.",
        f"sum(rate(assay_score_weighted_passed_total{{{_VARIANT}}}[{RATE}]))\n"
        f"/ sum(rate(assay_score_weight_total{{{_VARIANT}}}[{RATE}]))",
        "percentunit",
    ),
    stat(
        "Scores",
        "Scores in the time that is shown, each counted once.",
        f"sum(increase(assay_scores_total{{{_VARIANT}}}[{RANGE}]))",
    ),
    stat(
        "Findings in all",
        "In the time that is shown, of evaluators with page_on: any.",
        f"sum(increase(assay_critical_findings_total{{{_VARIANT}}}[{RANGE}]))",
        limit=1,
    ),
    stat(
        "Worst evidence",
        "The strongest evidence that a score regressed; above 1 it counts. Needs some of a day's "
        "history, more than an hour old.",
        f"max(evaluator:assay_score_evidence:ratio{{{_EVALUATOR}}})",
        limit=1,
    ),
)

_QUALITY = (
    Panel(
        "Mean score",
        "Weighted mean, 1 is good; dashed where a config has it, the objective. A step without an "
        "evidence of its own may be a new version of the evaluator: see Versions.",
        [
            Query(_mean("service, evaluator", _VARIANT), "{{evaluator}} on {{service}}"),
            Query(
                'max by (evaluator) (assay_evaluator_objective_ratio{evaluator=~"$evaluator"})',
                "objective of {{evaluator}}",
            ),
        ],
        "percentunit",
        width=12,
    ),
    Panel(
        FAILING_TRACES,
        "Share of scores at or below each bound, not weighted. Each dot is a trace with such a "
        "score; click it to see the trace.",
        [
            Query(
                f"sum by (le) (rate(assay_score_bucket{{{_SERVICE}, {_RESERVED}, le=~{_LOW}}}"
                f"[{RATE}]))\n"
                "/ on () group_left ()\n"
                f"sum(rate(assay_score_count{{{_SERVICE}, {_RESERVED}}}[{RATE}]))",
                "score of {{le}} or less",
                exemplars=True,
            )
        ],
        "percentunit",
        width=12,
        bounds=(0, 1),
    ),
    Panel(
        "Distribution of scores",
        "How many scores lie in each tenth, not weighted; a dot is a trace.",
        [
            Query(
                f"sum by (le) (increase(assay_score_bucket{{{_SERVICE}, {_RESERVED}}}[{RATE}]))",
                "{{le}}",
                exemplars=True,
            )
        ],
        kind="heatmap",
    ),
    Panel(
        "Evidence of a regression",
        "How much the scores of the last minutes to hours speak for a drop against the day before "
        "and this time of day last week, over what one false alarm in 100 series-months needs. "
        "Above 1 it alerts, if the drop is large enough. Needs history.",
        [
            Query(
                f"max by ({_BY}) (evaluator:assay_score_evidence:ratio{{{_EVALUATOR}}})",
                "{{evaluator}} on {{service}}",
            )
        ],
        limit=1,
    ),
    Panel(
        "Drop against the day before",
        "Mean of the day before less the mean of the last 15 minutes and the last hour. From 0.05 "
        "a significant drop pages, from 0.02 it is a ticket.",
        [
            Query(
                f"max by ({_BY}, window) (evaluator:assay_score_drop:baseline1d"
                f'{{{_EVALUATOR}, window=~"15m|1h"}})',
                "{{evaluator}} on {{service}}, {{window}}",
            )
        ],
        "percentunit",
        limit=0.05,
    ),
    Panel(
        "Evidence against the objective",
        "How much the scores speak for a mean below the configured objective; above 1 it alerts. "
        "Empty where every mean keeps its objective, or there is none.",
        [
            Query(
                f"max by ({_BY}) (evaluator:assay_score_objective_evidence:ratio{{{_EVALUATOR}}})",
                "{{evaluator}} on {{service}}",
            )
        ],
        limit=1,
    ),
    Panel(
        "Scores a minute",
        "Each counted once. Evidence grows with this: of few scores an alert comes late.",
        [
            Query(
                "60 * sum by (service, evaluator) "
                f"(rate(assay_scores_total{{{_VARIANT}}}[{RATE}]))",
                "{{evaluator}} on {{service}}",
            )
        ],
    ),
    Panel(
        "Latency of a call",
        "Typical length: the mean of the bounded latency score, turned back into seconds. Few very "
        "long calls hardly move it.",
        [
            Query(
                f"{LATENCY_REFERENCE_S:g} * (\n"
                f"  sum by (service) (rate(assay_score_weight_total{{{_LATENCY}}}[{RATE}]))\n"
                f"  / sum by (service) (rate(assay_score_weighted_total{{{_LATENCY}}}[{RATE}]))\n"
                "  - 1\n"
                ")",
                "{{service}}",
            )
        ],
        "s",
    ),
)

_VERSIONS = (
    Panel(
        "Mean score by version",
        "Models and prompt versions side by side, in the same minutes: what moves all of them is "
        "not the version.",
        [
            Query(
                _mean("service, evaluator, model, prompt_version", _VARIANT),
                "{{evaluator}} on {{service}}: {{model}} / {{prompt_version}}",
            )
        ],
        "percentunit",
    ),
    Panel(
        "Evidence against a new version",
        "Against all other versions of its service, of their last day and last hour. Above 1 it "
        "alerts. Only versions that began within a day have a line, so this may be empty.",
        [
            Query(
                f"max by ({_BY}, model, prompt_version) "
                f"(variant:assay_score_evidence:ratio{{{_VARIANT}}})",
                "{{evaluator}} on {{service}}: {{model}} / {{prompt_version}}",
            )
        ],
        limit=1,
    ),
    Panel(
        "Mean score by version of the evaluator",
        "An edited rubric, another judge model: each is a series of its own, and not compared with "
        "what it replaced.",
        [
            Query(
                _mean("evaluator, evaluator_version", _VARIANT),
                "{{evaluator}} {{evaluator_version}}",
            )
        ],
        "percentunit",
    ),
    Panel(
        "Traffic by version",
        "Scored calls a minute by model and prompt version, weighted: how far a rollout has come.",
        [
            Query(
                "60 * max by (service, model, prompt_version) (\n"
                "  sum by (service, evaluator, model, prompt_version) "
                f"(rate(assay_score_weight_total{{{_VARIANT}}}[{RATE}]))\n"
                ")",
                "{{service}}: {{model}} / {{prompt_version}}",
            )
        ],
        is_stacked=True,
    ),
)

_SAFETY = (
    Panel(
        "Critical findings",
        "In each interval, of evaluators with page_on: any; each of them alerts. A dot is the "
        "trace.",
        [
            Query(
                "sum by (service, evaluator) "
                f"(increase(assay_critical_findings_total{{{_VARIANT}}}[{RATE}]))",
                "{{evaluator}} on {{service}}",
                exemplars=True,
            )
        ],
    ),
    Panel(
        "Burn rate",
        "How many times faster than an objective of 0.99 or more allows its violations come, over "
        "an hour. 14.4 pages, with four of them counted. Empty without such an objective.",
        [
            Query(
                f"max by ({_BY}) (evaluator:assay_score_burn:1h{{{_EVALUATOR}}})",
                "{{evaluator}} on {{service}}",
            )
        ],
        limit=14.4,
    ),
    Panel(
        "Violations in an hour",
        "Scores that did not pass, counted and not weighted.",
        [
            Query(
                f"max by ({_BY}) (evaluator:assay_score_failed:increase1h{{{_EVALUATOR}}})",
                "{{evaluator}} on {{service}}",
            )
        ],
    ),
    Panel(
        "What evaluators found",
        "Share of all traffic by the evaluator's word for it, weighted.",
        [
            Query(
                "sum by (evaluator, label) "
                f"(rate(assay_score_label_weight_total{{{_EVALUATOR}}}[{RATE}]))\n"
                "/ on (evaluator) group_left ()\n"
                "sum by (evaluator) "
                f"(rate(assay_score_label_weight_total{{{_EVALUATOR}}}[{RATE}]))",
                "{{evaluator}}: {{label}}",
            )
        ],
        "percentunit",
    ),
)

QUALITY = Dashboard(
    "assay-quality",
    "Assay: quality and safety",
    "Scores of evaluators, weighted so that they tell of all traffic and not of the sample.",
    _VARIABLES,
    {
        "At a glance": _GLANCE,
        "Quality": _QUALITY,
        "Versions": _VERSIONS,
        "Safety": _SAFETY,
    },
)
