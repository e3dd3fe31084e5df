"""Judges: whether they answer, how fast, at what price, and whether a new one differs."""

from workers.call_scores import COST, LATENCY

from .panels import RATE, Dashboard, Panel, Query, Variable, stat

_HOUR_S = 3600
_ENDPOINT = 'endpoint=~"$endpoint"'
_EVALUATOR = 'evaluator=~"$evaluator"'
_SCORES = (
    f'environment=~"$environment", service=~"$service", model=~"$model", '
    f'prompt_version=~"$prompt_version", {_EVALUATOR}, evaluator!~"{COST}|{LATENCY}"'
)
_ENDED = 'outcome=~"scored|failed"'

_GLANCE = (
    stat(
        "Alerts firing",
        "AssayJudgeFailing and AssayJudgeBreakerOpen, once for each evaluator.",
        'count(ALERTS{alertstate="firing", alertname=~"AssayJudge.*"}) or vector(0)',
        limit=1,
    ),
    stat(
        "Breakers open",
        "Judge endpoints that are given up for now, in some worker.",
        f"sum(max by (endpoint) (assay_judge_breaker_open{{{_ENDPOINT}}}))",
        limit=1,
    ),
    stat(
        "Failed requests",
        "Share of requests that did not end well; most of them are sent again.",
        f'sum(rate(assay_judge_requests_total{{{_ENDPOINT}, result!="ok"}}[{RATE}]))\n'
        f"/ sum(rate(assay_judge_requests_total{{{_ENDPOINT}}}[{RATE}]))",
        "percentunit",
        limit=0.1,
    ),
    stat(
        "Failed evaluations now",
        "Share of evaluations that ended as failed, after all attempts.",
        f'sum(rate(assay_outcomes_total{{{_EVALUATOR}, outcome="failed"}}[{RATE}]))\n'
        f"/ sum(rate(assay_outcomes_total{{{_EVALUATOR}, {_ENDED}}}[{RATE}]))",
        "percentunit",
        limit=0.1,
    ),
    stat(
        "Requests a second",
        "To all judge endpoints that are chosen above.",
        f"sum(rate(assay_judge_requests_total{{{_ENDPOINT}}}[{RATE}]))",
    ),
    stat(
        "Spend an hour now",
        "At the present rate. A model without a known price adds nothing.",
        f"{_HOUR_S} * sum(rate(assay_judge_cost_usd_total{{{_ENDPOINT}}}[{RATE}]))",
        "currencyUSD",
    ),
)

_ENDPOINTS = (
    Panel(
        "Requests by result",
        "A second, by how they ended. rate_limited makes the limiter let fewer through; terminal "
        "will not get better by itself: key, model or quota.",
        [
            Query(
                "sum by (endpoint, result) "
                f"(rate(assay_judge_requests_total{{{_ENDPOINT}}}[{RATE}]))",
                "{{endpoint}}: {{result}}",
            )
        ],
        is_stacked=True,
    ),
    Panel(
        "Time of a request",
        "Without waiting for the limiter; the half and the slowest twentieth.",
        [
            Query(
                f"histogram_quantile({share}, sum by (endpoint, le) "
                f"(rate(assay_judge_latency_seconds_bucket{{{_ENDPOINT}}}[{RATE}])))",
                f"{{{{endpoint}}}}, {text}",
            )
            for share, text in ((0.5, "median"), (0.95, "95 %"))
        ],
        "s",
    ),
    Panel(
        "Limit and requests in flight",
        "What the limiter lets through, of all workers, and what was in flight when it last moved. "
        "It falls when the endpoint says that it is too much. A worker whose limit has not moved "
        "yet adds nothing.",
        [
            Query(
                f"sum by (endpoint) (assay_judge_concurrency_limit{{{_ENDPOINT}}})",
                "{{endpoint}}: limit",
            ),
            Query(
                f"sum by (endpoint) (assay_judge_in_flight{{{_ENDPOINT}}})",
                "{{endpoint}}: in flight",
            ),
        ],
    ),
    Panel(
        "Breaker",
        "1 while an endpoint is given up or probed: work that needs it waits in Kafka.",
        [
            Query(
                f"max by (endpoint) (assay_judge_breaker_open{{{_ENDPOINT}}})",
                "{{endpoint}}",
            )
        ],
        bounds=(0, 1),
    ),
    Panel(
        "Retries",
        "Requests sent again, a second, by what went wrong.",
        [
            Query(
                "sum by (endpoint, result) "
                f"(rate(assay_judge_retries_total{{{_ENDPOINT}}}[{RATE}]))",
                "{{endpoint}}: {{result}}",
            )
        ],
    ),
    Panel(
        "Modes not honoured",
        "Structured-output modes and parameters that an endpoint did not honour and that are not "
        "sent any more, in each interval.",
        [
            Query(
                "sum by (endpoint) "
                f"(increase(assay_judge_mode_changes_total{{{_ENDPOINT}}}[{RATE}]))",
                "{{endpoint}}",
            )
        ],
    ),
)

_EVALUATIONS = (
    Panel(
        "Failed evaluations",
        "Share by evaluator over 10 minutes. Above 0.1, with more than ten of them, it alerts: "
        "scores are missing, not bad.",
        [
            Query(
                "sum by (evaluator) "
                f'(increase(assay_outcomes_total{{{_EVALUATOR}, outcome="failed"}}[10m]))\n'
                "/ (sum by (evaluator) "
                f"(increase(assay_outcomes_total{{{_EVALUATOR}, {_ENDED}}}[10m])) > 0)",
                "{{evaluator}}",
            )
        ],
        "percentunit",
        limit=0.1,
    ),
    Panel(
        "Why they fail",
        "Failed evaluations in each interval, by evaluator and reason.",
        [
            Query(
                "sum by (evaluator, reason) "
                f'(increase(assay_outcomes_total{{{_EVALUATOR}, outcome="failed"}}[{RATE}]))',
                "{{evaluator}}: {{reason}}",
            )
        ],
        is_stacked=True,
    ),
    Panel(
        "Mean score by judge",
        "By version of the evaluator, which names the model that answered: a judge that was "
        "replaced, by you or by its provider, shows as a new line at another height.",
        [
            Query(
                "sum by (evaluator, evaluator_version) "
                f"(rate(assay_score_weighted_total{{{_SCORES}}}[{RATE}]))\n"
                "/ (sum by (evaluator, evaluator_version) "
                f"(rate(assay_score_weight_total{{{_SCORES}}}[{RATE}])) > 0)",
                "{{evaluator}} {{evaluator_version}}",
            )
        ],
        "percentunit",
    ),
    Panel(
        "Who asks whom",
        "The evaluators that ask each judge endpoint: whose scores wait while it is down.",
        [Query(f"max by (endpoint, evaluator) (assay_judge_evaluator_info{{{_ENDPOINT}}})")],
        kind="table",
    ),
)

_PRICE = (
    Panel(
        "Spend an hour",
        "US dollars, by endpoint and model.",
        [
            Query(
                f"{_HOUR_S} * sum by (endpoint, model) "
                f"(rate(assay_judge_cost_usd_total{{{_ENDPOINT}}}[{RATE}]))",
                "{{endpoint}}: {{model}}",
            )
        ],
        "currencyUSD",
        is_stacked=True,
    ),
    Panel(
        "Cost of a request",
        "Mean by endpoint and model, failed ones included. It is a request, not an evaluation: one "
        "that is tried again costs again.",
        [
            Query(
                f"sum by (endpoint) (rate(assay_judge_cost_usd_total{{{_ENDPOINT}}}[{RATE}]))\n"
                "/ (sum by (endpoint) "
                f"(rate(assay_judge_requests_total{{{_ENDPOINT}}}[{RATE}])) > 0)",
                "{{endpoint}}",
            )
        ],
        "currencyUSD",
    ),
    Panel(
        "Tokens a second",
        "By model and type; reasoning is part of output.",
        [
            Query(
                f"sum by (model, type) (rate(assay_judge_tokens_total{{{_ENDPOINT}}}[{RATE}]))",
                "{{model}}: {{type}}",
            )
        ],
    ),
)

JUDGES = Dashboard(
    "assay-judges",
    "Assay: judge health",
    "Whether judges answer, how fast and at what price.",
    (
        Variable("endpoint", "assay_judge_requests_total"),
        Variable("evaluator", f"assay_judge_evaluator_info{{{_ENDPOINT}}}"),
        Variable("environment", "assay_scores_total"),
        Variable("service", 'assay_scores_total{environment=~"$environment"}'),
        Variable("model", 'assay_scores_total{service=~"$service"}'),
        Variable("prompt_version", 'assay_scores_total{service=~"$service", model=~"$model"}'),
    ),
    {
        "At a glance": _GLANCE,
        "Endpoints": _ENDPOINTS,
        "Evaluations": _EVALUATIONS,
        "Price": _PRICE,
    },
)
