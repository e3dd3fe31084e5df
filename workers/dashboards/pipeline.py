"""The pipeline itself: whether scores can be trusted to be there, and on time."""

from .panels import RANGE, RATE, Dashboard, Panel, Query, Variable, stat

_LANE = 'lane=~"$lane"'
_TOPIC = f'{_LANE}, topic=~"$topic"'
_EVALUATOR = 'evaluator=~"$evaluator"'
_SCORES = f'environment=~"$environment", service=~"$service", {_EVALUATOR}'
_COUNTED = f'{_EVALUATOR}, reason!~"duplicate|not_applicable"'


def _rate(metric: str, by: str, selector: str = "", legend: str = "") -> Query:
    return Query(f"sum by ({by}) (rate({metric}{{{selector}}}[{RATE}]))", legend or f"{{{{{by}}}}}")


_GLANCE = (
    stat(
        "Alerts firing",
        "Alerts on the pipeline and its judges.",
        'count(ALERTS{alertstate="firing", dimension="pipeline"}) or vector(0)',
        limit=1,
    ),
    stat(
        "Workers",
        "That can be scraped; those that cannot are missing here.",
        'sum(up{job="assay"})',
    ),
    stat(
        "Oldest unfinished",
        "Age of the oldest unfinished record: how late every alert on scores is.",
        f"max(assay_oldest_unfinished_age_seconds{{{_LANE}}})",
        "s",
        limit=300,
    ),
    stat(
        "Lag in all",
        "Records between what is finished and the end of the partitions.",
        f"sum(max by (lane, topic, partition) (assay_partition_lag{{{_TOPIC}}}))",
    ),
    stat(
        "Without a score",
        "Share of the evaluations of the last 30 minutes that ended without one, duplicates and "
        "spans that do not apply left out. Weights do not correct for these.",
        f'1 - sum(increase(assay_outcomes_total{{{_EVALUATOR}, outcome="scored"}}[30m]))\n'
        f"/ sum(increase(assay_outcomes_total{{{_COUNTED}}}[30m]))",
        "percentunit",
        limit=0.2,
    ),
    stat(
        "Unread in all",
        "Records and spans in the time that is shown that could not be read.",
        f"sum(increase(assay_dead_letters_total[{RANGE}]))",
        limit=1,
    ),
)

_INTAKE = (
    Panel(
        "Records a second",
        "Read from Kafka, by lane: the lanes read the same topics.",
        [_rate("assay_records_total", "lane", _LANE)],
    ),
    Panel(
        "Spans a second",
        "Spans of every kind; of these the LLM calls by the convention that they follow, and those "
        "that Assay wrote itself, which nothing judges.",
        [
            Query(f"sum(rate(assay_spans_total[{RATE}]))", "all spans"),
            _rate("assay_llm_spans_total", "convention", legend="LLM calls, {{convention}}"),
            Query(f"sum(rate(assay_own_spans_total[{RATE}]))", "Assay's own"),
        ],
    ),
    Panel(
        "Matches a second",
        "Spans that a route selected, by route. None at all: its `when` does not match.",
        [_rate("assay_route_matches_total", "route")],
    ),
)

_LATENESS = (
    Panel(
        "Oldest unfinished record",
        "Age by its Kafka timestamp. Everything that is known of scores is as late.",
        [
            Query(
                f"max by (lane) (assay_oldest_unfinished_age_seconds{{{_LANE}}})",
                "{{lane}}",
            )
        ],
        "s",
        limit=300,
    ),
    Panel(
        "Lag",
        "Records that wait, by partition.",
        [
            Query(
                f"max by (lane, topic, partition) (assay_partition_lag{{{_TOPIC}}})",
                "{{lane}} {{topic}}[{{partition}}]",
            )
        ],
    ),
    Panel(
        "Progress",
        "Records finished in a second, by partition. Zero beside a lag: the partition is stuck.",
        [
            Query(
                "max by (lane, topic, partition) "
                f"(deriv(assay_partition_offset{{{_TOPIC}}}[{RATE}]))",
                "{{lane}} {{topic}}[{{partition}}]",
            )
        ],
    ),
    Panel(
        "In flight",
        "Evaluations that are started and not committed, of all workers.",
        [Query(f"sum by (lane) (assay_in_flight{{{_LANE}}})", "{{lane}}")],
    ),
    Panel(
        "Bytes in flight",
        "Of the records of these evaluations; limits.in_flight_bytes bounds them in each worker.",
        [Query(f"sum by (lane) (assay_in_flight_bytes{{{_LANE}}})", "{{lane}}")],
        "bytes",
    ),
    Panel(
        "Intake paused",
        "1 while a lane of some worker is full or its judge is out. Short pauses are usual.",
        [Query(f"max by (lane) (assay_intake_paused{{{_LANE}}})", "{{lane}}")],
        bounds=(0, 1),
    ),
)

_OUTCOMES = (
    Panel(
        "Outcomes a second",
        "Every evaluation ends as one of these.",
        [_rate("assay_outcomes_total", "outcome", _EVALUATOR)],
        is_stacked=True,
    ),
    Panel(
        "Why there is no score",
        "Outcomes a second that are skipped or failed, by reason.",
        [
            Query(
                "sum by (outcome, reason) "
                f'(rate(assay_outcomes_total{{{_EVALUATOR}, outcome!="scored"}}[{RATE}]))',
                "{{outcome}}: {{reason}}",
            )
        ],
        is_stacked=True,
    ),
    Panel(
        "Share without a score",
        "By evaluator, over 30 minutes, duplicates and spans that do not apply left out. Above 0.2 "
        "it alerts: the mean of the rest may be biased.",
        [
            Query(
                "1 - sum by (evaluator) "
                f'(increase(assay_outcomes_total{{{_EVALUATOR}, outcome="scored"}}[30m]))\n'
                f"/ (sum by (evaluator) (increase(assay_outcomes_total{{{_COUNTED}}}[30m])) > 0)",
                "{{evaluator}}",
            )
        ],
        "percentunit",
        limit=0.2,
    ),
    Panel(
        "Scores a minute",
        "By service and evaluator; silence is not health.",
        [
            Query(
                f"60 * sum by (service, evaluator) (rate(assay_scores_total{{{_SCORES}}}[{RATE}]))",
                "{{evaluator}} on {{service}}",
            )
        ],
    ),
    Panel(
        "Effective share of scores",
        "What the last hour's scores tell, as a share of what they would if they were independent "
        "and weighed the same. Below 0.1 it alerts: so uneven a sample shows a regression late.",
        [
            Query(
                f"evaluator:assay_score_effective:1h{{{_SCORES}}}\n"
                f"/ (evaluator:assay_scores:increase1h{{{_SCORES}}} > 0)",
                "{{evaluator}} on {{service}}",
            )
        ],
        "percentunit",
    ),
    Panel(
        "Time of an evaluation",
        "From start to outcome, waiting for a judge included; the half and the slowest twentieth.",
        [
            Query(
                f"histogram_quantile({share}, sum by (evaluator, le) "
                f"(rate(assay_evaluation_seconds_bucket{{{_EVALUATOR}}}[{RATE}])))",
                f"{{{{evaluator}}}}, {text}",
            )
            for share, text in ((0.5, "median"), (0.95, "95 %"))
        ],
        "s",
    ),
)

_TROUBLE = (
    Panel(
        "Dead letters",
        "Records and spans that could not be read, by reason, in each interval.",
        [
            Query(
                f"sum by (reason) (increase(assay_dead_letters_total[{RATE}]))",
                "{{reason}}",
            )
        ],
    ),
    Panel(
        "Evaluators in trouble",
        "In each interval: evaluators that raised, hung or returned no score, and evaluations that "
        "did not end when they were cancelled.",
        [
            Query(
                f"sum by (evaluator) (increase({metric}{{{_EVALUATOR}}}[{RATE}]))",
                f"{{{{evaluator}}}} {word}",
            )
            for metric, word in (
                ("assay_evaluator_errors_total", "failed"),
                ("assay_evaluations_abandoned_total", "was abandoned"),
            )
        ],
    ),
    Panel(
        "Routes that cannot be computed",
        "Spans in each interval on which a route's `when` failed, so that it did not match.",
        [
            Query(
                f"sum by (route) (increase(assay_route_failures_total[{RATE}]))",
                "{{route}}",
            )
        ],
    ),
    Panel(
        "Done twice, or late",
        "In each interval, by lane: evaluations cut off and made again, outcomes dropped because "
        "their partition had gone, spans that came again, commits refused.",
        [
            Query(f"sum by (lane) (increase({metric}{{{_LANE}}}[{RATE}]))", f"{{{{lane}}}}: {word}")
            for metric, word in (
                ("assay_evaluations_repeated_total", "made again"),
                ("assay_late_results_total", "dropped as late"),
                ("assay_spans_redelivered_total", "came again"),
                ("assay_commit_failures_total", "commits refused"),
            )
        ],
    ),
    Panel(
        "Outside the series",
        "In each interval: scores of calls that ended over an hour before, label values that count "
        "as other, outcomes of a retry or a backfill. They move no alert.",
        [
            Query(f"sum(increase({metric}[{RATE}])) or vector(0)", word)
            for metric, word in (
                ("assay_scores_late_total", "late scores"),
                ("assay_label_overflow_total", "label values as other"),
                ("assay_second_chance_outcomes_total", "second chances"),
            )
        ],
    ),
    Panel(
        "Outputs besides the scores topic",
        "Outcomes in each interval by what became of them there. Best effort: what is lost here "
        "stands on the scores topic.",
        [
            Query(
                f"sum by (output, result) (increase(assay_output_outcomes_total[{RATE}]))",
                "{{output}}: {{result}}",
            )
        ],
    ),
    Panel(
        "Clients, loop and log",
        "In each interval: problems that a Kafka client reported, seconds for which the event loop "
        "stood still, log lines lost.",
        [
            Query(f"sum(increase({metric}[{RATE}])) or vector(0)", word)
            for metric, word in (
                ("assay_kafka_errors_total", "Kafka client"),
                ("assay_loop_blocked_seconds_total", "seconds blocked"),
                ("assay_log_lines_lost_total", "log lines lost"),
            )
        ],
    ),
)

_PROCESS = (
    Panel(
        "Memory",
        "Resident memory of each worker. docs/operations.md says how much to expect.",
        [Query('process_resident_memory_bytes{job="assay"}', "{{instance}}")],
        "bytes",
    ),
    Panel(
        "CPU",
        "Cores that each worker uses; one is all that its own code can take.",
        [
            Query(
                f'rate(process_cpu_seconds_total{{job="assay"}}[{RATE}])',
                "{{instance}}",
            )
        ],
    ),
    Panel(
        "Versions and partitions",
        "How many workers run each version, and how many partitions each lane reads.",
        [
            Query("count by (version) (assay_build_info)", "workers of {{version}}"),
            Query(
                f"sum by (lane) (assay_partitions_assigned{{{_LANE}}})",
                "partitions of {{lane}}",
            ),
        ],
    ),
)

PIPELINE = Dashboard(
    "assay-pipeline",
    "Assay: pipeline health",
    "Whether every span that should be judged is, and how late.",
    (
        Variable("lane", "assay_records_total"),
        Variable("topic", "assay_partition_lag"),
        Variable("environment", "assay_scores_total"),
        Variable("service", 'assay_scores_total{environment=~"$environment"}'),
        Variable("evaluator", "assay_outcomes_total"),
    ),
    {
        "At a glance": _GLANCE,
        "What comes in": _INTAKE,
        "How late": _LATENESS,
        "What becomes of it": _OUTCOMES,
        "What goes wrong": _TROUBLE,
        "Processes": _PROCESS,
    },
)
