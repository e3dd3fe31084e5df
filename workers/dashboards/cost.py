"""Cost: what LLM calls cost, who pays, and what judging them costs beside that."""

from workers.call_scores import COST

from .panels import RANGE, RATE, Choice, Dashboard, Panel, Query, Variable, stat

_HOUR_S = 3600
_PLACE = 'environment=~"$environment", service=~"$service"'
_VARIANT = f'{_PLACE}, model=~"$model", prompt_version=~"$prompt_version"'


def cost_dashboard(group: str) -> Dashboard:
    """The dashboard for a config.

    Args:
        group: What spend is counted by besides service, model and prompt version
            (`cost.group_by.name`).
    """
    chosen = f'{_VARIANT}, {group}=~"${group}"'
    calls = f"assay_llm_calls_total{{{_PLACE}}}"
    return Dashboard(
        "assay-cost",
        "Assay: cost attribution",
        f"Spend and tokens of observed LLM calls by service, model, prompt version and {group}.",
        (
            Variable("environment", "assay_llm_calls_total"),
            Variable("service", 'assay_llm_calls_total{environment=~"$environment"}'),
            Variable("model", calls),
            Variable("prompt_version", f'assay_llm_calls_total{{{_PLACE}, model=~"$model"}}'),
            Variable(group, calls),
            Choice("by", "split by", ("service", "model", "prompt_version", group)),
        ),
        {
            "At a glance": _glance(chosen),
            "Who pays": _payers(chosen),
            "A call": _of_a_call(chosen),
            "Tokens": _tokens(chosen),
            "What evaluation costs": _evaluation(chosen),
        },
    )


def _glance(chosen: str) -> list[Panel]:
    return [
        stat(
            "Alerts firing",
            "Alerts on the cost of the services that are chosen above.",
            'count(ALERTS{alertstate="firing", dimension="cost", service=~"$service"}) '
            "or vector(0)",
            limit=1,
        ),
        stat(
            "Spend",
            "In the time that is shown: as producers say, else by the public price list.",
            f"sum(increase(assay_llm_cost_usd_total{{{chosen}}}[{RANGE}]))",
            "currencyUSD",
        ),
        stat(
            "Spend an hour",
            "At the present rate.",
            f"{_HOUR_S} * sum(rate(assay_llm_cost_usd_total{{{chosen}}}[{RATE}]))",
            "currencyUSD",
        ),
        stat(
            "Calls",
            "In the time that is shown, sampled or not.",
            f"sum(increase(assay_llm_calls_total{{{chosen}}}[{RANGE}]))",
        ),
        stat(
            "Cost of a call",
            "Mean over the calls that have a price.",
            f"sum(rate(assay_llm_cost_usd_total{{{chosen}}}[{RATE}]))\n"
            f"/ sum(rate(assay_llm_cost_weight_total{{{chosen}}}[{RATE}]))",
            "currencyUSD",
        ),
        stat(
            "Calls without a price",
            "Share of calls that ended well and add nothing to the spend: the price list does not "
            "know the model, or the span tells no tokens.",
            f"sum(rate(assay_llm_unpriced_calls_total{{{chosen}}}[{RATE}]))\n"
            f"/ sum(rate(assay_llm_calls_total{{{chosen}}}[{RATE}]))",
            "percentunit",
            limit=0.05,
        ),
    ]


def _payers(chosen: str) -> list[Panel]:
    return [
        Panel(
            "Spend an hour, split",
            "US dollars an hour, by what is chosen at the top.",
            [
                Query(
                    f"{_HOUR_S} * sum by ($by) (rate(assay_llm_cost_usd_total{{{chosen}}}[{RATE}]))"
                )
            ],
            "currencyUSD",
            width=12,
            is_stacked=True,
        ),
        Panel(
            "Who spent most",
            "The ten largest of the time that is shown.",
            [
                Query(
                    "topk(10, sum by ($by) "
                    f"(increase(assay_llm_cost_usd_total{{{chosen}}}[{RANGE}])))"
                )
            ],
            "currencyUSD",
            "bargauge",
            width=12,
        ),
    ]


def _of_a_call(chosen: str) -> list[Panel]:
    passed = (
        "sum by (environment, service, evaluator) "
        f"(rate(assay_score_weighted_passed_total{{{_VARIANT}}}[{RATE}]))\n"
        "  / sum by (environment, service, evaluator) "
        f"(rate(assay_score_weight_total{{{_VARIANT}}}[{RATE}]))"
    )
    return [
        Panel(
            "Cost of a call, split",
            "Mean over the calls that have a price.",
            [
                Query(
                    f"sum by ($by) (rate(assay_llm_cost_usd_total{{{chosen}}}[{RATE}]))\n"
                    f"/ (sum by ($by) (rate(assay_llm_cost_weight_total{{{chosen}}}[{RATE}])) > 0)"
                )
            ],
            "currencyUSD",
        ),
        Panel(
            "Cost of a passing answer",
            "Mean cost of a call over the pass rate of each evaluator: what an answer costs that "
            "is of use. A cheaper model with a lower pass rate may be the dearer one.",
            [
                Query(
                    "(\n"
                    "  sum by (environment, service) "
                    f"(rate(assay_llm_cost_usd_total{{{_VARIANT}}}[{RATE}]))\n"
                    "  / sum by (environment, service) "
                    f"(rate(assay_llm_cost_weight_total{{{_VARIANT}}}[{RATE}]))\n"
                    ")\n"
                    "/ on (environment, service) group_right ()\n"
                    f"(\n  {passed}\n  > 0\n)",
                    "{{service}}, as {{evaluator}} says",
                )
            ],
            "currencyUSD",
        ),
        Panel(
            "Against the day before",
            "Mean cost of a call in the last 15 minutes over that of the day before. From 1.2, and "
            "with evidence above 1, it pages. Needs history.",
            [
                Query(
                    f"service:assay_llm_cost_usd:mean15m{{{_PLACE}}}\n"
                    f"/ service:assay_llm_cost_usd:mean1d{{{_PLACE}}}",
                    "{{service}}",
                ),
                Query(
                    "max by (environment, service) "
                    f'(evaluator:assay_score_evidence:ratio{{{_PLACE}, evaluator="{COST}"}})',
                    "evidence of {{service}}",
                ),
            ],
            limit=1.2,
        ),
    ]


def _tokens(chosen: str) -> list[Panel]:
    return [
        Panel(
            "Tokens a second by type",
            "Cached and cache_creation are part of input, reasoning is part of output.",
            [
                Query(
                    f"sum by (type) (rate(assay_llm_tokens_total{{{chosen}}}[{RATE}]))",
                    "{{type}}",
                )
            ],
        ),
        Panel(
            "Tokens of a call, split",
            "Input and output together.",
            [
                Query(
                    "sum by ($by) "
                    f'(rate(assay_llm_tokens_total{{{chosen}, type=~"input|output"}}[{RATE}]))\n'
                    f"/ (sum by ($by) (rate(assay_llm_calls_total{{{chosen}}}[{RATE}])) > 0)"
                )
            ],
        ),
        Panel(
            "Cached share of input",
            "What prompt caches save; a changed prompt prefix shows as a fall.",
            [
                Query(
                    "sum by ($by) "
                    f'(rate(assay_llm_tokens_total{{{chosen}, type="cached"}}[{RATE}]))\n'
                    "/ (sum by ($by) "
                    f'(rate(assay_llm_tokens_total{{{chosen}, type="input"}}[{RATE}])) > 0)'
                )
            ],
            "percentunit",
        ),
        Panel(
            "Calls a minute, split",
            "Observed LLM calls, failed ones too.",
            [Query(f"60 * sum by ($by) (rate(assay_llm_calls_total{{{chosen}}}[{RATE}]))")],
            is_stacked=True,
        ),
    ]


def _evaluation(chosen: str) -> list[Panel]:
    judge = f"sum(rate(assay_judge_cost_usd_total[{RATE}]))"
    return [
        Panel(
            "Traffic and its evaluation",
            "US dollars an hour, side by side. Judges serve all services: their cost is not "
            "narrowed by what is chosen above.",
            [
                Query(
                    f"{_HOUR_S} * sum(rate(assay_llm_cost_usd_total{{{chosen}}}[{RATE}]))",
                    "traffic",
                ),
                Query(f"{_HOUR_S} * {judge}", "evaluation"),
            ],
            "currencyUSD",
        ),
        Panel(
            "Evaluation as a share of traffic",
            "What is spent on judges for each dollar that all observed calls cost.",
            [Query(f"{judge}\n/ sum(rate(assay_llm_cost_usd_total[{RATE}]))", "share")],
            "percentunit",
        ),
        Panel(
            "Spend of judges by model",
            "US dollars an hour. A model without a known price adds nothing.",
            [
                Query(
                    f"{_HOUR_S} * sum by (model) (rate(assay_judge_cost_usd_total[{RATE}]))",
                    "{{model}}",
                )
            ],
            "currencyUSD",
            is_stacked=True,
        ),
    ]
